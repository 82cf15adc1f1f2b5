//! `turn_not_before`.

use super::{Game, Situation, shown};
use crate::game::spec::MissedTurns;
use crate::reconcile::schedule::tests::at;

use Situation::{Ready, TurnOpen};

#[test]
fn before_turn_not_before_slots_wait_and_become_one() {
    let mut game = Game::new("0 */6 * * *", "2026-06-01T01:00:00Z");
    game.spec.not_before = Some(at("2026-06-01T20:00:00Z"));
    let first = game.look_at("2026-06-01T06:00:00Z", Ready);
    assert_eq!(shown(&first), "nothing; 01 06:00 deferred NotBefore");
    assert_eq!(first.deferred[0].message, "No turn is due before 2026-06-01T20:00:00Z; one turn comes then.");
    assert_eq!((first.next_turn, first.look_at), (game.spec.not_before, game.spec.not_before));
    assert_eq!(game.look_at("2026-06-01T19:59:59Z", Ready).deferred.len(), 3);

    // A slot that waited was not missed.
    game.spec.missed = MissedTurns::Skip;
    let then = game.look_at("2026-06-01T20:00:00Z", Ready);
    assert_eq!(
        shown(&then),
        "turn of 01 18:00; 01 06:00 coalesced NotBefore; 01 12:00 coalesced NotBefore; 01 18:00 fired NotBefore"
    );
    assert_eq!(shown(&game.look(Ready)), "nothing");
    assert_eq!(
        game.look_at("2026-06-02T00:00:00Z", Ready).open.unwrap().why,
        "The turn of 2026-06-02T00:00:00Z is due."
    );
}

#[test]
fn turn_not_before_with_no_slot_before_it_brings_no_turn() {
    let mut game = Game::new("0 18 * * *", "2026-06-01T19:00:00Z");
    game.spec.not_before = Some(at("2026-06-02T12:00:00Z"));
    assert_eq!(game.look(Ready).next_turn, Some(at("2026-06-02T18:00:00Z")));
    assert_eq!(shown(&game.look_at("2026-06-02T12:00:00Z", Ready)), "nothing");
    assert_eq!(
        shown(&game.look_at("2026-06-02T18:00:00Z", Ready)),
        "turn of 02 18:00; 02 18:00 fired OnTime"
    );
}

#[test]
fn turn_not_before_that_was_missed_is_missed() {
    let mut game = Game::new("0 */6 * * *", "2026-06-01T01:00:00Z");
    game.spec.not_before = Some(at("2026-06-01T13:00:00Z"));
    game.now = at("2026-06-01T14:00:00Z");
    assert_eq!(
        shown(&game.decide(Ready)),
        "turn of 01 12:00; 01 06:00 coalesced Missed; 01 12:00 fired Missed"
    );
    game.spec.missed = MissedTurns::Skip;
    assert_eq!(shown(&game.decide(Ready)), "nothing; 01 06:00 skipped Missed; 01 12:00 skipped Missed");
}

#[test]
fn a_slot_at_turn_not_before_joins_those_that_waited() {
    let mut game = Game::new("0 */6 * * *", "2026-06-01T01:00:00Z");
    game.spec.not_before = Some(at("2026-06-01T12:00:00Z"));
    assert_eq!(
        shown(&game.look_at("2026-06-01T12:00:00Z", Ready)),
        "turn of 01 12:00; 01 06:00 coalesced NotBefore; 01 12:00 fired OnTime"
    );
}

#[test]
fn what_waits_for_turn_not_before_is_dropped_when_a_turn_is_open_then() {
    let mut game = Game::new("0 */6 * * *", "2026-06-01T01:00:00Z");
    game.spec.not_before = Some(at("2026-06-01T13:00:00Z"));
    assert_eq!(game.look_at("2026-06-01T12:59:00Z", TurnOpen).deferred.len(), 2);
    assert_eq!(
        shown(&game.look_at("2026-06-01T13:00:00Z", TurnOpen)),
        "nothing; 01 06:00 skipped TurnInProgress; 01 12:00 skipped TurnInProgress"
    );
}
