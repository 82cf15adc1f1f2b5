//! `gamekeeper diff`: what an apply would change, line by line.

use clap::Args;
use serde_json::Value;
use similar::TextDiff;

use super::apply::{self, LAST_APPLIED, Sent};
use super::client::{Object, Whereabouts, Writing};
use super::failure::{Exit, Failure, Tally};
use super::files::FileOptions;
use super::output::{clean, say};
use super::target::NamespaceOption;
use crate::game::manifest::to_yaml;

/// So many lines around each difference.
const AROUND: usize = 3;

/// What the server writes into metadata: different at every look, and nobody's wish.
const BY_THE_SERVER: [&str; 6] =
    ["uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "finalizers"];

/// Shows what `gamekeeper apply` would change, as a unified diff
///
/// The server makes each change as a dry run, by the same merge as `apply`, so what is shown is what
/// would be stored: defaults and normalised values included. Nothing is written. As with kubectl
/// diff, the exit code is 0 if nothing differs, 1 if something does, and larger if it failed.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper diff -f manifests/demo
  gamekeeper diff -f andromeda.yaml || gamekeeper apply -f andromeda.yaml")]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    files: FileOptions,
    #[command(flatten)]
    namespace: NamespaceOption,
}

/// Runs the command.
pub(crate) async fn run(args: DiffArgs, place: &Whereabouts) -> Result<(), Failure> {
    let differs = compare(args, place).await.map_err(|failure| match failure.exit() {
        // 1 says that something differs.
        Exit::Failed => failure.exiting(Exit::NotCompared),
        _ => failure,
    })?;
    if differs { Err(Failure::told(Exit::Failed)) } else { Ok(()) }
}

async fn compare(args: DiffArgs, place: &Whereabouts) -> Result<bool, Failure> {
    let (client, documents) = apply::read(&args.files, &args.namespace, place)?;
    let how = Writing { from_manifest: true, dry_run: true };
    let (mut tally, mut differs) = (Tally::default(), false);
    for document in &documents {
        let sent = apply::send(&client, document, how).await;
        let absent = matches!(&sent, Err(failure) if failure.exit() == Exit::Unreachable);
        let told = sent.and_then(|Sent { outcome: _, before, after }| {
            let text = difference(&document.target.to_string(), before.as_ref(), &after);
            differs |= !text.is_empty();
            if text.is_empty() { Ok(()) } else { say(&text) }
        });
        tally.note(told)?;
        if absent {
            break;
        }
    }
    tally.end()?;
    Ok(differs)
}

/// The difference of one object, or nothing.
fn difference(name: &str, before: Option<&Object>, after: &Object) -> String {
    let before = before.map(wishes).unwrap_or_default();
    let after = wishes(after);
    let diff = TextDiff::from_lines(&before, &after);
    diff.unified_diff()
        .context_radius(AROUND)
        .header(&format!("live/{name}"), &format!("applied/{name}"))
        .to_string()
}

/// What people declare of an object, as YAML.
fn wishes(object: &Object) -> String {
    let mut object = object.0.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.shift_remove("status");
    }
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.retain(|field, _| !BY_THE_SERVER.contains(&field.as_str()));
        let mut empty = false;
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
            // What `apply` remembers repeats the spec.
            annotations.shift_remove(LAST_APPLIED);
            empty = annotations.is_empty();
        }
        if empty {
            metadata.shift_remove("annotations");
        }
    }
    to_yaml(&object).unwrap_or_default().lines().map(|line| format!("{}\n", clean(line))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_people_declare_makes_a_difference() {
        let object = |version: &str, memory: &str| {
            Object(json!({
                "kind": "Game",
                "metadata": {
                    "name": "andromeda", "resourceVersion": version, "generation": 3,
                    "annotations": { LAST_APPLIED: version },
                },
                "spec": { "resources": { "memory": memory } },
                "status": { "phase": version },
            }))
        };
        assert_eq!(difference("game/andromeda", Some(&object("1", "1Gi")), &object("2", "1Gi")), "");
        assert_eq!(
            difference("game/andromeda", Some(&object("1", "1Gi")), &object("1", "2Gi")),
            "--- live/game/andromeda\n\
             +++ applied/game/andromeda\n\
             @@ -3,4 +3,4 @@\n\
             \x20  name: andromeda\n\
             \x20spec:\n\
             \x20  resources:\n\
             -    memory: 1Gi\n\
             +    memory: 2Gi\n"
        );
        let new = difference("game/andromeda", None, &object("1", "1Gi"));
        assert!(new.contains("@@ -0,0 +1,6 @@\n+kind: Game\n"), "{new}");
    }
}
