//! What concerns the whole controller: `freeze`, `unfreeze`, `confirm-deletions`; and, each in a
//! file of its own, `rebind`, `adopt`, `remove` and `status`.

pub(crate) mod orphans;
pub(crate) mod rebind;
pub(crate) mod status;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::client::{Client, Object, Whereabouts, Writing};
use super::confirm::Assent;
use super::failure::Failure;
use super::output::{ChangeFormat, remark, say_change};
use super::table::{of_rows, or_none, short_span};

/// What stands before its name.
const SHOWN: &str = "controller/gamekeeper";

/// How a change of the controller is made and shown.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Changing {
    /// Have the server check everything, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print what was changed, or its name alone
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// Has the controller touch nothing until `gamekeeper unfreeze`
///
/// It goes on looking, showing and serving the API, and takes every change of desired state; it
/// acts on none of them. Engines that run go on running, engines that die are not healed. It holds
/// across restarts of the server.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper freeze --because 'the state disk is being moved'
  gamekeeper status
  gamekeeper unfreeze")]
pub(crate) struct FreezeArgs {
    /// Why, for whoever wonders later
    #[arg(long, value_name = "TEXT")]
    because: String,
    #[command(flatten)]
    changing: Changing,
}

/// Lets a controller act again that was frozen by hand
///
/// What it freezes for by itself (another Docker Engine, a state root that is not there, a database
/// put back) is not lifted by this: `gamekeeper status` says what is.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper unfreeze
  gamekeeper status")]
pub(crate) struct UnfreezeArgs {
    #[command(flatten)]
    changing: Changing,
}

/// Confirms that many deletions at once are meant
///
/// When the deletions asked for within ten minutes pass half of the games, the rest is held: it may
/// be a mistake. This shows the games that are held, and whether their state goes with them, and
/// asks. What is asked for after that is not confirmed by it.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper confirm-deletions
  gamekeeper confirm-deletions --dry-run
  gamekeeper confirm-deletions --yes")]
pub(crate) struct ConfirmDeletionsArgs {
    #[command(flatten)]
    assent: Assent,
    #[command(flatten)]
    changing: Changing,
}

/// Runs `freeze`.
pub(crate) async fn freeze(args: FreezeArgs, place: &Whereabouts) -> Result<(), Failure> {
    if args.because.trim().is_empty() {
        return Err(Failure::usage("--because has to say why; who finds it frozen later will want to know"));
    }
    let client = Client::new(place)?;
    let patch = json!({ "spec": { "frozen": true, "frozenBecause": args.because } });
    change(&client, &client.controller().await?, patch, args.changing, "frozen").await
}

/// Runs `unfreeze`.
pub(crate) async fn unfreeze(args: UnfreezeArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let controller = client.controller().await?;
    let own = controller.list("/status/freezes").iter().filter(|freeze| freeze["reason"] != "FrozenByHand");
    for freeze in own.cloned().map(Object) {
        remark(&format!(
            "warning: it stays frozen ({}): {}",
            freeze.text("/reason").unwrap_or_default(),
            freeze.text("/message").unwrap_or_default()
        ));
        remark(&format!("  -> {}", freeze.text("/wayOut").unwrap_or_default()));
    }
    change(&client, &controller, json!({ "spec": { "frozen": false } }), args.changing, "unfrozen").await
}

/// Runs `confirm-deletions`.
pub(crate) async fn confirm_deletions(
    args: ConfirmDeletionsArgs,
    place: &Whereabouts,
) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let controller = client.controller().await?;
    let held = held(&controller);
    // Never the present moment: what is confirmed is what is shown here, and nothing that came since.
    let Some(latest) = held.iter().filter_map(|game| game.time("/seenAt")).max() else {
        remark("no deletion is held; there is nothing to confirm");
        return Ok(());
    };
    let gone = held.iter().filter(|game| game.flag("/removesState").unwrap_or_default()).count();
    remark(&held_deletions(&controller, Timestamp::now()));
    let state = match gone {
        0 => "the state directories stay".to_owned(),
        gone => format!("{gone} of them with their state, for ever"),
    };
    if !args.changing.dry_run {
        args.assent.to(&format!("Delete these {} games ({state})?", held.len()))?;
    }
    let patch = json!({ "spec": { "deletionsConfirmedAt": latest } });
    let done = format!("{} deletions confirmed", held.len());
    change(&client, &controller, patch, args.changing, &done).await
}

/// The deletions that are held.
fn held(controller: &Object) -> Vec<Object> {
    controller.list("/status/heldDeletions/games").iter().cloned().map(Object).collect()
}

/// The deletions that are held, as a table under a sentence.
fn held_deletions(controller: &Object, now: Timestamp) -> String {
    let count = |at: &str| controller.number(at).unwrap_or_default();
    let row = |game: &Object| {
        let age = game.time("/seenAt").map(|seen| short_span(now.duration_since(seen)));
        vec![
            or_none(game.text("/namespace")),
            or_none(game.text("/name")),
            if game.flag("/removesState").unwrap_or_default() { "goes, for ever" } else { "stays" }
                .to_owned(),
            or_none(age.as_deref()),
        ]
    };
    let games = held(controller);
    format!(
        "{} of {} games were to be deleted within ten minutes; these {} are held:\n{}",
        count("/status/heldDeletions/asked"),
        count("/status/heldDeletions/known"),
        games.len(),
        of_rows(vec!["NAMESPACE", "GAME", "STATE", "ASKED"], games.iter().map(row))
    )
}

/// Makes a change, and says what was done; nothing is done to what is so already.
async fn change(
    client: &Client,
    before: &Object,
    mut patch: Value,
    how: Changing,
    done: &str,
) -> Result<(), Failure> {
    // With the version that was read: what was decided was decided about that.
    patch["metadata"] = json!({ "resourceVersion": before.resource_version() });
    let writing = Writing { from_manifest: false, dry_run: how.dry_run };
    let after =
        client.change_controller(&patch, writing).await.map_err(|error| Failure::from(error).of(SHOWN))?;
    let done = if after.resource_version() == before.resource_version() && after.0["spec"] == before.0["spec"]
    {
        "unchanged"
    } else {
        done
    };
    let done = format!("{done}{}", if how.dry_run { " (dry run)" } else { "" });
    say_change(how.output, SHOWN, &done, &after)
}
