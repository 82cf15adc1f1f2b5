//! The relist: a look at desired state, and one at Docker, by one list for all games, compared with what
//! is remembered.

use std::collections::HashMap;
use std::time::Duration;

use crate::game::GameId;
use crate::game::container::StateDirectory;
use crate::game::controller::Freeze;
use crate::reconcile::Looked;
use crate::reconcile::observed::{DOCKER_TOO_SLOW, DOCKER_UNREACHABLE};
use crate::runtime::{Listed, RuntimeError};

use super::facts::{News, Silence};
use super::work::{Directories, Everything};
use super::{ASK_AGAIN, Controller, Over, Running, Trust};

impl Controller {
    /// Looks at everything, whatever was announced. An announcement may be lost without anybody's
    /// noticing, so every change of desired state is seen within one relist interval without any.
    pub(super) fn relist(&mut self) {
        // Whatever Docker does: its list may be long in coming.
        self.look_at_desired();
        if self.listing.ask() {
            self.context.metrics.relists.inc();
            self.workshop.list(Duration::ZERO, self.docker_known(), self.doubts);
        }
    }

    /// Who answers, if that is beyond doubt.
    pub(super) fn docker_known(&self) -> Option<String> {
        match &self.docker {
            Trust::Verified(id) => Some(id.clone()),
            Trust::Doubtful => None,
        }
    }

    pub(super) fn listed(&mut self, everything: Everything) {
        let again = self.listing.end();
        let Everything { docker, doubts, ground, ground_at, containers, directories } = everything;
        let ground_known = ground.is_ok();
        match ground {
            Ok(look) => {
                if look.went_back {
                    self.end_leadership(Over::DatabaseOlder);
                }
                self.stand_on(look);
                self.database_says(ground_at, None);
            }
            // No database, no decision: what was known of the ground goes on holding.
            Err(error) => {
                let why = crate::reconcile::apply::chain(&error);
                tracing::warn!(error = why, "the database does not say what the games stand on");
                self.database_says(ground_at, Some(why));
            }
        }
        let other = self.guards.other_docker().cloned();
        let beyond_doubt = docker.filter(|_| doubts == self.doubts);
        match (containers, beyond_doubt, other) {
            (Err(error), ..) => self.docker_is_silent(&error),
            (Ok(_), _, Some(freeze)) => self.another_docker(&freeze),
            // Something came between: what was listed may be somebody else's.
            (Ok(_), None, None) => {}
            (Ok(_), Some(_), None) if !ground_known && self.docker_known().is_none() => {}
            (Ok(containers), Some(id), None) => {
                self.docker = Trust::Verified(id);
                self.docker_answers(&containers, directories.as_ref());
            }
        }
        tracing::debug!("looked at everything");
        if again {
            self.relist();
        } else if self.docker_known().is_none() && self.listing == Running::No {
            self.list_again();
        }
    }

    fn docker_answers(&mut self, containers: &[Listed], directories: Option<&Directories>) {
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
        self.compare(containers, directories, was_down);
        self.report_orphans(containers);
    }

    /// Another Docker Engine answers: the one that the games run on does not.
    fn another_docker(&mut self, freeze: &Freeze) {
        self.doubt_docker();
        let now = self.clock.clock().now();
        self.docker_down.get_or_insert_with(|| Silence::of_all(freeze.message.clone(), now));
        self.say(|status| status.started = true);
    }

    fn list_again(&mut self) {
        self.workshop.list(ASK_AGAIN, None, self.doubts);
        self.listing = Running::Yes;
    }

    /// Compares the bulk list with what is remembered; only what differs is looked at. What is remembered may
    /// be the newer of the two, so the list takes the place of nothing.
    pub(super) fn compare(
        &mut self,
        containers: &[Listed],
        directories: Option<&Directories>,
        was_down: bool,
    ) {
        let listed: HashMap<GameId, &Listed> =
            containers.iter().map(|listed| (listed.game, listed)).collect();
        let mut stale = Vec::new();
        for (game, entry) in self.games.iter().filter(|(_, entry)| entry.is_desired()) {
            let agrees = entry.facts.agree_with(*game, listed.get(game).copied());
            if was_down || (entry.waits_for_person() && self.guards.freeze().is_none()) {
                stale.push((*game, News::EverythingStale));
            } else if entry.silent_since().is_none() && !agrees {
                // (About a silent one Docker is asked again by its own retry.)
                stale.push((*game, News::ContainerStale));
            }
        }
        for (game, entry) in self.games.iter().filter(|(_, entry)| entry.has_state()) {
            // After what is stale: what is seen here is the newest.
            let known_gone = entry.facts.state_directory == Looked::At(StateDirectory::Absent);
            let listed = directories.filter(|_| self.guards.freeze().is_none());
            let there = listed.map(|listed| (listed.at, listed.of.contains(game)));
            // A state that is being removed was moved out of its place first: that says nothing of what is left.
            let is_news = |there: bool| there == known_gone && (there || !entry.is_erasing());
            if let Some((at, there)) = there.filter(|(_, there)| is_news(*there)) {
                stale.push((*game, News::StateDirectory(at, there)));
            }
        }
        for (game, news) in stale {
            self.tell(game, news);
        }
    }

    pub(super) fn docker_is_silent(&mut self, error: &RuntimeError) {
        let failure = crate::reconcile::apply::failure(&crate::reconcile::Step::LookAtNetwork, error);
        // A list that is late is no call on one container: all of Docker is.
        let reason =
            if failure.reason == DOCKER_TOO_SLOW { DOCKER_UNREACHABLE.to_owned() } else { failure.reason };
        let why = failure.message;
        self.context.metrics.docker_up.set(0);
        if self.docker_down.is_none() {
            tracing::warn!(error = why, "Docker does not answer; nothing is decided until it does");
            let now = self.clock.clock().now();
            self.docker_down = Some(Silence { reason: reason.clone(), ..Silence::of_all(why.clone(), now) });
            self.tell_all(
                true,
                &reason,
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
        self.doubt_docker();
    }
}
