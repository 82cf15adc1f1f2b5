//! Clocks that jump, and clocks that are changed twice a year.

use std::time::Instant;

use jiff::ToSpan;

use super::{Game, Situation, shown};
use crate::game::spec::MissedTurns;
use crate::reconcile::schedule::tests::at;
use crate::reconcile::turns::ROWS;

use Situation::{Paused, Ready, TurnOpen};

#[test]
fn ten_years_ahead_is_one_turn_and_bounded_work() {
    let began = Instant::now();
    for (schedule, fires) in
        [("* * * * * *", "01 12:00"), ("0 18 * * *", "31 18:00"), ("0 12 29 2 *", "29 12:00")]
    {
        let mut game = Game::new(schedule, "2026-06-01T12:00:00Z");
        let jumped = game.look_at("2036-06-01T12:00:00Z", Ready);
        assert!(shown(&jumped).starts_with(&format!("turn of {fires}")), "{}", shown(&jumped));
        assert!(jumped.decided.len() <= ROWS);
        assert_eq!(shown(&game.look(Ready)), "nothing");

        // Back again: what has fired does not fire again, the rest goes on from now.
        let back = game.look_at("2026-06-01T12:00:30Z", Ready);
        assert_eq!((shown(&back).as_str(), back.open), ("nothing", None));
        let next = back.next_turn.unwrap();
        assert!(next < at("2028-03-01T00:00:00Z"), "{next}");
        game.now = next;
        assert!(game.look(Ready).open.is_some(), "{schedule}");
    }
    assert!(began.elapsed().as_secs() < 10);
}

#[test]
fn a_cursor_far_ahead_is_reset_and_said_so() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T12:00:00Z");
    for situation in [Ready, TurnOpen, Paused] {
        game.cursor = Some(at("2036-05-31T18:00:00Z"));
        let decision = game.look(situation);
        assert_eq!(decision.reset_from, Some(at("2036-05-31T18:00:00Z")));
        assert_eq!((shown(&decision), game.cursor), ("nothing".into(), Some(game.now)));
        assert_eq!(game.look(situation).reset_from, None);
    }
}

#[test]
fn a_slot_that_fired_while_the_clock_was_wrong_does_not_fire_again() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T12:00:00Z");
    assert_eq!(
        shown(&game.look_at("2026-06-05T18:00:00Z", Ready)).split_once(';').unwrap().0,
        "turn of 05 18:00"
    );
    assert!(game.look_at("2026-06-01T12:00:10Z", Ready).reset_from.is_some());
    for day in 1..=4 {
        let now = format!("2026-06-0{day}T18:00:00Z");
        assert!(game.look_at(&now, Ready).open.is_some(), "{day}");
    }
    assert_eq!(game.decide(Ready).next_turn, Some(at("2026-06-06T18:00:00Z")));
    assert_eq!(shown(&game.look_at("2026-06-05T18:00:00Z", Ready)), "nothing");
    assert!(game.look_at("2026-06-06T18:00:00Z", Ready).open.is_some());
}

#[test]
fn an_hour_back_nothing_fires_again() {
    let mut game = Game::new("*/10 * * * *", "2026-06-01T12:05:00Z");
    for minute in ["12:10", "12:20", "12:30", "12:40", "12:50", "13:00"] {
        assert!(game.look_at(&format!("2026-06-01T{minute}:00Z"), Ready).open.is_some());
    }
    for minute in ["12:00", "12:10", "12:20", "12:59", "13:00", "13:09"] {
        let decision = game.look_at(&format!("2026-06-01T{minute}:30Z"), Ready);
        assert_eq!((shown(&decision).as_str(), decision.reset_from), ("nothing", None), "{minute}");
        assert_eq!(decision.next_turn, Some(at("2026-06-01T13:10:00Z")));
    }
    assert!(game.look_at("2026-06-01T13:10:00Z", Ready).open.is_some());
}

#[test]
fn a_second_back_after_a_forced_turn_nothing_fires_again() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T12:00:00Z");
    game.look_at("2026-06-01T18:00:00Z", TurnOpen);
    game.forced = true;
    let forced = game.look(Ready);
    assert_eq!(shown(&forced), "forced turn for 02 18:00; 02 18:00 consumed ForcedTurn");
    for now in ["2026-06-01T17:59:59Z", "2026-06-01T18:00:00Z", "2026-06-02T18:00:00Z"] {
        let decision = game.look_at(now, Ready);
        assert_eq!((shown(&decision).as_str(), decision.reset_from), ("nothing", None), "{now}");
    }
}

/// The turns of some days of a zone, looked at whenever the decision before says.
fn turns_of(schedule: &str, zone: &str, first: &str, days: i64) -> usize {
    let midnight = |date: jiff::civil::Date| date.in_tz(zone).unwrap().timestamp();
    let first: jiff::civil::Date = first.parse().unwrap();
    let (begin, end) = (midnight(first), midnight(first + days.days()));
    let mut game = Game::new(schedule, &begin.to_string());
    game.spec.time_zone = zone.to_owned();
    let mut turns = 0;
    loop {
        game.now = game.look(Ready).look_at.unwrap();
        if game.now > end {
            return turns;
        }
        turns += usize::from(game.look(Ready).open.is_some());
    }
}

#[test]
fn in_the_weeks_that_change_the_clock_no_turn_is_lost_and_none_comes_twice() {
    for (zone, sunday, minutes) in [
        ("Europe/Berlin", "2026-03-29", 23 * 60),
        ("Europe/Berlin", "2026-10-25", 25 * 60),
        ("America/New_York", "2026-03-08", 23 * 60),
        ("America/New_York", "2026-11-01", 25 * 60),
        ("Australia/Lord_Howe", "2026-10-04", 24 * 60 - 30),
        ("Australia/Lord_Howe", "2026-04-05", 24 * 60 + 30),
        ("Asia/Kathmandu", "2026-03-29", 24 * 60),
    ] {
        let week = (sunday.parse::<jiff::civil::Date>().unwrap() - 3.days()).to_string();
        for daily in ["45 1 * * *", "0 2 * * *", "15 2 * * *", "30 2 * * *", "0 18 * * *"] {
            assert_eq!(turns_of(daily, zone, &week, 7), 7, "{daily} {zone} {sunday}");
        }
        assert_eq!(turns_of("45 * * * *", zone, &week, 7), 6 * 24 + (minutes + 30) / 60, "{zone} {sunday}");
        assert_eq!(turns_of("* * * * *", zone, sunday, 1), minutes, "{zone} {sunday}");
    }
}

#[test]
fn with_skip_a_clock_ten_years_ahead_fires_what_is_due_there_at_most() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T12:00:00Z");
    game.spec.missed = MissedTurns::Skip;
    game.now = at("2036-06-01T12:00:00Z");
    assert!(game.decide(Ready).open.is_none());
    game.now = at("2036-06-01T18:00:01Z");
    assert!(game.decide(Ready).open.is_some());
}
