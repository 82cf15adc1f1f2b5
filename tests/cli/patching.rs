//! Commands about engine versions and kept copies, against the real API; what a controller would
//! record of them is written in its place. On real engines: `tests/e2e/patch_commands.rs`.

use std::sync::Arc;
use std::time::Duration;

use gamekeeper::game::operation::{Ending, NewOperation, OperationKind};
use gamekeeper::game::patch::{FailedPatch, Patch, PatchStage};
use gamekeeper::game::spec::Source;
use gamekeeper::game::{BackupReason, ConditionStatus, ImageRef, NewBackup, OperationId, Phase};
use gamekeeper::runtime::Runtime;
use gamekeeper::runtime::docker::{DockerRuntime, Settings};
use gamekeeper::store::Recording;
use serde_json::{Value, json};

use crate::world::{GAME, VERSION, World};

fn build(version: &str) -> Value {
    json!({
        "inputs": {
            "engineVersion": version, "image": format!("gamekeeper/reference-engine:{version}"), "port": 8080,
            "contract": "gamekeeper/v1", "runAs": "auto", "relaxations": [], "resources": {},
        },
        "image": format!("sha256:{version}"),
    })
}

/// With andromeda and orion, which run 1.4.2, and the versions 1.4.1, 1.4.3 and 1.5.0.
async fn fleet() -> World {
    let world = World::applied().await;
    let mut all = GAME.replace("andromeda", "orion");
    for version in ["1.4.1", "1.4.3", "1.5.0"] {
        all.push_str(&format!("---\n{}", VERSION.replace("1.4.2", version)));
    }
    let all = world.files.file("fleet.yaml", &all);
    world.run(&["apply", "-f", &all]).await.ok();
    for game in ["andromeda", "orion"] {
        world.written(runs(&world, game, "1.4.2").await).await;
    }
    world
}

/// What a controller records of a game that runs this version.
async fn runs(world: &World, game: &str, version: &str) -> Recording {
    let mut recording = world.recording(game, Phase::Running, ConditionStatus::True).await;
    recording.record.applied = serde_json::from_value(build(version)["inputs"].clone()).unwrap();
    recording.record.init_intent_at = Some(jiff::Timestamp::now());
    recording.record.current_turn = Some(7);
    recording
}

async fn spec(world: &World, name: &str) -> Value {
    let json = world.run(&["get", name, "-o", "json"]).await.ok();
    serde_json::from_str::<Value>(&json).unwrap()["spec"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn games_are_moved_to_a_version_by_name_by_label_and_to_the_latest() {
    let world = fleet().await;
    let tried = world.run(&["patch", "-l", "season=7", "--to", "1.4.3", "--dry-run"]).await.ok();
    assert!(tried.lines().count() == 2 && tried.lines().all(|line| line.ends_with("(dry run)")), "{tried}");
    assert_eq!(spec(&world, "orion").await["engineVersion"], "1.4.2");
    let told = world.run(&["patch", "orion", "--to", "latest"]).await.ok();
    assert!(told.starts_with("game/orion patch to 1.4.3 requested (generation "), "{told}");
    let told = world.run(&["patch", "--all", "--to", "1.4.3"]).await.ok();
    assert!(
        told.contains("game/andromeda patch to 1.4.3 requested") && told.contains("game/orion unchanged"),
        "{told}"
    );
    let told = world.run(&["patch", "orion", "--to", "~1.4"]).await.ok();
    assert!(told.starts_with("game/orion patch to 1.4.3 requested"), "{told}");
    let now = spec(&world, "orion").await;
    assert_eq!((&now["engineVersion"], &now["patchGeneration"]), (&json!("~1.4"), &json!(1)));
    let wide = world.run(&["get", "orion", "-o", "wide"]).await.ok();
    assert!(wide.contains("1.4.2") && wide.contains("CONTAINER"), "{wide}");
    assert!(world.run(&["describe", "orion"]).await.ok().contains("1.4.2 (asked for: ~1.4)"));

    for (arguments, code, expected) in [
        (&["--to", "1.5.0"][..], 2, "it has state of engine version 1.4.2"),
        (&["--to", "1.4.7"], 3, "engine version 1.4.7 is not registered"),
        (&["--to", "~2.0"], 3, "no enabled engine version fits ~2.0"),
        (&["--to", "1.4"], 2, "or write latest"),
        (&[], 2, "--to"),
    ] {
        let told = world.run(&[&["patch", "andromeda"][..], arguments].concat()).await.failed(code);
        assert!(told.contains(expected), "{told}");
    }
    let told = world.run(&["patch", "andromeda", "--to", "1.5.0", "--allow-incompatible"]).await.ok();
    assert!(told.contains("patch to 1.5.0 requested"), "{told}");
    assert_eq!(spec(&world, "andromeda").await["allowIncompatibleVersion"], "1.5.0");
    world.run(&["versions", "disable", "1.4.3"]).await.ok();
    let told = world.run(&["patch", "andromeda", "--to", "1.4.3"]).await.failed(4);
    assert!(told.contains("is disabled") && told.contains("versions enable 1.4.3"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_waited_for_and_each_failure_told() {
    let world = fleet().await;
    let (ran, ()) =
        tokio::join!(world.run(&["patch", "--all", "--to", "1.4.3", "--wait", "--timeout", "60s"]), async {
            for game in ["andromeda", "orion"] {
                world.asked(game, "engineVersion", "1.4.3").await;
            }
            let mut waiting = runs(&world, "andromeda", "1.4.2").await;
            waiting.record.reason = "PatchPending".into();
            waiting.record.message = "Now it waits until fewer games are patched at a time.".into();
            world.written(waiting).await;
            let mut leaving = runs(&world, "orion", "1.4.3").await;
            leaving.record.phase = Phase::Patching;
            leaving.record.message = "The state is being copied: 3 of 9 files".into();
            leaving.record.patch = Some(Patch {
                from: serde_json::from_value(build("1.4.2")).unwrap(),
                backup: "b-1".parse().unwrap(),
                turn: Some(7),
                timeline: Some(1),
                committed_at: None,
                deaths: 0,
                stage: PatchStage::Leaving,
            });
            world.written(leaving.clone()).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            leaving.record.phase = Phase::Running;
            leaving.record.patch.as_mut().unwrap().stage = PatchStage::Probation;
            world.written(leaving).await;
            let mut failed = runs(&world, "andromeda", "1.4.2").await;
            failed.record.failed_patch = Some(FailedPatch {
                version: "1.4.3".parse().unwrap(),
                image: ImageRef::new("gamekeeper/reference-engine:1.4.3"),
                reason: "Exited".into(),
                message: "Engine version 1.4.3 failed: it exited.".into(),
                log: Some("out of planets".into()),
                wish: None,
            });
            world.written(failed).await;
        });
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stdout.ends_with("game/orion patched to 1.4.3, on probation until its first turn succeeded\n"),
        "{ran:?}"
    );
    for expected in [
        "game/andromeda: pending: Now it waits until fewer",
        "game/orion: patching: the old engine goes; The state is being copied: 3 of 9 files",
        "0 of 2 done, 1 on their way, 1 pending",
        "error: game/andromeda: the patch to 1.4.3 failed (Exited): Engine version 1.4.3 failed: it exited.",
        "  | out of planets",
        "--retry",
    ] {
        assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
    }
    let told = world.run(&["describe", "andromeda"]).await.ok();
    assert!(told.contains("Change of version:") && told.contains("| out of planets"), "{told}");
    // Asked again, nothing changes; it takes a word to try it again.
    let again = world.run(&["patch", "andromeda", "--to", "1.4.3"]).await;
    assert!(again.stderr.contains("--retry tries it again"), "{again:?}");
    assert!(again.ok().starts_with("game/andromeda unchanged"));
    let told = world.run(&["patch", "andromeda", "--retry"]).await.ok();
    assert!(told.starts_with("game/andromeda another attempt at 1.4.3 requested"), "{told}");
    assert_eq!(spec(&world, "andromeda").await["patchGeneration"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_listed_disabled_and_resumed() {
    let world = fleet().await;
    let mut failing = runs(&world, "orion", "1.4.2").await;
    failing.record.failed_patch = Some(FailedPatch {
        version: "1.4.3".parse().unwrap(),
        image: ImageRef::new("gamekeeper/reference-engine:1.4.3"),
        reason: "Exited".into(),
        message: "It exited.".into(),
        log: None,
        wish: None,
    });
    failing.failed_version = Some("1.4.3".parse().unwrap());
    for _ in 0..3 {
        world.written(failing.clone()).await;
    }
    let list = world.run(&["versions", "list"]).await.ok();
    assert!(list.starts_with("NAME    IMAGE "), "{list}");
    let row = |list: &str, version: &str| -> Vec<String> {
        let line = list.lines().find(|line| line.starts_with(version)).unwrap().to_owned();
        line.split("   ").map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
    };
    assert_eq!(row(&list, "1.4.2")[2..6], ["true", "2", "0", "0"]);
    let halted = row(&list, "1.4.3");
    assert_eq!(
        (&halted[5..7], halted.last().unwrap().as_str()),
        (&["3".into(), "true".into()][..], "It exited.")
    );
    let told = world.run(&["patch", "andromeda", "--to", "1.4.3", "--dry-run"]).await;
    assert!(told.stderr.contains("changes to engine version 1.4.3 are halted: It exited."), "{told:?}");
    assert!(world.run(&["describe", "ev/1.4.3"]).await.ok().contains("versions resume 1.4.3"));

    let tried = world.run(&["versions", "resume", "1.4.3", "--dry-run"]).await.ok();
    assert_eq!(tried, "engineversion/1.4.3 changes to it go on (generation 2) (dry run)\n");
    assert_eq!(
        world.run(&["versions", "resume", "1.4.3"]).await.ok(),
        "engineversion/1.4.3 changes to it go on (generation 2)\n"
    );
    assert_eq!(
        world.run(&["versions", "resume", "1.4.3"]).await.ok(),
        "engineversion/1.4.3 unchanged (generation 2)\n"
    );
    assert_eq!(row(&world.run(&["versions", "list"]).await.ok(), "1.4.3")[5..7], ["0", "false"]);
    // A kept manifest neither repeats nor takes back what was said.
    let same = world
        .run(&["apply", "-f", &world.files.file("v.yaml", &VERSION.replace("1.4.2", "1.4.3"))])
        .await
        .ok();
    assert_eq!(same, "engineversion/1.4.3 unchanged (generation 2)\n");
    assert_eq!(world.run(&["versions", "disable", "1.4.1", "1.4.2"]).await.ok().lines().count(), 2);
    assert_eq!(
        world.run(&["versions", "disable", "1.4.1", "-o", "name"]).await.ok(),
        "engineversion/1.4.1\n"
    );
    assert_eq!(
        world.run(&["versions", "enable", "1.4.1"]).await.ok(),
        "engineversion/1.4.1 enabled (generation 3)\n"
    );
    world.run(&["versions", "enable", "1.9.9"]).await.failed(3);
    assert_eq!(world.run(&["versions", "enable", "latest"]).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_copy_is_restored_and_a_patch_taken_back_in_one_write() {
    let world = fleet().await;
    let state = world.files.path("data").join("games");
    std::fs::create_dir(&state).unwrap();
    let mut settings = Settings::new(world.instance, state.clone());
    settings.host = Some("unix:///nonexistent".into());
    let runtime: Arc<dyn Runtime> = Arc::new(DockerRuntime::new(settings).unwrap());
    runtime.bind_state_root().await.unwrap();
    let none = world.run(&["backups", "andromeda"]).await;
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", "game/andromeda: no copy is kept\n"));
    world.run(&["rollback", "andromeda", "--yes"]).await.failed(3);

    let game = world.store.game("default", "andromeda").await.unwrap().unwrap().id;
    std::fs::create_dir(state.join(game.to_string())).unwrap();
    std::fs::write(state.join(game.to_string()).join("game.json"), "{}").unwrap();
    for (name, version, turn) in [("before-1.4.2", "1.4.1", 3), ("before-1.4.3", "1.4.2", 5)] {
        let new = NewBackup {
            id: name.parse().unwrap(),
            game,
            taken_at: jiff::Timestamp::from_second(1_700_000_000 + turn).unwrap(),
            reason: BackupReason::Patch,
            turn: Some(turn),
            timeline: Some(1),
            build: Some(serde_json::from_value(build(version)).unwrap()),
        };
        runtime.back_up(&new, &|_| {}).await.unwrap();
    }
    let listed = world.run(&["backups", "andromeda"]).await.ok();
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["ID", "TAKEN", "TURN", "VERSION", "REASON", "SIZE", "FILES"]);
    assert_eq!(rows[1], ["before-1.4.2", "2023-11-14T22:13:23Z", "3", "1.4.1", "Patch", "2B", "1"]);
    assert_eq!(
        world.run(&["backups", "andromeda", "-o", "name", "--limit", "1"]).await.ok(),
        "before-1.4.3\n"
    );

    // Nobody can be asked here, so nothing is done without a word.
    let unasked = world.run(&["restore", "andromeda", "before-1.4.3"]).await;
    assert!(unasked.code == 2 && unasked.stderr.contains("turns 6 to 7 are void"), "{unasked:?}");
    let told = world.run(&["restore", "andromeda", "elsewhere", "--yes"]).await.failed(3);
    assert!(told.contains("there is no copy elsewhere of it"), "{told}");
    assert_eq!(world.run(&["restore", "andromeda", "../x", "--yes"]).await.code, 2);
    let tried = world.run(&["restore", "andromeda", "before-1.4.3", "--dry-run"]).await.ok();
    assert!(
        tried.starts_with("game/andromeda restore requested") && tried.ends_with("(dry run)\n"),
        "{tried}"
    );
    assert_eq!(spec(&world, "andromeda").await["restoreGeneration"], 0);
    let told = world.run(&["restore", "andromeda", "before-1.4.3", "--yes"]).await.ok();
    assert!(told.starts_with("game/andromeda restore requested (generation "), "{told}");

    // The copy of the present version is of a change that failed: a rollback goes further back.
    let before =
        world.store.game("default", "andromeda").await.unwrap().unwrap().manifest.metadata.generation;
    let told = world.run(&["rollback", "andromeda", "--yes"]).await;
    assert!(told.stderr.contains("The spec asks for 1.4.1 then, and for 1.4.2 no more."), "{told:?}");
    assert!(told.ok().starts_with("game/andromeda rollback to 1.4.1 requested"));
    let now = spec(&world, "andromeda").await;
    assert_eq!(
        (&now["engineVersion"], &now["restoreBackupId"], &now["restoreGeneration"]),
        (&json!("1.4.1"), &json!("before-1.4.2"), &json!(2))
    );
    let after = world.store.game("default", "andromeda").await.unwrap().unwrap().manifest.metadata.generation;
    assert_eq!(after, before.map(|before| before + 1), "it is one write");

    let (ran, ()) = tokio::join!(
        world.run(&["restore", "andromeda", "before-1.4.3", "--yes", "--wait", "--timeout", "30s"]),
        async {
            world.asked("andromeda", "restoreGeneration", 3).await;
            let mut done = runs(&world, "andromeda", "1.4.2").await;
            done.record.observed_requests.restore = 3;
            world.written(done).await;
        }
    );
    assert!(ran.ok().ends_with("game/andromeda restored\n"));
    let older = world.run(&["restore", "andromeda", "before-1.4.2", "--dry-run"]).await.ok();
    assert!(older.ends_with("(dry run)\n"), "{older}");

    // A refusal or a failure is told when it is over, whatever phase the game is in.
    let refused = Ending::Failed { code: "BackupDamaged".into(), message: "A file of it is damaged.".into() };
    for (number, phase) in [(4, Phase::CrashLoop), (5, Phase::Blocked), (6, Phase::Running)] {
        let (ran, ()) = tokio::join!(
            world.run(&["restore", "andromeda", "before-1.4.3", "--yes", "--wait", "--timeout", "30s"]),
            async {
                world.asked("andromeda", "restoreGeneration", number).await;
                let mut done = runs(&world, "andromeda", "1.4.2").await;
                done.record.phase = phase;
                done.record.observed_requests.restore = number;
                let operation = NewOperation {
                    kind: OperationKind::Restore,
                    cause: "A restore was asked for.".into(),
                    source: Source::Operator,
                    generation: done.record.observed_generation,
                    requested_by: "admin".into(),
                    request_id: String::new(),
                    from_version: None,
                    to_version: None,
                };
                done.at_once = vec![(OperationId(uuid::Uuid::new_v4()), operation, refused.clone())];
                world.written(done).await;
            }
        );
        assert_eq!(ran.code, 1, "{phase:?} {ran:?}");
        assert!(ran.stderr.contains("not restored: A file of it is damaged."), "{phase:?} {ran:?}");
        assert!(!ran.stdout.contains("condition met"), "{phase:?} {ran:?}");
    }
    // The state is back, and its engine does not stay up.
    let (ran, ()) = tokio::join!(
        world.run(&["restore", "andromeda", "before-1.4.3", "--yes", "--wait", "--timeout", "30s"]),
        async {
            world.asked("andromeda", "restoreGeneration", 7).await;
            let mut done = runs(&world, "andromeda", "1.4.2").await;
            done.record.phase = Phase::CrashLoop;
            done.record.observed_requests.restore = 7;
            world.written(done).await;
        }
    );
    assert!(ran.code == 1 && ran.stderr.contains("CrashLoop (Because): So it is."), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_asked_for_and_its_name_told_when_it_is_taken() {
    let world = fleet().await;
    let state = world.files.path("data").join("games");
    std::fs::create_dir(&state).unwrap();
    let mut settings = Settings::new(world.instance, state.clone());
    settings.host = Some("unix:///nonexistent".into());
    let runtime: Arc<dyn Runtime> = Arc::new(DockerRuntime::new(settings).unwrap());
    runtime.bind_state_root().await.unwrap();
    let tried = world.run(&["backup", "andromeda", "--dry-run"]).await.ok();
    assert!(tried.starts_with("game/andromeda copy requested") && tried.ends_with("(dry run)\n"), "{tried}");
    assert_eq!(spec(&world, "andromeda").await["backupGeneration"], 0);
    let told = world.run(&["backup", "--all"]).await.ok();
    assert!(
        told.lines().count() == 2 && told.lines().all(|line| line.contains(" copy requested ")),
        "{told}"
    );
    world.run(&["backup", "nobody"]).await.failed(3);
    assert_eq!(world.run(&["backup"]).await.code, 2);

    let game = world.store.game("default", "andromeda").await.unwrap().unwrap().id;
    std::fs::create_dir(state.join(game.to_string())).unwrap();
    let new = NewBackup {
        id: "20261123T180000000Z-6f1c0a52-demand-2".parse().unwrap(),
        game,
        taken_at: jiff::Timestamp::from_second(1_700_000_000).unwrap(),
        reason: BackupReason::Demand,
        turn: Some(7),
        timeline: Some(1),
        build: None,
    };
    let (ran, ()) = tokio::join!(world.run(&["backup", "andromeda", "--wait", "--timeout", "30s"]), async {
        world.asked("andromeda", "backupGeneration", 2).await;
        runtime.back_up(&new, &|_| {}).await.unwrap();
        let mut done = runs(&world, "andromeda", "1.4.2").await;
        done.record.observed_requests.backup = 2;
        world.written(done).await;
    });
    assert!(ran.ok().ends_with("game/andromeda copied as 20261123T180000000Z-6f1c0a52-demand-2\n"));
    // A manifest that says nothing of it takes back no request, and asks for none.
    let file = world.files.file("again.yaml", &GAME.replace("spec:", "spec:\n  backupBeforeTurn: true"));
    world.run(&["apply", "-f", &file]).await.ok();
    let now = spec(&world, "andromeda").await;
    assert_eq!((&now["backupGeneration"], &now["backupBeforeTurn"]), (&json!(2), &json!(true)));
}
