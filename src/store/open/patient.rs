//! Work at a server that takes as long as it takes: migrations, and waiting for those of another process.
//!
//! No statement of it has a limit, so a server, or a connection, that has died must be told from one that
//! is busy. A second connection asks from time to time what the first one's session does. It is waited for
//! as long as that is at work; who keeps it waiting is said in the log.

use std::io;
use std::time::Duration;

use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{self, ConnectOptions, Connection, PgConnection, Row};
use tokio::time::{Instant, sleep};

use super::super::session::answered;

/// Between two looks at what the session does, and two lines in the log.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A look that takes longer has failed.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// A session of which nothing was seen for so long, or that waited for us for so long, has lost us.
const LOST_AFTER: Duration = Duration::from_secs(30);

/// Held while the schema is made and migrated, so that of many replicas that start together one does it.
const MIGRATING: i64 = 0x67_61_6d_65_6b;

/// The pause before a lock that somebody holds is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// A session's doing: whether it works, for how long it has not, and who keeps it waiting.
const SESSION: &str = "SELECT a.state = 'active' AS works,
        extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS since,
        (SELECT string_agg(coalesce(nullif(b.application_name, ''), 'a client') || ' (process ' || b.pid || ')', ', ')
           FROM pg_stat_activity AS b WHERE b.pid = ANY (pg_blocking_pids(a.pid))) AS blockers
   FROM pg_stat_activity AS a WHERE a.pid = $1";

/// The holder of the lock of migrations.
const HOLDER: &str = "SELECT string_agg(coalesce(nullif(a.application_name, ''), 'a client') || ' (user '
            || coalesce(a.usename, '?') || ', process ' || a.pid || coalesce(', from ' || a.client_addr, '') || ')', ', ')
   FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND (l.classid::bigint << 32 | l.objid::bigint) = $1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Takes the lock of migrations, for as long as the connection lives. While somebody else has it, the log
/// says who.
///
/// # Errors
/// The server failed, or did not answer within `limit`.
pub(super) async fn lock(connection: &mut PgConnection, limit: Duration) -> Result<(), sqlx::Error> {
    let (began, mut said) = (Instant::now(), None);
    loop {
        let taken = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(MIGRATING);
        let taken: bool = answered(limit, taken.fetch_one(&mut *connection)).await?;
        if taken {
            return Ok(());
        }
        if said.is_none_or(|said: Instant| said.elapsed() >= LOOK_EVERY) {
            said = Some(Instant::now());
            let holder = sqlx::query_scalar::<_, Option<String>>(HOLDER).bind(MIGRATING);
            let holder = answered(limit, holder.fetch_one(&mut *connection)).await?;
            let holder = holder.unwrap_or_else(|| "another client".to_owned());
            tracing::warn!(holder, waited = ?began.elapsed(), "waiting for a migration of the database's schema to end");
        }
        sleep(ASK_AGAIN).await;
    }
}

/// Lets work take as long as the session of this process is at it.
///
/// # Errors
/// Those of the work; `TimedOut` if neither the session nor the server is heard of any more.
pub(in crate::store) async fn patiently<T, E: From<sqlx::Error>>(
    options: &PgConnectOptions,
    process: i32,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::select! {
        biased;
        done = work => done,
        error = lost(options, process) => Err(error.into()),
    }
}

/// Returns when the session, or the server, is lost.
async fn lost(options: &PgConnectOptions, process: i32) -> sqlx::Error {
    let (began, mut heard_at) = (Instant::now(), Instant::now());
    let mut beside = None;
    loop {
        sleep(LOOK_EVERY).await;
        match answered(LOOK_WITHIN, look(&mut beside, options, process)).await {
            Ok(Seen { idle_for, blockers }) => {
                if idle_for < LOST_AFTER {
                    heard_at = Instant::now();
                }
                let (waited, waits_for) = (began.elapsed(), blockers.unwrap_or_default());
                if waits_for.is_empty() {
                    tracing::info!(?waited, "work on the database's schema goes on");
                } else {
                    tracing::warn!(?waited, waits_for, "work on the database's schema waits for others");
                }
            }
            Err(error) => {
                // By a new one the next time.
                beside = None;
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the database does not say how far the work on its schema is"
                );
            }
        }
        if heard_at.elapsed() >= LOST_AFTER {
            let why = "the server has not been heard of for 30 s; what was under way is rolled back there";
            return io::Error::new(io::ErrorKind::TimedOut, why).into();
        }
    }
}

/// A look at a session.
struct Seen {
    /// The time that it has waited for its client; zero while it works. For ever, if it is not there.
    idle_for: Duration,
    blockers: Option<String>,
}

async fn look(
    beside: &mut Option<PgConnection>,
    options: &PgConnectOptions,
    process: i32,
) -> Result<Seen, sqlx::Error> {
    let connection = match beside {
        Some(connection) => connection,
        none => none.insert(options.connect().await?),
    };
    connection.ping().await?;
    let Some(row) = sqlx::query(SESSION).bind(process).fetch_optional(connection).await? else {
        return Ok(Seen { idle_for: Duration::MAX, blockers: None });
    };
    let (works, since): (Option<bool>, Option<f64>) = (row.try_get("works")?, row.try_get("since")?);
    let idle_for = match (works, since) {
        (Some(false), Some(since)) => Duration::try_from_secs_f64(since.max(0.0)).unwrap_or_default(),
        // It works, or this role may not see what it does.
        _ => Duration::ZERO,
    };
    Ok(Seen { idle_for, blockers: row.try_get("blockers")? })
}
