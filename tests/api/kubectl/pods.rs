//! Engines' containers as Pods.

use serde_json::Value;

use super::{Kubectl, conditions, running, words};
use crate::logs::world_with_docker;
use crate::stream::Watch;
use crate::world::{GAMES, World, game};

async fn world() -> World {
    let world = World::new().await;
    running(&world, "andromeda").await;
    let mut other = game("borealis");
    other["metadata"]["labels"]["season"] = "8".into();
    world.post(GAMES, &other).await.ok(201);
    let mut stopped = game("cygnus");
    stopped["spec"]["desiredStatus"] = "Stopped".into();
    world.post(GAMES, &stopped).await.ok(201);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_the_engines_containers_as_pods() {
    let world = world().await;
    for kubectl in Kubectl::all(&world) {
        let shown = kubectl.ok(&["get", "pods"]).await;
        let shown = words(&shown);
        assert_eq!(shown[0], ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
        assert_eq!(shown[1][..4], ["andromeda", "1/1", "Running", "0"]);
        assert_eq!(shown[2][..4], ["borealis", "0/1", "ContainerCreating", "0"]);
        assert_eq!(shown.len(), 3, "a stopped game has none: {shown:?}");
        let wide = kubectl.ok(&["get", "po", "andromeda", "-o", "wide"]).await;
        assert_eq!(words(&wide)[0][5..], ["IP", "NODE"]);
        assert_eq!(words(&wide)[1][5..], ["172.18.0.3", "docker"]);
        let names = async |arguments: &[&str]| {
            let mut all = vec!["get", "pods", "-o", "name"];
            all.extend(arguments);
            kubectl.ok(&all).await
        };
        assert_eq!(names(&["-l", "season=8"]).await, "pod/borealis\n");
        assert_eq!(names(&["-l", "gamekeeper.dev/game=andromeda"]).await, "pod/andromeda\n");
        assert_eq!(names(&["-A", "--field-selector", "status.phase=Running"]).await, "pod/andromeda\n");
        assert_eq!(names(&["--chunk-size=1"]).await, "pod/andromeda\npod/borealis\n");
        let path = "-o=jsonpath={.items[*].status.containerStatuses[0].containerID}";
        assert_eq!(kubectl.ok(&["get", "pods", path]).await, "docker://c0ffee00c0ffee");
        assert_eq!(
            kubectl.fails(&["get", "pod", "cygnus"]).await,
            "Error from server (NotFound): pods \"cygnus\" not found\n"
        );
        kubectl.ok(&["wait", "pod/andromeda", "--for=condition=Ready", "--timeout=20s"]).await;
        let explained = kubectl.ok(&["explain", "pod.status.containerStatuses"]).await;
        assert!(explained.contains("How often it was healed by a restart."), "{explained}");
        // One line of a game is enough.
        let all = kubectl.ok(&["get", "all"]).await;
        assert_eq!(words(&all).len(), 4, "{all}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_describes_a_pod_with_what_happened_to_its_game() {
    let world = World::new().await;
    let id = running(&world, "andromeda").await;
    world
        .sql(&format!(
            "INSERT INTO events (uid, kind, namespace, name, type, reason, message, count,
                 first_at, last_at)
             VALUES ('{id}', 'Game', 'default', 'andromeda', 'normal', 'Healed', 'It was healed.', 2,
                 '2026-11-01T00:00:00+00:00', '2026-11-01T00:01:00+00:00')"
        ))
        .await;
    for kubectl in Kubectl::all(&world) {
        let described = kubectl.ok(&["describe", "pod", "andromeda"]).await;
        for expected in [
            "gamekeeper/reference-engine:1.4.2",
            "docker://c0ffee00c0ffee",
            "Ready",
            "Healed",
            "It was healed.",
        ] {
            assert!(described.contains(expected), "{expected} in {described}");
        }
        let described = kubectl.ok(&["describe", "deployment", "andromeda"]).await;
        assert!(described.contains("Healed") && described.contains("1 desired"), "{described}");
        for of in ["pod/andromeda", "deploy/andromeda", "game/andromeda"] {
            let events = kubectl.ok(&["events", "--for", of]).await;
            assert!(events.contains("It was healed."), "{of}: {events}");
        }
        let events = kubectl.ok(&["get", "events.events.k8s.io"]).await;
        assert_eq!(words(&events)[1][1..4], ["Normal", "Healed", "game/andromeda"]);
        let events = kubectl.ok(&["get", "events"]).await;
        assert_eq!(words(&events)[1][1..4], ["Normal", "Healed", "game/andromeda"]);
    }
    let list = "/apis/events.k8s.io/v1/namespaces/default/events";
    let events = world.get(&format!("{list}?fieldSelector=regarding.kind=Game")).await.ok(200);
    let event = &events["items"][0];
    assert_eq!((&events["kind"], &event["apiVersion"]), (&"EventList".into(), &"events.k8s.io/v1".into()));
    assert_eq!((&event["note"], &event["deprecatedCount"]), (&"It was healed.".into(), &2.into()));
    assert_eq!(event["eventTime"], "2026-11-01T00:00:00.000000Z");
    assert_eq!((&event["regarding"]["name"], &event["series"]["count"]), (&"andromeda".into(), &2.into()));
    let of_one = world.get(&format!("{list}?fieldSelector=regarding.name=andromeda")).await.ok(200);
    assert_eq!(of_one["items"], events["items"]);
    let none = world.get(&format!("{list}?fieldSelector=regarding.kind=Pod,type=Warning")).await.ok(200);
    assert_eq!(none["items"], Value::Array(Vec::new()));
    world.get(&format!("{list}?fieldSelector=involvedObject.name=a")).await.refused(400, "BadRequest");
    let mut watch = Watch::open(&world, &format!("{list}?watch=true")).await;
    assert_eq!(watch.next().await.object["note"], "It was healed.");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_is_told_what_a_pod_is_not_good_for() {
    let world = world().await;
    for kubectl in Kubectl::all(&world) {
        let file = kubectl.file("file", "text");
        for tried in [
            ["exec", "andromeda", "--", "ls"].as_slice(),
            &["attach", "andromeda"],
            &["cp", &file, "andromeda:/tmp/file"],
            &["port-forward", "andromeda", ":8080"],
        ] {
            let refused = kubectl.fails(tried).await;
            assert!(refused.contains("not possible here yet"), "{tried:?}: {refused}");
        }
        let refused = kubectl.fails(&["delete", "pod", "andromeda"]).await;
        assert!(refused.contains("kubectl rollout restart deploy/"), "{refused}");
        let refused = kubectl.fails(&["label", "pod", "andromeda", "a=b"]).await;
        assert!(refused.contains("a game's container, shown"), "{refused}");
        let refused = kubectl.fails(&["run", "x", "--image=y"]).await;
        assert!(refused.contains("a game's container, shown"), "{refused}");
        let refused = kubectl.fails(&["top", "pods"]).await;
        assert!(refused.contains("Metrics API not available"), "{refused}");
        let refused = kubectl.fails(&["top", "nodes"]).await;
        assert!(refused.contains("Metrics API not available"), "{refused}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_pods_tells_what_a_pod_shows_and_nothing_else() {
    let world = World::new().await;
    let id = running(&world, "andromeda").await;
    let pods = "/api/v1/namespaces/default/pods";
    let list = world.get(pods).await.ok(200);
    let games = world.get(GAMES).await.ok(200);
    assert_eq!(
        list["metadata"]["resourceVersion"], games["metadata"]["resourceVersion"],
        "one order of changes"
    );
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = Watch::open(&world, &format!("{pods}?watch=true&resourceVersion={version}")).await;
    world.sql(&format!("UPDATE runtime_records SET current_turn = 7 WHERE game_id = '{id}'")).await;
    watch.is_silent().await;
    let down = conditions("False");
    world
        .sql(&format!(
            "UPDATE runtime_records SET status = 'crash_loop', conditions = '{down}' WHERE game_id = '{id}'"
        ))
        .await;
    let line = watch.next().await;
    assert_eq!(line.told(), "MODIFIED andromeda");
    assert_eq!(
        line.object["status"]["containerStatuses"][0]["state"]["waiting"]["reason"],
        "CrashLoopBackOff"
    );
    assert_eq!(world.get(&format!("{pods}/andromeda")).await.ok(200), line.object);
    world.sql("UPDATE games SET desired_status = 'stopped'").await;
    watch.is_silent().await;
    world.sql("UPDATE runtime_records SET current_container_id = NULL").await;
    assert_eq!(watch.next().await.told(), "DELETED andromeda");
    world.sql("UPDATE games SET desired_status = 'running'").await;
    assert_eq!(watch.next().await.told(), "ADDED andromeda");
    let gone = Watch::open(&world, &format!("{pods}?watch=true&resourceVersion=1")).await.next().await;
    assert_eq!((gone.kind.as_str(), &gone.object["code"]), ("ERROR", &410.into()));
    let initial =
        "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch =
        Watch::open(&world, &format!("{pods}?{initial}&fieldSelector=metadata.name=andromeda")).await;
    assert_eq!(watch.next().await.told(), "ADDED andromeda");
    let that_was_all = watch.next().await;
    assert_eq!((that_was_all.kind.as_str(), &that_was_all.object["kind"]), ("BOOKMARK", &"Pod".into()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_reads_an_engine_s_log() {
    let (world, _let_go) = world_with_docker(None).await;
    world
        .sql(
            "INSERT INTO runtime_records (game_id, name, status, last_log_lines)
             SELECT game_id, name, 'running', 'one\ntwo\nthree\n' FROM games",
        )
        .await;
    for kubectl in Kubectl::all(&world) {
        for of in ["andromeda", "pod/andromeda", "deploy/andromeda"] {
            assert_eq!(kubectl.ok(&["logs", of, "--limit-bytes=4", "-f"]).await, "turn", "{of}");
        }
        assert_eq!(kubectl.ok(&["logs", "-l", "season=7", "--limit-bytes=6", "-f"]).await, "turn 1");
        assert_eq!(
            kubectl.ok(&["logs", "andromeda", "-c", "engine", "--limit-bytes=6", "-f"]).await,
            "turn 1"
        );
        let wrong = kubectl.fails(&["logs", "andromeda", "-c", "sidecar"]).await;
        assert!(wrong.contains("container sidecar is not valid for pod andromeda"), "{wrong}");
        assert_eq!(kubectl.ok(&["logs", "andromeda", "-p"]).await, "one\ntwo\nthree\n");
        assert_eq!(kubectl.ok(&["logs", "andromeda", "-p", "--tail=2"]).await, "two\nthree\n");
        assert_eq!(kubectl.ok(&["logs", "andromeda", "-p", "--limit-bytes=5"]).await, "one\nt");
    }
    world.sql("UPDATE runtime_records SET last_log_lines = NULL").await;
    for kubectl in Kubectl::all(&world) {
        let none = kubectl.fails(&["logs", "andromeda", "-p"]).await;
        assert!(none.contains("no earlier life of the engine of \"andromeda\" is on record"), "{none}");
    }
    world.end().await;
}
