//! From where a list of what happened goes on: behind the last row that was told.

use jiff::Timestamp;
use sea_orm::{ColumnTrait, Condition, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::convert::to_db;

/// What the last row of a page was, in the words of its list's order. What an order does not name is
/// empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When it happened.
    pub at: Timestamp,
    /// Its game, or its own id.
    pub id: Uuid,
    /// A second id.
    pub other: Uuid,
    /// Its timeline.
    pub timeline: i64,
    /// Its number; of a slot, the microseconds since 1970.
    pub number: i64,
}

impl Mark {
    /// Of something that happened then to this.
    pub fn new(at: Timestamp, id: Uuid) -> Self {
        Self { at, id, other: Uuid::nil(), timeline: 0, number: 0 }
    }

    pub(super) fn slot(&self) -> chrono::DateTime<chrono::Utc> {
        to_db(Timestamp::from_microsecond(self.number).unwrap_or(Timestamp::MAX))
    }
}

/// Behind in descending order, or at it and further.
pub(super) fn below(column: impl ColumnTrait, value: impl Into<Value>, further: Condition) -> Condition {
    let value = value.into();
    let at = Condition::all().add(column.eq(value.clone())).add(further);
    Condition::any().add(column.lt(value)).add(at)
}

/// The same in ascending order.
pub(super) fn above(column: impl ColumnTrait, value: impl Into<Value>, further: Condition) -> Condition {
    let value = value.into();
    let at = Condition::all().add(column.eq(value.clone())).add(further);
    Condition::any().add(column.gt(value)).add(at)
}

/// Nowhere further.
pub(super) fn nothing() -> Condition {
    Condition::all().add(sea_orm::sea_query::Expr::value(false))
}
