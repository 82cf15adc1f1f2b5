//! `gamekeeper apply`: makes what is there what the manifests say.

mod canonical;
mod merge;

use clap::Args;
use serde_json::Value;

use super::client::{Client, Object, Whereabouts, Writing};
use super::failure::{Exit, Failure, Tally};
use super::files::{self, Document, FileOptions};
use super::output::{ChangeFormat, remark, say_change};
use super::target::NamespaceOption;
use super::wait::{self, Awaited, WaitOptions, Wanted};

/// So often a change is computed again when somebody else was faster.
const ATTEMPTS: usize = 5;

/// Makes what is there what the manifests say
///
/// All documents of all files are read and validated first; if anything is wrong, nothing is sent.
/// Engine versions are sent before games. What was written last time, what is written now and what
/// is there are merged as `kubectl apply` does it: fields that a manifest never had belong to
/// others and stay as they are, fields that are no longer in it go back to their defaults. Request
/// counters (restartGeneration …) and absent players are never touched. Applying the same files
/// again changes nothing.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper apply -f manifests/demo
  gamekeeper apply -f versions.yaml -f games/ --wait --timeout 2m
  gamekeeper get game/andromeda -o yaml | sed 's/64Mi/128Mi/' | gamekeeper apply -f -
  gamekeeper apply -f andromeda.yaml --dry-run")]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    files: FileOptions,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// Have the server check everything, and change nothing
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Print the objects, or their names alone
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
    #[command(flatten)]
    wait: WaitOptions,
}

/// What became of a manifest.
enum Outcome {
    Created,
    Configured,
    Unchanged,
}

/// Runs the command.
pub(crate) async fn run(args: ApplyArgs, place: &Whereabouts) -> Result<(), Failure> {
    if args.files.filename.is_empty() {
        return Err(Failure::usage(
            "nothing to apply; name a file or directory by -f, or `-f -` for standard input",
        ));
    }
    // A file of which everything is wrong should be told as that, server or no server.
    let named = args.namespace.named().map(str::to_owned);
    let known = Client::new(place);
    let meant =
        named.or_else(|| known.as_ref().ok().and_then(|client| client.namespace()).map(str::to_owned));
    let documents = files::read(&args.files, meant.as_deref())?;
    let client = known?;

    let how = Writing { from_manifest: true, dry_run: args.dry_run };
    let mut tally = Tally::default();
    let mut awaited = Vec::new();
    for document in &documents {
        let sent = send(&client, document, how).await;
        let absent = matches!(&sent, Err(failure) if failure.exit() == Exit::Unreachable);
        let told = sent.and_then(|(outcome, object)| {
            tell(&args, document, &outcome, &object)?;
            awaited.push(Awaited::new(document.target.clone(), &document.namespace, &object));
            Ok(())
        });
        tally.note(told)?;
        if absent {
            break;
        }
    }
    if args.wait.wait && !tally.failed() {
        awaited.retain(|object| object.target.kind == super::client::Kind::Game);
        wait::until(&client, awaited, &Wanted::ready(), &args.wait, args.output.is_none()).await?;
    }
    tally.end()
}

fn tell(args: &ApplyArgs, document: &Document, outcome: &Outcome, object: &Object) -> Result<(), Failure> {
    if object.is_going() {
        remark(&format!("warning: {} is being deleted; what was changed goes with it", document.target));
    }
    let done = match outcome {
        Outcome::Created => "created",
        Outcome::Configured => "configured",
        Outcome::Unchanged => "unchanged",
    };
    let done = format!(
        "{done}{}{}",
        super::change::generation(object),
        if args.dry_run { " (dry run)" } else { "" }
    );
    say_change(args.output, &document.target.to_string(), &done, object)
}

async fn send(client: &Client, document: &Document, how: Writing) -> Result<(Outcome, Object), Failure> {
    let Document { target, namespace, written, place } = document;
    let address = target.address(namespace);
    let pinned = written["metadata"].get("resourceVersion").is_some_and(|version| !version.is_null());
    let mut attempt = 1;
    loop {
        let sent = match client.find(address).await? {
            None => {
                let body = merge::to_create(target.kind, namespace, written);
                client.create(address, &body, how).await.map(|object| (Outcome::Created, object))
            }
            Some(live) => {
                refuse_another(written, &live).map_err(|failure| failure.of(place))?;
                match merge::three_way(target.kind, written, &live) {
                    None => return Ok((Outcome::Unchanged, live)),
                    Some(patch) => {
                        client.patch(address, &patch, how).await.map(|object| (Outcome::Configured, object))
                    }
                }
            }
        };
        match sent {
            // It came, went or changed between the question and the change: look again.
            Err(error) if attempt < ATTEMPTS && !pinned && (error.is_conflict() || error.is_not_found()) => {
                attempt += 1
            }
            Err(error) => return Err(at(document, Failure::from(error))),
            Ok(done) => return Ok(done),
        }
    }
}

/// A manifest that names the identity of an object that is gone is meant for that one.
fn refuse_another(written: &Value, live: &Object) -> Result<(), Failure> {
    match written.pointer("/metadata/uid").and_then(Value::as_str) {
        Some(uid) if Some(uid) != live.text("/metadata/uid") => Err(Failure::new(
            Exit::Conflict,
            "metadata.uid: is not that of the object there, which is another one of the same name",
        )
        .hint("leave metadata.uid out to change it all the same")),
        _ => Ok(()),
    }
}

/// What the server refuses, at the document's place.
fn at(document: &Document, failure: Failure) -> Failure {
    if failure.exit() == Exit::Unreachable {
        return failure;
    }
    failure.of(&document.target).of(&document.place)
}
