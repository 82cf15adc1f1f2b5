//! `gamekeeper turns`: the ledger, and what became of the slots of the schedule.

use clap::Args;
use serde_json::Value;

use super::client::{Client, Object, Whereabouts};
use super::failure::Failure;
use super::get;
use super::output::{Format, as_list, remark, say, say_json, say_yaml};
use super::table::{number, of_rows, or_none, short_span};
use super::target::{GameTarget, NamespaceOption};

/// Shows a game's turns, the newest last
///
/// Why each happened, for which slot of the schedule, how long after it the engine was asked (LAG), and
/// how long the engine took. With --slots: what became of every slot, and why; a slot may have no turn,
/// and a forced turn no slot. `gamekeeper explain GAME --at TIME` tells of one moment in words.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper turns andromeda
  gamekeeper turns andromeda --slots --limit 100
  gamekeeper turns game/andromeda -o json --limit 1")]
pub(crate) struct TurnsArgs {
    /// The game: NAME or game/NAME, whether or not it is still there
    #[arg(value_name = "GAME")]
    game: GameTarget,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// What became of every slot
    #[arg(long)]
    slots: bool,
    /// At most so many, the latest
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// In which form [default: a table]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

/// Runs the command.
pub(crate) async fn run(args: TurnsArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let namespace = args.namespace.meant(&client);
    let GameTarget(target) = &args.game;
    let (address, limit) = (target.address(&namespace), usize::from(args.limit));
    let mut found =
        if args.slots { client.slots(address, limit).await? } else { client.turns(address, limit).await? };
    if found.is_empty() {
        // History outlives the game, so only a game that has none need be there.
        get::one(&client, target, &namespace).await?;
    }
    found.reverse();
    match args.output {
        Some(Format::Json) => say_json(&as_list(found, false)),
        Some(Format::Yaml) => say_yaml(&as_list(found, false)),
        Some(Format::Name) => found.iter().try_for_each(|object| say(object.name())),
        Some(Format::Wide) | None if found.is_empty() => {
            let what = if args.slots { "no slot was decided about" } else { "no turn" };
            remark(&format!("{target}: {what} yet"));
            Ok(())
        }
        Some(Format::Wide) | None if args.slots => say(&slots_table(&found)),
        Some(Format::Wide) | None => say(&table(&found, args.output.is_some())),
    }
}

/// Turns as a table.
pub(super) fn table(turns: &[Object], wide: bool) -> String {
    let mut header = vec!["TURN", "CAUSE", "SLOT", "STATE", "LAG", "DURATION", "ATTEMPTS", "REQUESTED-BY"];
    if wide {
        header.extend(["TIMELINE", "OPENED", "DISPATCHED", "FINISHED", "REQUEST"]);
    }
    header.push("ERROR");
    let row = |turn: &Object| {
        let text = |pointer| or_none(turn.text(pointer));
        let mut row = vec![
            number(turn.number("/spec/number")),
            text("/spec/cause"),
            text("/spec/slot"),
            text("/status/phase"),
            seconds(turn, "/status/lagSeconds"),
            seconds(turn, "/status/durationSeconds"),
            number(turn.number("/status/attempts")),
            text("/spec/requestedBy"),
        ];
        if wide {
            row.push(number(turn.number("/spec/timeline")));
            row.extend(["/status/openedAt", "/status/dispatchedAt", "/status/finishedAt"].map(text));
            row.push(text("/spec/requestId"));
        }
        let error = [turn.text("/status/errorCode"), turn.text("/status/errorMessage")];
        let error: Vec<_> = error.into_iter().flatten().collect();
        row.push(or_none(Some(error.join(": ").as_str()).filter(|error| !error.is_empty())));
        row
    };
    of_rows(header, turns.iter().map(row))
}

fn slots_table(slots: &[Object]) -> String {
    let row = |slot: &Object| {
        let text = |pointer| or_none(slot.text(pointer));
        vec![
            text("/spec/slot"),
            text("/status/decision"),
            text("/status/reason"),
            number(slot.number("/status/turn")),
            text("/status/decidedAt"),
            text("/status/message"),
        ]
    };
    of_rows(vec!["SLOT", "DECISION", "REASON", "TURN", "DECIDED", "MESSAGE"], slots.iter().map(row))
}

/// A length of time, to the millisecond where that is seen.
fn seconds(turn: &Object, pointer: &str) -> String {
    match turn.0.pointer(pointer).and_then(Value::as_f64) {
        None => or_none(None),
        Some(seconds) if seconds < 10.0 => format!("{seconds:.3}s"),
        Some(seconds) => short_span(jiff::SignedDuration::try_from_secs_f64(seconds).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_turn_says_why_it_was_and_how_late() {
        let turns = [
            Object(json!({
                "spec": { "timeline": 1, "number": 7, "cause": "Schedule", "slot": "2026-11-23T17:00:00Z", "requestedBy": "" },
                "status": { "phase": "Done", "attempts": 1, "lagSeconds": 0.012, "durationSeconds": 75.25 },
            })),
            Object(json!({
                "spec": { "timeline": 1, "number": 8, "cause": "Forced", "requestedBy": "ann" },
                "status": { "phase": "Failed", "attempts": 2, "errorCode": "TurnOverdue", "errorMessage": "It hangs." },
            })),
        ];
        assert_eq!(
            table(&turns, false),
            "TURN   CAUSE      SLOT                   STATE    LAG      DURATION   ATTEMPTS   REQUESTED-BY   ERROR\n\
             7      Schedule   2026-11-23T17:00:00Z   Done     0.012s   75s        1          -              -\n\
             8      Forced     -                      Failed   -        -          2          ann            TurnOverdue: It hangs.\n"
        );
    }

    #[test]
    fn a_slot_says_what_became_of_it() {
        let slot = Object(json!({
            "spec": { "slot": "2026-11-23T17:00:00Z" },
            "status": { "decision": "Skipped", "reason": "Paused", "message": "The game was paused.", "decidedAt": "2026-11-23T17:00:00Z" },
        }));
        assert_eq!(
            slots_table(&[slot]),
            "SLOT                   DECISION   REASON   TURN   DECIDED                MESSAGE\n\
             2026-11-23T17:00:00Z   Skipped    Paused   -      2026-11-23T17:00:00Z   The game was paused.\n"
        );
    }
}
