//! `gamekeeper delete`.

use clap::{ArgGroup, Args};

use super::client::{Client, ClientError, Kind, Object, Whereabouts, Writing};
use super::failure::{Exit, Failure, Tally};
use super::files::{self, FileOptions};
use super::output::{ChangeFormat, remark, say, say_change};
use super::target::{NamespaceOption, Target};
use super::wait::{self, Awaited, WaitOptions, Wanted};

/// Deletes games and engine versions
///
/// A game is stopped first; its state directory stays or goes as its deletionPolicy says (Retain
/// unless the spec says Delete). It is there until that is done, which `--wait` waits for.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["targets", "filename"]))]
#[command(after_long_help = "Examples:
  gamekeeper delete game/andromeda --wait
  gamekeeper delete ev/1.4.1
  gamekeeper delete -f manifests/demo --dry-run
  gamekeeper delete -f manifests/demo")]
pub(crate) struct DeleteArgs {
    /// The objects: KIND/NAME, or NAME of a game
    #[arg(value_name = "KIND/NAME")]
    targets: Vec<Target>,
    #[command(flatten)]
    files: FileOptions,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// An object that is not there is as good as one that was deleted
    #[arg(long)]
    ignore_not_found: bool,
    /// Have the server check everything, and delete nothing
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Print the objects as they go, or their names alone
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
    #[command(flatten)]
    wait: WaitOptions,
}

/// Runs the command.
pub(crate) async fn run(args: DeleteArgs, place: &Whereabouts) -> Result<(), Failure> {
    let known = Client::new(place);
    let meant = args.namespace.named().or(known.as_ref().ok().and_then(Client::namespace)).map(str::to_owned);
    let mut targets: Vec<(Target, Option<String>)> =
        args.targets.iter().map(|target| (target.clone(), None)).collect();
    if !args.files.filename.is_empty() {
        let documents = files::read(&args.files, meant.as_deref())?.into_iter();
        targets.extend(documents.map(|document| (document.target, Some(document.namespace))));
    }
    let client = known?;
    let namespace = args.namespace.meant(&client);

    let mut tally = Tally::default();
    // A version goes only when no game asks for it any more.
    for kind in [Kind::Game, Kind::EngineVersion] {
        let mut awaited = Vec::new();
        for (target, own) in targets.iter().filter(|(target, _)| target.kind == kind) {
            let namespace = own.as_deref().unwrap_or(&namespace);
            let told = one(&client, target, namespace, &args).await.map(|going| awaited.extend(going));
            let unreachable = matches!(&told, Err(failure) if failure.exit() == Exit::Unreachable);
            tally.note(told)?;
            if unreachable {
                return tally.end();
            }
        }
        if args.wait.wait && !tally.failed() {
            wait::until(&client, awaited, &Wanted::Deleted, &args.wait, args.output.is_none()).await?;
        }
    }
    tally.end()
}

/// Asks for one deletion; what is still going can be waited for.
async fn one(
    client: &Client,
    target: &Target,
    namespace: &str,
    args: &DeleteArgs,
) -> Result<Option<Awaited>, Failure> {
    let how = Writing { from_manifest: false, dry_run: args.dry_run };
    let object = match client.delete(target.address(namespace), how).await {
        Err(error) if error.is_not_found() && args.ignore_not_found => return Ok(None),
        answer => answer.map_err(|error| refused(target, error, args.wait.wait))?,
    };
    tell(args, target, &object)?;
    if let Some(why) = object.held_deletion() {
        remark(&format!("warning: {target}: {why}"));
    }
    Ok(is_object(&object).then(|| Awaited::new(target.clone(), namespace, &object)))
}

fn refused(target: &Target, error: ClientError, waiting: bool) -> Failure {
    let games_go_first = target.kind == Kind::EngineVersion && error.is_conflict() && !waiting;
    let failure = Failure::from(error);
    if games_go_first {
        failure.hint("with --wait, games that are deleted too are gone before it")
    } else {
        failure
    }
}

/// What comes back is the object as it goes, or a mere success.
fn is_object(object: &Object) -> bool {
    object.kind().is_some() && object.is_going()
}

fn tell(args: &DeleteArgs, target: &Target, object: &Object) -> Result<(), Failure> {
    let (what, format) = (target.to_string(), args.output);
    let tried = if args.dry_run { " (dry run)" } else { "" };
    if !is_object(object) {
        let name_alone = format == Some(ChangeFormat::Name);
        return if name_alone { say(&what) } else { say(&format!("{what} deleted{tried}")) };
    }
    let done = format!("deletion requested{}{tried}", super::change::generation(object));
    say_change(format, &what, &done, object)
}
