//! `gamekeeper logs`: what a game's engine writes.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use futures::StreamExt;

use super::client::{Client, Whereabouts};
use super::failure::Failure;
use super::target::{GameTarget, NamespaceOption};
use crate::config::Span;

/// Shows what a game's engine writes
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper logs andromeda --tail 50
  gamekeeper logs andromeda -f --timestamps
  gamekeeper logs game/andromeda --since 10m")]
pub(crate) struct LogsArgs {
    /// The game: NAME or game/NAME
    #[arg(value_name = "GAME")]
    game: GameTarget,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// Go on with what is written from now on
    #[arg(short, long)]
    follow: bool,
    /// Only so many lines from the end
    #[arg(long, value_name = "LINES")]
    tail: Option<u32>,
    /// A time before each line
    #[arg(long)]
    timestamps: bool,
    /// Only what is younger: 10m
    #[arg(long, value_name = "TIME")]
    since: Option<Span>,
}

/// Runs the command.
pub(crate) async fn run(args: LogsArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let namespace = args.namespace.meant(&client);
    let mut query = Vec::new();
    if args.follow {
        query.push(("follow", "true".to_owned()));
    }
    if args.timestamps {
        query.push(("timestamps", "true".to_owned()));
    }
    query.extend(args.tail.map(|lines| ("tailLines", lines.to_string())));
    query.extend(args.since.map(|Span(since)| ("sinceSeconds", whole_seconds(since).to_string())));
    let stream = client.log(args.game.0.address(&namespace), &query).await?;
    tokio::pin!(stream);
    while let Some(piece) = stream.next().await {
        let piece = piece?;
        let mut out = std::io::stdout().lock();
        out.write_all(&piece)?;
        out.flush()?;
    }
    Ok(())
}

/// Kubernetes knows whole seconds only, and none is not one.
fn whole_seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}
