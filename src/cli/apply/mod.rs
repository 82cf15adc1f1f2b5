//! `gamekeeper apply`: makes what is there what the manifests say.

mod canonical;
mod merge;
mod send;

use clap::Args;

use super::client::{Client, Object, Whereabouts, Writing};
use super::failure::{Exit, Failure, Tally};
use super::files::{self, Document, FileOptions};
use super::output::{ChangeFormat, remark, say_change};
use super::target::NamespaceOption;
use super::wait::{self, Awaited, WaitOptions, Wanted};
pub(super) use merge::LAST_APPLIED;
pub(super) use send::{Outcome, Sent, send};

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

/// Runs the command.
pub(crate) async fn run(args: ApplyArgs, place: &Whereabouts) -> Result<(), Failure> {
    let (client, documents) = read(&args.files, &args.namespace, place)?;
    let how = Writing { from_manifest: true, dry_run: args.dry_run };
    let mut tally = Tally::default();
    let mut awaited = Vec::new();
    for document in &documents {
        let sent = send(&client, document, how).await;
        let absent = matches!(&sent, Err(failure) if failure.exit() == Exit::Unreachable);
        let told = sent.and_then(|Sent { outcome, before: _, after }| {
            tell(&args, document, outcome, &after)?;
            awaited.push(Awaited::new(document.target.clone(), &document.namespace, &after));
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

fn tell(args: &ApplyArgs, document: &Document, outcome: Outcome, object: &Object) -> Result<(), Failure> {
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

/// The server, and what is to be applied there.
pub(super) fn read(
    files: &FileOptions,
    namespace: &NamespaceOption,
    place: &Whereabouts,
) -> Result<(Client, Vec<Document>), Failure> {
    if files.filename.is_empty() {
        return Err(Failure::usage(
            "nothing to apply; name a file or directory by -f, or `-f -` for standard input",
        ));
    }
    // A file of which everything is wrong should be told as that, server or no server.
    let known = Client::new(place);
    let meant = namespace.named().or(known.as_ref().ok().and_then(Client::namespace)).map(str::to_owned);
    let documents = files::read(files, meant.as_deref())?;
    Ok((known?, documents))
}
