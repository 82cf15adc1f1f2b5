//! `gamekeeper start`, `stop` and `restart`.

use clap::Args;
use serde_json::json;

use super::{Common, Wish, change, one_more, refused, request};
use crate::cli::client::{Client, Object, Whereabouts};
use crate::cli::failure::Failure;
use crate::cli::output::remark;
use crate::cli::wait::{self, Awaited, Wanted};
use crate::game::Phase;
use crate::game::operation::OperationKind;

/// Asks for a restart: stop, a new container, start; same image, same state
///
/// It happens once, after a turn in flight ended, and also if the game is restarted later by
/// somebody else. A stopped game stays stopped: `gamekeeper start` starts it. The printed generation finds what came of it: `gamekeeper ops GAME --generation N`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper restart andromeda
  gamekeeper restart game/andromeda game/orion --wait --timeout 2m
  gamekeeper restart -l season=7 --dry-run")]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    common: Common,
}

/// Has games run
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper start andromeda --wait
  gamekeeper start --all")]
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

/// Runs `restart`.
pub(crate) async fn restart(args: RestartArgs, place: &Whereabouts) -> Result<(), Failure> {
    let more = |game: &Object| {
        if game.text("/spec/desiredStatus") == Some("Stopped") {
            remark("a stopped game has nothing to restart: `gamekeeper start` starts it");
            return Ok(None);
        }
        let more = one_more(game, "restartGeneration")?;
        Ok(Some(Wish::new("restart requested", json!({ "restartGeneration": more }))))
    };
    let common = args.common;
    let client = Client::new(place)?;
    let games = common.games.find(&client).await?;
    let (awaited, mut tally) = request(&client, &common, games.clone(), more).await?;
    if !common.wait.wait || tally.failed() {
        return tally.end();
    }
    let asked: Vec<i64> = awaited.iter().map(Awaited::generation).collect();
    wait::until(&client, awaited, &Wanted::Restarted, &common.wait, common.output.is_none()).await?;
    for (game, asked) in games.iter().zip(asked) {
        tally.note(refused(&client, game, OperationKind::Restart, asked, "not restarted").await)?;
    }
    tally.end()
}

/// Runs `start`.
pub(crate) async fn start(args: StartArgs, place: &Whereabouts) -> Result<(), Failure> {
    let run = |game: &Object| Ok(desire(game, "Running", false, "start requested"));
    change(args.common, place, run, &Wanted::ready()).await
}

/// Runs `stop`.
pub(crate) async fn stop(args: StopArgs, place: &Whereabouts) -> Result<(), Failure> {
    let stopped = |game: &Object| Ok(desire(game, "Stopped", args.now, "stop requested"));
    change(args.common, place, stopped, &Wanted::Phase(Phase::Stopped)).await
}

/// What of the spec to change; nothing if it says so already.
fn desire(game: &Object, status: &str, now: bool, done: &str) -> Option<Wish> {
    let same = game.text("/spec/desiredStatus") == Some(status)
        && game.flag("/spec/stopNow").unwrap_or_default() == now;
    (!same).then(|| Wish::new(done, json!({ "desiredStatus": status, "stopNow": now })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_game_that_is_asked_for_what_it_is_stays_as_it_is() {
        let game =
            |status: &str, now: bool| Object(json!({ "spec": { "desiredStatus": status, "stopNow": now } }));
        let asked = |game: &Object, status: &str, now| desire(game, status, now, "").map(|wish| wish.spec);
        assert_eq!(asked(&game("Running", false), "Running", false), None);
        assert_eq!(
            asked(&game("Stopped", false), "Stopped", true),
            Some(json!({ "desiredStatus": "Stopped", "stopNow": true }))
        );
        assert_eq!(
            asked(&game("Stopped", true), "Running", false),
            Some(json!({ "desiredStatus": "Running", "stopNow": false }))
        );
    }
}
