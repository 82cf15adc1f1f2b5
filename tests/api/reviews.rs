//! Questions about oneself, as kubectl asks them.

use reqwest::Method;
use serde_json::json;

use crate::kubectl::{Kubectl, words};
use crate::world::World;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_asks_what_it_may_do_and_who_it_is() {
    let world = World::new().await;
    let token = world.token("ann", "lobby", &["s7"]).await;
    for kubectl in Kubectl::all(&world) {
        assert_eq!(kubectl.ok(&["auth", "can-i", "create", "games"]).await.trim(), "yes");
        assert_eq!(kubectl.ok(&["auth", "can-i", "*", "*"]).await.trim(), "yes");
        let ann = kubectl.with_token(&token);
        let asks = async |arguments: &[&str]| {
            let said = ann.run(&[&["auth", "can-i"], arguments].concat()).await;
            let answer = said.out.split_whitespace().next().unwrap_or_default().to_owned();
            assert_eq!(said.code, Some(i32::from(answer != "yes")), "{said:?}");
            answer
        };
        for (question, expected) in [
            (&["create", "games", "-n", "s7"][..], "yes"),
            (&["create", "games"], "no"),
            (&["create", "games", "-A"], "no"),
            (&["get", "pods", "--subresource=log", "-n", "s7"], "yes"),
            (&["create", "pods", "--subresource=exec", "-n", "s7"], "no"),
            (&["list", "engineversions"], "yes"),
            (&["create", "engineversions"], "no"),
            (&["list", "accesstokens"], "no"),
            (&["get", "/version"], "yes"),
            (&["get", "/metrics"], "no"),
            (&["*", "*", "-n", "s7"], "no"),
        ] {
            assert_eq!(asks(question).await, expected, "{question:?}");
        }
        let listed = ann.ok(&["auth", "can-i", "--list", "-n", "s7"]).await;
        let games =
            words(&listed).into_iter().find(|row| row[0] == "games.gamekeeper.dev").unwrap().join(" ");
        assert!(games.contains("delete") && games.contains("watch"), "{listed}");
        assert!(!listed.contains("accesstokens"), "{listed}");
        let who = ann.ok(&["auth", "whoami"]).await;
        assert!(who.contains("ann") && who.contains("gamekeeper:lobby:s7"), "{who}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_what_a_request_would_get() {
    let world = World::new().await;
    let token = world.token("ann", "viewer", &["s7"]).await;
    for (verb, namespace, resource, method) in [
        ("list", "s7", "games", Method::GET),
        ("list", "default", "games", Method::GET),
        ("list", "s7", "operations", Method::GET),
        ("create", "s7", "games", Method::POST),
        ("list", "", "games", Method::GET),
        ("list", "", "engineversions", Method::GET),
        ("list", "", "accesstokens", Method::GET),
        ("list", "", "controllers", Method::GET),
    ] {
        let about =
            json!({ "verb": verb, "namespace": namespace, "group": "gamekeeper.dev", "resource": resource });
        let asked = json!({ "spec": { "resourceAttributes": about } });
        let answer = world.by(&token, Method::POST, REVIEWS, Some(&asked)).await.ok(201);
        let place = if namespace.is_empty() { String::new() } else { format!("namespaces/{namespace}/") };
        let path = format!("/apis/gamekeeper.dev/v1/{place}{resource}");
        let body = (method == Method::POST).then(|| json!({}));
        let code = world.by(&token, method, &path, body.as_ref()).await.code;
        assert_eq!(answer["status"]["allowed"], code != 403, "{verb} {path}: {code} {answer:#}");
        assert_eq!(answer["status"]["reason"].is_null(), code != 403);
    }
    for wrong in [json!({}), json!({ "spec": {} }), json!({ "spec": { "resourceAttributes": 5 } })] {
        world.post(REVIEWS, &wrong).await.refused(400, "BadRequest");
    }
    world
        .anonymous(Method::POST, REVIEWS)
        .json(&json!({}))
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap_err();
    world.end().await;
}
