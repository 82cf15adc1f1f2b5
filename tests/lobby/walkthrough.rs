//! `docs/lobby.md`: every statement is run, in order, and says what the page says.

use std::collections::BTreeMap;

use gamekeeper::game::record::Record;
use gamekeeper::game::spec::{Deletion, Requests};
use gamekeeper::game::{DeletionPolicy, GameId, Phase};
use gamekeeper::lobby::LobbyEvent;
use gamekeeper::lobby::event::Deleted;
use gamekeeper::store::Recording;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{
    AssertSqlSafe, Column, ConnectOptions as _, Row, SqliteConnection, ValueRef, query, raw_sql,
};
use serde_json::Value;

use crate::documents::docs;
use crate::world::{World, snapshot, status};

const GAME: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";

/// A row of an answer: what each column says, as text.
type Said = BTreeMap<String, String>;

/// The page's code in this language, by the number of its section.
fn blocks(language: &str) -> BTreeMap<u32, Vec<String>> {
    let page = std::fs::read_to_string(docs().join("lobby.md")).unwrap();
    let (mut found, mut section, mut open) = (BTreeMap::<u32, Vec<String>>::new(), 0, None::<String>);
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.split('.').next().unwrap().parse().unwrap_or(0);
        }
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(opened)) if opened == language => open = Some(String::new()),
            (Some(_), Some("")) => found.entry(section).or_default().extend(open.take()),
            (Some(block), _) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    found
}

/// A lobby's own client of the database; the page's statements are SQLite's, and the schema's tests
/// run them on PostgreSQL.
async fn client(world: &World) -> SqliteConnection {
    let path = world.directory.path().join("gamekeeper.db");
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

/// Runs the statements of a section; gives what they said, in order.
async fn run(client: &mut SqliteConnection, blocks: &[String]) -> Vec<Vec<Said>> {
    let mut all = Vec::new();
    for statement in blocks.iter().flat_map(|block| block.split(";\n")).map(str::trim) {
        if statement.is_empty() {
            continue;
        }
        let rows = query(AssertSqlSafe(statement.to_owned()))
            .fetch_all(&mut *client)
            .await
            .unwrap_or_else(|error| panic!("{error}: {statement}"));
        let said = |row: &sea_orm::sqlx::sqlite::SqliteRow| {
            let column = |column: &sea_orm::sqlx::sqlite::SqliteColumn| {
                let value = row.try_get_raw(column.ordinal()).unwrap();
                let text = if value.is_null() { "null".into() } else { text(row, column.ordinal()) };
                (column.name().to_owned(), text)
            };
            row.columns().iter().map(column).collect()
        };
        all.push(rows.iter().map(said).collect());
    }
    all
}

fn text(row: &sea_orm::sqlx::sqlite::SqliteRow, at: usize) -> String {
    row.try_get::<String, _>(at).or_else(|_| row.try_get::<i64, _>(at).map(|n| n.to_string())).unwrap()
}

/// What the controller would record, in its place.
async fn recorded(
    world: &World,
    phase: Phase,
    generation: i64,
    lobby: &[LobbyEvent],
    deleted: Option<Deletion>,
) {
    let mut record = Record::first_seen(Requests::default());
    record.phase = phase;
    record.observed_generation = generation;
    record.observed_requests.force_turn = i64::from(generation > 3);
    let now = jiff::Timestamp::now();
    let recording = Recording {
        lobby: lobby.iter().map(|event| event.at(now)).collect(),
        deleted,
        ..Recording::of(
            GAME.parse().unwrap(),
            "default".parse().unwrap(),
            "andromeda".parse().unwrap(),
            record,
        )
    };
    world.record(recording).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_s_statements_lead_a_game_through_its_life() {
    let world = World::new().await;
    let mut client = client(&world).await;
    raw_sql("PRAGMA busy_timeout = 10000").execute(&mut client).await.unwrap();
    let sql = blocks("sql");
    assert_eq!(sql.keys().copied().collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    let game: GameId = GAME.parse().unwrap();

    run(&mut client, &sql[&1]).await;
    run(&mut client, &sql[&2]).await;
    let created = world.store.game("default", "andromeda").await.unwrap().unwrap();
    assert_eq!((created.id, created.manifest.spec.players.as_ref().map(Vec::len)), (game, Some(2)));
    let generation = created.manifest.metadata.generation.unwrap();

    // Run again, it changes nothing.
    assert!(sql[&3][0] == sql[&2][0], "the retry is another transaction");
    let said = run(&mut client, &sql[&3]).await;
    let [.., row, changes] = &said[..] else { panic!("{said:?}") };
    assert_eq!((&*row[0]["request_id"], &*row[0]["generation"]), ("create-7731", &*generation.to_string()));
    assert_eq!(changes[0]["change"], "created");
    let again = world.store.game("default", "andromeda").await.unwrap().unwrap();
    assert_eq!(again.manifest.metadata.resource_version, created.manifest.metadata.resource_version);

    let unseen = &run(&mut client, &sql[&4]).await[0][0];
    assert_eq!(
        (&*unseen["status"], &*unseen["settled"], &*unseen["observed_generation"]),
        ("pending", "0", "0")
    );
    recorded(&world, Phase::Running, generation, &[status("it runs"), snapshot(0), snapshot(1)], None).await;
    let seen = &run(&mut client, &sql[&4]).await[0][0];
    assert_eq!((&*seen["status"], &*seen["outbox_seq"]), ("running", "3"));
    assert_eq!(seen["observed_generation"], seen["generation"]);

    let once = run(&mut client, &sql[&5]).await;
    assert!(once.iter().all(Vec::is_empty));
    run(&mut client, &sql[&5]).await;
    let seen = query("SELECT seq FROM lobby_seen").fetch_all(&mut client).await.unwrap();
    assert_eq!((seen.len(), seen[0].get::<i64, _>(0)), (1, 1));

    let pulled = run(&mut client, &sql[&6]).await;
    assert_eq!(pulled[0].iter().map(|row| &*row["seq"]).collect::<Vec<_>>(), ["2", "3"]);
    assert_eq!(serde_json::from_str::<Value>(&pulled[0][1]["payload"]).unwrap()["turn"], 1);
    assert_eq!(pulled[1].len(), 3);
    assert_eq!(run(&mut client, &sql[&6]).await[1].len(), 1, "what was acknowledged is not read again");

    run(&mut client, &sql[&7]).await;
    let forced = world.store.game("default", "andromeda").await.unwrap().unwrap();
    assert_eq!(forced.manifest.spec.force_turn_generation, Some(1));
    assert_eq!(forced.manifest.metadata.generation, Some(generation + 3));

    let members = run(&mut client, &sql[&8]).await.pop().unwrap();
    let active: Vec<_> = members.iter().filter(|row| row["status"] == "active").collect();
    assert_eq!(active.iter().map(|row| &*row["race_name"]).collect::<Vec<_>>(), ["Terrans", "Martians"]);
    assert_eq!(run(&mut client, &sql[&8]).await.pop().unwrap(), members, "a retry changes nothing");

    recorded(&world, Phase::Finished, generation + 4, &[snapshot(2)], None).await;
    assert_eq!(run(&mut client, &sql[&9]).await[0][0]["status"], "finished");

    run(&mut client, &sql[&10][..1]).await;
    let going = world.store.game("default", "andromeda").await.unwrap().unwrap();
    assert!(going.manifest.metadata.deletion_timestamp.is_some());
    let last = LobbyEvent::Deleted(Deleted {
        deletion_policy: DeletionPolicy::Retain,
        state_path: Some(format!("/games/{GAME}")),
    });
    recorded(&world, Phase::Stopped, generation + 6, &[last], Some(Deletion::Requested)).await;
    let left = run(&mut client, &sql[&10][1..]).await;
    assert_eq!((&*left[0][0]["deletion_policy"], &*left[0][0]["request_id"]), ("retain", "archive-1"));
    let (numbers, kinds): (Vec<_>, Vec<_>) = left[1].iter().map(|row| (&*row["seq"], &*row["type"])).unzip();
    assert_eq!(numbers, ["1", "2", "3", "4", "5"]);
    assert_eq!(kinds.last(), Some(&"dev.gamekeeper.game.deleted.v1"));
    assert!(world.store.game("default", "andromeda").await.unwrap().is_none());
}

#[test]
fn the_page_s_event_is_one_and_all_types_are_listed() {
    let page = std::fs::read_to_string(docs().join("lobby.md")).unwrap();
    let shown: Value = serde_json::from_str(&blocks("json")[&5][0]).unwrap();
    let mut found = false;
    for (word, schema) in LobbyEvent::schemas() {
        assert!(page.contains(&format!("\n| `{word}` | ")), "{word} is not on the page");
        if shown["type"] == format!("dev.gamekeeper.game.{word}.v1") {
            let required = schema.get("required").unwrap().as_array().unwrap();
            let has: Vec<&str> = shown["data"].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(required.iter().map(|key| key.as_str().unwrap()).collect::<Vec<_>>(), has);
            found = true;
        }
    }
    assert!(found, "the page's event is of no known type");
}
