//! `gamekeeper pause`, `resume`, `defer` and `force-turn`: whether turns happen, and when.

use std::collections::HashMap;

use clap::{ArgGroup, Args};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Common, Wish, change, one_more, request};
use crate::cli::client::{Client, Object, Whereabouts};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{clean, remark, say};
use crate::cli::target::Located;
use crate::cli::wait::{self, Wanted, Watching};
use crate::game::operation::OperationKind;
use crate::game::wall_time::{self, Day};
use crate::game::zone;

/// Nobody puts turns off for longer and means it.
const FARTHEST: SignedDuration = SignedDuration::from_hours(24 * 366);

/// Lets no further turn begin, and leaves the engines running
///
/// A turn in flight ends. Turns that fall due meanwhile never happen, not even after `gamekeeper
/// resume`. With --wait the command ends when the pause is acknowledged: no turn begins after that.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper pause andromeda --wait
  gamekeeper pause -l season=7
  gamekeeper pause --all -A --dry-run")]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    common: Common,
}

/// Lets turns happen again
///
/// The next turn is the next one of the schedule: what fell due during the pause does not happen.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper resume andromeda --wait
  gamekeeper resume --all")]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    common: Common,
}

/// Puts the turns of the schedule off until a time
///
/// What falls due until then becomes one turn at that time. Forced turns are not put off. A time is
/// written in full, 2026-11-23T18:00:00Z (RFC 3339), or by the clock in each game's time zone:
/// "2026-11-23 18:00", or 18:00 for the next time it is.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("when").required(true).args(["until", "by", "clear"]))]
#[command(after_long_help = "Examples:
  gamekeeper defer andromeda --until 20:30
  gamekeeper defer -l season=7 --until \"2026-11-24 09:00\"
  gamekeeper defer --all --for 2h
  gamekeeper defer andromeda --clear")]
pub(crate) struct DeferArgs {
    #[command(flatten)]
    common: Common,
    /// No turn of the schedule before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// No turn of the schedule for so long: 90m, 2h
    #[arg(long = "for", id = "by", value_name = "DURATION", value_parser = span)]
    by: Option<SignedDuration>,
    /// Take it back: turns come as the schedule says
    #[arg(long)]
    clear: bool,
}

/// Asks for one turn now, whatever the schedule says
///
/// It takes the place of the next turn of the schedule, or comes on top of it, as the game's force
/// mode says. A paused game has it when it is resumed; a stopped or finished one refuses it, and
/// `gamekeeper ops` shows that. With --wait the command ends when the turn did, and prints its number,
/// or why there was none.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper force-turn andromeda --wait
  gamekeeper force-turn andromeda orion")]
pub(crate) struct ForceTurnArgs {
    #[command(flatten)]
    common: Common,
}

fn span(text: &str) -> Result<SignedDuration, String> {
    text.parse().map_err(|_| "not a duration; write a number with a unit, as in 90m or 2h".to_owned())
}

/// Runs `pause`.
pub(crate) async fn pause(args: PauseArgs, place: &Whereabouts) -> Result<(), Failure> {
    let pause = |game: &Object| {
        if game.text("/spec/desiredStatus") == Some("Stopped") {
            remark(&format!("{} is stopped: it has no turns, and is paused when it is started", name(game)));
        }
        Ok(paused(game, true, "pause requested"))
    };
    change(args.common, place, pause, &Wanted::Paused).await
}

/// Runs `resume`.
pub(crate) async fn resume(args: ResumeArgs, place: &Whereabouts) -> Result<(), Failure> {
    let resume = |game: &Object| Ok(paused(game, false, "resume requested"));
    change(args.common, place, resume, &Wanted::Resumed).await
}

fn paused(game: &Object, paused: bool, done: &str) -> Option<Wish> {
    let same = game.flag("/spec/paused").unwrap_or_default() == paused;
    (!same).then(|| Wish::new(done, json!({ "paused": paused })))
}

/// Runs `defer`.
pub(crate) async fn defer(args: DeferArgs, place: &Whereabouts) -> Result<(), Failure> {
    let DeferArgs { common, until, by, clear: _ } = args;
    let now = Timestamp::now();
    let put_off = |game: &Object| {
        let until = match (&until, by) {
            (Some(text), _) => Some(time_of(game, text, now).map_err(Failure::usage)?),
            (None, Some(by)) => now.checked_add(by).ok(),
            (None, None) => return Ok(cleared(game)),
        };
        let until = bounded(until, now).map_err(Failure::usage)?;
        if game.text("/spec/turns/schedule").is_none() {
            remark(&format!("{} has no schedule: forced turns are not put off", name(game)));
        }
        Ok(deferred(game, until))
    };
    change(common, place, put_off, &Wanted::TakenUp).await
}

fn time_of(game: &Object, text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let zone = game.text("/spec/turns/timeZone").unwrap_or("UTC");
    let zone = zone::zone(zone).map_err(|_| {
        format!("its time zone `{}` is not known here; write --until as 2026-11-23T18:00:00Z", clean(zone))
    })?;
    wall_time::resolve(text, &zone, now, Day::Next).map_err(|problem| format!("--until: {problem}"))
}

/// A time that turns can be put off to: to come, and not for ever.
fn bounded(until: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, String> {
    let farthest = now.checked_add(FARTHEST).unwrap_or(Timestamp::MAX);
    match until {
        Some(until) if until <= now => {
            Err(format!("{until:.0} is not to come: turns can only be put off; --clear takes that back"))
        }
        Some(until) if until <= farthest => Ok(until),
        _ => {
            Err("that is more than a year ahead; `gamekeeper pause` holds turns for as long as it takes"
                .into())
        }
    }
}

fn deferred(game: &Object, until: Timestamp) -> Option<Wish> {
    // Nobody means fractions of a second.
    let until = Timestamp::from_second(until.as_second()).unwrap_or(until);
    let same = game.time("/spec/turns/notBefore") == Some(until);
    let spec = json!({ "turns": { "notBefore": until.to_string() } });
    (!same).then(|| Wish::new(format!("deferred until {until}"), spec))
}

fn cleared(game: &Object) -> Option<Wish> {
    let spec = json!({ "turns": { "notBefore": Value::Null } });
    game.text("/spec/turns/notBefore").map(|_| Wish::new("no longer deferred", spec))
}

/// Runs `force-turn`.
pub(crate) async fn force_turn(args: ForceTurnArgs, place: &Whereabouts) -> Result<(), Failure> {
    let ForceTurnArgs { common } = args;
    let client = Client::new(place)?;
    let games = common.games.find(&client).await?;
    let deadline = Instant::now().checked_add(common.wait.timeout);
    let mut followed = Vec::new();
    if common.wait.wait {
        for game in &games {
            // One that is not there is told of when it is asked for the turn.
            let before = client.turns(game.address(), 1).await?.pop();
            followed.push(Followed { game: game.clone(), before, generation: 0 });
        }
    }
    let (awaited, mut tally) = request(&client, &common, games, one_turn).await?;
    if !common.wait.wait || tally.failed() {
        return tally.end();
    }
    let generations: HashMap<String, i64> =
        awaited.iter().map(|awaited| (awaited.key(), awaited.generation())).collect();
    wait::until(&client, awaited, &Wanted::TurnTakenUp, &common.wait, false).await?;
    for mut followed in followed {
        followed.generation = generations.get(&followed.game.key()).copied().unwrap_or_default();
        let told = follow(&client, &followed, deadline).await.and_then(|told| {
            if common.output.is_none() { say(&format!("{} {told}", followed.game.target)) } else { Ok(()) }
        });
        tally.note(told)?;
    }
    tally.end()
}

fn one_turn(game: &Object) -> Result<Option<Wish>, Failure> {
    if game.text("/spec/desiredStatus") == Some("Stopped") {
        remark(&format!("{} is stopped: the turn will be refused; `gamekeeper start` starts it", name(game)));
    } else if game.time("/status/finishedAt").is_some() {
        remark(&format!("{} is finished: the turn will be refused", name(game)));
    } else if game.flag("/spec/paused").unwrap_or_default() {
        remark(&format!("{} is paused: the turn comes when it is resumed", name(game)));
    }
    let more = one_more(game, "forceTurnGeneration")?;
    Ok(Some(Wish::new("turn requested", json!({ "forceTurnGeneration": more }))))
}

/// A game whose forced turn is waited for.
struct Followed {
    game: Located,
    /// Its latest turn before the request.
    before: Option<Object>,
    /// The generation that asks for the turn.
    generation: i64,
}

/// Waits for the end of the turn; says how it went.
async fn follow(client: &Client, followed: &Followed, deadline: Option<Instant>) -> Result<String, Failure> {
    let Followed { game, before, generation } = followed;
    let turns = Client::place_of_turns(game.address());
    let operations = Client::place_of_operations(game.address(), OperationKind::ForceNextTurn);
    let paths = [turns.path.clone(), operations.path.clone()];
    let mut watching = Watching::new(client, vec![turns, operations], deadline);
    let mut state = String::new();
    loop {
        if let Some(mirror) = watching.look().await? {
            let [turns, operations] = &paths;
            // The first of those that may be it: a later one is another request's.
            let asked_for = mirror.all(turns).filter(|turn| is_asked_for(turn, before.as_ref()));
            let turn = asked_for.min_by_key(|turn| place(turn));
            if let Some(told) = turn.and_then(ended) {
                return told.map_err(|failure| failure.of(&game.target));
            }
            if turn.is_none()
                && let Some(why) =
                    mirror.all(operations).find_map(|operation| refusal(operation, *generation))
            {
                return Err(Failure::new(Exit::Failed, format!("no turn: {}", clean(&why))).of(&game.target));
            }
            let now = turn.map_or("not in the ledger yet".into(), state_of);
            if now != state {
                remark(&format!("{}: {now}", game.target));
                state = now;
            }
        }
        if !watching.change().await {
            let state = watching.absence.unwrap_or(state);
            return Err(Failure::new(Exit::TimedOut, format!("timed out waiting for the turn: {state}"))
                .of(&game.target)
                .hint(format!("`gamekeeper explain {}` says what it waits for", game.target)));
        }
    }
}

/// Where a turn stands in the ledger.
fn place(turn: &Object) -> (Option<i64>, Option<i64>) {
    (turn.number("/spec/timeline"), turn.number("/spec/number"))
}

/// Whether this turn came of a request after `before` was the latest.
fn is_asked_for(turn: &Object, before: Option<&Object>) -> bool {
    let given_up = |turn: &Object| matches!(turn.text("/status/phase"), Some("Abandoned" | "RolledBack"));
    let later = before.is_none_or(|before| {
        // A turn that was given up is opened again under its number.
        place(turn) > place(before) || (place(turn) == place(before) && given_up(before) && !given_up(turn))
    });
    later && turn.text("/spec/cause") == Some("Forced")
}

/// How a turn ended, if it did.
fn ended(turn: &Object) -> Option<Result<String, Failure>> {
    let number = turn.number("/spec/number").unwrap_or_default();
    match turn.text("/status/phase") {
        Some("Done") => {
            let took = turn.0.pointer("/status/durationSeconds").and_then(Value::as_f64);
            let took = took.map(|seconds| format!(" in {seconds:.1}s")).unwrap_or_default();
            Some(Ok(format!("turn {number} done{took}")))
        }
        Some("Abandoned" | "RolledBack") => {
            let message = turn.text("/status/errorMessage").unwrap_or("another request came in between");
            Some(Err(Failure::new(Exit::Failed, format!("turn {number} was given up: {}", clean(message)))))
        }
        _ => None,
    }
}

fn state_of(turn: &Object) -> String {
    let number = turn.number("/spec/number").unwrap_or_default();
    let phase = turn.text("/status/phase").unwrap_or("unknown").to_lowercase();
    let why = turn.text("/status/errorMessage").map(|why| format!(": {}", clean(why))).unwrap_or_default();
    format!("turn {number} is {phase}{why}")
}

/// Why the controller refused the turn, if it did.
fn refusal(operation: &Object, generation: i64) -> Option<String> {
    let refused = operation.text("/status/errorCode") == Some("Refused")
        && operation.number("/spec/generation").is_some_and(|served| served >= generation);
    refused.then(|| operation.text("/status/errorMessage").unwrap_or("it was refused").to_owned())
}

fn name(game: &Object) -> String {
    format!("game/{}", game.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T17:30:00Z".parse().unwrap()
    }

    #[test]
    fn turns_are_put_off_to_a_time_in_the_game_s_zone() {
        let game = Object(json!({ "spec": { "turns": { "timeZone": "Europe/Berlin" } } }));
        assert_eq!(time_of(&game, "20:30", now()).unwrap().to_string(), "2026-11-23T19:30:00Z");
        assert_eq!(time_of(&game, "18:00", now()).unwrap().to_string(), "2026-11-24T17:00:00Z");
        let nowhere = Object(json!({ "spec": { "turns": { "timeZone": "Mars/Olympus" } } }));
        assert!(time_of(&nowhere, "20:30", now()).unwrap_err().contains("is not known here"));
        assert!(
            time_of(&game, "soon", now()).unwrap_err().starts_with("--until: `soon` is not a time; write ")
        );
    }

    #[test]
    fn the_past_and_what_is_absurdly_far_are_refused() {
        let at = |text: &str| bounded(Some(text.parse().unwrap()), now());
        assert!(at("2026-11-23T17:30:01Z").is_ok() && at("2027-11-23T17:30:00Z").is_ok());
        assert!(at("2026-11-23T17:30:00Z").unwrap_err().contains("is not to come"));
        assert!(at("2028-01-01T00:00:00Z").unwrap_err().contains("more than a year ahead"));
        assert!(bounded(None, now()).is_err());
    }

    #[test]
    fn a_game_that_is_put_off_to_that_time_already_stays_as_it_is() {
        let until = "2026-11-24T17:00:00Z";
        let game = Object(json!({ "spec": { "turns": { "notBefore": "2026-11-24T18:00:00+01:00" } } }));
        assert_eq!(deferred(&game, until.parse().unwrap()), None);
        let spec = json!({ "turns": { "notBefore": until } });
        let wish = deferred(&Object(json!({})), "2026-11-24T17:00:00.5Z".parse().unwrap());
        assert_eq!(wish, Some(Wish::new("deferred until 2026-11-24T17:00:00Z", spec)));
        assert!(cleared(&game).is_some() && cleared(&Object(json!({ "spec": {} }))).is_none());
    }

    #[test]
    fn the_turn_that_was_asked_for_is_told_from_the_others() {
        let turn = |number: i64, cause: &str, phase: &str| {
            Object(json!({
                "spec": { "timeline": 1, "number": number, "cause": cause }, "status": { "phase": phase },
            }))
        };
        let before = turn(4, "Forced", "Dispatched");
        assert!(is_asked_for(&turn(5, "Forced", "Dispatched"), Some(&before)));
        assert!(is_asked_for(&turn(1, "Forced", "Done"), None));
        assert!(!is_asked_for(&turn(5, "Schedule", "Done"), Some(&before)));
        assert!(!is_asked_for(&turn(4, "Forced", "Done"), Some(&before)), "somebody else's");
        let given_up = turn(4, "Schedule", "Abandoned");
        assert!(is_asked_for(&turn(4, "Forced", "Dispatched"), Some(&given_up)));
        assert!(!is_asked_for(&turn(4, "Forced", "Abandoned"), Some(&given_up)));
        assert!(ended(&turn(4, "Forced", "Failed")).is_none(), "it is tried again");
        assert_eq!(ended(&turn(4, "Forced", "Done")).unwrap().unwrap(), "turn 4 done");
        assert_eq!(ended(&turn(4, "Forced", "Abandoned")).unwrap().unwrap_err().exit(), Exit::Failed);
    }
}
