//! A database on a PostgreSQL server.

use std::time::Duration;

use sea_orm::SqlxPostgresConnector;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, PgConnection};
use sqlx::ConnectOptions;

use super::super::connection::Connections;
use super::super::place::{bounded, within};
use super::super::{Migrations, Place, Store};
use super::{OpenError, migrate};

static MIGRATIONS: ::sqlx::migrate::Migrator = ::sqlx::migrate!("migrations/postgres");

/// Enough for the recorder, the API and a burst of both. Beside them, one is the lease's, and up to three
/// listen.
const CONNECTIONS: u32 = 9;

/// A burst waits so long for a connection before it is refused.
const ACQUIRE: Duration = Duration::from_secs(10);

/// A connection that was not used for so long is asked whether it still lives: the server may have
/// been restarted meanwhile.
const TRUSTED: Duration = Duration::from_secs(1);

/// Held while the schema is made and migrated, so that of many replicas that start together one does it.
const MIGRATING: i64 = 0x67_61_6d_65_6b;

pub(super) async fn open(
    place: &Place,
    options: &PgConnectOptions,
    schema: &str,
) -> Result<Store, OpenError> {
    migrated(place, options, schema).await?;
    let pool = pool(CONNECTIONS).connect_lazy_with(bounded(options, schema));
    let mut store = over(place, pool);
    store.leases = over(place, self::pool(1).connect_lazy_with(bounded(options, schema))).db;
    Ok(store)
}

/// The database for a look, if there is one.
pub(in crate::store) async fn to_look_at(
    place: &Place,
    options: &PgConnectOptions,
    schema: &str,
) -> Result<Option<Store>, OpenError> {
    let failed = |error: sqlx::Error| OpenError::connect(place, error);
    let pool = pool(1)
        .connect_with(bounded(options, schema).options([("default_transaction_read_only", "on")]))
        .await
        .map_err(failed)?;
    let there: bool = sqlx::query_scalar("SELECT to_regclass('schema_info') IS NOT NULL")
        .fetch_one(&pool)
        .await
        .map_err(failed)?;
    Ok(there.then(|| over(place, pool)))
}

fn over(place: &Place, pool: PgPool) -> Store {
    let pool = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
    Store::new(Connections::new(pool), place.clone())
}

fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(false)
        .before_acquire(|connection, seen| {
            Box::pin(async move { Ok(seen.idle_for < TRUSTED || connection.ping().await.is_ok()) })
        })
}

/// Makes the schema and brings it up to date, on a connection of its own: a migration may take longer
/// than any other statement, and so may waiting for another replica's.
async fn migrated(place: &Place, options: &PgConnectOptions, schema: &str) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| OpenError::connect(place, error);
    let mut connection = within(options, schema).connect().await.map_err(failed)?;
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(MIGRATING)
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    let done = under_lock(place, schema, &mut connection).await;
    // With the connection goes the lock.
    connection.close().await.map_err(failed)?;
    done
}

async fn under_lock(place: &Place, schema: &str, connection: &mut PgConnection) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| OpenError::connect(place, error);
    let there: bool = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if !there && place.migrations == Migrations::Auto {
        let create = format!("CREATE SCHEMA \"{schema}\"");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut *connection).await.map_err(failed)?;
    }
    refuse_newer(connection).await?;
    let mut migrator = migrate::tolerant(&MIGRATIONS);
    migrator.set_locking(false);
    migrate::bring_up_to_date(&migrator, connection, place.migrations).await
}

/// The same question as of an open store, before there is one.
async fn refuse_newer(connection: &mut PgConnection) -> Result<(), OpenError> {
    let asked: Result<String, _> =
        sqlx::query_scalar("SELECT min_binary FROM schema_info").fetch_one(connection).await;
    // A fresh schema has no such table.
    asked.map_or(Ok(()), super::refuse_older_than)
}
