//! Who holds what somebody waits for, in words for people.

use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::connection::Connections;

/// A row of `pg_stat_activity`, in words. What this role may not see of others' sessions is left out.
const SESSION: &str = "coalesce(nullif(a.application_name, ''), 'a client') || ' (user ' || coalesce(a.usename, '?') \
     || ', process ' || a.pid || coalesce(', in a transaction since ' \
     || to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '') || ')'";

/// An expression: the sessions of the transactions whose ids are in this array of texts.
pub(super) fn of_transactions(ids: &str) -> String {
    format!(
        "(SELECT string_agg(DISTINCT {SESSION}, ', ')
            FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
           WHERE l.locktype = 'transactionid' AND l.granted AND l.transactionid::text = ANY ({ids}))"
    )
}

/// What is said of those who are not known.
pub(super) fn nobody_known() -> String {
    "another client of the database".to_owned()
}

/// Whom this session waits for: at the end of the row, those who wait for nobody themselves.
///
/// # Errors
/// The database failed.
pub(super) async fn of_session(db: &Connections, process: i32) -> Result<Option<String>, DbErr> {
    let sql = format!(
        "WITH RECURSIVE before AS (
             SELECT unnest(pg_blocking_pids($1)) AS pid
             UNION SELECT unnest(pg_blocking_pids(before.pid)) FROM before)
         SELECT string_agg(DISTINCT {SESSION}, ', ')
           FROM before JOIN pg_stat_activity AS a ON a.pid = before.pid
          WHERE cardinality(pg_blocking_pids(before.pid)) = 0"
    );
    let asked = Statement::from_sql_and_values(db.get_database_backend(), sql, [process.into()]);
    let row = db.query_one_raw(asked).await?;
    row.map_or(Ok(None), |row| row.try_get_by_index(0))
}
