//! A time that anybody may have written: text on SQLite, which may be nonsense; a `timestamptz` on
//! PostgreSQL.

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, QueryResult, TryGetError, TryGetable, Value};

/// A time in RFC 3339, or what somebody took for one. Equal if it is the same moment.
#[derive(Debug, Clone)]
pub struct WrittenTime(pub String);

impl WrittenTime {
    fn moment(&self) -> Option<DateTime<Utc>> {
        DateTime::parse_from_rfc3339(&self.0).ok().map(Into::into)
    }
}

impl PartialEq for WrittenTime {
    fn eq(&self, other: &Self) -> bool {
        match (self.moment(), other.moment()) {
            (Some(own), Some(others)) => own == others,
            _ => self.0 == other.0,
        }
    }
}

impl From<WrittenTime> for Value {
    fn from(time: WrittenTime) -> Self {
        match time.moment() {
            Some(moment) => moment.into(),
            // The database refuses it in its own words.
            None => time.0.into(),
        }
    }
}

impl TryGetable for WrittenTime {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        let shown = |moment: DateTime<Utc>| Self(moment.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        if row.try_as_sqlite_row().is_some() {
            let written = Self(String::try_get_by(row, index)?);
            return Ok(written.moment().map_or(written, shown));
        }
        DateTime::<Utc>::try_get_by(row, index).map(shown)
    }
}

impl ValueType for WrittenTime {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        <String as ValueType>::try_from(value).map(Self)
    }

    fn type_name() -> String {
        "WrittenTime".to_owned()
    }

    fn array_type() -> ArrayType {
        <String as ValueType>::array_type()
    }

    fn column_type() -> ColumnType {
        <DateTime<Utc> as ValueType>::column_type()
    }
}

impl Nullable for WrittenTime {
    fn null() -> Value {
        <DateTime<Utc> as Nullable>::null()
    }
}

impl sea_orm::IntoActiveValue<Self> for WrittenTime {
    fn into_active_value(self) -> sea_orm::ActiveValue<Self> {
        sea_orm::ActiveValue::Set(self)
    }
}
