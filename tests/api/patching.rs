//! Changes of version on rows written by hand, and kept copies on a real disk.

use std::sync::Arc;

use gamekeeper::api::auth::Role;
use gamekeeper::game::{BackupReason, GameId, NewBackup};
use gamekeeper::runtime::Runtime;
use gamekeeper::runtime::docker::{DockerRuntime, Settings};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{GAMES, VERSIONS, World, game, read, token, version};

/// What an engine of this version is built from.
fn build(version: &str) -> Value {
    json!({
        "inputs": {
            "engineVersion": version, "image": format!("gamekeeper/reference-engine:{version}"), "port": 8080,
            "contract": "gamekeeper/v1", "runAs": "auto", "relaxations": [],
            "resources": { "cpuMillis": null, "memoryBytes": null, "pids": null },
        },
        "image": format!("sha256:{version}"),
    })
}

/// A server with a game that runs 1.4.2; its id.
async fn running() -> (World, String) {
    let world = World::with(|tokens| token(tokens, Role::Viewer, "viewer")).await;
    world.post(VERSIONS, &version("1.4.2")).await.ok(201);
    world.post(VERSIONS, &version("1.4.3")).await.ok(201);
    let made = world.post(GAMES, &game("andromeda")).await.ok(201);
    let id = made["metadata"]["uid"].as_str().unwrap().to_owned();
    world
        .sql(&format!(
            "INSERT INTO runtime_records (game_id, name, status, current_engine_version, current_container_id,
                 applied_spec, current_image_id, observed_patch_generation, observed_restore_generation,
                 observed_backup_generation)
             VALUES ('{id}', 'andromeda', 'running', '1.4.2', 'c0ffee', '{}', 'sha256:1.4.2', 4, 2, 1)",
            build("1.4.2")["inputs"]
        ))
        .await;
    (world, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_version_is_told_in_all_its_parts() {
    let (world, id) = running().await;
    let path = format!("{GAMES}/andromeda");
    let quiet = world.get(&path).await.ok(200);
    for part in ["patch", "patchDelay", "failedPatch", "putBack", "copying"] {
        assert_eq!(quiet["status"].get(part), None, "{part}");
    }
    assert_eq!(
        (&quiet["status"]["observedPatchGeneration"], &quiet["status"]["observedRestoreGeneration"]),
        (&json!(4), &json!(2))
    );
    assert_eq!(quiet["status"]["observedBackupGeneration"], 1);
    let copying = json!({
        "backup": "b-2", "reason": "turn", "request": null, "failures": 2, "nextAttemptAt": "2026-11-23T18:00:00Z",
        "problem": { "reason": "NoRoom", "message": "There is no room." },
    });
    let patch = json!({
        "from": build("1.4.1"), "backup": "b-1", "turn": 7, "committedAt": null, "stage": "Trying",
    });
    let delay = json!({
        "version": "1.4.3", "failures": 2, "nextAttemptAt": "2026-11-23T18:00:00Z",
        "reason": "ImageNotFound", "message": "There is none.",
    });
    let failed = json!({
        "version": "1.4.9", "image": "gamekeeper/reference-engine:1.4.9", "reason": "Exited",
        "message": "It exited.", "log": "last words",
    });
    let back = json!({
        "backup": "b-1", "restore": "r-1", "build": build("1.4.1"), "turn": 7,
        "newTimeline": false, "stage": "Placing", "cause": "Patch", "reason": "Exited", "message": "It is put back.",
    });
    world
        .sql(&format!(
            "UPDATE runtime_records SET patch = '{patch}', patch_delay = '{delay}', failed_patch = '{failed}',
                 put_back = '{back}', copying = '{copying}' WHERE game_id = '{id}'"
        ))
        .await;
    let status = world.get(&path).await.ok(200)["status"].clone();
    assert_eq!(
        status["patch"],
        json!({ "from": "1.4.1", "to": "1.4.2", "stage": "Trying", "backup": "b-1", "turn": 7 })
    );
    assert_eq!((&status["patchDelay"], &status["failedPatch"]), (&delay, &failed));
    assert_eq!(
        status["putBack"],
        json!({
            "backup": "b-1", "cause": "Patch", "stage": "Placing", "engineVersion": "1.4.1", "turn": 7, "reason": "Exited",
            "message": "It is put back.",
        })
    );
    assert_eq!(
        status["copying"],
        json!({
            "backup": "b-2", "reason": "Turn", "failures": 2, "nextAttemptAt": "2026-11-23T18:00:00Z",
            "problem": "NoRoom", "message": "There is no room.",
        })
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_asked_for_by_a_number_that_never_goes_back() {
    let (world, _) = running().await;
    let path = format!("{GAMES}/andromeda");
    let ask = |to: i64| json!({ "spec": { "backupGeneration": to } });
    let before = world.get(&path).await.ok(200);
    assert_eq!(
        (&before["spec"]["backupGeneration"], &before["spec"]["backupBeforeTurn"]),
        (&json!(0), &json!(false))
    );
    let tried = world.patch(&format!("{path}?dryRun=All"), &ask(1)).await.ok(200);
    assert_eq!(tried["spec"]["backupGeneration"], 1);
    let asked = world.patch(&path, &ask(1)).await.ok(200);
    assert_eq!(asked["spec"]["backupGeneration"], 1);
    for wrong in [0, -1] {
        for to in [path.clone(), format!("{path}?dryRun=All")] {
            let refused = world.patch(&to, &ask(wrong)).await.refused(422, "Invalid");
            assert_eq!(refused["details"]["causes"][0]["field"], "spec.backupGeneration", "{refused:#}");
        }
    }
    // Said of the turns, it is spec; left out, it is not so.
    let before_turns = json!({ "spec": { "backupBeforeTurn": true } });
    let set = world.patch(&path, &before_turns).await.ok(200);
    assert_eq!(set["spec"]["backupBeforeTurn"], true);
    assert_ne!(set["metadata"]["generation"], asked["metadata"]["generation"]);
    let kept = world.put(&path, &game("andromeda")).await.ok(200);
    assert_eq!(
        (&kept["spec"]["backupGeneration"], &kept["spec"]["backupBeforeTurn"]),
        (&json!(1), &json!(false))
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_says_who_asks_for_it_who_runs_it_and_whether_it_is_halted() {
    let (world, _) = running().await;
    let mut open = game("orion");
    open["spec"]["engineVersion"] = json!("~1.4");
    world.post(GAMES, &open).await.ok(201);
    let of =
        async |version: &str| world.get(&format!("{VERSIONS}/{version}")).await.ok(200)["status"].clone();
    assert_eq!(of("1.4.2").await, json!({ "games": 1, "running": 1, "patchFailures": 0, "halted": false }));
    // The requirement means the newest that is enabled.
    assert_eq!(of("1.4.3").await["games"], 1);
    let disable = json!({ "spec": { "enabled": false } });
    world.patch(&format!("{VERSIONS}/1.4.3"), &disable).await.ok(200);
    assert_eq!((&of("1.4.3").await["games"], &of("1.4.2").await["games"]), (&json!(0), &json!(2)));

    for (failures, halted) in [(2, false), (3, true)] {
        world
            .sql(&format!(
                "INSERT INTO version_records (version, patch_failures, reason, message, observed_resume_generation)
                 VALUES ('1.4.3', {failures}, 'Exited', 'It exited.', 0)
                 ON CONFLICT (version) DO UPDATE SET patch_failures = excluded.patch_failures"
            ))
            .await;
        let status = of("1.4.3").await;
        assert_eq!((&status["patchFailures"], &status["halted"]), (&json!(failures), &json!(halted)));
        assert_eq!((&status["reason"], &status["message"]), (&json!("Exited"), &json!("It exited.")));
    }
    // Said to go on, they count from nothing; that cannot be taken back, and a manifest without it leaves it.
    let path = format!("{VERSIONS}/1.4.3");
    let resume = |to: i64| json!({ "spec": { "resumeGeneration": to } });
    let tried = world.patch(&format!("{path}?dryRun=All"), &resume(1)).await.ok(200);
    assert_eq!((&tried["spec"]["resumeGeneration"], &of("1.4.3").await["halted"]), (&json!(1), &json!(true)));
    world.patch(&path, &resume(1)).await.ok(200);
    assert_eq!(
        (&of("1.4.3").await["patchFailures"], &of("1.4.3").await["halted"]),
        (&json!(0), &json!(false))
    );
    for wrong in [0, -1] {
        for to in [path.clone(), format!("{path}?dryRun=All")] {
            let refused = world.patch(&to, &resume(wrong)).await.refused(422, "Invalid");
            assert_eq!(refused["details"]["causes"][0]["field"], "spec.resumeGeneration", "{refused:#}");
        }
    }
    let kept = world.put(&path, &version("1.4.3")).await.ok(200);
    assert_eq!((&kept["spec"]["resumeGeneration"], &kept["spec"]["enabled"]), (&json!(1), &json!(true)));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_copies_are_listed_newest_first() {
    let (world, id) = running().await;
    let path = format!("{GAMES}/andromeda/backups");
    // Nobody's state root yet: nothing that lies in it is believed.
    let state = world.directory.path().join("state");
    std::fs::create_dir(&state).unwrap();
    world.get(&path).await.refused(503, "ServiceUnavailable");
    let mut settings = Settings::new(world.instance, state.clone());
    settings.host = Some("unix:///nonexistent".into());
    let runtime: Arc<dyn Runtime> = Arc::new(DockerRuntime::new(settings).unwrap());
    runtime.bind_state_root().await.unwrap();
    assert_eq!(world.get(&path).await.ok(200)["items"], json!([]));

    std::fs::create_dir(state.join(&id)).unwrap();
    std::fs::write(state.join(&id).join("game.json"), "0123456789").unwrap();
    let of: GameId = id.parse().unwrap();
    for (name, at, reason) in [
        ("b-1", 1_000, BackupReason::Patch),
        ("b-2", 2_000, BackupReason::Demand),
        ("b-3", 3_000, BackupReason::Turn),
    ] {
        let new = NewBackup {
            id: name.parse().unwrap(),
            game: of,
            taken_at: jiff::Timestamp::from_second(at).unwrap(),
            reason,
            turn: Some(at / 1_000),
            timeline: Some(1),
            build: Some(serde_json::from_value(build("1.4.1")).unwrap()),
        };
        runtime.back_up(&new, &|_| {}).await.unwrap();
    }
    let asked = world.anonymous(Method::GET, &path).bearer_auth("viewer").send().await.unwrap();
    let list = read(asked).await.ok(200);
    assert_eq!(list["kind"], "BackupList");
    let names = |list: &Value| -> Vec<Value> {
        list["items"].as_array().unwrap().iter().map(|copy| copy["metadata"]["name"].clone()).collect()
    };
    assert_eq!(names(&list), ["b-3", "b-2", "b-1"]);
    let oldest = &list["items"][2];
    assert_eq!(
        (&oldest["kind"], &oldest["metadata"]["creationTimestamp"]),
        (&json!("Backup"), &json!("1970-01-01T00:16:40Z"))
    );
    assert_eq!(
        oldest["spec"],
        json!({
            "game": "andromeda", "gameId": id, "reason": "Patch", "turn": 1, "timeline": 1,
            "engineVersion": "1.4.1", "image": "gamekeeper/reference-engine:1.4.1", "imageId": "sha256:1.4.1",
        })
    );
    assert_eq!((&oldest["status"]["files"], &oldest["status"]["bytes"]), (&json!(1), &json!(10)));
    assert_eq!(names(&world.get(&format!("{path}?limit=1")).await.ok(200)), ["b-3"]);
    world.get(&format!("{GAMES}/nobody/backups")).await.refused(404, "NotFound");
    world.get(&format!("{path}?limit=many")).await.refused(400, "BadRequest");
    // They outlive the game's row.
    world.sql(&format!("DELETE FROM games WHERE game_id = '{id}'")).await;
    assert_eq!(names(&world.get(&path).await.ok(200)).len(), 3);
    world.end().await;
}
