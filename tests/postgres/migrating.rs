//! Bringing the schema up to date: once, locked, and not against newer data.

use std::time::{Duration, Instant};

use gamekeeper::store::{Migrations, OpenError, Place, Store};

use crate::changes::by_a_router;
use crate::cluster::Cluster;
use crate::database::Database;
use crate::replica::Replica;
use crate::world::World;

/// A session of which nothing is heard is given up after half a minute, and a look takes ten seconds at most.
const GIVEN_UP: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn ten_replicas_that_start_together_migrate_once() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let opening = (0..10).map(|_| {
        let place = database.place();
        tokio::spawn(async move { Store::open(&place).await.unwrap().instance().await.unwrap().id })
    });
    let opened: Vec<_> = futures::future::join_all(opening).await.into_iter().map(Result::unwrap).collect();
    assert!(opened.iter().all(|id| *id == opened[0]), "each sees the same instance");
    let applied = database.count("SELECT count(*) FROM _sqlx_migrations").await;
    let known =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres")).unwrap().count();
    assert_eq!(applied, i64::try_from(known).unwrap());
}

#[tokio::test]
async fn who_only_checks_makes_nothing_and_goes_on_with_what_is_up_to_date() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let Database::Postgres { url, schema } = &database else { unreachable!() };
    let checking = Place::new(url, schema, Migrations::Check).unwrap();
    assert!(matches!(Store::open(&checking).await, Err(OpenError::Pending { pending: 1.. })));
    let made = cluster.psql(&["-Atc", &format!("SELECT to_regnamespace('{schema}')")]);
    assert_eq!(String::from_utf8_lossy(&made.stdout).trim(), "", "no schema was made");
    database.open().await;
    Store::open(&checking).await.unwrap();
}

#[tokio::test]
async fn a_schema_that_was_extended_is_used_and_one_that_needs_a_newer_program_is_not() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    database.open().await;
    // A newer program has expanded the schema; this one can live with it.
    database
        .sql(
            "ALTER TABLE games ADD COLUMN colour text NOT NULL DEFAULT 'none';
             INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (99999999, 'colour', true, '\\x00', 0)",
        )
        .await;
    let store = database.open().await;
    assert!(store.games(None).await.unwrap().is_empty());
    // It has contracted it.
    database.sql("UPDATE schema_info SET min_binary = '99.0.0'").await;
    let refused = Store::open(&database.place()).await.unwrap_err();
    assert!(matches!(refused, OpenError::Newer { .. }), "{refused}");
    let refused = Store::examine(&database.place()).await.unwrap_err();
    assert!(matches!(refused, OpenError::Newer { .. }), "{refused}");
}

#[tokio::test]
async fn a_schema_that_another_build_made_is_refused_with_a_way_out_by_whoever_opens_it() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    database.open().await;
    let Database::Postgres { url, schema } = &database else { unreachable!() };
    let last = database.count("SELECT max(version) FROM _sqlx_migrations").await;
    database.sql(&format!("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = {last}")).await;
    for migrations in [Migrations::Check, Migrations::Auto] {
        let refused = Store::open(&Place::new(url, schema, migrations).unwrap()).await.unwrap_err();
        assert!(matches!(refused, OpenError::Differs { migration } if migration == last), "{refused:?}");
        let told = refused.to_string();
        assert!(
            told.contains("Start the build that made it") && told.contains("--database-schema"),
            "{told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_anothers_migration_says_for_whom_and_not_for_a_server_that_is_silent() {
    let (cluster, dir) = (Cluster::start(), tempfile::tempdir().unwrap());
    let (way, routed, direct) = by_a_router(&cluster, dir.path()).await;
    let mut other = Database::on(&direct.url()).connected().await;
    other.run("SET application_name = 'the other one'; SELECT pg_advisory_lock(x'67616d656b'::bigint)").await;
    let world = World::on(direct);
    let mut waits = Replica::spawned(&world, "waits", &world.database, &[]);
    let said =
        async || waits.log().contains("waiting for a migration") && waits.log().contains("the other one");
    world.eventually("it says for whom it waits", said).await;
    assert!(!waits.has_ended());
    let place = routed.place();
    let opening = tokio::spawn(async move { Store::open(&place).await.map(drop) });
    tokio::time::sleep(Duration::from_secs(2)).await;
    way.hang();
    let silent = Instant::now();
    let told = tokio::time::timeout(GIVEN_UP, opening).await.expect("it is given up").unwrap().unwrap_err();
    assert!(format!("{told:?}").contains("did not answer in time"), "{told:?}");
    eprintln!("a server that was silent was given up after {:?}", silent.elapsed());
    way.restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_takes_as_long_as_it_takes_and_its_connection_may_not_die_unnoticed() {
    let (cluster, dir) = (Cluster::start(), tempfile::tempdir().unwrap());
    let (way, routed, direct) = by_a_router(&cluster, dir.path()).await;
    direct.open().await;
    let mut other = direct.connected().await;
    other.run("BEGIN; LOCK TABLE _sqlx_migrations").await;
    let place = routed.place();
    let mut opening = tokio::spawn(async move { Store::open(&place).await.map(drop) });
    // As long as the server is at it, it is waited for.
    let early = tokio::time::timeout(Duration::from_secs(40), &mut opening).await;
    assert!(early.is_err(), "{early:?}");
    way.silence();
    other.run("COMMIT").await;
    let silent = Instant::now();
    let told = tokio::time::timeout(GIVEN_UP, opening).await.expect("it is given up").unwrap().unwrap_err();
    assert!(format!("{told:?}").contains("not been heard of"), "{told:?}");
    eprintln!("a migration whose connection died was given up after {:?}", silent.elapsed());
    direct.open().await;
}
