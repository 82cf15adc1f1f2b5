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
            "authentication.k8s.io/v1\nauthorization.k8s.io/v1\ngamekeeper.dev/v1\nv1\n"
        );

        let resources = kubectl.ok(&["api-resources", "--no-headers"]).await;
        let resources = words(&resources);
        for expected in [
            ["games", "gm", "gamekeeper.dev/v1", "true", "Game"].as_slice(),
            &["engineversions", "ev,gmv", "gamekeeper.dev/v1", "false", "EngineVersion"],
            &["turns", "gamekeeper.dev/v1", "true", "Turn"],
            &["events", "v1", "true", "Event"],
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

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_games_in_columns_and_in_full() {
    let world = world().await;
    for kubectl in Kubectl::all(&world) {
        let shown = kubectl.ok(&["get", "games"]).await;
        let shown = words(&shown);
        assert_eq!(
            shown[0],
            ["NAME", "DESIRED", "PHASE", "READY", "VERSION", "TURN", "NEXT-TURN", "RESTARTS", "AGE"]
        );
        let age = shown[1][8];
        assert!(age.ends_with('s'), "{age}");
        let row = ["andromeda", "Running", "<none>", "Unknown", "1.4.2", "<none>", "<none>", "0"];
        assert_eq!(shown[1][..8], row);
        assert_eq!((shown.len(), shown[2][0], shown[2][1]), (3, "borealis", "Stopped"));

        let wide = kubectl.ok(&["get", "gm", "andromeda", "-o", "wide"]).await;
        assert_eq!(words(&wide)[0][9..], ["IMAGE", "ENDPOINT", "CONTAINER", "REASON"]);
        assert_eq!(words(&wide).len(), 2);
        let everywhere = kubectl.ok(&["get", "games", "-A"]).await;
        assert_eq!(words(&everywhere)[0][..2], ["NAMESPACE", "NAME"]);
        assert_eq!(words(&everywhere)[1][..2], ["default", "andromeda"]);

        assert_eq!(
            kubectl.ok(&["get", "games", "-o", "name"]).await,
            "game.gamekeeper.dev/andromeda\ngame.gamekeeper.dev/borealis\n"
        );
        let path = "-o=jsonpath={.items[*].spec.desiredStatus}";
        assert_eq!(kubectl.ok(&["get", "games", path]).await, "Running Stopped");
        let yaml = kubectl.ok(&["get", "game", "andromeda", "-o", "yaml"]).await;
        assert!(yaml.starts_with("apiVersion: gamekeeper.dev/v1\nkind: Game\n"), "{yaml}");
        assert!(yaml.contains("raceName: Terrans") && !yaml.contains("managedFields"), "{yaml}");
        let managed = kubectl.ok(&["get", "game", "andromeda", "-o", "yaml", "--show-managed-fields"]).await;
        assert!(managed.contains("f:desiredStatus"), "{managed}");
        let json = kubectl.ok(&["get", "game/andromeda", "ev/1.4.2", "-o", "json"]).await;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["kind"], &json["items"][1]["kind"]), (&"List".into(), &"EngineVersion".into()));

        let names = async |arguments: &[&str]| {
            let mut all = vec!["get", "games", "--no-headers"];
            all.extend(arguments);
            let shown = kubectl.ok(&all).await;
            words(&shown).iter().map(|line| line[0].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&["-l", "season=8"]).await, ["borealis"]);
        assert_eq!(names(&["-l", "season in (7,9)"]).await, ["andromeda"]);
        assert_eq!(names(&["--field-selector", "metadata.name=borealis"]).await, ["borealis"]);
        assert_eq!(names(&["--sort-by", ".spec.desiredStatus"]).await, ["andromeda", "borealis"]);
        assert_eq!(names(&["--sort-by", "{.metadata.labels.season}"]).await, ["andromeda", "borealis"]);
        let none = kubectl.run(&["get", "games", "-l", "season=9"]).await;
        assert_eq!((none.code, none.err.as_str()), (Some(0), "No resources found in default namespace.\n"));
        let labels = kubectl.ok(&["get", "games", "-L", "season"]).await;
        assert_eq!(words(&labels)[0][9], "SEASON");
        let custom = kubectl.ok(&["get", "games", "-o", "custom-columns=N:.metadata.name"]).await;
        assert_eq!(custom, "N\nandromeda\nborealis\n");

        let versions = kubectl.ok(&["get", "ev"]).await;
        assert_eq!(
            words(&versions)[0],
            ["NAME", "IMAGE", "ENABLED", "GAMES", "RUNNING", "FAILURES", "HALTED", "AGE"]
        );
        let row = ["1.4.2", "gamekeeper/reference-engine:1.4.2", "true", "2", "0", "0", "false"];
        assert_eq!(words(&versions)[1][..7], row);
        let all = kubectl.ok(&["get", "all"]).await;
        assert_eq!(words(&all)[1][0], "andromeda");
        for kind in ["turns", "turnslots", "operations", "playermappings", "events", "outbox"] {
            kubectl.ok(&["get", kind]).await;
        }
        let described = kubectl.ok(&["describe", "gm", "andromeda"]).await;
        assert!(described.contains("Terrans") && described.contains("Events:"), "{described}");
        kubectl.ok(&["describe", "ev", "1.4.2"]).await;
        let scale = kubectl.ok(&["get", "game", "andromeda", "--subresource=scale", "-o", "json"]).await;
        assert!(scale.contains("\"replicas\": 1"), "{scale}");
    }
    world.end().await;
}
