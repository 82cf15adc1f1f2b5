//! `gamekeeper doctor`: what is in the way, and what to do about it.
//!
//! Every check stands by itself: one that fails does not keep the others from being made. Nothing
//! is changed but what a check makes for itself, and that is removed again.

mod docker;
mod places;
mod server;

use clap::Args;

use super::client::Whereabouts;
use super::failure::{Exit, Failure};
use super::output::{clean, say};
use crate::config::{Config, Settings};
use crate::store::{Examined, Store};

/// Checks that everything is as `gamekeeper run` needs it
///
/// Looks at the settings, the data directory, the database, the state root, Docker, the network and
/// the server, and says what to do about what is wrong. Works with and without a server; takes the
/// same settings as `gamekeeper run`. Exits with 1 if a check failed; warnings are no failures.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper doctor
  gamekeeper doctor --config /etc/gamekeeper.yaml
  gamekeeper doctor --docker-host unix:///run/user/1000/docker.sock")]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    settings: Settings,
}

/// What came of a check.
#[derive(Debug)]
pub(super) enum Finding {
    /// It is as it should be.
    Ok(String),
    /// It may be as it should be.
    Warn(String, String),
    /// It is in the way; and what to do.
    Fail(String, String),
}

/// The checks so far.
#[derive(Debug, Default)]
struct Examination {
    failed: bool,
}

impl Examination {
    fn note(&mut self, subject: &str, finding: Finding) -> Result<(), Failure> {
        let (word, what, advice) = match finding {
            Finding::Ok(what) => ("ok", what, None),
            Finding::Warn(what, advice) => ("warn", what, Some(advice)),
            Finding::Fail(what, advice) => ("FAIL", what, Some(advice)),
        };
        self.failed |= word == "FAIL";
        let advice = advice.filter(|advice| !advice.is_empty());
        let advice = advice.map(|advice| format!("\n      -> {}", clean(&advice))).unwrap_or_default();
        say(&format!("{word:<4}  {subject}: {}{advice}", clean(&what)))
    }
}

/// Runs the command.
pub(crate) async fn run(args: DoctorArgs, place: &Whereabouts) -> Result<(), Failure> {
    let mut examination = Examination::default();
    let mut settings = args.settings;
    settings.data_dir = settings.data_dir.or(place.data_dir.clone());
    let file = settings.config.clone();
    let config = match settings.resolve() {
        Ok(config) => config,
        Err(error) => {
            let advice = "put this right first; the other checks need the settings";
            examination.note("settings", Finding::Fail(chain(&error), advice.into()))?;
            return Err(Failure::told(Exit::Failed));
        }
    };
    let from = file.map_or_else(
        || "flags, variables and defaults".into(),
        |file| format!("{} and flags", file.display()),
    );
    examination.note("settings", Finding::Ok(from))?;
    examine(&mut examination, &config, place).await?;
    if examination.failed { Err(Failure::told(Exit::Failed)) } else { Ok(()) }
}

async fn examine(examination: &mut Examination, config: &Config, place: &Whereabouts) -> Result<(), Failure> {
    examination.note("data directory", places::data_directory(&config.data_dir))?;
    let (finding, known) = database(config).await;
    examination.note("database", finding)?;
    let (writable, root) = places::state_root(&config.state_root);
    examination.note("state root", writable)?;
    if let Some(root) = root {
        examination.note("state directories", places::state_directories(&root))?;
    }
    let (identity, runtime) = docker::daemon(config, known.as_ref()).await;
    examination.note("docker", identity)?;
    if let Some(runtime) = runtime {
        examination.note("network", docker::network(&runtime).await)?;
        if known.is_some() && config.state_root.exists() {
            examination.note("processes", docker::processes(&runtime).await)?;
        }
    }
    let place = Whereabouts { kubeconfig: place.kubeconfig.clone(), data_dir: Some(config.data_dir.clone()) };
    for (subject, finding) in server::server(config, &place).await {
        examination.note(subject, finding)?;
    }
    Ok(())
}

async fn database(config: &Config) -> (Finding, Option<Examined>) {
    match Store::examine(&config.database).await {
        Ok(None) => {
            (Finding::Ok(format!("{} is not there yet; `gamekeeper run` makes it", config.database)), None)
        }
        Ok(Some(found)) => {
            let Examined { instance, schema, games } = &found;
            let told =
                format!("{}: schema {schema}, instance {}, {games} games", config.database, instance.id);
            (Finding::Ok(told), Some(found))
        }
        Err(error) => {
            let advice = match &error {
                crate::store::OpenError::Newer { .. } => {
                    "use that version of gamekeeper; an older one would not understand the data"
                }
                // What to do about a server is in what is told.
                crate::store::OpenError::Connect { .. } if config.database.sqlite_path().is_none() => "",
                _ => {
                    "check that it is there and may be read; a file that is no database of gamekeeper's has to be moved away"
                }
            };
            (Finding::Fail(chain(&error), advice.into()), None)
        }
    }
}

/// An error with everything that led to it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !told.contains(&next) {
            told.push_str(&format!(": {next}"));
        }
        source = error.source();
    }
    told
}
