//! Keeps the connections of a pool awake.
//!
//! The server ends a session that says nothing for a minute, so that those of clients that are gone do not
//! keep places behind a pooler. Ours say something every twenty seconds, each in turn and only while nobody
//! wants it. One that is found dead is let go before anybody has to find out.

use std::sync::Weak;
use std::time::Duration;

use sea_orm::sqlx::Connection;
use tokio::time::{sleep, timeout};

use super::Remote;

/// A third of the time after which the server ends a session.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Pings until the connections are closed, or nobody has them any more.
pub(super) async fn keep(remote: Weak<Remote>) {
    loop {
        sleep(PING_EVERY).await;
        let Some(remote) = remote.upgrade() else { return };
        if remote.limit.ending.is_cancelled() {
            return;
        }
        remote.ping_idle().await;
    }
}

impl Remote {
    async fn ping_idle(&self) {
        let (number, pool) = self.current.borrow().clone();
        let pool = pool.get_postgres_connection_pool().clone();
        // The longest idle first; each goes to the end of the row.
        for _ in 0..pool.num_idle() {
            // A place, as for anybody else. If there is none, all of them are in use.
            let Ok(_place) = self.places.clone().try_acquire_owned() else { return };
            let Some(mut connection) = pool.try_acquire() else { return };
            match timeout(self.how.ping, connection.ping()).await {
                Ok(Ok(())) => connection.return_to_pool().await,
                Ok(Err(error)) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "an idle connection was lost");
                    drop(connection.detach());
                }
                Err(_) => {
                    drop(connection.detach());
                    return self.replaces(number).replace();
                }
            }
        }
    }
}
