//! UUIDs as the database has them: lower-case text on SQLite.
//!
//! sea-orm's own `Uuid` is sixteen bytes there, which nobody can read or write by hand, and its
//! `TextUuid` cannot be null.

use std::fmt;

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, DbErr, QueryResult, TryFromU64, TryGetError, TryGetable, Value};
use uuid::Uuid;

/// A UUID in a column of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DbUuid(pub Uuid);

impl fmt::Display for DbUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl From<DbUuid> for Value {
    fn from(id: DbUuid) -> Self {
        id.to_string().into()
    }
}

impl TryGetable for DbUuid {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let text = String::try_get_by(row, index)?;
        // Another spelling would be a second game in the database, and the same one here.
        let canonical = |id: &Uuid| id.as_hyphenated().to_string() == text;
        let id = Uuid::try_parse(&text).ok().filter(canonical);
        id.map(Self).ok_or_else(|| DbErr::Type(format!("`{text}` is not a UUID in lower case")).into())
    }
}

impl ValueType for DbUuid {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        let text = <String as ValueType>::try_from(value)?;
        Uuid::try_parse(&text).map(Self).map_err(|_| ValueTypeErr)
    }

    fn type_name() -> String {
        "DbUuid".to_owned()
    }

    fn array_type() -> ArrayType {
        <String as ValueType>::array_type()
    }

    fn column_type() -> ColumnType {
        <String as ValueType>::column_type()
    }
}

impl Nullable for DbUuid {
    fn null() -> Value {
        <String as Nullable>::null()
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
