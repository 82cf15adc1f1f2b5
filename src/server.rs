//! The whole server in one process: controller, API, metrics.

use crate::config::Config;

/// Runs until it is asked to end.
///
/// # Errors
/// Whatever keeps it from starting, or ends it.
pub async fn run(config: Config) -> anyhow::Result<()> {
    anyhow::bail!("this build has no server; nothing was opened in {}", config.data_dir.display())
}
