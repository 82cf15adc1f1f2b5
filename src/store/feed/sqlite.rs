//! SQLite has no way to tell by itself that somebody committed something: it is asked.

use std::time::Duration;

use sea_orm::sqlx::{self, ConnectOptions, Connection, Row};

use super::super::Store;
use super::{AGAIN, cannot_watch};

/// How often; the question takes microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// The dedicated connection on which `PRAGMA data_version` tells of others' commits.
#[derive(Default)]
pub(super) struct Watch {
    connection: Option<sqlx::SqliteConnection>,
    data_version: Option<i64>,
    seq: Option<i64>,
    /// Observed state counts too.
    both: bool,
}

impl Watch {
    /// Of what is observed as well.
    pub(super) fn of_both() -> Self {
        Self { both: true, ..Self::default() }
    }

    pub(super) async fn changed(&mut self, store: &Store) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                // One is waked by it, and that is the controller.
                () = store.desired_written.notified(), if !self.both => {
                    self.data_version = None;
                }
            }
            match self.look(store).await {
                Ok(false) => {}
                Ok(true) => return,
                Err(error) => {
                    cannot_watch(&error);
                    self.connection = None;
                    self.data_version = None;
                    tokio::time::sleep(AGAIN).await;
                    return;
                }
            }
        }
    }

    /// Whether desired state changed since the last look.
    async fn look(&mut self, store: &Store) -> Result<bool, sqlx::Error> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(dedicated_connection(store).await?),
        };
        let version: i64 =
            sqlx::query("PRAGMA data_version").fetch_one(&mut *connection).await?.try_get(0)?;
        if self.data_version == Some(version) {
            return Ok(false);
        }
        self.data_version = Some(version);
        let sum = if self.both {
            "SELECT (SELECT seq FROM desired_feed) + (SELECT seq + forgotten FROM observed_feed)"
        } else {
            "SELECT seq FROM desired_feed"
        };
        let seq: i64 = sqlx::query(sum).fetch_one(connection).await?.try_get(0)?;
        let moved = self.seq != Some(seq);
        self.seq = Some(seq);
        Ok(moved)
    }
}

async fn dedicated_connection(store: &Store) -> Result<sqlx::SqliteConnection, sqlx::Error> {
    let options = (*store.db.sqlite().map_err(sqlx::Error::config)?.connect_options()).clone();
    sqlx::SqliteConnection::connect_with(&options.disable_statement_logging()).await
}
