//! What is wrong is told as a Status that says what to do.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{GAMES, VERSIONS, World, game, read};

fn fields(status: &Value) -> Vec<&str> {
    status["details"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| cause["field"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_wrong_with_an_object_is_told_with_its_field() {
    let world = World::new().await;
    let mut wrong = game("andromeda");
    wrong["spec"]["engineVersoin"] = json!("1.4.2");
    wrong["spec"]["paused"] = json!("yes");
    let status = world.post(&format!("{GAMES}?fieldValidation=Strict"), &wrong).await.refused(422, "Invalid");
    let mut told = fields(&status);
    told.sort_unstable();
    assert_eq!(told, ["spec.engineVersoin", "spec.paused"], "{status:#}");
    assert_eq!(status["details"]["kind"], "Game");

    let mut wrong = game("andromeda");
    wrong["spec"]["turns"] = json!({ "schedule": "0 0 30 2 *", "timeZone": "Mars/Olympus" });
    wrong["spec"]["resources"] = json!({ "memory": "0" });
    let status = world.post(GAMES, &wrong).await.refused(422, "Invalid");
    assert_eq!(fields(&status), ["spec.turns.schedule", "spec.turns.timeZone", "spec.resources.memory"]);

    let tricks =
        ["ａndromeda", "аndromeda", "a\u{200b}b", "\u{202e}a", "\u{feff}a", "e\u{301}", "a\u{2044}b"];
    let long = "x".repeat(10_000);
    for name in ["..", "A", "", "a/b", "a\0", "a\u{85}", &long].into_iter().chain(tricks) {
        let status = world.post(GAMES, &game(name)).await.refused(422, "Invalid");
        assert_eq!(fields(&status), ["metadata.name"]);
        assert!(status.to_string().len() < 4_000);
    }
    assert_eq!(world.get(GAMES).await.ok(200)["items"], json!([]), "nothing was stored");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_cannot_be_taken_back_nor_moved_to_another_object() {
    let world = World::new().await;
    let path = format!("{GAMES}/andromeda");
    world.post(GAMES, &game("andromeda")).await.ok(201);
    world.patch(&path, &json!({ "spec": { "restartGeneration": 2 } })).await.ok(200);
    let status =
        world.patch(&path, &json!({ "spec": { "restartGeneration": 1 } })).await.refused(422, "Invalid");
    assert_eq!(fields(&status), ["spec.restartGeneration"]);
    assert!(status["message"].as_str().unwrap().contains("ask with 3"), "{status:#}");

    world.put(&path, &game("other")).await.refused(400, "BadRequest");
    world.patch(&path, &json!({ "metadata": { "name": "other" } })).await.refused(400, "BadRequest");
    let mut elsewhere = game("andromeda");
    elsewhere["metadata"]["namespace"] = json!("other");
    world.post(GAMES, &elsewhere).await.refused(400, "BadRequest");
    let mut versioned = game("new");
    versioned["metadata"]["resourceVersion"] = json!("1");
    world.post(GAMES, &versioned).await.refused(400, "BadRequest");
    world.post(VERSIONS, &game("andromeda")).await.refused(422, "Invalid");
    world.put(&format!("{GAMES}/none"), &game("none")).await.refused(404, "NotFound");
    world.patch(&format!("{GAMES}/none"), &json!({})).await.refused(404, "NotFound");
    world.delete(&format!("{GAMES}/none")).await.refused(404, "NotFound");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_bodies_are_refused() {
    let world = World::new().await;
    let send = async |method: Method, path: &str, kind: &str, body: String| {
        let request = world.request(method, path).header("content-type", kind).body(body);
        read(request.send().await.unwrap()).await
    };
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let bomb = (0..30).fold("a0: &a0 [x, x]\n".to_owned(), |yaml, n| {
        format!("{yaml}a{}: &a{} [*a{n}, *a{n}, *a{n}]\n", n + 1, n + 1)
    });
    for (kind, body) in [
        ("application/json", String::new()),
        ("application/json", "{".into()),
        ("application/json", "[]".into()),
        ("application/json", deep.clone()),
        ("application/json", r#"{"kind": "Game", "kind": "Game"}"#.into()),
        ("application/yaml", deep),
        ("application/yaml", "a: [".into()),
        ("application/yaml", bomb),
        ("application/yaml", "a: 1\n---\nb: 2\n".into()),
    ] {
        send(Method::POST, GAMES, kind, body).await.refused(400, "BadRequest");
    }
    let path = format!("{GAMES}/andromeda");
    world.post(GAMES, &game("andromeda")).await.ok(201);
    for kind in ["application/json", "application/strategic-merge-patch+json"] {
        let status = send(Method::PATCH, &path, kind, "{}".into()).await.refused(415, "UnsupportedMediaType");
        assert!(status["message"].as_str().unwrap().contains("application/merge-patch+json"), "{status:#}");
    }
    for (kind, body) in [
        ("application/json-patch+json", "{}"),
        ("application/json-patch+json", r#"[{"op": "move"}]"#),
        ("application/merge-patch+json", "5"),
        ("application/merge-patch+json", r#"[{"a": 1}]"#),
        ("application/apply-patch+yaml", "- a"),
    ] {
        send(Method::PATCH, &path, kind, body.into()).await.refused(400, "BadRequest");
    }
    let protobuf = "application/vnd.kubernetes.protobuf";
    send(Method::POST, GAMES, protobuf, "x".into()).await.refused(415, "UnsupportedMediaType");
    send(Method::DELETE, &path, "application/json", r#"{"preconditions": 5}"#.into())
        .await
        .refused(400, "BadRequest");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_refused_announced_or_not() {
    let world = World::new().await;
    let large = vec![b' '; (3 << 20) + 1];
    let announced = world.request(Method::POST, GAMES).body(large.clone());
    read(announced.send().await.unwrap()).await.refused(413, "RequestEntityTooLarge");
    let pieces =
        large.chunks(64 << 10).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>();
    let unannounced =
        world.request(Method::POST, GAMES).body(reqwest::Body::wrap_stream(futures::stream::iter(pieces)));
    read(unannounced.send().await.unwrap()).await.refused(413, "RequestEntityTooLarge");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_are_refused_before_they_are_sent() {
    let world = World::new().await;
    let begun = std::time::Instant::now();
    let never = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let announced = world.request(Method::POST, GAMES).header("content-length", 100 << 20);
    let answer = announced.body(reqwest::Body::wrap_stream(never)).send().await.unwrap();
    read(answer).await.refused(413, "RequestEntityTooLarge");
    // Without an end: it is cut off, whether or not the client listens while it sends.
    let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 64 << 10]));
    let endless = world.request(Method::POST, GAMES).body(reqwest::Body::wrap_stream(endless));
    if let Ok(answer) = endless.send().await {
        read(answer).await.refused(413, "RequestEntityTooLarge");
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    world.get(GAMES).await.ok(200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_methods_that_are_not_there_are_a_status_too() {
    let world = World::new().await;
    for path in
        ["/", "/nope", "/apis/gamekeeper.dev/v2", "/api/v1/nodes", "/apis/gamekeeper.dev/v1/%ff/x", "/a/../b"]
    {
        world.get(path).await.refused(404, "NotFound");
    }
    world.get(&format!("{GAMES}/%ff")).await.refused(404, "NotFound");
    world.get(&format!("{GAMES}/..%2f..%2fetc")).await.refused(404, "NotFound");
    let response = world.request(Method::DELETE, GAMES).send().await.unwrap();
    assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
    read(response).await.refused(405, "MethodNotAllowed");
    world.post("/version", &json!({})).await.refused(405, "MethodNotAllowed");
    world.get(&format!("{GAMES}?limit=1&limit=2")).await.refused(400, "BadRequest");
    world.end().await;
}

/// What only the database knows to be wrong is told as what validation finds, on both databases alike.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_refuses_is_told_with_its_field() {
    let world = World::new().await;
    let path = format!("{GAMES}/andromeda");
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let change = json!({ "spec": { "displayName": "x" } });
    if matches!(world.database, crate::database::Database::Sqlite(_)) {
        for (says, code, reason, field) in [
            ("games: display_name cannot decrease", 422, "Invalid", "spec.displayName"),
            ("games: labels: no NUL", 422, "Invalid", "metadata.labels"),
            ("games: another game has this namespace and name", 409, "AlreadyExists", ""),
            ("not on Fridays", 422, "Invalid", ""),
        ] {
            world
                .sql(&format!(
                    "CREATE TRIGGER refuses BEFORE UPDATE ON games BEGIN SELECT RAISE(ABORT, '{says}'); END"
                ))
                .await;
            let status = world.patch(&path, &change).await.refused(code, reason);
            assert!(field.is_empty() || fields(&status) == [field], "{status:#}");
            let words = says.strip_prefix("not ").is_none() || status.to_string().contains(says);
            assert!(words, "{status:#}");
            world.sql("DROP TRIGGER refuses").await;
        }
    } else {
        for (state, code, reason) in [
            ("23514", 422, "Invalid"),
            ("23502", 422, "Invalid"),
            ("23503", 422, "Invalid"),
            ("22P05", 422, "Invalid"),
            ("22021", 422, "Invalid"),
            ("22001", 422, "Invalid"),
            ("22003", 422, "Invalid"),
            ("23505", 409, "AlreadyExists"),
            ("40001", 409, "Conflict"),
            ("40P01", 409, "Conflict"),
            ("P0001", 422, "Invalid"),
            ("P0002", 422, "Invalid"),
            ("42501", 422, "Invalid"),
            ("28000", 422, "Invalid"),
            ("GK001", 422, "Invalid"),
        ] {
            world
                .sql(&format!(
                    "CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS $$
                     BEGIN RAISE EXCEPTION 'not on Fridays' USING ERRCODE = '{state}', COLUMN = 'display_name'; END $$;
                     CREATE TRIGGER refuses BEFORE UPDATE ON games FOR EACH ROW EXECUTE FUNCTION refuses()"
                ))
                .await;
            let status = world.patch(&path, &change).await.refused(code, reason);
            if code == 422 {
                assert_eq!(fields(&status), ["spec.displayName"], "{state}: {status:#}");
            }
            let is_told =
                state.starts_with("22") || state < "23514" || status.to_string().contains("not on Fridays");
            assert!(code != 422 || is_told, "{state}: {status:#}");
            world.sql("DROP TRIGGER refuses ON games; DROP FUNCTION refuses()").await;
        }
        // A trigger that cannot do its work refuses the row as well.
        world
            .sql(
                "CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN INSERT INTO bills VALUES (1); RETURN NEW; END $$;
                 CREATE TRIGGER refuses BEFORE UPDATE ON games FOR EACH ROW EXECUTE FUNCTION refuses()",
            )
            .await;
        let status = world.patch(&path, &change).await.refused(422, "Invalid");
        assert!(status.to_string().contains("bills"), "{status:#}");
        world.sql("DROP TRIGGER refuses ON games").await;
    }
    world.patch(&path, &change).await.ok(200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_anywhere_in_an_object_is_refused_with_its_field() {
    let world = World::new().await;
    let path = format!("{GAMES}/andromeda");
    world.post(GAMES, &game("andromeda")).await.ok(201);
    for (wrong, field) in [
        (json!({ "metadata": { "annotations": { "a": "b\0c" } } }), "metadata.annotations[a]"),
        (json!({ "metadata": { "labels": { "a": "\0" } } }), "metadata.labels[a]"),
        (json!({ "spec": { "displayName": "\0" } }), "spec.displayName"),
        (
            json!({ "metadata": { "managedFields": [{ "manager": "a\0", "operation": "Update", "apiVersion": "gamekeeper.dev/v1", "fieldsType": "FieldsV1", "fieldsV1": {} }] } }),
            "metadata.managedFields[0].manager",
        ),
    ] {
        let status = world.patch(&path, &wrong).await.refused(422, "Invalid");
        assert_eq!(fields(&status), [field], "{status:#}");
    }
    world.end().await;
}

/// What SQL wrote and no manifest can say stays until somebody says otherwise, and is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_is_no_text_is_kept_and_told() {
    let world = World::new().await;
    let path = format!("{GAMES}/andromeda");
    let made = world.post(GAMES, &game("andromeda")).await.ok(201);
    let id: gamekeeper::game::GameId = made["metadata"]["uid"].as_str().unwrap().parse().unwrap();
    world
        .sql(r#"UPDATE games SET labels = '{"season": 7, "team": "a"}', annotations = '{"note": [1]}'"#)
        .await;
    world.patch(&path, &json!({ "metadata": { "labels": { "team": "b" } } })).await.ok(200);
    let replaced = world.get(&path).await.ok(200);
    world.put(&path, &replaced).await.ok(200);
    let there = world.database.rows("SELECT labels, annotations FROM games").await;
    let (labels, annotations): (String, String) = (there[0].get(0), there[0].get(1));
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(read(&labels), json!({ "season": 7, "team": "b" }));
    assert_eq!(read(&annotations), json!({ "note": [1] }));
    let (desired, _) = world.store.desired(&[id]).await.unwrap().pop().unwrap();
    assert!(desired.spec.is_ok(), "what only people read is no spec: {:?}", desired.spec);
    let told = format!("{:?}", desired.cosmetic);
    assert!(
        told.contains("metadata.labels[season]") && told.contains("metadata.annotations[note]"),
        "{told}"
    );
    // Who writes that key writes it.
    world
        .patch(&path, &json!({ "metadata": { "labels": { "season": "8" }, "annotations": { "note": "x" } } }))
        .await
        .ok(200);
    let (desired, _) = world.store.desired(&[id]).await.unwrap().pop().unwrap();
    assert!(desired.spec.is_ok() && desired.cosmetic.is_empty(), "{:?}", desired.cosmetic);
    world.end().await;
}
