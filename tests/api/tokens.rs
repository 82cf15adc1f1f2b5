//! Tokens of the database: made, good for what they say, and gone when they should be.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::kubectl::{Kubectl, words};
use crate::stream::Watch;
use crate::world::{Answer, GAMES, VERSIONS, World, game, read, version};

pub(crate) const TOKENS: &str = "/apis/gamekeeper.dev/v1/accesstokens";
/// As far behind as another server may be.
const SOON: Duration = Duration::from_secs(3);

pub(crate) fn manifest(name: &str, role: &str, namespaces: &[&str], seconds: Option<i64>) -> Value {
    let end = seconds.map(|seconds| Timestamp::now() + SignedDuration::from_secs(seconds));
    json!({
        "apiVersion": "gamekeeper.dev/v1", "kind": "AccessToken", "metadata": { "name": name },
        "spec": { "role": role, "namespaces": namespaces, "expiresAt": end },
    })
}

impl World {
    /// Makes a token.
    pub(crate) async fn token(&self, name: &str, role: &str, namespaces: &[&str]) -> String {
        self.token_for(name, role, namespaces, None).await
    }

    /// Makes one that is good for so many seconds.
    pub(crate) async fn token_for(
        &self,
        name: &str,
        role: &str,
        namespaces: &[&str],
        seconds: Option<i64>,
    ) -> String {
        let made = self.post(TOKENS, &manifest(name, role, namespaces, seconds)).await.ok(201);
        made["status"]["token"].as_str().unwrap().to_owned()
    }

    /// Asks with this token.
    pub(crate) async fn by(&self, token: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = self.anonymous(method, path).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        read(request.send().await.unwrap()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_and_kept_as_a_digest() {
    let world = World::new().await;
    let made = world.post(TOKENS, &manifest("ci", "operator", &[], Some(3_600))).await.ok(201);
    let token = made["status"]["token"].as_str().unwrap();
    assert!(token.starts_with("gamekeeper_") && token.len() == 54, "{token}");
    assert_eq!(made["status"]["createdBy"], "admin");
    for path in [TOKENS.to_owned(), format!("{TOKENS}/ci")] {
        let shown = world.get(&path).await.ok(200);
        assert!(shown.to_string().contains("\"ci\"") && !shown.to_string().contains(token), "{shown:#}");
    }
    let kept = world.database.rows("SELECT sha256 FROM access_tokens").await;
    let digest: String = kept[0].get(0);
    assert_eq!(digest, crate::world::sha256(token));
    world.by(token, Method::POST, GAMES, Some(&game("a"))).await.ok(201);
    let id = world.store.game("default", "a").await.unwrap().unwrap().id;
    assert_eq!(world.store.desired(&[id]).await.unwrap()[0].0.requested_by, "ci");

    world.post(TOKENS, &manifest("ci", "viewer", &[], None)).await.refused(409, "Conflict");
    let tried =
        world.post(&format!("{TOKENS}?dryRun=All"), &manifest("no", "viewer", &[], None)).await.ok(201);
    assert_eq!(tried["status"].get("token"), None);
    world.get(&format!("{TOKENS}/no")).await.refused(404, "NotFound");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_token_is_refused_with_its_fields() {
    let world = World::new().await;
    for (name, role, namespaces, seconds, field) in [
        ("../x", "viewer", &[][..], None, "metadata.name"),
        ("", "viewer", &[], None, "metadata.name"),
        ("Ann", "viewer", &[], None, "metadata.name"),
        (&"x".repeat(64), "viewer", &[], None, "metadata.name"),
        ("admin", "viewer", &[], None, "metadata.name"),
        ("a", "root", &[], None, "spec.role"),
        ("a", "viewer", &["ok", "../etc"], None, "spec.namespaces[1]"),
        ("a", "viewer", &["default"; 101], None, "spec.namespaces"),
        ("a", "viewer", &[], Some(-1), "spec.expiresAt"),
    ] {
        let status =
            world.post(TOKENS, &manifest(name, role, namespaces, seconds)).await.refused(422, "Invalid");
        let fields: Vec<_> =
            status["details"]["causes"].as_array().unwrap().iter().map(|c| &c["field"]).collect();
        assert!(fields.contains(&&json!(field)), "{field}: {status:#}");
    }
    let mut unknown = manifest("a", "viewer", &[], None);
    unknown["spec"]["sha256"] = json!("0".repeat(64));
    world.post(TOKENS, &unknown).await.refused(422, "Invalid");
    assert_eq!(world.get(TOKENS).await.ok(200)["items"], json!([]));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_refused_at_once_here_and_soon_elsewhere_and_its_watches_end() {
    let world = World::new().await;
    let beside = world.beside().await;
    let token = world.token("ann", "viewer", &[]).await;
    // Made here, and good there without a pause.
    let elsewhere = async |token: &str| {
        let request = world.client.get(format!("https://{}{GAMES}", beside.address)).bearer_auth(token);
        read(request.send().await.unwrap()).await
    };
    elsewhere(&token).await.ok(200);
    let mut here = Watch::of(&world, world.address, &token, &format!("{GAMES}?watch=true")).await;
    let mut there = Watch::of(&world, beside.address, &token, &format!("{GAMES}?watch=true")).await;
    world.post(GAMES, &game("a")).await.ok(201);
    assert_eq!((here.next().await.told(), there.next().await.told()), ("ADDED a".into(), "ADDED a".into()));

    let revoked = Instant::now();
    world.delete(&format!("{TOKENS}/ann")).await.ok(200);
    world.by(&token, Method::GET, GAMES, None).await.refused(401, "Unauthorized");
    here.ends().await;
    while elsewhere(&token).await.code != 401 {
        assert!(revoked.elapsed() < SOON, "still good elsewhere");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    there.ends().await;
    assert!(revoked.elapsed() < SOON, "{:?}", revoked.elapsed());
    // Another one of the same name is another one.
    let again = world.token("ann", "viewer", &[]).await;
    assert_ne!(again, token);
    world.by(&token, Method::GET, GAMES, None).await.refused(401, "Unauthorized");
    world.by(&again, Method::GET, GAMES, None).await.ok(200);
    world.delete(&format!("{TOKENS}/none")).await.refused(404, "NotFound");
    beside.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_is_refused_and_its_watches_end() {
    let world = World::new().await;
    let token = world.token_for("ann", "viewer", &[], Some(2)).await;
    let mut watch = Watch::of(&world, world.address, &token, &format!("{GAMES}?watch=true")).await;
    world.by(&token, Method::GET, GAMES, None).await.ok(200);
    watch.ends().await;
    world.by(&token, Method::GET, GAMES, None).await.refused(401, "Unauthorized");
    assert_eq!(world.get(&format!("{TOKENS}/ann")).await.ok(200)["status"]["expired"], true);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_some_namespaces_is_held_to_them() {
    let world = World::new().await;
    let token = world.token("ann", "operator", &["season-7"]).await;
    let own = GAMES.replace("default", "season-7");
    let ask = async |method: Method, path: &str, body| world.by(&token, method, path, body).await;
    let (game, version) = (game("a"), version("1.4.2"));
    ask(Method::POST, &own, Some(&game)).await.ok(201);
    ask(Method::GET, &own, None).await.ok(200);
    for path in ["/version", "/apis", "/openapi/v3", VERSIONS] {
        ask(Method::GET, path, None).await.ok(200);
    }
    for path in [
        GAMES,
        "/apis/gamekeeper.dev/v1/games",
        "/apis/gamekeeper.dev/v1/games?watch=true",
        "/apis/gamekeeper.dev/v1/games?fieldSelector=metadata.namespace%3Dseason-7",
        "/apis/gamekeeper.dev/v1/namespaces/%64efault/games",
        "/apis/gamekeeper.dev/v1/namespaces/season-7%2F..%2Fdefault/games",
        "/apis/gamekeeper.dev/v1/operations",
        "/apis/gamekeeper.dev/v1/playermappings/x",
        "/apis/gamekeeper.dev/v1/controllers/gamekeeper",
        "/api/v1/events",
        "/api/v1/namespaces/default/pods/a/log",
        "/metrics",
        TOKENS,
    ] {
        let status = ask(Method::GET, path, None).await.refused(403, "Forbidden");
        let message = status["message"].as_str().unwrap();
        assert!(message.contains("season-7") || path == TOKENS, "{path}: {message}");
    }
    ask(Method::POST, VERSIONS, Some(&version)).await.refused(403, "Forbidden");
    // An encoded name is decided about as it is served.
    ask(Method::GET, &own.replace("season", "%73eason"), None).await.ok(200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_do_everything_makes_sees_and_revokes_tokens() {
    let world = World::new().await;
    for (name, role, namespaces) in [
        ("viewer", "viewer", &[][..]),
        ("lobby", "lobby", &[]),
        ("operator", "operator", &[]),
        ("half", "admin", &["default"]),
    ] {
        let token = world.token(name, role, namespaces).await;
        for path in [TOKENS.to_owned(), format!("{TOKENS}/viewer")] {
            world.by(&token, Method::GET, &path, None).await.refused(403, "Forbidden");
        }
        let more = manifest("more", "admin", &[], None);
        world.by(&token, Method::POST, TOKENS, Some(&more)).await.refused(403, "Forbidden");
        let own = format!("{TOKENS}/{name}");
        world.by(&token, Method::DELETE, &own, None).await.refused(403, "Forbidden");
    }
    let token = world.token("second", "admin", &[]).await;
    world.by(&token, Method::DELETE, &format!("{TOKENS}/viewer"), None).await.ok(200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_makes_and_revokes_tokens() {
    let world = World::new().await;
    for kubectl in Kubectl::all(&world) {
        let file =
            kubectl.file("t.yaml", &manifest("ann", "viewer", &["s7", "s8"], Some(90 * 86_400)).to_string());
        let made = kubectl.ok(&["create", "-f", &file, "-o", "jsonpath={.status.token}"]).await;
        let table = kubectl.ok(&["get", "accesstokens"]).await;
        let rows = words(&table);
        assert_eq!(rows[0], ["NAME", "ROLE", "NAMESPACES", "CREATED-BY", "EXPIRES", "AGE"]);
        assert_eq!(rows[1][..4], ["ann", "viewer", "s7,s8", "admin"], "{table}");
        assert!(rows[1][4].starts_with("89d"), "{table}");
        let ann = kubectl.with_token(&made);
        assert!(ann.fails(&["get", "games", "-A"]).await.contains("namespaces s7, s8"));
        ann.ok(&["get", "games", "-n", "s7"]).await;
        kubectl.ok(&["delete", "accesstoken", "ann"]).await;
        ann.fails(&["get", "games", "-n", "s7"]).await;
        assert!(kubectl.ok(&["explain", "accesstoken.spec"]).await.contains("expiresAt"));
    }
    world.end().await;
}
