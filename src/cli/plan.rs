//! `gamekeeper plan`: what the controller would do if the manifests were applied.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use super::apply::{self, Outcome, Sent};
use super::client::{Client, Kind, Object, Whereabouts, Writing};
use super::explain;
use super::failure::{Exit, Failure, Tally};
use super::files::{Document, FileOptions};
use super::output::{ChangeFormat, say, say_json, say_yaml};
use super::target::NamespaceOption;

/// So often a plan is made again when somebody else changed the object meanwhile.
const ATTEMPTS: usize = 5;

/// Shows what the controller would do if manifests were applied
///
/// Each manifest is merged into what is there as `gamekeeper apply` does it; the controller then says
/// which steps it would take, why, and what that means for whoever plays. Engine versions in the same
/// files count as registered. Nothing is written; `gamekeeper diff` shows the fields that would change.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper plan -f andromeda.yaml
  gamekeeper plan -f versions.yaml -f games/
  gamekeeper get game/andromeda -o yaml | sed 's/64Mi/128Mi/' | gamekeeper plan -f -")]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    files: FileOptions,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// As JSON or YAML, or only the names of what would change
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// What would become of one object.
struct Prospect {
    /// Which object.
    name: String,
    outcome: Outcome,
    /// What the controller would do about it, where there is something to ask.
    explanation: Option<Object>,
}

/// Runs the command.
pub(crate) async fn run(args: PlanArgs, place: &Whereabouts) -> Result<(), Failure> {
    let (client, documents) = apply::read(&args.files, &args.namespace, place)?;
    let mut tally = Tally::default();
    let mut versions: Vec<Value> = Vec::new();
    let mut prospects = Vec::new();
    // Engine versions come first: what they would be is a part of what the games would be.
    for document in &documents {
        let planned = one(&client, document, &mut versions).await;
        let absent = matches!(&planned, Err(failure) if failure.exit() == Exit::Unreachable);
        let told = planned.and_then(|prospect| {
            if args.output.is_none() {
                say(&text(&prospect))?;
            }
            prospects.push(prospect);
            Ok(())
        });
        tally.note(told)?;
        if absent {
            break;
        }
    }
    let shown = || json!({ "kind": "Plan", "items": prospects.iter().map(item).collect::<Vec<_>>() });
    match args.output {
        None => {}
        Some(ChangeFormat::Json) => say_json(&shown())?,
        Some(ChangeFormat::Yaml) => say_yaml(&shown())?,
        Some(ChangeFormat::Name) => prospects
            .iter()
            .filter(|prospect| prospect.outcome != Outcome::Unchanged)
            .try_for_each(|prospect| say(&prospect.name))?,
    }
    tally.end()
}

async fn one(client: &Client, document: &Document, versions: &mut Vec<Value>) -> Result<Prospect, Failure> {
    let how = Writing { from_manifest: true, dry_run: true };
    let Document { target, namespace, .. } = document;
    let mut attempt = 1;
    loop {
        let Sent { outcome, before: _, after } = apply::send(client, document, how).await?;
        let prospect = |explanation| Prospect { name: target.to_string(), outcome, explanation };
        if target.kind == Kind::EngineVersion {
            if outcome != Outcome::Unchanged {
                versions.push(after.0);
            }
            return Ok(prospect(None));
        }
        let version = after.text("/spec/engineVersion");
        let moved = versions.iter().any(|entry| entry["metadata"]["name"].as_str() == version);
        if outcome == Outcome::Unchanged && !moved {
            return Ok(prospect(None));
        }
        let mut items = versions.clone();
        items.push(after.0);
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        match client.plan(target.address(namespace), &list).await {
            Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
            answer => {
                let answer = answer.map_err(|error| Failure::from(error).of(target).of(&document.place));
                return answer.map(|explanation| prospect(Some(explanation)));
            }
        }
    }
}

fn item(Prospect { name, outcome, explanation }: &Prospect) -> Value {
    let change = match outcome {
        Outcome::Created => "created",
        Outcome::Configured => "configured",
        Outcome::Unchanged => "unchanged",
    };
    let mut item = json!({ "object": name, "change": change });
    if let Some(Object(explanation)) = explanation {
        item["explanation"] = explanation.clone();
    }
    item
}

fn text(Prospect { name, outcome, explanation }: &Prospect) -> String {
    let change = match outcome {
        Outcome::Created => "would be created",
        Outcome::Configured => "would be changed",
        Outcome::Unchanged => "unchanged",
    };
    let mut text = format!("{name} {change}\n");
    if let Some(explanation) = explanation {
        let _ = write!(text, "{}", explain::forecast(explanation));
    }
    text
}
