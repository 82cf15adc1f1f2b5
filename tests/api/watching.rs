//! Lists and watches: one snapshot and one order, whoever wrote.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gamekeeper::api::HubLimits;
use gamekeeper::game::record::Record;
use gamekeeper::game::spec::Requests;
use gamekeeper::game::{GameId, Phase};
use gamekeeper::store::Recording;
use reqwest::Method;
use serde_json::{Value, json};

use crate::stream::{Line, Watch};
use crate::world::{GAMES, VERSIONS, World, game, read};

/// SQL that makes games `PREFIX-0` and so on.
pub(crate) fn made(prefix: &str, count: usize) -> String {
    let row = |n: usize| {
        let id = uuid::Uuid::new_v4();
        format!("('{id}', '{prefix}-{n}', 'running', '{{\"batch\": \"{prefix}\"}}')")
    };
    let rows: Vec<String> = (0..count).map(row).collect();
    format!("INSERT INTO games (game_id, name, desired_status, labels) VALUES {}", rows.join(", "))
}

/// The objects of a list by name, with their versions.
pub(crate) fn held(list: &Value) -> BTreeMap<String, String> {
    let entry = |item: &Value| {
        let text = |field: &str| item["metadata"][field].as_str().unwrap().to_owned();
        (text("name"), text("resourceVersion"))
    };
    list["items"].as_array().unwrap().iter().map(entry).collect()
}

/// What a client holds that follows a watch.
fn follow(held: &mut BTreeMap<String, String>, line: &Line) {
    let (name, version) = (line.name().to_owned(), line.version().to_string());
    match line.kind.as_str() {
        "ADDED" => assert!(held.insert(name.clone(), version).is_none(), "{name} came twice"),
        "MODIFIED" => {
            let before = held.insert(name.clone(), version.clone());
            assert!(before.is_some_and(|before| before < version), "{name} was not there, or newer");
        }
        "DELETED" => assert!(held.remove(&name).is_some(), "{name} was not there"),
        other => panic!("{other}: {:#}", line.object),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_and_a_watch_from_it_lose_and_double_nothing_whoever_writes() {
    let world = World::new().await;
    world.sql(&made("sql", 50)).await;
    let list = world.get(GAMES).await.ok(200);
    let mut held = held(&list);
    assert_eq!(held.len(), 50, "what was written before the question is in the answer");
    let from = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut watch = Watch::open(&world, &format!("{GAMES}?watch=true&resourceVersion={from}")).await;

    let by_sql = async {
        for n in 0..150 {
            let statement = match n % 3 {
                0 => format!("UPDATE games SET display_name = 'round {n}' WHERE name = 'sql-{}'", n % 50),
                1 => made(&format!("new{n}"), 1),
                _ => format!("DELETE FROM games WHERE name = 'new{}-0'", n - 1),
            };
            world.sql(&statement).await;
        }
    };
    let by_api = async {
        for n in 0..50 {
            let path = format!("{GAMES}/api-{n}");
            world.post(GAMES, &game(&format!("api-{n}"))).await.ok(201);
            world.patch(&path, &json!({ "spec": { "paused": true } })).await.ok(200);
            let listed = world.get(&format!("{GAMES}?labelSelector=season%3D7")).await.ok(200);
            assert!(self::held(&listed).contains_key(&format!("api-{n}")), "one reads one's own writes");
            world.delete(&path).await.ok(200);
        }
    };
    tokio::join!(by_sql, by_api);
    // Both end where a list ends, and the watch came there one change after the other.
    let end = world.get(GAMES).await.ok(200);
    let version: u64 = end["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    let expected = self::held(&end);
    let mut last = 0;
    while held != expected {
        let line = watch.next().await;
        assert!(line.version() > last && line.version() <= version, "in their order");
        last = line.version();
        follow(&mut held, &line);
    }
    watch.is_silent().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_from_the_last_version_that_was_seen() {
    let world = World::new().await;
    let start = world.get(GAMES).await.ok(200)["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let mut watch = Watch::open(&world, &format!("{GAMES}?watch=1&resourceVersion={start}")).await;
    world.post(GAMES, &game("a")).await.ok(201);
    let seen = watch.next().await;
    assert_eq!((seen.kind.as_str(), seen.name()), ("ADDED", "a"));
    drop(watch);
    world.post(GAMES, &game("b")).await.ok(201);
    world.sql("UPDATE games SET paused = true WHERE name = 'a'").await;
    let mut watch = Watch::open(&world, &format!("{GAMES}?watch=1&resourceVersion={}", seen.version())).await;
    let lines = [watch.next().await, watch.next().await];
    assert_eq!(
        lines.each_ref().map(|line| (line.kind.as_str(), line.name())),
        [("ADDED", "b"), ("MODIFIED", "a")]
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_begins_with_what_there_is_where_no_version_is_given() {
    let world = World::new().await;
    for name in ["a", "b"] {
        world.post(GAMES, &game(name)).await.ok(201);
    }
    for query in ["watch=true", "watch=true&resourceVersion=0"] {
        let mut watch = Watch::open(&world, &format!("{GAMES}?{query}")).await;
        assert_eq!([watch.next().await.told(), watch.next().await.told()], ["ADDED a", "ADDED b"]);
        watch.is_silent().await;
    }
    let query =
        "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = Watch::open(&world, &format!("{GAMES}?{query}&fieldSelector=metadata.name%3Db")).await;
    assert_eq!(watch.next().await.told(), "ADDED b");
    let bookmark = watch.next().await;
    assert_eq!(bookmark.kind, "BOOKMARK");
    assert_eq!(bookmark.object["kind"], "Game");
    assert_eq!(bookmark.object["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    world.sql("UPDATE games SET paused = true").await;
    let line = watch.next().await;
    assert!(line.told() == "MODIFIED b" && line.version() > bookmark.version());

    for wrong in [
        "watch=true&sendInitialEvents=true",
        "watch=true&sendInitialEvents=true&resourceVersionMatch=Exact",
        "watch=true&resourceVersion=1&resourceVersionMatch=NotOlderThan",
        "watch=true&resourceVersion=new",
        "watch=true&timeoutSeconds=long",
        "sendInitialEvents=true",
        "resourceVersionMatch=Exact",
        "resourceVersion=5&resourceVersionMatch=Sometimes",
    ] {
        world.get(&format!("{GAMES}?{wrong}")).await.refused(400, "BadRequest");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_a_selector_is_deleted_and_what_enters_is_added() {
    let world = World::new().await;
    world.post(GAMES, &game("a")).await.ok(201);
    let mut watch =
        Watch::open(&world, &format!("{GAMES}?watch=true&labelSelector=season%3D7&resourceVersion=0")).await;
    assert_eq!(watch.next().await.told(), "ADDED a");
    let label = |season: &str| json!({ "metadata": { "labels": { "season": season } } });
    let path = format!("{GAMES}/a");
    world.patch(&path, &label("8")).await.ok(200);
    let gone = watch.next().await;
    assert_eq!(
        (gone.told().as_str(), &gone.object["metadata"]["labels"]["season"]),
        ("DELETED a", &json!("7"))
    );
    world.patch(&path, &json!({ "spec": { "paused": true } })).await.ok(200);
    let back = world.patch(&path, &label("7")).await.ok(200);
    let line = watch.next().await;
    assert_eq!((line.told().as_str(), &line.object), ("ADDED a", &back));
    assert!(line.version() > gone.version());
    world.post("/apis/gamekeeper.dev/v1/namespaces/other/games", &game("b")).await.ok(201);
    watch.is_silent().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_that_was_made_again_under_its_name_is_another_one_whoever_looks_first() {
    let world = World::new().await;
    for looks_first in ["", "/g-0"] {
        world.sql(&made("g", 1)).await;
        let path = format!("{GAMES}?watch=true");
        let mut watch = Watch::open(&world, &path).await;
        let old = watch.next().await;
        world.sql(&format!("DELETE FROM games; {}", made("g", 1))).await;
        world.get(&format!("{GAMES}{looks_first}")).await.ok(200);
        let lines = [watch.next().await, watch.next().await];
        assert_eq!(lines.each_ref().map(Line::told), ["DELETED g-0", "ADDED g-0"]);
        assert_eq!(lines[0].object["metadata"]["uid"], old.object["metadata"]["uid"]);
        assert_ne!(lines[1].object["metadata"]["uid"], old.object["metadata"]["uid"]);
        watch.is_silent().await;
        assert_eq!(held(&world.get(GAMES).await.ok(200)).len(), 1, "it is still there");
        world.sql("DELETE FROM games").await;
        assert_eq!(watch.next().await.told(), "DELETED g-0");
        assert_eq!(held(&world.get(GAMES).await.ok(200)).len(), 0);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_that_was_made_again_under_another_name_is_gone_from_the_first() {
    let world = World::new().await;
    for looks_first in ["", "/other"] {
        world.sql(&made("g", 1)).await;
        let path = format!("{GAMES}?watch=true");
        let mut watch = Watch::open(&world, &path).await;
        let id = watch.next().await.object["metadata"]["uid"].as_str().unwrap().to_owned();
        let again = format!(
            "INSERT INTO games (game_id, name, desired_status, target_engine_version)
             VALUES ('{id}', 'other', 'stopped', '1.4.2')"
        );
        world.sql(&format!("BEGIN; DELETE FROM games; {again}; COMMIT")).await;
        world.get(&format!("{GAMES}{looks_first}")).await.ok(200);
        let lines = [watch.next().await, watch.next().await];
        assert_eq!(lines.each_ref().map(Line::told), ["DELETED g-0", "ADDED other"]);
        assert_eq!(lines[1].object["metadata"]["uid"], id);
        watch.is_silent().await;
        assert_eq!(held(&world.get(GAMES).await.ok(200)).len(), 1);
        world.sql("DELETE FROM games").await;
        assert_eq!(watch.next().await.told(), "DELETED other");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_another_life_are_gone_and_not_taken_for_ours() {
    let mut world = World::new().await;
    world.post(GAMES, &game("a")).await.ok(201);
    let list = world.get(GAMES).await.ok(200);
    let old = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let object = list["items"][0].clone();
    world.restart().await;
    let ahead: u64 = old.parse::<u64>().unwrap() + 3_600_000_000;
    for version in [old.clone(), ahead.to_string(), "1".into()] {
        let mut watch = Watch::open(&world, &format!("{GAMES}?watch=true&resourceVersion={version}")).await;
        let line = watch.next().await;
        assert_eq!((line.kind.as_str(), &line.object["code"]), ("ERROR", &json!(410)), "{:#}", line.object);
        assert_eq!(line.object["reason"], "Expired");
        watch.ends().await;
        let exactly = format!("{GAMES}?resourceVersion={version}&resourceVersionMatch=Exact");
        world.get(&exactly).await.refused(410, "Expired");
    }
    // A write with such a version is told to read again, whatever the row is at.
    let status = world.put(&format!("{GAMES}/a"), &object).await.refused(409, "Conflict");
    assert!(status["message"].as_str().unwrap().contains("read the latest version"), "{status:#}");
    let again = world.get(GAMES).await.ok(200);
    assert!(again["metadata"]["resourceVersion"].as_str().unwrap() > old.as_str());
    assert_eq!(held(&again).len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_goes_through_over_changes_of_status_and_not_over_changes_of_the_row() {
    let world = World::new().await;
    let path = format!("{GAMES}/a");
    let read = world.post(GAMES, &game("a")).await.ok(201);
    let id: GameId = read["metadata"]["uid"].as_str().unwrap().parse().unwrap();
    let (recorder, writer) = world.store.recorder(world.store.take_lead("test").await.unwrap());
    for (turn, phase) in [(1, Phase::Starting), (2, Phase::Running)] {
        let record = Record { phase, current_turn: Some(turn), ..Record::first_seen(Requests::default()) };
        let recording = Recording::of(id, "default".parse().unwrap(), "a".parse().unwrap(), record);
        recorder.record(recording).await.unwrap();
    }
    drop(recorder);
    writer.await.unwrap();
    let now = world.get(&path).await.ok(200);
    assert_eq!(now["status"]["phase"], "Running");
    assert_ne!(now["metadata"]["resourceVersion"], read["metadata"]["resourceVersion"]);

    let mut edited = read.clone();
    edited["spec"]["paused"] = json!(true);
    let written = world.put(&path, &edited).await.ok(200);
    assert_eq!((&written["spec"]["paused"], &written["status"]["currentTurn"]), (&json!(true), &json!(2)));
    world.put(&path, &edited).await.refused(409, "Conflict");
    let patch = json!({ "metadata": { "resourceVersion": now["metadata"]["resourceVersion"] } });
    world.patch(&path, &patch).await.refused(409, "Conflict");
    world.sql("UPDATE games SET display_name = 'by hand'").await;
    world.put(&path, &written).await.refused(409, "Conflict");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_of_one_snapshot_while_everything_changes() {
    let world = World::new().await;
    world.sql(&made("p", 1_000)).await;
    let first = world.get(&format!("{GAMES}?limit=100")).await.ok(200);
    let version = first["metadata"]["resourceVersion"].clone();
    assert_eq!(first["metadata"]["remainingItemCount"], 900);
    let mut seen = held(&first);
    let mut token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    let mut pages = 1;
    loop {
        world
            .sql(&format!(
                "UPDATE games SET display_name = 'page {pages}'; DELETE FROM games WHERE name LIKE 'p-{pages}%';
                 {}",
                made(&format!("late{pages}"), 20)
            ))
            .await;
        let page = world.get(&format!("{GAMES}?limit=100&continue={token}")).await.ok(200);
        pages += 1;
        assert_eq!(page["metadata"]["resourceVersion"], version);
        for item in page["items"].as_array().unwrap() {
            assert!(item["spec"].get("displayName").is_none_or(|name| name == ""), "{item:#}");
        }
        let names = held(&page);
        assert_eq!(names.len(), 100);
        seen.extend(names);
        match page["metadata"]["continue"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!((pages, seen.len()), (10, 1_000));
    assert!(seen.keys().all(|name| name.starts_with("p-")));
    let exactly = format!("{GAMES}?resourceVersionMatch=Exact&resourceVersion={}", version.as_str().unwrap());
    assert_eq!(held(&world.get(&exactly).await.ok(200)), seen);
    world.get(&format!("{GAMES}?limit=1&continue=nonsense")).await.refused(400, "BadRequest");
    let selected = world.get(&format!("{GAMES}?limit=1&labelSelector=batch")).await.ok(200);
    assert!(selected["metadata"]["continue"].is_string());
    assert!(selected["metadata"].get("remainingItemCount").is_none());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_told_page_by_page_each_row_once() {
    let world = World::new().await;
    let ids: Vec<String> = (0..2).map(|_| uuid::Uuid::new_v4().to_string()).collect();
    for (n, id) in ids.iter().enumerate() {
        let mut sql = format!("INSERT INTO runtime_records (game_id, name) VALUES ('{id}', 'g-{n}');");
        for number in 1..=5 {
            let (operation, user) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
            sql.push_str(&format!(
                "INSERT INTO operation_log (operation_id, game_id, op, source) VALUES ('{operation}', '{id}', 'heal', 'controller');
                 INSERT INTO turns (game_id, timeline, number, cause) VALUES ('{id}', 1, {number}, 'forced');
                 INSERT INTO player_stats (game_id, user_id, race_name, timeline, turn, planets, population, max_planets, max_population)
                 VALUES ('{id}', '{user}', 'Race {number}', 1, 1, 1, 1, 1, 1);",
            ));
        }
        world.sql(&sql).await;
    }
    let one = format!("&fieldSelector=spec.gameId%3D{}", ids[0]);
    for kind in ["operations", "turns", "playermappings"] {
        for (selector, expected) in [("", 10), (one.as_str(), 5)] {
            let path = format!("/apis/gamekeeper.dev/v1/{kind}?limit=3{selector}");
            let whole = path.replace("limit=3", "limit=100");
            let whole = held_names(&world.get(&whole).await.ok(200));
            let (mut seen, mut token) = (Vec::new(), String::new());
            loop {
                let page = world.get(&format!("{path}{token}")).await.ok(200);
                seen.extend(held_names(&page));
                let Some(next) = page["metadata"]["continue"].as_str() else { break };
                assert_eq!(page["items"].as_array().unwrap().len(), 3);
                token = format!("&continue={next}");
            }
            assert_eq!((seen.len(), &seen), (expected, &whole), "{kind} {selector}");
        }
    }
    let turns = "/apis/gamekeeper.dev/v1/turns";
    world.get(&format!("{turns}?limit=3&continue=x")).await.refused(400, "BadRequest");
    world.end().await;
}

fn held_names(list: &Value) -> Vec<String> {
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_list_that_is_no_longer_kept_is_gone() {
    let limits = HubLimits { pages: 1, ..HubLimits::default() };
    let world = World::with_limits(limits).await;
    world.sql(&made("p", 3)).await;
    let first = world.get(&format!("{GAMES}?limit=1")).await.ok(200);
    world.sql("UPDATE games SET paused = true").await;
    world.get(&format!("{GAMES}?limit=1")).await.ok(200);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let status = world.get(&format!("{GAMES}?limit=1&continue={token}")).await.refused(410, "Expired");
    assert!(status["message"].as_str().unwrap().contains("from the beginning"), "{status:#}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_too_slowly_is_told_to_list_again() {
    let limits = HubLimits { changes: 20, ..HubLimits::default() };
    let world = World::with_limits(limits).await;
    world.sql(&made("s", 400)).await;
    // Much more than sockets hold, so that the server waits for this client to read.
    let big = "x".repeat(200_000);
    world.sql(&format!("UPDATE games SET annotations = '{{\"big\": \"{big}\"}}' WHERE name = 's-0'")).await;
    // Not any version but the latest: what comes before the beginning is not too much.
    let mut watch = Watch::open(&world, &format!("{GAMES}?watch=true")).await;
    for _ in 0..400 {
        watch.next().await;
    }
    for round in 0..150 {
        let text = format!("{{\"big\": \"{round}{big}\"}}");
        world.sql(&format!("UPDATE games SET annotations = '{text}' WHERE name = 's-0'")).await;
        world.get(&format!("{GAMES}/s-0")).await.ok(200);
    }
    let mut last = 0;
    let error = loop {
        let line = watch.next().await;
        if line.kind != "MODIFIED" {
            break line;
        }
        assert!(line.version() > last);
        last = line.version();
    };
    assert_eq!((error.kind.as_str(), &error.object["reason"]), ("ERROR", &json!("Expired")));
    watch.ends().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_at_all_is_cut_and_costs_what_sockets_hold() {
    let limits = HubLimits { watches: 1, patience: Duration::from_secs(2), ..HubLimits::default() };
    let world = World::with_limits(limits).await;
    world.sql(&made("s", 200)).await;
    let big = "x".repeat(200_000);
    world.sql(&format!("UPDATE games SET annotations = '{{\"big\": \"{big}\"}}'")).await;
    let path = format!("{GAMES}?watch=true&resourceVersion=0");
    let unread = Watch::open(&world, &path).await;
    let response = world.request(Method::GET, &path).send().await.unwrap();
    read(response).await.refused(429, "TooManyRequests");
    let deadline = Instant::now() + Duration::from_secs(30);
    while world.request(Method::GET, &path).send().await.unwrap().status() != 200 {
        assert!(Instant::now() < deadline, "the place of who does not read is never given back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(unread);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_so_many_watches_and_the_end_of_one_makes_room() {
    let limits = HubLimits { watches: 3, ..HubLimits::default() };
    let world = World::with_limits(limits).await;
    let path = format!("{GAMES}?watch=true");
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(Watch::open(&world, &path).await);
    }
    let response = world.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
    read(response).await.refused(429, "TooManyRequests");
    drop(open);
    let deadline = Instant::now() + Duration::from_secs(10);
    while world.request(Method::GET, &path).send().await.unwrap().status() != 200 {
        assert!(Instant::now() < deadline, "no room was made");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_end_with_their_time_and_with_the_server() {
    let world = World::new().await;
    world.post(GAMES, &game("a")).await.ok(201);
    let mut short = Watch::open(&world, &format!("{GAMES}?watch=true&timeoutSeconds=1")).await;
    assert_eq!(short.next().await.told(), "ADDED a");
    short.ends().await;
    let mut long = Watch::open(&world, &format!("{GAMES}?watch=true")).await;
    assert_eq!(long.next().await.told(), "ADDED a");
    let began = Instant::now();
    let ended = tokio::join!(world.end(), long.ends());
    assert!(began.elapsed() < Duration::from_secs(5), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_the_controller_and_events_are_watched_too() {
    let world = World::new().await;
    let mut versions = Watch::open(&world, &format!("{VERSIONS}?watch=true")).await;
    let controllers = "/apis/gamekeeper.dev/v1/controllers?watch=true";
    let mut controller = Watch::open(&world, controllers).await;
    let selector = "fieldSelector=involvedObject.kind%3DController,reason%3DFrozen";
    let mut events = Watch::open(&world, &format!("/api/v1/events?watch=true&{selector}")).await;
    assert_eq!(controller.next().await.told(), "ADDED gamekeeper");

    world.sql("INSERT INTO engine_versions (version, image_ref) VALUES ('1.4.2', 'e:1')").await;
    assert_eq!(versions.next().await.told(), "ADDED 1.4.2");
    world.sql(&format!("{}; UPDATE games SET target_engine_version = '1.4.2'", made("g", 2))).await;
    loop {
        let line = versions.next().await;
        assert_eq!(line.kind, "MODIFIED");
        if line.object["status"]["games"] == 2 {
            break;
        }
    }
    world.sql("UPDATE controller_spec SET frozen = true, frozen_because = 'by hand'").await;
    let line = controller.next().await;
    assert_eq!((line.kind.as_str(), &line.object["spec"]["frozenBecause"]), ("MODIFIED", &json!("by hand")));

    world.store.controller_event(true, "Other", "x").await.unwrap();
    world.store.controller_event(true, "Frozen", "found").await.unwrap();
    world.store.controller_event(true, "Frozen", "found").await.unwrap();
    let first = events.next().await;
    assert_eq!((first.kind.as_str(), &first.object["reason"]), ("ADDED", &json!("Frozen")));
    if first.object["count"] == 1 {
        assert_eq!(events.next().await.object["count"], 2);
    }
    world.store.prune_events(jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).await.unwrap();
    assert_eq!(events.next().await.kind, "DELETED");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_through_a_standby_sees_what_the_leader_does() {
    let world = World::new().await;
    let created = world.post(GAMES, &game("a")).await.ok(201);
    let standby = world.beside().await;
    let path = format!("{GAMES}?watch=true&resourceVersion=0");
    let mut watch = Watch::at(&world, standby.address, &path).await;
    assert_eq!(watch.next().await.told(), "ADDED a");
    let (recorder, writer) = world.store.recorder(world.store.take_lead("leader").await.unwrap());
    let id: GameId = created["metadata"]["uid"].as_str().unwrap().parse().unwrap();
    for turn in 1..=3 {
        let record = Record { current_turn: Some(turn), ..Record::first_seen(Requests::default()) };
        let recording = Recording::of(id, "default".parse().unwrap(), "a".parse().unwrap(), record);
        recorder.record(recording).await.unwrap();
        loop {
            let line = watch.next().await;
            assert_eq!(line.told(), "MODIFIED a");
            if line.object["status"]["currentTurn"] == turn {
                break;
            }
        }
    }
    drop(recorder);
    writer.await.unwrap();
    watch.is_silent().await;
    standby.end().await;
    world.end().await;
}
