//! Forced turns.

use super::{Beginning, DOWN, Game, Request, Situation, shown};
use crate::game::spec::{ForceMode, MissedTurns};
use crate::reconcile::schedule::tests::at;
use crate::reconcile::turns::Off;

use Situation::{Begins, Paused, Ready, TurnEnded, TurnOpen};

fn forced(schedule: &str, mode: ForceMode) -> Game {
    let mut game = Game::new(schedule, "2026-06-01T12:00:00Z");
    game.spec.force_mode = mode;
    game.forced = true;
    game
}

#[test]
fn a_forced_turn_takes_the_place_of_the_next_slot() {
    let mut game = forced("0 18 * * *", ForceMode::Advance);
    let now = game.look(Ready);
    assert_eq!(shown(&now), "forced turn for 01 18:00; 01 18:00 consumed ForcedTurn");
    assert_eq!(now.request, Request::Granted);
    assert_eq!(now.next_turn, Some(at("2026-06-02T18:00:00Z")));
    assert_eq!(
        now.open.unwrap().why,
        "A turn was forced; it takes the place of the one at 2026-06-01T18:00:00Z."
    );
    assert_eq!(shown(&game.look_at("2026-06-01T18:00:00Z", Ready)), "nothing");
    assert_eq!(
        shown(&game.look_at("2026-06-02T18:00:00Z", Ready)),
        "turn of 02 18:00; 02 18:00 fired OnTime"
    );
}

#[test]
fn a_forced_turn_that_is_extra_comes_on_top() {
    let mut game = forced("0 18 * * *", ForceMode::Extra);
    assert_eq!(shown(&game.look(Ready)), "forced turn");
    assert_eq!(
        shown(&game.look_at("2026-06-01T18:00:00Z", Ready)),
        "turn of 01 18:00; 01 18:00 fired OnTime"
    );
}

#[test]
fn a_second_forced_turn_takes_no_second_slot() {
    let mut game = forced("0 18 * * *", ForceMode::Advance);
    game.look(Ready);
    game.forced = true;
    assert_eq!(game.look(TurnOpen).request, Request::Kept);
    assert_eq!(shown(&game.later(5).look(Ready)), "forced turn");
    assert_eq!(shown(&game.look_at("2026-06-01T18:00:00Z", Ready)), "nothing");
    assert_eq!(
        shown(&game.look_at("2026-06-02T18:00:00Z", Ready)),
        "turn of 02 18:00; 02 18:00 fired OnTime"
    );
}

#[test]
fn without_a_schedule_there_are_only_forced_turns() {
    for mode in [ForceMode::Advance, ForceMode::Extra] {
        let mut game = forced("", mode);
        assert_eq!(shown(&game.look(Ready)), "forced turn");
        let after = game.look(Ready);
        assert_eq!((shown(&after), after.request), ("nothing".into(), Request::None));
        assert_eq!((after.next_turn, after.look_at), (None, None));
    }
}

#[test]
fn a_slot_that_is_due_is_the_one_a_forced_turn_takes() {
    let mut game = forced("0 18 * * *", ForceMode::Advance);
    assert_eq!(
        shown(&game.look_at("2026-06-02T18:00:00.3Z", Ready)),
        "forced turn for 02 18:00; 01 18:00 coalesced Missed; 02 18:00 consumed ForcedTurn"
    );
    assert_eq!(shown(&game.look(Ready)), "nothing");
}

#[test]
fn a_slot_that_is_due_goes_before_a_forced_turn_that_is_extra() {
    let mut game = forced("0 18 * * *", ForceMode::Extra);
    let first = game.look_at("2026-06-01T18:00:00.3Z", Ready);
    assert_eq!(
        (shown(&first), first.request),
        ("turn of 01 18:00; 01 18:00 fired OnTime".into(), Request::Kept)
    );
    assert_eq!(shown(&game.later(3).look(Ready)), "forced turn");
}

#[test]
fn a_forced_turn_that_waited_for_a_turn_comes_before_the_next_slot() {
    for (mode, began) in [
        (ForceMode::Extra, "forced turn; 01 12:00:04 skipped TurnInProgress"),
        (
            ForceMode::Advance,
            "forced turn for 01 12:00:06; 01 12:00:04 skipped TurnInProgress; 01 12:00:06 consumed ForcedTurn",
        ),
    ] {
        let mut game = forced("*/2 * * * * *", mode);
        game.forced = false;
        assert_eq!(
            shown(&game.look_at("2026-06-01T12:00:02Z", Ready)),
            "turn of 01 12:00:02; 01 12:00:02 fired OnTime"
        );
        game.forced = true;
        assert_eq!(game.look_at("2026-06-01T12:00:02.5Z", TurnOpen).request, Request::Kept);
        let ended = game.look_at("2026-06-01T12:00:04.5Z", TurnEnded);
        assert_eq!((shown(&ended), ended.request), (began.to_owned(), Request::Granted));
        // It is the schedule's turn again.
        let next = game.look_at("2026-06-01T12:00:08Z", TurnEnded);
        assert_eq!((next.open, next.request), (None, Request::None));
        assert!(game.look_at("2026-06-01T12:00:10Z", Ready).open.is_some());
    }
}

#[test]
fn slots_that_wait_for_the_end_of_a_turn_are_what_a_forced_turn_takes() {
    let mut game = forced("0 * * * *", ForceMode::Advance);
    // Nobody looked for hours: a turn of before that is still open.
    let ended = game.look_at("2026-06-01T15:30:00Z", TurnEnded);
    assert_eq!((ended.open.is_none(), ended.request, ended.deferred.len()), (true, Request::Kept, 3));
    assert_eq!(
        shown(&game.look(Ready)),
        "forced turn for 01 15:00; 01 13:00 coalesced Missed; 01 14:00 coalesced Missed; 01 15:00 consumed ForcedTurn"
    );
}

#[test]
fn a_missed_slot_that_is_skipped_is_not_the_one_a_forced_turn_takes() {
    let mut game = forced("0 18 * * *", ForceMode::Advance);
    game.spec.missed = MissedTurns::Skip;
    assert_eq!(
        shown(&game.look_at("2026-06-02T12:00:00Z", Ready)),
        "forced turn for 02 18:00; 01 18:00 skipped Missed; 02 18:00 consumed ForcedTurn"
    );
}

#[test]
fn a_request_waits_for_what_passes_and_is_refused_where_nothing_will() {
    let mut game = forced("0 18 * * *", ForceMode::Advance);
    for situation in [
        TurnOpen,
        DOWN,
        Paused,
        Situation::Off(Off::NotInitialised),
        Begins(Beginning::Initialised),
        Begins(Beginning::Resumed),
    ] {
        let decision = game.look(situation);
        assert_eq!((decision.open, decision.request), (None, Request::Kept), "{situation:?}");
    }
    for (off, reason) in [(Off::Stopped, "Stopped"), (Off::Finished, "Finished")] {
        let Request::Refused { reason: told, .. } = game.decide(Situation::Off(off)).request else {
            panic!("{off:?}");
        };
        assert_eq!(told, reason);
    }
}

#[test]
fn the_slot_a_forced_turn_took_stays_taken_over_a_pause_and_a_stop() {
    let mut game = forced("0 18 * * *", ForceMode::Advance);
    game.look(Ready);
    game.later(60).look(Paused);
    game.later(60).look(Begins(Beginning::Resumed));
    game.later(60).look(Begins(Beginning::Started));
    assert_eq!(shown(&game.look_at("2026-06-01T18:00:00Z", Ready)), "nothing");
}

#[test]
fn a_slot_far_ahead_that_a_forced_turn_took_is_no_clock_that_jumped() {
    let mut game = forced("0 12 29 2 *", ForceMode::Advance);
    assert_eq!(shown(&game.look(Ready)), "forced turn for 29 12:00; 29 12:00 consumed ForcedTurn");
    assert_eq!(game.cursor, Some(at("2028-02-29T12:00:00Z")));
    for _ in 0..600 {
        assert_eq!(game.later(24 * 60 * 60).look(Ready).reset_from, None);
    }
    assert_eq!(shown(&game.look_at("2028-02-29T12:00:00Z", Ready)), "nothing");
    assert_eq!(game.decide(Ready).next_turn, Some(at("2032-02-29T12:00:00Z")));
}

#[test]
fn a_forced_turn_before_turn_not_before_takes_the_one_that_would_come_then() {
    let mut game = forced("0 */6 * * *", ForceMode::Advance);
    game.forced = false;
    game.spec.not_before = Some(at("2026-06-05T20:00:00Z"));
    assert_eq!(game.look_at("2026-06-01T19:00:00Z", Ready).deferred.len(), 1);
    game.forced = true;
    let now = game.look(Ready);
    assert_eq!(
        shown(&now),
        "forced turn for 05 18:00; 01 18:00 coalesced ForcedTurn; 05 18:00 consumed ForcedTurn"
    );
    assert_eq!(now.next_turn, Some(at("2026-06-06T00:00:00Z")));
    assert_eq!(shown(&game.later(9).look(Ready)), "nothing");
    assert_eq!(shown(&game.look_at("2026-06-05T20:00:00Z", Ready)), "nothing");
    assert_eq!(
        shown(&game.look_at("2026-06-06T00:00:00Z", Ready)),
        "turn of 06 00:00; 06 00:00 fired OnTime"
    );
}

#[test]
fn a_forced_turn_that_is_extra_leaves_what_waits_for_turn_not_before() {
    let mut game = forced("0 */6 * * *", ForceMode::Extra);
    game.spec.not_before = Some(at("2026-06-01T20:00:00Z"));
    assert_eq!(
        shown(&game.look_at("2026-06-01T19:00:00Z", Ready)),
        "forced turn; 01 18:00 deferred NotBefore"
    );
    assert_eq!(
        shown(&game.look_at("2026-06-01T20:00:00Z", Ready)),
        "turn of 01 18:00; 01 18:00 fired NotBefore"
    );
}
