//! How a change of desired state is noticed, whoever wrote it.

use std::time::Duration;

use futures::Stream;
use sea_orm::EntityTrait;
use sea_orm::sqlx::{self, ConnectOptions, Connection, Row};

use super::entity::desired_feed;
use super::open::missing;
use super::{Store, StoreError};

/// How often SQLite is asked whether anybody committed anything: it has no way to tell by itself,
/// and the question takes microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(15);

impl Store {
    /// Where the feed of desired changes stands.
    pub async fn desired_seq(&self) -> Result<i64, StoreError> {
        let row = desired_feed::Entity::find().one(&self.db).await?.ok_or_else(missing("desired_feed"))?;
        Ok(row.seq)
    }

    /// Ends whenever desired state may have changed, or the database could not be asked. Only a
    /// nudge: it says where to look, and is never the truth.
    pub fn desired_changes(&self) -> impl Stream<Item = ()> + Send + 'static {
        let store = self.clone();
        futures::stream::unfold((store, Watch::default()), |(store, mut watch)| async move {
            watch.changed(&store).await;
            Some(((), (store, watch)))
        })
    }
}

/// The dedicated connection on which `PRAGMA data_version` tells of others' commits.
#[derive(Default)]
struct Watch {
    connection: Option<sqlx::SqliteConnection>,
    data_version: Option<i64>,
    seq: Option<i64>,
}

impl Watch {
    async fn changed(&mut self, store: &Store) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = store.desired_written.notified() => {
                    self.data_version = None;
                }
            }
            match self.look(store).await {
                Ok(false) => {}
                Ok(true) => return,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the database's changes cannot be watched"
                    );
                    self.connection = None;
                    self.data_version = None;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    return;
                }
            }
        }
    }

    /// Whether desired state changed since the last look.
    async fn look(&mut self, store: &Store) -> Result<bool, sqlx::Error> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(store.dedicated_connection().await?),
        };
        let version: i64 =
            sqlx::query("PRAGMA data_version").fetch_one(&mut *connection).await?.try_get(0)?;
        if self.data_version == Some(version) {
            return Ok(false);
        }
        self.data_version = Some(version);
        let seq: i64 = sqlx::query("SELECT seq FROM desired_feed").fetch_one(connection).await?.try_get(0)?;
        let moved = self.seq != Some(seq);
        self.seq = Some(seq);
        Ok(moved)
    }
}

impl Store {
    async fn dedicated_connection(&self) -> Result<sqlx::SqliteConnection, sqlx::Error> {
        let options = (*self.db.get_sqlite_connection_pool().connect_options()).clone();
        sqlx::SqliteConnection::connect_with(&options.disable_statement_logging()).await
    }
}
