//! The games that go on only when somebody does something.

use super::Finding;
use crate::cli::client::{Client, Kind, Object};
use crate::cli::failure::Failure;

/// So many games are named; the rest is counted.
const NAMED: usize = 20;

/// Each game that waits for a person, or one word that none does.
pub(super) async fn games(client: &Client) -> Result<Vec<Finding>, Failure> {
    let games = client.list(Kind::Game, None, None).await?;
    Ok(findings(&games))
}

fn findings(games: &[Object]) -> Vec<Finding> {
    let mut waiting = games.iter().filter(|game| needs_person(game));
    let mut findings: Vec<Finding> = waiting.by_ref().take(NAMED).map(finding).collect();
    let more = waiting.count();
    if more > 0 {
        let told = format!("{more} more games wait for a person");
        findings.push(Finding::Warn(told, "`gamekeeper get games -A -o wide` shows all of them".into()));
    }
    if findings.is_empty() {
        findings.push(Finding::Ok(format!("none of {} waits for a person", games.len())));
    }
    findings
}

/// Whether nothing is tried any more until somebody changes something: the condition that the API makes for
/// those who read it.
fn needs_person(game: &Object) -> bool {
    let stalled = game.condition("Stalled");
    let is_held = game.held_deletion().is_some();
    is_held || stalled.is_some_and(|stalled| stalled.text("/status") == Some("True"))
}

fn finding(game: &Object) -> Finding {
    let namespace = game.namespace().unwrap_or("default");
    let said = |at: &str| game.text(at).unwrap_or_default();
    let (phase, reason, message) = (said("/status/phase"), said("/status/reason"), said("/status/message"));
    let name = game.name();
    let told = format!("{namespace}/{name} waits for a person: {phase} ({reason}): {message}");
    Finding::Warn(told, format!("`gamekeeper explain {name} -n {namespace}` has the way out"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn game(name: &str, stalled: bool) -> Object {
        let conditions = if stalled { json!([{ "type": "Stalled", "status": "True" }]) } else { json!([]) };
        Object(json!({
            "metadata": { "name": name, "namespace": "season" },
            "status": { "phase": "Blocked", "reason": "StateMissing", "message": "It is gone.", "conditions": conditions },
        }))
    }

    #[test]
    fn those_that_wait_for_a_person_are_named_and_the_others_are_not() {
        let found = findings(&[game("lost", true), game("well", false)]);
        assert!(
            matches!(&found[..], [Finding::Warn(what, way_out)]
                if what == "season/lost waits for a person: Blocked (StateMissing): It is gone."
                    && way_out.contains("gamekeeper explain lost -n season")),
            "{found:?}"
        );
        assert!(
            matches!(&findings(&[game("well", false)])[..], [Finding::Ok(what)] if what.contains("none of 1"))
        );
    }

    #[test]
    fn a_thousand_are_counted() {
        let many: Vec<Object> = (0..1_000).map(|number| game(&format!("lost-{number}"), true)).collect();
        let found = findings(&many);
        assert_eq!(found.len(), NAMED + 1);
        assert!(
            matches!(found.last(), Some(Finding::Warn(what, _)) if what.starts_with("980 more")),
            "{found:?}"
        );
    }
}
