//! Manifests applied, by the client and by the server.

use serde_json::Value;

use super::{ANDROMEDA, Kubectl, Said, VERSION};
use crate::world::{GAMES, World};

async fn game(world: &World) -> Value {
    world.get(&format!("{GAMES}/andromeda")).await.ok(200)
}

/// Who manages an object: names and how.
fn managers(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let told = |entry: &Value| {
        let sub = entry["subresource"].as_str().map(|sub| format!("/{sub}")).unwrap_or_default();
        format!("{}{sub} {}", entry["manager"].as_str().unwrap(), entry["operation"].as_str().unwrap())
    };
    entries.map(told).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_from_the_client() {
    for number in 0..Kubectl::all(&World::new().await).len() {
        let world = World::new().await;
        let kubectl = &Kubectl::all(&world)[number];
        let version = kubectl.file("version.yaml", VERSION);
        let manifest = kubectl.file("andromeda.yaml", ANDROMEDA);
        let apply = ["apply", "-f", &version, "-f", &manifest];
        assert_eq!(
            kubectl.ok(&apply).await,
            "engineversion.gamekeeper.dev/1.4.2 created\ngame.gamekeeper.dev/andromeda created\n"
        );
        let first = game(&world).await;
        assert_eq!(managers(&first), ["kubectl-client-side-apply Update"]);
        assert_eq!(
            kubectl.ok(&apply).await,
            "engineversion.gamekeeper.dev/1.4.2 unchanged\ngame.gamekeeper.dev/andromeda unchanged\n"
        );
        assert_eq!(game(&world).await["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);

        let changed = kubectl.file("changed.yaml", &ANDROMEDA.replace("0 18", "0 19"));
        let diff: Said = kubectl.run(&["diff", "-f", &changed]).await;
        assert_eq!(diff.code, Some(1), "{diff:#?}");
        assert!(diff.out.contains("-    schedule: 0 18 * * *\n+    schedule: 0 19 * * *\n"), "{diff:#?}");
        let same: Said = kubectl.run(&["diff", "-f", &manifest]).await;
        assert_eq!((same.code, same.out.as_str()), (Some(0), ""), "{same:#?}");
        kubectl.ok(&["apply", "-f", &changed, "--dry-run=server"]).await;
        assert_eq!(game(&world).await["spec"]["turns"]["schedule"], "0 18 * * *");
        assert_eq!(
            kubectl.ok(&["apply", "-f", &changed]).await,
            "game.gamekeeper.dev/andromeda configured\n"
        );
        assert_eq!(game(&world).await["spec"]["turns"]["schedule"], "0 19 * * *");

        // What the manifest no longer has goes.
        let less = kubectl.file("less.yaml", &ANDROMEDA.replace("  labels: { season: \"7\" }\n", ""));
        kubectl.ok(&["apply", "-f", &less]).await;
        assert_eq!(game(&world).await["metadata"]["labels"], Value::Null);
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_on_the_server() {
    for number in 0..Kubectl::all(&World::new().await).len() {
        let world = World::new().await;
        let kubectl = &Kubectl::all(&world)[number];
        let version = kubectl.file("version.yaml", VERSION);
        let manifest = kubectl.file("andromeda.yaml", ANDROMEDA);
        let apply = ["apply", "--server-side", "-f", &version, "-f", &manifest];
        let applied = "engineversion.gamekeeper.dev/1.4.2 serverside-applied\ngame.gamekeeper.dev/andromeda serverside-applied\n";
        assert_eq!(kubectl.ok(&apply).await, applied);
        let first = game(&world).await;
        assert_eq!(managers(&first), ["kubectl Apply"]);
        let fields = &first["metadata"]["managedFields"][0]["fieldsV1"];
        let player = "k:{\"userId\":\"6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10\"}";
        assert!(fields["f:spec"]["f:players"][player]["f:raceName"].is_object(), "{fields:#}");
        assert!(fields["f:spec"]["f:turns"]["f:schedule"].is_object(), "{fields:#}");
        assert_eq!(kubectl.ok(&apply).await, applied);
        let again = game(&world).await;
        assert_eq!(again["metadata"], first["metadata"], "applying twice is applying once");

        // Another manager takes a field, and is asked for it back.
        kubectl
            .ok(&[
                "patch",
                "gm",
                "andromeda",
                "--type=merge",
                "--field-manager=bot",
                "-p",
                r#"{"spec":{"turns":{"schedule":"0 20 * * *"},"paused":true}}"#,
            ])
            .await;
        assert_eq!(
            managers(&game(&world).await),
            ["kubectl Apply", "bot Update"].map(str::to_owned).into_iter().rev().collect::<Vec<_>>()
        );
        let conflict = kubectl.fails(&apply).await;
        assert!(
            conflict.contains("conflict with \"bot\" using gamekeeper.dev/v1: .spec.turns.schedule"),
            "{conflict}"
        );
        assert!(conflict.contains("--force-conflicts"), "{conflict}");
        let mut forced = apply.to_vec();
        forced.push("--force-conflicts");
        kubectl.ok(&forced).await;
        let shown = game(&world).await;
        assert_eq!(shown["spec"]["turns"]["schedule"], "0 18 * * *");
        assert_eq!(shown["spec"]["paused"], true, "what nobody applies stays");

        // What is no longer applied, and nobody else's, goes; a player as a whole.
        let other = "  - { userId: 0b6d5a2f-7f2f-4f8e-8f4e-3a55bb0d7c11, raceName: Venusians }\n";
        let two = ANDROMEDA.replace("raceName: Terrans }\n", &format!("raceName: Terrans }}\n{other}"));
        let two = kubectl.file("two.yaml", &two);
        kubectl.ok(&["apply", "--server-side", "-f", &two]).await;
        assert_eq!(game(&world).await["spec"]["players"].as_array().unwrap().len(), 2);
        let less = ANDROMEDA.replace("  resources: { cpu: 500m, memory: 256Mi, pids: 128 }\n", "");
        let less = kubectl.file("less.yaml", &less);
        kubectl.ok(&["apply", "--server-side", "-f", &less]).await;
        let shown = game(&world).await;
        assert_eq!(shown["spec"]["players"].as_array().unwrap().len(), 1, "{shown:#}");
        assert_eq!(shown["spec"]["resources"], Value::Null);

        // A part of a manifest, by a manager of its own.
        let part = "apiVersion: gamekeeper.dev/v1\nkind: Game\nmetadata: { name: andromeda, labels: { hot: \"yes\" } }\n";
        let part = kubectl.file("part.yaml", part);
        kubectl.ok(&["apply", "--server-side", "--field-manager=labeller", "-f", &part]).await;
        let shown = game(&world).await;
        assert_eq!(
            (&shown["metadata"]["labels"]["hot"], &shown["metadata"]["labels"]["season"]),
            (&"yes".into(), &"7".into())
        );
        let diff = kubectl.run(&["diff", "--server-side", "-f", &less]).await;
        assert_eq!((diff.code, diff.out.as_str()), (Some(0), ""), "{diff:#?}");
        kubectl.ok(&["scale", "gm", "andromeda", "--replicas=0"]).await;
        let shown = managers(&game(&world).await);
        assert!(shown.iter().any(|manager| manager.ends_with("/scale Update")), "{shown:?}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_goes_over_from_client_side_to_server_side_apply() {
    for number in 0..Kubectl::all(&World::new().await).len() {
        let world = World::new().await;
        let kubectl = &Kubectl::all(&world)[number];
        let manifest = kubectl.file("andromeda.yaml", ANDROMEDA);
        kubectl.ok(&["apply", "-f", &manifest]).await;
        let over = kubectl.run(&["apply", "--server-side", "-f", &manifest]).await;
        assert_eq!(over.code, Some(0), "{over:#?}");
        let less = kubectl.file("less.yaml", &ANDROMEDA.replace("  labels: { season: \"7\" }\n", ""));
        kubectl.ok(&["apply", "--server-side", "-f", &less]).await;
        let shown = game(&world).await;
        assert_eq!(shown["metadata"]["labels"], Value::Null, "{shown:#}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sql_changed_is_not_taken_from_it_unasked() {
    let world = World::new().await;
    let kubectl = Kubectl::all(&world).pop().unwrap();
    let manifest = kubectl.file("andromeda.yaml", ANDROMEDA);
    kubectl.ok(&["apply", "--server-side", "-f", &manifest]).await;
    world.sql("UPDATE games SET desired_status = 'stopped'").await;
    let shown = game(&world).await;
    assert_eq!(managers(&shown), ["kubectl Apply", "sql Update"]);
    let conflict = kubectl.fails(&["apply", "--server-side", "-f", &manifest]).await;
    assert!(
        conflict.contains("conflict with \"sql\" using gamekeeper.dev/v1: .spec.desiredStatus"),
        "{conflict}"
    );
    kubectl.ok(&["apply", "--server-side", "--force-conflicts", "-f", &manifest]).await;
    let shown = game(&world).await;
    assert_eq!(
        (managers(&shown), &shown["spec"]["desiredStatus"]),
        (vec!["kubectl Apply".into()], &"Running".into())
    );

    // A row that was written by hand is its writer's, as far as it differs from the defaults.
    world
        .sql("INSERT INTO games (game_id, name, desired_status, paused) VALUES ('6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f99', 'lobby', 'stopped', true)")
        .await;
    let lobby = kubectl.file("lobby.yaml", &ANDROMEDA.replace("andromeda", "lobby"));
    let conflict = kubectl.fails(&["apply", "--server-side", "-f", &lobby]).await;
    assert!(conflict.contains("conflict with \"sql\""), "{conflict}");
    assert!(conflict.contains(".spec.desiredStatus") && !conflict.contains(".spec.paused"), "{conflict}");
    world.end().await;
}
