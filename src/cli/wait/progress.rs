//! What people see while a command waits: a moving line on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Awaited;
use crate::cli::output::remark;

/// So many of those that are waited for are named at once.
const NAMED: usize = 3;

/// Shows how far it is, on standard error.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    told: HashMap<String, String>,
}

impl Progress {
    pub(super) fn new(count: usize) -> Self {
        let bar = ProgressBar::new(count as u64);
        let bar = (!bar.is_hidden()).then(|| {
            if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {elapsed} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, told: HashMap::new() }
    }

    /// Shows those that are still waited for.
    pub(super) fn show<'a>(&mut self, done: usize, waiting: impl Iterator<Item = &'a Awaited>) {
        let states: Vec<_> = waiting.map(|awaited| (awaited.shown(), awaited.state())).collect();
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            let mut message: Vec<_> =
                states.iter().take(NAMED).map(|(name, state)| format!("{name}: {state}")).collect();
            if states.len() > NAMED {
                message.push(format!("and {} more", states.len() - NAMED));
            }
            bar.set_message(message.join(", "));
            return;
        }
        for (name, state) in states {
            if self.told.get(&name) != Some(&state) {
                remark(&format!("{name}: {state}"));
                self.told.insert(name, state);
            }
        }
    }

    /// Prints something without disturbing the moving line.
    pub(super) fn beside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
