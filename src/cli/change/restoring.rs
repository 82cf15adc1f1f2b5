//! `gamekeeper restore` and `gamekeeper rollback`: an older state of a game, and what made it.

use clap::Args;
use serde_json::json;

use super::{Wish, generation, one, one_more, refused};
use crate::cli::client::{Client, Object, Whereabouts};
use crate::cli::confirm::Assent;
use crate::cli::failure::{Exit, Failure};
use crate::cli::get;
use crate::cli::output::{ChangeFormat, clean, remark, say, say_change};
use crate::cli::target::{GameTarget, Located, NamespaceOption};
use crate::cli::wait::{self, Awaited, WaitOptions, Wanted};
use crate::game::BackupId;
use crate::game::operation::OperationKind;

/// Puts a kept copy of a game's state back, with the engine version that made it
///
/// The engine is stopped at a turn boundary; the present state is moved aside, and stays. The turns
/// after the copy are void, and a new timeline begins; the lobby is told. Afterwards the game goes on to
/// the engine version that its spec asks for: `gamekeeper rollback` changes that too.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper backups andromeda
  gamekeeper restore andromeda 20261123T180000000Z-6f1c0a52-before-1.4.3
  gamekeeper restore andromeda 20261123T180000000Z-6f1c0a52-before-1.4.3 --yes --wait")]
pub(crate) struct RestoreArgs {
    /// The game: NAME or game/NAME
    #[arg(value_name = "GAME")]
    game: GameTarget,
    /// The copy, as `gamekeeper backups` has it
    #[arg(value_name = "BACKUP")]
    backup: BackupId,
    #[command(flatten)]
    how: How,
}

/// Takes a game back to the version and the state before its last change of version
///
/// In one step: the copy that was taken before the last patch is put back, and the spec asks for the
/// version that made it. What was played since is void: a new timeline begins, and the lobby is told. The
/// present state is moved aside, and stays.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper rollback andromeda
  gamekeeper rollback andromeda --dry-run
  gamekeeper rollback andromeda --yes --wait")]
pub(crate) struct RollbackArgs {
    /// The game: NAME or game/NAME
    #[arg(value_name = "GAME")]
    game: GameTarget,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct How {
    #[command(flatten)]
    namespace: NamespaceOption,
    #[command(flatten)]
    assent: Assent,
    /// Have the server check everything, and change nothing
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Print the game, or its name alone
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
    #[command(flatten)]
    wait: WaitOptions,
}

/// Runs `restore`.
pub(crate) async fn restore(args: RestoreArgs, place: &Whereabouts) -> Result<(), Failure> {
    let (client, game) = located(&args.game, &args.how, place)?;
    let selector = format!("metadata.name={}", args.backup);
    let copies = client.backups_with(game.address(), &selector, 1).await?;
    let copy = copies.first().ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("there is no copy {} of it", args.backup))
            .of(&game.target)
            .hint(format!("`gamekeeper backups {}` lists them", game.target))
    })?;
    put_back(&client, &game, copy, None, &args.how).await
}

/// Runs `rollback`.
pub(crate) async fn rollback(args: RollbackArgs, place: &Whereabouts) -> Result<(), Failure> {
    let (client, game) = located(&args.game, &args.how, place)?;
    let now = get::one(&client, &game.target, &game.namespace).await?;
    let copies = client.backups_with(game.address(), &before_last_patch(&now), 1).await?;
    let (copy, version) = copies.iter().find_map(with_version).ok_or_else(|| {
        Failure::new(Exit::NotFound, "no copy of it is kept from before a change of version")
            .of(&game.target)
            .hint(format!("`gamekeeper backups {}` lists what is kept", game.target))
    })?;
    put_back(&client, &game, copy, Some(version), &args.how).await
}

fn located(game: &GameTarget, how: &How, place: &Whereabouts) -> Result<(Client, Located), Failure> {
    let client = Client::new(place)?;
    let namespace = how.namespace.meant(&client);
    Ok((client, Located { target: game.0.clone(), namespace }))
}

/// Selects copies from before a change away from another version than the present one: after a change that
/// failed, the present version is the one that made the copy.
fn before_last_patch(game: &Object) -> String {
    // (Of a copy that no version is noted of, nobody knows what made it.)
    let present = game.text("/status/engineVersion").unwrap_or_default();
    let others = format!("spec.reason=Patch,spec.engineVersion!={present}");
    if present.is_empty() { others } else { format!("{others},spec.engineVersion!=") }
}

fn with_version(copy: &Object) -> Option<(&Object, &str)> {
    Some((copy, copy.text("/spec/engineVersion")?))
}

/// Asks for a copy, and for the version that made it, in one write.
async fn put_back(
    client: &Client,
    game: &Located,
    copy: &Object,
    version: Option<&str>,
    how: &How,
) -> Result<(), Failure> {
    let now = get::one(client, &game.target, &game.namespace).await?;
    remark(&format!("{}: {}", game.target, consequence(&now, copy, version)));
    if !how.dry_run {
        how.assent.to(&format!("Put this copy of {} back?", game.target))?;
    }
    let wish = |game: &Object| {
        let mut spec = json!({
            "restoreBackupId": copy.name(),
            "restoreGeneration": one_more(game, "restoreGeneration")?,
        });
        if let Some(version) = version {
            spec["engineVersion"] = version.into();
        }
        let done = match version {
            Some(version) => format!("rollback to {version} requested"),
            None => "restore requested".to_owned(),
        };
        Ok(Some(Wish::new(done, spec)))
    };
    let (done, asked) = one(client, game, how.dry_run, wish).await?;
    let tried = if how.dry_run { " (dry run)" } else { "" };
    let done = format!("{}{}{tried}", done.unwrap_or_default(), generation(&asked));
    say_change(how.output, &game.target.to_string(), &done, &asked)?;
    if !how.wait.wait {
        return Ok(());
    }
    let awaited = Awaited::new(game.target.clone(), &game.namespace, &asked);
    wait::until(client, vec![awaited], &Wanted::Restored, &how.wait, false).await?;
    refused(client, game, OperationKind::Restore, asked.generation(), "not restored").await?;
    // The state is back; what it came to is told as well.
    let now = get::one(client, &game.target, &game.namespace).await?;
    if !matches!(now.text("/status/phase"), Some("Running" | "Stopped" | "Finished")) {
        return Err(wait::stuck(&game.target, &now));
    }
    if how.output.is_none() { say(&format!("{} restored", game.target)) } else { Ok(()) }
}

/// What putting a copy back means, for whoever decides it.
fn consequence(game: &Object, copy: &Object, version: Option<&str>) -> String {
    let taken = copy.text("/metadata/creationTimestamp").unwrap_or_default();
    let made = copy.text("/spec/engineVersion").map(|made| format!(" by engine version {made}"));
    let lost = match (copy.number("/spec/turn"), game.number("/status/currentTurn")) {
        (Some(then), Some(now)) if now > then => format!("turns {} to {now} are void", then + 1),
        (Some(then), Some(_)) => format!("it is at turn {then}, as the copy is"),
        _ => "the turns since then are void".to_owned(),
    };
    let asks = match version {
        Some(version) if game.text("/spec/engineVersion") != Some(version) => {
            let before = game.text("/spec/engineVersion").unwrap_or("none");
            format!(" The spec asks for {version} then, and for {before} no more.")
        }
        _ => String::new(),
    };
    clean(&format!(
        "the copy {} of {taken}{} is put back: {lost}, and a new timeline begins.{asks}",
        copy.name(),
        made.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(id: &str, reason: &str, version: &str) -> Object {
        Object(json!({
            "metadata": { "name": id, "creationTimestamp": "2026-11-23T18:00:00Z" },
            "spec": { "reason": reason, "engineVersion": version, "turn": 4 },
        }))
    }

    #[test]
    fn a_rollback_goes_to_a_version_that_is_known_and_another_one() {
        let game = Object(json!({ "status": { "engineVersion": "1.4.2" } }));
        let selector = "spec.reason=Patch,spec.engineVersion!=1.4.2,spec.engineVersion!=";
        assert_eq!(before_last_patch(&game), selector);
        assert_eq!(before_last_patch(&Object(json!({}))), "spec.reason=Patch,spec.engineVersion!=");
        let made = copy("a", "Patch", "1.4.1");
        assert_eq!(with_version(&made).map(|(_, version)| version), Some("1.4.1"));
    }

    #[test]
    fn it_is_said_what_is_lost() {
        let game = Object(json!({ "spec": { "engineVersion": "~1.4" }, "status": { "currentTurn": 7 } }));
        assert_eq!(
            consequence(&game, &copy("a", "Patch", "1.4.1"), Some("1.4.1")),
            "the copy a of 2026-11-23T18:00:00Z by engine version 1.4.1 is put back: turns 5 to 7 are void, and a new \
             timeline begins. The spec asks for 1.4.1 then, and for ~1.4 no more."
        );
        let unknown = consequence(&Object(json!({})), &copy("a", "Turn", "1.4.1"), None);
        assert!(unknown.ends_with("the turns since then are void, and a new timeline begins."), "{unknown}");
    }
}
