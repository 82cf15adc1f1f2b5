//! Tries, as the engine's user and from inside its container, everything that an engine must not be able to do.
//!
//! Each attempt is really made, and what came of it (`succeeded`, or the kernel's word for the refusal) is written to
//! `attack.json` in the mounted directory and to the log. The report begins with controls, which must succeed: where
//! they do not, the rest proves nothing.

mod attempts;
mod bomb;

use std::fs;
use std::io;
use std::sync::Arc;
use std::thread;

use serde::Serialize;

use crate::engine::Engine;
use crate::knobs::Knobs;
use crate::log::say;

pub(crate) use bomb::{WORD as BOMB, be_part as be_part_of_bomb, drop_bomb};

/// One attempt.
#[derive(Debug, Serialize)]
struct Attempt {
    what: &'static str,
    target: String,
    /// `succeeded`, or why not: `EPERM`, `TimedOut` …
    outcome: String,
    /// How far it came, where that is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<u64>,
}

/// What was tried so far.
#[derive(Debug, Default, Serialize)]
struct Report {
    attempts: Vec<Attempt>,
}

impl Report {
    fn tried<T>(
        &mut self,
        what: &'static str,
        target: impl Into<String>,
        result: Result<T, impl Into<io::Error>>,
    ) {
        self.counted(what, target, None, result.map(drop).map_err(Into::into));
    }

    fn counted(
        &mut self,
        what: &'static str,
        target: impl Into<String>,
        amount: Option<u64>,
        result: io::Result<()>,
    ) {
        let attempt = Attempt { what, target: target.into(), outcome: outcome(result), amount };
        say!("attack: {} {}: {}", attempt.what, attempt.target, attempt.outcome);
        self.attempts.push(attempt);
    }
}

fn outcome(result: io::Result<()>) -> String {
    match result {
        Ok(()) => "succeeded".into(),
        Err(problem) => match problem.raw_os_error() {
            Some(number) => format!("{:?}", nix::errno::Errno::from_raw(number)),
            None => format!("{:?}", problem.kind()),
        },
    }
}

/// Makes every attempt, beside the game, and reports.
pub(crate) fn begin(engine: &Arc<Engine>, knobs: &Knobs) {
    if !knobs.attack {
        return;
    }
    let (engine, knobs) = (Arc::clone(engine), knobs.clone());
    thread::spawn(move || {
        let mut report = Report::default();
        attempts::make_all(&mut report, &engine.config, &knobs);
        if let Err(problem) = publish(&report, &engine) {
            say!("the attack cannot be reported: {problem}");
        }
    });
}

/// Whoever sees the report sees all of it.
fn publish(report: &Report, engine: &Engine) -> io::Result<()> {
    let mount = engine.config.mount();
    fs::write(mount.join("attack.tmp"), serde_json::to_vec_pretty(report)?)?;
    fs::rename(mount.join("attack.tmp"), mount.join("attack.json"))
}
