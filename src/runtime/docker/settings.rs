//! What the Docker runtime is told by the configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::game::{GameId, InstanceId, Resources};

/// Settings of the Docker runtime. [`Settings::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose containers these are: the only ones that are ever seen or touched.
    pub instance: InstanceId,
    /// Where Docker is (`unix:///…`, `tcp://host:port`); none finds it as Docker's own client does.
    pub host: Option<String>,
    /// The network that engines are put on.
    pub network: String,
    /// How the controller reaches an engine.
    pub endpoint_mode: EndpointMode,
    /// The state root as this process sees it.
    pub state_root: PathBuf,
    /// The state root as the engine's host sees it, where that differs (a controller in a container).
    pub state_root_on_host: Option<PathBuf>,
    /// Several controllers may look at the state root: which of them works in it, the database decides.
    pub state_root_shared: bool,
    /// Where a game's state directory is mounted in its container.
    pub mount_path: String,
    /// Limits where neither game nor version sets one.
    pub default_resources: Resources,
    /// The log driver of new containers.
    pub log_driver: String,
    /// Its options.
    pub log_options: BTreeMap<String, String>,
    /// When a registry is asked for an image.
    pub pull_policy: PullPolicy,
    /// A file with credentials for registries, as `docker login` writes it; asked before Docker's own.
    pub registry_auth_file: Option<PathBuf>,
    /// How long calls may take.
    pub deadlines: Deadlines,
}

impl Settings {
    /// The defaults, for the two things that have none.
    pub fn new(instance: InstanceId, state_root: impl Into<PathBuf>) -> Self {
        Self {
            instance,
            host: None,
            network: "gamekeeper".into(),
            endpoint_mode: EndpointMode::Auto,
            state_root: state_root.into(),
            state_root_on_host: None,
            state_root_shared: false,
            mount_path: "/var/lib/galaxy-game".into(),
            default_resources: Resources { cpu_millis: None, memory_bytes: Some(256 << 20), pids: Some(256) },
            log_driver: "json-file".into(),
            log_options: [("max-size", "10m"), ("max-file", "3")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            pull_policy: PullPolicy::IfNotPresent,
            registry_auth_file: None,
            deadlines: Deadlines::default(),
        }
    }

    /// The state root as the engine's host sees it.
    pub fn state_root_on_host(&self) -> &Path {
        self.state_root_on_host.as_ref().unwrap_or(&self.state_root)
    }

    /// The game's state directory as the engine's host sees it.
    pub fn state_directory_on_host(&self, game: GameId) -> PathBuf {
        self.state_root_on_host().join(game.to_string())
    }
}

/// How the controller reaches an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EndpointMode {
    /// Finds out, once it can.
    #[default]
    Auto,
    /// By the container's address: the controller shares the daemon's network namespace.
    Address,
    /// By the container's host name: the controller is a container on the engines' network.
    HostName,
    /// By a port that Docker chooses on 127.0.0.1: rootless Docker, Docker Desktop.
    Published,
}

/// When a registry is asked for an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// When the image is not here.
    #[default]
    IfNotPresent,
    /// Whenever an image is wanted.
    Always,
    /// Never; images are put here by other means.
    Never,
}

/// How long calls may take.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Calls that only look.
    pub look: Duration,
    /// Creations, starts and removals: Docker queues them when the host is busy.
    pub change: Duration,
    /// What a stop may take beyond its grace period.
    pub stop_margin: Duration,
    /// The longest silence of a pull that still goes on.
    pub pull_silence: Duration,
    /// Work on a state directory.
    pub state_directory: Duration,
    /// The longest silence of a copy that still goes on.
    pub copy_silence: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(30),
            change: Duration::from_secs(120),
            stop_margin: Duration::from_secs(30),
            pull_silence: Duration::from_secs(300),
            state_directory: Duration::from_secs(120),
            copy_silence: Duration::from_secs(300),
        }
    }
}
