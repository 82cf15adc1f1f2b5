//! The look at desired state: what changed, what came, what is gone.

use std::time::Duration;

use crate::game::GameId;
use crate::store::StoreError;

use super::copies::CopyUnderWay;
use super::entry::Entry;
use super::work::DesiredLook;
use super::{Controller, RETRY, Running};

impl Controller {
    pub(super) fn look_at_desired(&mut self) {
        if self.looking.ask() {
            self.start_looking(Duration::ZERO);
        }
    }

    pub(super) fn start_looking(&self, wait: Duration) {
        let known = self.games.iter().filter_map(|(id, entry)| Some((*id, entry.seen_at()?))).collect();
        self.workshop.look_at_desired(known, self.versions.clone(), self.replacements, wait);
    }

    pub(super) fn desired(&mut self, result: Result<DesiredLook, StoreError>) {
        let again = self.looking.end();
        match result {
            Ok(DesiredLook { changed, gone, versions, spec, replacements }) => {
                self.looked = true;
                self.replacements = replacements;
                self.versions = versions;
                let clock = self.clock.clock();
                for (desired, row_version) in changed {
                    let game = desired.id;
                    let entry = self.games.entry(game).or_insert_with(Entry::unknown);
                    let before = entry.record.as_ref().map(|record| record.phase);
                    entry.declare(desired, row_version, clock);
                    self.context.metrics.moved(before.filter(|_| entry.counted), entry.count());
                    self.nudge(game);
                }
                for game in gone {
                    self.row_gone(game);
                }
                self.say(|health| {
                    health.database_down = None;
                });
                // Before any of them begins.
                if self.guards.looked && spec != self.guards.spec {
                    self.want(spec);
                }
                self.count_deletions();
            }
            Err(error) => {
                let why =
                    std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                tracing::warn!(error = why, "desired state could not be read; nothing is decided on it");
                self.say(|health| health.database_down = Some(why.clone()));
                // The feed tells only of what changes after it: ask again.
                self.looking = Running::Yes;
                self.start_looking(RETRY);
                return;
            }
        }
        if again {
            self.look_at_desired();
        }
    }

    /// A row vanished without even a tombstone: nothing is torn down for that.
    pub(super) fn row_gone(&mut self, game: GameId) {
        let Some(entry) = self.games.get_mut(&game) else { return };
        if entry.in_round {
            // It may be the end of a deletion that this very round brings.
            entry.gone = true;
            return;
        }
        let phase = entry.record.as_ref().map(|record| record.phase);
        let deleted = entry.record.as_ref().is_none_or(|record| record.deleted_at.is_some());
        if !deleted {
            tracing::warn!(game_id = %game, "the game's row is gone; its engine is left alone");
        }
        self.context.metrics.moved(phase.filter(|_| entry.counted), None);
        self.forget(game);
    }

    /// Its row is gone. What is known of it stays, for the case that the row comes back.
    pub(super) fn forget(&mut self, game: GameId) {
        if let Some(entry) = self.games.get_mut(&game) {
            entry.row_is_gone();
        }
        self.queue.forget(game);
        self.pulls.let_go(game, None);
        if self.copies.get(&game).is_some_and(CopyUnderWay::call_off) {
            self.copies.remove(&game);
        }
        for next in self.places.release_all(game) {
            self.nudge(next);
        }
        // It may have come back already, while its end was being recorded.
        self.look_at_desired();
    }
}
