//! The look at desired state: what changed, what came, what is gone.

use std::collections::hash_map::Entry as MapEntry;
use std::time::Duration;

use crate::clock::Moment;
use crate::game::GameId;
use crate::store::StoreError;

use super::copies::CopyUnderWay;
use super::entry::Entry;
use super::work::{DesiredLook, Known};
use super::{Controller, RETRY, Running};

impl Controller {
    pub(super) fn look_at_desired(&mut self) {
        if self.looking.ask() {
            self.start_looking(Duration::ZERO);
        }
    }

    pub(super) fn start_looking(&self, wait: Duration) {
        let games = self.games.iter().map(|(id, entry)| (*id, entry.seen_at())).collect();
        let unsure =
            self.games.iter().filter(|(_, entry)| entry.may_have_ended()).map(|(id, _)| *id).collect();
        let (versions, replacements) = (self.versions.clone(), self.replacements);
        self.workshop.look_at_desired(Known { games, versions, unsure, replacements }, wait);
    }

    pub(super) fn desired(&mut self, result: Result<DesiredLook, StoreError>) {
        let mut again = self.looking.end();
        match result {
            Ok(DesiredLook {
                began,
                changed,
                mut records,
                gone,
                versions,
                spec,
                mut ended,
                replacements,
            }) => {
                self.replacements = replacements;
                self.versions = versions;
                let clock = self.clock.clock();
                for (game, entry) in self.games.iter_mut().filter(|(_, entry)| entry.may_have_ended()) {
                    let before = entry.record.as_ref().map(|record| record.phase).filter(|_| entry.counted);
                    if entry.learns_its_end(began, ended.remove(game)) && before.is_some() {
                        self.context.metrics.moved(before, entry.count());
                    }
                }
                for (desired, row_version) in changed {
                    let game = desired.id;
                    let (entry, is_new) = match self.games.entry(game) {
                        MapEntry::Occupied(entry) => (entry.into_mut(), false),
                        MapEntry::Vacant(place) => {
                            let Some(record) = records.remove(&game) else {
                                // It was let go of while this look went on, and has come back: its record
                                // has to be read first.
                                again = true;
                                continue;
                            };
                            (place.insert(record.map_or_else(Entry::unknown, Entry::known)), true)
                        }
                    };
                    if entry.has_ended_since(began) {
                        // The row that was read is the one that went; another look is asked for.
                        continue;
                    }
                    let before = entry.record.as_ref().map(|record| record.phase);
                    let comes = !entry.is_desired();
                    entry.declare(desired, row_version, clock);
                    if let Some(record) = entry.record.as_ref().filter(|_| comes) {
                        // Before the first round of any game.
                        self.places.come(game, record);
                    }
                    self.context.metrics.moved(before.filter(|_| entry.counted), entry.count());
                    if is_new {
                        self.keep_room(game);
                    }
                    self.nudge(game);
                }
                for game in gone {
                    self.row_gone(game);
                }
                self.database_says(Moment::now(), None);
                // Before any of them begins.
                self.want(spec);
                self.looked = true;
                self.count_deletions();
            }
            Err(error) => {
                let why =
                    std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                tracing::warn!(error = why, "desired state could not be read; nothing is decided on it");
                self.database_says(Moment::now(), Some(why));
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
        self.context.runtime.keep_room(game, None);
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
