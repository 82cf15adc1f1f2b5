//! `gamekeeper restart`, `start` and `stop`: each a change of desired state.

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, Object, Whereabouts, Writing};
use super::failure::{Failure, Tally};
use super::output::{ChangeFormat, remark, say_change};
use super::target::{GameTarget, NamespaceOption, Target};
use super::wait::{self, Awaited, WaitOptions, Wanted};
use crate::game::Phase;

/// So often a change is tried again when somebody else was faster.
const ATTEMPTS: usize = 10;

/// Asks for a restart: stop, a new container, start; same image, same state
///
/// It happens once, after a turn in flight ended, and also if the game is restarted later by
/// somebody else. A stopped game stays stopped: `gamekeeper start` starts it. The printed generation finds what came of it: `gamekeeper ops GAME --generation N`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper restart andromeda
  gamekeeper restart game/andromeda game/orion --wait --timeout 2m")]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    common: Common,
}

/// Has games run
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper start andromeda --wait")]
pub(crate) struct StartArgs {
    #[command(flatten)]
    common: Common,
}

/// Has games stopped: the container goes, the state directory stays
///
/// A turn in flight gets time to end, unless --now is given; then the engine is asked to end, and
/// killed after the grace period.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper stop andromeda
  gamekeeper stop andromeda orion --now --wait")]
pub(crate) struct StopArgs {
    #[command(flatten)]
    common: Common,
    /// Do not wait for a turn in flight
    #[arg(long)]
    now: bool,
}

#[derive(Debug, Args)]
struct Common {
    /// The games: NAME or game/NAME
    #[arg(value_name = "GAME", required = true)]
    games: Vec<GameTarget>,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// Print the games, or their names alone
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
    #[command(flatten)]
    wait: WaitOptions,
}

/// Runs `restart`.
pub(crate) async fn restart(args: RestartArgs, place: &Whereabouts) -> Result<(), Failure> {
    let more = |game: &Object| {
        if game.text("/spec/desiredStatus") == Some("Stopped") {
            remark("a stopped game has nothing to restart: `gamekeeper start` starts it");
            return None;
        }
        let asked = game.number("/spec/restartGeneration").unwrap_or_default();
        let Some(more) = asked.checked_add(1) else {
            remark("its restart counter is at its end: no further restart can be asked for");
            return None;
        };
        Some(json!({ "restartGeneration": more }))
    };
    change(args.common, place, "restart", more, &Wanted::ready()).await
}

/// Runs `start`.
pub(crate) async fn start(args: StartArgs, place: &Whereabouts) -> Result<(), Failure> {
    change(args.common, place, "start", |game| desire(game, "Running", false), &Wanted::ready()).await
}

/// Runs `stop`.
pub(crate) async fn stop(args: StopArgs, place: &Whereabouts) -> Result<(), Failure> {
    let stopped = |game: &Object| desire(game, "Stopped", args.now);
    change(args.common, place, "stop", stopped, &Wanted::Phase(Phase::Stopped)).await
}

/// What of the spec to change; nothing if it says so already.
fn desire(game: &Object, status: &str, now: bool) -> Option<Value> {
    let same = game.text("/spec/desiredStatus") == Some(status)
        && game.flag("/spec/stopNow").unwrap_or_default() == now;
    (!same).then(|| json!({ "desiredStatus": status, "stopNow": now }))
}

async fn change(
    args: Common,
    place: &Whereabouts,
    verb: &str,
    spec: impl Fn(&Object) -> Option<Value>,
    wanted: &Wanted,
) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let namespace = args.namespace.meant(&client);
    let mut tally = Tally::default();
    let mut awaited = Vec::new();
    for GameTarget(target) in args.games {
        let told = one(&client, &target, &namespace, &spec).await.and_then(|(changed, game)| {
            let done = if changed { format!("{verb} requested") } else { "unchanged".into() };
            let done = format!("{done}{}", generation(&game));
            say_change(args.output, &target.to_string(), &done, &game)?;
            awaited.push(Awaited::new(target, &namespace, &game));
            Ok(())
        });
        tally.note(told)?;
    }
    if args.wait.wait && !tally.failed() {
        wait::until(&client, awaited, wanted, &args.wait, args.output.is_none()).await?;
    }
    tally.end()
}

async fn one(
    client: &Client,
    target: &Target,
    namespace: &str,
    spec: impl Fn(&Object) -> Option<Value>,
) -> Result<(bool, Object), Failure> {
    let address = target.address(namespace);
    let mut attempt = 1;
    loop {
        let game = client.get(address).await?;
        let Some(spec) = spec(&game) else { return Ok((false, game)) };
        // With the version that was read, so that two requests at once are two.
        let patch = json!({ "metadata": { "resourceVersion": game.resource_version() }, "spec": spec });
        match client.patch(address, &patch, Writing::default()).await {
            Ok(game) => return Ok((true, game)),
            // A game that is going will not change any more, however often one asks.
            Err(error) if error.is_conflict() && attempt < ATTEMPTS && !game.is_going() => attempt += 1,
            Err(error) => return Err(Failure::from(error).of(target)),
        }
    }
}

/// The generation that a change made, for people; engine versions may have none.
pub(crate) fn generation(object: &Object) -> String {
    match object.generation() {
        0 => String::new(),
        generation => format!(" (generation {generation})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_game_that_is_asked_for_what_it_is_stays_as_it_is() {
        let game =
            |status: &str, now: bool| Object(json!({ "spec": { "desiredStatus": status, "stopNow": now } }));
        assert_eq!(desire(&game("Running", false), "Running", false), None);
        assert_eq!(
            desire(&game("Stopped", false), "Stopped", true),
            Some(json!({ "desiredStatus": "Stopped", "stopNow": true }))
        );
        assert_eq!(
            desire(&game("Stopped", true), "Running", false),
            Some(json!({ "desiredStatus": "Running", "stopNow": false }))
        );
    }
}
