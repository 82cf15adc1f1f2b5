//! Where data lives when nobody says.

use std::path::PathBuf;

use super::ConfigError;

/// The data directory of a system service.
const OF_ROOT: &str = "/var/lib/gamekeeper";

/// The data directory of this user: `/var/lib/gamekeeper` of root, `$XDG_DATA_HOME/gamekeeper` or
/// `~/.local/share/gamekeeper` of everybody else.
///
/// # Errors
/// [`ConfigError::NoHome`].
pub fn default_data_dir() -> Result<PathBuf, ConfigError> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    data_dir_of(rustix::process::geteuid().is_root(), variable("XDG_DATA_HOME"), variable("HOME"))
}

pub(super) fn data_dir_of(
    root: bool,
    xdg: Option<PathBuf>,
    home: Option<PathBuf>,
) -> Result<PathBuf, ConfigError> {
    if root {
        return Ok(OF_ROOT.into());
    }
    // The XDG specification has relative paths ignored.
    let absolute = |path: &PathBuf| path.is_absolute();
    xdg.filter(absolute)
        .or_else(|| home.filter(absolute).map(|home| home.join(".local/share")))
        .map(|data| data.join("gamekeeper"))
        .ok_or(ConfigError::NoHome)
}
