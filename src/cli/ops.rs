//! `gamekeeper ops`: what was done about a game, why, and how it ended.

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::client::{Client, Object, Whereabouts};
use super::failure::Failure;
use super::get;
use super::output::{Format, as_list, remark, say, say_json, say_yaml};
use super::table::{number, of_rows, or_none, short_span};
use super::target::{GameTarget, NamespaceOption};
use crate::game::operation::OperationKind;

/// Shows what was done about a game: operations, newest first
///
/// Everything that changes an engine is written down before it begins: why, by whom, for which
/// generation of the spec, and how it ended. Commands print the generation that they made.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper ops andromeda
  gamekeeper ops andromeda --generation 5
  gamekeeper ops andromeda --op pause
  gamekeeper ops game/andromeda -o json --limit 1")]
pub(crate) struct OpsArgs {
    /// The game: NAME or game/NAME
    #[arg(value_name = "GAME")]
    game: GameTarget,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// Only what was done for this generation
    #[arg(long, value_name = "N")]
    generation: Option<i64>,
    /// Only those of this kind: start, pause, force_next_turn …
    #[arg(long, value_name = "OP", value_parser = kind)]
    op: Option<OperationKind>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// In which form [default: a table]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

fn kind(text: &str) -> Result<OperationKind, String> {
    OperationKind::from_row(text).ok_or_else(|| {
        let known = OperationKind::ALL.map(OperationKind::as_row).join(", ");
        format!("not an operation; there are {known}")
    })
}

/// Runs the command.
pub(crate) async fn run(args: OpsArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let namespace = args.namespace.meant(&client);
    let GameTarget(target) = &args.game;
    let found =
        client.operations(target.address(&namespace), args.generation, args.op, args.limit as usize).await?;
    if found.is_empty() {
        // History outlives the game, so only a game that has none need be there.
        get::one(&client, target, &namespace).await?;
    }
    match args.output {
        Some(Format::Json) => say_json(&as_list(found, false)),
        Some(Format::Yaml) => say_yaml(&as_list(found, false)),
        Some(Format::Name) => found.iter().try_for_each(|operation| say(operation.name())),
        Some(Format::Wide) | None => {
            if found.is_empty() {
                let which =
                    args.generation.map(|number| format!(" for generation {number}")).unwrap_or_default();
                let what = args.op.map_or("nothing was done", |_| "nothing of that kind was done");
                remark(&format!("{what} about {target}{which} yet"));
                return Ok(());
            }
            say(&table(&found, args.output.is_some(), Timestamp::now()))
        }
    }
}

/// The operations as a table.
pub(super) fn table(operations: &[Object], wide: bool, now: Timestamp) -> String {
    let mut header = vec!["OPERATION", "STATUS", "GENERATION", "AGE", "TOOK", "SOURCE", "BY", "CAUSE"];
    if wide {
        header.extend(["FROM", "TO", "REQUEST", "ID"]);
    }
    header.push("ERROR");
    let row = |operation: &Object| {
        let began = operation.time("/metadata/creationTimestamp");
        let ended = operation.time("/status/finishedAt");
        let span = |from: Option<Timestamp>, to| from.map_or("-".into(), |from| short_span(took(from, to)));
        let mut row = vec![
            or_none(operation.text("/spec/op")),
            or_none(operation.text("/status/phase")),
            number(operation.number("/spec/generation")),
            span(began, now),
            ended.map_or("-".into(), |ended| span(began, ended)),
            or_none(operation.text("/spec/source")),
            or_none(operation.text("/spec/requestedBy")),
            or_none(operation.text("/spec/cause")),
        ];
        if wide {
            row.push(or_none(operation.text("/spec/fromVersion")));
            row.push(or_none(operation.text("/spec/toVersion")));
            row.push(or_none(operation.text("/spec/requestId")));
            row.push(operation.name().to_owned());
        }
        let error = [operation.text("/status/errorCode"), operation.text("/status/errorMessage")];
        let error: Vec<_> = error.into_iter().flatten().collect();
        row.push(or_none(Some(error.join(": ").as_str()).filter(|error| !error.is_empty())));
        row
    };
    of_rows(header, operations.iter().map(row))
}

fn took(from: Timestamp, to: Timestamp) -> SignedDuration {
    to.duration_since(from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_operation_says_why_by_whom_and_how_it_ended() {
        let operation = Object(json!({
            "metadata": { "name": "0190", "creationTimestamp": "2026-11-01T10:00:00Z" },
            "spec": { "op": "heal", "generation": 3, "cause": "the engine exited with 137", "source": "controller" },
            "status": { "phase": "failed", "errorCode": "ImageMissing", "errorMessage": "no such image",
                        "finishedAt": "2026-11-01T10:00:02Z" },
        }));
        assert_eq!(
            table(&[operation], false, "2026-11-01T10:01:00Z".parse().unwrap()),
            "OPERATION   STATUS   GENERATION   AGE   TOOK   SOURCE       BY   CAUSE                        ERROR\n\
             heal        failed   3            60s   2s     controller   -    the engine exited with 137   ImageMissing: no such image\n"
        );
    }
}
