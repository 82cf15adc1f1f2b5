//! The settings of a file, strictly read.

use std::path::Path;

use serde::Deserialize;

use super::{ConfigError, Settings};

/// Larger than any file of settings.
const MAX_BYTES: u64 = 1 << 20;

/// Reads the settings of a file.
pub(super) fn read(path: &Path) -> Result<Settings, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_BYTES {
        return Err(failed(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "it is larger than 1 MiB")));
    }
    parse(path, &std::fs::read_to_string(path).map_err(failed)?)
}

/// Reads settings from a text; an empty one makes none. Relative paths in it are meant from the
/// file's own directory.
pub(super) fn parse(path: &Path, text: &str) -> Result<Settings, ConfigError> {
    let at = |line: usize, column: usize| format!("{}:{line}:{column}", path.display());
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Settings::default());
    }
    let mut settings = Settings::deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
        ConfigError::File { place: at(line, column), message: told(&error.to_string()) }
    })?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let places = [&mut settings.data_dir, &mut settings.state_root, &mut settings.lobby_secret_file];
    for place in places.into_iter().flatten() {
        *place = directory.join(&place);
    }
    Ok(settings)
}

/// The parser's message without the place that it repeats.
fn told(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    match message.split_once(", expected one of ") {
        Some((what, known)) => format!("{what}; known are {known}"),
        None => message.to_owned(),
    }
}
