//! What a changed Deployment asks of its game; everything else that is changed in it is refused, with
//! what to change instead.

use serde_json::{Value, json};

use super::wire::RESTARTED_AT;
use crate::game::DesiredStatus;
use crate::game::manifest::SpecProblem;

/// What a change of a Deployment asks of its game.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wanted {
    desired: Option<DesiredStatus>,
    /// The new mark of a restart; null takes the old one away and asks for nothing.
    restart: Option<Value>,
}

impl Wanted {
    /// From the Deployment as it is to that one.
    pub(super) fn of(shown: &Value, next: &Value) -> Result<Self, Vec<SpecProblem>> {
        let mut differences = Vec::new();
        compare(shown, next, &mut Vec::new(), &mut differences);
        let (mut wanted, mut problems) = (Self::default(), Vec::new());
        for path in differences {
            let words: Vec<&str> = path.iter().map(String::as_str).collect();
            match words.as_slice() {
                [
                    "metadata",
                    "resourceVersion" | "uid" | "managedFields" | "generation" | "creationTimestamp",
                    ..,
                ]
                | ["status", ..] => {}
                ["spec", "replicas"] => match next["spec"]["replicas"].as_i64() {
                    Some(0) => wanted.desired = Some(DesiredStatus::Stopped),
                    Some(1) => wanted.desired = Some(DesiredStatus::Running),
                    _ => problems
                        .push(SpecProblem::new("spec.replicas", "a game has one engine (1) or none (0)")),
                },
                ["spec", "template", "metadata", "annotations", annotation]
                    if *annotation == RESTARTED_AT =>
                {
                    let mark = &next["spec"]["template"]["metadata"]["annotations"][RESTARTED_AT];
                    if mark.is_null() || mark.is_string() {
                        wanted.restart = Some(mark.clone());
                    } else {
                        problems.push(SpecProblem::new(words.join("."), "is not a text"));
                    }
                }
                words => problems.push(refused(words)),
            }
        }
        if problems.is_empty() { Ok(wanted) } else { Err(problems) }
    }

    /// The same as a merge patch of the game.
    pub(super) fn patch(&self, game: &Value) -> Value {
        let mut patch = json!({ "metadata": {}, "spec": {} });
        if let Some(desired) = self.desired {
            patch["spec"]["desiredStatus"] = json!(desired);
        }
        if let Some(mark) = &self.restart {
            patch["metadata"]["annotations"] = json!({ RESTARTED_AT: mark });
            if mark.is_string() {
                let before = game["spec"]["restartGeneration"].as_i64().unwrap_or_default();
                patch["spec"]["restartGeneration"] = before.saturating_add(1).into();
            }
        }
        patch
    }
}

fn refused(path: &[&str]) -> SpecProblem {
    let message = match path {
        ["spec", "paused"] => {
            "a rollout cannot be paused; what can is the game, so that no turn begins (`gamekeeper pause`, or \
             spec.paused of the game)"
        }
        ["spec", "template", "spec", "containers", .., "image"] => {
            "the image follows from the engine version; change spec.engineVersion of the game"
        }
        ["spec", "template", "spec", "containers", .., "resources"]
        | ["spec", "template", "spec", "containers", _, "resources", ..] => {
            "limits are the game's; change spec.resources of the game"
        }
        ["metadata", "labels" | "annotations", ..] | ["spec", "template", "metadata", ..] => {
            "labels and annotations are the game's; change them there"
        }
        _ => {
            "a Deployment is a game, shown: only spec.replicas and the annotation \
             kubectl.kubernetes.io/restartedAt of its template can be changed in it; change the game"
        }
    };
    SpecProblem::new(path.join("."), message)
}

/// The paths at which two objects differ. Nothing and something empty are the same.
fn compare(before: &Value, after: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let nothing = json!({});
    let map = |value: &Value| value.is_object() || value.is_null();
    match (before, after) {
        (before, after) if before == after || (is_empty(before) && is_empty(after)) => {}
        (before, after) if map(before) && map(after) => {
            let of = |value: &Value| if value.is_null() { nothing.clone() } else { value.clone() };
            let (before, after) = (of(before), of(after));
            let mut names: Vec<&String> = [&before, &after]
                .into_iter()
                .filter_map(Value::as_object)
                .flat_map(|map| map.keys())
                .collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                path.push(name.clone());
                compare(&before[name], &after[name], path, found);
                path.pop();
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (number, (before, after)) in before.iter().zip(after).enumerate() {
                path.push(number.to_string());
                compare(before, after, path, found);
                path.pop();
            }
        }
        _ => found.push(path.clone()),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown() -> Value {
        json!({
            "metadata": { "name": "a", "uid": "u", "resourceVersion": "7", "labels": { "season": "7" } },
            "spec": {
                "replicas": 1,
                "template": {
                    "metadata": { "labels": { "season": "7" } },
                    "spec": { "containers": [{ "name": "engine", "image": "engine:1", "resources": {} }] },
                },
            },
            "status": { "replicas": 1 },
        })
    }

    fn asked(patch: Value) -> Result<Value, String> {
        let (shown, mut next) = (shown(), shown());
        json_patch::merge(&mut next, &patch);
        let game = json!({ "spec": { "restartGeneration": 4 } });
        let told = |problems: Vec<SpecProblem>| problems[0].to_string();
        Wanted::of(&shown, &next).map(|wanted| wanted.patch(&game)).map_err(told)
    }

    fn restart(at: Value) -> Value {
        json!({ "spec": { "template": { "metadata": { "annotations": { RESTARTED_AT: at } } } } })
    }

    #[test]
    fn replicas_and_restarts_are_asked_of_the_game() {
        let nothing = json!({ "metadata": {}, "spec": {} });
        assert_eq!(asked(json!({})).unwrap(), nothing);
        let what_servers_write =
            json!({ "metadata": { "resourceVersion": "9", "creationTimestamp": null }, "status": null });
        assert_eq!(asked(what_servers_write).unwrap(), nothing);
        assert_eq!(asked(json!({ "spec": { "replicas": 0 } })).unwrap()["spec"]["desiredStatus"], "Stopped");
        let restarted = asked(restart("now".into())).unwrap();
        assert_eq!(restarted["spec"]["restartGeneration"], 5);
        assert_eq!(restarted["metadata"]["annotations"][RESTARTED_AT], "now");
        assert_eq!(asked(restart(Value::Null)).unwrap(), nothing, "there is none to take away");
    }

    #[test]
    fn everything_else_is_refused_with_what_to_change_instead() {
        let container = |change: Value| {
            let mut engine = json!({ "name": "engine", "image": "engine:1", "resources": {} });
            json_patch::merge(&mut engine, &change);
            json!({ "spec": { "template": { "spec": { "containers": [engine] } } } })
        };
        for (patch, word) in [
            (json!({ "spec": { "replicas": 2 } }), "one engine (1) or none (0)"),
            (json!({ "spec": { "paused": true } }), "gamekeeper pause"),
            (container(json!({ "image": "engine:2" })), "spec.engineVersion"),
            (container(json!({ "resources": { "limits": { "cpu": "1" } } })), "spec.resources"),
            (container(json!({ "env": [{ "name": "A", "value": "b" }] })), "change the game"),
            (json!({ "metadata": { "labels": { "season": "8" } } }), "labels and annotations are the game's"),
            (json!({ "spec": { "minReadySeconds": 5 } }), "change the game"),
            (restart(7.into()), "not a text"),
        ] {
            let refused = asked(patch.clone()).unwrap_err();
            assert!(refused.contains(word), "{patch}: {refused}");
        }
    }
}
