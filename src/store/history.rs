//! What keeps the tables small that tell of the past: reports, slots, operations, changes.
//!
//! The ledger of turns is not among them: it is the game's own history, a row for each turn.

use jiff::{SignedDuration, Timestamp};
use sea_orm::sea_query::{Alias, Condition, Expr, ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::bites::Forgettable;
use super::convert::to_db;
use super::db_uuid::DbUuid;
use super::entity::runtime_health_snapshots;
use super::{Store, StoreError};

/// The table of reports, its key, and the column with the age of a row.
const REPORTS: &str = "runtime_health_snapshots";
const REPORT: &str = "snapshot_id";
const REPORTED: &str = "observed_at";

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

impl Store {
    /// Forgets what is too old or too much, in bites that nobody waits for. Gives how many rows went.
    ///
    /// # Errors
    /// The database failed, or somebody else leads; what was forgotten until then stays forgotten.
    pub async fn prune_history(&self, now: Timestamp, keep: &History) -> Result<u64, StoreError> {
        let before = |age| to_db(now.checked_sub(age).unwrap_or(Timestamp::MIN));
        let older = |table, key, age, than: SignedDuration| {
            let which = Condition::all().add(Expr::col(Alias::new(age)).lt(before(than)));
            Forgettable { table, key, age, which, moves_feed: false }
        };
        let only =
            |what: Forgettable, which: SimpleExpr| Forgettable { which: what.which.add(which), ..what };
        let slots = older("turn_slots", &["game_id", "timeline", "slot"], "decided_at", keep.decisions);
        let operations = older("operation_log", &["operation_id"], "created_at", keep.decisions);
        let old = [
            older(REPORTS, &[REPORT], REPORTED, keep.reports),
            // What still waits stays.
            only(slots, Expr::col(Alias::new("decision")).ne("deferred")),
            only(operations, Expr::col(Alias::new("finished_at")).is_not_null()),
            older("game_changes", &["change_id"], "changed_at", keep.decisions),
        ];
        let mut gone = 0;
        for what in &old {
            gone += self.forget(what).await?;
        }
        Ok(gone + self.forget_surplus_reports(keep.reports_of_a_game).await?)
    }

    /// Of each game the latest reports stay. Each question is about one game, however many there are.
    async fn forget_surplus_reports(&self, most: u64) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        let mut last = None;
        while let Some(game) = self.next_reported(last).await? {
            if let Some(surplus) = self.surplus_reports(game, most).await? {
                forgotten += self.forget(&surplus).await?;
            }
            last = Some(game);
        }
        Ok(forgotten)
    }

    /// The game after this one of which there are reports.
    async fn next_reported(&self, last: Option<DbUuid>) -> Result<Option<DbUuid>, StoreError> {
        let next = runtime_health_snapshots::Entity::find()
            .select_only()
            .column(runtime_health_snapshots::Column::GameId)
            .filter(
                Condition::all()
                    .add_option(last.map(|last| runtime_health_snapshots::Column::GameId.gt(last))),
            )
            .order_by_asc(runtime_health_snapshots::Column::GameId)
            .limit(1);
        Ok(next.into_tuple().one(&self.db).await?)
    }

    /// The reports of a game that are more than so many, if any are.
    async fn surplus_reports(&self, game: DbUuid, most: u64) -> Result<Option<Forgettable>, StoreError> {
        use runtime_health_snapshots::Column;
        let latest: Option<(sea_orm::prelude::DateTimeUtc, i64)> = runtime_health_snapshots::Entity::find()
            .select_only()
            .columns([Column::ObservedAt, Column::SnapshotId])
            .filter(Column::GameId.eq(game))
            .order_by_desc(Column::ObservedAt)
            .order_by_desc(Column::SnapshotId)
            .offset(most)
            .limit(1)
            .into_tuple()
            .one(&self.db)
            .await?;
        Ok(latest.map(|(at, id)| {
            let as_old = Condition::all().add(Column::ObservedAt.eq(at)).add(Column::SnapshotId.lte(id));
            let older = Condition::any().add(Column::ObservedAt.lt(at)).add(as_old);
            let which = Condition::all().add(Column::GameId.eq(game)).add(older);
            Forgettable { table: REPORTS, key: &[REPORT], age: REPORTED, which, moves_feed: false }
        }))
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;
    use sea_orm::sea_query::Query;

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
