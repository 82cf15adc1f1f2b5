//! A moment as it is read on a terminal.

use serde_json::json;

use super::*;

#[test]
fn a_slot_that_was_skipped_during_a_pause() {
    let moment = Object(json!({
        "kind": "Moment", "at": "2026-01-11T17:00:00Z", "timeZone": "Europe/Berlin",
        "summary": "The slot of 2026-01-11 18:00:00 CET was skipped: The game was paused.",
        "spec": {
            "desiredStatus": "Running", "paused": true, "schedule": "0 18 * * *",
            "timeZone": "Europe/Berlin", "engineVersion": "1.4.2",
        },
        "dueSlot": "2026-01-11T17:00:00Z", "nextSlot": "2026-01-12T17:00:00Z",
        "slots": [{
            "spec": { "slot": "2026-01-11T17:00:00Z" },
            "status": { "decision": "Skipped", "reason": "Paused", "message": "The game was paused." },
        }],
        "turns": [{
            "spec": { "number": 1, "cause": "Schedule" },
            "status": { "phase": "Done", "openedAt": "2026-01-10T17:00:00Z", "finishedAt": "2026-01-10T17:00:02Z" },
        }],
        "operations": [{
            "metadata": { "creationTimestamp": "2026-01-11T16:59:00Z" },
            "spec": { "op": "heal", "cause": "the engine exited", "requestedBy": "" },
            "status": { "phase": "Succeeded", "finishedAt": "2026-01-11T17:01:00Z" },
        }],
        "changes": [
            { "change": "Created", "changedAt": "2026-01-01T00:00:00Z", "generation": 1, "source": "lobby",
              "requestedBy": "", "changes": {} },
            { "change": "Changed", "changedAt": "2026-01-11T09:00:00Z", "generation": 2, "source": "operator",
              "requestedBy": "ann", "changes": {
                  "paused": { "from": 0, "to": 1 }, "turn_not_before": { "from": null, "to": "2026-01-12" } } },
        ],
        "events": [{
            "type": "Warning", "reason": "Healed", "message": "it \u{1b}[31m did", "count": 2,
            "lastTimestamp": "2026-01-11T16:59:00Z",
        }],
        "engine": {
            "observedAt": "2026-01-11T16:00:00Z", "health": "healthy", "turn": 1, "generating": false,
            "finished": false,
        },
    }));
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/snapshots"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!("moment", whole("game/andromeda", &moment)) });
}

#[test]
fn of_a_time_of_which_nothing_is_known_only_that_is_said() {
    let moment = Object(json!({ "at": "2026-01-11T17:00:00Z", "summary": "Nothing is on record." }));
    assert_eq!(
        whole("game/andromeda", &moment),
        "game/andromeda at 2026-01-11 17:00:00 UTC: Nothing is on record.\n"
    );
}

#[test]
fn a_change_of_a_membership_is_told_by_who_it_was() {
    let change = Object(json!({ "change": "Changed", "changes": {
        "membership_revision": { "from": 1, "to": 2 },
        "member": { "user_id": "u-1", "status": { "from": "active", "to": "removed" } },
    } }));
    assert_eq!(what(&change), r#"member: {"user_id":"u-1","status":{"from":"active","to":"removed"}}"#);
}

#[test]
fn a_change_of_many_members_is_told_by_their_number_and_the_first() {
    let listed: Vec<Value> = (0..20).map(|n| json!({ "user_id": n })).collect();
    let change = Object(json!({ "change": "Changed", "changes": {
        "membership_revision": { "from": 1, "to": 2 }, "members": listed, "more_members": 4_980,
    } }));
    assert_eq!(what(&change), r#"5000 members: {"user_id":0}, {"user_id":1}, {"user_id":2}, …"#);
}
