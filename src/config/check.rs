//! What one setting alone cannot show to be wrong.

use std::path::Path;

use super::{Config, ConfigError};

impl Config {
    /// These settings, if they can be used together.
    pub(super) fn checked(self) -> Result<Self, ConfigError> {
        let Some((setting, message)) = self.problem() else { return Ok(self) };
        Err(ConfigError::Wrong { setting, message })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        let relative =
            |path: &Path| (!path.is_absolute()).then(|| format!("`{}` has to be absolute", path.display()));
        if let Some(message) = self.state_root_on_host.as_deref().and_then(relative) {
            return Some(("--state-root-on-host", message));
        }
        if !Path::new(&self.mount_path).is_absolute() || self.mount_path.trim_end_matches('/').is_empty() {
            let message = format!(
                "`{}` is no directory in a container; write an absolute path below /",
                self.mount_path
            );
            return Some(("--mount-path", message));
        }
        if self.state_root == self.data_dir {
            let message = "is the data directory itself; use one of its own, as in DATA_DIR/games";
            return Some(("--state-root", message.into()));
        }
        if self.metrics_listen.is_some_and(|metrics| metrics == self.listen && metrics.port() != 0) {
            return Some((
                "--metrics-listen",
                format!("{} is where the API listens; use another port", self.listen),
            ));
        }
        if !is_network(&self.network) {
            let message = format!(
                "`{}` is no name of a user-defined network; use letters, digits, `_`, `.` and `-`, beginning with a letter or digit",
                self.network.escape_debug()
            );
            return Some(("--network", message));
        }
        if self.restart_after < self.unreachable_after {
            let message = format!(
                "{} is less than --unreachable-after ({}); an engine is unreachable before it is restarted",
                self.restart_after, self.unreachable_after
            );
            return Some(("--restart-after", message));
        }
        if self.backoff_longest < self.backoff_first {
            return Some((
                "--backoff-longest",
                "is shorter than --backoff-first; make it at least as long".into(),
            ));
        }
        if let Some(problem) = self.lobby.problem() {
            return Some(problem);
        }
        let words = ["off", "error", "warn", "info", "debug", "trace"];
        let alone = !self.log_level.contains(['=', ',', '[']);
        if alone && !words.contains(&self.log_level.to_ascii_lowercase().as_str()) {
            let message = format!(
                "`{}` is no level; write error, warn, info, debug or trace, or directives as in info,gamekeeper=debug",
                self.log_level.escape_debug()
            );
            return Some(("--log-level", message));
        }
        let level = tracing_subscriber::filter::EnvFilter::builder().parse(&self.log_level);
        level.err().map(|error| {
            let message = format!(
                "`{}`: {error}; write error, warn, info, debug or trace, or directives as in info,gamekeeper=debug",
                self.log_level.escape_debug()
            );
            ("--log-level", message)
        })
    }
}

/// Docker's own rule for names, less the networks that every daemon has: on those engines would
/// have no names, or no network of their own.
fn is_network(name: &str) -> bool {
    let bytes = name.as_bytes();
    (2..=128).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(b))
        && !["bridge", "host", "none"].contains(&name)
}
