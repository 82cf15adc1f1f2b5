use clap::Parser;
use serde_json::Value;

use super::*;
use crate::cli::target::Target;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: PatchArgs,
}

fn args(words: &[&str]) -> PatchArgs {
    Line::try_parse_from([&["patch", "a"], words].concat()).unwrap_or_else(|error| panic!("{error}")).args
}

/// 1.4.1, 1.4.2, 1.4.3, 1.4.4-rc.1, 1.5.0, and 1.4.9, which is disabled.
fn versions() -> Versions {
    let known = |text: &str| Known { version: text.parse().unwrap(), enabled: text != "1.4.9", halted: None };
    Versions(["1.4.1", "1.4.2", "1.4.3", "1.4.4-rc.1", "1.4.9", "1.5.0"].map(known).into())
}

/// With state of 1.4.2.
fn game(asks: &str) -> Object {
    Object(json!({
        "metadata": { "name": "a", "generation": 3 },
        "spec": { "desiredStatus": "Running", "engineVersion": asks, "patchGeneration": 4 },
        "status": {
            "phase": "Running", "observedGeneration": 3, "engineVersion": "1.4.2",
            "initIntentAt": "2026-11-23T18:00:00Z",
        },
    }))
}

fn written(game: &Object, words: &[&str]) -> Value {
    let wish = move_to(game, &args(words), &versions()).unwrap_or_else(|failure| panic!("{failure}"));
    wish.map_or(Value::Null, |wish| wish.spec)
}

#[test]
fn a_patch_writes_what_differs_and_no_more() {
    for (asks, words, expected) in [
        ("1.4.2", &["--to", "1.4.3"][..], json!({ "engineVersion": "1.4.3" })),
        ("1.4.2", &["--to", "1.4.1"], json!({ "engineVersion": "1.4.1" })),
        ("1.4.2", &["--to", "1.4.2"], Value::Null),
        // Asked for already, and not there yet.
        ("1.4.3", &["--to", "1.4.3"], Value::Null),
        ("1.4.3", &["--to", "1.4.3", "--retry"], json!({ "patchGeneration": 5 })),
        ("1.4.3", &["--retry"], json!({ "patchGeneration": 5 })),
        ("1.4.2", &["--retry"], Value::Null),
        ("1.4.2", &["--to", "latest"], json!({ "engineVersion": "1.4.3" })),
        ("~1.4", &["--to", "latest"], json!({ "patchGeneration": 5 })),
        ("~1.4", &["--to", "~1.4"], json!({ "patchGeneration": 5 })),
        ("1.4.2", &["--to", "1.4.x"], json!({ "engineVersion": "1.4.x", "patchGeneration": 5 })),
        ("1.4.2", &["--to", "=1.4.2"], json!({ "engineVersion": "=1.4.2" })),
        (
            "1.4.2",
            &["--to", "1.5.0", "--allow-incompatible"],
            json!({ "engineVersion": "1.5.0", "allowIncompatibleVersion": "1.5.0" }),
        ),
    ] {
        assert_eq!(written(&game(asks), words), expected, "{asks} {words:?}");
    }
    // Nobody is moved back by `latest`, and what has no state moves anywhere.
    let mut newer = game("1.4.9");
    newer.0["status"]["engineVersion"] = "1.4.4-rc.1".into();
    assert_eq!(written(&newer, &["--to", "latest"]), json!({ "engineVersion": "1.4.4-rc.1" }));
    let fresh = Object(json!({ "metadata": { "name": "a" }, "spec": { "engineVersion": "1.4.2" } }));
    assert_eq!(written(&fresh, &["--to", "1.5.0"]), json!({ "engineVersion": "1.5.0" }));
    assert_eq!(written(&fresh, &["--to", "~1.5"]), json!({ "engineVersion": "~1.5" }));
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    for (words, expected) in [
        (&["--to", "1.5.0"][..], "has state of engine version 1.4.2, and 1.5.0 has another"),
        (&["--to", ">=1.4"], "1.5.0 has another major or minor number"),
        (&["--to", "1.4.9"], "engine version 1.4.9 is disabled"),
        (&["--to", "1.4.7"], "engine version 1.4.7 is not registered"),
        (&["--to", "~1.6"], "no enabled engine version fits ~1.6"),
    ] {
        let refused = move_to(&game("1.4.2"), &args(words), &versions()).unwrap_err().to_string();
        assert!(refused.contains(expected), "{words:?}: {refused}");
    }
    for wrong in [&[][..], &["--to", "1.4"], &["--to", "newest"], &["--retry", "--allow-incompatible"]] {
        assert!(Line::try_parse_from([&["patch", "a"], wrong].concat()).is_err(), "{wrong:?}");
    }
}

/// What is told of a game with this status on its way to 1.4.3.
fn told(status: &Value) -> (&'static str, String) {
    let mut game = game("1.4.3");
    json_patch::merge(&mut game.0["status"], status);
    let target: Target = "game/a".parse().unwrap();
    match verdict(&Awaited::new(target, "default", &game), &game, &"1.4.3".parse().unwrap()) {
        Verdict::Waits(State { detail, active, .. }) => (if active { "active" } else { "pending" }, detail),
        Verdict::Met(told) => ("met", told),
        Verdict::Missed(failure) => ("missed", failure.to_string()),
    }
}

#[test]
fn each_game_says_how_far_it_is() {
    let failed =
        json!({ "version": "1.4.3", "reason": "Exited", "message": "It exited.", "log": "one\n\u{1b}two" });
    for (status, kind, expected) in [
        (json!({ "observedGeneration": 2 }), "pending", "pending: not looked at yet"),
        (json!({ "reason": "PatchPending", "message": "It waits." }), "pending", "pending: It waits."),
        (
            json!({ "patchDelay": { "message": "No such image.", "nextAttemptAt": "2026-11-23T18:00:00Z" } }),
            "pending",
            "pending: No such image.; tried again at 2026-11-23T18:00:00Z",
        ),
        (
            json!({ "phase": "Patching", "message": "3 of 9 files", "patch": { "stage": "Leaving" } }),
            "active",
            "patching: the old engine goes; 3 of 9 files",
        ),
        (
            json!({ "phase": "Patching", "engineVersion": "1.4.3", "patch": { "stage": "Trying" } }),
            "active",
            "patching: the new engine starts; ",
        ),
        (
            json!({ "engineVersion": "1.4.3", "patch": { "stage": "Probation" } }),
            "met",
            "game/a patched to 1.4.3, on probation until its first turn succeeded",
        ),
        (json!({ "engineVersion": "1.4.3" }), "met", "game/a has 1.4.3"),
        (json!({ "engineVersion": "1.4.3", "phase": "Starting", "message": "up" }), "active", "patching: up"),
        (json!({ "putBack": {}, "failedPatch": failed, "message": "back" }), "active", "rolling back: back"),
        (
            json!({ "failedPatch": failed, "phase": "Starting", "message": "up" }),
            "active",
            "rolling back: up",
        ),
        (
            json!({ "failedPatch": failed }),
            "missed",
            "error: game/a: the patch to 1.4.3 failed (Exited): It exited.\n  | one\n  | \\u{1b}two\nhint: `gamekeeper patch game/a --retry` tries it again",
        ),
        (
            json!({ "conditions": [{ "type": "SpecValid", "status": "False", "reason": "PatchUserDiffers", "message": "No." }] }),
            "missed",
            "error: game/a: refused (PatchUserDiffers): No.\nhint: `gamekeeper explain game/a` says what to do",
        ),
        (
            json!({ "reason": "PatchHalted", "message": "Halted." }),
            "missed",
            "error: game/a: Running (PatchHalted): Halted.\nhint: `gamekeeper explain game/a` says what to do",
        ),
    ] {
        assert_eq!(told(&status), (kind, expected.to_owned()), "{status}");
    }
}

#[test]
fn a_fleet_is_summed_up() {
    let state = |active| State { name: "a".into(), step: String::new(), detail: String::new(), active };
    let states = [state(true), state(false), state(false)];
    assert_eq!(sum(&states, 4, 0), "4 of 7 done, 1 on their way, 2 pending");
    assert_eq!(sum(&states, 4, 2), "4 of 9 done, 2 failed, 1 on their way, 2 pending");
    assert_eq!(sum(&states[..1], 0, 0), "");
}
