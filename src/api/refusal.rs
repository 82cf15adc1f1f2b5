//! What the database refuses, as a problem of a field: its own words name columns.

use crate::game::manifest::SpecProblem;
use crate::reconcile::conditions::shortened;
use crate::store::{RefusedValue, Why};

/// Columns whose names stand in the database's refusals, with the fields they come from.
const FIELDS: [(&str, &str); 33] = [
    ("allow_incompatible_version", "spec.allowIncompatibleVersion"),
    ("target_engine_version", "spec.engineVersion"),
    ("force_turn_generation", "spec.forceTurnGeneration"),
    ("restart_generation", "spec.restartGeneration"),
    ("restore_generation", "spec.restoreGeneration"),
    ("backup_generation", "spec.backupGeneration"),
    ("backup_before_turn", "spec.backupBeforeTurn"),
    ("resume_generation", "spec.resumeGeneration"),
    ("unblock_generation", "spec.unblockGeneration"),
    ("patch_generation", "spec.patchGeneration"),
    ("restore_backup_id", "spec.restoreBackupId"),
    ("frozen_because", "spec.frozenBecause"),
    ("turn_not_before", "spec.turns.notBefore"),
    ("deletion_policy", "spec.deletionPolicy"),
    ("desired_status", "spec.desiredStatus"),
    ("turn_schedule", "spec.turns.schedule"),
    ("missed_turns", "spec.turns.missed"),
    ("display_name", "spec.displayName"),
    ("relaxations", "spec.relaxations"),
    ("annotations", "metadata.annotations"),
    ("force_mode", "spec.turns.forceMode"),
    ("time_zone", "spec.turns.timeZone"),
    ("image_ref", "spec.image"),
    ("race_name", "spec.players"),
    ("user_id", "spec.players"),
    ("resources", "spec.resources"),
    ("contract", "spec.contract"),
    ("version", "metadata.name"),
    ("labels", "metadata.labels"),
    ("run_as", "spec.runAs"),
    ("port", "spec.port"),
    ("paused", "spec.paused"),
    ("stop_now", "spec.stopNow"),
];

/// The problem that a refusal of the store's own tells of: it may name the field itself.
pub(super) fn said(refusal: &str) -> SpecProblem {
    match refusal.split_once(": ").filter(|(field, _)| field.starts_with("spec.")) {
        Some((field, message)) => SpecProblem::new(field, message),
        None => SpecProblem::new("", refusal),
    }
}

/// Of a trigger's words, so much is shown, in bytes.
const SHOWN: usize = 500;

/// The problem that a refused value is, without the database's words. Those of a trigger are shown: it may be
/// somebody else's, and says what it refuses.
pub(super) fn problem(value: &RefusedValue) -> SpecProblem {
    let words = value.about.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let of = |word: &str| FIELDS.iter().find(|(column, _)| *column == word).map(|(_, field)| *field);
    // PostgreSQL names the constraint, which is the column's name and what kind it is of.
    let field = words.filter_map(|word| of(word).or_else(|| of(word.strip_suffix("_check")?))).next();
    let message = match &value.why {
        Why::Trigger(words) => {
            let message = format!("a trigger of the database refuses it: {}", shortened(words, SHOWN));
            return SpecProblem::new(field.unwrap_or_default(), message);
        }
        Why::Decreases => {
            "cannot decrease; one more than it is asks for one, and leaving it out leaves it as it is"
        }
        Why::Immutable => "never changes; make a new object instead",
        Why::TakenBack => "cannot be taken back",
        Why::Missing => "has to be there",
        Why::NoText => {
            "has a NUL (U+0000) or bytes that are no text, which the database cannot hold; leave them out"
        }
        Why::TooLarge => "is too long or too large for the database",
        Why::OfOthers => "is another one's, or names what is not there",
        Why::Rule => "is not a value that the database takes; it may be too long",
    };
    SpecProblem::new(field.unwrap_or_default(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(why: Why, about: &str) -> String {
        problem(&RefusedValue { why, about: about.to_owned() }).to_string()
    }

    #[test]
    fn refusals_name_fields_and_not_columns() {
        assert!(
            told(Why::Decreases, "games: restart_generation cannot decrease")
                .starts_with("spec.restartGeneration: cannot")
        );
        for (about, field) in [
            ("CHECK constraint failed: length(display_name) <= 256", "spec.displayName: is not"),
            ("CHECK constraint failed: length(version) BETWEEN 5", "metadata.name: "),
            ("labels: at most 256, and no NUL", "metadata.labels: "),
            // As PostgreSQL has it: column, constraint without its table, message.
            (
                " display_name_check new row for relation \"games\" violates check constraint \"games_display_name_check\"",
                "spec.displayName: is not",
            ),
            (
                " port_check new row for relation \"engine_versions\" violates check constraint \"engine_versions_port_check\"",
                "spec.port: is not",
            ),
            ("desired_status  null value in column \"desired_status\"", "spec.desiredStatus: "),
            ("annotations  games: annotations: a key is 1 to 63", "metadata.annotations: "),
        ] {
            assert!(told(Why::Rule, about).starts_with(field), "{about}");
        }
        assert_eq!(
            said("spec.image: the image never changes").to_string(),
            "spec.image: the image never changes"
        );
        assert_eq!(
            told(Why::Trigger("it is still billed".into()), "it is still billed"),
            "a trigger of the database refuses it: it is still billed"
        );
        // Of what names no column that anybody knows, no field is told.
        assert!(told(Why::NoText, "unsupported Unicode escape sequence").starts_with("has a NUL"));
    }
}
