//! PgBouncer between a controller and its database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use gamekeeper::game::spec::Source;
use gamekeeper::store::{Author, OpenError, Preconditions, Store};
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{AssertSqlSafe, ConnectOptions, raw_sql};

use crate::cluster::Cluster;
use crate::cut_socket::CutSocket;
use crate::database::Database;
use crate::world::World;

/// A game whose row is there.
const GAME: &str =
    "INSERT INTO games (game_id, name, desired_status) VALUES (gen_random_uuid(), 'one', 'stopped')";

fn author() -> Author {
    Author { source: Source::Operator, requested_by: "ann".into(), request_id: "one".into() }
}

/// The database by a pooler, and the same beside it.
fn both(cluster: &Cluster, pooled: String) -> (Database, Database) {
    let direct = Database::on(&cluster.url());
    let Database::Postgres { schema, .. } = &direct else { unreachable!() };
    (Database::Postgres { url: pooled, schema: schema.clone() }, direct)
}

async fn session_mode(settings: &[&str]) {
    let cluster = Cluster::start();
    let (pooled, direct) = both(&cluster, cluster.pooled("session", settings));
    let store = pooled.open().await;
    let strangers = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(direct.count(strangers).await, 0, "everything is in its own schema");
    // What is announced is heard.
    let mut nudges = Box::pin(store.desired_changes());
    nudges.next().await;
    direct.sql(GAME).await;
    tokio::time::timeout(Duration::from_secs(2), nudges.next()).await.expect("a nudge");
    // Limits are as they should be.
    let Database::Postgres { url, schema } = &direct else { unreachable!() };
    let options: PgConnectOptions = url.parse().unwrap();
    let options = options.options([("search_path", schema.as_str())]).application_name("psql");
    let mut psql = options.connect().await.unwrap();
    raw_sql("BEGIN; SELECT * FROM games FOR UPDATE").execute(&mut psql).await.unwrap();
    let began = Instant::now();
    let waited = store.request_deletion("default", "one", &Preconditions::default(), &author()).await;
    let told = format!("{:?}", waited.expect_err("it is locked"));
    assert!(told.contains("locked by psql"), "{told}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(Store::examine(&pooled.place()).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_in_session_mode_needs_no_setting_and_spoils_nothing() {
    session_mode(&[]).await;
    session_mode(&["ignore_startup_parameters = extra_float_digits, options"]).await;
}

/// What is said of a database that is not opened.
async fn refused(database: &Database) -> String {
    let told = match Store::open(&database.place()).await {
        Err(error @ OpenError::Connect { .. }) => error.to_string(),
        Err(error) => panic!("another error: {error:?}"),
        Ok(_) => panic!("it was opened"),
    };
    let examined = Store::examine(&database.place()).await.expect_err("nor is it examined");
    assert!(examined.to_string().contains("pool_"), "{examined}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_gives_sessions_away_is_refused_in_words() {
    let cluster = Cluster::start();
    let ignores = "ignore_startup_parameters = extra_float_digits, options";
    for (mode, settings) in
        [("transaction", &[ignores][..]), ("transaction", &["server_round_robin = 1"]), ("statement", &[])]
    {
        let (pooled, direct) = both(&cluster, cluster.pooled(mode, settings));
        let Database::Postgres { url, schema } = &pooled else { unreachable!() };
        // Alone at first, and then with others beside it who keep sessions busy.
        for others in [0, 5] {
            let over = Arc::new(AtomicBool::new(false));
            let busy: Vec<_> = (0..others)
                .map(|_| {
                    let (options, over) = (url.parse::<PgConnectOptions>().unwrap(), over.clone());
                    tokio::spawn(async move {
                        let mut client = options.extra_float_digits(None).connect().await.unwrap();
                        while !over.load(Ordering::Relaxed) {
                            raw_sql("SELECT pg_sleep(0.002)").execute(&mut client).await.unwrap();
                        }
                    })
                })
                .collect();
            for _ in 0..5 {
                let told = refused(&pooled).await;
                assert!(told.contains("pool_mode = session"), "{mode}: {told}");
            }
            over.store(true, Ordering::Relaxed);
            for busy in busy {
                busy.await.unwrap();
            }
        }
        let made = raw_sql(AssertSqlSafe(format!("SELECT to_regnamespace('{schema}') IS NULL AS gone")));
        let mut client = direct.url().parse::<PgConnectOptions>().unwrap().connect().await.unwrap();
        let row = made.fetch_one(&mut client).await.unwrap();
        let gone: bool = sea_orm::sqlx::Row::get_unchecked::<String, _>(&row, 0) == "t";
        assert!(gone, "nothing was made");
    }
    // The same for people.
    let world = World::on(Database::on(&cluster.pooled("transaction", &[])));
    let run = world.run_command().output().unwrap();
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(!run.status.success() && told.contains("pool_mode = session"), "{told}");
    let Database::Postgres { url, schema } = &world.database else { unreachable!() };
    let doctor = world.gk(&["doctor", "--database-url", url, "--database-schema", schema]);
    assert!(doctor.code != 0 && doctor.stdout.contains("pool_mode = session"), "{doctor:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_with_too_few_places_is_refused_in_words() {
    let cluster = Cluster::start();
    let (pooled, _direct) = both(&cluster, cluster.pooled("session", &["default_pool_size = 1"]));
    let told = Store::open(&pooled.place()).await.unwrap_err().to_string();
    assert!(told.contains("default_pool_size"), "{told}");
}

/// A client that the pooler has a place for is served long before.
const NO_PLACE: Duration = Duration::from_secs(3);

/// The server ends a session that says nothing for a minute, and the pooler then has its place again.
const PLACES_FREE: Duration = Duration::from_secs(100);

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_died_without_a_word_keep_no_place_of_a_pooler_for_longer_than_a_minute() {
    const NAME: &str = ".s.PGSQL.6432";
    const PLACES: usize = 13;
    let (cluster, dir) = (Cluster::start(), tempfile::tempdir().unwrap());
    // (For the other clients, which ask for these at the start of a connection.)
    let ignores = "ignore_startup_parameters = extra_float_digits, options";
    let (pooled, direct) = both(&cluster, cluster.pooled("session", &["default_pool_size = 13", ignores]));
    let way = CutSocket::to(cluster.dir().join("pooler").join(NAME)).await;
    std::os::unix::fs::symlink(way.path(), dir.path().join(NAME)).unwrap();
    let Database::Postgres { schema, .. } = &direct else { unreachable!() };
    let url = format!("postgres:///postgres?host={}&port=6432&user=postgres", dir.path().display());
    let routed = Database::Postgres { url, schema: schema.clone() };
    let store = routed.open().await;
    let burst = (0..60).map(|_| store.games(None));
    futures::future::join_all(burst).await.into_iter().for_each(|done| drop(done.unwrap()));
    // Others have the rest of the places, and keep them.
    let mut others = Vec::new();
    let another = async || {
        let mut other = pooled.connected().await;
        // It has a place from its first question on.
        other.run("SELECT 1").await;
        other
    };
    while let Ok(other) = tokio::time::timeout(NO_PLACE, another()).await {
        others.push(other);
    }
    assert!((1..PLACES).contains(&others.len()), "{}", others.len());
    way.silence();
    let silent = Instant::now();
    while let Err(error) = store.games(None).await {
        assert!(silent.elapsed() < PLACES_FREE, "the places are still taken: {error:?}");
    }
    eprintln!("the places of dead clients were free after {:?}", silent.elapsed());
    assert!(silent.elapsed() > Duration::from_secs(20), "there were places to be had");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_nobody_uses_say_something_in_time() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let store = database.open().await;
    let burst = (0..60).map(|_| store.games(None));
    futures::future::join_all(burst).await.into_iter().for_each(|done| drop(done.unwrap()));
    let sessions = "SELECT pid FROM pg_stat_activity WHERE application_name = 'gamekeeper' ORDER BY 1";
    let before = database.rows(sessions).await;
    assert!(before.len() >= 2);
    // Longer than the server lets one be silent.
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert_eq!(database.rows(sessions).await, before, "each of them is still open");
}
