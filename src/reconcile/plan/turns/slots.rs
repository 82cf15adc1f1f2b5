//! The slots of the schedule: in which situation they pass, what becomes of them, and the turn that
//! one of them opens.

use jiff::Timestamp;

use crate::game::Phase;
use crate::game::manifest::FaultySpec;
use crate::game::spec::{DesiredStatus, TurnSpec};
use crate::game::turn::{DecidedSlot, OpenTurn, TurnCause, TurnState};
use crate::reconcile::observed::Seen;
use crate::reconcile::turns::{
    Beginning, Cause, Decision, Fate, Look, Off, Request, Situation, SlotFate, decide, reason,
};

use super::super::Round;
use super::Serving;

impl Round<'_> {
    /// In which situation slots pass, where nothing else holds.
    pub(super) fn situation<'s>(&self, resumes: bool, otherwise: Situation<'s>) -> Situation<'s> {
        if self.record.slot_cursor.is_none() {
            Situation::Begins(Beginning::Initialised)
        } else if self.desired.turns().is_some() && self.record.scheduled_by != self.scheduled_by() {
            Situation::Begins(Beginning::ScheduleChanged)
        } else if self.record.finished_at.is_some() {
            Situation::Off(Off::Finished)
        } else if resumes {
            Situation::Begins(Beginning::Resumed)
        } else if self.desired.paused || self.record.paused_at.is_some() {
            Situation::Paused
        } else if self.starts_from_a_stop() {
            Situation::Begins(Beginning::Started)
        } else {
            otherwise
        }
    }

    /// It was stopped by wish, and the slots since then have not been spoken of. (At the stop the
    /// cursor is no later than it.)
    fn starts_from_a_stop(&self) -> bool {
        let Some(stopped_at) = self.was.stopped_at.filter(|at| Some(*at) > self.was.started_at) else {
            return false;
        };
        self.was.slot_cursor.is_some_and(|cursor| cursor <= stopped_at)
    }

    /// What passes from here on while it is stopped is spoken of at its next start.
    pub(in super::super) fn slots_end_at(&mut self, stopped_at: Timestamp) {
        self.record.slot_cursor = self.record.slot_cursor.map(|cursor| cursor.min(stopped_at));
    }

    fn scheduled_by(&self) -> Option<String> {
        let turns = self.desired.turns()?;
        Some(format!("{} {}", turns.schedule.as_deref().unwrap_or_default(), turns.time_zone))
    }

    /// What is wrong with the schedule, which cannot be read.
    fn wrong_schedule(&self) -> String {
        let faulty = self.desired.spec.as_ref().err();
        let problems = faulty.into_iter().flat_map(FaultySpec::turn_problems);
        problems.map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    /// What the schedule that cannot be read calls for: what falls due by the one before waits, and a
    /// forced turn needs none.
    fn decide_by_the_schedule_before(&self, look: &Look<'_>) -> Option<Decision> {
        let ready = look.situation == Situation::Ready;
        let held = Situation::Held { reason: INVALID_SCHEDULE, message: "The schedule could not be read." };
        let situation = if ready { held } else { look.situation };
        let mut decision =
            decide(&schedule_before(self.record.scheduled_by.as_deref()), &Look { situation, ..*look })
                .or_else(|_| decide(&TurnSpec::by_hand(), look))
                .ok()?;
        if ready && look.forced {
            let forced = decide(&TurnSpec::by_hand(), look).ok()?;
            (decision.open, decision.request) = (forced.open, forced.request);
        }
        decision.next_turn = None;
        Some(decision)
    }

    /// Slots pass while the engine cannot be asked for a turn: they wait, and why is told. While
    /// Docker is silent, nothing begins or ends by it.
    pub(in super::super) fn hold_turns(&mut self, seen: Option<&Seen>) {
        let runs = self.desired.status == DesiredStatus::Running && self.desired.deletion.is_none();
        if self.slots_seen || !runs {
            return;
        }
        let resumes = seen.is_some_and(|seen| self.pause_or_resume(self.is_at_work(seen)));
        if self.record.slot_cursor.is_none() {
            return;
        }
        if seen.is_none() && (self.starts_from_a_stop() || self.record.finished_at.is_some()) {
            return;
        }
        let generates = self.record.phase == Phase::Running
            && self.record.life().is_some_and(|life| self.is_busy_with_a_turn(&life));
        let otherwise = match (generates, self.is_placing()) {
            (true, _) => Situation::TurnOpen,
            (false, true) => RESTORING,
            (false, false) => why_held(self.record.phase),
        };
        self.look_at_slots(self.situation(resumes, otherwise), None);
        self.state_turns();
    }

    /// What becomes of the slots that passed, and whether a turn begins.
    pub(super) fn look_at_slots(&mut self, situation: Situation<'_>, engine: Option<Serving<'_>>) {
        self.slots_seen = true;
        let forced = self.is_forced();
        let cursor = self.record.slot_cursor;
        let ahead = self.record.taken.iter().copied().filter(|slot| Some(*slot) > cursor);
        let taken: Vec<Timestamp> = ahead.collect();
        let look = Look { now: self.now, cursor, situation, forced, taken: &taken };
        let decided = match self.desired.turns() {
            // A zone that the host does not know any more.
            Some(turns) => decide(turns, &look).map_err(|error| error.to_string()),
            None => Err(self.wrong_schedule()),
        };
        let (decision, unreadable) = match decided {
            Ok(decision) => (Some(decision), None),
            Err(why) => (self.decide_by_the_schedule_before(&look), Some(why)),
        };
        let Some(Decision { open, decided, deferred, request, cursor, reset_from: _, next_turn, look_at }) =
            decision
        else {
            return;
        };
        if situation == Situation::Begins(Beginning::Started) {
            // Not later than now, or a clock that went back would have it begin again and again.
            self.record.stopped_at = self.record.stopped_at.map(|at| at.min(self.now));
        }
        if unreadable.is_none() {
            self.record.scheduled_by = self.scheduled_by();
        }
        self.record.slot_cursor = Some(cursor.unwrap_or(self.now));
        self.record.next_turn_at = next_turn;
        let number = self.record.current_turn.unwrap_or_default().saturating_add(1);
        self.tell_of_slots(number, decided, deferred);
        if let Some(why) = unreadable.filter(|_| self.record.finished_at.is_none()) {
            self.late = Some((
                INVALID_SCHEDULE.to_owned(),
                format!(
                    "No turn comes by the schedule, which cannot be read: {why}. Correct it. What falls due by the one before waits, and a turn that is asked for is made."
                ),
            ));
        }
        if let Some(at) = look_at {
            self.look_again(at);
        }
        match request {
            Request::None | Request::Kept => {}
            Request::Granted => self.record.observed_requests.force_turn = self.desired.requests.force_turn,
            Request::Refused { message, .. } => self.refuse_forced(message),
        }
        if let Some((opening, engine)) = open.zip(engine) {
            let cause = match opening.cause {
                Cause::Schedule { .. } => TurnCause::Schedule,
                Cause::Forced { .. } => TurnCause::Forced,
            };
            let turn = OpenTurn {
                number,
                cause,
                slot: opening.cause.slot(),
                attempts: 0,
                opened_at: self.now,
                state: TurnState::Pending,
            };
            self.begin(turn, engine, &opening.why);
        }
    }

    /// What was decided goes on record; of what waits, what is not there yet; and what waited and is
    /// of no interest any more.
    fn tell_of_slots(&mut self, number: i64, decided: Vec<SlotFate>, deferred: Vec<SlotFate>) {
        let mut told = std::mem::take(&mut self.record.deferred);
        told.retain(|slot| !decided.iter().chain(&deferred).any(|row| stands_for(row, *slot)));
        let over = self.record.finished_at.is_some();
        self.plan.slots.extend(told.iter().map(|slot| DecidedSlot {
            slot: *slot,
            until: None,
            decision: Fate::Skipped.as_str(),
            reason: reason::DROPPED.to_owned(),
            message: if over { OVER } else { OTHER_SCHEDULE }.to_owned(),
            turn: None,
        }));
        self.late = deferred.iter().find(|row| row.reason != reason::NOT_BEFORE).map(|row| {
            ("TurnDeferred".to_owned(), format!("The turn of {} waits. {}", row.slot, row.message))
        });
        self.record.deferred = deferred.iter().map(|row| row.slot).collect();
        let is_new = |row: &SlotFate| !self.was.deferred.contains(&row.slot);
        // A row that stands for several says how many.
        let grew = deferred.iter().any(is_new);
        let news = deferred.into_iter().filter(|row| is_new(row) || (grew && row.until.is_some()));
        self.plan.slots.extend(decided.into_iter().chain(news).map(|row| DecidedSlot {
            turn: matches!(row.fate, Fate::Fired | Fate::Coalesced | Fate::Consumed).then_some(number),
            slot: row.slot,
            until: row.until,
            decision: row.fate.as_str(),
            reason: row.reason,
            message: row.message,
        }));
    }
}

/// No turn comes by the schedule, because that cannot be read.
pub const INVALID_SCHEDULE: &str = "InvalidSchedule";

/// The schedule that held before, as it is on record: cron and zone.
fn schedule_before(on_record: Option<&str>) -> TurnSpec {
    let by_hand = TurnSpec::by_hand();
    match on_record.and_then(|text| text.rsplit_once(' ')) {
        Some((cron, zone)) if !cron.is_empty() => {
            TurnSpec { schedule: Some(cron.to_owned()), time_zone: zone.to_owned(), ..by_hand }
        }
        _ => by_hand,
    }
}

const OVER: &str = "It waited until the game was over.";
const OTHER_SCHEDULE: &str = "It waited until the schedule was changed.";

fn stands_for(row: &SlotFate, slot: Timestamp) -> bool {
    (row.slot..=row.until.unwrap_or(row.slot)).contains(&slot)
}

/// A kept copy is on its way.
pub(super) const RESTORING: Situation<'static> =
    Situation::Held { reason: "Restoring", message: "A copy of the state was being put back." };

/// A copy on demand is being taken.
pub(super) const COPYING: Situation<'static> =
    Situation::Held { reason: "CopyingState", message: "The state was being copied." };

/// Why a turn does not begin, in words that stay the same while it is so.
pub(super) fn why_held(phase: Phase) -> Situation<'static> {
    let (reason, message) = match phase {
        Phase::Pending | Phase::Starting | Phase::Stopped => {
            ("EngineStarting", "The engine was being started.")
        }
        Phase::CrashLoop => ("EngineDown", "The engine's process was down."),
        Phase::Running | Phase::Finished | Phase::EngineUnreachable => {
            ("EngineUnreachable", "The engine did not answer.")
        }
        Phase::Unknown => {
            ("DockerUnreachable", "Docker did not answer, and the engine could not be asked beside it.")
        }
        Phase::Blocked => ("Blocked", "The game waited for a person."),
        Phase::Patching => ("Patching", "The engine's version was being changed."),
        Phase::Invalid => ("Invalid", "The spec could not be met, and nothing ran."),
        Phase::Stopping => ("EngineStopping", "The engine was being stopped."),
    };
    Situation::Held { reason, message }
}
