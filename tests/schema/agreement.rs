//! The checks of the database and the validation of manifests agree: what is valid can be written,
//! and what the database alone can judge (a name, a text, a counter) is valid if it can be written.

use std::collections::{BTreeMap, BTreeSet};

use gamekeeper::game::manifest::{
    EngineVersionManifest, EngineVersionSpecManifest, GameColumns, GameManifest, ObjectMeta, PlayerManifest,
    Quantity, ResourcesManifest, TurnsManifest, validate_engine_version, validate_game,
};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::db::Db;

const GAME: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";
const USER: &str = "7a2d1b63-58a7-4d7e-9a0b-0a2f5f3c7f10";
const EDGES: [usize; 18] = [0, 1, 2, 5, 21, 36, 62, 63, 64, 65, 127, 128, 129, 253, 254, 256, 257, 400];

/// Texts around a column's limits, and its good ones with something wrong in them.
fn texts(rng: &mut StdRng, good: &[&str]) -> BTreeSet<String> {
    const ODD: [char; 22] = [
        'a', 'z', '0', '9', 'A', '-', '_', '.', '/', ':', '@', '+', '~', '*', ' ', '\n', '\t', '\0',
        '\u{7f}', '\u{9f}', 'ä', '🚀',
    ];
    let mut all: BTreeSet<String> = good.iter().map(|text| (*text).to_owned()).collect();
    for length in EDGES {
        for c in ['a', '0', 'ä'] {
            all.insert(c.to_string().repeat(length));
        }
        all.insert(format!("1.2.3-{}", "a".repeat(length)));
    }
    for _ in 0..40 {
        let mut text: Vec<char> = good[rng.random_range(0..good.len())].chars().collect();
        for _ in 0..rng.random_range(1..3) {
            let at = rng.random_range(0..=text.len());
            let odd = ODD[rng.random_range(0..ODD.len())];
            if rng.random_bool(0.3) && at < text.len() {
                text.remove(at);
            } else {
                text.insert(at, odd);
            }
        }
        all.insert(text.into_iter().collect());
    }
    for c in ODD {
        all.insert(c.to_string());
    }
    all
}

/// Any text as SQL, also what no statement could hold.
fn literal(db: &Db, text: &str) -> String {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    if db.is_sqlite() {
        format!("CAST(x'{hex}' AS TEXT)")
    } else {
        format!("convert_from('\\x{hex}'::bytea, 'UTF8')")
    }
}

fn game() -> GameManifest {
    let metadata = ObjectMeta { name: "andromeda".into(), ..ObjectMeta::default() };
    GameManifest::new(metadata, GameColumns::default().to_spec().0)
}

fn is_valid(with: impl FnOnce(&mut GameManifest)) -> bool {
    let mut game = game();
    with(&mut game);
    validate_game(&game).is_ok()
}

fn turns(game: &mut GameManifest, with: impl FnOnce(&mut TurnsManifest)) {
    with(game.spec.turns.get_or_insert_default());
}

/// Whether a value is valid.
type Judge = fn(&str) -> bool;

/// The columns of `games` that are text, good values, and whether what can be written is valid.
const COLUMNS: [(&str, &[&str], bool, Judge); 7] = [
    ("display_name", &["Andromeda", "two\nlines"], true, |text| {
        is_valid(|game| game.spec.display_name = Some(text.into()))
    }),
    ("restore_backup_id", &["20270101T000000Z-before-1.4.3", "a..b", ".a"], true, |text| {
        is_valid(|game| game.spec.restore_backup_id = Some(text.into()))
    }),
    ("target_engine_version", &["1.4.2", "~1.4", ">=1.4.2, <1.6", "1.4.x", "1.5.0-rc.1"], false, |text| {
        is_valid(|game| game.spec.engine_version = Some(text.into()))
    }),
    ("allow_incompatible_version", &["1.4.2", "1.5.0-rc.1"], false, |text| {
        is_valid(|game| game.spec.allow_incompatible_version = Some(text.into()))
    }),
    ("turn_schedule", &["0 18 * * *", "*/5 * * * * *", "0 0 * * MON-FRI"], false, |text| {
        is_valid(|game| turns(game, |turns| turns.schedule = Some(text.into())))
    }),
    ("time_zone", &["UTC", "Europe/Berlin", "Etc/GMT+5", "America/Argentina/Buenos_Aires"], false, |text| {
        is_valid(|game| turns(game, |turns| turns.time_zone = Some(text.into())))
    }),
    (
        "turn_not_before",
        &["2026-12-01T18:00:00Z", "2026-12-01T18:00:00.5+02:00", "0001-01-01T00:00:00Z"],
        false,
        |text| {
            // It is written as it was understood.
            is_valid(|game| turns(game, |turns| turns.not_before = Some(text.into())))
                && text.parse::<jiff::Timestamp>().is_ok_and(|time| time.to_string() == text)
        },
    ),
];

pub(crate) async fn what_is_valid_can_be_written(db: &mut Db) {
    let rng = &mut StdRng::seed_from_u64(7);
    db.run(&format!(
        "INSERT INTO games (game_id, name, desired_status) VALUES ('{GAME}', 'andromeda', 'stopped')"
    ))
    .await;
    db.run(&format!(
        "INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{USER}', 'Terrans')"
    ))
    .await;
    for (column, good, both, judge) in COLUMNS {
        let mut accepted = 0;
        for text in texts(rng, good).into_iter().filter(|text| !text.trim().is_empty()) {
            let mut value = literal(db, &text);
            if column == "turn_not_before" && !db.is_sqlite() {
                value.push_str("::timestamptz");
            }
            let written = db.attempt(&format!("UPDATE games SET {column} = {value}")).await;
            agree(column, &text, judge(&text), written, both);
            accepted += usize::from(written);
        }
        assert!(accepted >= good.len().min(2), "{column}");
    }
    names(db, rng).await;
    counters(db).await;
    documents(db, rng).await;
    versions(db, rng).await;
}

#[track_caller]
fn agree(what: &str, value: &str, valid: bool, written: bool, both: bool) {
    assert!(written || !valid, "{what}: {value:?} is valid, and the database refuses it");
    assert!(valid || !written || !both, "{what}: {value:?} is not valid, and the database takes it");
}

async fn names(db: &mut Db, rng: &mut StdRng) {
    for text in texts(rng, &["andromeda", "game-7", "a"]).into_iter().filter(|text| !text.is_empty()) {
        for column in ["name", "namespace"] {
            let id = uuid::Uuid::from_u128(rng.random());
            let other = if column == "name" { "namespace" } else { "name" };
            let sql = format!(
                "INSERT INTO games (game_id, {column}, {other}, desired_status) VALUES ('{id}', {}, 'n-{id}', 'stopped')",
                literal(db, &text)
            );
            let written = db.attempt(&sql).await;
            let valid = is_valid(|game| match column {
                "name" => game.metadata.name.clone_from(&text),
                _ => game.metadata.namespace = Some(text.clone()),
            });
            agree(column, &text, valid, written, true);
        }
    }
    for text in texts(rng, &["Terrans", "Marsmännchen", "The Others"]) {
        let written = db.attempt(&format!("UPDATE memberships SET race_name = {}", literal(db, &text))).await;
        let player = PlayerManifest { user_id: USER.into(), race_name: text.clone() };
        agree("race_name", &text, is_valid(|game| game.spec.players = Some(vec![player])), written, true);
    }
}

async fn counters(db: &mut Db) {
    for count in [i64::MIN, -1, 0, 1, 1 << 53, i64::MAX] {
        let id = uuid::Uuid::new_v4();
        let sql = format!(
            "INSERT INTO games (game_id, desired_status, restart_generation, backup_generation) VALUES ('{id}', 'stopped', {count}, {count})"
        );
        let written = db.attempt(&sql).await;
        let valid = is_valid(|game| {
            game.spec.restart_generation = Some(count);
            game.spec.backup_generation = Some(count);
        });
        agree("restart_generation", &count.to_string(), valid, written, true);
    }
}

async fn documents(db: &mut Db, rng: &mut StdRng) {
    for text in texts(rng, &["500m", "2", "0.25", "256Mi", "1.5Gi", "268435456"]) {
        let resources = ResourcesManifest {
            cpu: Some(Quantity(text.clone())),
            memory: Some(Quantity(text.clone())),
            pids: Some(4_194_304),
        };
        for part in ["cpu", "memory"] {
            let json = serde_json::json!({ part: text, "pids": "4194304" }).to_string();
            let written =
                db.attempt(&format!("UPDATE games SET resources = {}", json_literal(db, &json))).await;
            let mut resources = resources.clone();
            if part == "cpu" {
                resources.memory = None;
            } else {
                resources.cpu = None;
            }
            agree("resources", &json, is_valid(|game| game.spec.resources = Some(resources)), written, false);
        }
    }
    let long = |length: usize| "x".repeat(length);
    let labels =
        [1, 60, 63].into_iter().flat_map(|length| [1, 100, 120, 125, 130, 200, 256].map(|n| (n, length)));
    for (n, length) in labels {
        let labels: BTreeMap<String, String> =
            (0..n).map(|key| (format!("key-{key:03}"), long(length))).collect();
        let json = serde_json::json!(labels).to_string();
        let written = db.attempt(&format!("UPDATE games SET labels = {}", json_literal(db, &json))).await;
        agree("labels", &json, is_valid(|game| game.metadata.labels = labels), written, false);
    }
    for (value, n) in
        [("x", 262_110), ("x", 262_144), ("\n", 131_060), ("ä", 131_060), ("\0", 1), ("\u{1}", 43_700)]
    {
        let annotations: BTreeMap<String, String> = [("note".to_owned(), value.repeat(n))].into();
        let json = serde_json::json!(annotations).to_string();
        let written =
            db.attempt(&format!("UPDATE games SET annotations = {}", json_literal(db, &json))).await;
        let valid = is_valid(|game| game.metadata.annotations = annotations);
        agree("annotations", &format!("{value:?} {n} times"), valid, written, false);
    }
}

fn json_literal(db: &Db, json: &str) -> String {
    let text = literal(db, json);
    if db.is_sqlite() { text } else { format!("{text}::jsonb") }
}

async fn versions(db: &mut Db, rng: &mut StdRng) {
    let columns: [(&str, &[&str]); 3] = [
        ("version", &["1.4.2", "1.5.0-rc.1", "0.0.1-a"]),
        ("image_ref", &["engine:1.4.2", "registry.example:5000/a/b:1.4.2", "[::1]:5000/a"]),
        ("run_as", &["auto", "image", "10001:10001", "0:0"]),
    ];
    for (column, good) in columns {
        for text in texts(rng, good) {
            let mut row =
                BTreeMap::from([("version", "9.9.9"), ("image_ref", "engine:1"), ("run_as", "auto")]);
            row.insert(column, &text);
            let metadata = ObjectMeta { name: row["version"].to_owned(), ..ObjectMeta::default() };
            let spec: EngineVersionSpecManifest = serde_json::from_value(
                serde_json::json!({ "image": row["image_ref"], "runAs": row["run_as"] }),
            )
            .unwrap();
            let valid = validate_engine_version(&EngineVersionManifest::new(metadata, spec)).is_ok();
            let [image_ref, run_as, version] =
                ["image_ref", "run_as", "version"].map(|name| literal(db, row[name]));
            db.run("DELETE FROM engine_versions").await;
            let sql = format!(
                "INSERT INTO engine_versions (version, image_ref, run_as) VALUES ({version}, {image_ref}, {run_as})"
            );
            let written = db.attempt(&sql).await;
            // An empty one is left out.
            agree(column, &text, valid && !text.trim().is_empty(), written, false);
        }
    }
}
