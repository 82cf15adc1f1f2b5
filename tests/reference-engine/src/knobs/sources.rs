//! Where knobs come from, and how often one that is bounded has acted.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Map, Value};

use crate::config::Config;
use crate::knobs::Knobs;
use crate::log::say;

/// These begin with the prefix but are no knobs.
const NOT_KNOBS: [&str; 2] = ["ENGINE_VERSION", "ENGINE_CONTRACT"];
const FILE: &str = "misbehave.json";

/// All sources, asked again at each request.
#[derive(Debug)]
pub(crate) struct KnobSources {
    environment: Map<String, Value>,
    files: [PathBuf; 2],
    mount: PathBuf,
    version: String,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    /// What the call said, if it was made.
    told: Option<Knobs>,
    /// What the other sources said when they last made sense.
    read: Knobs,
}

impl KnobSources {
    pub(crate) fn load(config: &Config) -> Result<KnobSources, String> {
        let sources = KnobSources {
            environment: environment(env::vars()),
            files: [config.mount().join(FILE), config.state_path.join(FILE)],
            mount: config.mount().into(),
            version: config.version.clone(),
            now: Mutex::new(Now { told: None, read: Knobs::default() }),
        };
        let read = sources.read()?;
        sources.now().read = read;
        Ok(sources)
    }

    /// What holds now.
    pub(crate) fn current(&self) -> Knobs {
        let read = self.read();
        let mut now = self.now();
        if let Some(told) = &now.told {
            return told.clone();
        }
        match read {
            Ok(read) => now.read = read,
            Err(problem) => say!("knobs stay as they were: {problem}"),
        }
        now.read.clone()
    }

    /// Replaces everything, or with `None` goes back to the environment and the files.
    pub(crate) fn tell(&self, knobs: Option<Knobs>) {
        self.now().told = knobs;
    }

    /// Whether knob `name` may act once more; counts that it did.
    pub(crate) fn take_turn(&self, name: &str, times: Option<u64>) -> bool {
        let Some(times) = times else { return true };
        let count = || -> io::Result<bool> {
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.mount.join(format!("misbehave.{name}")))?;
            if file.metadata()?.len() >= times {
                return Ok(false);
            }
            file.write_all(b"x")?;
            file.sync_all()?;
            Ok(true)
        };
        count().unwrap_or_else(|problem| {
            say!("cannot count {name}: {problem}");
            false
        })
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn read(&self) -> Result<Knobs, String> {
        let mut all = self.environment.clone();
        for file in &self.files {
            all.extend(object(file)?);
        }
        let knobs: Knobs =
            serde_json::from_value(Value::Object(all)).map_err(|problem| format!("knobs: {problem}"))?;
        let concerns_others = knobs.only_version.as_ref().is_some_and(|version| *version != self.version);
        Ok(if concerns_others { Knobs::default() } else { knobs })
    }
}

fn object(file: &Path) -> Result<Map<String, Value>, String> {
    match fs::read(file) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map_err(|problem| format!("{}: {problem}", file.display()))
        }
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
        Err(problem) => Err(format!("{}: {problem}", file.display())),
    }
}

/// `ENGINE_CRASH_ON_TURN=5` as `"crashOnTurn": 5`; what is no JSON is a string.
fn environment(vars: impl Iterator<Item = (String, String)>) -> Map<String, Value> {
    vars.filter(|(name, value)| !NOT_KNOBS.contains(&name.as_str()) && !value.is_empty())
        .filter_map(|(name, value)| {
            let knob = camel_case(name.strip_prefix("ENGINE_")?);
            let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
            Some((knob, value))
        })
        .collect()
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_').map(str::to_lowercase);
    let first = words.next().unwrap_or_default();
    words.fold(first, |mut knob, word| {
        let mut letters = word.chars();
        knob.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        knob.push_str(letters.as_str());
        knob
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knobs(pairs: &[(&str, &str)]) -> Result<Knobs, serde_json::Error> {
        let vars = pairs.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string()));
        serde_json::from_value(Value::Object(environment(vars)))
    }

    #[test]
    fn the_environment_names_knobs() {
        let told = [
            ("ENGINE_CRASH_ON_TURN", "5"),
            ("ENGINE_CRASH_WHEN", "after"),
            ("ENGINE_STATUS500", "true"),
            ("ENGINE_ALLOCATE_MB", "64"),
            ("ENGINE_ODD_PLAYERS", "otherIds"),
            ("ENGINE_VERSION", "1.4.2"),
            ("HOME", "/"),
        ];
        let knobs = knobs(&told).expect("known knobs");
        assert_eq!((knobs.crash_on_turn, knobs.status500, knobs.allocate_mb), (Some(5), true, 64));
    }

    #[test]
    fn a_typo_is_refused() {
        assert!(knobs(&[("ENGINE_CRASH_ON_TRUN", "5")]).is_err());
        assert!(knobs(&[("ENGINE_CRASH_ON_TURN", "soon")]).is_err());
    }
}
