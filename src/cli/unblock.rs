//! `gamekeeper unblock`: a person has looked at what keeps a game from going on.

use clap::Args;
use serde_json::json;

use super::client::{Client, Object, Whereabouts, Writing};
use super::confirm::Assent;
use super::failure::{Exit, Failure, Tally};
use super::get;
use super::output::{ChangeFormat, clean, remark, say_change};
use super::target::{GameTarget, NamespaceOption, Target};

/// So often the request is made again when somebody else changed the game meanwhile.
const ATTEMPTS: usize = 10;

/// Tells the controller that a person has looked at a blocked game
///
/// Shows why the game does not go on, and what unblocking does about that: TurnWentBack accepts the
/// engine's turn, PartialInit initialises, PinnedImageGone takes the image that the reference points
/// to now, BackupDamaged and BackupGone give up the copy that was to be put back; each of these accepts a loss, and is asked about. Everything else is looked at again and
/// tried at once, a crash loop too. StateMissing is not lifted by it: bring the state directory back,
/// or delete the game.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper explain andromeda
  gamekeeper unblock andromeda
  gamekeeper unblock andromeda orion --yes")]
pub(crate) struct UnblockArgs {
    /// The games: NAME or game/NAME
    #[arg(value_name = "GAME", required = true)]
    games: Vec<GameTarget>,
    #[command(flatten)]
    namespace: NamespaceOption,
    #[command(flatten)]
    assent: Assent,
    /// Have the server check everything, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the games, or their names alone
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// What unblocking comes to.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// There is nothing to unblock.
    Open,
    /// It does this, and nothing is lost.
    Retry(&'static str),
    /// It does this, which accepts a loss.
    Loss(&'static str),
    /// It would change nothing; this does.
    Closed(&'static str),
}

/// Runs the command.
pub(crate) async fn run(args: UnblockArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let namespace = args.namespace.meant(&client);
    let mut tally = Tally::default();
    for GameTarget(target) in &args.games {
        let told = one(&client, target, &namespace, &args).await;
        // Who answers no, or cannot be asked, is not asked again.
        let unasked = matches!(&told, Err(failure) if failure.exit() == Exit::Usage);
        tally.note(told)?;
        if unasked {
            break;
        }
    }
    tally.end()
}

async fn one(client: &Client, target: &Target, namespace: &str, args: &UnblockArgs) -> Result<(), Failure> {
    let game = get::one(client, target, namespace).await?;
    let tell = |done: &str, game: &Object| say_change(args.output, &target.to_string(), done, game);
    let phase = game.text("/status/phase").unwrap_or("Pending");
    let reason = game.text("/status/reason").unwrap_or_default();
    let why = clean(&format!("{phase} ({reason}): {}", game.text("/status/message").unwrap_or_default()));
    match way(&game) {
        Way::Open => {
            remark(&format!("{target}: {why}"));
            return tell("unchanged: nothing blocks it", &game);
        }
        Way::Closed(instead) => {
            return Err(Failure::new(Exit::Conflict, why).of(target).hint(instead));
        }
        Way::Retry(what) => remark(&format!("{target}: {why}\n  unblocking: {what}")),
        Way::Loss(what) => {
            remark(&format!("{target}: {why}\n  unblocking: {what}"));
            if !args.dry_run {
                args.assent.to(&format!("Unblock {target}?"))?;
            }
        }
    }
    let asked = request(client, target, namespace, &game, args.dry_run).await?;
    let done = format!(
        "unblock requested{}{}",
        super::change::generation(&asked),
        if args.dry_run { " (dry run)" } else { "" }
    );
    tell(&done, &asked)
}

/// One more request, as long as the game is blocked for what was shown.
async fn request(
    client: &Client,
    target: &Target,
    namespace: &str,
    shown: &Object,
    dry_run: bool,
) -> Result<Object, Failure> {
    let address = target.address(namespace);
    let mut attempt = 1;
    loop {
        let game = client.get(address).await?;
        let reason = |game: &Object| game.text("/status/reason").map(str::to_owned);
        if way(&game) != way(shown) {
            let now = reason(&game).unwrap_or_default();
            return Err(Failure::new(Exit::Conflict, format!("it is something else by now ({now})"))
                .of(target)
                .hint("look again, and ask again"));
        }
        let asked = game.number("/spec/unblockGeneration").unwrap_or_default();
        let patch = json!({
            "metadata": { "resourceVersion": game.resource_version() },
            "spec": { "unblockGeneration": asked + 1 },
        });
        match client.patch(address, &patch, Writing { from_manifest: false, dry_run }).await {
            Err(error) if error.is_conflict() && attempt < ATTEMPTS && !game.is_going() => attempt += 1,
            answer => return answer.map_err(|error| Failure::from(error).of(target)),
        }
    }
}

fn way(game: &Object) -> Way {
    let waits = game.time("/status/nextAttemptAt").is_some();
    match (game.text("/status/phase"), game.text("/status/reason")) {
        (Some("Blocked"), Some("StateMissing")) => Way::Closed(
            "unblocking does not lift it: the state is never made anew. Bring the state directory back \
             (`gamekeeper explain` says where it was) and the game goes on by itself, or delete the game",
        ),
        (Some("Blocked"), Some("TurnWentBack")) => Way::Loss(
            "the engine's turn is taken as it is; the turns after it are lost, and a new timeline begins",
        ),
        (Some("Blocked"), Some("PartialInit")) => Way::Loss(
            "what lies in the state directory is taken to be harmless, and the engine is initialised \
             over it",
        ),
        (Some("Blocked"), Some("PinnedImageGone")) => Way::Loss(
            "the image that the reference points to now is taken; it may not be the one that ran before",
        ),
        (Some("Blocked"), Some("BackupDamaged" | "BackupGone")) => Way::Loss(
            "the copy that was to be put back is given up, and what ran last goes on with the state as it \
             is; another copy is put back with `gamekeeper restore`",
        ),
        (Some("CrashLoop"), _) => Way::Retry("the backoff ends, and it is started at once"),
        (Some("Blocked" | "Invalid"), _) => Way::Retry("it is looked at again, and tried at once"),
        (Some("Running" | "Stopped" | "Finished"), _) => Way::Open,
        _ if waits => Way::Retry("the next attempt is made at once"),
        _ => Way::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(phase: &str, reason: &str) -> Object {
        Object(json!({ "status": { "phase": phase, "reason": reason } }))
    }

    #[test]
    fn what_accepts_a_loss_is_asked_about_and_missing_state_is_not_lifted() {
        for reason in ["TurnWentBack", "PartialInit", "PinnedImageGone", "BackupDamaged", "BackupGone"] {
            assert!(matches!(way(&blocked("Blocked", reason)), Way::Loss(_)), "{reason}");
        }
        assert!(matches!(way(&blocked("Blocked", "StateMissing")), Way::Closed(_)));
        assert!(matches!(way(&blocked("Blocked", "ForeignContainer")), Way::Retry(_)));
        assert!(matches!(way(&blocked("CrashLoop", "Exited")), Way::Retry(_)));
        assert_eq!(way(&blocked("Running", "Running")), Way::Open);
        assert_eq!(way(&Object(json!({}))), Way::Open);
    }
}
