//! `gamekeeper adopt` and `gamekeeper remove`: what becomes of containers that belong to no game.

use clap::Args;
use serde_json::json;

use super::known::{self, Unknown};
use crate::cli::client::Kind;
use crate::cli::client::{Client, Object, Whereabouts, Writing};
use crate::cli::confirm::Assent;
use crate::cli::failure::{Exit, Failure, Tally};
use crate::cli::output::{ChangeFormat, as_list, remark, say, say_change, say_json, say_yaml};
use crate::cli::table::{of_rows, or_none, short};
use crate::cli::target::{NamespaceOption, Target};
use crate::game::{GameId, Name};

/// Gives containers that belong to no game a row, so that they are looked after again
///
/// A container of ours without a row is reported and never touched: a row may have been lost, a
/// backup of the database put back. Adopted, its game is desired running at the version that its
/// labels name, with the state it has. Without ids, this lists the containers that there are.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper adopt
  gamekeeper adopt 6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10
  gamekeeper adopt 6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10 --name andromeda-2 --yes
  gamekeeper adopt --all --dry-run")]
pub(crate) struct AdoptArgs {
    /// The games' ids
    #[arg(value_name = "GAME_ID", conflicts_with = "all")]
    games: Vec<GameId>,
    /// All that there are
    #[arg(long)]
    all: bool,
    /// The game's name [default: the one in the container's labels]
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    name: Option<Name>,
    #[command(flatten)]
    namespace: NamespaceOption,
    #[command(flatten)]
    assent: Assent,
    /// Have the server check everything, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the games, or their names alone; without ids, the containers
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// Has containers removed that belong to no game; their state directories stay
///
/// Each is stopped and removed. Its state directory is left where it is, and said: what is in it can
/// be put under a new game, or deleted by hand.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper adopt
  gamekeeper remove 6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10
  gamekeeper remove 6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10 --yes")]
pub(crate) struct RemoveArgs {
    /// The games' ids
    #[arg(value_name = "GAME_ID", required = true)]
    games: Vec<GameId>,
    #[command(flatten)]
    assent: Assent,
    /// Have the server check everything, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the server's answers, or the ids alone
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// Runs `adopt`.
pub(crate) async fn adopt(args: AdoptArgs, place: &Whereabouts) -> Result<(), Failure> {
    if args.name.is_some() && args.games.len() != 1 {
        return Err(Failure::usage("--name goes with exactly one GAME_ID"));
    }
    let client = Client::new(place)?;
    let orphans = orphans(&client.controller().await?)?;
    if args.games.is_empty() && !args.all {
        return list(orphans, args.output);
    }
    let ids: Vec<String> = if args.all {
        orphans.iter().filter_map(|orphan| orphan.text("/gameId")).map(str::to_owned).collect()
    } else {
        args.games.iter().map(ToString::to_string).collect()
    };
    if ids.is_empty() {
        remark("no container belongs to no game; there is nothing to adopt");
    } else if !args.dry_run {
        for orphan in orphans.iter().filter(|orphan| ids.iter().any(|id| orphan.text("/gameId") == Some(id)))
        {
            remark(&format!(
                "container {} ({}, {}) goes on as a game that is desired running at version {}",
                orphan.text("/containerId").map_or("?", short),
                or_none(orphan.text("/name")),
                or_none(orphan.text("/state")),
                or_none(orphan.text("/engineVersion")),
            ));
        }
        args.assent.to(&match ids.len() {
            1 => "Give it its row back?".to_owned(),
            many => format!("Give these {many} their rows back?"),
        })?;
    }
    let how = Writing { from_manifest: false, dry_run: args.dry_run };
    let mut tally = Tally::default();
    for id in ids {
        let body = json!({
            "gameId": id,
            "name": args.name.as_ref().map(Name::as_str),
            "namespace": args.namespace.meant(&client),
        });
        let told = client.adopt(&body, how).await.map_err(|error| Failure::from(error).of(&id));
        tally.note(told.and_then(|game| {
            let target = Target { kind: Kind::Game, name: game.name().to_owned() };
            let done = format!("adopted{}", if args.dry_run { " (dry run)" } else { "" });
            say_change(args.output, &target.to_string(), &done, &game)
        }))?;
    }
    tally.end()
}

/// Runs `remove`.
pub(crate) async fn remove(args: RemoveArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let orphans = orphans(&client.controller().await?)?;
    for id in &args.games {
        let id = id.to_string();
        let orphan = orphans.iter().find(|orphan| orphan.text("/gameId") == Some(&id)).ok_or_else(|| {
            Failure::new(Exit::NotFound, format!("no container that belongs to no game names game {id}"))
                .hint("`gamekeeper adopt` lists those that there are; a game with a row is ended by `gamekeeper delete`")
        })?;
        remark(&format!(
            "container {} ({}, {}) of game {id} is stopped and removed; its state directory stays: {}",
            orphan.text("/containerId").map_or("?", short),
            or_none(orphan.text("/name")),
            or_none(orphan.text("/state")),
            or_none(orphan.text("/statePath")),
        ));
    }
    if !args.dry_run {
        args.assent.to(&match args.games.len() {
            1 => "Remove this container?".to_owned(),
            many => format!("Remove these {many} containers?"),
        })?;
    }
    let how = Writing { from_manifest: false, dry_run: args.dry_run };
    let mut tally = Tally::default();
    for id in args.games {
        let told = client.remove(&json!({ "gameId": id }), how).await;
        tally.note(told.map_err(|error| Failure::from(error).of(id)).and_then(|status| {
            let done = format!("removal requested{}", if args.dry_run { " (dry run)" } else { "" });
            say_change(args.output, &id.to_string(), &done, &status)
        }))?;
    }
    tally.end()
}

/// The containers that belong to no game.
pub(super) fn orphans(controller: &Object) -> Result<Vec<Object>, Unknown> {
    let orphans = known::part(controller, "/status/orphans", "which containers belong to no game")?;
    Ok(orphans.as_array().into_iter().flatten().cloned().map(Object).collect())
}

fn list(orphans: Vec<Object>, output: Option<ChangeFormat>) -> Result<(), Failure> {
    match output {
        Some(ChangeFormat::Json) => say_json(&as_list(orphans, false)),
        Some(ChangeFormat::Yaml) => say_yaml(&as_list(orphans, false)),
        Some(ChangeFormat::Name) => {
            orphans.iter().filter_map(|orphan| orphan.text("/gameId")).try_for_each(say)
        }
        None if orphans.is_empty() => {
            remark("every container belongs to a game");
            Ok(())
        }
        None => say(&table(&orphans)),
    }
}

/// The containers that belong to no game, as a table.
pub(super) fn table(orphans: &[Object]) -> String {
    let row = |orphan: &Object| {
        vec![
            or_none(orphan.text("/gameId")),
            or_none(orphan.text("/name")),
            or_none(orphan.text("/engineVersion")),
            or_none(orphan.text("/state")),
            or_none(orphan.text("/containerId").map(short)),
            or_none(orphan.text("/statePath")),
        ]
    };
    let header = vec!["GAME-ID", "NAME", "VERSION", "STATE", "CONTAINER", "STATE-DIRECTORY"];
    of_rows(header, orphans.iter().map(row))
}
