//! From the embedded database to PostgreSQL: every row of every table in one transaction, and as many
//! in the end as there were.
//!
//! A row travels as JSON, which PostgreSQL reads by its columns' own types. The triggers are switched
//! off meanwhile: what they keep is copied, not counted anew.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt;
use sea_orm::sqlx::{
    self, AssertSqlSafe, Connection, PgConnection, Postgres, Row, SqliteConnection, Transaction, query,
    query_scalar, raw_sql,
};

use super::super::place::At;
use super::super::{Place, Store, open, session};
use super::CopyError;

/// So many rows travel at a time.
const AT_ONCE: usize = 500;

/// The server has so long to say which process it is; what follows takes as long as it takes.
const FIRST_ANSWER: Duration = Duration::from_secs(12);

/// These are each database's own.
const OWN: [&str; 2] = ["schema_info", "_sqlx_migrations"];

/// How many rows of a table were read, and how many are there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// In the source.
    pub read: i64,
    /// In the target.
    pub arrived: i64,
}

/// A table, as PostgreSQL describes it.
struct Table {
    name: String,
    /// Each with whether it holds JSON.
    columns: Vec<(String, bool)>,
    /// The column that PostgreSQL counts by itself, if any.
    identity: Option<String>,
}

impl Store {
    /// Copies the embedded database to a PostgreSQL schema that is empty or not there yet. It keeps
    /// its identity: the same games, the same state root. Gives the rows of each table. With `keep`
    /// false everything is tried and no row kept; the tables of both are brought up to date all the same.
    ///
    /// # Errors
    /// The source is in use, the target is, or a row cannot be carried over; nothing is copied then.
    pub async fn transfer(
        from: &Place,
        to: &Place,
        keep: bool,
    ) -> Result<BTreeMap<String, Counted>, CopyError> {
        let (At::Sqlite(path), At::Postgres { options, schema }) = (&from.at, &to.at) else {
            let how = "a database moves from sqlite:PATH to postgres://… and in no other direction";
            return Err(CopyError::Unsuitable(how.into()));
        };
        if !std::path::Path::new(path).exists() {
            return Err(CopyError::Missing(from.clone()));
        }
        // Nobody writes to it meanwhile, and both have the same tables.
        let _lock = from.lock()?;
        Store::open(from).await?.close().await.map_err(open::OpenError::from)?;
        Store::open(to).await?.close().await.map_err(open::OpenError::from)?;
        let source =
            open::sqlite_to_look_at(from, path).await?.ok_or_else(|| CopyError::Missing(from.clone()))?;
        let mut source = source.db.sqlite().map_err(open::OpenError::from)?.acquire().await?;
        let mut target = open::alone(options, schema).await?;
        let process = session::answered(FIRST_ANSWER, session::process(&mut target)).await?;
        open::patiently(options, process, copy_all(&mut source, &mut target, to, keep)).await
    }
}

/// Copies every table in one transaction.
async fn copy_all(
    source: &mut SqliteConnection,
    target: &mut PgConnection,
    to: &Place,
    keep: bool,
) -> Result<BTreeMap<String, Counted>, CopyError> {
    let mut transaction = target.begin().await?;
    refuse_used(&mut transaction, to).await?;
    let mut counted = BTreeMap::new();
    for table in tables(&mut transaction).await? {
        let failed = |source| CopyError::Table { table: table.name.clone(), source };
        let counts = copy(&table, source, &mut transaction).await.map_err(failed)?;
        if counts.read != counts.arrived {
            return Err(CopyError::Lost { table: table.name, counted: counts });
        }
        counted.insert(table.name, counts);
    }
    if keep {
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(counted)
}

async fn refuse_used(to: &mut Transaction<'_, Postgres>, place: &Place) -> Result<(), CopyError> {
    let used: bool = query_scalar(
        "SELECT EXISTS (SELECT 1 FROM leases) OR EXISTS (SELECT 1 FROM games) OR EXISTS (SELECT 1 FROM engine_versions)
             OR EXISTS (SELECT 1 FROM runtime_records) OR EXISTS (SELECT 1 FROM game_changes)",
    )
    .fetch_one(&mut **to)
    .await?;
    if used {
        let advice = format!("{place} is in use already; name an empty schema by --database-schema");
        return Err(CopyError::Unsuitable(advice));
    }
    Ok(())
}

async fn tables(of: &mut Transaction<'_, Postgres>) -> Result<Vec<Table>, sqlx::Error> {
    let rows = query(
        "SELECT c.table_name::text, c.column_name::text, c.data_type = 'jsonb', c.is_identity = 'YES'
           FROM information_schema.columns AS c JOIN information_schema.tables AS t USING (table_schema, table_name)
          WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND c.table_name <> ALL ($1)
          ORDER BY c.table_name, c.ordinal_position",
    )
    .bind(&OWN[..])
    .fetch_all(&mut **of)
    .await?;
    let mut tables: Vec<Table> = Vec::new();
    for row in rows {
        let (name, column): (String, String) = (row.get(0), row.get(1));
        if tables.last().is_none_or(|table| table.name != name) {
            tables.push(Table { name, columns: Vec::new(), identity: None });
        }
        let Some(table) = tables.last_mut() else { continue };
        if row.get(3) {
            table.identity = Some(column.clone());
        }
        table.columns.push((column, row.get(2)));
    }
    Ok(tables)
}

async fn copy(
    table: &Table,
    from: &mut SqliteConnection,
    to: &mut Transaction<'_, Postgres>,
) -> Result<Counted, sqlx::Error> {
    let Table { name, columns, identity } = table;
    let members: Vec<String> = columns
        .iter()
        .map(
            |(column, json)| {
                if *json { format!("'{column}', json({column})") } else { format!("'{column}', {column}") }
            },
        )
        .collect();
    let names: Vec<&str> = columns.iter().map(|(column, _)| column.as_str()).collect();
    let names = names.join(", ");
    // What its own migration has put there gives way.
    let prepare = format!("ALTER TABLE {name} DISABLE TRIGGER USER; DELETE FROM {name}");
    raw_sql(AssertSqlSafe(prepare)).execute(&mut **to).await?;
    // No function takes as many arguments as some tables have columns.
    let objects: Vec<String> =
        members.chunks(30).map(|some| format!("json_object({})", some.join(", "))).collect();
    let insert = format!(
        "INSERT INTO {name} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM json_populate_recordset(NULL::{name}, $1::json)"
    );
    let select = query(AssertSqlSafe(format!("SELECT {} FROM {name}", objects.join(", "))));
    let mut rows = select.fetch(&mut *from).try_chunks(AT_ONCE);
    while let Some(some) = rows.try_next().await.map_err(|failed| failed.1)? {
        let some: Vec<String> = some.iter().map(|row| joined(row, objects.len())).collect();
        let json = format!("[{}]", some.join(","));
        query(AssertSqlSafe(insert.clone())).bind(json).execute(&mut **to).await?;
    }
    drop(rows);
    let mut restore = format!("ALTER TABLE {name} ENABLE TRIGGER USER;");
    if let Some(column) = identity {
        restore.push_str(&format!(
            "SELECT setval(pg_get_serial_sequence('{name}', '{column}'), (SELECT coalesce(max({column}), 0) + 1 FROM {name}), false)"
        ));
    }
    raw_sql(AssertSqlSafe(restore)).execute(&mut **to).await?;
    let count = format!("SELECT count(*) FROM {name}");
    Ok(Counted {
        read: query_scalar(AssertSqlSafe(count.clone())).fetch_one(from).await?,
        arrived: query_scalar(AssertSqlSafe(count)).fetch_one(&mut **to).await?,
    })
}

/// Several objects as one.
fn joined(row: &sqlx::sqlite::SqliteRow, objects: usize) -> String {
    let members: Vec<String> = (0..objects)
        .map(|at| row.get::<String, _>(at))
        .filter_map(|object| Some(object.strip_prefix('{')?.strip_suffix('}')?.to_owned()))
        .collect();
    format!("{{{}}}", members.join(","))
}
