//! Whoever means harm: paths that lead elsewhere, tokens that are none, and floods.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gamekeeper::api::{HubLimits, Limits};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::kubectl::Kubectl;
use crate::tokens::TOKENS;
use crate::world::{GAMES, VERSIONS, World, client, game, read};

/// X1: names that lead elsewhere, wherever a name can stand.
#[tokio::test(flavor = "multi_thread")]
async fn no_name_in_a_path_a_body_or_a_parameter_leads_elsewhere() {
    let world = World::new().await;
    world.post(GAMES, &game("a")).await.ok(201);
    let etc = world.directory.path().join("kubeconfig");
    let secret = std::fs::read_to_string(&etc).unwrap();
    let names = [
        "..%2f..%2fkubeconfig",
        "%2e%2e%2fkubeconfig",
        "%2e%2e%5ckubeconfig",
        "..%5c..%5ckubeconfig",
        "%252e%252e%252fkubeconfig",
        "a%00",
        "a%2fstatus",
        "a%0d%0aX-Evil:1",
        "%c0%ae%c0%ae%2f",
        "....%2f%2f",
        "~",
        "%7e%2fkubeconfig",
        "file:%2f%2f%2fetc%2fpasswd",
    ];
    for name in names {
        for path in [
            format!("{GAMES}/{name}"),
            format!("{GAMES}/{name}/explain"),
            format!("{GAMES}/{name}/backups"),
            format!("/apis/gamekeeper.dev/v1/namespaces/{name}/turns/x"),
            format!("{VERSIONS}/{name}"),
            format!("{TOKENS}/{name}"),
            format!("/api/v1/namespaces/default/pods/{name}/log"),
            format!("/openapi/v3/{name}"),
            format!("/{name}"),
        ] {
            let answer = world.get(&path).await;
            assert!((400..500).contains(&answer.code.as_u16()), "{path}: {answer:?}");
            assert_eq!(answer.json["kind"], "Status", "{path}");
        }
        // A namespace of which nobody has heard has nothing in it.
        for path in [
            format!("/apis/gamekeeper.dev/v1/namespaces/{name}/games"),
            format!("/api/v1/namespaces/{name}/events"),
        ] {
            let listed = world.get(&path).await;
            assert!(listed.code != 200 || listed.json["items"] == json!([]), "{path}: {listed:?}");
        }
        let decoded = percent(name);
        for body in [game(&decoded), {
            let mut body = game("b");
            body["metadata"]["namespace"] = json!(decoded);
            body
        }] {
            let answer = world.post(GAMES, &body).await;
            assert!([400, 422].contains(&answer.code.as_u16()), "{body}: {answer:?}");
        }
        let query = format!("{GAMES}?fieldSelector=metadata.name%3D{name}&limit=5");
        let listed = world.get(&query).await;
        assert!(listed.code != 200 || listed.json["items"] == json!([]), "{query}: {listed:?}");
        let asked = world.get(&format!("{GAMES}?continue={name}")).await;
        assert!([400, 410].contains(&asked.code.as_u16()), "{asked:?}");
    }
    assert_eq!(std::fs::read_to_string(&etc).unwrap(), secret);
    assert_eq!(world.get(GAMES).await.ok(200)["items"].as_array().unwrap().len(), 1);
    world.end().await;
}

fn percent(text: &str) -> String {
    let uri: reqwest::Url = format!("http://h/?x={text}").parse().unwrap();
    let (_, value) = uri.query_pairs().next().unwrap();
    value.into_owned()
}

/// What discovery says can be done: method, path, and whether it only reads.
async fn routes(world: &World) -> Vec<(Method, String, bool)> {
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let mut found = Vec::new();
    for root in ["/api", "/apis"] {
        let request = world.request(Method::GET, root).header("accept", accept);
        let text = request.send().await.unwrap().text().await.unwrap();
        let groups: Value = serde_json::from_str(&text).unwrap();
        for group in groups["items"].as_array().unwrap() {
            let name = group["metadata"]["name"].as_str().unwrap();
            for version in group["versions"].as_array().unwrap() {
                let base = if name.is_empty() { root.to_owned() } else { format!("{root}/{name}") };
                let base = format!("{base}/{}", version["version"].as_str().unwrap());
                for kind in version["resources"].as_array().unwrap() {
                    let place = if kind["scope"] == "Namespaced" { "/namespaces/default" } else { "" };
                    let all = format!("{base}{place}/{}", kind["resource"].as_str().unwrap());
                    for verb in kind["verbs"].as_array().unwrap() {
                        found.push(request_of(verb.as_str().unwrap(), &all, &format!("{all}/x")));
                    }
                    for below in kind["subresources"].as_array().into_iter().flatten() {
                        let path = format!("{all}/x/{}", below["subresource"].as_str().unwrap());
                        for verb in below["verbs"].as_array().unwrap() {
                            found.push(request_of(verb.as_str().unwrap(), &path, &path));
                        }
                    }
                }
            }
        }
    }
    found
}

fn request_of(verb: &str, all: &str, one: &str) -> (Method, String, bool) {
    let (method, path) = match verb {
        "list" => (Method::GET, all.to_owned()),
        "watch" => (Method::GET, format!("{all}?watch=true&timeoutSeconds=1")),
        "get" => (Method::GET, one.to_owned()),
        "create" => (Method::POST, all.to_owned()),
        "update" => (Method::PUT, one.to_owned()),
        "patch" => (Method::PATCH, one.to_owned()),
        "delete" => (Method::DELETE, one.to_owned()),
        "deletecollection" => (Method::DELETE, all.to_owned()),
        other => panic!("a verb that this test does not know: {other}"),
    };
    (method, path, ["list", "watch", "get"].contains(&verb))
}

/// X7: every route that discovery names, and what it does not name.
#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_no_wrong_revoked_expired_and_too_weak_a_token() {
    let world = World::new().await;
    let revoked = world.token("revoked", "admin", &[]).await;
    world.delete(&format!("{TOKENS}/revoked")).await.ok(200);
    let expired = world.token_for("expired", "admin", &[], Some(1)).await;
    let viewer = world.token("viewer", "viewer", &[]).await;
    let elsewhere = world.token("elsewhere", "admin", &["other"]).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;

    let mut all = routes(&world).await;
    let named = all.len();
    assert!(named > 40, "{all:?}");
    for path in [
        "/",
        "/version",
        "/api",
        "/apis",
        "/apis/gamekeeper.dev",
        "/openapi/v2",
        "/openapi/v3",
        "/metrics",
        "/nope",
    ] {
        all.push((Method::GET, path.into(), true));
    }
    let guessed = format!("gamekeeper_{}", "A".repeat(43));
    let (mut weak, mut far) = (0, 0);
    for (method, path, reads) in &all {
        let ask = async |token: Option<&str>| {
            let mut request = world.anonymous(method.clone(), path);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            read(request.send().await.unwrap()).await
        };
        for token in [
            None,
            Some(""),
            Some("x"),
            Some(world.token[1..].as_ref()),
            Some(&guessed),
            Some(&revoked),
            Some(&expired),
        ] {
            ask(token).await.refused(401, "Unauthorized");
        }
        // Everybody may ask about themselves, and a plan changes nothing.
        let oneself = path.contains("/selfsubject") || path.ends_with("/plan");
        if !reads && !oneself {
            ask(Some(&viewer)).await.refused(403, "Forbidden");
            weak += 1;
        }
        let of_all = ["engineversions", "customresourcedefinitions"].iter().any(|kind| path.contains(kind));
        let is_object = path.split('/').count() > 4;
        if is_object && !path.contains("/selfsubject") && !(*reads && of_all) {
            ask(Some(&elsewhere)).await.refused(403, "Forbidden");
            far += 1;
        }
    }
    assert!(weak > 15 && far > 35, "{weak} and {far} of {named}");
    // What a role may not see in a list, it may not see by itself.
    for path in [TOKENS.to_owned(), format!("{TOKENS}/viewer")] {
        world.by(&viewer, Method::GET, &path, None).await.refused(403, "Forbidden");
    }
    world.end().await;
}

/// A client with a connection of its own.
fn newcomer(world: &World) -> reqwest::Client {
    client(&std::fs::read_to_string(world.directory.path().join("tls/ca.crt")).unwrap())
}

/// How long it takes a newcomer to be served.
async fn served(world: &World, token: &str) -> Duration {
    let begun = Instant::now();
    let request = newcomer(world).get(format!("https://{}{GAMES}", world.address)).bearer_auth(token);
    read(request.send().await.unwrap()).await.ok(200);
    begun.elapsed()
}

/// X10: connections that say nothing, or say it slowly.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_connections_that_say_nothing_keeps_nobody_out() {
    let world = World::new().await;
    let mut idle = Vec::new();
    for number in 0..700 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        if number % 2 == 0 {
            // The beginning of a handshake, and then nothing.
            let _ = stream.write_all(&[0x16, 0x03, 0x01]).await;
        }
        idle.push(stream);
    }
    let took = served(&world, &world.token).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    // So do those who shook hands and send a header for ever.
    let mut slow = Vec::new();
    for _ in 0..20 {
        let connection = newcomer(&world);
        let body = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        let request = connection
            .post(format!("https://{}{GAMES}", world.address))
            .body(reqwest::Body::wrap_stream(body));
        slow.push(tokio::spawn(request.bearer_auth("nobody").send()));
    }
    let took = served(&world, &world.token).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    for task in slow {
        task.abort();
    }
    drop(idle);
    world.end().await;
}

/// X10: one client sends as fast as it can; another one is served as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_requests_is_told_to_wait_and_others_are_served() {
    let world = World::with_bounds(Limits { requests: 20, ..Limits::default() }).await;
    let (flood, other) =
        (world.token("flood", "viewer", &[]).await, world.token("other", "viewer", &[]).await);
    let (mut codes, begun) = (Vec::new(), Instant::now());
    for _ in 0..200 {
        let response = world.anonymous(Method::GET, GAMES).bearer_auth(&flood).send().await.unwrap();
        if response.status() == 429 {
            assert_eq!(response.headers()["retry-after"], "1");
            let status = read(response).await.refused(429, "TooManyRequests");
            assert_eq!(status["details"]["retryAfterSeconds"], 1);
            codes.push(429);
        } else {
            codes.push(response.status().as_u16());
        }
    }
    let good = codes.iter().filter(|code| **code == 200).count();
    assert!(good >= 80 && good as f64 <= 81.0 + 20.0 * begun.elapsed().as_secs_f64(), "{good}");
    assert!(codes.contains(&429), "{good} in {:?}", begun.elapsed());
    assert!(served(&world, &other).await < Duration::from_secs(3));
    // kubectl waits as it is told, and comes through.
    for kubectl in Kubectl::all(&world) {
        kubectl.with_token(&flood).ok(&["get", "games"]).await;
    }
    world.end().await;
}

/// X10: turns forced as fast as one can.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_forced_turns_is_bounded_and_others_are_served() {
    let world = World::with_bounds(Limits { requests: 20, ..Limits::default() }).await;
    world.post(GAMES, &game("a")).await.ok(201);
    let (flood, other) =
        (world.token("flood", "lobby", &[]).await, world.token("other", "viewer", &[]).await);
    let (mut tasks, mut codes, begun) = (Vec::new(), BTreeSet::new(), Instant::now());
    for number in 1..=200 {
        let path = format!("{GAMES}/a");
        let request = world.anonymous(Method::PATCH, &path).bearer_auth(&flood);
        let request = request.header("content-type", "application/merge-patch+json");
        let patch = json!({ "spec": { "forceTurnGeneration": number } });
        tasks.push(tokio::spawn(request.body(patch.to_string()).send()));
    }
    let took = served(&world, &other).await;
    for task in tasks {
        codes.insert(task.await.unwrap().unwrap().status());
    }
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(codes.contains(&StatusCode::TOO_MANY_REQUESTS), "{codes:?}");
    let changes = world.database.count("SELECT count(*) FROM game_changes").await;
    assert!(changes as f64 <= 82.0 + 20.0 * begun.elapsed().as_secs_f64(), "{changes}");
    world.end().await;
}

/// X10: guesses from one address are told to wait, and who has a token does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_guesses_is_told_to_wait_and_who_has_a_token_is_not() {
    let world = World::with_bounds(Limits { failures: 5, ..Limits::default() }).await;
    let mut codes = Vec::new();
    for number in 0..60 {
        let request = world.anonymous(Method::GET, GAMES).bearer_auth(format!("guess{number}"));
        codes.push(request.send().await.unwrap().status().as_u16());
        world.get(GAMES).await.ok(200);
    }
    assert!(codes[..20].iter().all(|code| *code == 401) && codes.contains(&429), "{codes:?}");
    world.end().await;
}

/// X10: watches of one client, and of all.
#[tokio::test(flavor = "multi_thread")]
async fn watches_are_bounded_for_each_client_and_in_all() {
    let world = World::with_limits(HubLimits { watches: 3, all_watches: 5, ..HubLimits::default() }).await;
    let path = format!("{GAMES}?watch=true");
    let mut tokens = Vec::new();
    for name in ["a", "b", "c"] {
        tokens.push(world.token(name, "viewer", &[]).await);
    }
    let mut open = Vec::new();
    let mut opened = async |token: &str| {
        let response = world.anonymous(Method::GET, &path).bearer_auth(token).send().await.unwrap();
        let code = response.status().as_u16();
        open.push(response);
        code
    };
    let mut codes = Vec::new();
    for token in &tokens {
        for _ in 0..4 {
            codes.push(opened(token).await);
        }
    }
    assert_eq!(codes, [200, 200, 200, 429, 200, 200, 429, 429, 429, 429, 429, 429]);
    drop(open);
    world.end().await;
}

/// X10: one client opens as many connections as it can.
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_one_client_leave_some_for_others() {
    let limits = Limits { connections: 6, connections_of_one: 4, ..Limits::default() };
    let world = World::with_bounds(limits).await;
    let (flood, other) =
        (world.token("flood", "viewer", &[]).await, world.token("other", "viewer", &[]).await);
    let (mut held, mut codes) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        let connection = newcomer(&world);
        let request = connection.get(format!("https://{}{GAMES}", world.address)).bearer_auth(&flood);
        codes.push(request.send().await.unwrap().status().as_u16());
        held.push(connection);
    }
    assert_eq!(codes, [200, 200, 200, 200, 429, 429, 429, 429]);
    served(&world, &other).await;
    world.end().await;
}
