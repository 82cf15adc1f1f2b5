//! Bringing the schema up to date: once, locked, and not against newer data.

use gamekeeper::store::{Migrations, OpenError, Place, Store};

use crate::cluster::Cluster;
use crate::database::Database;

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
