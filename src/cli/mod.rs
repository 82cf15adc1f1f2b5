//! The command line: the server (`run`), and thin clients of its API.
//!
//! The verbs change desired state and read what is; none of them touches Docker or the database
//! (`doctor` looks at both, and changes neither).

mod apply;
mod backups;
mod change;
mod client;
mod confirm;
mod controller;
mod database;
mod delete;
mod describe;
mod diff;
mod doctor;
mod events;
mod explain;
pub mod failure;
mod files;
mod get;
mod kubeconfig;
mod logs;
mod offline;
mod ops;
mod outbox;
mod output;
mod plan;
mod players;
mod table;
mod target;
mod token;
mod turns;
mod unblock;
mod versions;
mod wait;

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::Settings;
use client::Whereabouts;
use failure::{Exit, Failure};

const EXIT_CODES: &str = "Exit codes:
  0  ok
  1  failed; of `diff`: something differs; of `status`: the controller does not act
  2  wrong command line, file or manifest; nothing was changed by it
  3  not found
  4  conflict: somebody else changed it, or it is there already
  5  timed out while waiting
  6  no server, or no answer
  7  not allowed
  8  failed, of `diff`

The server is found by --kubeconfig, GAMEKEEPER_KUBECONFIG, or the kubeconfig in the data directory
(--data-dir, GAMEKEEPER_DATA_DIR; /var/lib/gamekeeper of root, else ~/.local/share/gamekeeper).
Flags win over variables: with --data-dir the kubeconfig there is meant, whatever the variables say.

Begin with:
  gamekeeper doctor                      is everything there?
  gamekeeper run                         the server, in the foreground
  gamekeeper apply -f manifests/demo     what should be true
  gamekeeper wait --all                  until it is
  gamekeeper get                         what is
  gamekeeper explain andromeda           and why
  gamekeeper status                      how the controller itself is";

/// Keeps every game's engine running
///
/// One game is one engine container on Docker. What should be true is declared as manifests or as
/// rows; the server compares that with what is, and takes the next step until the two agree. Every
/// command but `run` speaks to the server's API.
#[derive(Debug, Parser)]
#[command(name = "gamekeeper", version, after_help = EXIT_CODES, max_term_width = 100)]
#[command(disable_help_subcommand = false, propagate_version = false)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Args)]
struct GlobalOptions {
    /// The kubeconfig that says where the server is
    #[arg(long, global = true, env = "GAMEKEEPER_KUBECONFIG", value_name = "FILE", help_heading = "Server")]
    kubeconfig: Option<PathBuf>,
    /// The server's data directory
    #[arg(long, global = true, env = "GAMEKEEPER_DATA_DIR", value_name = "DIR", help_heading = "Server")]
    data_dir: Option<PathBuf>,
    /// Ask in this user's name: for admins, to see what others may
    #[arg(long = "as", global = true, value_name = "USER", help_heading = "Server")]
    as_user: Option<String>,
    /// Ask as a member of this group, too: gamekeeper:ROLE, gamekeeper:ROLE:NAMESPACE
    #[arg(long, global = true, value_name = "GROUP", requires = "as_user", help_heading = "Server")]
    as_group: Vec<String>,
}

/// Runs the server: controller, API and metrics in one process
///
/// It stays in the foreground and logs to standard error. Ending it leaves the engines running; the
/// next start takes them over. Each setting is a flag, an environment variable or a key of the file
/// given by --config; flags win over variables, variables over the file. Durations are written
/// as 30s, 5m or 1h30m.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper run
  gamekeeper run --data-dir /srv/gamekeeper --state-root /srv/games
  gamekeeper run --config /etc/gamekeeper.yaml

A file of settings has the flags without their dashes as keys:
  data-dir: /srv/gamekeeper
  listen: 127.0.0.1:7443
  stop-grace: 20s
  log-format: json")]
struct RunArgs {
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(Box<RunArgs>),
    Apply(apply::ApplyArgs),
    Get(get::GetArgs),
    Describe(describe::DescribeArgs),
    Explain(explain::ExplainArgs),
    Plan(plan::PlanArgs),
    Diff(diff::DiffArgs),
    Delete(delete::DeleteArgs),
    Wait(wait::WaitArgs),
    Restart(change::running::RestartArgs),
    Start(change::running::StartArgs),
    Stop(change::running::StopArgs),
    Pause(change::turns::PauseArgs),
    Resume(change::turns::ResumeArgs),
    Defer(change::turns::DeferArgs),
    ForceTurn(change::turns::ForceTurnArgs),
    Patch(change::patching::PatchArgs),
    Rollback(change::restoring::RollbackArgs),
    Versions(versions::VersionsArgs),
    Backup(change::copying::BackupArgs),
    Backups(backups::BackupsArgs),
    Restore(change::restoring::RestoreArgs),
    Turns(turns::TurnsArgs),
    Players(players::PlayersArgs),
    Ops(ops::OpsArgs),
    Events(events::EventsArgs),
    Logs(logs::LogsArgs),
    Outbox(outbox::OutboxArgs),
    Status(controller::status::StatusArgs),
    Leader(controller::leader::LeaderArgs),
    Freeze(controller::FreezeArgs),
    Unfreeze(controller::UnfreezeArgs),
    ConfirmDeletions(controller::ConfirmDeletionsArgs),
    Rebind(controller::rebind::RebindArgs),
    Adopt(controller::orphans::AdoptArgs),
    Remove(controller::orphans::RemoveArgs),
    Unblock(unblock::UnblockArgs),
    Token(token::TokenArgs),
    Kubeconfig(kubeconfig::KubeconfigArgs),
    Doctor(Box<doctor::DoctorArgs>),
    BackupDb(database::BackupArgs),
    MigrateDb(database::MigrateArgs),
    Schema(offline::SchemaArgs),
    Completion(offline::CompletionArgs),
    Version(offline::VersionArgs),
}

impl Cli {
    /// The command line, with the variables. Ends the process if it makes no sense, or asks for help alone.
    pub fn read() -> Self {
        Self::of(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn of(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        let mut cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        cli.let_flags_win(&matches);
        Ok(cli)
    }

    /// Two settings may answer one question: which server, which database. A variable is not asked if a flag has
    /// answered it: one that was set long ago must not lead elsewhere than what was typed.
    fn let_flags_win(&mut self, matches: &ArgMatches) {
        let says = |of: &ArgMatches, id| of.value_source(id);
        if says(matches, "data_dir") != Some(ValueSource::CommandLine) {
            return;
        }
        if says(matches, "kubeconfig") == Some(ValueSource::EnvVariable) {
            self.global.kubeconfig = None;
        }
        if let (Verb::BackupDb(args), Some((_, of_verb))) = (&mut self.verb, matches.subcommand())
            && says(of_verb, "database_url") == Some(ValueSource::EnvVariable)
        {
            args.database_url = None;
        }
    }
}

/// Does what the command line says.
///
/// # Errors
/// A [`Failure`] with an exit code of its own, or whatever ended the server.
pub async fn execute(cli: Cli) -> anyhow::Result<()> {
    let Cli { global: GlobalOptions { kubeconfig, data_dir, as_user, as_group }, verb } = cli;
    let place = Whereabouts { kubeconfig, data_dir, as_user, as_groups: as_group };
    match verb {
        Verb::Run(args) => return run(*args, place.data_dir).await,
        Verb::Apply(args) => apply::run(args, &place).await?,
        Verb::Get(args) => get::run(args, &place).await?,
        Verb::Describe(args) => describe::run(args, &place).await?,
        Verb::Explain(args) => explain::run(args, &place).await?,
        Verb::Plan(args) => plan::run(args, &place).await?,
        Verb::Diff(args) => diff::run(args, &place).await?,
        Verb::Delete(args) => delete::run(args, &place).await?,
        Verb::Wait(args) => wait::run(args, &place).await?,
        Verb::Restart(args) => change::running::restart(args, &place).await?,
        Verb::Start(args) => change::running::start(args, &place).await?,
        Verb::Stop(args) => change::running::stop(args, &place).await?,
        Verb::Pause(args) => change::turns::pause(args, &place).await?,
        Verb::Resume(args) => change::turns::resume(args, &place).await?,
        Verb::Defer(args) => change::turns::defer(args, &place).await?,
        Verb::ForceTurn(args) => change::turns::force_turn(args, &place).await?,
        Verb::Patch(args) => change::patching::patch(args, &place).await?,
        Verb::Rollback(args) => change::restoring::rollback(args, &place).await?,
        Verb::Versions(args) => versions::run(args, &place).await?,
        Verb::Backup(args) => change::copying::backup(args, &place).await?,
        Verb::Backups(args) => backups::run(args, &place).await?,
        Verb::Restore(args) => change::restoring::restore(args, &place).await?,
        Verb::Turns(args) => turns::run(args, &place).await?,
        Verb::Players(args) => players::run(args, &place).await?,
        Verb::Ops(args) => ops::run(args, &place).await?,
        Verb::Events(args) => events::run(args, &place).await?,
        Verb::Status(args) => controller::status::run(args, &place).await?,
        Verb::Leader(args) => controller::leader::run(args, &place).await?,
        Verb::Freeze(args) => controller::freeze(args, &place).await?,
        Verb::Unfreeze(args) => controller::unfreeze(args, &place).await?,
        Verb::ConfirmDeletions(args) => controller::confirm_deletions(args, &place).await?,
        Verb::Rebind(args) => controller::rebind::run(args, &place).await?,
        Verb::Adopt(args) => controller::orphans::adopt(args, &place).await?,
        Verb::Remove(args) => controller::orphans::remove(args, &place).await?,
        Verb::Unblock(args) => unblock::run(args, &place).await?,
        Verb::Logs(args) => logs::run(args, &place).await?,
        Verb::Outbox(args) => outbox::run(args, &place).await?,
        Verb::Token(args) => token::run(args, &place).await?,
        Verb::Kubeconfig(args) => kubeconfig::run(&args, &place)?,
        Verb::Doctor(args) => doctor::run(*args, &place).await?,
        Verb::BackupDb(args) => database::back_up(args, &place).await?,
        Verb::MigrateDb(args) => database::migrate(args, &place).await?,
        Verb::Schema(args) => offline::schema(&args)?,
        Verb::Completion(args) => offline::completion(&args)?,
        Verb::Version(args) => offline::version(args, &place).await?,
    }
    Ok(())
}

async fn run(args: RunArgs, data_dir: Option<PathBuf>) -> anyhow::Result<()> {
    let mut settings = args.settings;
    settings.data_dir = settings.data_dir.or(data_dir);
    let config = settings.resolve().map_err(|error| Failure::usage(doctor::chain(&error)))?;
    crate::telemetry::start(config.log_format, &config.log_level)?;
    crate::server::run(config).await
}

/// Tells an error on standard error, and says what the process should exit with.
pub fn report(error: &anyhow::Error) -> Exit {
    match error.downcast_ref::<Failure>() {
        Some(failure) => {
            failure.tell();
            failure.exit()
        }
        None => {
            Failure::new(Exit::Failed, format!("{error:#}")).tell();
            Exit::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_put_together_right() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_says_what_it_does() {
        for verb in Cli::command().get_subcommands() {
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
            for argument in verb.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", verb.get_name(), argument.get_id());
            }
        }
    }

    #[test]
    fn what_ends_the_server_is_told_with_its_causes() {
        let error = anyhow::anyhow!("the port is taken").context("the API cannot listen");
        assert_eq!(report(&error), Exit::Failed);
        assert_eq!(report(&Failure::new(Exit::TimedOut, "").into()), Exit::TimedOut);
    }
}
