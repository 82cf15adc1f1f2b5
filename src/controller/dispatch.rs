//! Rounds and work: who is due, what begins, what came of it.

use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use crate::game::GameId;
use crate::reconcile::apply::Background;
use crate::reconcile::{Step, Work};

use super::copies::{CopyName, CopyUnderWay, Progress};
use super::entry::Around;
use super::facts::News;
use super::round::{self, Output};
use super::work::Finished;
use super::{Controller, MOST_ROUNDS, RETRY, SOONEST};

impl Controller {
    pub(super) fn start_due_rounds(&mut self) {
        if !self.may_begin() {
            return;
        }
        let now = Instant::now();
        while self.has_place_for_a_round()
            && let Some(game) = self.queue.pop(now)
        {
            let around = Around {
                start_slot: self.places.starts.holds(game),
                disruption_place: self.places.disruptions.holds(game),
                copying: self.copies.get(&game).map(super::copies::words),
                failures: &self.failures,
                pulling: self.pulls.of(game),
                docker_down: self.docker_down.clone(),
                docker_engine_id: self.docker_known(),
                guards: &self.guards,
                clock: self.clock.clock(),
            };
            let Some(entry) = self.games.get_mut(&game) else { continue };
            let Some(input) = entry.begin_round(around) else { continue };
            self.in_rounds += 1;
            let span = tracing::info_span!("round", game_id = %game, name = %input.desired.name);
            let context = self.context.clone();
            let work = async move {
                let output = round::round(&context, input).await;
                Finished::Round(game, Box::new(output))
            };
            self.workshop.spawn(work.instrument(span));
        }
    }

    /// Whether one more game may go into a round. The others wait in the queue, where they cost nothing.
    pub(super) fn has_place_for_a_round(&self) -> bool {
        self.in_rounds < MOST_ROUNDS
    }

    pub(super) fn begin(&mut self, game: GameId, step: Step, background: Background) {
        let Some(entry) = self.games.get_mut(&game) else { return };
        match background {
            Background::Pull(image) => {
                let workshop = self.workshop.clone();
                self.pulls
                    .want(game, &image, |number, progress| workshop.pull(image.clone(), number, progress));
            }
            Background::Stop(container, grace) => {
                // A copy of what ends is called off: the next one is of what it leaves.
                let is_of_it = |copy: &mut CopyUnderWay| matches!(copy.what, CopyName::Backup(_));
                if let Some(copy) = self.copies.extract_if(|id, copy| *id == game && is_of_it(copy)).next() {
                    copy.1.call_off();
                }
                let number = entry.begin_work(Work::Stopping(container.clone()));
                self.workshop.stop(game, number, step, container, grace);
            }
            Background::Probe(life, endpoint) => {
                let Some(target) = entry.target(endpoint) else { return self.retry(game) };
                let number = entry.begin_work(Work::Probing(life.clone()));
                self.workshop.probe(target, number, life);
            }
            Background::Turn(life, endpoint, from) => {
                let Some(target) = entry.target(endpoint) else { return self.is_not_sent(game, step) };
                let number = entry.begin_work(Work::Generating(life.clone()));
                self.workshop.turn(target, number, step, life, from);
            }
            Background::BackUp(new) => {
                let number = entry.begin_work(Work::BackingUp { progress: String::new() });
                let progress = Progress::default();
                let what = CopyName::Backup(new.id.clone());
                let task = self.workshop.back_up(number, step, new, progress.clone(), entry.named());
                self.copy_begins(game, CopyUnderWay { what, number, progress, task: Some(task) });
            }
            Background::FetchBackup(backup, restore, build) => {
                let number = entry.begin_fetching(restore.clone());
                let progress = Progress::default();
                let what = CopyName::Restore(restore.clone());
                let wanted = (backup, restore, build);
                let task = self.workshop.fetch_backup(game, number, step, wanted, progress.clone());
                self.copy_begins(game, CopyUnderWay { what, number, progress, task: Some(task) });
            }
            Background::PutBack(backup, restore) => {
                let number = entry.begin_work(Work::PuttingBack { progress: String::new() });
                let progress = Progress::default();
                let what = CopyName::Restore(restore.clone());
                let copy = CopyUnderWay { what, number, progress: progress.clone(), task: None };
                self.copy_begins(game, copy);
                self.workshop.put_back(game, number, step, (backup, restore), progress);
            }
            Background::Remove(part) => {
                let number = entry.begin_work(Work::Removing { part, progress: String::new() });
                let progress = Progress::default();
                let task = self.workshop.remove(game, number, step, part, progress.clone());
                let what = CopyName::Nothing(part);
                self.copy_begins(game, CopyUnderWay { what, number, progress, task: Some(task) });
            }
            Background::Initialise(life, endpoint, races) => {
                let Some(target) = entry.target(endpoint) else { return self.is_not_sent(game, step) };
                let number = entry.begin_work(Work::Initialising(life));
                self.workshop.initialise(target, number, step, races);
            }
        }
    }

    /// A call that is on record as sent cannot be made now: that is told, so that it goes on record too.
    fn is_not_sent(&mut self, game: GameId, step: Step) {
        let clock = self.clock.clock();
        if let Some(entry) = self.games.get_mut(&game) {
            entry.tell(News::NotSent(step), clock);
        }
        self.retry(game);
    }

    /// One copy at a time is on its way for each game: the one before is not wanted any more.
    fn copy_begins(&mut self, game: GameId, copy: CopyUnderWay) {
        let before = self.copies.insert(game, copy).filter(CopyUnderWay::call_off);
        if let (Some(before), Some(entry)) = (before, self.games.get_mut(&game)) {
            entry.end_work(before.number, News::ContainerStale);
        }
    }

    /// Has the room kept that copies of this game still need.
    pub(super) fn keep_room(&self, game: GameId) {
        let record = self.games.get(&game).and_then(|entry| entry.record.as_ref());
        self.context.runtime.keep_room(game, record.and_then(super::copies::under_way));
    }

    /// Ends the copy that is under way and that nobody waits for any more.
    fn call_off_unwanted_copy(&mut self, game: GameId) {
        let Some(entry) = self.games.get_mut(&game) else { return };
        let Some(copy) = self.copies.get(&game) else { return };
        let is_wanted = entry.record.as_ref().is_some_and(|record| copy.what.is_wanted(record));
        if is_wanted || !copy.call_off() {
            return;
        }
        tracing::info!(game_id = %game, "a copy that nobody waits for any more is called off");
        entry.end_work(copy.number, News::ContainerStale);
        self.copies.remove(&game);
        self.nudge(game);
    }

    pub(super) fn retry(&mut self, game: GameId) {
        self.queue.at(game, Instant::now() + RETRY);
    }

    pub(super) fn round_ended(&mut self, game: GameId, output: Output) {
        let now = Instant::now();
        self.in_rounds = self.in_rounds.saturating_sub(1);
        let Some(entry) = self.games.get_mut(&game) else { return };
        let before = entry.record.as_ref().map(|record| record.phase).filter(|_| entry.counted);
        let ended = entry.end_round(output, self.clock.clock());
        // Of the version and of the leadership, whatever became of the game.
        if let Some(version) = ended.failed_version {
            let resumed = entry.desired().map_or(0, |desired| desired.version_resumed);
            self.failures.count(version, resumed);
        }
        self.context.metrics.moved(before, if ended.deleted { None } else { entry.count() });
        let gone = entry.gone;
        if let Some(over) = ended.over {
            self.end_leadership(over);
        }
        if ended.end_unknown {
            self.look_at_desired();
        }
        if ended.deleted || gone {
            if !ended.deleted {
                tracing::warn!(game_id = %game, "the game's row is gone; its engine is left alone");
            }
            self.forget(game);
            return self.count_deletions();
        }
        self.keep_room(game);
        for (step, background) in ended.begin {
            self.begin(game, step, background);
        }
        self.call_off_unwanted_copy(game);
        if ended.retry.is_none() && !ended.at_once {
            // A hiccup, or a look on the way, is no reason to let go of a long download.
            self.pulls.let_go(game, ended.waits_for_pull.as_ref());
        }
        for next in self.places.uses(game, ended.uses_start_slot, ended.uses_disruption_place) {
            self.queue.at(next, now);
        }
        if ended.at_once {
            self.queue.at(game, now);
        }
        if let Some(wait) = ended.look_again {
            // A timer's reach ends long before time does; the relist looks anyway.
            self.queue.at(game, now + wait.clamp(SOONEST, Duration::from_secs(86_400)));
        }
        if let Some(pause) = ended.retry {
            self.queue.at(game, now + pause);
        }
        if ended.newly_silent && self.docker_down.is_none() {
            if ended.is_doubtful {
                self.doubt_docker();
            }
            // Whether all of Docker is silent, its list says.
            self.relist();
        }
    }
}
