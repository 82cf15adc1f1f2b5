//! A fork bomb: processes that make processes, for as long as the kernel lets them.

use std::fs;
use std::io;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::engine::Engine;
use crate::log::say;

/// The argument that makes a process a part of it.
pub(crate) const WORD: &str = "part-of-a-fork-bomb";

/// How soon a process that could make no other tries again.
const PAUSE: Duration = Duration::from_millis(20);

/// Begins it, and reports in `bomb.json` in the mounted directory how it was stopped.
pub(crate) fn drop_bomb(engine: &Engine) {
    let report = engine.config.mount().join("bomb.json");
    let began = thread::Builder::new().spawn(move || {
        let problem = grow();
        let outcome = super::outcome(Err(problem));
        say!("the fork bomb is held: {outcome}");
        let _ = fs::write(report, serde_json::json!({ "outcome": outcome }).to_string());
        be_part();
    });
    if let Err(problem) = began {
        say!("no fork bomb: {problem}");
    }
}

/// Never ends, and never stops trying.
pub(crate) fn be_part() -> ! {
    loop {
        let _ = grow();
        thread::sleep(PAUSE);
    }
}

/// Makes processes until one cannot be made.
fn grow() -> io::Error {
    loop {
        match part() {
            // Waited for by nobody: they do not end.
            Ok(child) => drop(child),
            Err(problem) => return problem,
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn part() -> io::Result<Child> {
    Command::new("/proc/self/exe").arg(WORD).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).spawn()
}
