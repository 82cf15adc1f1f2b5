//! What is wrong with a spec, and where.

use std::fmt;

/// One thing that is wrong with a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecProblem {
    /// Path of the field, as in `spec.turns.schedule`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
    /// The field is a column that could not even be read.
    pub unreadable: bool,
}

impl SpecProblem {
    /// A problem of the field at this path.
    pub fn new(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { field: field.into(), message: message.to_string(), unreadable: false }
    }

    /// A problem of a column whose content is not of its kind at all.
    pub fn unreadable(column: impl Into<String>, why: impl fmt::Display) -> Self {
        let why = shorten_to(&why.to_string(), 200);
        let message = format!("cannot be read; write this column anew ({why})");
        Self { field: column.into(), message, unreadable: true }
    }

    /// The column is one that only people read: no engine depends on it.
    pub fn is_cosmetic(&self) -> bool {
        const COSMETIC: [&str; 8] = [
            "games.display_name",
            "games.labels",
            "games.annotations",
            "games.requested_by",
            "games.request_id",
            "games.source",
            "games.created_at",
            "games.updated_at",
        ];
        COSMETIC.contains(&self.field.as_str())
    }
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.field, self.message)
        }
    }
}

/// Keeps hostile text from filling a message, or from steering a terminal.
pub(crate) fn shorten(text: &str) -> String {
    shorten_to(text, 80)
}

/// The same, with another limit of characters.
pub(crate) fn shorten_to(text: &str, shown: usize) -> String {
    let mut kept: String = String::new();
    let mut characters = text.chars();
    for c in characters.by_ref().take(shown) {
        if c.is_control() { kept.extend(c.escape_debug()) } else { kept.push(c) }
    }
    if characters.next().is_some() {
        kept.push('…');
    }
    kept
}
