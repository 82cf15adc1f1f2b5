//! What of a row of failed attempts the lobby is told: what one attempt came to is one event, and of
//! an engine that has been failing for long, one attempt an hour.

use crate::game::Phase;
use crate::game::record::Record;

/// So many failures in a row are told one by one: by then, the pauses between two attempts have
/// grown to minutes.
const TOLD_EACH: u32 = 10;

/// Of those after them, one in so many: at pauses of five minutes, one an hour.
const THEN_ONE_IN: u32 = 12;

/// An engine that comes and goes is in one of these.
fn comes_and_goes(phase: Phase) -> bool {
    match phase {
        Phase::Starting | Phase::Running | Phase::EngineUnreachable | Phase::CrashLoop | Phase::Finished => {
            true
        }
        Phase::Pending
        | Phase::Stopping
        | Phase::Stopped
        | Phase::Patching
        | Phase::Invalid
        | Phase::Blocked
        | Phase::Unknown => false,
    }
}

/// It has been failing for long, and this is more of it.
fn goes_on(was: &Record, now: &Record) -> bool {
    let finishes = was.finished_at.is_some() != now.finished_at.is_some();
    was.failures.min(now.failures) >= TOLD_EACH
        && comes_and_goes(was.phase)
        && comes_and_goes(now.phase)
        && !finishes
}

/// An attempt of which nothing is told.
pub(super) fn is_quiet(was: &Record, now: &Record) -> bool {
    let failed = now.failures > was.failures;
    goes_on(was, now) && !(failed && now.failures.is_multiple_of(THEN_ONE_IN))
}

/// The change of status is no news: a further attempt begins, or its end is told as a failed start,
/// or the engine came up once more and has not lasted yet.
pub(super) fn is_told_already(was: &Record, now: &Record) -> bool {
    let begins = was.phase == Phase::CrashLoop && now.phase == Phase::Starting && now.failures > 0;
    // It never became healthy: its end is a failed start.
    let ends = was.phase == Phase::Starting && now.phase == Phase::CrashLoop && was.failures > 0;
    begins || ends || is_quiet(was, now)
}

/// The engine came up again, has nothing new to say, and may be gone in a moment.
pub(super) fn only_came_up(was: &Record, now: &Record) -> bool {
    goes_on(was, now)
        && was.engine_health.is_none()
        && was.current_turn == now.current_turn
        && was.standings == now.standings
}

/// It failed for so long that its coming up was not told, and has lasted since.
pub(super) fn has_recovered(was: &Record, now: &Record) -> bool {
    was.failures >= TOLD_EACH && now.failures == 0 && was.phase == now.phase && now.endpoint.is_some()
}
