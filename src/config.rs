//! The settings of `gamekeeper run`.
//!
//! Each may be a flag, an environment variable or a key of the file that `--config` names; the flag
//! wins over the variable, the variable over the file, the file over the default. [`Settings`] is
//! what was said, [`Config`] what holds.

mod check;
mod defaults;
mod file;
mod lobby;
mod settings;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::game::backup::Keep;
use crate::game::{InstanceId, Resources};
use crate::reconcile::Policy;
use crate::runtime::docker;
use crate::store::Place;
use crate::store::history::History;

pub use defaults::default_data_dir;
pub use lobby::{LobbyConfig, LobbyMode, LobbyUrl};
pub use settings::Settings;
pub use value::{
    Count, Cpu, DatabaseUrl, EndpointMode, LogDriver, LogFormat, Memory, PullPolicy, Span, TlsNames,
};

/// Why the settings cannot be used. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read; name another one by --config, or leave it out", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file is wrong at this place.
    #[error("{place}: {message}")]
    File {
        /// `file:line:column`.
        place: String,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// Nobody said where the data lives, and there is no home directory.
    #[error(
        "there is no home directory to keep data in; name a directory by --data-dir or GAMEKEEPER_DATA_DIR"
    )]
    NoHome,
    /// Two settings do not go together, or one cannot be.
    #[error("{setting}: {message}")]
    Wrong {
        /// The flag.
        setting: &'static str,
        /// What is wrong, and what would be right.
        message: String,
    },
}

/// What holds for one run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the database, the kubeconfig and the certificates live.
    pub data_dir: PathBuf,
    /// Where the games' state directories live, as this process sees it.
    pub state_root: PathBuf,
    /// The same as the engines' host sees it, where that differs.
    pub state_root_on_host: Option<PathBuf>,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where metrics are served without TLS, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// The database.
    pub database: Place,
    /// Where Docker is; none finds it as Docker's own client does.
    pub docker_host: Option<String>,
    /// The network that engines are put on.
    pub network: String,
    /// How the controller reaches an engine.
    pub endpoint_mode: EndpointMode,
    /// When a registry is asked for an image.
    pub pull_policy: PullPolicy,
    /// A file with credentials for registries, asked before Docker's own.
    pub registry_auth_file: Option<PathBuf>,
    /// Where a game's state directory is mounted in its container.
    pub mount_path: String,
    /// An engine's limits where neither game nor version sets one.
    pub default_resources: Resources,
    /// Docker's driver for the engines' logs.
    pub engine_log_driver: String,
    /// How large an engine's log file may grow, in bytes.
    pub engine_log_max_size: u64,
    /// How many such files are kept.
    pub engine_log_max_files: u32,
    /// How many containers start at once.
    pub max_starts: usize,
    /// How many images are pulled at once.
    pub max_pulls: usize,
    /// How many games are patched at once.
    pub max_disruptions: usize,
    /// On how many games a change to one version may fail until it is halted.
    pub max_failures: u32,
    /// Under which names and addresses others find the API.
    pub tls_names: Vec<String>,
    /// The authority whose client certificates give access.
    pub client_ca: Option<PathBuf>,
    /// How many requests a second one client may send.
    pub max_requests: u32,
    /// How many watches one client may have open.
    pub max_watches: usize,
    /// How many watches all clients together may have open.
    pub max_watches_in_all: usize,
    /// Engines asked at once.
    pub max_engine_calls: usize,
    /// Turns generated at once.
    pub max_turns: usize,
    /// Between two looks at everything.
    pub relist_interval: Duration,
    /// How long Docker may be silent before anything is shown as unknown.
    pub silence: Duration,
    /// From the start of a container to its first health.
    pub start_deadline: Duration,
    /// Between a process being asked to end and being killed.
    pub stop_grace: Duration,
    /// From a row's vanishing to the deletion of its game.
    pub deletion_grace: Duration,
    /// How many deletions at once are held.
    pub deletion_limits: crate::reconcile::deletions::Limits,
    /// How long a turn may take.
    pub turn_deadline: Duration,
    /// How long a stop waits for a turn in flight.
    pub stop_turn_wait: Duration,
    /// Between two looks at a healthy engine.
    pub probe_interval: Duration,
    /// Between two looks at an engine that was healthy and now fails.
    pub failing_probe_interval: Duration,
    /// Between two rows of what an engine reports, while it says nothing new.
    pub report_interval: Duration,
    /// How long the past is kept.
    pub history: History,
    /// What is kept of each game's copies.
    pub keep_copies: Keep,
    /// Failed looks in a row until an engine counts as unreachable.
    pub unreachable_after: u32,
    /// Failed looks in a row until its process is replaced.
    pub restart_after: u32,
    /// The wait before a second attempt; doubles from there.
    pub backoff_first: Duration,
    /// The longest wait between two attempts.
    pub backoff_longest: Duration,
    /// Health without a break that makes earlier failures forgotten.
    pub forget_failures_after: Duration,
    /// How and where the lobby is told.
    pub lobby: LobbyConfig,
    /// In which form logs are written.
    pub log_format: LogFormat,
    /// What is logged: a level, or directives as `info,gamekeeper::controller=debug`.
    pub log_level: String,
}

impl Config {
    /// What the planner is told.
    pub fn policy(&self) -> Policy {
        Policy {
            silence: self.silence,
            start_deadline: self.start_deadline,
            stop_grace: self.stop_grace,
            deletion_grace: self.deletion_grace,
            deletions: self.deletion_limits.clone(),
            turn_deadline: self.turn_deadline,
            stop_turn_wait: self.stop_turn_wait,
            probe_interval: self.probe_interval,
            failing_probe_interval: self.failing_probe_interval,
            report_interval: self.report_interval,
            unreachable_after: self.unreachable_after,
            restart_after: self.restart_after,
            backoff_first: self.backoff_first,
            backoff_longest: self.backoff_longest,
            forget_failures_after: self.forget_failures_after,
            pull: self.pull_policy.into(),
        }
    }

    /// What the Docker runtime is told, for the containers of this instance.
    pub fn docker(&self, instance: InstanceId) -> docker::Settings {
        docker::Settings {
            host: self.docker_host.clone(),
            network: self.network.clone(),
            endpoint_mode: self.endpoint_mode.into(),
            state_root_on_host: self.state_root_on_host.clone(),
            state_root_shared: self.database.sqlite_path().is_none(),
            mount_path: self.mount_path.clone(),
            pull_policy: self.pull_policy.into(),
            registry_auth_file: self.registry_auth_file.clone(),
            default_resources: self.default_resources,
            log_driver: self.engine_log_driver.clone(),
            log_options: self.engine_log_options(),
            ..docker::Settings::new(instance, &self.state_root)
        }
    }

    /// Only these two drivers write files; Docker refuses the options for any other.
    fn engine_log_options(&self) -> BTreeMap<String, String> {
        if !["json-file", "local"].contains(&self.engine_log_driver.as_str()) {
            return BTreeMap::new();
        }
        let options = [
            ("max-size", self.engine_log_max_size.to_string()),
            ("max-file", self.engine_log_max_files.to_string()),
        ];
        options.map(|(key, value)| (key.to_owned(), value)).into()
    }

    /// Where the kubeconfig is written at the first start.
    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir.join(KUBECONFIG)
    }
}

/// The kubeconfig's name in the data directory.
pub const KUBECONFIG: &str = "kubeconfig";
