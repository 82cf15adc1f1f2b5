//! From SQLite to PostgreSQL under games that run.

use crate::cluster::Cluster;
use crate::database::Database;
use crate::world::{World, container, docker, inspect};

#[tokio::test]
async fn a_database_moves_with_all_its_rows_and_no_engine_notices() {
    let cluster = Cluster::start();
    let mut world = World::new();
    world.database = Database::Sqlite(world.data_dir().join("gamekeeper.db"));
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let (game, other) = (world.running("one").await, world.running("other").await);
    world.ok(&["restart", "one", "--wait", "--timeout", "60s"]);
    world
        .sql(&format!("UPDATE games SET labels = '{{\"season\": \"7\"}}', annotations = '{{\"a\": \"}}\"}}', turn_not_before = '2031-01-01T00:00:00+00:00' WHERE game_id = '{game}'"))
        .await;
    world.until(&game, "settled", |status| status.observed_generation > 2).await;
    let life = inspect(&game, "{{.Id}} {{.State.StartedAt}}");
    let target = Database::on(&cluster.url());
    let Database::Postgres { url, schema } = &target else { unreachable!() };
    let source = world.database.url();
    let moving = ["migrate-db", "--from", &source, "--to", url, "--database-schema", schema];
    let refused = world.gk(&moving);
    assert!(refused.code == 1 && refused.stderr.contains("another gamekeeper runs"), "{refused:?}");
    assert_eq!(world.stop_keeper(), Some(0));

    let tried = world.ok(&[&moving[..], &["--dry-run"]].concat());
    assert_eq!(target.count("SELECT count(*) FROM games").await, 0, "{tried}");
    let moved = world.ok(&moving);
    assert_eq!(moved, tried);
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema = current_schema()";
    assert_eq!(i64::try_from(moved.lines().count()).unwrap() + 2, target.count(tables).await, "{moved}");
    for query in [
        "SELECT instance_id, high_water FROM instance",
        "SELECT game_id, name, generation, row_version, membership_revision, paused, labels, annotations, desired_status FROM games ORDER BY game_id",
        "SELECT game_id, user_id, race_name, status FROM memberships ORDER BY game_id",
        "SELECT game_id, status, current_container_id, restart_count, observed_generation FROM runtime_records ORDER BY game_id",
        "SELECT operation_id, op, status, cause FROM operation_log ORDER BY operation_id",
        "SELECT change_id, game_id, generation FROM game_changes ORDER BY change_id",
        "SELECT epoch FROM leases",
    ] {
        let text = |rows: Vec<crate::database::Row>| -> Vec<String> {
            let plain = |text: &String| text.replace("\": ", "\":").replace(", \"", ",\"");
            let column = |text: &Option<String>| match text.as_ref().map(plain).as_deref() {
                Some("f") => "0".to_owned(),
                Some("t") => "1".to_owned(),
                text => format!("{text:?}").trim_matches('"').to_owned(),
            };
            rows.iter()
                .map(|row| row.0.iter().map(column).collect::<Vec<_>>().join("|").replace("Some(\"0\")", "0"))
                .collect()
        };
        let (before, after) = (text(world.database.rows(query).await), text(target.rows(query).await));
        // Members of a JSON object have no order.
        let sorted = |rows: Vec<String>| -> Vec<String> {
            rows.into_iter()
                .map(|row| {
                    let mut letters: Vec<char> = row.chars().collect();
                    letters.sort_unstable();
                    letters.into_iter().collect()
                })
                .collect()
        };
        assert_eq!(sorted(before), sorted(after), "{query}");
    }
    let again = world.gk(&moving);
    assert!(again.code == 2 && again.stderr.contains("in use already"), "{again:?}");

    world.database = target;
    world.start();
    world.until(&game, "running", |status| status.phase == "running").await;
    assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life);
    // It goes on: a new row, a change, a crash.
    let new = world.running("new").await;
    docker(&["kill", &container(&other)]);
    world.until(&other, "healed", |s| s.phase == "running" && s.restarts == 1).await;
    assert_eq!([world.inits(&game), world.inits(&other), world.inits(&new)], [1, 1, 1]);
    assert!(world.count("SELECT epoch FROM leases").await > 1);
}
