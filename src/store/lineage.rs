//! The database that answers, and how far it has come as far as this process knows.
//!
//! A server that fails over to a replica that lags behind, or is put back from a backup, answers at the
//! same address with less than it had acknowledged. Nothing in an answer says so; two things give it
//! away. The high-water counter only ever grows, so one below what was committed is an older database.
//! And each new connection is asked which database it leads to: after a failover, a restore or a
//! replacement that is another one, whatever the counters say.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use sea_orm::sqlx::{self, PgConnection, Row};

/// The cluster, its timeline, the database, and the table that is made with the schema. Each may be
/// replaced without the others.
const IDENTITY: &str = "SELECT (SELECT system_identifier FROM pg_control_system())::text
    || '/' || CASE WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END
    || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())::text
    || '/' || coalesce(to_regclass('instance')::oid::text, '')";

/// The same where a service does not let its users ask about the cluster.
const IDENTITY_OF_SCHEMA: &str =
    "SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::text
    || '/' || coalesce(to_regclass('instance')::oid::text, '')";

/// See the [module](self). Shared by all clones of a store.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    high_water: AtomicI64,
    changes: AtomicU64,
    identity: Mutex<Option<String>>,
}

impl Lineage {
    /// The counter was read, or moved by a commit of ours.
    pub(super) fn saw(&self, high_water: i64) {
        self.high_water.fetch_max(high_water, Ordering::AcqRel);
    }

    /// The highest that the counter is known to have been; 0 before it was seen.
    pub(super) fn furthest(&self) -> i64 {
        self.high_water.load(Ordering::Acquire)
    }

    /// Counts how often another database answered than before.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Notes which database a new connection leads to.
    ///
    /// # Errors
    /// The connection is lost.
    pub(super) async fn ask(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let row = match sqlx::raw_sql(IDENTITY).fetch_one(&mut *connection).await {
            Err(sqlx::Error::Database(_)) => sqlx::raw_sql(IDENTITY_OF_SCHEMA).fetch_one(connection).await,
            done => done,
        }?;
        self.note(row.try_get_unchecked(0)?);
        Ok(())
    }

    fn note(&self, found: String) {
        let mut identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        if identity.as_ref() == Some(&found) {
            return;
        }
        if let Some(before) = identity.replace(found.clone()) {
            tracing::warn!(before, now = found, "another database answers; everything is read anew");
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_the_counter_never_goes_back_and_another_database_is_counted() {
        let lineage = Lineage::default();
        lineage.saw(7);
        lineage.saw(3);
        assert_eq!((lineage.furthest(), lineage.changes()), (7, 0));
        for (identity, changes) in [("a/1", 0), ("a/1", 0), ("a/2", 1), ("a/2", 1), ("a/1", 2)] {
            lineage.note(identity.to_owned());
            assert_eq!(lineage.changes(), changes, "{identity}");
        }
    }
}
