//! What is wanted of engines, as Deployments.

use serde_json::{Value, json};

use super::{Kubectl, conditions, running, words};
use crate::world::{GAMES, World};

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/andromeda";

async fn game(world: &World) -> Value {
    world.get(&format!("{GAMES}/andromeda")).await.ok(200)
}

async fn restarts(world: &World) -> i64 {
    game(world).await["spec"]["restartGeneration"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_and_scales_a_deployment() {
    let world = World::new().await;
    running(&world, "andromeda").await;
    for kubectl in Kubectl::all(&world) {
        world.sql("UPDATE runtime_records SET observed_generation = (SELECT generation FROM games)").await;
        let shown = kubectl.ok(&["get", "deploy", "-o", "wide"]).await;
        let expected =
            ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"];
        assert_eq!(words(&shown)[0], expected);
        assert_eq!(words(&shown)[1][..4], ["andromeda", "1/1", "1", "1"]);
        assert_eq!(
            words(&shown)[1][5..],
            ["engine", "gamekeeper/reference-engine:1.4.2", "gamekeeper.dev/game=andromeda"]
        );
        kubectl.ok(&["wait", "deploy/andromeda", "--for=condition=Available", "--timeout=20s"]).await;
        assert_eq!(
            kubectl.ok(&["scale", "deploy/andromeda", "--replicas=0"]).await,
            "deployment.apps/andromeda scaled\n"
        );
        assert_eq!(game(&world).await["spec"]["desiredStatus"], "Stopped");
        let patch = r#"{"spec":{"replicas":1}}"#;
        kubectl.ok(&["patch", "deploy", "andromeda", "-p", patch]).await;
        assert_eq!(game(&world).await["spec"]["desiredStatus"], "Running");
        let wrong = kubectl.fails(&["scale", "deploy", "andromeda", "--replicas=3"]).await;
        assert!(wrong.contains("one engine (1) or none (0)"), "{wrong}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_restarts_a_rollout_once_for_each_time_it_is_asked() {
    let world = World::new().await;
    running(&world, "andromeda").await;
    for kubectl in Kubectl::all(&world) {
        let before = restarts(&world).await;
        let restarted = kubectl.ok(&["rollout", "restart", "deploy/andromeda"]).await;
        assert_eq!(restarted, "deployment.apps/andromeda restarted\n");
        assert_eq!(restarts(&world).await, before + 1);
        let mark = game(&world).await["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"].clone();
        assert!(mark.is_string());
        // The same mark is the same restart.
        let again = json!({ "spec": { "template": { "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": mark } } } } });
        kubectl.ok(&["patch", "deploy", "andromeda", "-p", &again.to_string()]).await;
        assert_eq!(restarts(&world).await, before + 1);
        // It is not yet taken up, and that is waited for.
        let status = kubectl.ok(&["rollout", "status", "deploy/andromeda", "--watch=false"]).await;
        assert!(status.starts_with("Waiting for deployment spec update to be observed"), "{status}");
        let waiting = kubectl.fails(&["rollout", "status", "deploy/andromeda", "--timeout=2s"]).await;
        assert!(waiting.contains("timed out"), "{waiting}");
        let seen = "UPDATE runtime_records SET observed_generation = (SELECT generation FROM games),
             observed_restart_generation = (SELECT restart_generation FROM games)";
        world.sql(&format!("{seen}, status = 'starting', conditions = '{}'", conditions("False"))).await;
        let status = kubectl.ok(&["rollout", "status", "deploy/andromeda", "--watch=false"]).await;
        assert!(status.contains("0 of 1 updated replicas are available"), "{status}");
        let mut waiting = kubectl.start(&["rollout", "status", "deploy/andromeda"]);
        world
            .sql(&format!(
                "UPDATE runtime_records SET status = 'running', conditions = '{}'",
                conditions("True")
            ))
            .await;
        let ended = tokio::time::timeout(std::time::Duration::from_secs(30), waiting.wait()).await;
        assert!(ended.expect("it ends").unwrap().success());
        let status = kubectl.ok(&["rollout", "status", "deploy/andromeda"]).await;
        assert!(status.contains("successfully rolled out"), "{status}");
        world.sql("UPDATE runtime_records SET status = 'blocked', reason = 'StateMissing'").await;
        let stuck = kubectl.fails(&["rollout", "status", "deploy/andromeda"]).await;
        assert!(stuck.contains("exceeded its progress deadline"), "{stuck}");
        world.sql("UPDATE runtime_records SET status = 'running'").await;
        let dry = kubectl.ok(&["scale", "deploy/andromeda", "--replicas=0", "--dry-run=server"]).await;
        assert!(dry.contains("dry run"), "{dry}");
        assert_eq!(game(&world).await["spec"]["desiredStatus"], "Running");
    }
    let writers = game(&world).await["metadata"]["managedFields"].to_string();
    assert!(writers.contains("kubectl-rollout"), "{writers}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_is_told_what_to_change_instead_of_a_deployment() {
    let world = World::new().await;
    running(&world, "andromeda").await;
    let before = game(&world).await["metadata"]["resourceVersion"].clone();
    for kubectl in Kubectl::all(&world) {
        for (tried, word) in [
            (["set", "image", "deploy/andromeda", "engine=engine:2"].as_slice(), "spec.engineVersion"),
            (&["set", "resources", "deploy/andromeda", "--limits=cpu=1"], "spec.resources"),
            (&["set", "env", "deploy/andromeda", "A=b"], "change the game"),
            (&["rollout", "pause", "deploy/andromeda"], "gamekeeper pause"),
            (&["rollout", "history", "deploy/andromeda"], "no earlier revisions"),
            (&["rollout", "undo", "deploy/andromeda"], "no earlier revisions"),
            (&["label", "deploy", "andromeda", "a=b"], "labels and annotations are the game's"),
            (&["delete", "deploy", "andromeda"], "kubectl delete gm"),
            (&["create", "deploy", "x", "--image=y"], "a Deployment is a game, shown"),
            (&["patch", "deploy", "andromeda", "-p", r#"{"spec":{"minReadySeconds":3}}"#], "change the game"),
        ] {
            let refused = kubectl.fails(tried).await;
            assert!(refused.contains(word), "{tried:?}: {refused}");
        }
        let resumed = kubectl.run(&["rollout", "resume", "deploy/andromeda"]).await;
        assert!(resumed.err.contains("is not paused"), "{resumed:#?}");
        let yaml = kubectl.ok(&["get", "deploy", "andromeda", "-o", "yaml"]).await;
        let file = kubectl.file("deployment.yaml", &yaml);
        kubectl.ok(&["replace", "-f", &file]).await;
        let applied = kubectl.fails(&["apply", "--server-side", "-f", &file]).await;
        assert!(applied.contains("apply the game"), "{applied}");
    }
    assert_eq!(game(&world).await["metadata"]["resourceVersion"], before, "nothing was written");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_written_under_the_conditions_that_its_writer_names() {
    let world = World::new().await;
    running(&world, "andromeda").await;
    let first = world.get(DEPLOYMENT).await.ok(200);
    assert_ne!(first["metadata"]["uid"], game(&world).await["metadata"]["uid"]);
    let with = |metadata: Value| json!({ "metadata": metadata, "spec": { "replicas": 0 } });
    let version = &first["metadata"]["resourceVersion"];
    let stopped = world.patch(DEPLOYMENT, &with(json!({ "resourceVersion": version }))).await.ok(200);
    assert_eq!((&stopped["kind"], &stopped["spec"]["replicas"]), (&"Deployment".into(), &0.into()));
    world.patch(DEPLOYMENT, &with(json!({ "resourceVersion": version }))).await.refused(409, "Conflict");
    world.put(DEPLOYMENT, &first).await.refused(409, "Conflict");
    let uid = &first["metadata"]["uid"];
    world.patch(DEPLOYMENT, &with(json!({ "uid": uid }))).await.ok(200);
    world.patch(DEPLOYMENT, &with(json!({ "uid": "another" }))).await.refused(409, "Conflict");
    let scale = format!("{DEPLOYMENT}/scale");
    let mut shown = world.get(&scale).await.ok(200);
    assert_eq!((&shown["metadata"]["uid"], &shown["spec"]["replicas"]), (uid, &0.into()));
    assert_eq!(shown["status"]["selector"], "gamekeeper.dev/game=andromeda");
    shown["spec"]["replicas"] = 1.into();
    assert_eq!(world.put(&scale, &shown).await.ok(200)["spec"]["replicas"], 1);
    // As kubectl patches a kind that it knows, and by steps, whose copies are bounded.
    let none = json!({ "spec": { "replicas": 0 } });
    let patched = world.patch_as("strategic-merge-patch", &scale, &none).await.ok(200);
    assert_eq!(patched["spec"]["replicas"], 0);
    let doubling: Vec<Value> =
        (0..40).map(|n| json!({ "op": "copy", "from": "", "path": format!("/b{n}") })).collect();
    for path in [&scale, DEPLOYMENT] {
        let refused = world.patch_as("json-patch", path, &json!(doubling)).await.refused(422, "Invalid");
        assert!(refused["message"].as_str().unwrap().contains("copies too much"), "{refused}");
    }
    world.put(&scale, &shown).await.refused(409, "Conflict");
    let missing = DEPLOYMENT.replace("andromeda", "nobody");
    let missing = world.patch(&missing, &with(json!({}))).await.refused(404, "NotFound");
    assert_eq!(missing["details"]["kind"], "deployments");

    // Restarts that come at the same time are each counted.
    let before = restarts(&world).await;
    let mark = |at: u8| {
        let annotations = json!({ "kubectl.kubernetes.io/restartedAt": at.to_string() });
        json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } })
    };
    let marks: Vec<Value> = (0..4).map(mark).collect();
    for answer in futures::future::join_all(marks.iter().map(|mark| world.patch(DEPLOYMENT, mark))).await {
        answer.ok(200);
    }
    assert_eq!(restarts(&world).await, before + 4);
    world.end().await;
}
