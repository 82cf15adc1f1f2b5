//! Forgetting in bites: few rows in a transaction, and a pause after each.
//!
//! What is forgotten is forgotten for good, whoever does it, so a bite holds nothing that a new leader
//! would have to wait for. It is not begun by whoever knows that somebody else leads.

use std::time::{Duration, Instant};

use sea_orm::sea_query::{
    Alias, Condition, DeleteStatement, Expr, ExprTrait, LockBehavior, LockType, Order, Query, SimpleExpr,
};
use sea_orm::{ConnectionTrait, DbErr};

use super::again::{again, is_contended};
use super::{Store, feed, lease};

/// So many rows go in one transaction, so that nobody who wants to write waits for long.
pub(super) const BITE: u64 = 500;

/// After a bite it rests for as long as the bite took, within these bounds.
const REST: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// A bite that met somebody else's lock is taken so often again before it is left for the next time.
const PATIENCE: u32 = 5;

/// Rows that may go.
pub(super) struct Forgettable {
    /// Of which table.
    pub(super) table: &'static str,
    /// Its primary key.
    pub(super) key: &'static [&'static str],
    /// The column that the oldest are found by.
    pub(super) age: &'static str,
    /// Which of its rows.
    pub(super) which: Condition,
    /// A trigger moves `observed_feed` when rows of it go: that is locked first, as everybody does.
    pub(super) moves_feed: bool,
}

impl Forgettable {
    /// The statement that deletes the oldest of them. Rows that somebody else has locked stay.
    pub(super) fn bite(&self, rows: u64) -> DeleteStatement {
        let columns = || self.key.iter().map(|column| Alias::new(*column));
        let mut oldest = Query::select();
        oldest
            .columns(columns())
            .from(Alias::new(self.table))
            .cond_where(self.which.clone())
            .order_by(Alias::new(self.age), Order::Asc)
            .order_by_columns(columns().map(|column| (column, Order::Asc)))
            .limit(rows)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        let key: Vec<SimpleExpr> = columns().map(Expr::col).collect();
        let mut delete = Query::delete();
        delete.from_table(Alias::new(self.table)).and_where(Expr::tuple(key).in_subquery(oldest));
        delete
    }
}

impl Store {
    /// Forgets all of them. Gives how many rows went.
    ///
    /// # Errors
    /// The database failed, or somebody else leads; what was forgotten until then stays forgotten.
    pub(super) async fn forget(&self, what: &Forgettable) -> Result<u64, DbErr> {
        let mut forgotten = 0;
        loop {
            let some = self.forget_some(what, BITE).await?;
            forgotten += some;
            if some < BITE {
                return Ok(forgotten);
            }
        }
    }

    /// Forgets the oldest of them, at most so many, and rests. Gives how many rows went.
    ///
    /// # Errors
    /// The database failed, or somebody else leads.
    pub(super) async fn forget_some(&self, what: &Forgettable, rows: u64) -> Result<u64, DbErr> {
        let began = Instant::now();
        if let Some(lease) = self.lease
            && !lease::is(&self.db, lease).await?
        {
            return Err(lease::taken_over());
        }
        let delete = what.bite(rows);
        let bite = || async {
            let transaction = self.db.begin_writing().await?;
            if what.moves_feed {
                feed::hold_observed(&transaction).await?;
            }
            let gone = transaction.execute(&delete).await?.rows_affected();
            transaction.commit().await?;
            Ok::<_, DbErr>(gone)
        };
        let mut patience = PATIENCE;
        let gone = loop {
            match again(bite).await {
                // The rows were free, something else was not. Nothing waits for this.
                Err(error) if patience > 0 && is_contended(&error) => {
                    patience -= 1;
                    tokio::time::sleep(REST.1).await;
                }
                done => break done?,
            }
        };
        tokio::time::sleep(began.elapsed().clamp(REST.0, REST.1)).await;
        Ok(gone)
    }
}
