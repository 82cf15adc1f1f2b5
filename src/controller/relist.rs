//! The look at Docker: one list for all games, compared with what is remembered.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::game::GameId;
use crate::game::container::StateDirectory;
use crate::game::controller::Freeze;
use crate::reconcile::Looked;
use crate::runtime::{Listed, RuntimeError};

use super::facts::News;
use super::work::Everything;
use super::{ASK_AGAIN, Controller, Running};

impl Controller {
    pub(super) fn relist(&mut self) {
        if self.listing.ask() {
            self.context.metrics.relists.inc();
            self.workshop.list(Duration::ZERO, !self.docker_verified);
        }
    }

    pub(super) fn listed(&mut self, everything: Everything) {
        let again = self.listing.end();
        let Everything { ground, containers, directories } = everything;
        let ground_known = ground.is_ok();
        match ground {
            Ok(look) => {
                self.stand_on(look);
                self.say(|status| status.database_down = None);
            }
            // No database, no decision: what was known of the ground goes on holding.
            Err(error) => {
                let why = crate::reconcile::apply::chain(&error);
                tracing::warn!(error = why, "the database does not say what the games stand on");
                self.say(|status| status.database_down = Some(why));
            }
        }
        match (containers, self.guards.other_docker().cloned()) {
            (Ok(_), Some(freeze)) => self.another_docker(&freeze),
            (Ok(_), None) if !ground_known && !self.docker_verified => self.list_again(),
            (Ok(containers), None) => {
                self.docker_verified = true;
                let was_down = self.docker_down.take().is_some();
                if was_down {
                    tracing::info!("Docker answers again");
                    self.tell_all(false, "DockerAnswers", "Docker answers again.");
                }
                self.context.metrics.docker_up.set(1);
                self.say(|health| {
                    health.started = true;
                    health.docker_down = None;
                });
                self.compare(&containers, directories.as_ref(), was_down);
                self.report_orphans(&containers);
            }
            (Err(error), _) => self.docker_is_silent(&error),
        }
        tracing::debug!("looked at everything");
        // What was asked before the interruption says nothing about what came after it.
        self.docker_in_doubt &= again;
        if again {
            self.relist();
        }
    }

    /// Another Docker Engine answers: the one that the games run on does not.
    fn another_docker(&mut self, freeze: &Freeze) {
        self.docker_verified = false;
        self.docker_down.get_or_insert_with(|| (Timestamp::now(), freeze.message.clone()));
        self.say(|status| status.started = true);
    }

    fn list_again(&mut self) {
        self.workshop.list(ASK_AGAIN, true);
        self.listing = Running::Yes;
    }

    /// Compares the bulk list with what is remembered; only what differs is looked at.
    pub(super) fn compare(
        &mut self,
        containers: &[Listed],
        directories: Option<&HashSet<GameId>>,
        was_down: bool,
    ) {
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
        for (game, entry) in self.games.iter().filter(|(_, entry)| entry.has_state()) {
            // After what is stale: what is seen here is the newest.
            let known_gone = entry.facts.state_directory == Looked::At(StateDirectory::Absent);
            let there = directories
                .filter(|_| self.guards.freeze().is_none())
                .map(|directories| directories.contains(game));
            if let Some(there) = there.filter(|there| *there == known_gone) {
                stale.push((*game, News::StateDirectory(there)));
            }
        }
        for (game, news) in stale {
            self.tell(game, news);
        }
    }

    pub(super) fn docker_is_silent(&mut self, error: &RuntimeError) {
        let why = crate::reconcile::apply::failure(&crate::reconcile::Step::LookAtNetwork, error).message;
        self.context.metrics.docker_up.set(0);
        if self.docker_down.is_none() {
            tracing::warn!(error = why, "Docker does not answer; nothing is decided until it does");
            self.docker_down = Some((Timestamp::now(), why.clone()));
            self.tell_all(
                true,
                "DockerUnreachable",
                &format!("Docker does not answer; nothing is decided until it does: {why}"),
            );
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
        self.list_again();
    }
}
