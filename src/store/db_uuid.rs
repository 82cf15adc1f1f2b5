//! UUIDs as the database has them: `uuid` on PostgreSQL, lower-case text on SQLite.
//!
//! sea-orm's own `Uuid` is sixteen bytes on SQLite, which nobody can read or write by hand. How they
//! are written: `connection.rs`.

use std::fmt;

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, DbErr, QueryResult, TryFromU64, TryGetError, TryGetable, Value};
use uuid::Uuid;

/// A UUID in a column of either dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DbUuid(pub Uuid);

impl fmt::Display for DbUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl From<DbUuid> for Value {
    fn from(id: DbUuid) -> Self {
        id.0.into()
    }
}

impl TryGetable for DbUuid {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        if row.try_as_sqlite_row().is_none() {
            return Uuid::try_get_by(row, index).map(Self);
        }
        let text = String::try_get_by(row, index)?;
        // Another spelling would be a second game in the database, and the same one here.
        let canonical = |id: &Uuid| id.as_hyphenated().to_string() == text;
        let id = Uuid::try_parse(&text).ok().filter(canonical);
        id.map(Self).ok_or_else(|| DbErr::Type(format!("`{text}` is not a UUID in lower case")).into())
    }
}

impl ValueType for DbUuid {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        <Uuid as ValueType>::try_from(value).map(Self)
    }

    fn type_name() -> String {
        "DbUuid".to_owned()
    }

    fn array_type() -> ArrayType {
        <Uuid as ValueType>::array_type()
    }

    fn column_type() -> ColumnType {
        <Uuid as ValueType>::column_type()
    }
}

impl Nullable for DbUuid {
    fn null() -> Value {
        <Uuid as Nullable>::null()
    }
}

impl TryFromU64 for DbUuid {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::ConvertFromU64("DbUuid"))
    }
}

impl sea_orm::IntoActiveValue<Self> for DbUuid {
    fn into_active_value(self) -> sea_orm::ActiveValue<Self> {
        sea_orm::ActiveValue::Set(self)
    }
}
