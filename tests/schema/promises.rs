//! What the schema promises on both dialects, each as a sentence. One list for both, so that neither falls behind.

use crate::db::Db;

pub(crate) const GAME: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";
pub(crate) const OTHER: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f11";
pub(crate) const ALICE: &str = "00000000-0000-4000-8000-00000000000a";
pub(crate) const BOB: &str = "00000000-0000-4000-8000-00000000000b";

/// `generation|row_version` of a game.
pub(crate) const COUNTS: &str = "SELECT generation, row_version FROM games WHERE name = 'andromeda'";

pub(crate) async fn a_game(db: &mut Db) {
    db.run(&format!(
        "INSERT INTO games (game_id, name, desired_status, target_engine_version, turn_schedule)
         VALUES ('{GAME}', 'andromeda', 'running', '1.4.2', '0 18 * * *')"
    ))
    .await;
}

pub(crate) async fn a_player(db: &mut Db, user: &str, race: &str) {
    db.run(&format!(
        "INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{user}', '{race}')"
    ))
    .await;
}

pub(crate) async fn a_hand_written_game_gets_its_defaults(db: &mut Db) {
    db.run(&format!(
        "INSERT INTO games (game_id, desired_status, target_engine_version, turn_schedule) VALUES ('{GAME}', 'running', '', '')"
    ))
    .await;
    db.expect(
        "SELECT name, namespace, source, generation, row_version, time_zone, missed_turns, force_mode, deletion_policy FROM games",
        &format!("{GAME}|default|lobby|1|1|UTC|once|advance|retain"),
    )
    .await;
    db.expect(
        "SELECT paused, stop_now, restart_generation, force_turn_generation, patch_generation, restore_generation,
                backup_generation, backup_before_turn, membership_revision, labels, annotations, resources, deletion_requested_at FROM games",
        "0|0|0|0|0|0|0|0|0|{}|{}|{}|-",
    )
    .await;
    db.run(&format!("INSERT INTO games (game_id, name, desired_status) VALUES ('{OTHER}', '', 'stopped')"))
        .await;
    db.expect(&format!("SELECT name FROM games WHERE game_id = '{OTHER}'"), OTHER).await;
    db.refused(&format!("INSERT INTO games (game_id) VALUES ('{BOB}')"), "desired_status").await;
}

pub(crate) async fn each_spec_column_moves_the_generation_by_one(db: &mut Db) {
    a_game(db).await;
    let mut count = 1;
    for change in [
        "desired_status = 'stopped'",
        "stop_now = true",
        "paused = true",
        "target_engine_version = '1.4.3'",
        "allow_incompatible_version = '2.0.0'",
        "turn_schedule = ''",
        "time_zone = 'Europe/Berlin'",
        "missed_turns = 'skip'",
        "turn_not_before = '2026-11-24T18:00:00+00:00'",
        "force_mode = 'extra'",
        "restart_generation = restart_generation + 1",
        "force_turn_generation = 7",
        "patch_generation = 1",
        "restore_generation = 1, restore_backup_id = 'b-1'",
        "backup_generation = 1",
        "backup_before_turn = true",
        "resources = '{\"cpu\": \"500m\"}'",
        "deletion_policy = 'delete'",
        // Back to where it was is a change too.
        "paused = false, labels = '{\"a\": \"b\"}'",
    ] {
        db.run(&format!("UPDATE games SET {change}")).await;
        count += 1;
        db.expect(COUNTS, &format!("{count}|{count}")).await;
    }
}

pub(crate) async fn what_changes_nothing_moves_nothing(db: &mut Db) {
    a_game(db).await;
    db.run("UPDATE games SET labels = '{\"a\": \"b\"}', turn_not_before = '2026-11-24T18:00:00+00:00'").await;
    let all = "SELECT generation, row_version, updated_at, created_at, (SELECT count(*) FROM game_changes) FROM games";
    let before = db.rows(all).await;
    for change in [
        "paused = false",
        "paused = paused, labels = labels, target_engine_version = target_engine_version",
        "labels = '{ \"a\" : \"b\" }'",
        "turn_not_before = '2026-11-24T19:00:00+01:00'",
        "requested_by = 'somebody', request_id = 'r-9', source = 'operator'",
        "updated_at = '2001-01-01T00:00:00+00:00', created_at = '2001-01-01T00:00:00+00:00'",
        "generation = 99, row_version = 99",
        "generation = -1",
        "generation = 0, row_version = 0, membership_revision = 12",
    ] {
        db.run(&format!("UPDATE games SET {change}")).await;
        assert_eq!(db.rows(all).await, before, "{change}");
    }
    db.expect(
        "SELECT requested_by, request_id, source, membership_revision FROM games",
        "somebody|r-9|operator|0",
    )
    .await;
}

pub(crate) async fn what_is_not_spec_moves_the_row_version_only(db: &mut Db) {
    a_game(db).await;
    db.run("UPDATE games SET labels = '{\"a\": \"b\"}', requested_by = 'x'").await;
    db.expect(COUNTS, "1|2").await;
    db.run("UPDATE games SET annotations = '{\"a\": \"b\"}'").await;
    db.expect(COUNTS, "1|3").await;
    db.run("UPDATE games SET display_name = 'Andromeda'").await;
    db.expect(COUNTS, "1|4").await;
    db.run("UPDATE games SET deletion_requested_at = '2026-11-24T18:00:00+00:00'").await;
    db.expect(COUNTS, "1|5").await;
}

pub(crate) async fn a_direct_write_of_generation_is_overridden(db: &mut Db) {
    db.run(&format!(
        "INSERT INTO games (game_id, name, desired_status, generation, row_version, membership_revision)
         VALUES ('{GAME}', 'andromeda', 'running', 50, 60, 70)"
    ))
    .await;
    db.expect("SELECT generation, row_version, membership_revision FROM games", "1|1|0").await;
    db.run("UPDATE games SET paused = true, generation = 40, row_version = -3").await;
    db.expect(COUNTS, "2|2").await;
    db.run("UPDATE games SET display_name = 'x', generation = 1").await;
    db.expect(COUNTS, "2|3").await;
}

pub(crate) async fn request_counters_cannot_decrease(db: &mut Db) {
    a_game(db).await;
    let counters = [
        "restart_generation",
        "force_turn_generation",
        "patch_generation",
        "restore_generation",
        "backup_generation",
    ];
    db.run(&format!("UPDATE games SET {} = 3", counters.join(" = 3, "))).await;
    for counter in counters {
        db.refused(&format!("UPDATE games SET {counter} = 2"), &format!("{counter} cannot decrease")).await;
        db.refused(&format!("UPDATE games SET {counter} = -1"), "").await;
    }
    db.expect(COUNTS, "2|2").await;
}

pub(crate) async fn identity_is_immutable(db: &mut Db) {
    a_game(db).await;
    a_player(db, ALICE, "Terrans").await;
    db.refused(&format!("UPDATE games SET game_id = '{OTHER}'"), "game_id is immutable").await;
    db.refused("UPDATE games SET name = 'other'", "name is immutable").await;
    db.refused("UPDATE games SET name = ''", "name is immutable").await;
    db.refused("UPDATE games SET namespace = 'other'", "namespace is immutable").await;
    db.refused(&format!("UPDATE memberships SET user_id = '{BOB}'"), "immutable").await;
    db.refused(&format!("UPDATE memberships SET game_id = '{OTHER}'"), "immutable").await;
    db.refused(
        &format!(
            "INSERT INTO games (game_id, name, desired_status) VALUES ('{OTHER}', 'andromeda', 'running')"
        ),
        "name",
    )
    .await;
    db.run(&format!("INSERT INTO games (game_id, namespace, name, desired_status) VALUES ('{OTHER}', 'test', 'andromeda', 'running')"))
        .await;
}

pub(crate) async fn a_membership_that_changes_moves_revision_and_generation(db: &mut Db) {
    a_game(db).await;
    let counts = "SELECT membership_revision, generation, row_version FROM games";
    a_player(db, ALICE, "Terrans").await;
    db.expect(counts, "1|2|2").await;
    db.run("UPDATE memberships SET race_name = 'Zerg'").await;
    db.expect(counts, "2|3|3").await;
    db.run("UPDATE memberships SET status = 'removed', race_name = 'Protoss'").await;
    db.expect(counts, "3|4|4").await;
    db.run("DELETE FROM memberships").await;
    db.expect(counts, "4|5|5").await;
}

pub(crate) async fn a_membership_that_does_not_change_moves_nothing(db: &mut Db) {
    a_game(db).await;
    a_player(db, ALICE, "Terrans").await;
    let all =
        "SELECT g.membership_revision, g.generation, g.row_version, g.updated_at, m.updated_at, m.created_at
               FROM games AS g JOIN memberships AS m ON m.game_id = g.game_id";
    let before = db.rows(all).await;
    db.run("UPDATE memberships SET race_name = race_name, status = 'active'").await;
    db.run(&format!(
        "INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{ALICE}', 'Terrans')
         ON CONFLICT (game_id, user_id) DO UPDATE SET race_name = excluded.race_name, status = excluded.status"
    ))
    .await;
    db.run(&format!(
        "INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{ALICE}', 'Zerg')
         ON CONFLICT (game_id, user_id) DO NOTHING"
    ))
    .await;
    db.run("DELETE FROM memberships WHERE race_name = 'nobody'").await;
    assert_eq!(db.rows(all).await, before);
    // What was ignored above is not taken for the beginning of a replacement.
    db.run("DELETE FROM memberships").await;
    db.expect("SELECT membership_revision, generation FROM games", "2|3").await;
}

pub(crate) async fn an_active_race_name_is_unique_in_its_game(db: &mut Db) {
    a_game(db).await;
    a_player(db, ALICE, "Terrans").await;
    a_player(db, BOB, "Zerg").await;
    db.refused(&format!("UPDATE memberships SET race_name = 'Zerg' WHERE user_id = '{ALICE}'"), "race").await;
    db.refused(
        &format!(
            "INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{OTHER}', 'Zerg')"
        ),
        "race",
    )
    .await;
    db.run(&format!("UPDATE memberships SET status = 'removed' WHERE user_id = '{BOB}'")).await;
    db.run(&format!("UPDATE memberships SET race_name = 'Zerg' WHERE user_id = '{ALICE}'")).await;
    db.refused(&format!("UPDATE memberships SET status = 'active' WHERE user_id = '{BOB}'"), "race").await;
}

pub(crate) async fn a_membership_needs_its_game(db: &mut Db) {
    db.refused(
        &format!(
            "INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{ALICE}', 'Terrans')"
        ),
        "no such game",
    )
    .await;
    db.expect("SELECT count(*) FROM memberships", "0").await;
}

pub(crate) async fn bulk_writes_count_every_row_once(db: &mut Db) {
    let values: Vec<String> =
        (0..50).map(|i| format!("('6f1c0a52-58a7-4d7e-9a0b-{i:012}', 'running')")).collect();
    db.run(&format!("INSERT INTO games (game_id, desired_status) VALUES {}", values.join(", "))).await;
    db.run("UPDATE games SET paused = true").await;
    let values: Vec<String> = (0..50)
        .flat_map(|i| {
            (0..3).map(move |u| {
                format!("('6f1c0a52-58a7-4d7e-9a0b-{i:012}', '00000000-0000-4000-8000-{u:012}', 'r{u}')")
            })
        })
        .collect();
    db.run(&format!("INSERT INTO memberships (game_id, user_id, race_name) VALUES {}", values.join(", ")))
        .await;
    db.run("UPDATE memberships SET status = 'removed' WHERE race_name = 'r1'").await;
    db.run("DELETE FROM memberships WHERE race_name IN ('r1', 'r2')").await;
    // Each statement counts once for a game; on SQLite, whose triggers see rows, each row of memberships.
    let (generation, members, changes) = if db.is_sqlite() { (8, 6, 400) } else { (5, 3, 250) };
    db.expect(
        "SELECT count(*), min(generation), max(generation), min(membership_revision), max(row_version) FROM games",
        &format!("50|{generation}|{generation}|{members}|{generation}"),
    )
    .await;
    db.expect("SELECT count(*) FROM game_changes", &changes.to_string()).await;
    db.run("DELETE FROM games").await;
    db.expect(
        "SELECT count(*), min(generation), max(generation) FROM game_tombstones",
        &format!("50|{generation}|{generation}"),
    )
    .await;
    db.expect("SELECT count(*) FROM memberships", "0").await;
}

/// In time that grows with the number of members, and not with its square: written at once, one by one in a
/// transaction, and changed; whatever the API keeps about the game.
pub(crate) async fn many_members_cost_what_their_number_says(db: &mut Db) {
    let (few, many) = (250, 2_000);
    let mut took = Vec::new();
    for (number, game) in [(few, OTHER), (many, GAME)] {
        db.run(&format!("INSERT INTO games (game_id, desired_status) VALUES ('{game}', 'running')")).await;
        let kept = "x".repeat(200 * number);
        db.run(&format!(
            "INSERT INTO game_managers (game_id, managed_fields) VALUES ('{game}', '{{\"object\": {{\"x\": \"{kept}\"}}}}')"
        ))
        .await;
        let member =
            |i: usize, race: &str| format!("('{game}', '00000000-0000-4000-8000-{i:012}', '{race}{i}')");
        let insert = "INSERT INTO memberships (game_id, user_id, race_name) VALUES";
        let at_once: Vec<String> = (0..number).map(|i| member(i, "a")).collect();
        let began = std::time::Instant::now();
        db.run(&format!("{insert} {}", at_once.join(", "))).await;
        db.run("BEGIN").await;
        for i in number..number * 2 {
            db.run(&format!("{insert} {}", member(i, "b"))).await;
        }
        db.run("COMMIT").await;
        db.run(&format!("UPDATE memberships SET status = 'removed' WHERE game_id = '{game}'")).await;
        db.run(&format!("DELETE FROM memberships WHERE game_id = '{game}'")).await;
        took.push(began.elapsed());
    }
    eprintln!("{few} and {many} members: {took:?}");
    // Seconds, in a debug build beside other tests; it was minutes.
    assert!(took[1] < std::time::Duration::from_secs(60), "{took:?}");
    if !db.is_sqlite() {
        db.expect(
            &format!("SELECT generation, membership_revision FROM games WHERE game_id = '{GAME}'"),
            "5|4",
        )
        .await;
        db.expect(&format!("SELECT count(*) FROM game_changes WHERE game_id = '{GAME}'"), "5").await;
    }
    db.expect("SELECT count(*) FROM membership_writes", "0").await;
}

pub(crate) async fn managers_go_with_their_game(db: &mut Db) {
    a_game(db).await;
    db.run(&format!("INSERT INTO game_managers (game_id) VALUES ('{GAME}')")).await;
    db.expect(COUNTS, "1|1").await;
    db.run("UPDATE game_managers SET revision = 3, managed_fields = '{\"revision\": 3}'").await;
    db.expect(COUNTS, "1|2").await;
    assert_eq!(last_changes(db).await, serde_json::json!({"managed_fields": {"from": 0, "to": 3}}));
    // By hand it is neither changed nor counted.
    db.run("UPDATE games SET managed_revision = 9").await;
    db.run("UPDATE games SET managed_revision = 1, requested_by = 'x'").await;
    db.expect(COUNTS, "1|2").await;
    db.expect("SELECT managed_revision, (SELECT count(*) FROM game_changes) FROM games", "3|2").await;
    db.run("DELETE FROM games").await;
    db.expect("SELECT count(*) FROM game_managers", "0").await;
}

pub(crate) async fn an_upsert_counts_real_changes_only(db: &mut Db) {
    a_game(db).await;
    let upsert = |schedule: &str| {
        format!(
            "INSERT INTO games (game_id, desired_status, turn_schedule) VALUES ('{GAME}', 'running', '{schedule}')
             ON CONFLICT (game_id) DO UPDATE SET desired_status = excluded.desired_status, turn_schedule = excluded.turn_schedule"
        )
    };
    db.run(&upsert("0 18 * * *")).await;
    db.expect(COUNTS, "1|1").await;
    db.run(&upsert("0 19 * * *")).await;
    db.expect(COUNTS, "2|2").await;
    db.run(&format!(
        "INSERT INTO games (game_id, name, desired_status) VALUES ('{OTHER}', 'andromeda', 'stopped')
         ON CONFLICT (namespace, name) DO UPDATE SET desired_status = excluded.desired_status"
    ))
    .await;
    db.expect("SELECT game_id, desired_status, generation FROM games", &format!("{GAME}|stopped|3")).await;
    db.run(&format!(
        "INSERT INTO games (game_id, desired_status) VALUES ('{GAME}', 'running') ON CONFLICT DO NOTHING"
    ))
    .await;
    db.expect(COUNTS, "3|3").await;
    db.run("DELETE FROM games").await;
    db.expect("SELECT generation FROM game_tombstones", "3").await;
}

pub(crate) async fn game_changes_say_what_changed_and_who_asked(db: &mut Db) {
    a_game(db).await;
    db.expect("SELECT change, generation, row_version FROM game_changes", "created|1|1").await;
    db.run("UPDATE games SET paused = true, turn_schedule = '', requested_by = 'ann', request_id = 'r-1', source = 'operator'").await;
    let last = "ORDER BY change_id DESC LIMIT 1";
    db.expect(
        &format!("SELECT change, generation, row_version, requested_by, request_id, source FROM game_changes {last}"),
        "changed|2|2|ann|r-1|operator",
    )
    .await;
    let changes = last_changes(db).await;
    assert_eq!(changes["turn_schedule"], serde_json::json!({"from": "0 18 * * *", "to": ""}));
    assert_eq!(changes["paused"], serde_json::json!({"from": false, "to": true}));
    assert_eq!(changes.as_object().unwrap().len(), 2, "{changes}");
    db.run("UPDATE games SET resources = '{\"cpu\": \"1\"}', requested_by = 'ben', request_id = 'r-2'").await;
    assert_eq!(last_changes(db).await, serde_json::json!({"resources": {"from": {}, "to": {"cpu": "1"}}}));
    // A membership's change is its game's.
    a_player(db, ALICE, "Terrans").await;
    db.expect(&format!("SELECT generation, requested_by, request_id FROM game_changes {last}"), "4|ben|r-2")
        .await;
    assert_eq!(
        last_changes(db).await,
        serde_json::json!({
            "membership_revision": {"from": 0, "to": 1},
            "member": {"user_id": ALICE, "race_name": {"from": null, "to": "Terrans"}, "status": {"from": null, "to": "active"}},
        })
    );
    db.run("UPDATE memberships SET race_name = 'Zerg'").await;
    assert_eq!(
        last_changes(db).await["member"]["race_name"],
        serde_json::json!({"from": "Terrans", "to": "Zerg"})
    );
    db.run("DELETE FROM memberships").await;
    assert_eq!(
        last_changes(db).await["member"]["race_name"],
        serde_json::json!({"from": "Zerg", "to": null})
    );
    db.run("UPDATE games SET display_name = 'x'").await;
    assert_eq!(last_changes(db).await, serde_json::json!({"display_name": {"from": "", "to": "x"}}));
    db.run("DELETE FROM games").await;
    db.expect(&format!("SELECT change, generation, requested_by FROM game_changes {last}"), "deleted|6|ben")
        .await;
}

async fn last_changes(db: &mut Db) -> serde_json::Value {
    let rows = db.rows("SELECT changes FROM game_changes ORDER BY change_id DESC LIMIT 1").await;
    serde_json::from_str(&rows[0]).expect("JSON")
}

pub(crate) async fn a_delete_leaves_a_tombstone_and_takes_the_memberships(db: &mut Db) {
    a_game(db).await;
    a_player(db, ALICE, "Terrans").await;
    a_player(db, BOB, "Zerg").await;
    db.run("UPDATE games SET deletion_policy = 'delete', requested_by = 'ann', request_id = 'r-1'").await;
    db.run("DELETE FROM games").await;
    db.expect(
        "SELECT game_id, namespace, name, deletion_policy, generation, requested_by, request_id, handled_at FROM game_tombstones",
        &format!("{GAME}|default|andromeda|delete|4|ann|r-1|-"),
    )
    .await;
    db.expect("SELECT count(*) FROM memberships", "0").await;
    let rows = db.rows("SELECT memberships FROM game_tombstones").await;
    let memberships: serde_json::Value = serde_json::from_str(&rows[0]).unwrap();
    assert_eq!(memberships[1]["race_name"], "Zerg", "{memberships}");
}

pub(crate) async fn requests_done_are_none_of_a_game_made_again(db: &mut Db) {
    a_game(db).await;
    db.run("UPDATE games SET restart_generation = 5, backup_generation = 2").await;
    db.run(&format!(
        "INSERT INTO runtime_records (game_id, name, status, reason, observed_generation, observed_restart_generation, observed_backup_generation)
         VALUES ('{GAME}', 'andromeda', 'running', 'Running', 2, 4, 2)"
    ))
    .await;
    db.run("DELETE FROM games").await;
    a_game(db).await;
    let counts = "SELECT restart_generation, backup_generation, patch_generation FROM games";
    db.expect(counts, "4|2|0").await;
    db.refused("UPDATE games SET restart_generation = 1", "cannot decrease").await;
    db.run("UPDATE games SET restart_generation = restart_generation + 1").await;
    db.expect(counts, "5|2|0").await;
}

pub(crate) async fn a_game_made_again_goes_on_counting(db: &mut Db) {
    a_game(db).await;
    a_player(db, ALICE, "Terrans").await;
    db.run("UPDATE games SET paused = true, restart_generation = 5").await;
    db.run("DELETE FROM games").await;
    a_game(db).await;
    db.expect(
        "SELECT generation, row_version, membership_revision, restart_generation, paused FROM games",
        "4|4|1|0|0",
    )
    .await;
    db.expect("SELECT count(*) FROM memberships", "0").await;
    db.expect("SELECT count(*) FROM game_tombstones WHERE generation = 3 AND handled_at IS NOT NULL", "1")
        .await;
    db.run("UPDATE games SET restart_generation = 1").await;
    db.expect(COUNTS, "5|5").await;
    db.run("DELETE FROM games").await;
    db.expect("SELECT count(*), max(generation) FROM game_tombstones", "2|5").await;
    // Another game may have the name now, and the old one another name.
    db.run(&format!(
        "INSERT INTO games (game_id, name, desired_status) VALUES ('{OTHER}', 'andromeda', 'running')"
    ))
    .await;
    db.expect(COUNTS, "1|1").await;
    db.run(&format!("INSERT INTO games (game_id, namespace, name, desired_status) VALUES ('{GAME}', 'test', 'ursa', 'running')")).await;
    db.expect("SELECT namespace, generation FROM games WHERE name = 'ursa'", "test|6").await;
}

pub(crate) async fn a_requested_deletion_stays_requested(db: &mut Db) {
    a_game(db).await;
    db.run("UPDATE games SET deletion_requested_at = '2026-11-24T18:00:00+00:00'").await;
    db.refused("UPDATE games SET deletion_requested_at = NULL", "cannot be taken back").await;
    db.run("UPDATE games SET deletion_requested_at = '2027-11-24T18:00:00+00:00'").await;
    db.expect("SELECT count(*) FROM games WHERE deletion_requested_at < '2026-12-01'", "1").await;
    db.run("UPDATE games SET deletion_requested_at = '2027-11-24T18:00:00+00:00', display_name = 'x'").await;
    db.run("UPDATE games SET display_name = 'y'").await;
    db.expect("SELECT count(*) FROM games WHERE deletion_requested_at < '2026-12-01'", "1").await;
    db.expect(COUNTS, "1|4").await;
}

pub(crate) async fn hostile_text_is_refused(db: &mut Db) {
    a_game(db).await;
    let long = "x".repeat(10_000);
    let names = [
        "..",
        "../etc",
        "a/b",
        "Upper",
        "-a",
        "a-",
        "a.b",
        "a b",
        "ü",
        "a\u{7f}",
        "a\n",
        // Look-alikes, what cannot be seen, what turns the reading round, two spellings of one letter.
        "ａndromeda",
        "аndromeda",
        "a\u{200b}b",
        "a\u{ad}b",
        "\u{202e}a",
        "\u{feff}a",
        "e\u{301}",
        "ß",
        "a\u{2044}b",
        "a\u{2024}\u{2024}",
        "\u{10ffff}",
        &long,
        &"x".repeat(64),
    ];
    for name in names {
        for column in ["name", "namespace"] {
            db.refused(&format!("INSERT INTO games (game_id, {column}, desired_status) VALUES ('{OTHER}', '{name}', 'running')"), "").await;
        }
        db.refused(&format!("INSERT INTO engine_versions (version, image_ref) VALUES ('{name}', 'a')"), "")
            .await;
        db.refused(&format!("UPDATE games SET restore_backup_id = '{name}/'"), "").await;
    }
    for id in [
        "",
        "not-a-uuid",
        // Digits that are digits elsewhere.
        "６f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10",
        "6f1c0a52\u{2010}58a7\u{2010}4d7e\u{2010}9a0b\u{2010}0a2f5f3c7f10",
        "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f1",
        "../../../../../../../../../../../etc/x",
        &long,
    ] {
        db.refused(&format!("INSERT INTO games (game_id, desired_status) VALUES ('{id}', 'running')"), "")
            .await;
        db.refused(
            &format!("INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{id}', 'r')"),
            "",
        )
        .await;
    }
    for race in ["", "   ", "a\u{1}", "a\u{7}b", "a\nb", "\u{7f}", "\u{85}", &"x".repeat(65), &long] {
        db.refused(
            &format!(
                "INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{ALICE}', '{race}')"
            ),
            "",
        )
        .await;
    }
    for column in [
        "display_name",
        "turn_schedule",
        "time_zone",
        "target_engine_version",
        "allow_incompatible_version",
        "restore_backup_id",
        "requested_by",
        "request_id",
    ] {
        db.refused(&format!("UPDATE games SET {column} = '{long}'"), "").await;
    }
    for version in ["1", "1.2", "v1.2.3", "1.2.3+build", "1..2.3", "1.2.3 ", "1.2.3-RC1"] {
        db.refused(
            &format!("INSERT INTO engine_versions (version, image_ref) VALUES ('{version}', 'a')"),
            "",
        )
        .await;
    }
    for image in ["", "a b", "a\nb", "$(x)", "ü", &long] {
        db.refused(
            &format!("INSERT INTO engine_versions (version, image_ref) VALUES ('1.0.0', '{image}')"),
            "",
        )
        .await;
    }
    db.refused("UPDATE games SET restore_backup_id = '..'", "").await;
    db.refused("UPDATE games SET restore_backup_id = '.hidden'", "").await;
    db.refused("UPDATE games SET restore_backup_id = 'a..b'", "").await;
    // A NUL hides what follows it from SQLite's GLOB and length(); PostgreSQL has no such text at all.
    if db.is_sqlite() {
        for column in [
            "display_name",
            "turn_schedule",
            "time_zone",
            "target_engine_version",
            "allow_incompatible_version",
            "restore_backup_id",
            "requested_by",
            "request_id",
        ] {
            db.refused(&format!("UPDATE games SET {column} = 'a' || char(0) || '/../x'"), "CHECK").await;
        }
        db.refused(&format!("INSERT INTO games (game_id, name, desired_status) VALUES ('{OTHER}', 'a' || char(0) || '/', 'running')"), "CHECK").await;
        db.refused(
            &format!(
                "INSERT INTO games (game_id, desired_status) VALUES ('{OTHER}' || char(0) || '/', 'running')"
            ),
            "CHECK",
        )
        .await;
        db.refused(
            "INSERT INTO engine_versions (version, image_ref) VALUES ('1.2.3' || char(0) || '/', 'a')",
            "CHECK",
        )
        .await;
        db.refused(
            "INSERT INTO engine_versions (version, image_ref) VALUES ('1.2.3', 'a' || char(0) || ' b')",
            "CHECK",
        )
        .await;
        db.refused(&format!("INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{ALICE}', 'a' || char(0) || 'b')"), "CHECK").await;
    }
    // Other scripts are welcome where people read.
    db.run(&format!(
        "INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{GAME}', '{ALICE}', 'Терраны [1] ^-')"
    ))
    .await;
    db.run("UPDATE games SET display_name = 'Андромеда 🚀'").await;
    db.expect(COUNTS, "2|3").await;
}

pub(crate) async fn nonsense_is_refused(db: &mut Db) {
    a_game(db).await;
    for change in [
        "desired_status = 'Running'",
        "desired_status = NULL",
        "missed_turns = 'twice'",
        "force_mode = ''",
        "deletion_policy = 'keep'",
        "source = 'controller'",
        "labels = '[]'",
        "labels = '{'",
        "labels = 'null'",
        "annotations = '\"x\"'",
        "resources = '[]'",
        "resources = '{\"disk\": \"1\"}'",
        "resources = '{\"cpu\": 1}'",
        "resources = '{\"pids\": [\"1\"]}'",
        "turn_not_before = ''",
        "turn_not_before = 'someday'",
        "turn_not_before = '2026-02-30T00:00:00+00:00'",
        "turn_not_before = '2026-13-01'",
        "restart_generation = -1",
        "time_zone = ''",
        "time_zone = 'Europe/Ber lin'",
        "deletion_requested_at = 'soon'",
    ] {
        db.refused(&format!("UPDATE games SET {change}"), "").await;
    }
    for (column, value) in [
        ("port", "0"),
        ("port", "65536"),
        ("contract", "'gamekeeper/v2'"),
        ("run_as", "'root'"),
        ("run_as", "'1:2:3'"),
        ("run_as", "'-1:0'"),
        ("relaxations", "'{}'"),
        ("relaxations", "'[\"privileged\"]'"),
        ("relaxations", "'[1]'"),
        ("relaxations", "'[[\"capabilities\"]]'"),
        ("resources", "'{\"memory\": 5}'"),
        ("resources", "'{\"mounts\": \"/\"}'"),
        ("labels", "'1'"),
    ] {
        db.refused(
            &format!(
                "INSERT INTO engine_versions (version, image_ref, {column}) VALUES ('1.0.0', 'a', {value})"
            ),
            "",
        )
        .await;
    }
    db.run(
        "INSERT INTO engine_versions (version, image_ref, run_as, relaxations, resources)
         VALUES ('1.0.0-rc.1', 'localhost:5000/a/b@sha256:00', '1000:1000', '[\"writable-root\", \"capabilities\"]', '{\"pids\": \"64\"}')",
    )
    .await;
    db.refused(&format!("INSERT INTO memberships (game_id, user_id, race_name, status) VALUES ('{GAME}', '{ALICE}', 'r', 'banned')"), "").await;
    db.expect(COUNTS, "1|1").await;
}

pub(crate) async fn an_engine_version_keeps_its_image(db: &mut Db) {
    db.run("INSERT INTO engine_versions (version, image_ref) VALUES ('1.4.2', 'engine:1.4.2')").await;
    let all = "SELECT image_ref, enabled, port, contract, run_as, relaxations, resources, generation, row_version FROM engine_versions";
    db.expect(all, "engine:1.4.2|1|8080|gamekeeper/v1|auto|[]|{}|1|1").await;
    db.refused("UPDATE engine_versions SET image_ref = 'engine:other'", "image_ref is immutable").await;
    db.refused("UPDATE engine_versions SET version = '1.4.3'", "version is immutable").await;
    db.run("UPDATE engine_versions SET image_ref = image_ref, enabled = true, generation = 9").await;
    db.expect(all, "engine:1.4.2|1|8080|gamekeeper/v1|auto|[]|{}|1|1").await;
    db.run("UPDATE engine_versions SET enabled = false").await;
    db.run("UPDATE engine_versions SET labels = '{\"a\": \"b\"}'").await;
    db.expect("SELECT generation, row_version FROM engine_versions", "2|3").await;
    db.run("UPDATE engine_versions SET resume_generation = 2").await;
    db.refused("UPDATE engine_versions SET resume_generation = 1", "cannot decrease").await;
    db.run("DELETE FROM engine_versions").await;
    db.expect(
        "SELECT version, generation, row_version, image_ref FROM engine_version_tombstones",
        "1.4.2|3|4|engine:1.4.2",
    )
    .await;
    db.run("INSERT INTO engine_versions (version, image_ref) VALUES ('1.4.2', 'engine:1.4.2')").await;
    db.expect("SELECT generation, row_version FROM engine_versions", "4|5").await;
}

pub(crate) async fn an_engine_version_moves_no_game(db: &mut Db) {
    a_game(db).await;
    db.run("INSERT INTO engine_versions (version, image_ref) VALUES ('1.4.2', 'engine:1.4.2')").await;
    db.run("UPDATE engine_versions SET enabled = false").await;
    db.run("DELETE FROM engine_versions").await;
    db.expect(COUNTS, "1|1").await;
}

pub(crate) async fn what_is_rolled_back_leaves_nothing(db: &mut Db) {
    a_game(db).await;
    a_player(db, ALICE, "Terrans").await;
    db.run("BEGIN").await;
    db.run("UPDATE games SET paused = true").await;
    db.run("DELETE FROM memberships").await;
    db.run("DELETE FROM games").await;
    db.run("ROLLBACK").await;
    db.expect(COUNTS, "2|2").await;
    db.expect("SELECT (SELECT count(*) FROM game_tombstones), (SELECT count(*) FROM game_changes), (SELECT count(*) FROM memberships)", "0|2|1").await;
    db.run("UPDATE games SET paused = true").await;
    db.expect(COUNTS, "3|3").await;
}

pub(crate) async fn game_status_says_whether_a_row_came_true(db: &mut Db) {
    a_game(db).await;
    let status = "SELECT status, settled, ready, reason FROM game_status";
    db.expect(status, "pending|0|0|NotObserved").await;
    db.run(&format!(
        "INSERT INTO runtime_records (game_id, name, status, reason, observed_generation) VALUES ('{GAME}', 'andromeda', 'starting', 'Pulling', 1)"
    ))
    .await;
    db.expect(status, "starting|0|0|Pulling").await;
    // Nobody has said what is left.
    db.run(
        "UPDATE runtime_records SET status = 'running', reason = 'Running', current_engine_version = '1.4.2'",
    )
    .await;
    db.expect(status, "running|0|1|Running").await;
    db.run("UPDATE runtime_records SET left_to_do = '[\"the restart that was asked for\"]'").await;
    db.expect(status, "running|0|1|Running").await;
    db.run("UPDATE runtime_records SET left_to_do = '[]'").await;
    db.expect(status, "running|1|1|Running").await;
    db.run("UPDATE runtime_records SET conditions = '[{\"type\": \"Ready\", \"status\": \"False\"}]', left_to_do = '[\"x\"]'").await;
    db.expect(status, "running|0|0|Running").await;
    db.run("UPDATE runtime_records SET conditions = '[{\"type\": \"Ready\", \"status\": \"True\"}]', left_to_do = '[]'").await;
    db.expect(status, "running|1|1|Running").await;
    // What was left of the generation before says nothing of this one, whatever changed.
    let changes = [
        "restart_generation = 1",
        "paused = true",
        "target_engine_version = '~1.5'",
        "target_engine_version = ''",
        "desired_status = 'stopped'",
    ];
    for (generation, change) in (2..).zip(changes) {
        db.run(&format!("UPDATE games SET {change}")).await;
        db.expect(status, "running|0|1|Running").await;
        db.run(&format!("UPDATE runtime_records SET observed_generation = {generation}")).await;
        db.expect(status, "running|1|1|Running").await;
    }
    db.refused("UPDATE runtime_records SET left_to_do = '{}'", "").await;
    db.run("UPDATE games SET deletion_requested_at = '2026-11-24T18:00:00+00:00'").await;
    db.expect(status, "running|0|1|Running").await;
}

pub(crate) async fn an_operation_is_closed_once(db: &mut Db) {
    db.run(&format!("INSERT INTO operation_log (operation_id, game_id, op, source) VALUES ('{OTHER}', '{GAME}', 'start', 'lobby')")).await;
    db.refused("UPDATE operation_log SET status = 'succeeded'", "").await;
    db.run("UPDATE operation_log SET status = 'running', started_at = '2026-11-24T18:00:00+00:00'").await;
    db.run("UPDATE operation_log SET status = 'failed', finished_at = '2026-11-24T18:00:00+00:00', error_code = 'x'").await;
    db.refused("UPDATE operation_log SET status = 'succeeded'", "already closed").await;
    db.refused("UPDATE operation_log SET status = 'running', finished_at = NULL", "already closed").await;
    db.run("UPDATE operation_log SET status = 'failed'").await;
    db.refused(&format!("INSERT INTO operation_log (operation_id, game_id, op, source) VALUES ('{GAME}', '{GAME}', 'explode', 'lobby')"), "").await;
}

pub(crate) async fn a_slot_and_a_number_give_one_turn(db: &mut Db) {
    let turn = |timeline: i32, number: i32, slot: &str| {
        format!(
            "INSERT INTO turns (game_id, timeline, number, cause, slot) VALUES ('{GAME}', {timeline}, {number}, 'schedule', {slot})"
        )
    };
    let slot = "'2026-11-24T18:00:00+00:00'";
    db.run(&turn(1, 1, slot)).await;
    db.refused(&turn(1, 2, slot), "").await;
    db.refused(&turn(1, 1, "NULL"), "").await;
    db.run(&turn(1, 2, "NULL")).await;
    db.run(&turn(1, 3, "NULL")).await;
    db.run(&turn(2, 1, slot)).await;
    let outbox = |id: &str| {
        format!(
            "INSERT INTO lobby_outbox (event_id, game_id, seq, type, occurred_at) VALUES ('{id}', '{GAME}', 1, 'status', {slot})"
        )
    };
    db.run(&outbox(ALICE)).await;
    db.refused(&outbox(BOB), "").await;
    let event = "INSERT INTO events (kind, name, uid, type, reason, message, count) VALUES ('Game', 'a', '', 'normal', 'Started', 'm', 1)";
    db.run(event).await;
    db.refused(event, "").await;
    db.run(&format!("{event} ON CONFLICT (kind, namespace, name, uid, type, reason, message) DO UPDATE SET count = events.count + 1")).await;
    db.expect("SELECT count FROM events", "2").await;
}

pub(crate) async fn the_longest_event_fits_its_index(db: &mut Db) {
    // Text that does not compress, at the limit of every column of the unique index.
    let mut state = 7_u64;
    let message: String = (0..512)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from_u32(0x400 + (state >> 40) as u32 % 0x300).unwrap()
        })
        .collect();
    db.run(&format!("INSERT INTO events (kind, name, type, reason, message) VALUES ('Game', 'a', 'warning', 'R', '{message}')")).await;
    db.refused(&format!("INSERT INTO events (kind, name, type, reason, message) VALUES ('Game', 'a', 'warning', 'R', '{message}x')"), "").await;
}

pub(crate) async fn the_database_has_an_identity_and_a_version(db: &mut Db) {
    db.expect("SELECT id, version, min_binary FROM schema_info", "1|1|0.1.0").await;
    let rows = db.rows("SELECT instance_id FROM instance").await;
    let id: uuid::Uuid = rows[0].parse().unwrap();
    assert_eq!((id.get_version_num(), id.to_string()), (4, rows[0].clone()));
    db.refused(&format!("INSERT INTO instance (id, instance_id) VALUES (2, '{GAME}')"), "").await;
    db.refused("INSERT INTO schema_info (id, version, min_binary) VALUES (2, 1, '')", "").await;
}

/// What `docs/lobby.md` tells a lobby's developer to write is taken by either dialect.
pub(crate) async fn the_lobby_s_page_can_be_followed(db: &mut Db) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lobby.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut blocks = page.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).peekable();
    assert!(blocks.peek().is_some());
    for block in blocks {
        db.run(block).await;
    }
}

pub(crate) async fn a_token_is_kept_as_a_digest_and_does_not_change(db: &mut Db) {
    let digest = "0".repeat(64);
    let insert = |id: &str, name: &str, role: &str, namespaces: &str, digest: &str| {
        format!(
            "INSERT INTO access_tokens (token_id, name, role, namespaces, sha256)
             VALUES ('{id}', '{name}', '{role}', '{namespaces}', '{digest}')"
        )
    };
    db.run(&insert(GAME, "ci", "operator", "[]", &digest)).await;
    db.expect("SELECT name, role, expires_at FROM access_tokens", "ci|operator|-").await;
    db.expect("SELECT seq FROM access_feed", "1").await;
    let other = "1".repeat(64);
    for (name, role, namespaces, digest) in [
        ("ci", "viewer", "[]", other.as_str()),
        ("other", "viewer", "[]", digest.as_str()),
        ("other", "root", "[]", &other),
        ("other", "viewer", "{}", &other),
        ("other", "viewer", "[]", "the token itself"),
        ("other", "viewer", "[]", &"G".repeat(64)),
        ("../x", "viewer", "[]", &other),
        ("Other", "viewer", "[]", &other),
        ("", "viewer", "[]", &other),
        (&"x".repeat(64), "viewer", "[]", &other),
    ] {
        db.refused(&insert(OTHER, name, role, namespaces, digest), "").await;
    }
    for change in ["role = 'admin'", "expires_at = NULL", "namespaces = '[]'"] {
        db.refused(&format!("UPDATE access_tokens SET {change}"), "immutable").await;
    }
    db.run("DELETE FROM access_tokens").await;
    db.expect("SELECT seq FROM access_feed", "2").await;
}

/// A key or value that the API refuses cannot be written by SQL; what is no text is taken, and told elsewhere.
pub(crate) async fn labels_and_annotations_are_what_the_api_takes(db: &mut Db) {
    a_game(db).await;
    db.run("INSERT INTO engine_versions (version, image_ref) VALUES ('1.4.2', 'engine:1.4.2')").await;
    let (word, domain) = ("x".repeat(63), ["x"; 4].map(|part| part.repeat(62)).join("."));
    let many = |n: usize| (0..n).map(|n| format!("\"k{n}\": \"\"")).collect::<Vec<_>>().join(", ");
    for (entries, as_labels, as_annotations) in [
        (r#""a": "b""#.to_owned(), true, true),
        (r#""a": """#.to_owned(), true, true),
        (r#""season": 7, "x": null, "y": {"z": [true]}"#.to_owned(), true, true),
        (format!(r#""{word}": "{word}""#), true, true),
        (format!(r#""{word}x": "b""#), false, false),
        (format!(r#""a": "{word}x""#), false, true),
        (format!(r#""{domain}/a": "b""#), true, true),
        (format!(r#""{domain}.ab/a": "b""#), false, false),
        (format!(r#""{word}x/a": "b""#), false, false),
        (r#""a.example/x_y.z": "b""#.to_owned(), true, true),
        (r#""A/x": "b""#.to_owned(), false, false),
        (r#""a..b/x": "b""#.to_owned(), false, false),
        (r#""a.-b/x": "b""#.to_owned(), false, false),
        (r#""/x": "b""#.to_owned(), false, false),
        (r#""a/": "b""#.to_owned(), false, false),
        (r#""a/b/c": "b""#.to_owned(), false, false),
        (r#""": "b""#.to_owned(), false, false),
        (r#""a b": "b""#.to_owned(), false, false),
        (r#""-a": "b""#.to_owned(), false, false),
        (r#""a": "b c""#.to_owned(), false, true),
        (r#""a": "b\nc""#.to_owned(), false, true),
        (r#""a": "-b""#.to_owned(), false, true),
        (r#""a": "\ud83d\ude00""#.to_owned(), false, true),
        (r#""a": "b\u0000c""#.to_owned(), false, false),
        (r#""a\u0000c": "b""#.to_owned(), false, false),
        (r#""a": "c:\\u0000""#.to_owned(), false, true),
        (many(256), true, true),
        (many(257), false, true),
        (format!(r#""a": "{}""#, "x".repeat(262_000)), false, true),
        (format!(r#""a": "{}""#, "x".repeat(262_145)), false, false),
        (format!(r#""a": "{}""#, "\u{e9}".repeat(131_080)), false, false),
    ] {
        for (column, wanted) in [("labels", as_labels), ("annotations", as_annotations)] {
            for table in ["games", "engine_versions"] {
                let update = format!("UPDATE {table} SET {column} = '{{{entries}}}'");
                let shown: String = update.chars().take(200).collect();
                assert_eq!(db.attempt(&update).await, wanted, "{shown}");
            }
        }
    }
    db.refused(
        &format!("INSERT INTO games (game_id, desired_status, labels) VALUES ('{OTHER}', 'running', '{{\"a\": \"b c\"}}')"),
        "labels",
    )
    .await;
    db.refused("INSERT INTO engine_versions (version, image_ref, annotations) VALUES ('1.4.3', 'a', '{\"a b\": \"\"}')", "annotations")
        .await;
}
