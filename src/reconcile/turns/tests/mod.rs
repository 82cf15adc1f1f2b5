use jiff::{SignedDuration, Timestamp};

use crate::game::spec::TurnSpec;
use crate::reconcile::schedule::tests::turns;

use super::{Beginning, Cause, Decision, Fate, Look, Request, Situation, decide};

mod examples;
mod forced;
mod jumps;
mod not_before;
mod properties;

/// The engine is down.
const DOWN: Situation<'_> =
    Situation::Held { reason: "EngineUnreachable", message: "The engine does not answer." };

/// A game as its caller keeps it: what a decision says is written down, and nothing else.
#[derive(Debug)]
struct Game {
    spec: TurnSpec,
    now: Timestamp,
    cursor: Option<Timestamp>,
    forced: bool,
    taken: Vec<Timestamp>,
}

impl Game {
    /// Initialised at this time, with a schedule in UTC.
    fn new(schedule: &str, now: &str) -> Self {
        let mut game = Self {
            spec: turns(schedule, "UTC"),
            now: now.parse().unwrap(),
            cursor: None,
            forced: false,
            taken: Vec::new(),
        };
        game.look(Situation::Begins(Beginning::Initialised));
        game
    }

    fn decide(&self, situation: Situation<'_>) -> Decision {
        let Self { spec, now, cursor, forced, taken } = self;
        decide(spec, &Look { now: *now, cursor: *cursor, situation, forced: *forced, taken }).unwrap()
    }

    /// One look, and what it says written down.
    fn look(&mut self, situation: Situation<'_>) -> Decision {
        let decision = self.decide(situation);
        self.cursor = decision.cursor;
        match decision.request {
            Request::None | Request::Kept => {}
            Request::Granted | Request::Refused { .. } => self.forced = false,
        }
        self.taken.extend(decision.open.as_ref().and_then(|open| open.cause.slot()));
        decision
    }

    fn look_at(&mut self, now: &str, situation: Situation<'_>) -> Decision {
        self.now = now.parse().unwrap();
        self.look(situation)
    }

    fn later(&mut self, seconds: i64) -> &mut Self {
        self.now += SignedDuration::from_secs(seconds);
        self
    }
}

/// A decision on one line: what opens, then each slot's fate.
fn shown(decision: &Decision) -> String {
    let opens = match decision.open.as_ref().map(|open| open.cause) {
        None => "nothing".to_owned(),
        Some(Cause::Schedule { slot }) => format!("turn of {}", short(slot)),
        Some(Cause::Forced { takes: Some(slot) }) => format!("forced turn for {}", short(slot)),
        Some(Cause::Forced { takes: None }) => "forced turn".to_owned(),
    };
    let fates = decision.decided.iter().chain(&decision.deferred);
    let fates = fates.map(|row| format!("; {} {} {}", short(row.slot), row.fate.as_str(), row.reason));
    std::iter::once(opens).chain(fates).collect()
}

fn short(slot: Timestamp) -> String {
    let text = slot.strftime("%d %H:%M:%S").to_string();
    text.strip_suffix(":00").unwrap_or(&text).to_owned()
}

fn fates(decision: &Decision, fate: Fate) -> usize {
    decision.decided.iter().filter(|row| row.fate == fate).count()
}
