//! What was said: by flags and variables, or by the file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use serde::Deserialize;

use super::lobby::{LobbyConfig, LobbyMode, LobbyUrl};
use super::value::{
    Count, Cpu, DatabaseUrl, EndpointMode, LogDriver, LogFormat, Memory, PullPolicy, Span, TlsNames,
};
use super::{Config, ConfigError, default_data_dir, file};
use crate::game::Resources;
use crate::game::backup::Keep;
use crate::reconcile::Policy;
use crate::reconcile::deletions;
use crate::store::history::History;
use crate::store::{DEFAULT_SCHEMA, Migrations, Place};

/// Declares every setting once: as a flag, a variable and a key of the file.
macro_rules! settings {
    ($($(#[$meta:meta])* $field:ident: $type:ty, $env:literal, $heading:literal, $value:literal;)+) => {
        /// The settings that were made; everything else has its default.
        #[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct Settings {
            /// A YAML file with settings: each flag without its dashes is a key
            #[arg(long, env = "GAMEKEEPER_CONFIG", hide_env_values = true, value_name = "FILE")]
            #[serde(skip)]
            pub config: Option<PathBuf>,
            /// Where the database, the kubeconfig and the certificates live.
            // As a flag it belongs to every command, and is read there.
            #[arg(skip)]
            pub data_dir: Option<PathBuf>,
            $(
                $(#[$meta])*
                #[arg(long, env = $env, hide_env_values = true, value_name = $value, help_heading = $heading)]
                pub $field: Option<$type>,
            )+
        }

        impl Settings {
            /// These settings, and where they say nothing, those.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self {
                    config: self.config.or(other.config),
                    data_dir: self.data_dir.or(other.data_dir),
                    $($field: self.$field.or(other.$field),)+
                }
            }
        }
    };
}

settings! {
    /// The games' state directories [default: DATA_DIR/games]
    state_root: PathBuf, "GAMEKEEPER_STATE_ROOT", "Places", "DIR";
    /// The state root as Docker's host sees it, when gamekeeper itself runs in a container
    state_root_on_host: PathBuf, "GAMEKEEPER_STATE_ROOT_ON_HOST", "Places", "DIR";
    /// The database [default: sqlite:DATA_DIR/gamekeeper.db]
    database_url: DatabaseUrl, "GAMEKEEPER_DATABASE_URL", "Places", "URL";
    /// The schema in a PostgreSQL database [default: gamekeeper]
    database_schema: String, "GAMEKEEPER_DATABASE_SCHEMA", "Places", "NAME";
    /// What is done about a database whose schema is not up to date [default: auto]
    migrate: Migrations, "GAMEKEEPER_MIGRATE", "Places", "MODE";
    /// Where the API listens, with TLS [default: 127.0.0.1:7443]
    listen: SocketAddr, "GAMEKEEPER_LISTEN", "Places", "ADDR:PORT";
    /// Names and addresses under which others find the API, with commas between them [default: those of this machine]
    tls_names: TlsNames, "GAMEKEEPER_TLS_NAMES", "Places", "NAMES";
    /// Where metrics are served in the clear as well [default: nowhere]
    metrics_listen: SocketAddr, "GAMEKEEPER_METRICS_LISTEN", "Places", "ADDR:PORT";

    /// An authority, in PEM, whose client certificates give access [default: none]
    client_ca: PathBuf, "GAMEKEEPER_CLIENT_CA", "Access", "FILE";
    /// How many requests a second one client may send; four times as many at once [default: 500]
    max_requests: Count, "GAMEKEEPER_MAX_REQUESTS", "Access", "N";
    /// How many watches one client may have open [default: 100]
    max_watches: Count, "GAMEKEEPER_MAX_WATCHES", "Access", "N";
    /// How many watches all clients together may have open [default: 2000]
    max_watches_in_all: Count, "GAMEKEEPER_MAX_WATCHES_IN_ALL", "Access", "N";

    /// Where Docker is: unix:///PATH or tcp://HOST:PORT [default: as the docker command finds it]
    docker_host: String, "GAMEKEEPER_DOCKER_HOST", "Docker", "URL";
    /// The network that engines are put on; made if missing [default: gamekeeper]
    network: String, "GAMEKEEPER_NETWORK", "Docker", "NAME";
    /// How engines are reached [default: auto]
    endpoint_mode: EndpointMode, "GAMEKEEPER_ENDPOINT_MODE", "Docker", "MODE";
    /// When a registry is asked for an image [default: if-not-present]
    pull_policy: PullPolicy, "GAMEKEEPER_PULL_POLICY", "Docker", "POLICY";
    /// A file with credentials for registries, as `docker login` writes it; asked before Docker's own
    registry_auth_file: PathBuf, "GAMEKEEPER_REGISTRY_AUTH_FILE", "Docker", "FILE";
    /// Where an engine finds its state directory [default: /var/lib/galaxy-game]
    mount_path: String, "GAMEKEEPER_MOUNT_PATH", "Docker", "PATH";
    /// CPU time of an engine where neither game nor version sets one [default: no limit]
    default_cpu: Cpu, "GAMEKEEPER_DEFAULT_CPU", "Docker", "QUANTITY";
    /// Memory of an engine where neither game nor version sets one [default: 256Mi]
    default_memory: Memory, "GAMEKEEPER_DEFAULT_MEMORY", "Docker", "QUANTITY";
    /// Processes of an engine where neither game nor version sets a limit [default: 256]
    default_pids: Count, "GAMEKEEPER_DEFAULT_PIDS", "Docker", "N";
    /// Docker's driver for the engines' logs: json-file, local, journald … [default: json-file]
    engine_log_driver: LogDriver, "GAMEKEEPER_ENGINE_LOG_DRIVER", "Docker", "NAME";
    /// How large an engine's log file may grow; for the drivers json-file and local [default: 10Mi]
    engine_log_max_size: Memory, "GAMEKEEPER_ENGINE_LOG_MAX_SIZE", "Docker", "QUANTITY";
    /// How many such files are kept [default: 3]
    engine_log_max_files: Count, "GAMEKEEPER_ENGINE_LOG_MAX_FILES", "Docker", "N";
    /// How many containers start at once [default: 8]
    max_starts: Count, "GAMEKEEPER_MAX_STARTS", "Docker", "N";
    /// How many images are pulled at once [default: 3]
    max_pulls: Count, "GAMEKEEPER_MAX_PULLS", "Docker", "N";
    /// How many engines are asked how they are at once [default: 256]
    max_engine_calls: Count, "GAMEKEEPER_MAX_ENGINE_CALLS", "Docker", "N";
    /// How many engines generate a turn at once [default: 512]
    max_turns: Count, "GAMEKEEPER_MAX_TURNS", "Docker", "N";

    /// How many games are patched at once [default: 3]
    max_disruptions: Count, "GAMEKEEPER_MAX_DISRUPTIONS", "Docker", "N";
    /// On how many games a change to one version may fail until it is halted [default: 3]
    max_failures: Count, "GAMEKEEPER_MAX_FAILURES", "Docker", "N";

    /// Between two looks at everything, in case a change went unnoticed [default: 30s]
    relist_interval: Span, "GAMEKEEPER_RELIST_INTERVAL", "Times and thresholds", "TIME";
    /// How long Docker may be silent before games are shown as Unknown [default: 5s]
    silence: Span, "GAMEKEEPER_SILENCE", "Times and thresholds", "TIME";
    /// How long a started engine may take to become healthy [default: 60s]
    start_deadline: Span, "GAMEKEEPER_START_DEADLINE", "Times and thresholds", "TIME";
    /// How long an engine that is asked to end may take before it is killed [default: 10s]
    stop_grace: Span, "GAMEKEEPER_STOP_GRACE", "Times and thresholds", "TIME";
    /// From the vanishing of a game's row to the game's deletion [default: 60s]
    deletion_grace: Span, "GAMEKEEPER_DELETION_GRACE", "Times and thresholds", "TIME";
    /// Deletions within this time belong together; games younger than this are not held [default: 10m]
    deletion_window: Span, "GAMEKEEPER_DELETION_WINDOW", "Times and thresholds", "TIME";
    /// Percentage of the games with state that may be deleted within that time; more is held [default: 50]
    deletion_share: Count, "GAMEKEEPER_DELETION_SHARE", "Times and thresholds", "PERCENT";
    /// Fewer deletions than this are never held [default: 5]
    deletion_least: Count, "GAMEKEEPER_DELETION_LEAST", "Times and thresholds", "N";
    /// How long an engine may take to generate a turn [default: 10m]
    turn_deadline: Span, "GAMEKEEPER_TURN_DEADLINE", "Times and thresholds", "TIME";
    /// How long a stop waits for a turn that is being generated [default: 30s]
    stop_turn_wait: Span, "GAMEKEEPER_STOP_TURN_WAIT", "Times and thresholds", "TIME";
    /// Between two looks at a healthy engine [default: 15s]
    probe_interval: Span, "GAMEKEEPER_PROBE_INTERVAL", "Times and thresholds", "TIME";
    /// Between two looks at an engine that fails [default: 2s]
    failing_probe_interval: Span, "GAMEKEEPER_FAILING_PROBE_INTERVAL", "Times and thresholds", "TIME";
    /// Between two rows of what an engine reports, while it says nothing new [default: 5m]
    report_interval: Span, "GAMEKEEPER_REPORT_INTERVAL", "Times and thresholds", "TIME";
    /// Failed looks in a row until an engine counts as unreachable [default: 3]
    unreachable_after: Count, "GAMEKEEPER_UNREACHABLE_AFTER", "Times and thresholds", "N";
    /// Failed looks in a row until an engine is restarted [default: 10]
    restart_after: Count, "GAMEKEEPER_RESTART_AFTER", "Times and thresholds", "N";
    /// The wait before an engine's second restart; doubles with each [default: 1s]
    backoff_first: Span, "GAMEKEEPER_BACKOFF_FIRST", "Times and thresholds", "TIME";
    /// The longest wait before a restart [default: 5m]
    backoff_longest: Span, "GAMEKEEPER_BACKOFF_LONGEST", "Times and thresholds", "TIME";
    /// How long an engine has to be healthy for its failures to be forgotten [default: 10m]
    forget_failures_after: Span, "GAMEKEEPER_FORGET_FAILURES_AFTER", "Times and thresholds", "TIME";

    /// How the lobby is told [default: push with --lobby-url, else off]
    lobby_mode: LobbyMode, "GAMEKEEPER_LOBBY_MODE", "Lobby", "MODE";
    /// Where events are pushed to: https://HOST/PATH, or http://HOST/PATH
    lobby_url: LobbyUrl, "GAMEKEEPER_LOBBY_URL", "Lobby", "URL";
    /// A file with the secret that signs what is pushed; two lines while it is changed over
    lobby_secret_file: PathBuf, "GAMEKEEPER_LOBBY_SECRET_FILE", "Lobby", "FILE";
    /// How often the lobby may refuse an event until it is set aside [default: 20]
    lobby_give_up_after: Count, "GAMEKEEPER_LOBBY_GIVE_UP_AFTER", "Lobby", "N";
    /// How long the lobby may take to answer [default: 15s]
    lobby_deadline: Span, "GAMEKEEPER_LOBBY_DEADLINE", "Lobby", "TIME";
    /// How long events are kept that the lobby has, to be told again [default: 168h]
    lobby_keep_delivered: Span, "GAMEKEEPER_LOBBY_KEEP_DELIVERED", "Lobby", "TIME";
    /// How long events are kept that the lobby does not have; their end is told [default: 720h]
    lobby_keep_undelivered: Span, "GAMEKEEPER_LOBBY_KEEP_UNDELIVERED", "Lobby", "TIME";

    /// How long it is kept what engines reported; of a game at most 1000 reports [default: 168h]
    keep_reports: Span, "GAMEKEEPER_KEEP_REPORTS", "Places", "TIME";
    /// How many copies of a game's state are kept of each reason: before patches, before turns, on demand [default: 5]
    keep_backups: Count, "GAMEKEEPER_KEEP_BACKUPS", "Places", "N";
    /// How long they are kept; of each reason the newest stays [default: of any age]
    keep_backups_for: Span, "GAMEKEEPER_KEEP_BACKUPS_FOR", "Places", "TIME";
    /// How long it is kept what was decided about slots, and which operations and changes there were [default: 2160h]
    keep_history: Span, "GAMEKEEPER_KEEP_HISTORY", "Places", "TIME";

    /// In which form logs are written to standard error [default: text]
    log_format: LogFormat, "GAMEKEEPER_LOG_FORMAT", "Logs", "FORMAT";
    /// What is logged: error, warn, info, debug, trace, or directives as in info,gamekeeper=debug [default: info]
    log_level: String, "GAMEKEEPER_LOG_LEVEL", "Logs", "LEVEL";
}

impl Settings {
    /// What holds: these settings, those of the file they name, and the defaults.
    ///
    /// # Errors
    /// Whatever is wrong with the file, or with the settings as a whole.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let from_file = match &self.config {
            Some(path) => file::read(path)?,
            None => Self::default(),
        };
        self.or(from_file).with_defaults()?.checked()
    }

    fn with_defaults(self) -> Result<Config, ConfigError> {
        let policy = Policy::default();
        let absolute = |setting, path: PathBuf| {
            std::path::absolute(&path).map_err(|error| ConfigError::Wrong {
                setting,
                message: format!("`{}`: {error}", path.display()),
            })
        };
        let span = |span: Option<Span>, default: Duration| span.map_or(default, |span| span.0);
        let kept = |age: Option<Span>, default: SignedDuration| {
            age.map_or(default, |age| SignedDuration::try_from(age.0).unwrap_or(SignedDuration::MAX))
        };
        let number = |count: Option<Count>, default: u32| count.map_or(default, |count| count.0);
        let data_dir = match self.data_dir {
            Some(path) => absolute("--data-dir", path)?,
            None => default_data_dir()?,
        };
        let database_url = match self.database_url {
            Some(url) => url,
            None => super::value::embedded(&data_dir)?,
        };
        let schema = self.database_schema.unwrap_or_else(|| DEFAULT_SCHEMA.to_owned());
        let database = Place::new(database_url.as_str(), &schema, self.migrate.unwrap_or_default()).map_err(
            |error| ConfigError::Wrong { setting: "--database-schema", message: error.to_string() },
        )?;
        Ok(Config {
            state_root: match self.state_root {
                Some(path) => absolute("--state-root", path)?,
                None => data_dir.join("games"),
            },
            state_root_on_host: self.state_root_on_host,
            listen: self.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 7443))),
            metrics_listen: self.metrics_listen,
            database,
            docker_host: self.docker_host,
            network: self.network.unwrap_or_else(|| "gamekeeper".into()),
            endpoint_mode: self.endpoint_mode.unwrap_or_default(),
            pull_policy: self.pull_policy.unwrap_or_default(),
            registry_auth_file: self
                .registry_auth_file
                .map(|path| absolute("--registry-auth-file", path))
                .transpose()?,
            mount_path: self.mount_path.unwrap_or_else(|| "/var/lib/galaxy-game".into()),
            default_resources: Resources {
                cpu_millis: self.default_cpu.map(|cpu| cpu.0),
                memory_bytes: Some(self.default_memory.map_or(256 << 20, |memory| memory.0)),
                pids: Some(number(self.default_pids, 256).into()),
            },
            engine_log_driver: self.engine_log_driver.unwrap_or_default().0,
            engine_log_max_size: self.engine_log_max_size.map_or(10 << 20, |size| size.0),
            engine_log_max_files: number(self.engine_log_max_files, 3),
            max_starts: number(self.max_starts, 8) as usize,
            max_pulls: number(self.max_pulls, 3) as usize,
            max_disruptions: number(self.max_disruptions, 3) as usize,
            max_failures: number(self.max_failures, 3),
            tls_names: self.tls_names.unwrap_or_default().0,
            client_ca: self.client_ca.map(|path| absolute("--client-ca", path)).transpose()?,
            max_requests: number(self.max_requests, 500),
            max_watches: number(self.max_watches, 100) as usize,
            max_watches_in_all: number(self.max_watches_in_all, 2_000) as usize,
            max_engine_calls: number(self.max_engine_calls, 256) as usize,
            max_turns: number(self.max_turns, 512) as usize,
            relist_interval: span(self.relist_interval, Duration::from_secs(30)),
            silence: span(self.silence, policy.silence),
            start_deadline: span(self.start_deadline, policy.start_deadline),
            stop_grace: span(self.stop_grace, policy.stop_grace),
            deletion_grace: span(self.deletion_grace, policy.deletion_grace),
            deletion_limits: deletions::Limits {
                window: span(self.deletion_window, policy.deletions.window),
                share: number(self.deletion_share, policy.deletions.share),
                least: self.deletion_least.map_or(policy.deletions.least, |least| least.0 as usize),
            },
            turn_deadline: span(self.turn_deadline, policy.turn_deadline),
            stop_turn_wait: span(self.stop_turn_wait, policy.stop_turn_wait),
            probe_interval: span(self.probe_interval, policy.probe_interval),
            failing_probe_interval: span(self.failing_probe_interval, policy.failing_probe_interval),
            report_interval: span(self.report_interval, policy.report_interval),
            history: History {
                reports: kept(self.keep_reports, History::default().reports),
                decisions: kept(self.keep_history, History::default().decisions),
                ..History::default()
            },
            keep_copies: Keep {
                count: number(self.keep_backups, 5) as usize,
                age: self.keep_backups_for.map(|age| age.0),
            },
            unreachable_after: number(self.unreachable_after, policy.unreachable_after),
            restart_after: number(self.restart_after, policy.restart_after),
            backoff_first: span(self.backoff_first, policy.backoff_first),
            backoff_longest: span(self.backoff_longest, policy.backoff_longest),
            forget_failures_after: span(self.forget_failures_after, policy.forget_failures_after),
            lobby: LobbyConfig {
                mode: match (self.lobby_mode, &self.lobby_url) {
                    (Some(mode), _) => mode,
                    (None, Some(_)) => LobbyMode::Push,
                    (None, None) => LobbyMode::Off,
                },
                url: self.lobby_url,
                secret_file: self
                    .lobby_secret_file
                    .map(|path| absolute("--lobby-secret-file", path))
                    .transpose()?,
                give_up_after: number(self.lobby_give_up_after, 20),
                deadline: span(self.lobby_deadline, Duration::from_secs(15)),
                keep_delivered: span(self.lobby_keep_delivered, Duration::from_secs(7 * 24 * 3_600)),
                keep_undelivered: span(self.lobby_keep_undelivered, Duration::from_secs(30 * 24 * 3_600)),
            },
            log_format: self.log_format.unwrap_or_default(),
            log_level: self.log_level.unwrap_or_else(|| "info".into()),
            data_dir,
        })
    }
}
