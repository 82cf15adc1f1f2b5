//! The whole controller from the command line: shown, frozen, confirmed, rebound.

use std::process::{Command, Stdio};

use gamekeeper::game::controller::{
    ControllerStatus, Freeze, FreezeReason, Ground, HeldDeletion, HeldDeletions,
};

use crate::world::World;

fn active() -> ControllerStatus {
    let ground = Ground { docker_engine_id: Some("NEW".into()), state_root: None, high_water: Some(450) };
    ControllerStatus {
        started: true,
        ground,
        held_deletions: Some(HeldDeletions::default()),
        orphans: Some(Vec::new()),
        ..ControllerStatus::default()
    }
}

fn frozen(reason: FreezeReason, message: &str, way_out: &str) -> ControllerStatus {
    let freeze = Freeze { reason, message: message.into(), way_out: way_out.into() };
    ControllerStatus { freezes: vec![freeze], ..active() }
}

fn held(seconds: &[u32]) -> ControllerStatus {
    let game = |second: &u32| HeldDeletion {
        game_id: format!("00000000-0000-4000-8000-0000000000{second:02}").parse().unwrap(),
        namespace: "default".into(),
        name: format!("game-{second}"),
        removes_state: *second == 1,
        seen_at: format!("2026-11-01T10:00:{second:02}Z").parse().unwrap(),
    };
    let games = seconds.iter().map(game).collect();
    let held = HeldDeletions { games, asked: 6, known: 8, window_seconds: 5_400, share_percent: 20 };
    ControllerStatus { held_deletions: Some(held), ..active() }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_how_the_controller_is_and_what_to_do() {
    let world = World::new().await;
    let starting = world.run(&["status"]).await;
    assert_eq!((starting.code, starting.stderr.as_str()), (1, ""), "{starting:?}");
    assert!(starting.stdout.starts_with("Phase:       Starting"), "{starting:?}");

    world.controller.send_replace(active());
    let told = world.run(&["status"]).await.ok();
    assert!(told.starts_with("Phase:       Active (for "), "{told}");
    assert!(told.contains("Leader:      test (epoch 1)"), "{told}");
    assert!(told.contains("Docker Engine            -          NEW"), "{told}");

    let mut status =
        frozen(FreezeReason::OtherDocker, "Another Docker Engine answers.", "Start the right one.");
    status.held_deletions = held(&[1, 2]).held_deletions;
    status.docker_down = Some("connection refused".into());
    world.controller.send_replace(status);
    let ran = world.run(&["status"]).await;
    assert_eq!(ran.code, 1);
    for expected in [
        "Phase:       Frozen",
        "Docker:      does not answer: connection refused",
        "  OtherDocker: Another Docker Engine answers.\n    -> Start the right one.",
        "6 of 8 games were to be deleted within 1h 30m, of which at most 20 % may be; these 2 are held:",
        "default     game-1   goes, for ever",
        "    -> `gamekeeper confirm-deletions`",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    let json: serde_json::Value =
        serde_json::from_str(&world.run(&["status", "-o", "json"]).await.stdout).unwrap();
    assert_eq!(json["status"]["phase"], "Frozen");
}

#[tokio::test(flavor = "multi_thread")]
async fn freezing_says_why_and_unfreezing_says_what_stays() {
    let world = World::new().await;
    world.controller.send_replace(active());
    world.run(&["freeze"]).await.failed(2);
    world.run(&["freeze", "--because", " "]).await.failed(2);
    let tried = world.run(&["freeze", "--because", "the disk moves", "--dry-run"]).await.ok();
    assert_eq!(tried, "controller/gamekeeper freeze requested (dry run)\n");
    assert!(!world.store.controller_spec().await.unwrap().frozen);
    let done = world.run(&["freeze", "--because", "the disk moves"]).await.ok();
    assert_eq!(done, "controller/gamekeeper freeze requested\n");
    assert_eq!(world.store.controller_spec().await.unwrap().frozen_because, "the disk moves");
    let again = world.run(&["freeze", "--because", "the disk moves"]).await.ok();
    assert_eq!(again, "controller/gamekeeper unchanged\n");

    world.controller.send_replace(frozen(
        FreezeReason::StateRootMissing,
        "It is not there.",
        "Mount the disk.",
    ));
    let lifted = world.run(&["unfreeze", "-o", "name"]).await;
    assert!(lifted.stderr.contains("it stays frozen (StateRootMissing): It is not there."), "{lifted:?}");
    assert_eq!(lifted.ok(), "controller/gamekeeper\n");
    assert!(!world.store.controller_spec().await.unwrap().frozen);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_is_waited_for_until_the_controller_shows_it() {
    let world = World::new().await;
    world.controller.send_replace(active());
    let freeze = ["freeze", "--because", "x", "--wait"];
    let early = world.run(&[&freeze[..], &["--timeout", "0s"]].concat()).await;
    assert_eq!(early.code, 5, "{early:?}");
    assert!(early.stderr.contains("timed out waiting for controller/gamekeeper: Active"), "{early:?}");
    let (ran, ()) = tokio::join!(world.run(&freeze), async {
        world.controller.send_replace(frozen(FreezeReason::FrozenByHand, "", ""));
    });
    assert!(ran.ok().ends_with("controller/gamekeeper condition met\n"));
    world.controller.send_replace(active());
    world.run(&["unfreeze", "--wait", "-o", "name"]).await.ok();
    world.run(&["unfreeze", "--wait", "--dry-run"]).await.failed(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_shown_is_confirmed_and_nobody_is_taken_to_say_yes() {
    let world = World::new().await;
    world.controller.send_replace(active());
    let none = world.run(&["confirm-deletions"]).await;
    assert!(none.stderr.contains("nothing to confirm"), "{none:?}");
    none.ok();

    world.controller.send_replace(held(&[1, 5, 3]));
    let unasked = world.run(&["confirm-deletions"]).await;
    assert_eq!(unasked.code, 2, "{unasked:?}");
    for expected in ["game-5", "Delete these 3 games (1 of them with their state, for ever)?", "add --yes"] {
        assert!(unasked.stderr.contains(expected), "{unasked:?}");
    }
    assert_eq!(world.store.controller_spec().await.unwrap().deletions_confirmed_at, None);
    let tried = world.run(&["confirm-deletions", "--dry-run"]).await.ok();
    assert_eq!(tried, "controller/gamekeeper 3 deletions confirmed (dry run)\n");

    let done = world.run(&["confirm-deletions", "--yes"]).await.ok();
    assert_eq!(done, "controller/gamekeeper 3 deletions confirmed\n");
    let confirmed = world.store.controller_spec().await.unwrap().deletions_confirmed_at;
    assert_eq!(confirmed, Some("2026-11-01T10:00:05Z".parse().unwrap()), "the latest that was shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebind_shows_what_is_expected_and_found_and_what_confirming_means() {
    let world = World::new().await;
    world.controller.send_replace(active());
    assert!(world.run(&["rebind"]).await.stderr.contains("nothing to rebind"));
    world.controller.send_replace(frozen(FreezeReason::FrozenByHand, "", ""));
    assert!(world.run(&["rebind"]).await.stderr.contains("nothing to rebind"));
    world.controller.send_replace(frozen(FreezeReason::StateRootUnreadable, "", ""));
    world.run(&["rebind", "--yes"]).await.failed(4);

    world.controller.send_replace(frozen(FreezeReason::OtherDocker, "Another one.", ""));
    let unasked = world.run(&["rebind"]).await;
    assert_eq!(unasked.code, 2, "{unasked:?}");
    for expected in [
        "EXPECTED   FOUND",
        "Docker Engine            -          NEW",
        "Confirming means: the games' containers",
    ] {
        assert!(unasked.stderr.contains(expected), "{expected} {unasked:?}");
    }
    assert_eq!(world.run(&["rebind", "-y"]).await.ok(), "controller/gamekeeper rebind requested\n");
    let spec = world.store.controller_spec().await.unwrap();
    assert_eq!((spec.rebind_generation, spec.rebind), (1, active().ground));

    // What was named before and is not found now is not named again.
    let mut moved = frozen(FreezeReason::OtherDocker, "A third one.", "");
    moved.ground = Ground { docker_engine_id: None, ..active().ground };
    world.controller.send_replace(moved.clone());
    world.run(&["rebind", "-y"]).await.ok();
    let spec = world.store.controller_spec().await.unwrap();
    assert_eq!((spec.rebind_generation, spec.rebind), (2, moved.ground));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_it_is_asked_and_only_yes_is_yes() {
    let world = World::new().await;
    world.controller.send_replace(held(&[1]));
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: there is no `script` to make a terminal with");
        return;
    }
    for (answer, code) in [("n\n", 1), ("yes\n", 0)] {
        let files = world.files.clone();
        let ran = tokio::task::spawn_blocking(move || {
            let command = format!("{} confirm-deletions", env!("CARGO_BIN_EXE_gamekeeper"));
            let mut child = Command::new("script")
                .args(["--quiet", "--return", "--command", &command, "/dev/null"])
                .env("GAMEKEEPER_DATA_DIR", files.path("data"))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), answer.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        });
        let ran = ran.await.unwrap();
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(ran.status.code(), Some(code), "{answer:?} {text}");
        assert!(text.contains("[y/N]"), "{text}");
    }
    assert!(world.store.controller_spec().await.unwrap().deletions_confirmed_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_lead_is_believed_about_nothing_that_the_leader_alone_knows() {
    let world = World::new().await;
    world.controller.send_replace(ControllerStatus { stands_by: true, ..ControllerStatus::default() });
    let before = world.store.controller_spec().await.unwrap();
    for verb in [
        &["confirm-deletions", "--yes"][..],
        &["adopt"],
        &["adopt", "--all", "--yes"],
        &["remove", "11111111-1111-4111-8111-111111111111", "--yes"],
        &["unfreeze", "--wait", "--timeout", "20s"],
        &["freeze", "--because", "so", "--wait", "--timeout", "20s"],
    ] {
        let ran = world.run(verb).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{verb:?} {ran:?}");
        assert!(
            ran.stderr.contains("does not lead") && ran.stderr.contains("test leads"),
            "{verb:?} {ran:?}"
        );
    }
    assert_eq!(world.store.controller_spec().await.unwrap(), before, "nothing was asked for");
    let told = world.run(&["status"]).await.ok();
    assert!(told.contains("known to the controller that leads"), "{told}");
    world.run(&["freeze", "--because", "so"]).await.ok();

    world.controller.send_replace(ControllerStatus::default());
    let ran = world.run(&["confirm-deletions", "--yes"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("has not looked at everything yet"), "{ran:?}");
}
