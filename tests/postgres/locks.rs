//! Rows that somebody else has locked, for as long as they like.

use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{AssertSqlSafe, ConnectOptions, raw_sql};

use crate::cluster::Cluster;
use crate::database::Database;
use crate::world::{World, container, docker, inspect};

/// An engine that was killed is back within this time, on a busy machine.
const HEALED: Duration = Duration::from_secs(8);

/// Somebody at a prompt, with a transaction that stays open.
async fn psql(world: &World, statement: &str) -> PgConnection {
    let Database::Postgres { url, schema } = &world.database else { unreachable!() };
    let options: PgConnectOptions = url.parse().unwrap();
    let options = options.options([("search_path", schema.as_str())]).application_name("psql");
    let mut client = options.connect().await.unwrap();
    raw_sql(AssertSqlSafe(format!("BEGIN; {statement}"))).execute(&mut client).await.unwrap();
    client
}

async fn ends(mut client: PgConnection) {
    raw_sql("ROLLBACK").execute(&mut client).await.unwrap();
}

/// Kills an engine, so often, and sees it healed in seconds each time.
async fn heals(world: &World, game: &str, times: i64) {
    for _ in 0..times {
        let restarts = world.status(game).await.restarts;
        docker(&["kill", &container(game)]);
        let killed = Instant::now();
        world.until(game, "healed", |s| s.phase == "running" && s.restarts == restarts + 1).await;
        let took = killed.elapsed();
        eprintln!("healed after {took:?}");
        assert!(took < HEALED, "{took:?}\n{}", world.log());
        // So that the next death is not one of a loop.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn two_games(cluster: &Cluster) -> (World, String, String) {
    let mut world = World::on(Database::on(&cluster.url()));
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let (first, other) = (world.running("aa").await, world.running("bb").await);
    (world, first, other)
}

async fn deletion_waits_alone(locks: &str) {
    let cluster = Cluster::start();
    let (world, game, other) = two_games(&cluster).await;
    // At once after it was asked for, as no engine is stopped.
    let asks = "UPDATE games SET deletion_requested_at = now() WHERE game_id = 'GAME'; COMMIT; BEGIN";
    let client = psql(&world, &format!("{asks}; {locks}").replace("GAME", &game)).await;
    heals(&world, &other, 2).await;
    let status = world.until(&game, "told", |status| status.reason == "RowLocked").await;
    for told in ["psql", "user postgres", "in a transaction since"] {
        assert!(status.message.contains(told), "{}", status.message);
    }
    assert!(world.ok(&["describe", "aa"]).contains("RowLocked"));
    // The pauses between the attempts grow.
    let attempts = world.operations(&game).await.iter().filter(|op| *op == "delete failed").count();
    assert!((1..=8).contains(&attempts), "{attempts}");
    heals(&world, &other, 1).await;
    ends(client).await;
    world
        .eventually("it is deleted", async || {
            world.count(&format!("SELECT count(*) FROM games WHERE game_id = '{game}'")).await == 0
        })
        .await;
    assert_eq!(world.count("SELECT epoch FROM leases").await, 1, "the lead is kept");
    assert_eq!(world.inits(&other), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_waits_alone_for_a_row_that_others_hold() {
    deletion_waits_alone("SELECT * FROM games WHERE game_id = 'GAME' FOR UPDATE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_waits_alone_for_a_membership_that_others_hold() {
    deletion_waits_alone("SELECT * FROM memberships WHERE game_id = 'GAME' FOR SHARE").await;
}

/// More deletions than games may be in a round, each of which takes a while.
#[tokio::test(flavor = "multi_thread")]
async fn however_many_deletions_take_long_other_games_have_their_rounds() {
    let cluster = Cluster::start();
    let (world, _, other) = two_games(&cluster).await;
    world
        .sql(
            "CREATE FUNCTION takes_long() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.2); RETURN OLD; END $$;
             CREATE TRIGGER takes_long BEFORE DELETE ON games FOR EACH ROW EXECUTE FUNCTION takes_long();
             INSERT INTO games (game_id, desired_status, deletion_requested_at)
             SELECT gen_random_uuid(), 'stopped', now() FROM generate_series(1, 750)",
        )
        .await;
    let left = "SELECT count(*) FROM games";
    world.eventually("they are being deleted", async || world.count(left).await < 740).await;
    heals(&world, &other, 1).await;
    assert!(world.count(left).await > 500, "they were still being deleted");
    world.sql("DROP TRIGGER takes_long ON games").await;
    world.eventually("all are deleted", async || world.count(left).await == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_others_hold_keeps_its_own_game_alone_waiting() {
    let cluster = Cluster::start();
    let (world, game, other) = two_games(&cluster).await;
    let lock = format!("SELECT * FROM runtime_records WHERE game_id = '{game}' FOR UPDATE");
    let client = psql(&world, &lock).await;
    let life = inspect(&game, "{{.Id}} {{.State.StartedAt}}");
    docker(&["kill", &container(&game)]);
    heals(&world, &other, 2).await;
    // Nothing is done that is not on record before it.
    assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life);
    ends(client).await;
    world.until(&game, "healed", |s| s.phase == "running" && s.restarts == 1).await;
    assert_eq!(world.count("SELECT epoch FROM leases").await, 1, "the lead is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_wait_for_locked_rows_say_for_whom_and_stop_nobody_else() {
    let cluster = Cluster::start();
    let (world, game, other) = two_games(&cluster).await;
    let client = psql(&world, &format!("SELECT * FROM games WHERE game_id = '{game}' FOR UPDATE")).await;
    let data_dir = world.data_dir();
    let asking: Vec<_> = (0..14)
        .map(|_| {
            let data_dir = data_dir.clone();
            std::thread::spawn(move || {
                std::process::Command::new(env!("CARGO_BIN_EXE_gamekeeper"))
                    .args(["pause", "aa"])
                    .env("GAMEKEEPER_DATA_DIR", data_dir)
                    .output()
                    .unwrap()
            })
        })
        .collect();
    heals(&world, &other, 2).await;
    for asked in asking {
        let asked = tokio::task::spawn_blocking(move || asked.join().unwrap()).await.unwrap();
        let told = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert_eq!(asked.status.code(), Some(4), "{told}");
        assert!(told.contains("locked by psql (user postgres, process "), "{told}");
    }
    // It is asked once: the server has waited already, and nothing is to be computed anew.
    let began = Instant::now();
    assert_eq!(world.gk(&["pause", "aa"]).code, 4);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    ends(client).await;
    world.ok(&["pause", "aa"]);
    assert_eq!(world.count("SELECT epoch FROM leases").await, 1, "the lead is kept");
}

/// What a database of the operators' own refuses.
const REFUSES: &str = "
    CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0]; END $$;
    CREATE TRIGGER refuses BEFORE UPDATE ON runtime_records FOR EACH ROW
        WHEN (NEW.game_id = 'GAME' AND NEW.current_turn = 1) EXECUTE FUNCTION refuses('no turn 1 here');
    CREATE TRIGGER refuses BEFORE DELETE ON games FOR EACH ROW
        WHEN (OLD.game_id = 'GAME') EXECUTE FUNCTION refuses('it is still billed')";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_refuses_of_a_game_is_told_and_holds_up_nobody() {
    let cluster = Cluster::start();
    let (world, game, other) = two_games(&cluster).await;
    world.sql(&REFUSES.replace("GAME", &game)).await;
    world.sql("UPDATE games SET force_turn_generation = 1").await;
    let refused = |status: &crate::world::Status| {
        status.reason == "RecordRefused" && status.message.contains("no turn 1 here")
    };
    let status = world.until(&game, "told", refused).await;
    assert_eq!(status.phase, "blocked");
    let at_turn =
        format!("SELECT count(*) FROM runtime_records WHERE game_id = '{other}' AND current_turn = 1");
    world.eventually("the other's turn", async || world.count(&at_turn).await == 1).await;
    heals(&world, &other, 1).await;
    world.sql("DROP TRIGGER refuses ON runtime_records").await;
    let healed = format!(
        "SELECT count(*) FROM game_status WHERE game_id = '{game}' AND current_turn = 1 AND ready AND settled"
    );
    world.eventually("its own truth is on record", async || world.count(&healed).await == 1).await;
    let turns = world.journal(&game).iter().filter(|line| line["event"] == "turn-done").count();
    assert_eq!(turns, 1);

    // Everything of it goes but the row, which says why; with its game made whole, so does that.
    world.sql(&format!("UPDATE games SET deletion_requested_at = now() WHERE game_id = '{game}'")).await;
    let status = world.until(&game, "told", |status| status.reason == "RowNotDeleted").await;
    assert!(status.message.contains("it is still billed"), "{}", status.message);
    let explained = world.ok(&["explain", "aa"]);
    assert!(explained.contains("RowNotDeleted") && explained.contains("it is still billed"), "{explained}");
    heals(&world, &other, 1).await;
    world.sql("DROP TRIGGER refuses ON games").await;
    let is_gone = format!("SELECT count(*) FROM games WHERE game_id = '{game}'");
    world.eventually("it is deleted", async || world.count(&is_gone).await == 0).await;
    assert_eq!(world.count("SELECT epoch FROM leases").await, 1, "the lead is kept");
}
