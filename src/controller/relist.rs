//! The look at Docker: one list for all games, compared with what is remembered.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::game::GameId;
use crate::runtime::{Listed, RuntimeError};

use super::entry::Entry;
use super::facts::News;
use super::{ASK_AGAIN, Controller, Running};

impl Controller {
    pub(super) fn relist(&mut self) {
        if self.listing.ask() {
            self.context.metrics.relists.inc();
            self.workshop.list(Duration::ZERO, !self.docker_verified);
        }
    }

    pub(super) fn listed(&mut self, result: Result<Vec<Listed>, RuntimeError>) {
        let again = self.listing.end();
        match result {
            Ok(containers) => {
                self.docker_verified = true;
                let was_down = self.docker_down.take().is_some();
                if was_down {
                    tracing::info!("Docker answers again");
                }
                self.context.metrics.docker_up.set(1);
                self.say(|health| {
                    health.started = true;
                    health.docker_down = None;
                });
                self.compare(&containers, was_down);
            }
            Err(error) => self.docker_is_silent(&error),
        }
        if again {
            self.relist();
        }
    }

    /// Compares the bulk list with what is remembered; only what differs is looked at.
    pub(super) fn compare(&mut self, containers: &[Listed], was_down: bool) {
        let listed: HashMap<GameId, &Listed> =
            containers.iter().map(|listed| (listed.game, listed)).collect();
        let mut stale = Vec::new();
        for (game, entry) in self.games.iter().filter(|(_, entry)| entry.is_desired()) {
            let agrees = entry.facts.agree_with(*game, listed.get(game).copied());
            if was_down || entry.waits_for_person() {
                stale.push((*game, News::EverythingStale));
            } else if entry.silent_since().is_none() && !agrees {
                // (About a silent one Docker is asked again by its own retry.)
                stale.push((*game, News::ContainerStale));
            }
        }
        for (game, news) in stale {
            self.tell(game, news);
        }
        let has_row = |listed: &&Listed| self.games.get(&listed.game).is_some_and(Entry::is_desired);
        for listed in containers.iter().filter(|listed| self.looked && !has_row(listed)) {
            tracing::warn!(game_id = %listed.game, container = listed.id.short(), "a container of ours has no row; it is left alone");
        }
    }

    pub(super) fn docker_is_silent(&mut self, error: &RuntimeError) {
        let why = crate::reconcile::apply::failure(&crate::reconcile::Step::LookAtNetwork, error).message;
        self.context.metrics.docker_up.set(0);
        if self.docker_down.is_none() {
            tracing::warn!(error = why, "Docker does not answer; nothing is decided until it does");
            self.docker_down = Some((Timestamp::now(), why.clone()));
            let games: Vec<GameId> = self.games.keys().copied().collect();
            for game in games {
                self.nudge(game);
            }
        }
        self.say(|health| {
            health.started = true;
            health.docker_down = Some(why.clone());
        });
        // Whoever answers next may be another one.
        self.docker_verified = false;
        self.workshop.list(ASK_AGAIN, true);
        self.listing = Running::Yes;
    }
}
