//! What a session with a PostgreSQL server is asked to be, and whether it is.
//!
//! Everything is asked for by a statement after connecting, and then read back by another one: a pooler
//! in between may know no start-up options, or swallow them, and the tables of another schema, times in
//! another zone and statements without a limit would show much later and elsewhere. A pooler that gives
//! a server's session to others between two transactions is refused: what was asked for, and what is
//! listened to, would be theirs then.

use std::io::ErrorKind;
use std::time::Duration;

use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};
use tokio::time::timeout;

/// A process that is suspended within a transaction holds its locks no longer than this, which is
/// well below a lease.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(5);

/// What the server does about clients that are gone without a word, where a network is in between. (The
/// driver sets nothing of the kind on our side; there every answer has a limit.)
const KEEPALIVE: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
];

/// How often two connections are compared.
const COMPARED: usize = 5;

/// The time that two connections have to be made and compared.
const COMPARING: Duration = Duration::from_secs(10);

/// Why a session is not what it was asked to be.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("the session was asked for {name} = '{wanted}', and has '{found}'")]
    Setting { name: &'static str, wanted: String, found: String },
    #[error("two connections were given one session of the server (process {0})")]
    Shared(i32),
    #[error("one connection was moved from one session of the server to another (process {0}, then {1})")]
    Moved(i32, i32),
    #[error("the server is a standby that follows another one: it takes no writes")]
    Standby,
    #[error("a second connection beside a first one was not served within {} s", COMPARING.as_secs())]
    Alone,
}

impl SessionError {
    /// What to do about it.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Setting { .. } => {
                "what is between here and the server takes settings away: if it is PgBouncer, look at its pool_mode (it has to be session) and ignore_startup_parameters, or connect to the server itself"
            }
            Self::Shared(_) | Self::Moved(..) => {
                "a pooler gives sessions away between two transactions: set its pool_mode = session for this database or user (in PgBouncer's [databases] or [users]), or connect to the server itself"
            }
            Self::Standby => {
                "connect by an address that follows the primary (a name, a virtual address or a proxy that is moved at a failover; the URL names one host), or promote this one"
            }
            Self::Alone => {
                "the pooler in between has too few places: each gamekeeper needs 13 (PgBouncer's pool_size or default_pool_size, and the server's max_connections); if dead clients keep them, it finds out by tcp_keepidle, tcp_user_timeout and client_idle_timeout in its pgbouncer.ini"
            }
        }
    }
}

impl From<SessionError> for sqlx::Error {
    fn from(error: SessionError) -> Self {
        Self::Configuration(Box::new(error))
    }
}

/// Rows of observed state have the number of their transaction as they are written. (Whoever else writes some
/// gets it at the end: the counter's row is held until then, and every transaction here needs it.)
const NUMBERED: (&str, &str) = ("gamekeeper.numbered", "at once");

/// Whether transactions may write.
const READ_ONLY: &str = "default_transaction_read_only";

/// Settings that not every server has: PostgreSQL from 14, and from 17 on.
///
/// A session of a client that died without a word behind a pooler keeps its place there for as long as it
/// is open, so the server ends one that says nothing for a minute. None of ours is silent for so long: one
/// that listens is asked every ten seconds, and a pool's are pinged every twenty. A limit on transactions is
/// not asked for: a statement has one, and an idle transaction another.
const WHERE_KNOWN: [(&str, &str); 2] = [("idle_session_timeout", "60s"), ("transaction_timeout", "0")];

/// Sets one of these, where the server knows it.
fn set_where_known((name, value): (&str, &str)) -> String {
    format!(
        "CASE WHEN current_setting('{name}', true) IS NULL THEN '' ELSE set_config('{name}', '{value}', false) END"
    )
}

/// `true` on a server that follows another one.
const IS_STANDBY: &str = "pg_is_in_recovery()::text";

/// What a session is asked to be.
#[derive(Debug, Clone)]
pub(super) struct Session(Vec<(&'static str, String)>);

impl Session {
    /// What every session has, whatever the server, the database or the role has as its default.
    fn base(schema: &str) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("search_path", format!("{schema},pg_temp")),
            ("TimeZone", "UTC".to_owned()),
            ("DateStyle", "ISO, MDY".to_owned()),
            ("client_encoding", "UTF8".to_owned()),
            ("default_transaction_isolation", "read committed".to_owned()),
            (READ_ONLY, "off".to_owned()),
        ];
        settings.extend(KEEPALIVE.map(|(name, value)| (name, value.to_owned())));
        settings
    }

    /// One that sees this schema and no other, for migrations and the like: they take as long as they take.
    pub(super) fn of(schema: &str) -> Self {
        let mut settings = Self::base(schema);
        let limits = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];
        settings.extend(limits.map(|name| (name, "0".to_owned())));
        Self(settings)
    }

    /// The same, for anything but migrations: a statement has so long, and waits no longer than that
    /// for what others have locked.
    pub(super) fn bounded(schema: &str, statement: Duration, lock: Duration) -> Self {
        let mut settings = Self::base(schema);
        let milliseconds = |span: Duration| span.as_millis().to_string();
        settings.extend([
            ("statement_timeout", milliseconds(statement)),
            ("lock_timeout", milliseconds(lock)),
            ("idle_in_transaction_session_timeout", milliseconds(IDLE_IN_TRANSACTION)),
            // A decision that was taken must not be forgotten by a power cut, whatever the server's default.
            ("synchronous_commit", "on".to_owned()),
            (NUMBERED.0, NUMBERED.1.to_owned()),
        ]);
        Self(settings)
    }

    /// The same, for reading alone.
    pub(super) fn reading_only(mut self) -> Self {
        for (name, value) in &mut self.0 {
            if *name == READ_ONLY {
                "on".clone_into(value);
            }
        }
        self
    }

    fn only_reads(&self) -> bool {
        self.0.iter().any(|(name, value)| *name == READ_ONLY && value == "on")
    }

    /// Makes a session what it is asked to be.
    ///
    /// # Errors
    /// It is not that afterwards, or the server failed.
    pub(super) async fn begin(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        // Names and values are ours; the schema's name is a plain one.
        let set = self.0.iter().map(|(name, value)| format!("set_config('{name}', '{value}', false)"));
        let wanted = texts(connection, set.chain(WHERE_KNOWN.map(set_where_known))).await?;
        let shown = self.0.iter().map(|(name, _)| format!("current_setting('{name}')"));
        let found = texts(connection, shown.chain([IS_STANDBY.to_owned()])).await?;
        if let Some(error) = compare(&self.0, &wanted, &found) {
            return Err(error.into());
        }
        // A proxy may send connections there for a while: one that was kept would refuse every write.
        if !self.only_reads() && found.last().is_some_and(|is| is == "true") {
            return Err(SessionError::Standby.into());
        }
        Ok(())
    }
}

/// The first setting that is another one than was asked for.
fn compare(settings: &[(&'static str, String)], wanted: &[String], found: &[String]) -> Option<SessionError> {
    let ((name, _), (wanted, found)) =
        settings.iter().zip(wanted.iter().zip(found)).find(|(_, (wanted, found))| wanted != found)?;
    Some(SessionError::Setting { name, wanted: wanted.clone(), found: found.clone() })
}

/// What these expressions give, as texts.
async fn texts(
    connection: &mut PgConnection,
    expressions: impl Iterator<Item = String>,
) -> Result<Vec<String>, sqlx::Error> {
    let expressions: Vec<String> = expressions.collect();
    let query = AssertSqlSafe(format!("SELECT {}", expressions.join(", ")));
    // The simple protocol: a pooler that mixes sessions up would mix prepared statements up too.
    let row = sqlx::raw_sql(query).fetch_one(connection).await?;
    (0..row.len()).map(|at| row.try_get_unchecked(at)).collect()
}

/// Makes sure that the schema that is asked for is the one that unqualified names mean.
///
/// # Errors
/// It is another one, or there is none.
pub(super) async fn is_in(schema: &str, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let current = "coalesce(current_schema()::text, '')".to_owned();
    let found = texts(connection, std::iter::once(current)).await?.concat();
    if found == schema {
        return Ok(());
    }
    let error = SessionError::Setting { name: "current_schema", wanted: schema.to_owned(), found };
    Err(error.into())
}

/// Makes sure that a connection has a session of the server's for itself, and keeps it.
///
/// While one connection is in a transaction, another one is asked before and after: a pooler that gives
/// sessions away between transactions lets them have the same one, or moves the second.
///
/// # Errors
/// It is not so, or the server failed.
pub(super) async fn is_own(options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    let first = async {
        let mut first = options.connect().await?;
        process(&mut first).await?;
        Ok(first)
    };
    let first = answered(COMPARING, first).await?;
    match timeout(COMPARING, compare_two(first, options)).await {
        Ok(done) => done,
        Err(_) => Err(SessionError::Alone.into()),
    }
}

/// Waits so long for a server that may have stopped answering.
///
/// # Errors
/// Those of the work, and `TimedOut`.
pub(super) async fn answered<T>(
    within: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    match timeout(within, work).await {
        Ok(done) => done,
        Err(_) => Err(std::io::Error::new(ErrorKind::TimedOut, "the server did not answer in time").into()),
    }
}

async fn compare_two(mut first: PgConnection, options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    let mut second = options.connect().await?;
    for _ in 0..COMPARED {
        let before = process(&mut first).await?;
        sqlx::raw_sql("BEGIN").execute(&mut second).await?;
        let other = process(&mut second).await?;
        if other == before {
            return Err(SessionError::Shared(other).into());
        }
        let after = process(&mut first).await?;
        if after != before {
            return Err(SessionError::Moved(before, after).into());
        }
        sqlx::raw_sql("ROLLBACK").execute(&mut second).await?;
    }
    first.close().await?;
    second.close().await
}

/// Which of the server's processes answers.
pub(super) async fn process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let row = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await?;
    let text: String = row.try_get_unchecked(0)?;
    text.parse().map_err(|_| sqlx::Error::Protocol(format!("pg_backend_pid() gave {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_not_every_server_has_are_set_where_it_has_them() {
        let set = WHERE_KNOWN.map(set_where_known).concat();
        for (name, value) in [("idle_session_timeout", "60s"), ("transaction_timeout", "0")] {
            assert!(set.contains(&format!("current_setting('{name}', true) IS NULL THEN ''")), "{set}");
            assert!(set.contains(&format!("set_config('{name}', '{value}', false)")), "{set}");
        }
    }

    #[test]
    fn what_a_session_has_instead_of_what_was_asked_for_is_named() {
        let settings = Session::bounded("games", Duration::from_secs(10), Duration::from_secs(1)).0;
        let asked: Vec<String> = settings.iter().map(|(_, value)| value.clone()).collect();
        assert!(compare(&settings, &asked, &asked).is_none());
        for (at, (name, _)) in settings.iter().enumerate() {
            let mut found = asked.clone();
            "another".clone_into(&mut found[at]);
            let error = compare(&settings, &asked, &found).expect("a difference");
            let told = format!("{error}; {}", error.advice());
            assert!(told.contains(name) && told.contains("'another'"), "{told}");
            assert!(told.contains("ignore_startup_parameters") && told.contains("pool_mode"), "{told}");
        }
    }
}
