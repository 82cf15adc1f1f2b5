//! What the database refuses, as a problem of a field: its own words name columns.

use crate::game::manifest::SpecProblem;

/// Columns whose names stand in the database's refusals, with the fields they come from. Longer
/// names come before those they contain.
const FIELDS: [(&str, &str); 30] = [
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
    ("race name", "spec.players"),
    ("resources", "spec.resources"),
    ("contract", "spec.contract"),
    ("version", "metadata.name"),
    ("labels", "metadata.labels"),
    ("run_as", "spec.runAs"),
];

/// The problem that the refusal tells of, without the database's words.
pub(super) fn problem(refusal: &str) -> SpecProblem {
    // The store's own refusals name the field themselves.
    if let Some((field, message)) = refusal.split_once(": ").filter(|(field, _)| field.starts_with("spec.")) {
        return SpecProblem::new(field, message);
    }
    let field = FIELDS.iter().find(|(column, _)| refusal.contains(column)).map_or("", |(_, field)| field);
    let message = if refusal.contains("cannot decrease") {
        "cannot decrease; one more than it is asks for one, and leaving it out leaves it as it is"
    } else if refusal.contains("immutable") {
        "never changes; make a new object instead"
    } else {
        "is not a value that the database takes; it may be too long"
    };
    SpecProblem::new(field, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_fields_and_not_columns() {
        let told = |text: &str| problem(text).to_string();
        assert!(
            told("(code: 1811) games: restart_generation cannot decrease")
                .starts_with("spec.restartGeneration: cannot")
        );
        assert!(
            told("CHECK constraint failed: length(display_name) <= 256")
                .starts_with("spec.displayName: is not")
        );
        assert!(told("CHECK constraint failed: length(version) BETWEEN 5").starts_with("metadata.name: "));
        assert_eq!(told("spec.image: the image never changes"), "spec.image: the image never changes");
    }
}
