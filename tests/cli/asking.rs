//! `explain`, `plan`, `diff` and `events`: nothing is changed by asking.

use gamekeeper::game::Phase;
use gamekeeper::reconcile::explain::Explanation;
use serde_json::json;

use crate::world::{GAME, VERSION, World};

fn explanation() -> Explanation {
    serde_json::from_value(json!({
        "summary": "It would be started.", "phase": "Pending", "reason": "New", "message": "It is new.",
        "generation": 2, "observedGeneration": 2,
        "desired": [{ "what": "Status", "is": "Running" }], "observed": [{ "what": "Status", "is": "no container" }],
        "steps": [{ "step": "create container for 1.4.2", "cause": "there is none", "changes": true }],
        "afterwards": [], "disruption": "Start", "waitingOn": [], "failures": 0, "settled": false,
    }))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_is_explained_with_its_last_words() {
    let mut world = World::applied().await;
    world.answers(explanation());
    world.record_as("andromeda", Phase::CrashLoop, "Exited").await;
    let told = world.run(&["explain", "andromeda"]).await.ok();
    for expected in [
        "game/andromeda: It would be started.\n",
        "Status   Running     no container",
        "  1. create container for 1.4.2\n     because there is none",
        "  an engine comes up where none runs",
        "Last log lines of the engine's last life:\n  out of planets",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&world.run(&["explain", "andromeda", "-o", "json"]).await.ok()).unwrap();
    assert_eq!((&json["kind"], &json["metadata"]["name"]), (&json!("Explanation"), &json!("andromeda")));
    let some = world.run(&["explain", "nobody", "andromeda"]).await;
    assert_eq!((some.code, some.stdout.contains("It would be started.")), (3, true), "{some:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_does_not_answer_is_said_to() {
    let world = World::applied().await;
    drop(world.files.run(&["version"]));
    let files = world.files.clone();
    // Nobody takes the questions: the server gives up by itself.
    let ran = tokio::task::spawn_blocking(move || files.run(&["explain", "andromeda"])).await.unwrap();
    assert!(ran.failed(1).contains("does not answer now"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_would_be_done_and_stores_nothing() {
    let mut world = World::new().await;
    world.answers(explanation());
    let all = world.files.file("all.yaml", &format!("{GAME}---\n{VERSION}"));
    let told = world.run(&["plan", "-f", &all]).await.ok();
    assert!(
        told.starts_with("engineversion/1.4.2 would be created\ngame/andromeda would be created\n"),
        "{told}"
    );
    // The version in the same file counts as registered.
    assert!(told.contains("would wait on gamekeeper/reference-engine:1.4.2"), "{told}");
    assert!(told.contains("  1. create container for 1.4.2\n     because there is none\n"), "{told}");
    assert_eq!(world.run(&["get", "all", "-o", "name"]).await.ok(), "");

    world.run(&["apply", "-f", &all]).await.ok();
    let same = world.run(&["plan", "-f", &all]).await.ok();
    assert_eq!(same, "engineversion/1.4.2 unchanged\ngame/andromeda unchanged\n");
    let before = world.store.desired_seq().await.unwrap();
    let changed = world.files.file("changed.yaml", &GAME.replace("256Mi", "1Gi"));
    assert!(world.run(&["plan", "-f", &changed]).await.ok().starts_with("game/andromeda would be changed\n"));
    assert_eq!(world.run(&["plan", "-f", &changed, "-o", "name"]).await.ok(), "game/andromeda\n");
    let json = world.run(&["plan", "-f", &changed, "-o", "json"]).await.ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["items"][0]["change"], &json["items"][0]["explanation"]["kind"]),
        (&json!("configured"), &json!("Explanation"))
    );
    let version = world.files.file(
        "version.yaml",
        &format!("{GAME}---\n{}", VERSION.replace("}\nspec: {", "}\nspec: { enabled: false,")),
    );
    assert_eq!(world.run(&["plan", "-f", &version, "-o", "name"]).await.ok(), "engineversion/1.4.2\n");
    assert!(
        world.run(&["plan", "-f", &version]).await.ok().contains("game/andromeda unchanged\n  It would be")
    );
    assert_eq!(world.store.desired_seq().await.unwrap(), before, "nothing is stored");
    let wrong = world.files.file("wrong.yaml", &GAME.replace("0 18", "61 18"));
    world.run(&["plan", "-f", &wrong]).await.failed(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diff_exits_like_diff_and_shows_what_would_be_stored() {
    let world = World::new().await;
    let all = world.files.file("all.yaml", &format!("{GAME}---\n{VERSION}"));
    let new = world.run(&["diff", "-f", &all]).await;
    assert_eq!((new.code, new.stderr.as_str()), (1, ""), "{new:?}");
    assert!(
        new.stdout.contains("--- live/engineversion/1.4.2\n+++ applied/engineversion/1.4.2\n@@ -0,0 "),
        "{new:?}"
    );
    assert_eq!(world.run(&["get", "all", "-o", "name"]).await.ok(), "", "nothing is stored");

    world.run(&["apply", "-f", &all]).await.ok();
    assert_eq!(world.run(&["diff", "-f", &all]).await.ok(), "");
    // Another spelling of the same is no difference.
    let spelt = world.files.file("spelt.yaml", &GAME.replace("cpu: 0.5", "cpu: 500m"));
    assert_eq!(world.run(&["diff", "-f", &spelt]).await.ok(), "");
    let changed = world.files.file("changed.yaml", &GAME.replace("256Mi", "1Gi"));
    let differs = world.run(&["diff", "-f", &changed]).await;
    assert_eq!(differs.code, 1);
    assert!(differs.stdout.contains("-    memory: 256Mi\n+    memory: 1Gi\n"), "{differs:?}");
    assert!(
        !differs.stdout.contains("generation") && !differs.stdout.contains("last-applied"),
        "{differs:?}"
    );

    let refused = world.files.file("refused.yaml", &VERSION.replace("engine:1.4.2", "engine:other"));
    world.run(&["diff", "-f", &refused, "-f", &changed]).await.failed(2);
    world.run(&["diff", "-f", "/nonexistent"]).await.failed(2);
    world.run(&["diff"]).await.failed(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_shown_newest_last_of_a_game_or_the_controller() {
    let world = World::applied().await;
    world.happened("andromeda", "BackOff", "it exited").await;
    world.store.controller_event(true, "Frozen", "another Docker Engine answers").await.unwrap();
    world.store.controller_event(true, "Frozen", "another Docker Engine answers").await.unwrap();
    let all = world.run(&["events"]).await.ok();
    let rows: Vec<Vec<&str>> = all.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["TYPE", "REASON", "AGE", "OBJECT", "MESSAGE"]);
    assert!(rows[1].contains(&"game/andromeda") && rows[2].contains(&"controller/gamekeeper"), "{all}");
    assert!(rows[2].contains(&"(x2)"), "{all}");
    let own = world.run(&["events", "--controller"]).await.ok();
    assert!(own.contains("Frozen") && !own.contains("BackOff"), "{own}");
    let game = world.run(&["events", "andromeda"]).await.ok();
    assert!(game.contains("BackOff") && !game.contains("Frozen"), "{game}");
    assert_eq!(world.run(&["events", "-A", "--limit", "1", "-o", "name"]).await.ok().lines().count(), 1);
    assert_eq!(world.run(&["events", "-n", "other"]).await.stderr, "nothing happened lately\n");
    world.run(&["events", "nobody"]).await.failed(3);
}
