//! Games that are stopped, or that something forbids to touch.

use super::*;

#[test]
fn stopped() {
    let explanation = Explanation {
        summary: "The game is stopped, as it should be; its state is kept.".into(),
        phase: Phase::Stopped,
        reason: "Stopped".into(),
        message: "stopped, and the state is kept".into(),
        desired: facts(&[("Status", "Stopped")]),
        observed: facts(&[("Status", "no container"), ("State directory", "/srv/games/0190")]),
        next_look_at: None,
        ..settled()
    };
    let operations =
        vec![operation("stop", "Succeeded", "the spec says Stopped", "2026-11-01T07:00:00Z", None)];
    expect("stopped", rendered(explanation, operations, None));
}

#[test]
fn a_frozen_controller_after_a_backup_was_put_back() {
    let explanation = Explanation {
        summary: "The game is left as it is: the controller is frozen.".into(),
        guard: Some(Guard {
            reason: "DatabaseOlder".into(),
            message: "The database is at 120, the state root has seen 450: an older copy was put back."
                .into(),
            way_out: "Put the newer database back, or confirm this one by `gamekeeper rebind`.".into(),
        }),
        steps: vec![step("start container c0ffee000000", "it exited with 137")],
        observed: facts(&[("Status", "exited with 137"), ("Container", "c0ffee000000")]),
        disruption: Disruption::None,
        next_look_at: None,
        settled: false,
        ..settled()
    };
    expect("frozen", rendered(explanation, Vec::new(), None));
}

#[test]
fn blocked_because_its_state_is_missing() {
    let explanation = Explanation {
        summary: "Nothing is started: the game was initialised, and its state directory is not there.".into(),
        phase: Phase::Blocked,
        reason: "StateMissing".into(),
        message: "/srv/games/0190 is not there, though the game was initialised".into(),
        guard: Some(Guard {
            reason: "StateMissing".into(),
            message: "A game that was initialised is never made anew.".into(),
            way_out: "Bring /srv/games/0190 back and it goes on by itself, or delete the game.".into(),
        }),
        observed: facts(&[("Status", "no container"), ("State directory", "missing")]),
        disruption: Disruption::None,
        waiting_on: vec!["a person".into()],
        next_look_at: in_seconds(60),
        ..new()
    };
    let lost = Some(("StateMissing", "/srv/games/0190 is not there"));
    let operations = vec![operation("heal", "Failed", "the container is gone", "2026-11-01T09:30:00Z", lost)];
    expect("state-missing", rendered(explanation, operations, log(false, &["turn 16 generated"])));
}

#[test]
fn deletions_are_held() {
    let explanation = Explanation {
        summary: "The game is to be deleted with its state; that is held, because so many are.".into(),
        guard: Some(Guard {
            reason: "DeletionHeld".into(),
            message: "12 of 20 games were to be deleted within ten minutes.".into(),
            way_out: "`gamekeeper confirm-deletions` if that is meant; else make the games again.".into(),
        }),
        desired: facts(&[("Status", "deleted, with its state")]),
        afterwards: vec![
            step("stop container c0ffee000000", "its deletion was asked for"),
            step("remove container c0ffee000000", "it has ended"),
            step("remove state directory", "its deletion policy says so"),
        ],
        disruption: Disruption::Destruction,
        settled: false,
        ..settled()
    };
    expect("deletion-held", rendered(explanation, Vec::new(), log(true, &["turn 17 generated"])));
}

#[test]
fn a_row_that_is_gone_with_its_grace_period_running() {
    let explanation = Explanation {
        summary: "The game's row is gone; unless it comes back, its engine is stopped in 45 s.".into(),
        reason: "RowGone".into(),
        message: "the row was deleted without a request for deletion".into(),
        desired: facts(&[("Status", "no row since 2026-11-01T09:59:45Z")]),
        afterwards: vec![
            step("stop container c0ffee000000", "its row is gone for a minute"),
            step("remove container c0ffee000000", "it has ended"),
        ],
        disruption: Disruption::Removal,
        waiting_on: vec!["the end of the grace period, or the row's return".into()],
        next_look_at: in_seconds(45),
        settled: false,
        ..settled()
    };
    expect("row-gone", rendered(explanation, Vec::new(), None));
}
