//! `gamekeeper rebind`: the games belong to what is found now.

use clap::Args;
use serde_json::json;

use super::{Changing, change};
use crate::cli::client::{Client, Object, Whereabouts};
use crate::cli::confirm::Assent;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::remark;
use crate::cli::table::of_rows;

/// Confirms a deliberate move: to another Docker Engine or state root, or back to an older database
///
/// The controller freezes when what it finds is not what its games belong to. Mostly that is a
/// mistake (a disk that is not mounted, a wrong --docker-host), and putting it right lifts the freeze.
/// Where the move is meant, this shows what is expected and what is found, says what confirming means,
/// and asks. It counts only for exactly what was shown, and only while that is still what is found.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper status
  gamekeeper rebind
  gamekeeper rebind --yes")]
pub(crate) struct RebindArgs {
    #[command(flatten)]
    assent: Assent,
    #[command(flatten)]
    changing: Changing,
}

/// Runs `rebind`.
pub(crate) async fn run(args: RebindArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let controller = client.controller().await?;
    let reasons: Vec<&str> =
        controller.list("/status/freezes").iter().filter_map(|freeze| freeze["reason"].as_str()).collect();
    if reasons.contains(&"StateRootUnreadable") {
        return Err(Failure::new(
            Exit::Conflict,
            "the state root cannot be read, so nobody knows what it is",
        )
        .hint("`gamekeeper status` says why; mend that first"));
    }
    let meanings: Vec<&str> = reasons.iter().filter_map(|reason| meaning(reason)).collect();
    if meanings.is_empty() {
        remark("nothing to rebind: what is found is what the games belong to");
        return Ok(());
    }
    remark(&ground(&controller));
    for meaning in meanings {
        remark(&format!("Confirming means: {meaning}\n"));
    }
    if !args.changing.dry_run {
        args.assent.to("Do the games belong to what is found, from now on?")?;
    }
    let found = |field: &str| controller.0["status"]["ground"][field].clone();
    let generation = controller.number("/spec/rebindGeneration").unwrap_or_default() + 1;
    let patch = json!({ "spec": {
        "rebindGeneration": generation,
        // What is not found is named as that: a merge patch would keep what stood there before.
        "rebind": {
            "dockerEngineId": found("dockerEngineId"),
            "stateRoot": found("stateRoot"),
            "highWater": found("highWater"),
        },
    } });
    let taken_up = |now: &Object| {
        let observed = now.number("/status/observedRebindGeneration");
        Ok(observed.is_some_and(|observed| observed >= generation))
    };
    change(&client, &controller, patch, &args.changing, "rebind requested", taken_up).await
}

/// What an operator says by confirming, in plain words; none where a rebind changes nothing.
fn meaning(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "OtherDocker" => {
            "the games' containers are on this Docker Engine from now on. Those on the other one are \
             not stopped and no longer looked after; make sure that none of them still runs, or a game \
             has two engines."
        }
        "StateRootMissing" => {
            "this directory, which has no sentinel, is the state root from now on. A game whose state \
             is not in it is blocked (StateMissing), and never made anew. If a disk is not mounted, \
             mount it instead: then nothing needs to be confirmed."
        }
        "StateRootOfAnother" => {
            "this state root, which another database owns, is this one's from now on. Make sure that \
             no other gamekeeper works with it."
        }
        "DatabaseOlder" => {
            "this older copy of the database counts from now on. What was recorded since is forgotten: \
             games made since are containers without a row (`gamekeeper adopt`, `gamekeeper remove`), \
             and a game whose engine is at an earlier turn than recorded is blocked."
        }
        _ => return None,
    })
}

/// What the games should stand on, and what is found.
pub(super) fn ground(controller: &Object) -> String {
    let row = |name: &str, field: &str| {
        let at = |which: &str| {
            let object = &controller.0["status"][which][field];
            object.as_str().map(str::to_owned).or(object.as_i64().map(|number| number.to_string()))
        };
        let none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        vec![name.to_owned(), none(at("expected")), none(at("ground"))]
    };
    let rows = [
        row("Docker Engine", "dockerEngineId"),
        row("State root of instance", "stateRoot"),
        row("High water", "highWater"),
    ];
    of_rows(vec!["", "EXPECTED", "FOUND"], rows)
}
