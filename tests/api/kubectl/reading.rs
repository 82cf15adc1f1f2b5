//! What there is, explained and shown.

use super::{Kubectl, words};
use crate::world::{GAMES, VERSIONS, World, game, version};

async fn world() -> World {
    let world = World::new().await;
    world.post(VERSIONS, &version("1.4.2")).await.ok(201);
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let mut other = game("borealis");
    other["metadata"]["labels"]["season"] = "8".into();
    other["spec"]["desiredStatus"] = "Stopped".into();
    other["spec"].as_object_mut().unwrap().remove("players");
    world.post(GAMES, &other).await.ok(201);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_learns_what_there_is() {
    let world = world().await;
    for kubectl in Kubectl::all(&world) {
        let version: serde_json::Value =
            serde_json::from_str(&kubectl.ok(&["version", "-o", "json"]).await).unwrap();
        assert_eq!(version["serverVersion"]["minor"], "31");
        assert_eq!(
            kubectl.ok(&["api-versions"]).await,
            "apiextensions.k8s.io/v1\napps/v1\nauthentication.k8s.io/v1\nauthorization.k8s.io/v1\n\
             events.k8s.io/v1\ngamekeeper.dev/v1\nv1\n"
        );

        let resources = kubectl.ok(&["api-resources", "--no-headers"]).await;
        let resources = words(&resources);
        for expected in [
            ["games", "gm", "gamekeeper.dev/v1", "true", "Game"].as_slice(),
            &["engineversions", "ev,gmv", "gamekeeper.dev/v1", "false", "EngineVersion"],
            &["turns", "gamekeeper.dev/v1", "true", "Turn"],
            &["events", "v1", "true", "Event"],
            &["events", "events.k8s.io/v1", "true", "Event"],
            &["pods", "po", "v1", "true", "Pod"],
            &["namespaces", "ns", "v1", "false", "Namespace"],
            &["deployments", "deploy", "apps/v1", "true", "Deployment"],
            &[
                "customresourcedefinitions",
                "crd,crds",
                "apiextensions.k8s.io/v1",
                "false",
                "CustomResourceDefinition",
            ],
        ] {
            assert!(resources.iter().any(|line| line == expected), "{expected:?} in {resources:?}");
        }
        let all = kubectl.ok(&["api-resources", "--categories", "all", "-o", "name"]).await;
        assert_eq!(all, "games.gamekeeper.dev\n");
        let deletable = kubectl.ok(&["api-resources", "--verbs", "delete", "-o", "name"]).await;
        assert_eq!(
            deletable,
            "accesstokens.gamekeeper.dev\nengineversions.gamekeeper.dev\ngames.gamekeeper.dev\n"
        );
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_explains_every_field() {
    let world = world().await;
    for kubectl in Kubectl::all(&world) {
        let squeezed = async |what: &str| words(&kubectl.ok(&["explain", what]).await).concat().join(" ");
        let turns = squeezed("game.spec.turns").await;
        for expected in [
            "When turns happen; absent: only when asked for.",
            "schedule <string>",
            "Cron, five fields or six with seconds first; absent or empty: only when asked for.",
            "missed <string>",
        ] {
            assert!(turns.contains(expected), "{expected} in {turns}");
        }
        let missed = squeezed("game.spec.turns.missed").await;
        assert!(missed.contains("`Skip`: None."), "{missed}");
        let players = squeezed("gm.spec.players").await;
        assert!(players.contains("raceName <string> -required-"), "{players}");
        assert!(squeezed("game.spec.players").await.contains("<[]Player>"), "{players}");
        let status = squeezed("game.status").await;
        assert!(status.contains("phase <string>") && status.contains("conditions <[]"), "{status}");
        assert!(squeezed("ev.spec.image").await.contains("The image reference. It never changes"));
        assert!(squeezed("turns.status.attempts").await.contains("How often the engine was asked."));
        assert!(squeezed("events.involvedObject").await.contains("What it is about."));
        let all = kubectl.ok(&["explain", "game", "--recursive"]).await;
        assert!(all.contains("deletionPolicy") && all.contains("managedFields"), "{all}");
    }
    world.end().await;
}
