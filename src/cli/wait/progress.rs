//! What people see while a command waits: a moving line on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::output::remark;

/// So many of those that are waited for are named at once.
const NAMED: usize = 3;

/// How one of those that are waited for is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// Its name.
    pub(crate) name: String,
    /// As a line of its own where nothing moves: it is printed again only if this changed.
    pub(crate) step: String,
    /// With everything that is known now.
    pub(crate) detail: String,
    /// Something happens to it now: it is named before those that wait.
    pub(crate) active: bool,
}

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

    /// Shows those that are still waited for; `sum` is said of all of them.
    pub(super) fn show(&mut self, done: usize, sum: &str, mut states: Vec<State>) {
        states.sort_by_key(|state| !state.active);
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            let mut message: Vec<_> = (!sum.is_empty()).then(|| sum.to_owned()).into_iter().collect();
            message.extend(
                states.iter().take(NAMED).map(|State { name, detail, .. }| format!("{name}: {detail}")),
            );
            if states.len() > NAMED {
                message.push(format!("and {} more", states.len() - NAMED));
            }
            bar.set_message(message.join(", "));
            return;
        }
        for State { name, step, detail, active: _ } in states {
            if self.told.get(&name) != Some(&step) {
                remark(&format!("{name}: {detail}"));
                self.told.insert(name, step);
            }
        }
        if !sum.is_empty() && self.told.get("").is_none_or(|told| told != sum) {
            remark(sum);
            self.told.insert(String::new(), sum.to_owned());
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
