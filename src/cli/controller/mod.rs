//! What concerns the whole controller: `freeze`, `unfreeze`, `confirm-deletions`; and, each in a
//! file of its own, `rebind`, `adopt`, `remove` and `status`.

mod known;
pub(crate) mod leader;
pub(crate) mod obstacles;
pub(crate) mod orphans;
pub(crate) mod rebind;
pub(crate) mod status;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{CONTROLLERS, Client, Object, Place, Whereabouts, Writing};
use super::confirm::Assent;
use super::failure::{Exit, Failure};
use super::output::{ChangeFormat, remark, say, say_change};
use super::table::{of_rows, or_none, short_span};
use super::wait::{WaitOptions, Watching};
use crate::game::controller::NAME;
use known::Unknown;

/// What stands before its name.
const SHOWN: &str = "controller/gamekeeper";

/// How a change of the controller is made and shown.
#[derive(Debug, Clone, Args)]
pub(super) struct Changing {
    /// Have the server check everything, and change nothing
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Print what was changed, or its name alone
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
    #[command(flatten)]
    wait: WaitOptions,
}

/// Has the controller touch nothing until `gamekeeper unfreeze`
///
/// It goes on looking, showing and serving the API, and takes every change of desired state; it
/// acts on none of them. Engines that run go on running, engines that die are not healed. It holds
/// across restarts of the server. With --wait it is so when the command ends.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper freeze --because 'the state disk is being moved' --wait
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
/// When the deletions asked for within the server's --deletion-window (10m) pass its --deletion-share (50 %
/// of the games), the rest is held: it may be a mistake. This shows the games that are held, and whether their state goes with them, and
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
    let controller = client.controller().await?;
    if args.changing.wait.wait {
        known::so_far(by_hand(&controller))?;
    }
    change(&client, &controller, patch, &args.changing, "freeze requested", by_hand).await
}

/// Runs `unfreeze`.
pub(crate) async fn unfreeze(args: UnfreezeArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let controller = client.controller().await?;
    let leads = match known::so_far(by_hand(&controller)) {
        Err(failure) if args.changing.wait.wait => return Err(failure),
        known => known.is_ok(),
    };
    let own = controller.list("/status/freezes").iter().filter(|freeze| freeze["reason"] != "FrozenByHand");
    for freeze in own.filter(|_| leads).cloned().map(Object) {
        remark(&format!(
            "warning: it stays frozen ({}): {}",
            freeze.text("/reason").unwrap_or_default(),
            freeze.text("/message").unwrap_or_default()
        ));
        remark(&format!("  -> {}", freeze.text("/wayOut").unwrap_or_default()));
    }
    let patch = json!({ "spec": { "frozen": false } });
    let lifted = |controller: &Object| Ok(!by_hand(controller)?);
    change(&client, &controller, patch, &args.changing, "unfreeze requested", lifted).await
}

/// Runs `confirm-deletions`.
pub(crate) async fn confirm_deletions(
    args: ConfirmDeletionsArgs,
    place: &Whereabouts,
) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let controller = client.controller().await?;
    let games = held(&controller)?;
    // Never the present moment: what is confirmed is what is shown here, and nothing that came since.
    let Some(latest) = games.iter().filter_map(|game| game.time("/seenAt")).max() else {
        remark("no deletion is held; there is nothing to confirm");
        return Ok(());
    };
    let gone = games.iter().filter(|game| game.flag("/removesState").unwrap_or_default()).count();
    remark(&held_deletions(&controller, &games, Timestamp::now()));
    let state = match gone {
        0 => "the state directories stay".to_owned(),
        gone => format!("{gone} of them with their state, for ever"),
    };
    if !args.changing.dry_run {
        args.assent.to(&format!("Delete these {} games ({state})?", games.len()))?;
    }
    let patch = json!({ "spec": { "deletionsConfirmedAt": latest } });
    let done = format!("{} deletions confirmed", games.len());
    let let_go = |now: &Object| {
        Ok(held(now)?.iter().all(|game| game.time("/seenAt").is_none_or(|seen| seen > latest)))
    };
    change(&client, &controller, patch, &args.changing, &done, let_go).await
}

/// True if an operator's word is among what it is frozen for. (Who leads and has looked knows what is held.)
fn by_hand(controller: &Object) -> Result<bool, Unknown> {
    known::part(controller, "/status/heldDeletions", "whether it is frozen by hand")?;
    Ok(controller.list("/status/freezes").iter().any(|freeze| freeze["reason"] == "FrozenByHand"))
}

/// The deletions that are held.
fn held(controller: &Object) -> Result<Vec<Object>, Unknown> {
    let held = known::part(controller, "/status/heldDeletions", "which deletions are held")?;
    Ok(held["games"].as_array().into_iter().flatten().cloned().map(Object).collect())
}

/// The deletions that are held, as a table under a sentence.
fn held_deletions(controller: &Object, games: &[Object], now: Timestamp) -> String {
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
    format!(
        "{} of {} games were to be deleted within {:#}, of which at most {} % may be; these {} are held:\n{}",
        count("/status/heldDeletions/asked"),
        count("/status/heldDeletions/known"),
        SignedDuration::from_secs(count("/status/heldDeletions/windowSeconds")),
        count("/status/heldDeletions/sharePercent"),
        games.len(),
        of_rows(vec!["NAMESPACE", "GAME", "STATE", "ASKED"], games.iter().map(row))
    )
}

/// Makes a change, and says what was done; nothing is done to what is so already. Waits, if that is
/// wished, until the controller shows that it came true.
async fn change(
    client: &Client,
    before: &Object,
    mut patch: Value,
    how: &Changing,
    done: &str,
    came_true: impl Fn(&Object) -> Result<bool, Unknown>,
) -> Result<(), Failure> {
    // With the version that was read: what was decided was decided about that.
    patch["metadata"] = json!({ "resourceVersion": before.resource_version() });
    let writing = Writing { from_manifest: false, dry_run: how.dry_run };
    let after =
        client.change_controller(&patch, writing).await.map_err(|error| Failure::from(error).of(SHOWN))?;
    // Its version moves with whatever it shows; its generation counts what was written.
    let written = |object: &Object| object.number("/metadata/generation");
    let done = if written(&after) == written(before) && after.0["spec"] == before.0["spec"] {
        "unchanged"
    } else {
        done
    };
    let done = format!("{done}{}", if how.dry_run { " (dry run)" } else { "" });
    say_change(how.output, SHOWN, &done, &after)?;
    if how.wait.wait { until(client, came_true, &how.wait, how.output.is_none()).await } else { Ok(()) }
}

/// Waits until it is so of the controller.
async fn until(
    client: &Client,
    came_true: impl Fn(&Object) -> Result<bool, Unknown>,
    options: &WaitOptions,
    loud: bool,
) -> Result<(), Failure> {
    let place = Place { path: CONTROLLERS.into(), selectors: Vec::new() };
    let deadline = Instant::now().checked_add(options.timeout);
    let mut watching = Watching::new(client, vec![place], deadline);
    let mut phase = "unknown".to_owned();
    loop {
        if let Some(now) = watching.look().await?.and_then(|mirror| mirror.get(CONTROLLERS, "", NAME)) {
            // (It may have been started again, and know nothing yet.)
            if known::so_far(came_true(now))? == Some(true) {
                return if loud { say(&format!("{SHOWN} condition met")) } else { Ok(()) };
            }
            now.text("/status/phase").unwrap_or("unknown").clone_into(&mut phase);
        }
        if !watching.change().await {
            let phase = watching.absence.unwrap_or(phase);
            return Err(Failure::new(Exit::TimedOut, format!("timed out waiting for {SHOWN}: {phase}"))
                .hint("the change is asked for and stays so; `gamekeeper status` shows how far it is"));
        }
    }
}
