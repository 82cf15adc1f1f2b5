//! `gamekeeper versions`: the engine versions, and what operators decide about them.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::change::generation;
use super::client::{Address, Client, Kind, Object, Whereabouts, Writing};
use super::failure::{Exit, Failure, Tally};
use super::output::{ChangeFormat, Format, as_list, clean, remark, say, say_change, say_json, say_yaml};
use super::table::Columns;
use crate::game::EngineVersion;

/// So often a change is tried again when somebody else was faster.
const ATTEMPTS: usize = 10;

/// Shows the engine versions; enables, disables, and lets halted changes go on
///
/// A version is registered by `gamekeeper apply`: its image never changes. A change to a version that
/// failed on too many games (`max-failures`) is halted: no further game is moved to it until
/// `gamekeeper versions resume VERSION`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper versions list
  gamekeeper versions disable 1.4.3
  gamekeeper versions resume 1.4.3")]
pub(crate) struct VersionsArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Shows every version: how many games ask for it and run it, and whether changes to it are halted
    List {
        /// In which form [default: a table]
        #[arg(short, long, value_name = "FORMAT")]
        output: Option<Format>,
    },
    /// Lets halted changes to versions go on: their failures count from nothing again
    Resume(ChangeArgs),
    /// Lets games start with versions, and be moved to them
    Enable(ChangeArgs),
    /// Lets no further game start with versions, or be moved to them; what runs goes on
    Disable(ChangeArgs),
}

#[derive(Debug, Args)]
struct ChangeArgs {
    /// The versions: 1.4.2
    #[arg(value_name = "VERSION", required = true)]
    versions: Vec<EngineVersion>,
    /// Have the server check everything, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the versions, or their names alone
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// Runs the command.
pub(crate) async fn run(args: VersionsArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    match args.verb {
        Verb::List { output } => list(&client, output).await,
        Verb::Resume(args) => change(&client, args, resumed).await,
        Verb::Enable(args) => change(&client, args, |version| Ok(enabled(version, true))).await,
        Verb::Disable(args) => change(&client, args, |version| Ok(enabled(version, false))).await,
    }
}

async fn list(client: &Client, output: Option<Format>) -> Result<(), Failure> {
    let mut found = client.list(Kind::EngineVersion, None, None).await?;
    found.sort_by_key(|version| version.name().parse::<EngineVersion>().ok());
    match output {
        Some(Format::Json) => say_json(&as_list(found, false)),
        Some(Format::Yaml) => say_yaml(&as_list(found, false)),
        Some(Format::Name) => found.iter().try_for_each(|version| say(version.name())),
        Some(Format::Wide) | None if found.is_empty() => {
            remark("no engine version is registered; `gamekeeper apply` registers one");
            Ok(())
        }
        Some(Format::Wide) | None => {
            // Why one is halted is what they are listed for.
            let columns = Columns { kind: Kind::EngineVersion, wide: true, with_namespace: false };
            say(&columns.table(&found, Timestamp::now()))
        }
    }
}

/// What of the spec to change, and what is said of it; nothing if it is so.
type Wish = Option<(Value, String)>;

fn enabled(version: &Object, enabled: bool) -> Wish {
    let same = version.flag("/spec/enabled").unwrap_or_default() == enabled;
    let done = if enabled { "enabled" } else { "disabled" };
    (!same).then(|| (json!({ "enabled": enabled }), done.to_owned()))
}

fn resumed(version: &Object) -> Result<Wish, Failure> {
    let failures = version.number("/status/patchFailures").unwrap_or_default();
    if failures == 0 {
        return Ok(None);
    }
    let asked = version.number("/spec/resumeGeneration").unwrap_or_default();
    let more = asked.checked_add(1).ok_or_else(|| Failure::new(Exit::Failed, "its counter is at its end"))?;
    let why = clean(version.text("/status/message").unwrap_or_default());
    remark(&format!("changes to it failed on {failures} games, the last time: {why}"));
    Ok(Some((json!({ "resumeGeneration": more }), "changes to it go on".to_owned())))
}

async fn change(
    client: &Client,
    args: ChangeArgs,
    wish: impl Fn(&Object) -> Result<Wish, Failure>,
) -> Result<(), Failure> {
    let mut tally = Tally::default();
    for version in &args.versions {
        let what = format!("engineversion/{version}");
        let told = one(client, version, args.dry_run, &wish).await.map_err(|failure| failure.of(&what));
        let told = told.and_then(|(done, object)| {
            let tried = if args.dry_run { " (dry run)" } else { "" };
            let done = done.unwrap_or_else(|| "unchanged".to_owned());
            say_change(args.output, &what, &format!("{done}{}{tried}", generation(&object)), &object)
        });
        tally.note(told)?;
    }
    tally.end()
}

async fn one(
    client: &Client,
    version: &EngineVersion,
    dry_run: bool,
    wish: impl Fn(&Object) -> Result<Wish, Failure>,
) -> Result<(Option<String>, Object), Failure> {
    let name = version.to_string();
    let address = Address { kind: Kind::EngineVersion, namespace: "", name: &name };
    let mut attempt = 1;
    loop {
        let object = client.get(address).await?;
        let Some((spec, done)) = wish(&object)? else { return Ok((None, object)) };
        let patch = json!({ "metadata": { "resourceVersion": object.resource_version() }, "spec": spec });
        match client.patch(address, &patch, Writing { from_manifest: false, dry_run }).await {
            Ok(object) => return Ok((Some(done), object)),
            Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error.into()),
        }
    }
}
