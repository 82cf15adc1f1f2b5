//! A server that restarts, connections that are lost, transactions that are given up.

use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{ConnectOptions, raw_sql};

use crate::cluster::Cluster;
use crate::database::Database;
use crate::world::{World, container, docker, inspect};

#[tokio::test]
async fn a_server_that_restarts_costs_no_engine_and_no_change() {
    let cluster = Cluster::start();
    let mut world = World::on(Database::on(&cluster.url()));
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let (game, other) = (world.running("one").await, world.running("other").await);
    let life = inspect(&other, "{{.Id}} {{.State.StartedAt}}");
    for round in 1..=3 {
        cluster.restart();
        docker(&["kill", &container(&game)]);
        world.until(&game, "healed", |s| s.phase == "running" && s.restarts == round).await;
        let every = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'gamekeeper'";
        assert!(world.count(every).await >= 1);
        world
            .sql(&format!(
                "UPDATE games SET restart_generation = restart_generation + 1 WHERE game_id = '{game}'"
            ))
            .await;
        world
            .eventually("restarted", async || {
                let done = world.operations(&game).await;
                done.iter().filter(|op| *op == "restart succeeded").count() == usize::try_from(round).unwrap()
            })
            .await;
    }
    assert_eq!(inspect(&other, "{{.Id}} {{.State.StartedAt}}"), life);
    assert_eq!((world.inits(&game), world.inits(&other)), (1, 1));
    assert_eq!(world.count("SELECT count(*) FROM operation_log WHERE finished_at IS NULL").await, 0);
    assert_eq!(world.count("SELECT epoch FROM leases").await, 1, "a short silence costs no lead");
    assert_eq!(world.stop_keeper(), Some(0));
}

#[tokio::test]
async fn a_row_of_nonsense_hurts_its_own_game_alone() {
    let cluster = Cluster::start();
    let mut world = World::on(Database::on(&cluster.url()));
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let good = world.running("good").await;
    let bad = world.game("bad", "no-such").await;
    world.until(&bad, "invalid", |status| status.phase == "invalid").await;
    world
        .sql(&format!("UPDATE games SET target_engine_version = '1.4.2', turn_schedule = 'every day' WHERE game_id = '{bad}'"))
        .await;
    world.until(&bad, "invalid", |status| status.message.contains("schedule")).await;
    docker(&["kill", &container(&good)]);
    world.until(&good, "healed", |s| s.phase == "running" && s.restarts == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_waits_for_its_turn_and_nobody_is_refused() {
    let cluster = Cluster::start();
    let store = Database::on(&cluster.url());
    let opened = store.open().await;
    let asked = (0..400).map(|_| {
        let store = opened.clone();
        tokio::spawn(async move { store.games(None).await.map(drop) })
    });
    for asked in futures::future::join_all(asked).await {
        asked.unwrap().unwrap();
    }
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gamekeeper'";
    assert!(store.count(connections).await <= 13, "the pool is bounded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_loses_a_deadlock_is_made_again() {
    let cluster = Cluster::start();
    let mut world = World::on(Database::on(&cluster.url()));
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let game = world.running("contended").await;
    let user: String =
        world.rows(&format!("SELECT user_id FROM memberships WHERE game_id = '{game}'")).await[0].get(0);
    let Database::Postgres { url, schema } = &world.database else { unreachable!() };
    let options: PgConnectOptions = url.parse().unwrap();
    let mut lobby = options.options([("search_path", schema)]).connect().await.unwrap();
    // The lobby has the membership and wants the game; the API has the game and wants the membership.
    raw_sql("BEGIN; SELECT * FROM memberships FOR UPDATE").execute(&mut lobby).await.unwrap();
    let file = world.file(
        "game.yaml",
        &format!("apiVersion: gamekeeper.dev/v1\nkind: Game\nmetadata: {{ name: contended }}\nspec:\n  desiredStatus: Running\n  engineVersion: \"1.4.2\"\n  players: [{{ userId: {user}, raceName: Martians }}]\n"),
    );
    let data_dir = world.data_dir();
    let applying = tokio::task::spawn_blocking(move || {
        std::process::Command::new(env!("CARGO_BIN_EXE_gamekeeper"))
            .args(["apply", "-f", &file])
            .env("GAMEKEEPER_DATA_DIR", data_dir)
            .output()
            .unwrap()
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gamekeeper' AND wait_event_type = 'Lock'";
    world.eventually("the API waits", async || world.count(waits).await == 1).await;
    raw_sql("UPDATE games SET display_name = 'The contended one'; COMMIT").execute(&mut lobby).await.unwrap();
    let applied = applying.await.unwrap();
    assert!(applied.status.success(), "{applied:?}");
    world
        .eventually("the database counts it", async || {
            world.count("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await
                >= 1
        })
        .await;
    let race =
        format!("SELECT count(*) FROM memberships WHERE game_id = '{game}' AND race_name = 'Martians'");
    assert_eq!(world.count(&race).await, 1);
}
