//! Who holds what somebody waits for, in words for people.

use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::connection::Connections;

/// A time, as text.
macro_rules! at {
    ($time:literal) => {
        concat!("to_char(", $time, " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
    };
}

/// A row of `pg_stat_activity`, in words. What this role may not see of others' sessions is left out.
const SESSION: &str = concat!(
    "coalesce(nullif(a.application_name, ''), 'a client') || ' (user ' || coalesce(a.usename, '?') \
     || ', process ' || a.pid || coalesce(', in a transaction since ' || ",
    at!("a.xact_start"),
    ", '') || ')'"
);

/// A row of `pg_prepared_xacts`, in words, with the way out: it has no process that could be ended.
const PREPARED: &str = concat!(
    "'the prepared transaction ' || quote_literal(p.gid) || ' (user ' || p.owner || ', prepared at ' || ",
    at!("p.prepared"),
    " || '; it ends with ROLLBACK PREPARED ' || quote_literal(p.gid) || ')'"
);

/// A condition: the prepared transaction `p` has the lock `h`, which is no process' any more.
const HOLDS: &str = "h.pid IS NULL AND h.virtualtransaction IN (
    SELECT t.virtualtransaction FROM pg_locks AS t WHERE t.pid IS NULL AND t.transactionid = p.transaction)";

/// An expression: who these transactions are, given an array of the xmax of rows.
pub(super) fn of_transactions(xmax: &str) -> String {
    format!(
        "(SELECT string_agg(DISTINCT coalesce({SESSION}, {PREPARED}), ', ')
            FROM pg_locks AS h
            LEFT JOIN pg_stat_activity AS a ON a.pid = h.pid
            LEFT JOIN pg_prepared_xacts AS p ON {HOLDS}
           WHERE h.locktype = 'transactionid' AND h.granted
             AND h.transactionid IN (SELECT lockers(x.max) FROM unnest({xmax}) AS x (max)))"
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
    // A prepared transaction is process 0, whichever it is: it is found by what it holds.
    let sql = format!(
        "WITH RECURSIVE queue AS (
             SELECT $1 AS pid
             UNION SELECT unnest(pg_blocking_pids(queue.pid)) FROM queue WHERE queue.pid <> 0)
         SELECT string_agg(DISTINCT who, ', ') FROM (
             SELECT {SESSION} AS who
               FROM queue JOIN pg_stat_activity AS a ON a.pid = queue.pid
              WHERE queue.pid <> $1 AND cardinality(pg_blocking_pids(queue.pid)) = 0
             UNION ALL
             SELECT {PREPARED}
               FROM queue JOIN pg_locks AS w ON w.pid = queue.pid AND NOT w.granted
               JOIN pg_locks AS h ON h.granted AND h.locktype = w.locktype
                    AND (h.database, h.relation, h.page, h.tuple, h.transactionid, h.classid, h.objid, h.objsubid)
                        IS NOT DISTINCT FROM
                        (w.database, w.relation, w.page, w.tuple, w.transactionid, w.classid, w.objid, w.objsubid)
               JOIN pg_prepared_xacts AS p ON {HOLDS}) AS holders"
    );
    let asked = Statement::from_sql_and_values(db.get_database_backend(), sql, [process.into()]);
    let row = db.query_one_raw(asked).await?;
    row.map_or(Ok(None), |row| row.try_get_by_index(0))
}
