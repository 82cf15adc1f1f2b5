//! A database on a PostgreSQL server.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio_util::sync::CancellationToken;

use super::super::connection::{Connections, RemotePool};
use super::super::lineage::Lineage;
use super::super::session::{self, Session};
use super::super::{Migrations, Place, Store};
use super::patient::{lock, patiently};
use super::{OpenError, migrate};

static MIGRATIONS: ::sqlx::migrate::Migrator = ::sqlx::migrate!("migrations/postgres");

/// Enough for the API and a burst of it. Beside them, [`CONTROLLER`] are the controller's, one the
/// recorder's, one the lease's, and up to three listen.
const CONNECTIONS: u32 = 6;

/// The controller's own, so that nobody who waits in the API keeps it waiting.
const CONTROLLER: u32 = 2;

/// A connection that was not used for so long is asked whether it still lives: the server may have
/// been restarted meanwhile.
const TRUSTED: Duration = Duration::from_secs(1);

/// How long things may take on a connection.
struct Limits {
    /// A statement, on the server.
    statement: Duration,
    /// Waiting for what others have locked, of which a second is for finding out about a deadlock.
    lock: Duration,
    /// A connection of the pool's, a new one perhaps. Below an answer's, for the reason if there is none.
    acquire: Duration,
    /// An answer, here: a little more than the server takes at most.
    answer: Duration,
    /// A connection's word that it lives.
    ping: Duration,
}

/// No statement of ours takes nearly as long as it may.
const USUAL: Limits = Limits {
    statement: Duration::from_secs(10),
    lock: Duration::from_millis(1_500),
    acquire: Duration::from_secs(10),
    answer: Duration::from_secs(12),
    ping: Duration::from_secs(2),
};

/// Three renewals that fail fit into the time that a leader has for one that succeeds.
const LEASE: Limits = Limits {
    statement: Duration::from_millis(2_500),
    lock: Duration::from_secs(2),
    acquire: Duration::from_millis(2_500),
    answer: Duration::from_secs(3),
    ping: Duration::from_secs(1),
};

pub(super) async fn open(
    place: &Place,
    options: &PgConnectOptions,
    schema: &str,
) -> Result<Store, OpenError> {
    migrated(place, options, schema).await?;
    let (ending, lineage) = (CancellationToken::new(), Arc::new(Lineage::default()));
    let pool = |connections, limits: &Limits, witness| {
        let pool = RemotePool {
            pool: made(&limits.session(schema), connections, limits.ping, &lineage)
                .acquire_timeout(limits.acquire),
            connect: options.clone(),
            session: limits.session(schema),
            answer: limits.answer,
            ping: limits.ping,
        };
        Connections::remote(pool, witness, ending.clone())
    };
    let controlling = pool(CONTROLLER, &USUAL, None);
    let mut store = Store::new(pool(CONNECTIONS, &USUAL, Some(controlling.clone())), place.clone());
    store.recording = pool(1, &USUAL, Some(controlling.clone()));
    store.controlling = controlling;
    store.leases = pool(1, &LEASE, None);
    store.ending = ending.clone();
    store.lineage = lineage.clone();
    Ok(store)
}

/// The database for a look, if there is one.
pub(in crate::store) async fn to_look_at(
    place: &Place,
    options: &PgConnectOptions,
    schema: &str,
) -> Result<Option<Store>, OpenError> {
    let failed = |error: sqlx::Error| OpenError::connect(place, error);
    session::is_own(options).await.map_err(failed)?;
    let session = USUAL.session(schema).reading_only();
    let there = session::answered(USUAL.answer, is_there(options, &session)).await.map_err(failed)?;
    let pool = RemotePool {
        pool: made(&session, 1, USUAL.ping, &Arc::default()),
        connect: options.clone(),
        session,
        answer: USUAL.answer,
        ping: USUAL.ping,
    };
    let connections = Connections::remote(pool, None, CancellationToken::new());
    Ok(there.then(|| Store::new(connections, place.clone())))
}

/// Whether there is a database of ours.
async fn is_there(options: &PgConnectOptions, session: &Session) -> Result<bool, sqlx::Error> {
    let mut connection = options.connect().await?;
    session.begin(&mut connection).await?;
    let there = sqlx::query_scalar("SELECT to_regclass('schema_info') IS NOT NULL");
    let there = there.fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(there)
}

/// The one connection of a listener. A listener that is let go says so to the server first, which takes
/// for ever on a connection that died without a word. It must not keep a place from anybody meanwhile.
pub(in crate::store) fn listening(
    store: &Store,
    options: &PgConnectOptions,
    schema: &str,
    within: Duration,
) -> PgPool {
    made(&USUAL.session(schema), 1, USUAL.ping, &store.lineage)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(within)
        .connect_lazy_with(options.clone())
}

/// A connection for one long transaction.
pub(in crate::store) async fn alone(
    options: &PgConnectOptions,
    schema: &str,
) -> Result<PgConnection, sqlx::Error> {
    let begins = async {
        let mut connection = options.connect().await?;
        Session::of(schema).begin(&mut connection).await?;
        Ok(connection)
    };
    session::answered(USUAL.answer, begins).await
}

impl Limits {
    fn session(&self, schema: &str) -> Session {
        Session::bounded(schema, self.statement, self.lock)
    }
}

/// A pool of so many, each with such a session.
fn made(session: &Session, connections: u32, ping: Duration, lineage: &Arc<Lineage>) -> PgPoolOptions {
    let (session, lineage) = (session.clone(), lineage.clone());
    PgPoolOptions::new()
        .max_connections(connections)
        // What is given back for its age, or for want of work, may not be had again: somebody else took it.
        .max_lifetime(None)
        .idle_timeout(None)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let (session, lineage) = (session.clone(), lineage.clone());
            Box::pin(async move {
                session.begin(connection).await?;
                lineage.ask(connection).await
            })
        })
        .before_acquire(move |connection, seen| {
            Box::pin(async move {
                if seen.idle_for < TRUSTED {
                    return Ok(true);
                }
                // An error, so that it is not told goodbye: it would not hear it.
                match tokio::time::timeout(ping, connection.ping()).await {
                    Ok(lives) => lives.map(|()| true),
                    Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
                }
            })
        })
}

/// Makes the schema and brings it up to date, on a connection of its own: a migration may take longer
/// than any other statement, and so may waiting for another replica's.
async fn migrated(place: &Place, options: &PgConnectOptions, schema: &str) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| OpenError::connect(place, error);
    session::is_own(options).await.map_err(failed)?;
    let mut connection = alone(options, schema).await.map_err(failed)?;
    lock(&mut connection, USUAL.answer).await.map_err(failed)?;
    let process = session::answered(USUAL.answer, session::process(&mut connection)).await.map_err(failed)?;
    let work = async { Ok(under_lock(place, schema, &mut connection).await) };
    let done = patiently(options, process, work).await.map_err(failed)?;
    // With the connection goes the lock.
    session::answered(USUAL.answer, connection.close()).await.map_err(failed)?;
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
    if there || place.migrations == Migrations::Auto {
        session::is_in(schema, connection).await.map_err(failed)?;
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
