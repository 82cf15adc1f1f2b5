//! `gamekeeper doctor`: what is in the way, and what to do about it.
//!
//! Every check stands by itself: one that fails does not keep the others from being made. Nothing
//! is changed but what a check makes for itself, and that is removed again, also if it is interrupted.

mod docker;
mod games;
mod host;
mod places;
mod server;
mod trial;

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::client::Whereabouts;
use super::failure::{Exit, Failure};
use super::output::{clean, say};
use crate::config::{Config, Settings};
use crate::store::{Examined, Store};

/// Checks that everything is as `gamekeeper run` needs it
///
/// Looks at the settings, the data directory, the database, the state root, Docker, the network and
/// the server, and says what to do about what is wrong. In Docker it makes, starts and removes a container
/// as an engine's is made, with a program of its own that writes one line and one file; no game's engine is
/// run. Works with and without a server; takes the same settings as `gamekeeper run`. Exits with 1 if a
/// check failed; warnings are no failures.
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
    let interrupted = CancellationToken::new();
    let told = tokio::spawn(tell_of_interruption(interrupted.clone()));
    let examined = tokio::select! {
        examined = examine(&mut examination, &config, place, &interrupted) => examined,
        () = given_up(&interrupted) => Err(Failure::told(Exit::Failed)),
    };
    told.abort();
    examined?;
    if interrupted.is_cancelled() {
        return Err(Failure::told(Exit::Failed));
    }
    if examination.failed { Err(Failure::told(Exit::Failed)) } else { Ok(()) }
}

/// Clearing up after an interruption takes less than this.
const CLEARS_UP: Duration = Duration::from_secs(25);

/// SIGINT and SIGTERM end the checks, which then remove what they have made.
async fn tell_of_interruption(interrupted: CancellationToken) {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    interrupted.cancel();
}

/// A while after the interruption, whatever still hangs.
async fn given_up(interrupted: &CancellationToken) {
    interrupted.cancelled().await;
    tokio::time::sleep(CLEARS_UP).await;
}

async fn examine(
    examination: &mut Examination,
    config: &Config,
    place: &Whereabouts,
    interrupted: &CancellationToken,
) -> Result<(), Failure> {
    examination.note("data directory", places::data_directory(&config.data_dir))?;
    let asked = interrupted.run_until_cancelled(database(config)).await;
    let Some((finding, known)) = asked else { return Ok(()) };
    examination.note("database", finding)?;
    if let Some(clock) = known.as_ref().and_then(|known| known.clock) {
        examination.note("database's clock", clock_of_database(clock))?;
    }
    let (writable, root) = places::state_root(&config.state_root);
    examination.note("state root", writable)?;
    if let Some(root) = &root {
        examination.note("state directories", places::state_directories(root))?;
    }
    examination.note("state root's disk", host::room(&config.state_root))?;
    let asked = interrupted.run_until_cancelled(docker::daemon(config, known.as_ref())).await;
    let Some((identity, runtime)) = asked else { return Ok(()) };
    examination.note("docker", identity)?;
    if let Some(runtime) = runtime {
        examination.note("network", docker::network(&runtime).await)?;
        if known.is_some() && config.state_root.exists() {
            examination.note("processes", docker::processes(&runtime).await)?;
        }
        if let Some(finding) = host::neighbours(known.as_ref().map_or(0, |known| known.games)) {
            examination.note("engines in one network", finding)?;
        }
        if let Some(root) = runtime.root_directory().await.filter(|root| root.exists()) {
            examination.note("docker's disk", host::room(&root))?;
        }
        let ended = interrupted.cancelled();
        for (subject, finding) in trial::trial(&runtime, config, root.as_deref(), ended).await {
            examination.note(subject, finding)?;
        }
    }
    if interrupted.is_cancelled() {
        return Ok(());
    }
    let place = Whereabouts { data_dir: Some(config.data_dir.clone()), ..place.clone() };
    let asked = interrupted.run_until_cancelled(server::server(config, &place)).await;
    for (subject, finding) in asked.into_iter().flatten() {
        examination.note(subject, finding)?;
    }
    Ok(())
}

/// A server's clock is what leases end by.
fn clock_of_database(clock: Timestamp) -> Finding {
    let ahead = clock.duration_since(Timestamp::now());
    if ahead.abs() > SignedDuration::from_secs(5) {
        let told = format!("it differs from this one by {} s", ahead.as_secs());
        let advice = "times that the lobby writes do not mean here what they mean there; synchronise both clocks (NTP)";
        return Finding::Warn(told, advice.into());
    }
    Finding::Ok("it agrees with this one".into())
}

async fn database(config: &Config) -> (Finding, Option<Examined>) {
    match Store::examine(&config.database).await {
        Ok(None) => {
            (Finding::Ok(format!("{} is not there yet; `gamekeeper run` makes it", config.database)), None)
        }
        Ok(Some(found)) => {
            let Examined { instance, schema, games, clock: _ } = &found;
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
