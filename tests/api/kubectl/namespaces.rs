//! Namespaces: there while a game is in them.

use super::{Kubectl, words};
use crate::stream::Watch;
use crate::world::{World, game};

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_the_namespaces_that_games_are_in() {
    let world = World::new().await;
    let mut other = game("vega");
    other["metadata"]["namespace"] = "league".into();
    world.post("/apis/gamekeeper.dev/v1/namespaces/league/games", &other).await.ok(201);
    for kubectl in Kubectl::all(&world) {
        let shown = kubectl.ok(&["get", "ns"]).await;
        let shown = words(&shown);
        assert_eq!(shown[0], ["NAME", "STATUS", "AGE"]);
        assert_eq!(
            (shown[1][..2].to_vec(), shown[2][..2].to_vec()),
            (vec!["default", "Active"], vec!["league", "Active"])
        );
        let name = kubectl.ok(&["get", "ns/league", "-o", "name"]).await;
        assert_eq!(name, "namespace/league\n");
        let described = kubectl.ok(&["describe", "ns", "league"]).await;
        assert!(words(&described).contains(&vec!["Status:", "Active"]), "{described}");
        assert_eq!(
            kubectl.fails(&["get", "ns", "nowhere"]).await,
            "Error from server (NotFound): namespaces \"nowhere\" not found\n"
        );
        let refused = kubectl.fails(&["create", "ns", "cup"]).await;
        assert!(refused.contains("create a game in it"), "{refused}");
        let refused = kubectl.fails(&["delete", "ns", "league", "--wait=false"]).await;
        assert!(refused.contains("delete its games"), "{refused}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_comes_with_its_first_game_and_goes_with_its_last() {
    let world = World::new().await;
    let mut watch = Watch::open(&world, "/api/v1/namespaces?watch=true").await;
    assert_eq!(watch.next().await.told(), "ADDED default");
    for name in ["vega", "lyra"] {
        let mut made = game(name);
        made["metadata"]["namespace"] = "league".into();
        world.post("/apis/gamekeeper.dev/v1/namespaces/league/games", &made).await.ok(201);
    }
    let added = watch.next().await;
    assert_eq!(added.told(), "ADDED league");
    assert_eq!(world.get("/api/v1/namespaces/league").await.ok(200), added.object);
    world.sql("DELETE FROM games WHERE name = 'vega'").await;
    watch.is_silent().await;
    world.sql("DELETE FROM games").await;
    assert_eq!(watch.next().await.told(), "DELETED league");
    world.get("/api/v1/namespaces/league").await.refused(404, "NotFound");
    world.get("/api/v1/namespaces/default").await.ok(200);
    world.end().await;
}
