//! `gamekeeper explain`: why a game is as it is, and what happens next.

mod moment;
mod text;

use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use jiff::Timestamp;

use super::client::{Address, Client, Object, Whereabouts};
use super::failure::{Failure, Tally};
use super::output::{ChangeFormat, as_list, say, say_json, say_yaml};
use super::target::{GameTarget, NamespaceOption, Target};
pub(super) use text::forecast;
use text::{Known, Log};

/// So many operations and log lines are shown.
const OPERATIONS: usize = 5;
const LINES: usize = 10;

/// How long, and how much of, a log is read for the sake of its last lines.
const LOG_TIME: Duration = Duration::from_secs(5);
const LOG_BYTES: usize = 64 << 10;

/// Says why a game is as it is, what happens next, and when
///
/// What should be and what is, what is left to do, what forbids to touch it and the way out, the steps that
/// the controller would take now and why, what follows, what it waits on and what ends that, the last
/// operations, and what the engine wrote last; which turn comes next, and what stands in its way. That
/// nothing is left to do is said of a game that is settled: what its spec says is true, and the controller
/// is able to act. Nothing is changed by asking.
///
/// With --at: what was decided at that time and why, what should have been, what was under way, and what
/// changed around it; of a game that is gone too. A time is written in full, 2026-11-23T18:00:00Z
/// (RFC 3339), or by the clock in the game's time zone: "2026-11-23 18:00", or 18:00 for the last time
/// it was.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper explain andromeda
  gamekeeper explain game/andromeda game/orion
  gamekeeper explain andromeda --at 18:00
  gamekeeper explain andromeda --at \"2026-11-23 18:00\"
  gamekeeper explain andromeda -o json")]
pub(crate) struct ExplainArgs {
    /// The games: NAME or game/NAME
    #[arg(value_name = "GAME", required = true)]
    games: Vec<GameTarget>,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// What was decided then, and why [default: what is, and what comes next]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The controller's answer as JSON or YAML, or the games' names
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// Runs the command.
pub(crate) async fn run(args: ExplainArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let namespace = args.namespace.meant(&client);
    let mut tally = Tally::default();
    let mut explained = Vec::new();
    for (index, GameTarget(target)) in args.games.iter().enumerate() {
        let address = target.address(&namespace);
        let asked = match &args.at {
            Some(at) => client.moment(address, at).await,
            None => client.explain(address).await,
        };
        let asked = asked.map_err(|error| Failure::from(error).of(target));
        let between = if index == 0 { "" } else { "\n\n" };
        let told = match (asked, args.output) {
            (Err(failure), _) => Err(failure),
            (Ok(explanation), Some(_)) => {
                explained.push((target.clone(), explanation));
                Ok(())
            }
            (Ok(moment), None) if args.at.is_some() => {
                say(&format!("{between}{}", moment::whole(&target.to_string(), &moment)))
            }
            (Ok(explanation), None) => known(&client, target, address, explanation)
                .await
                .and_then(|known| say(&format!("{between}{}", text::whole(&known, Timestamp::now())))),
        };
        tally.note(told)?;
    }
    let alone = args.games.len() == 1;
    let objects =
        |explained: Vec<(Target, Object)>| as_list(explained.into_iter().map(|(_, it)| it).collect(), alone);
    match args.output {
        None => {}
        // Of one game that is not there, there is nothing to print.
        Some(_) if explained.is_empty() => {}
        Some(ChangeFormat::Json) => say_json(&objects(explained))?,
        Some(ChangeFormat::Yaml) => say_yaml(&objects(explained))?,
        Some(ChangeFormat::Name) => explained.iter().try_for_each(|(target, _)| say(&target.to_string()))?,
    }
    tally.end()
}

/// The explanation with what else is known.
async fn known(
    client: &Client,
    target: &Target,
    address: Address<'_>,
    explanation: Object,
) -> Result<Known, Failure> {
    // A game whose row is gone is explained too.
    let game = client.find(address).await?;
    let operations = client.operations(address, None, None, OPERATIONS).await?;
    let log = match &game {
        Some(game) => log(client, address, game).await,
        None => None,
    };
    Ok(Known { name: target.to_string(), explanation, operations, log })
}

/// What the engine wrote last: the one that runs, or the last one that did.
async fn log(client: &Client, address: Address<'_>, game: &Object) -> Option<Log> {
    let phase = game.text("/status/phase").unwrap_or_default();
    let lives = game.text("/status/containerId").is_some()
        && ["Starting", "Running", "Finished", "EngineUnreachable", "Patching"].contains(&phase);
    if lives {
        let tail = tokio::time::timeout(LOG_TIME, tail(client, address)).await.ok().flatten();
        if let Some(lines) = tail {
            return Some(Log { lines, lives: true });
        }
    }
    let kept = game.text("/status/lastLogLines")?;
    let lines: Vec<String> = kept.lines().map(str::to_owned).collect();
    Some(Log { lines: last(lines), lives: false })
}

async fn tail(client: &Client, address: Address<'_>) -> Option<Vec<String>> {
    let query = [("tailLines", LINES.to_string())];
    // No log is no failure: Docker may be away, which the explanation says better.
    let stream = client.log(address, &query).await.ok()?;
    tokio::pin!(stream);
    let mut bytes = Vec::new();
    while let Some(Ok(piece)) = stream.next().await {
        bytes.extend_from_slice(&piece);
        if bytes.len() > LOG_BYTES {
            break;
        }
    }
    let lines: Vec<String> = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
    (!lines.is_empty()).then(|| last(lines))
}

fn last(mut lines: Vec<String>) -> Vec<String> {
    lines.split_off(lines.len().saturating_sub(LINES))
}
