//! Asking in somebody else's name: what an admin may, and nobody else.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kubectl::Kubectl;
use crate::world::{Answer, GAMES, VERSIONS, World, game, read, version};

impl World {
    /// The admin asks with these headers.
    async fn headed(
        &self,
        headers: &[(&str, &str)],
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        read(request.send().await.unwrap()).await
    }

    async fn requested_by(&self, name: &str) -> String {
        let id = self.store.game("default", name).await.unwrap().unwrap().id;
        self.store.desired(&[id]).await.unwrap()[0].0.requested_by.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_as_somebody_may_what_they_may_and_nothing_more() {
    let world = World::new().await;
    world.post(VERSIONS, &version("1.4.1")).await.ok(201);
    world.post(GAMES, &game("a")).await.ok(201);
    world.token("ann", "viewer", &[]).await;
    let operator = world.token("ops", "operator", &[]).await;
    for kubectl in Kubectl::all(&world) {
        assert!(kubectl.ok(&["--as", "ann", "get", "games"]).await.contains('a'));
        let refused = kubectl.run(&["--as", "ann", "delete", "game", "a"]).await;
        assert!(refused.code != Some(0) && refused.err.contains("ann may not delete"), "{refused:?}");
        assert!(refused.err.contains("this user only reads"), "{refused:?}");
        // A name that nobody has may nothing, and a group what its name says.
        let nobody = kubectl.run(&["--as", "viewer", "delete", "game", "a"]).await;
        assert!(nobody.code != Some(0) && nobody.err.contains("has no role here"), "{nobody:?}");
        let grouped = ["--as", "viewer", "--as-group", "gamekeeper:viewer", "get", "games"];
        assert!(kubectl.ok(&grouped).await.contains('a'));
        let who = kubectl.ok(&["--as", "ann", "auth", "whoami"]).await;
        assert!(who.contains("ann") && who.contains("gamekeeper:viewer"), "{who}");
        let can = kubectl.run(&["--as", "ann", "auth", "can-i", "delete", "games"]).await;
        assert!(can.out.starts_with("no"), "{can:?}");
        // Nobody but an admin: not even as themselves, and not to see less.
        for other in ["admin", "ann", "ops"] {
            let refused = kubectl.with_token(&operator).run(&["--as", other, "get", "games"]).await;
            assert!(refused.code != Some(0) && refused.err.contains("it needs an admin's"), "{refused:?}");
        }
    }
    world.get(&format!("{GAMES}/a")).await.ok(200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_in_somebodys_name_has_both_names() {
    let world = World::new().await;
    world.post(VERSIONS, &version("1.4.1")).await.ok(201);
    world.token("lob", "lobby", &["default"]).await;
    let as_lobby = [("impersonate-user", "lob")];
    world.headed(&as_lobby, Method::POST, GAMES, Some(&game("b"))).await.ok(201);
    assert_eq!(world.requested_by("b").await, "admin as lob");
    let id = world.store.game("default", "b").await.unwrap().unwrap().id;
    let source = &world.store.desired(&[id]).await.unwrap()[0].0.source;
    assert_eq!(format!("{source:?}"), "Lobby", "it is taken for what its writer is");
    let longest = "x".repeat(100);
    let by_group = [("impersonate-user", &*longest), ("impersonate-group", "gamekeeper:operator")];
    world.headed(&by_group, Method::POST, GAMES, Some(&game("c"))).await.ok(201);
    assert_eq!(world.requested_by("c").await, format!("admin as {longest}"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_nobody_is_refused_and_never_done_as_the_admin() {
    let world = World::new().await;
    let held = world.token("held", "admin", &["s7"]).await;
    for headers in [
        &[("impersonate-group", "gamekeeper:viewer")][..],
        &[("impersonate-user", "a"), ("impersonate-user", "b")],
        &[("impersonate-user", "")],
        &[("impersonate-user", "a"), ("impersonate-uid", "7")],
        &[("impersonate-extra-scopes", "all")],
        &[("impersonate-user", "a"), ("impersonate-group", "gamekeeper:king")],
    ] {
        let answer = world.headed(headers, Method::POST, GAMES, Some(&game("d"))).await;
        answer.refused(400, "BadRequest");
    }
    // Admin of some namespaces is no admin of who somebody is.
    let path = "/apis/gamekeeper.dev/v1/namespaces/s7/games";
    let asked = world.anonymous(Method::GET, path).bearer_auth(&held).header("impersonate-user", "held");
    read(asked.send().await.unwrap()).await.refused(403, "Forbidden");
    // A token that was revoked gives its name nothing any more.
    let gone = [("impersonate-user", "held")];
    world.headed(&gone, Method::GET, path, None).await.ok(200);
    world.delete("/apis/gamekeeper.dev/v1/accesstokens/held").await.ok(200);
    world.headed(&gone, Method::GET, path, None).await.refused(403, "Forbidden");
    let admin = [("impersonate-user", "admin")];
    world.headed(&admin, Method::GET, path, None).await.ok(200);
    assert_eq!(json!(world.get(&format!("{GAMES}?limit=1")).await.ok(200)["items"]), json!([]));
    world.end().await;
}
