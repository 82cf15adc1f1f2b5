//! Figures: how soon a row is acted upon, and what thousands of them cost. They are printed; what is
//! asserted leaves room for a busy machine.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::database::Database;
use crate::meddler::Meddler;
use crate::world::World;

const ROWS: usize = 200;

/// From the commit of a row to the first call to Docker about its game, ascending.
async fn commit_to_call(world: &World, meddler: &Meddler) -> Vec<Duration> {
    let mut took = Vec::with_capacity(ROWS);
    let mut client = world.database.connected().await;
    for _ in 0..ROWS {
        let game = uuid::Uuid::new_v4().to_string();
        let insert = format!("INSERT INTO games (game_id, desired_status) VALUES ('{game}', 'stopped')");
        client.run(&insert).await;
        let committed = Instant::now();
        while !meddler.asked().iter().rev().take(50).any(|asked| asked.path.contains(&game)) {
            assert!(committed.elapsed() < Duration::from_secs(30), "nobody looks");
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        took.push(committed.elapsed());
    }
    took.sort_unstable();
    took
}

async fn measured(name: &str, database: impl FnOnce(&World) -> Database) -> Duration {
    let meddler = Meddler::before_docker();
    let mut world = World::new().with(&["--docker-host", &meddler.host(), "--relist-interval", "10m"]);
    world.database = database(&world);
    world.start();
    let took = commit_to_call(&world, &meddler).await;
    let (p50, p99) = (took[ROWS / 2], took[ROWS * 99 / 100]);
    eprintln!("{name}: from the commit of a row to the first call to Docker p50 {p50:?}, p99 {p99:?}");
    p99
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_row_is_acted_upon_within_milliseconds() {
    let cluster = Cluster::start();
    let postgres = measured("PostgreSQL", |_| Database::on(&cluster.url())).await;
    let sqlite = measured("SQLite", |world| Database::Sqlite(world.data_dir().join("gamekeeper.db"))).await;
    // 25 ms and 60 ms on a machine that does nothing else.
    assert!(postgres < Duration::from_millis(500) && sqlite < Duration::from_millis(500));
}

/// `GAMEKEEPER_ROWS` is another number of rows: 10000 are for an idle machine.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_rows_of_one_transaction_are_read_at_once() {
    let rows = std::env::var("GAMEKEEPER_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000_i64);
    let cluster = Cluster::start();
    cluster.counts_statements();
    let mut world = World::on(Database::on(&cluster.url()));
    world.start();
    world.sql("CREATE EXTENSION pg_stat_statements SCHEMA public").await;
    let transactions = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
    let before = world.count(transactions).await;
    world.sql("SELECT public.pg_stat_statements_reset()").await;
    let began = Instant::now();
    world
        .sql(&format!("INSERT INTO games (game_id, desired_status) SELECT gen_random_uuid(), 'stopped' FROM generate_series(1, {rows})"))
        .await;
    let inserted = began.elapsed();
    let mut asked = 0;
    let planned = "SELECT count(*) FROM runtime_records WHERE observed_generation = 1";
    while world.count(planned).await < rows {
        asked += 1;
        assert!(began.elapsed() < Duration::from_secs(120), "not all are planned");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let took = began.elapsed() - inserted;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let transactions = world.count(transactions).await - before - asked;
    let kind = |kind: &str, of: &str| {
        format!(
            "SELECT coalesce(sum(calls), 0)::bigint FROM public.pg_stat_statements WHERE query {kind} ILIKE '{of}'"
        )
    };
    let reads = world.count(&kind("", "SELECT%FROM \"games\"%")).await;
    // Once for each transaction that records; how many others there are says how long it took.
    let records = world.count(&kind("", "UPDATE \"instance\"%")).await;
    let queries = world.count(&kind("NOT", "%pg_stat%")).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.keeper_id())).unwrap();
    let kib = |what: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().unwrap()
    };
    let (peak, now) = (kib("VmHWM") / 1_024, kib("VmRSS") / 1_024);
    eprintln!(
        "{rows} rows in one transaction: all planned {took:?} after it, {queries} queries in {transactions} transactions, of which {records} record and {reads} read games; memory at most {peak} MiB, {now} MiB then"
    );
    // Recorded some hundred at a time, and read in few queries.
    assert!(records < rows, "{records}");
    assert!(reads < 100, "{reads}");
    // A round of each of them at once took more than a gigabyte.
    assert!(peak < 400, "{peak} MiB");
}

/// Resident memory of this process, in bytes.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() * 1_024
}

/// Records of so many deleted games and of one of each other kind; what a leader loads of them.
async fn loaded(name: &str, database: Database) {
    const DELETED: u32 = 100_000;
    let store = database.open().await;
    let (id, at) = if database.is_postgres() {
        ("('00000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid", "now()")
    } else {
        ("printf('00000000-0000-4000-8000-%012x', i)", "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')")
    };
    let rows = |first: u32, last: u32| {
        format!("WITH RECURSIVE n(i) AS (VALUES ({first}) UNION ALL SELECT i + 1 FROM n WHERE i < {last})")
    };
    let log = "out of planets, out of luck, out of time. ".repeat(50);
    let records = "runtime_records (game_id, name, status, last_log_lines, deleted_at, deletion_seen_at)";
    let long_ago = "'2026-01-01T00:00:00+00:00'";
    // Deleted long ago; a moment ago; never; long ago, with a row that has come back.
    for (first, last, deleted, seen) in [
        (1, DELETED, long_ago, long_ago),
        (DELETED + 1, DELETED + 1, at, at),
        (DELETED + 2, DELETED + 2, "NULL", "NULL"),
        (DELETED + 3, DELETED + 3, long_ago, long_ago),
    ] {
        let insert = format!(
            "INSERT INTO {records} {} SELECT {id}, 'game-' || i, 'stopped', '{log}', {deleted}, {seen} FROM n",
            rows(first, last)
        );
        database.sql(&insert).await;
    }
    database
        .sql(&format!(
            "INSERT INTO player_stats (game_id, user_id, race_name, turn) {} SELECT {id}, {id}, 'Terrans', 1 FROM n",
            rows(1, DELETED)
        ))
        .await;
    database
        .sql(&format!(
            "INSERT INTO games (game_id, name, desired_status) {} SELECT {id}, 'back', 'stopped' FROM n",
            rows(DELETED + 3, DELETED + 3)
        ))
        .await;
    let (before, began) = (resident(), Instant::now());
    let now = jiff::Timestamp::now();
    let known = store.records_to_lead(now, now - jiff::SignedDuration::from_mins(10)).await.unwrap();
    let (took, grown) = (began.elapsed(), resident() - before);
    eprintln!("{name}: {} records of {DELETED} and some loaded in {took:?}, {grown} bytes", known.len());
    assert_eq!(known.len(), 3);
    assert!(took < Duration::from_secs(5) && grown < 64 << 20, "{took:?}, {grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_games_long_deleted_is_not_loaded_by_a_new_leader() {
    let cluster = Cluster::start();
    loaded("PostgreSQL", Database::on(&cluster.url())).await;
    let directory = tempfile::tempdir().unwrap();
    loaded("SQLite", Database::Sqlite(directory.path().join("gamekeeper.db"))).await;
}
