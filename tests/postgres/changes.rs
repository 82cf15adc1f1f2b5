//! How a change is noticed: told once for a transaction, and looked for after every silence.

use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;

use crate::cluster::Cluster;
use crate::cut_socket::CutSocket;
use crate::database::Database;

/// No news within this time is none: a notification takes a millisecond.
const QUIET: Duration = Duration::from_millis(500);

async fn next(changes: &mut mpsc::Receiver<()>) {
    tokio::time::timeout(Duration::from_secs(10), changes.recv()).await.expect("a nudge").unwrap();
}

async fn quiet(changes: &mut mpsc::Receiver<()>) {
    assert!(tokio::time::timeout(QUIET, changes.recv()).await.is_err(), "a nudge for nothing");
}

async fn watched(database: &Database) -> mpsc::Receiver<()> {
    let store = database.open().await;
    let (told, changes) = mpsc::channel(10_000);
    tokio::spawn(async move {
        let mut nudges = Box::pin(store.desired_changes());
        while nudges.next().await.is_some() && told.send(()).await.is_ok() {}
    });
    changes
}

const FIVE_THOUSAND: &str = "INSERT INTO games (game_id, desired_status) SELECT gen_random_uuid(), 'stopped' FROM generate_series(1, 5000)";

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_over_five_thousand_games_is_one_nudge_and_silence_none() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let mut changes = watched(&database).await;
    // Each connection begins with a look.
    next(&mut changes).await;
    quiet(&mut changes).await;
    database
        .sql(&format!(
            "BEGIN; {FIVE_THOUSAND};
             INSERT INTO memberships (game_id, user_id, race_name) SELECT game_id, game_id, 'Terrans' FROM games;
             UPDATE games SET paused = true; COMMIT"
        ))
        .await;
    next(&mut changes).await;
    quiet(&mut changes).await;
    // Nothing changed, and another schema's changes are not ours.
    database.sql("UPDATE games SET paused = true").await;
    let other = Database::on(&cluster.url());
    other.open().await;
    other.sql(FIVE_THOUSAND).await;
    quiet(&mut changes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_while_nobody_listened_is_looked_for() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let mut changes = watched(&database).await;
    next(&mut changes).await;
    for _ in 0..3 {
        let ended =
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
        assert!(database.count(ended).await >= 1, "it listens");
        next(&mut changes).await;
        while tokio::time::timeout(QUIET, changes.recv()).await.is_ok() {}
        database
            .sql("INSERT INTO games (game_id, desired_status) VALUES (gen_random_uuid(), 'stopped')")
            .await;
        next(&mut changes).await;
    }
    cluster.restart();
    next(&mut changes).await;
}

/// A listener that stops hearing is found out within this time: ten seconds of silence, five for an
/// answer, one until it connects again.
const FOUND_OUT: Duration = Duration::from_secs(18);

const ONE_MORE: &str = "INSERT INTO games (game_id, desired_status) VALUES (gen_random_uuid(), 'stopped')";

/// A way to the server that can be silenced, and the database by it and beside it.
pub(crate) async fn by_a_router(cluster: &Cluster, dir: &std::path::Path) -> (CutSocket, Database, Database) {
    const NAME: &str = ".s.PGSQL.5432";
    let way = CutSocket::to(cluster.socket().join(NAME)).await;
    std::os::unix::fs::symlink(way.path(), dir.join(NAME)).unwrap();
    let direct = Database::on(&cluster.url());
    let Database::Postgres { schema, .. } = &direct else { unreachable!() };
    let url = format!("postgres:///postgres?host={}&user=postgres", dir.display());
    let routed = Database::Postgres { url, schema: schema.clone() };
    (way, routed, direct)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_whose_connection_died_without_a_word_is_found_out() {
    let (cluster, dir) = (Cluster::start(), tempfile::tempdir().unwrap());
    let (way, routed, direct) = by_a_router(&cluster, dir.path()).await;
    let mut changes = watched(&routed).await;
    next(&mut changes).await;
    quiet(&mut changes).await;
    way.silence();
    direct.sql(ONE_MORE).await;
    quiet(&mut changes).await;
    tokio::time::timeout(FOUND_OUT, changes.recv()).await.expect("a look").unwrap();
    while tokio::time::timeout(QUIET, changes.recv()).await.is_ok() {}
    // And it hears again.
    direct.sql(ONE_MORE).await;
    tokio::time::timeout(QUIET, changes.recv()).await.expect("a nudge").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_on_a_connection_that_listens_is_believed() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let mut changes = watched(&database).await;
    next(&mut changes).await;
    let first = tokio::time::timeout(Duration::from_secs(13), changes.recv()).await;
    assert!(first.is_err(), "a nudge for nothing");
    let asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_listening_channels%' AND pid <> pg_backend_pid()";
    assert_eq!(database.count(asked).await, 1, "it was asked whether it listens");
    database.sql(ONE_MORE).await;
    tokio::time::timeout(QUIET, changes.recv()).await.expect("a nudge").unwrap();
}

/// The server ends a session that asks nothing for a minute, whatever it is told meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_hears_something_all_the_time_asks_as_often_as_one_that_hears_nothing() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let mut changes = watched(&database).await;
    next(&mut changes).await;
    let listens = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    let listener = database.count(listens).await;
    let silent = format!(
        "SELECT extract(epoch FROM clock_timestamp() - state_change)::bigint FROM pg_stat_activity WHERE pid = {listener}"
    );
    let mut longest = 0;
    for _ in 0..25 {
        database.sql(ONE_MORE).await;
        next(&mut changes).await;
        longest = longest.max(database.count(&silent).await);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!((8..=13).contains(&longest), "it said nothing for {longest} s");
    let listens = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE pid = {listener} AND query LIKE '%pg_listening_channels%'"
    );
    assert_eq!(database.count(&listens).await, 1, "it is the same session, and was asked");
}
