//! The rules, one by one.

use super::{Beginning, DOWN, Fate, Game, Request, Situation, fates, shown};
use crate::game::spec::MissedTurns;
use crate::reconcile::schedule::tests::at;
use crate::reconcile::turns::{Off, ROWS, reason};

use Situation::{Begins, Paused, Ready, TurnOpen};

#[test]
fn a_slot_fires_when_it_is_due_and_once() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T12:00:00Z");
    let before = game.look_at("2026-06-01T17:59:59.9Z", Ready);
    assert_eq!(shown(&before), "nothing");
    assert_eq!((before.next_turn, before.look_at), (Some(at("2026-06-01T18:00:00Z")), before.next_turn));

    let due = game.look_at("2026-06-01T18:00:00.2Z", Ready);
    assert_eq!(shown(&due), "turn of 01 18:00; 01 18:00 fired OnTime");
    assert_eq!(due.open.unwrap().why, "The turn of 2026-06-01T18:00:00Z is due.");
    assert_eq!(due.decided[0].message, "Its turn began.");
    assert_eq!(due.next_turn, Some(at("2026-06-02T18:00:00Z")));
    assert_eq!(shown(&game.look(Ready)), "nothing");
}

#[test]
fn a_game_with_nothing_to_do_writes_nothing() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T12:00:00Z");
    for situation in [Ready, TurnOpen, DOWN, Paused] {
        let cursor = game.cursor;
        let decision = game.later(60).look(situation);
        assert_eq!((decision.cursor, decision.decided.len(), decision.deferred.len()), (cursor, 0, 0));
    }
}

#[test]
fn two_hundred_missed_turns_are_one() {
    let mut game = Game::new("0 * * * *", "2026-06-01T00:30:00Z");
    let found = game.look_at("2026-06-09T08:30:00Z", Ready);
    assert_eq!(fates(&found, Fate::Fired), 1);
    assert_eq!(fates(&found, Fate::Coalesced), found.decided.len() - 1);
    assert_eq!(found.decided.len(), ROWS - 1);
    let oldest = &found.decided[0];
    assert_eq!(oldest.slot, at("2026-06-01T01:00:00Z"));
    assert_eq!(
        oldest.message,
        "The turn of 2026-06-09T08:00:00Z stands for it. So it is with all slots until \
         2026-06-06T18:00:00Z, 138 in all."
    );
    let newest = found.decided.last().unwrap();
    assert_eq!((newest.slot, newest.reason.as_str()), (at("2026-06-09T08:00:00Z"), reason::MISSED));
    assert_eq!(newest.message, "Its turn began, 30m after the slot.");
    assert_eq!(
        found.open.unwrap().why,
        "The turn of 2026-06-09T08:00:00Z was missed and stands for those before it."
    );
    assert_eq!(shown(&game.look(Ready)), "nothing");
}

#[test]
fn two_hundred_missed_turns_are_none_where_they_are_skipped() {
    let mut game = Game::new("0 * * * *", "2026-06-01T00:30:00Z");
    game.spec.missed = MissedTurns::Skip;
    let found = game.look_at("2026-06-09T08:30:00Z", Ready);
    assert!(found.open.is_none());
    assert_eq!(fates(&found, Fate::Skipped), ROWS - 1);
    assert_eq!(found.next_turn, Some(at("2026-06-09T09:00:00Z")));
    let next = game.look_at("2026-06-09T09:00:00.4Z", Ready);
    assert_eq!(shown(&next), "turn of 09 09:00; 09 09:00 fired OnTime");
}

#[test]
fn the_slot_that_is_due_at_the_recovery_fires_though_others_were_missed() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T12:00:00Z");
    game.spec.missed = MissedTurns::Skip;
    let found = game.look_at("2026-06-03T18:00:30Z", Ready);
    assert_eq!(
        shown(&found),
        "turn of 03 18:00; 01 18:00 skipped Missed; 02 18:00 skipped Missed; 03 18:00 fired OnTime"
    );
}

#[test]
fn how_late_is_missed_depends_on_the_pace_of_the_schedule() {
    for (schedule, on_time, missed) in [
        ("0 18 * * *", "2026-06-01T18:01:00Z", "2026-06-01T18:01:01Z"),
        ("0 18 * * *", "2026-06-01T18:00:00.5Z", "2026-06-02T17:59:59Z"),
        ("0 * * * *", "2026-06-01T18:01:00Z", "2026-06-01T18:01:01Z"),
        ("* * * * *", "2026-06-01T18:00:06Z", "2026-06-01T18:00:07Z"),
        ("*/20 * * * * *", "2026-06-01T18:00:05Z", "2026-06-01T18:00:06Z"),
    ] {
        let mut game = Game::new(schedule, "2026-06-01T17:59:59.5Z");
        game.spec.missed = MissedTurns::Skip;
        game.now = at(on_time);
        assert!(game.decide(Ready).open.is_some(), "{schedule} {on_time}");
        game.now = at(missed);
        let late = game.decide(Ready);
        assert_eq!(
            (late.open, late.decided[0].reason.as_str()),
            (None, reason::MISSED),
            "{schedule} {missed}"
        );
    }
}

#[test]
fn every_second_for_a_minute_is_sixty_turns() {
    let mut game = Game::new("* * * * * *", "2026-06-01T12:00:00Z");
    let turns: Vec<String> = (0..60).map(|_| shown(&game.later(1).look(Ready))).collect();
    assert_eq!(turns[0], "turn of 01 12:00:01; 01 12:00:01 fired OnTime");
    assert!(turns.iter().all(|turn| turn.contains("fired")), "{turns:?}");
    game.taken.dedup();
    assert_eq!(game.taken.len(), 60);
}

#[test]
fn what_is_due_during_a_turn_is_dropped_and_said_so() {
    let mut game = Game::new("* * * * *", "2026-06-01T12:00:30Z");
    assert_eq!(
        shown(&game.look_at("2026-06-01T12:01:00Z", Ready)),
        "turn of 01 12:01; 01 12:01 fired OnTime"
    );
    let during = game.decide(TurnOpen);
    assert_eq!(during.look_at, Some(at("2026-06-01T12:02:00Z")));
    let dropped = game.look_at("2026-06-01T12:02:00.1Z", TurnOpen);
    assert_eq!(shown(&dropped), "nothing; 01 12:02 skipped TurnInProgress");
    assert_eq!(shown(&game.look_at("2026-06-01T12:02:01Z", Ready)), "nothing");
    assert_eq!(
        shown(&game.look_at("2026-06-01T12:03:00Z", Ready)),
        "turn of 01 12:03; 01 12:03 fired OnTime"
    );
}

#[test]
fn what_was_missed_while_a_turn_was_open_and_nobody_looked_is_one_turn_after_it() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T12:00:00Z");
    game.look_at("2026-06-01T18:00:00Z", Ready);
    let back = game.look_at("2026-06-04T12:00:00Z", TurnOpen);
    assert_eq!(shown(&back), "nothing; 02 18:00 deferred Missed; 03 18:00 deferred Missed");
    let closed = game.look(Ready);
    assert_eq!(shown(&closed), "turn of 03 18:00; 02 18:00 coalesced Missed; 03 18:00 fired Missed");

    game.spec.missed = MissedTurns::Skip;
    let back = game.look_at("2026-06-06T12:00:00Z", TurnOpen);
    assert_eq!(shown(&back), "nothing; 04 18:00 skipped Missed; 05 18:00 skipped Missed");
}

#[test]
fn an_engine_that_recovers_has_one_turn_for_all_it_missed() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T12:00:00Z");
    let down = game.look_at("2026-06-01T18:00:00Z", DOWN);
    assert_eq!(shown(&down), "nothing; 01 18:00 deferred EngineUnreachable");
    assert_eq!((&down.deferred[0].message[..], down.look_at), ("The engine does not answer.", None));
    assert_eq!(down, game.later(1).decide(DOWN), "as long as nothing changes, the same");
    let longer = game.look_at("2026-06-03T12:00:00Z", DOWN);
    assert_eq!(longer.deferred.len(), 2);
    assert_eq!(
        shown(&game.look(Ready)),
        "turn of 02 18:00; 01 18:00 coalesced Missed; 02 18:00 fired Missed"
    );
}

#[test]
fn an_engine_that_recovers_has_no_turn_where_missed_ones_are_skipped() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T12:00:00Z");
    game.spec.missed = MissedTurns::Skip;
    let down = game.look_at("2026-06-01T18:00:10Z", DOWN);
    assert_eq!(shown(&down), "nothing; 01 18:00 deferred EngineUnreachable");
    assert_eq!(shown(&game.decide(Ready)), "turn of 01 18:00; 01 18:00 fired OnTime");
    assert_eq!(down.look_at, Some(at("2026-06-01T18:01:01Z")));
    game.now = down.look_at.unwrap();
    let late = game.look(DOWN);
    assert_eq!(shown(&late), "nothing; 01 18:00 skipped EngineUnreachable");
    assert_eq!(late.decided[0].message, "The engine does not answer. Missed turns are skipped.");
    assert_eq!(shown(&game.later(1).look(Ready)), "nothing");
}

#[test]
fn slots_passed_while_paused_never_fire_later() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T12:00:00Z");
    let paused = game.look_at("2026-06-01T18:00:00Z", Paused);
    assert_eq!(shown(&paused), "nothing; 01 18:00 skipped Paused");
    assert_eq!((paused.next_turn, paused.look_at), (None, Some(at("2026-06-02T18:00:00Z"))));
    // The pause ended while nobody looked.
    let resumed = game.look_at("2026-06-02T18:00:01Z", Begins(Beginning::Resumed));
    assert_eq!(shown(&resumed), "nothing; 02 18:00 skipped Paused");
    assert_eq!((game.cursor, resumed.look_at), (Some(game.now), Some(game.now)));
    assert_eq!(shown(&game.look(Ready)), "nothing");
}

#[test]
fn slots_of_a_stopped_game_are_told_when_it_starts_again() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T12:00:00Z");
    for off in [Off::Stopped, Off::Finished, Off::NotInitialised] {
        let decision = game.look_at("2026-06-03T12:00:00Z", Situation::Off(off));
        assert_eq!(shown(&decision), "nothing");
        assert_eq!((decision.next_turn, decision.look_at), (None, None));
    }
    let started = game.look(Begins(Beginning::Started));
    assert_eq!(shown(&started), "nothing; 01 18:00 skipped Stopped; 02 18:00 skipped Stopped");
    assert_eq!(shown(&game.look(Ready)), "nothing");
}

#[test]
fn editing_a_schedule_invents_no_missed_slot() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T12:00:00Z");
    game.spec.schedule = Some("0 * * * *".into());
    let edited = game.look_at("2026-06-01T17:30:00Z", Begins(Beginning::ScheduleChanged));
    assert_eq!(shown(&edited), "nothing");
    assert_eq!(shown(&game.look(Ready)), "nothing");
    assert_eq!(
        shown(&game.look_at("2026-06-01T18:00:00Z", Ready)),
        "turn of 01 18:00; 01 18:00 fired OnTime"
    );
}

#[test]
fn a_game_never_looked_at_counts_from_now() {
    let mut game = Game::new("* * * * *", "2026-06-01T12:00:00Z");
    game.cursor = None;
    let first = game.look_at("2026-06-07T12:00:30Z", Ready);
    assert_eq!(shown(&first), "nothing");
    assert_eq!(first.cursor, Some(game.now));
}

#[test]
fn what_is_not_valid_decides_nothing() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T01:00:00Z");
    game.spec.schedule = Some("0 0 30 2 *".into());
    let look = crate::reconcile::turns::Look {
        now: game.now,
        cursor: game.cursor,
        situation: Ready,
        forced: true,
        taken: &[],
    };
    assert!(crate::reconcile::turns::decide(&game.spec, &look).is_err());
    assert_eq!(Game::new("0 18 * * *", "2026-06-01T01:00:00Z").look(Ready).request, Request::None);
}
