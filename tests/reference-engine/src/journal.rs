//! `journal.jsonl` under the state path: one line for each start, init and turn, synced before the next thing happens.
//!
//! The tests' oracle. *Accepted* is written before anything changes, *done* after the state was renamed; a turn whose
//! *done* the process did not live to write gets it at the next start (`"recovered": true`). So each turn is done
//! exactly once, whatever happened, and a second *accepted* tells that it was asked for again after a crash.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Event {
    /// A process began to serve this state.
    Start,
    /// It was told to stop, and did.
    Stop,
    /// A process found another one serving this state, and gave up.
    Conflict,
    InitAccepted,
    InitDone,
    TurnAccepted,
    TurnDone,
    /// A knob ends the process here.
    Crash,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Milliseconds since 1970.
    pub(crate) at: u64,
    /// Which process; as good as unique.
    pub(crate) boot: String,
    pub(crate) version: String,
    pub(crate) event: Event,
    /// The turn reached (start, stop, init) or generated.
    pub(crate) turn: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) recovered: bool,
}

/// Appends to the file of one state directory.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    boot: String,
    version: String,
}

impl Journal {
    pub(crate) fn new(directory: &Path, boot: &str, version: &str) -> Journal {
        Journal { path: directory.join("journal.jsonl"), boot: boot.into(), version: version.into() }
    }

    /// Writes a line and syncs it.
    pub(crate) fn write(&self, event: Event, turn: u64) -> io::Result<()> {
        self.append(event, turn, false)
    }

    /// Writes the *done* of a turn or init that was committed by a process that died before it could say so.
    pub(crate) fn recover(&self, turn: u64) -> io::Result<()> {
        let done = if turn == 0 { Event::InitDone } else { Event::TurnDone };
        let lines = self.read()?;
        if lines.iter().any(|line| line.event == done && line.turn == turn) {
            return Ok(());
        }
        self.append(done, turn, true)
    }

    /// Every whole line; what a crash left half-written is passed over.
    pub(crate) fn read(&self) -> io::Result<Vec<Line>> {
        let text = match std::fs::read(&self.path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => String::new(),
            Err(problem) => return Err(problem),
        };
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    fn append(&self, event: Event, turn: u64, recovered: bool) -> io::Result<()> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_millis() as u64);
        let line =
            Line { at, boot: self.boot.clone(), version: self.version.clone(), event, turn, recovered };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        if self.ends_torn()? {
            bytes.insert(0, b'\n');
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        // One write, so that a crash tears at most this line.
        file.write_all(&bytes)?;
        file.sync_all()
    }

    fn ends_torn(&self) -> io::Result<bool> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(problem) => return Err(problem),
        };
        if file.metadata()?.len() == 0 {
            return Ok(false);
        }
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok(last != *b"\n")
    }
}
