//! `gamekeeper outbox`: what the lobby is told, and what operators want told again, or not at all.

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde_json::json;

use super::client::{Client, Object, Whereabouts, Writing};
use super::confirm::Assent;
use super::failure::Failure;
use super::output::{ChangeFormat, as_list, remark, say, say_change, say_json, say_yaml};
use super::table::{of_rows, or_none, short_span};
use super::target::{GameTarget, NamespaceOption};

/// Shows what the lobby is told, and has it told again, or not at all
///
/// Each game's events are told in order. One that the lobby refuses again and again is set aside, and
/// the rest of its game goes on; a lobby that is away is waited for.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper outbox list
  gamekeeper outbox list andromeda --state delivered
  gamekeeper outbox retry andromeda
  gamekeeper outbox skip andromeda --seq 12
  gamekeeper outbox replay andromeda --from 1 --dry-run")]
pub(crate) struct OutboxArgs {
    #[command(subcommand)]
    verb: OutboxVerb,
}

#[derive(Debug, Subcommand)]
enum OutboxVerb {
    List(ListArgs),
    Retry(RetryArgs),
    Skip(SkipArgs),
    Replay(ReplayArgs),
}

/// Lists events, oldest first
#[derive(Debug, Args)]
struct ListArgs {
    /// Only those of this game: NAME or game/NAME, whether or not it is still there
    #[arg(value_name = "GAME", conflicts_with = "all_namespaces")]
    game: Option<GameTarget>,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// Those of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Only those that are so far [default: all that the lobby does not have]
    #[arg(long, value_name = "STATE")]
    state: Option<State>,
    /// At most so many of each state, the oldest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// In which form [default: a table]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// How far the telling of an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// Not tried yet
    Pending,
    /// Tried in vain, and tried again
    Retrying,
    /// The lobby has it
    Delivered,
    /// Refused too often, or skipped
    SetAside,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Retrying => "Retrying",
            Self::Delivered => "Delivered",
            Self::SetAside => "SetAside",
        }
    }
}

/// What every change takes.
#[derive(Debug, Args)]
struct ChangeArgs {
    /// The game: NAME or game/NAME, or the id of one that is gone
    #[arg(value_name = "GAME")]
    game: GameTarget,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// Have the server check everything, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the server's answer, or the game's name alone
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// Tries events again at once, those that were set aside too
#[derive(Debug, Args)]
struct RetryArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Only this one [default: all of the game that the lobby does not have]
    #[arg(long, value_name = "SEQ")]
    seq: Option<i64>,
}

/// Sets an event aside, so that the rest of its game goes on
///
/// The lobby is not told it, unless it is retried or replayed.
#[derive(Debug, Args)]
struct SkipArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Which one
    #[arg(long, value_name = "SEQ")]
    seq: i64,
    #[command(flatten)]
    assent: Assent,
}

/// Tells a game's events again, from one on, under the same ids
///
/// A lobby that keeps the ids of what it has seen takes no harm from it.
#[derive(Debug, Args)]
struct ReplayArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// The first one
    #[arg(long, value_name = "SEQ")]
    from: i64,
}

/// Runs the command.
pub(crate) async fn run(args: OutboxArgs, place: &Whereabouts) -> Result<(), Failure> {
    match args.verb {
        OutboxVerb::List(args) => list(args, place).await,
        OutboxVerb::Retry(RetryArgs { change, seq }) => {
            let body = json!({ "game": change.game.0.name, "seq": seq });
            make(change, "retry", body, place).await
        }
        OutboxVerb::Skip(SkipArgs { change, seq, assent }) => {
            if !change.dry_run {
                assent.to(&format!("Leave the lobby without event {seq} of {}?", change.game.0))?;
            }
            let body = json!({ "game": change.game.0.name, "seq": seq });
            make(change, "skip", body, place).await
        }
        OutboxVerb::Replay(ReplayArgs { change, from }) => {
            let body = json!({ "game": change.game.0.name, "fromSeq": from });
            make(change, "replay", body, place).await
        }
    }
}

async fn make(
    args: ChangeArgs,
    verb: &str,
    body: serde_json::Value,
    place: &Whereabouts,
) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let namespace = args.namespace.meant(&client);
    let GameTarget(target) = &args.game;
    let how = Writing { from_manifest: false, dry_run: args.dry_run };
    let status = client.change_outbox(&namespace, verb, &body, how).await.map_err(|error| {
        Failure::from(error).of(target).hint("`gamekeeper outbox list` shows what there is")
    })?;
    let done = status.text("/message").unwrap_or("done");
    let done = format!(": {done}{}", if args.dry_run { " (dry run)" } else { "" });
    match args.output {
        None => say(&format!("{target}{done}")),
        format => say_change(format, &target.to_string(), &done, &status),
    }
}

async fn list(args: ListArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let namespace = args.namespace.meant(&client);
    let within = (!args.all_namespaces).then_some(namespace.as_str());
    let states = match args.state {
        Some(state) => vec![state],
        None => vec![State::SetAside, State::Retrying, State::Pending],
    };
    let mut found = Vec::new();
    for state in states {
        let mut selector = format!("status.phase={}", state.word());
        if let Some(GameTarget(target)) = &args.game {
            selector.push_str(&format!(",spec.game={}", target.name));
        }
        found.extend(client.outbox(within, &selector, usize::from(args.limit)).await?);
    }
    let key = |event: &Object| {
        let text = |pointer| event.text(pointer).unwrap_or_default().to_owned();
        (text("/spec/game"), text("/spec/gameId"), event.number("/spec/seq"))
    };
    found.sort_by_key(key);
    match args.output {
        Some(ChangeFormat::Json) => say_json(&as_list(found, false)),
        Some(ChangeFormat::Yaml) => say_yaml(&as_list(found, false)),
        Some(ChangeFormat::Name) => found.iter().try_for_each(|event| say(event.name())),
        None if found.is_empty() => {
            remark(if args.state.is_none() { "the lobby has everything" } else { "there are none" });
            Ok(())
        }
        None => say(&table(&found, Timestamp::now())),
    }
}

fn table(events: &[Object], now: Timestamp) -> String {
    let row = |event: &Object| {
        let age = event.time("/metadata/creationTimestamp").map(|at| short_span(now.duration_since(at)));
        let again = event.time("/status/nextAttemptAt").map(|at| short_span(at.duration_since(now)));
        let kind = event.text("/spec/type").map(|kind| {
            kind.strip_prefix("dev.gamekeeper.game.")
                .and_then(|kind| kind.strip_suffix(".v1"))
                .unwrap_or(kind)
        });
        vec![
            or_none(event.text("/spec/game")),
            super::table::number(event.number("/spec/seq")),
            or_none(kind),
            or_none(event.text("/status/phase")),
            or_none(age.as_deref()),
            super::table::number(event.number("/status/attempts")),
            or_none(again.as_deref()),
            or_none(event.text("/status/lastError")),
        ]
    };
    let header = vec!["GAME", "SEQ", "TYPE", "STATE", "AGE", "ATTEMPTS", "NEXT", "ERROR"];
    of_rows(header, events.iter().map(row))
}
