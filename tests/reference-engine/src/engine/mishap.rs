//! What knobs do in the middle of an init or a turn.

use std::process;
use std::thread::{park, sleep};
use std::time::Duration;

use super::Engine;
use crate::game::Game;
use crate::journal::Event;
use crate::knobs::{self, Knobs, Moment};
use crate::log::say;

const CRASH_CODE: i32 = 70;

impl Engine {
    pub(super) fn mishap_before_init(&self, game: &Game, knobs: &Knobs) {
        sleep(Duration::from_millis(knobs.slow_init_ms));
        match knobs.crash_init {
            Some(Moment::Before) => self.crash("crash-init", knobs.crash_init_times, knobs, 0, None),
            Some(Moment::During) => self.crash("crash-init", knobs.crash_init_times, knobs, 0, Some(game)),
            Some(Moment::After) | None => {}
        }
    }

    pub(super) fn mishap_after_init(&self, knobs: &Knobs) {
        if knobs.crash_init == Some(Moment::After) {
            self.crash("crash-init", knobs.crash_init_times, knobs, 0, None);
        }
    }

    pub(super) fn mishap_before_turn(&self, next: &Game, knobs: &Knobs) {
        sleep(Duration::from_millis(knobs.slow_turn_ms));
        if knobs::names(knobs.hang_on_turn, next.turn) && self.knobs.take_turn("hang", knobs.hang_times) {
            say!("turn {} hangs, as told", next.turn);
            match knobs.hang_ms {
                Some(ms) => sleep(Duration::from_millis(ms)),
                None => loop {
                    park();
                },
            }
        }
        if knobs::names(knobs.crash_on_turn, next.turn) && knobs.crash_when != Moment::After {
            let half = (knobs.crash_when == Moment::During).then_some(next);
            self.crash("crash", knobs.crash_times, knobs, next.turn, half);
        }
    }

    pub(super) fn mishap_after_turn(&self, next: &Game, knobs: &Knobs) {
        if knobs::names(knobs.crash_on_turn, next.turn) && knobs.crash_when == Moment::After {
            self.crash("crash", knobs.crash_times, knobs, next.turn, None);
        }
    }

    fn crash(&self, name: &str, times: Option<u64>, knobs: &Knobs, turn: u64, half: Option<&Game>) {
        if !self.knobs.take_turn(name, times) {
            return;
        }
        if let Some(game) = half {
            let _ = self.store.save_half(game);
        }
        let _ = self.journal.write(Event::Crash, turn);
        say!("crashing at turn {turn}, as told");
        match knobs.crash_code {
            Some(-1) => process::abort(),
            code => process::exit(code.unwrap_or(CRASH_CODE)),
        }
    }
}
