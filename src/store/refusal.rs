//! What a database says when it does not take what is written, told apart by its codes and never by
//! its words, the same on both dialects.
//!
//! PostgreSQL has a SQLSTATE and names constraint and column. SQLite has a code for the kind; its words
//! are the constraint's own text, and so name the column too.

use std::fmt;

use sea_orm::DbErr;
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::postgres::PgDatabaseError;

use super::fault::{self, Fault, is_raised, sqlx_error};

/// A refusal of what was to be written; nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is a row of that key.
    Taken,
    /// A value that the database does not take.
    Value(RefusedValue),
}

/// A value that the database does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedValue {
    /// What is wrong with it.
    pub why: Why,
    /// The database's words about which column it is of, the most exact ones first.
    pub about: String,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It never changes.
    Immutable,
    /// It only grows.
    Decreases,
    /// It was asked for and cannot be taken back.
    TakenBack,
    /// It has to be there.
    Missing,
    /// It has a NUL, or bytes that are no text.
    NoText,
    /// It is too long or too large.
    TooLarge,
    /// Another row has it, or there is no row that it names.
    OfOthers,
    /// It breaks a rule of its column.
    Rule,
    /// A trigger refuses it, which may be somebody else's: in its own words.
    Trigger(String),
}

impl fmt::Display for RefusedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.why, self.about)
    }
}

/// What the database refuses; none if it failed for another reason.
pub(super) fn refusal(error: &DbErr) -> Option<Refusal> {
    if fault::of(error) != Fault::Refused {
        return None;
    }
    let error = sqlx_error(error)?.as_database_error()?;
    Some(match error.try_downcast_ref::<PgDatabaseError>() {
        Some(postgres) => of_postgres(postgres),
        None => of_sqlite(error),
    })
}

fn of_postgres(error: &PgDatabaseError) -> Refusal {
    let constraint = error.constraint().unwrap_or_default();
    // Without the table's name, which is part of other names.
    let table = format!("{}_", error.table().unwrap_or_default());
    let own = constraint.strip_prefix(&table).unwrap_or(constraint);
    let words = [error.column().unwrap_or_default(), own, error.message()].join(" ");
    let by_trigger = is_raised(error);
    of_state(error.code(), constraint, Said { message: error.message(), by_trigger, about: words })
}

/// The database's words for a refusal.
struct Said<'a> {
    message: &'a str,
    /// It is a trigger's message.
    by_trigger: bool,
    about: String,
}

/// By its SQLSTATE and the constraint's name.
fn of_state(state: &str, constraint: &str, Said { message, by_trigger, about }: Said<'_>) -> Refusal {
    let why = match state {
        "23505" if constraint == ONE_RACE => Why::OfOthers,
        "23505" => return Refusal::Taken,
        "23502" => Why::Missing,
        "23503" => Why::OfOthers,
        "22021" | "22P05" => Why::NoText,
        "22001" | "22003" => Why::TooLarge,
        // A row or an index entry that is larger than any may be.
        _ if state.starts_with("54") => Why::TooLarge,
        _ if state.starts_with("22") || state.starts_with("23") => rule(message, by_trigger),
        // Of all other codes only a function's error is a refusal.
        _ => rule(message, true),
    };
    Refusal::Value(RefusedValue { why, about })
}

/// The index that keeps a race name for one member of a game.
const ONE_RACE: &str = "memberships_one_active_race";

fn of_sqlite(error: &dyn DatabaseError) -> Refusal {
    let code = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
    of_code(code, error.message())
}

/// By SQLite's extended code (<https://www.sqlite.org/rescode.html>).
fn of_code(code: u32, message: &str) -> Refusal {
    const TOO_BIG: u32 = 18;
    const MISMATCH: u32 = 20;
    const FOREIGN_KEY: u32 = 787;
    const NOT_NULL: u32 = 1299;
    const PRIMARY_KEY: u32 = 1555;
    const TRIGGER: u32 = 1811;
    const UNIQUE: u32 = 2067;
    let why = match code {
        // SQLite names the columns of an index, and a trigger says what it is about.
        UNIQUE if message.contains("memberships.race_name") => Why::OfOthers,
        UNIQUE | PRIMARY_KEY => return Refusal::Taken,
        TRIGGER if message.contains("another game has this namespace and name") => return Refusal::Taken,
        NOT_NULL => Why::Missing,
        FOREIGN_KEY => Why::OfOthers,
        TOO_BIG => Why::TooLarge,
        MISMATCH => Why::Rule,
        _ => rule(message, code == TRIGGER),
    };
    Refusal::Value(RefusedValue { why, about: message.to_owned() })
}

/// A CHECK, or what a trigger says: a rule of ours, in the same words on both dialects, or another one's.
fn rule(message: &str, by_trigger: bool) -> Why {
    let told = [
        ("immutable", Why::Immutable),
        ("cannot decrease", Why::Decreases),
        ("cannot be taken back", Why::TakenBack),
        ("race name", Why::OfOthers),
        ("no such game", Why::OfOthers),
        ("no NUL", Why::NoText),
    ];
    let known = told.into_iter().find(|(words, _)| message.contains(words));
    let other = || if by_trigger { Why::Trigger(message.to_owned()) } else { Why::Rule };
    known.map_or_else(other, |(_, why)| why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(refusal: Refusal) -> Option<Why> {
        match refusal {
            Refusal::Value(value) => Some(value.why),
            Refusal::Taken => None,
        }
    }

    fn said(message: &str, by_trigger: bool) -> Said<'_> {
        Said { message, by_trigger, about: String::new() }
    }

    #[test]
    fn a_state_of_postgresql_says_what_is_refused() {
        let of = |state: &str| of_state(state, "games_display_name_check", said("x", false));
        for (state, told) in [
            ("23514", Why::Rule),
            ("23502", Why::Missing),
            ("23503", Why::OfOthers),
            ("23P01", Why::Rule),
            ("22P05", Why::NoText),
            ("22021", Why::NoText),
            ("22001", Why::TooLarge),
            ("22003", Why::TooLarge),
            ("22P02", Why::Rule),
            ("22007", Why::Rule),
            ("54000", Why::TooLarge),
        ] {
            assert_eq!(why(of(state)), Some(told), "{state}");
        }
        assert_eq!(of("23505"), Refusal::Taken);
        let race = of_state("23505", ONE_RACE, said("x", false));
        assert_eq!(why(race), Some(Why::OfOthers));
        let of_a_trigger = |state: &str, message: &str| why(of_state(state, "", said(message, true)));
        for state in ["23514", "P0001", "42501", "GK001"] {
            let told = of_a_trigger(state, "not on Fridays");
            assert_eq!(told, Some(Why::Trigger("not on Fridays".into())), "{state}");
        }
        assert_eq!(of_a_trigger("23514", "games: name is immutable"), Some(Why::Immutable));
    }

    #[test]
    fn a_code_of_sqlite_says_the_same() {
        for (code, message, told) in [
            (275, "CHECK constraint failed: length(display_name) <= 256", Why::Rule),
            (1299, "NOT NULL constraint failed: games.desired_status", Why::Missing),
            (787, "FOREIGN KEY constraint failed", Why::OfOthers),
            (1811, "games: restart_generation cannot decrease", Why::Decreases),
            (1811, "games: name is immutable", Why::Immutable),
            (1811, "games: a requested deletion cannot be taken back", Why::TakenBack),
            (1811, "annotations: at most 256 KiB together, and no NUL", Why::NoText),
            (1811, "not on Fridays", Why::Trigger("not on Fridays".into())),
            (2067, "UNIQUE constraint failed: memberships.game_id, memberships.race_name", Why::OfOthers),
            (3091, "cannot store TEXT value in INTEGER column games.paused", Why::Rule),
            (18, "string or blob too big", Why::TooLarge),
        ] {
            assert_eq!(why(of_code(code, message)), Some(told), "{code} {message}");
        }
        let taken = "games: another game has this namespace and name";
        assert_eq!(of_code(1811, taken), Refusal::Taken);
        assert_eq!(of_code(2067, "UNIQUE constraint failed: games.namespace, games.name"), Refusal::Taken);
    }
}
