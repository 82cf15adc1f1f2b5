//! What keeps the tables small that tell of the past: reports, slots, operations, changes.
//!
//! The ledger of turns is not among them: it is the game's own history, a row for each turn.

use jiff::{SignedDuration, Timestamp};
use sea_orm::sea_query::{Alias, Condition, Expr, ExprTrait, Order, Query, SimpleExpr};
use sea_orm::{ConnectionTrait, Statement};

use super::convert::to_db;
use super::{Store, StoreError};

/// About so many go in one statement, so that nobody who wants to write waits for long.
const AT_ONCE: u64 = 500;

/// How long the past is kept, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// What engines reported.
    pub reports: SignedDuration,
    /// Of one game, at most so many reports.
    pub reports_of_a_game: u64,
    /// What was decided about slots, operations that ended, changes of games.
    pub decisions: SignedDuration,
}

impl Default for History {
    fn default() -> Self {
        Self {
            reports: SignedDuration::from_hours(7 * 24),
            reports_of_a_game: 1_000,
            decisions: SignedDuration::from_hours(90 * 24),
        }
    }
}

/// A table, the column with the age of its rows, and which of its rows may go at all.
struct Table {
    name: &'static str,
    age: &'static str,
    only: Option<SimpleExpr>,
}

impl Store {
    /// Forgets what is too old or too much. Gives how many rows went.
    ///
    /// # Errors
    /// The database failed; what was forgotten until then stays forgotten.
    pub async fn prune_history(&self, now: Timestamp, keep: &History) -> Result<u64, StoreError> {
        let reports = Table { name: "runtime_health_snapshots", age: "observed_at", only: None };
        let closed = Expr::col(Alias::new("finished_at")).is_not_null();
        let decisions = [
            // What still waits stays.
            Table {
                name: "turn_slots",
                age: "decided_at",
                only: Some(Expr::col(Alias::new("decision")).ne("deferred")),
            },
            Table { name: "operation_log", age: "created_at", only: Some(closed) },
            Table { name: "game_changes", age: "changed_at", only: None },
        ];
        let before = |age| now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let mut gone = self.forget(&reports, before(keep.reports)).await?;
        for table in &decisions {
            gone += self.forget(table, before(keep.decisions)).await?;
        }
        Ok(gone + self.forget_surplus_reports(keep.reports_of_a_game).await?)
    }

    async fn forget(&self, table: &Table, before: Timestamp) -> Result<u64, StoreError> {
        let (name, age) = (Alias::new(table.name), Alias::new(table.age));
        let old = |until: SimpleExpr| Condition::all().add(until).add_option(table.only.clone());
        let too_old = Expr::col(age.clone()).lt(to_db(before));
        let mut forgotten = 0;
        loop {
            // The age of the last one of a handful: what is as old goes together.
            let mut handful = Query::select();
            handful
                .column(age.clone())
                .from(name.clone())
                .cond_where(old(too_old.clone()))
                .order_by(age.clone(), Order::Asc)
                .limit(1)
                .offset(AT_ONCE - 1);
            let last = self.db.query_one(&handful).await?;
            let until = match &last {
                Some(row) => {
                    let age: sea_orm::prelude::DateTimeUtc = row.try_get("", table.age)?;
                    Expr::col(Alias::new(table.age)).lte(age)
                }
                None => too_old.clone(),
            };
            let mut delete = Query::delete();
            delete.from_table(name.clone()).cond_where(old(until));
            forgotten += self.observe(self.db.get_database_backend().build(&delete)).await?;
            if last.is_none() {
                return Ok(forgotten);
            }
        }
    }

    /// Of each game the latest reports stay.
    async fn forget_surplus_reports(&self, most: u64) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        loop {
            let statement = format!(
                "DELETE FROM runtime_health_snapshots WHERE snapshot_id IN (
                     SELECT snapshot_id FROM (
                         SELECT snapshot_id, row_number() OVER (PARTITION BY game_id ORDER BY observed_at DESC, snapshot_id DESC) AS place
                           FROM runtime_health_snapshots
                     ) AS placed WHERE place > {most} LIMIT {AT_ONCE})"
            );
            let statement = Statement::from_string(self.db.get_database_backend(), statement);
            let some = self.observe(statement).await?;
            forgotten += some;
            if some < AT_ONCE {
                return Ok(forgotten);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn count(store: &Store, what: &str) -> i64 {
        let query = Query::select().expr(Expr::cust(format!("count(*) AS n FROM {what}"))).to_owned();
        store.db.query_one(&query).await.unwrap().unwrap().try_get("", "n").unwrap()
    }

    #[tokio::test]
    async fn the_past_goes_by_age_and_by_count_and_what_is_open_stays() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/history.db", directory.path().display());
        let store = Store::open(&url.parse().unwrap()).await.unwrap();
        let game = "00000000-0000-4000-8000-000000000001";
        let other = "00000000-0000-4000-8000-000000000002";
        let past = |rows: u32, days_ago: u32| {
            format!(
                "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                 INSERT INTO %T SELECT %C FROM n, (SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-{days_ago} days') AS at)"
            )
        };
        let fill = async |table: &str, columns: &str, rows, days| {
            let statement = past(rows, days).replace("%T", table).replace("%C", columns);
            store.db.execute_unprepared(&statement).await.unwrap();
        };
        let slots = "turn_slots (game_id, timeline, slot, decision, decided_at)";
        let slot = format!(
            "'{game}', 1, strftime('%Y-%m-%dT%H:%M:%f+00:00', at, '+' || i || ' seconds'), 'fired', at"
        );
        fill(slots, &slot, 1_300, 91).await;
        fill(slots, &slot, 10, 89).await;
        let operations = "operation_log (operation_id, game_id, op, source, status, created_at, finished_at)";
        let operation = |status: &str, finished: &str, kind: char| {
            format!(
                "'{kind}' || substr('{game}', 1, 27) || printf('%08d', i), '{game}', 'turn', 'schedule', '{status}', at, {finished}"
            )
        };
        fill(operations, &operation("succeeded", "at", '1'), 3, 91).await;
        fill(operations, &operation("running", "NULL", '2'), 1, 91).await;
        fill(operations, &operation("succeeded", "at", '3'), 2, 1).await;
        let reports = "runtime_health_snapshots (game_id, observed_at, engine_health)";
        fill(reports, &format!("'{game}', at, 'healthy'"), 40, 8).await;
        fill(reports, &format!("'{game}', at, 'healthy'"), 1_700, 2).await;
        fill(reports, &format!("'{other}', at, 'healthy'"), 9, 6).await;

        let gone = store.prune_history(Timestamp::now(), &History::default()).await.unwrap();
        assert_eq!(gone, 1_300 + 3 + 40 + 700);
        assert_eq!(count(&store, "turn_slots").await, 10);
        assert_eq!(count(&store, "operation_log WHERE status = 'running'").await, 1);
        assert_eq!(count(&store, "operation_log").await, 3);
        assert_eq!(count(&store, &format!("runtime_health_snapshots WHERE game_id = '{other}'")).await, 9);
        assert_eq!(count(&store, "runtime_health_snapshots").await, 1_009);
        assert_eq!(store.prune_history(Timestamp::now(), &History::default()).await.unwrap(), 0);
    }
}
