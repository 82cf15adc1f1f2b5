//! Games and versions made, changed and deleted.

use serde_json::Value;

use super::{ANDROMEDA, Kubectl, VERSION};
use crate::world::{GAMES, VERSIONS, World};

async fn game(world: &World) -> Value {
    world.get(&format!("{GAMES}/andromeda")).await.ok(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_makes_changes_and_deletes_games() {
    for number in 0..Kubectl::all(&World::new().await).len() {
        let world = World::new().await;
        let kubectl = &Kubectl::all(&world)[number];
        let manifest = kubectl.file("andromeda.yaml", ANDROMEDA);
        let version = kubectl.file("version.yaml", VERSION);

        let created = kubectl.ok(&["create", "-f", &version, "-f", &manifest, "--dry-run=server"]).await;
        assert!(created.contains("game.gamekeeper.dev/andromeda created (server dry run)"), "{created}");
        world.get(&format!("{GAMES}/andromeda")).await.refused(404, "NotFound");
        let created = kubectl.ok(&["create", "-f", &version, "-f", &manifest]).await;
        assert_eq!(
            created,
            "engineversion.gamekeeper.dev/1.4.2 created\ngame.gamekeeper.dev/andromeda created\n"
        );

        let generation = game(&world).await["metadata"]["generation"].clone();
        assert_eq!(
            kubectl.ok(&["label", "gm", "andromeda", "team=a"]).await,
            "game.gamekeeper.dev/andromeda labeled\n"
        );
        kubectl.ok(&["annotate", "gm", "andromeda", "note=hello there"]).await;
        let shown = game(&world).await;
        assert_eq!(shown["metadata"]["labels"]["team"], "a");
        assert_eq!(shown["metadata"]["annotations"]["note"], "hello there");
        assert_eq!(shown["metadata"]["generation"], generation);
        kubectl.ok(&["label", "gm", "andromeda", "team-"]).await;
        assert_eq!(game(&world).await["metadata"]["labels"]["team"], Value::Null);

        let patched = kubectl
            .ok(&["patch", "gm", "andromeda", "--type=merge", "-p", r#"{"spec":{"paused":true}}"#])
            .await;
        assert_eq!(patched, "game.gamekeeper.dev/andromeda patched\n");
        let steps = r#"[{"op":"test","path":"/spec/paused","value":true},{"op":"replace","path":"/spec/paused","value":false},{"op":"add","path":"/metadata/labels/x","value":"y"}]"#;
        kubectl.ok(&["patch", "gm", "andromeda", "--type=json", "-p", steps]).await;
        let shown = game(&world).await;
        assert_eq!(
            (&shown["spec"]["paused"], &shown["metadata"]["labels"]["x"]),
            (&false.into(), &"y".into())
        );
        let again = kubectl
            .ok(&["patch", "gm", "andromeda", "--type=merge", "-p", r#"{"spec":{"paused":false}}"#])
            .await;
        assert_eq!(again, "game.gamekeeper.dev/andromeda patched (no change)\n");

        let scaled = kubectl.ok(&["scale", "gm", "andromeda", "--replicas=0"]).await;
        assert_eq!(scaled, "game.gamekeeper.dev/andromeda scaled\n");
        assert_eq!(game(&world).await["spec"]["desiredStatus"], "Stopped");
        kubectl.ok(&["scale", "gm", "andromeda", "--current-replicas=0", "--replicas=1"]).await;
        assert_eq!(game(&world).await["spec"]["desiredStatus"], "Running");

        let script =
            kubectl.file("editor.sh", "#!/bin/sh\nsed -i 's/raceName: Terrans/raceName: Martians/' \"$1\"\n");
        let edited = kubectl.run_with(&["edit", "gm", "andromeda"], "", &format!("sh {script}")).await;
        assert_eq!(edited.out, "game.gamekeeper.dev/andromeda edited\n", "{edited:#?}");
        assert_eq!(game(&world).await["spec"]["players"][0]["raceName"], "Martians");

        let yaml = kubectl.ok(&["get", "gm", "andromeda", "-o", "yaml"]).await;
        let stale = kubectl.file("stale.yaml", &yaml);
        let fresh = kubectl.file("fresh.yaml", &yaml.replace("Martians", "Venusians"));
        assert_eq!(kubectl.ok(&["replace", "-f", &fresh]).await, "game.gamekeeper.dev/andromeda replaced\n");
        assert_eq!(game(&world).await["spec"]["players"][0]["raceName"], "Venusians");
        let refused = kubectl.fails(&["replace", "-f", &stale]).await;
        assert!(refused.contains("the object has been modified"), "{refused}");

        let deleted =
            kubectl.ok(&["delete", "gm", "andromeda", "--wait=false", "--cascade=foreground"]).await;
        assert!(deleted.contains("game.gamekeeper.dev \"andromeda\" deleted"), "{deleted}");
        let going = game(&world).await;
        assert!(going["metadata"]["deletionTimestamp"].is_string(), "{going:#}");
        assert_eq!(going["metadata"]["finalizers"][0], "gamekeeper.dev/engine");
        let shown = kubectl.ok(&["get", "gm", "andromeda", "--no-headers"]).await;
        assert_eq!(super::words(&shown)[0][2], "Deleting");
        kubectl.fails(&["delete", "ev", "1.4.2", "--wait=false"]).await;
        world.sql("DELETE FROM games").await;
        kubectl.ok(&["delete", "ev", "1.4.2", "--wait=false"]).await;
        world.get(&format!("{VERSIONS}/1.4.2")).await.refused(404, "NotFound");
        world.end().await;
    }
}
