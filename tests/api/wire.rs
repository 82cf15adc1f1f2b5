//! What clients of Kubernetes' API send and get, byte by byte: forms of answers, kinds of bodies.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stream::Watch;
use crate::world::{Answer, GAMES, VERSIONS, World, game, read, version};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

async fn accepting(world: &World, path: &str, accept: &str) -> Value {
    let answer = world.request(Method::GET, path).header("accept", accept).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

async fn send(world: &World, method: Method, path: &str, kind: &str, body: &str) -> Answer {
    let request = world.request(method, path).header("content-type", kind).body(body.to_owned());
    read(request.send().await.unwrap()).await
}

async fn patch(world: &World, path: &str, kind: &str, body: &str) -> Answer {
    send(world, Method::PATCH, path, kind, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_objects_come_as_tables_with_as_much_of_each_as_was_asked_for() {
    let world = World::new().await;
    let made = world.post(GAMES, &game("andromeda")).await.ok(201);
    let table = accepting(&world, GAMES, TABLE).await;
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    let list = world.get(GAMES).await.ok(200);
    assert_eq!(table["metadata"], list["metadata"]);
    let row = &table["rows"][0];
    assert_eq!(row["cells"][0], "andromeda");
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(
        (&row["object"]["metadata"]["uid"], &row["object"]["spec"]),
        (&made["metadata"]["uid"], &Value::Null)
    );

    let one = format!("{GAMES}/andromeda");
    let whole = accepting(&world, &format!("{one}?includeObject=Object"), TABLE).await;
    assert_eq!(whole["rows"][0]["object"]["spec"], made["spec"]);
    assert_eq!(whole["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    let none = accepting(&world, &format!("{one}?includeObject=None"), TABLE).await;
    assert_eq!(none["rows"][0]["object"], Value::Null);
    let wrong = world.request(Method::GET, &format!("{one}?includeObject=All")).header("accept", TABLE);
    read(wrong.send().await.unwrap()).await.refused(400, "BadRequest");
    // An error is a Status in any form.
    let missing = world.request(Method::GET, &format!("{GAMES}/none")).header("accept", TABLE);
    read(missing.send().await.unwrap()).await.refused(404, "NotFound");

    let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let partial = accepting(&world, GAMES, metadata).await;
    assert_eq!(partial["kind"], "PartialObjectMetadataList");
    assert_eq!(
        (&partial["items"][0]["metadata"]["name"], &partial["items"][0]["spec"]),
        (&json!("andromeda"), &Value::Null)
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_comes_in_the_form_that_was_asked_for_line_by_line() {
    let world = World::new().await;
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let all = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = Watch::accepting(&world, &format!("{GAMES}?{all}"), TABLE).await;
    let first = watch.next().await;
    let list = accepting(&world, GAMES, TABLE).await;
    assert_eq!((first.kind.as_str(), &first.object["kind"]), ("ADDED", &json!("Table")));
    assert_eq!(first.object["columnDefinitions"], list["columnDefinitions"]);
    assert_eq!(first.object["rows"][0]["cells"][0], "andromeda");
    assert_eq!(first.object["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let that_was_all = watch.next().await;
    assert_eq!((that_was_all.kind.as_str(), &that_was_all.object["kind"]), ("BOOKMARK", &json!("Table")));
    assert_eq!(that_was_all.object["rows"], json!([]));
    assert_eq!(
        that_was_all.object["metadata"]["annotations"],
        json!({ "k8s.io/initial-events-end": "true" })
    );
    assert!(that_was_all.version() >= first.version() && first.version() > 0);

    world.sql("UPDATE games SET desired_status = 'stopped'").await;
    let second = watch.next().await;
    assert_eq!(
        (second.kind.as_str(), &second.object["rows"][0]["cells"][1]),
        ("MODIFIED", &json!("Stopped"))
    );
    assert!(second.version() > that_was_all.version());
    // The client has the columns already.
    assert_eq!(second.object["columnDefinitions"], json!([]));
    world.sql("DELETE FROM games").await;
    assert_eq!(watch.next().await.kind, "DELETED");

    let path = format!("{GAMES}?watch=true&resourceVersion=1");
    let too_old = Watch::accepting(&world, &path, TABLE).await.next().await;
    assert_eq!((too_old.kind.as_str(), &too_old.object["kind"]), ("ERROR", &json!("Status")));
    assert_eq!(too_old.object["code"], 410);

    world.post(GAMES, &game("borealis")).await.ok(201);
    let metadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let mut watch = Watch::accepting(&world, &format!("{GAMES}?watch=true"), metadata).await;
    let line = watch.next().await;
    assert_eq!((line.told().as_str(), &line.object["spec"]), ("ADDED borealis", &Value::Null));
    assert_eq!(line.object["kind"], "PartialObjectMetadata");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_is_aggregated_for_those_who_know_it_and_openapi_is_there() {
    let world = World::new().await;
    let new = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let old = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
    let aggregated = accepting(&world, "/apis", new).await;
    assert_eq!(aggregated["kind"], "APIGroupDiscoveryList");
    let own = |group: &&Value| group["metadata"]["name"] == "gamekeeper.dev";
    let groups = aggregated["items"].as_array().unwrap();
    let games = &groups.iter().find(own).unwrap()["versions"][0]["resources"][0];
    assert_eq!(
        (&games["resource"], &games["shortNames"], &games["categories"]),
        (&json!("games"), &json!(["gm"]), &json!(["all"]))
    );
    assert_eq!(
        games["subresources"][1]["responseKind"],
        json!({ "group": "autoscaling", "version": "v1", "kind": "Scale" })
    );
    assert_eq!(accepting(&world, "/api", new).await["items"][0]["metadata"]["name"], "");
    assert_eq!(accepting(&world, "/apis", old).await["kind"], "APIGroupList");
    assert_eq!(accepting(&world, "/api", old).await["kind"], "APIVersions");

    let index = world.get("/openapi/v3").await.ok(200);
    for (path, entry) in index["paths"].as_object().unwrap() {
        let document = world.get(entry["serverRelativeURL"].as_str().unwrap()).await.ok(200);
        assert_eq!(document["openapi"], "3.0.0", "{path}");
    }
    world.get("/openapi/v3/apis/other/v1").await.refused(404, "NotFound");
    let v2 = world.request(Method::GET, "/openapi/v2").send().await.unwrap();
    assert_eq!((v2.status().as_u16(), v2.bytes().await.unwrap().len()), (200, 0));
    // Every verb that is told of has a route.
    let groups = world.get("/apis").await.ok(200);
    let groups = groups["groups"].as_array().unwrap().iter();
    let groups =
        groups.map(|group| format!("/apis/{}", group["preferredVersion"]["groupVersion"].as_str().unwrap()));
    let mut all_resources = Vec::new();
    for root in groups.chain(["/api/v1".to_owned()]) {
        let resources = world.get(&root).await.ok(200);
        let resources = resources["resources"].as_array().unwrap().clone();
        all_resources.extend(resources.into_iter().map(|resource| (root.clone(), resource)));
    }
    for (root, resource) in &all_resources {
        let name = resource["name"].as_str().unwrap();
        let place = if resource["namespaced"] == true { "namespaces/default/" } else { "" };
        let (plural, below) = name.split_once('/').unwrap_or((name, ""));
        let object = format!("{root}/{place}{plural}/x/{below}");
        for verb in resource["verbs"].as_array().unwrap() {
            let all = plural == "outbox" && !below.is_empty();
            let list =
                format!("{root}/{place}{plural}{}", if all { format!("/{below}") } else { String::new() });
            let (method, path) = match verb.as_str().unwrap() {
                "list" => (Method::GET, &list),
                "create" if below.is_empty() || all => (Method::POST, &list),
                "create" => (Method::POST, &object),
                "get" => (Method::GET, &object),
                "update" => (Method::PUT, &object),
                "patch" => (Method::PATCH, &object),
                "delete" => (Method::DELETE, &object),
                "watch" => continue,
                other => panic!("{other}"),
            };
            let answer = send(&world, method.clone(), path, "application/json", "").await;
            let message = answer.json["message"].as_str().unwrap_or_default();
            assert!(
                answer.code != 405 && !message.starts_with("there is no path"),
                "{method} {path}: {message}"
            );
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_repeated_fields_are_refused_warned_of_or_ignored() {
    let world = World::new().await;
    let body = r#"{"apiVersion":"gamekeeper.dev/v1","kind":"Game","metadata":{"name":"a"},
        "spec":{"desiredStatus":"Running","desiredStatus":"Stopped","paint":"red","turns":{"when":1}}}"#;
    let post = async |query: &str, body: &str| {
        let request = world.request(Method::POST, &format!("{GAMES}?dryRun=All{query}"));
        request.header("content-type", "application/json").body(body.to_owned()).send().await.unwrap()
    };
    for query in ["", "&fieldValidation=Strict"] {
        let told = read(post(query, body).await).await.refused(400, "BadRequest");
        assert!(told["message"].as_str().unwrap().contains("spec.desiredStatus"), "{told:#}");
        let once = body.replace("\"desiredStatus\":\"Running\",", "");
        let told = read(post(query, &once).await).await.refused(422, "Invalid");
        let fields: Vec<_> = told["details"]["causes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|cause| cause["field"].as_str().unwrap())
            .collect();
        assert_eq!(fields, ["spec.paint", "spec.turns.when"]);
    }
    let warned = post("&fieldValidation=Warn", body).await;
    let warnings: Vec<_> =
        warned.headers().get_all("warning").iter().map(|w| w.to_str().unwrap().to_owned()).collect();
    assert_eq!(
        warnings,
        [
            r#"299 - "duplicate field \"spec.desiredStatus\"""#,
            r#"299 - "unknown field \"spec.paint\"""#,
            r#"299 - "unknown field \"spec.turns.when\"""#,
        ]
    );
    assert_eq!(read(warned).await.ok(201)["spec"]["desiredStatus"], "Stopped");
    let ignored = post("&fieldValidation=Ignore", body).await;
    assert!(ignored.headers().get("warning").is_none() && ignored.status() == 201);
    read(post("&fieldValidation=Maybe", body).await).await.refused(400, "BadRequest");
    // A wrong type is none of it.
    let typed = body.replace("\"red\"", "1").replace("\"Stopped\"", "7");
    read(post("&fieldValidation=Ignore", &typed).await).await.refused(422, "Invalid");
    world.get(&format!("{GAMES}/a")).await.refused(404, "NotFound");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_patch_changes_and_is_bounded() {
    let world = World::new().await;
    let one = format!("{GAMES}/andromeda");
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let steps = r#"[{"op":"test","path":"/spec/paused","value":false},{"op":"replace","path":"/spec/paused","value":true}]"#;
    // The Python client calls steps a merge patch.
    for kind in ["application/json-patch+json", "application/merge-patch+json"] {
        world.patch(&one, &json!({ "spec": { "paused": false } })).await.ok(200);
        assert_eq!(patch(&world, &one, kind, steps).await.ok(200)["spec"]["paused"], true);
    }
    let told = patch(&world, &one, "application/json-patch+json", steps).await.refused(422, "Invalid");
    assert!(told["message"].as_str().unwrap().contains("does not fit"), "{told:#}");
    let mut bomb =
        vec![json!({ "op": "add", "path": "/metadata/annotations", "value": { "a": "x".repeat(100_000) } })];
    bomb.extend(
        (0..40).map(|n| json!({ "op": "copy", "from": "/metadata", "path": format!("/metadata/x{n}") })),
    );
    patch(&world, &one, "application/json-patch+json", &json!(bomb).to_string())
        .await
        .refused(422, "Invalid");
    let (trying, kind) = (format!("{one}?dryRun=All"), "application/merge-patch+json");
    let tried = patch(&world, &trying, kind, r#"{"spec":{"paused":false}}"#);
    assert_eq!(tried.await.ok(200)["spec"]["paused"], false);
    let now = world.get(&one).await.ok(200);
    assert_eq!(now["spec"]["paused"], true);

    // A status that is sent along changes nothing; to write it is the controller's.
    let status = r#"{"status":{"phase":"Running"}}"#;
    let sent = patch(&world, &one, "application/merge-patch+json", status).await.ok(200);
    assert_eq!((&sent["metadata"], &sent["status"]), (&now["metadata"], &now["status"]));
    assert_eq!(world.get(&format!("{one}/status")).await.ok(200), now);
    patch(&world, &format!("{one}/status"), "application/merge-patch+json", status)
        .await
        .refused(403, "Forbidden");
    world.put(&format!("{one}/status"), &now).await.refused(403, "Forbidden");

    // What was read can be sent back, by whoever sends no Content-Type too.
    let body = now.to_string();
    let put = read(world.request(Method::PUT, &one).body(body).send().await.unwrap()).await.ok(200);
    assert_eq!(put["metadata"], now["metadata"]);
    let yaml = serde_yaml::to_string(&game("borealis")).unwrap();
    send(&world, Method::POST, GAMES, "application/yaml", &yaml).await.ok(201);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_names_its_manager_and_is_told_of_every_conflict() {
    let world = World::new().await;
    world.post(VERSIONS, &version("1.4.2")).await.ok(201);
    let one = format!("{GAMES}/andromeda");
    let apply = async |query: &str, body: &Value| {
        patch(&world, &format!("{one}{query}"), "application/apply-patch+yaml", &body.to_string()).await
    };
    let told = apply("", &game("andromeda")).await.refused(422, "Invalid");
    assert_eq!(told["details"]["causes"][0]["field"], "fieldManager");
    apply("?fieldManager=me&dryRun=All", &game("andromeda")).await.ok(201);
    let made = apply("?fieldManager=me", &game("andromeda")).await.ok(201);
    assert_eq!(made["metadata"]["managedFields"][0]["operation"], "Apply");
    let again = apply("?fieldManager=me", &game("andromeda")).await.ok(200);
    assert_eq!(again, made, "nothing was written");

    let mut other = game("andromeda");
    other["spec"]["engineVersion"] = json!("1.4.3");
    other["spec"]["players"][0]["raceName"] = json!("Martians");
    let told = apply("?fieldManager=you", &other).await.refused(409, "Conflict");
    let causes: Vec<_> = told["details"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| {
            assert_eq!(cause["reason"], "FieldManagerConflict");
            assert_eq!(cause["message"], "conflict with \"me\" using gamekeeper.dev/v1");
            cause["field"].as_str().unwrap()
        })
        .collect();
    assert_eq!(
        causes,
        [".spec.engineVersion", ".spec.players[userId=\"6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10\"].raceName"]
    );
    let forced = apply("?fieldManager=you&force=true", &other).await.ok(200);
    assert_eq!(forced["spec"]["players"][0]["raceName"], "Martians");
    assert_eq!(forced["metadata"]["managedFields"].as_array().unwrap().len(), 2);

    // Versions that do not fit, and things that an apply cannot say.
    let mut stale = other.clone();
    stale["metadata"]["resourceVersion"] = json!("1");
    apply("?fieldManager=you", &stale).await.refused(409, "Conflict");
    let mut managed = other.clone();
    managed["metadata"]["managedFields"] = forced["metadata"]["managedFields"].clone();
    apply("?fieldManager=you", &managed).await.refused(400, "BadRequest");
    let mut unknown = other.clone();
    unknown["spec"]["paint"] = json!("red");
    apply("?fieldManager=you", &unknown).await.refused(422, "Invalid");
    let mut renamed = other.clone();
    renamed["metadata"]["name"] = json!("other");
    apply("?fieldManager=you", &renamed).await.refused(400, "BadRequest");
    let merge = json!({ "spec": {} }).to_string();
    patch(&world, &format!("{one}?force=true"), "application/merge-patch+json", &merge)
        .await
        .refused(400, "BadRequest");

    // Who takes back what is required is told so, and nothing happens.
    let mut less = other.clone();
    less["spec"].as_object_mut().unwrap().remove("desiredStatus");
    apply("?fieldManager=you", &less).await.ok(200);
    let told = apply("?fieldManager=me", &less).await.refused(422, "Invalid");
    assert_eq!(told["details"]["causes"][0]["field"], "spec.desiredStatus");

    // One empty entry says that nobody owns anything.
    let nobody = r#"{"metadata":{"managedFields":[{}]}}"#;
    let free = patch(&world, &one, "application/merge-patch+json", nobody).await.ok(200);
    assert_eq!(free["metadata"]["managedFields"], Value::Null);
    assert_eq!(free["metadata"]["generation"], forced["metadata"]["generation"]);
    world.end().await;
}
