//! What the loop keeps for one game.

mod believed;
mod deletion;

pub(super) use believed::Believed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::clock::{Moment, WallClock};
use crate::game::record::{DeletionGuard, Record};
use crate::game::spec::Desired;
use crate::game::{ContainerId, EngineVersion, ImageRef, Phase, RestoreId};
use crate::reconcile::apply::Background;
use crate::reconcile::{Beside, FailureClass, Fetching, Pulling, Step, Wait, Work};
use crate::store::RowVersion;
use crate::store::recorder::RecordError;

use super::Over;
use super::copies::{SharedNamed, keep_named};
use super::facts::{Facts, News, Silence};
use super::ground::Guards;
use super::halts::Failures;
use super::round::{Input, Late, Output};

/// The number of work that begins: of no other in this process, whichever game it is of, for a game may be
/// forgotten and come back while an older work of it goes on.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// One game.
pub(super) struct Entry {
    desired: Option<Arc<Desired>>,
    row_version: RowVersion,
    pub(super) record: Option<Record>,
    pub(super) facts: Facts,
    /// Work in its background, numbered: the end of an older one says nothing about it.
    work: Option<(u64, Work)>,
    /// The putting back that a copy is being fetched for, beside that work.
    fetching: Option<(u64, RestoreId)>,
    pub(super) in_round: bool,
    /// It became due while in a round.
    due_again: bool,
    /// What was learned while in a round.
    news: Vec<News>,
    /// Its row vanished while in a round.
    pub(super) gone: bool,
    /// The time at which its row was last known to be gone.
    ended_at: Option<Moment>,
    /// It is part of the gauge of games by phase.
    pub(super) counted: bool,
    waits_for_person: bool,
    /// How often in a row the database refused what there was to record.
    refused: u32,
    /// Why the last round could not be recorded, and so nothing was done.
    not_recorded: Option<String>,
    /// Since when it is not known whether its deletion is done: nobody said what became of that record.
    end_unknown: Option<Moment>,
    /// The number of times in a row that Docker was late about it, and about others was not.
    late: u32,
    /// The number of rounds in a row that ended before a step because too many of its kind were under way.
    crowded: u32,
    /// Before this Docker is not asked about it again.
    asks_again_at: Option<Instant>,
    /// By how much the wall clock was set during the present round.
    clock_step: SignedDuration,
    /// The record holds decisions that are not on disk yet: the next round writes it, whatever it plans.
    unwritten: bool,
    /// Moves with everything that may have taken its container's address away.
    moves: Arc<AtomicU64>,
    /// Copies that somebody may have to go back to.
    named: SharedNamed,
}

/// What a game's round depends on beside the game.
pub(super) struct Around<'a> {
    pub(super) start_slot: bool,
    pub(super) disruption_place: bool,
    /// How far the copying of its state is.
    pub(super) copying: Option<String>,
    pub(super) failures: &'a Failures,
    pub(super) pulling: Option<Pulling>,
    pub(super) docker_down: Option<Silence>,
    pub(super) docker_engine_id: Option<String>,
    pub(super) guards: &'a Guards,
    pub(super) clock: WallClock,
}

/// What has to happen after a round.
pub(super) struct Ended {
    pub(super) begin: Vec<(Step, Background)>,
    pub(super) waits_for_pull: Option<ImageRef>,
    pub(super) look_again: Option<Duration>,
    pub(super) uses_start_slot: bool,
    pub(super) uses_disruption_place: bool,
    pub(super) failed_version: Option<EngineVersion>,
    pub(super) at_once: bool,
    pub(super) retry: Option<std::time::Duration>,
    pub(super) newly_silent: bool,
    /// What was known of Docker as a whole is doubtful.
    pub(super) is_doubtful: bool,
    pub(super) deleted: bool,
    /// Nobody knows whether its deletion is done.
    pub(super) end_unknown: bool,
    /// Nothing more is decided in this leadership.
    pub(super) over: Option<Over>,
}

impl Entry {
    /// A game of which there is a record.
    pub(super) fn known(record: Record) -> Self {
        Self { record: Some(record), ..Self::unknown() }
    }

    /// A game never seen before.
    pub(super) fn unknown() -> Self {
        Self {
            desired: None,
            row_version: RowVersion::Row(0),
            record: None,
            facts: Facts::default(),
            work: None,
            fetching: None,
            in_round: false,
            due_again: false,
            news: Vec::new(),
            gone: false,
            ended_at: None,
            counted: false,
            refused: 0,
            not_recorded: None,
            end_unknown: None,
            late: 0,
            crowded: 0,
            asks_again_at: None,
            waits_for_person: false,
            clock_step: SignedDuration::ZERO,
            unwritten: false,
            moves: Arc::default(),
            named: SharedNamed::default(),
        }
    }

    /// Takes a new desired state.
    pub(super) fn declare(&mut self, desired: Desired, row_version: RowVersion, clock: WallClock) {
        let requests = desired.requests;
        let deletion = desired.deletion;
        let looked_at_by_a_person =
            self.desired.as_ref().is_some_and(|before| before.requests.unblock < requests.unblock);
        if looked_at_by_a_person {
            // They may have changed anything.
            self.tell(News::EverythingStale, clock);
        }
        self.row_version = row_version;
        self.gone = false;
        match &mut self.record {
            Some(record) if record.deleted_at.is_some() => record.made_again(requests),
            Some(_) => {}
            none => *none = Some(Record::first_seen(requests)),
        }
        if let Some(record) = &mut self.record {
            // A time from the future was taken by a wrong clock.
            let now = clock.now();
            let seen = record.deletion_seen_at.filter(|seen| *seen <= now);
            let seen = deletion.map(|_| seen.unwrap_or(now));
            self.unwritten |= record.deletion_seen_at != seen;
            record.deletion_seen_at = seen;
            if deletion.is_none() {
                (record.deletion_guard, record.deletion_confirmed_before) = (None, None);
            }
        }
        self.desired = Some(Arc::new(desired));
        keep_named(&self.named, self.record.as_ref(), self.desired.as_deref());
    }

    /// Moves every time that something counts from with the wall clock, which was set by so much: what
    /// was to happen in a minute still happens in a minute.
    /// If it is to be told, it is put on record with the next round, too.
    pub(super) fn shift_clock(&mut self, step: SignedDuration, is_told: bool) {
        if let Some(record) = &mut self.record {
            record.shift_clock(step);
        }
        self.facts.shift_clock(step);
        self.unwritten |= is_told;
        if self.in_round {
            // Its round works on copies of them, and goes on by the clock that they are of.
            self.clock_step = self.clock_step.saturating_add(step);
        }
    }

    /// At which row version, and with which engine version, its desired state was read.
    pub(super) fn seen_at(&self) -> Option<(RowVersion, Option<String>)> {
        let desired = self.desired.as_ref()?;
        let wanted = desired.spec.as_ref().ok().and_then(|spec| spec.engine_version.as_ref());
        Some((self.row_version, wanted.map(ToString::to_string)))
    }

    pub(super) fn tell(&mut self, news: News, clock: WallClock) {
        if matches!(news, News::ContainerStale | News::EverythingStale) {
            self.moves.fetch_add(1, Ordering::Relaxed);
            // Something happened: it may be over.
            self.asks_again_at = None;
        }
        if self.in_round {
            self.news.push(news);
        } else {
            self.facts.learn(news, clock);
        }
    }

    /// Work begins in its background. Returns its number.
    pub(super) fn begin_work(&mut self, work: Work) -> u64 {
        let number = next_number();
        self.work = Some((number, work));
        number
    }

    /// A copy is being fetched for this putting back, beside whatever else goes on. Returns its number.
    pub(super) fn begin_fetching(&mut self, restore: RestoreId) -> u64 {
        let number = next_number();
        self.fetching = Some((number, restore));
        number
    }

    /// Work came to its end. What a superseded one failed at is of no interest any more.
    pub(super) fn end_work(&mut self, number: u64, news: News) -> Option<News> {
        if self.fetching.take_if(|(current, _)| *current == number).is_some() {
            return Some(news);
        }
        if self.work.as_ref().is_some_and(|(current, _)| *current == number) {
            self.work = None;
            return Some(news);
        }
        match news {
            News::Failed(_) => Some(News::ContainerStale),
            // What it was for may not be wanted any more; what it did is asked for again.
            News::PutBack(_) | News::Removed(_) => Some(News::EverythingStale),
            News::EngineStale(_) => Some(News::EngineStale(None)),
            // Another initialisation may have been sent since, and is not told from it.
            News::NotSent(Step::InitialiseEngine { .. }) => Some(News::EngineStale(None)),
            News::NotSent(_)
            | News::Said(..)
            | News::ContainerStale
            | News::EverythingStale
            | News::StateDirectory(..)
            | News::BackedUp(_)
            | News::FetchedBack(_)
            | News::Fetched(_) => Some(news),
        }
    }

    /// Nothing is desired of it any more; what is known of it stays, as long as its deletion counts for
    /// others.
    pub(super) fn row_is_gone(&mut self) {
        let (record, end_unknown) = (self.record.take(), self.end_unknown);
        *self = Self { record, end_unknown, ended_at: Some(Moment::now()), ..Self::unknown() };
    }

    /// Copies that somebody may have to go back to, as that changes.
    pub(super) fn named(&self) -> SharedNamed {
        self.named.clone()
    }

    /// Why its last round could not be recorded, and so nothing was done.
    pub(super) fn not_recorded(&self) -> Option<&str> {
        self.not_recorded.as_deref()
    }

    /// Whether its row is there.
    pub(super) fn is_desired(&self) -> bool {
        self.desired.is_some()
    }

    /// Whether it is to be deleted.
    pub(super) fn is_going(&self) -> bool {
        self.desired.as_ref().is_some_and(|desired| desired.deletion.is_some())
    }

    /// Whether a state directory belongs to it, as far as is known.
    pub(super) fn has_state(&self) -> bool {
        self.is_desired() && self.record.as_ref().is_some_and(|record| record.init_intent_at.is_some())
    }

    /// The removal of its state has begun, and is not at its end.
    pub(super) fn is_erasing(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.erasing_since.is_some())
    }

    /// Since when Docker has said nothing about it.
    pub(super) fn silent_since(&self) -> Option<Timestamp> {
        self.facts.silent.as_ref().map(|silence| silence.since)
    }

    /// A person has to act, and nothing tells when they have.
    pub(super) fn waits_for_person(&self) -> bool {
        self.waits_for_person
    }

    /// The state of questions to Docker about it.
    fn late(&self) -> Late {
        match self.asks_again_at {
            _ if self.late == 0 => Late::No,
            Some(at) if at > Instant::now() => Late::Rests,
            Some(_) | None => Late::AsksAgain,
        }
    }

    /// Its phase, for the gauge.
    pub(super) fn count(&mut self) -> Option<Phase> {
        self.counted = self.record.is_some();
        self.record.as_ref().map(|record| record.phase)
    }

    /// What its next round begins with; none if it has one, or nothing is desired of it.
    pub(super) fn begin_round(&mut self, around: Around<'_>) -> Option<Input> {
        if self.in_round {
            self.due_again = true;
            return None;
        }
        let input = self.input(self.desired.clone()?, around);
        self.in_round = true;
        self.unwritten = false;
        Some(input)
    }

    /// What is desired.
    pub(super) fn desired(&self) -> Option<Arc<Desired>> {
        self.desired.clone()
    }

    /// What a round would begin with, if this were desired.
    pub(super) fn input(&self, desired: Arc<Desired>, around: Around<'_>) -> Input {
        let mut record = self.record.clone().unwrap_or_else(|| Record::first_seen(desired.requests));
        if record.deleted_at.is_some() {
            // Its former life came to its end under a row that was there already.
            let requests = record.observed_requests;
            record.made_again(requests);
        }
        if matches!(self.row_version, RowVersion::Row(_)) {
            // A row that was made anew may count from the beginning again. A round that was under way
            // when it was read leaves the old counts behind, so they are looked at here.
            record.observed_requests = record.observed_requests.at_most(desired.requests);
        }
        let Around {
            start_slot,
            disruption_place,
            copying,
            failures,
            pulling,
            docker_down,
            docker_engine_id,
            guards,
            clock,
        } = around;
        let held = desired.deletion.is_some() && record.deletion_guard == Some(DeletionGuard::Held);
        Input {
            beside: Beside {
                pulling,
                fetching: self.fetching.as_ref().map(|(_, restore)| Fetching {
                    restore: restore.clone(),
                    progress: copying.clone().unwrap_or_default(),
                }),
            },
            work: self.work.as_ref().map(|(_, work)| told(work, copying)),
            version_halted: desired
                .version
                .as_ref()
                .and_then(|entry| failures.halt(&entry.version, desired.version_resumed)),
            deletion_held: held.then(|| guards.why_held.clone()),
            refused: self.refused,
            late: self.late(),
            asked: false,
            unwritten: self.unwritten,
            clock,
            freeze: guards.freeze().cloned(),
            facts: self.facts.clone(),
            desired,
            record,
            start_slot,
            disruption_place,
            docker_down,
            docker_engine_id,
        }
    }

    /// Takes in what a round leaves behind.
    pub(super) fn end_round(&mut self, mut output: Output, clock: WallClock) -> Ended {
        let look_again = output
            .look_again
            .map(|at| Duration::try_from(at.duration_since(output.clock.now())).unwrap_or_default());
        // From here on by the clock as it is set now. (A step since it began is not on record.)
        let step = std::mem::take(&mut self.clock_step);
        if !step.is_zero() {
            output.record.shift_clock(step);
            output.facts.shift_clock(step);
        }
        let Output {
            record,
            facts,
            begin,
            waiting_on,
            look_again: _,
            uses_start_slot,
            uses_disruption_place,
            failed_version,
            progressed,
            silent,
            crowded,
            asked,
            deleted,
            not_recorded,
            refused,
            clock: _,
            unwritten,
        } = output;
        self.in_round = false;
        self.unwritten |= unwritten;
        self.refused = refused;
        self.crowded = if crowded { self.crowded.saturating_add(1) } else { 0 };
        self.not_recorded = not_recorded.as_ref().map(|error| crate::reconcile::apply::chain(error));
        // A deletion may have been asked for since this round began, or withdrawn, or both: the round knows
        // nothing of that, nor of what was decided about it since. Only that it began is the round's to say, of
        // the deletion that it knew.
        let before = self.record.take();
        let seen = before.as_ref().and_then(|before| before.deletion_seen_at);
        let decided = before.as_ref().and_then(|before| before.deletion_guard);
        let is_the_same = seen.is_some() && seen == record.deletion_seen_at;
        let guard = match (decided, record.deletion_guard) {
            (Some(DeletionGuard::Counted | DeletionGuard::Held), Some(DeletionGuard::Begun))
                if is_the_same =>
            {
                Some(DeletionGuard::Begun)
            }
            _ => decided,
        };
        let confirmed_before = before.and_then(|before| before.deletion_confirmed_before);
        let going = self.is_going();
        if deleted {
            self.end_unknown = None;
        } else if going && not_recorded.as_ref().is_some_and(RecordError::may_be_written) {
            self.end_unknown = Some(Moment::now());
        }
        let record = Record {
            deletion_seen_at: seen.or(record.deletion_seen_at).filter(|_| going),
            deletion_guard: guard.filter(|_| going),
            deletion_confirmed_before: confirmed_before.filter(|_| going),
            ..record
        };
        self.record = Some(record);
        keep_named(&self.named, self.record.as_ref(), self.desired.as_deref());
        if asked {
            let is_late = facts.silent.as_ref().is_some_and(|silence| !silence.is_doubtful);
            self.late = if is_late { self.late.saturating_add(1) } else { 0 };
            let pause = super::refused::pause(self.late);
            // Something that happened meanwhile may have ended it.
            self.asks_again_at = (is_late && self.news.is_empty()).then(|| Instant::now() + pause);
        }
        self.facts = facts;
        if waiting_on.contains(&Wait::Docker) {
            // It has to settle: the next look is at the thing itself.
            self.facts.container = None;
        }
        let news = std::mem::take(&mut self.news);
        let learned = !news.is_empty();
        for news in news {
            self.facts.learn(news, clock);
        }
        if let Some(error) = &not_recorded {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "nothing was recorded, so nothing was done"
            );
        }
        self.waits_for_person = waiting_on.contains(&Wait::Person);
        let again = std::mem::take(&mut self.due_again) || learned || progressed;
        // A world that is not as thought is looked at again after a pause, or it would be hammered;
        // other failures are counted by the next round, which decides on the pause itself.
        let stale = self.facts.failure.as_ref().is_some_and(|failure| failure.class == FailureClass::Stale);
        let retry = not_recorded.is_some() || silent || stale || crowded;
        let pause = if not_recorded.is_some() {
            super::refused::pause(refused)
        } else if crowded {
            super::refused::pause(self.crowded)
        } else {
            let rests = self.asks_again_at.map(|at| at.saturating_duration_since(Instant::now()));
            rests.unwrap_or_default().max(super::RETRY)
        };
        Ended {
            waits_for_pull: waiting_on.iter().find_map(|wait| match wait {
                Wait::Pull(image) => Some(image.clone()),
                _ => None,
            }),
            begin,
            // A step that is due at once is the one that there was no place for.
            look_again: look_again.map(|wait| if crowded { wait.max(super::RETRY) } else { wait }),
            uses_start_slot,
            uses_disruption_place,
            failed_version,
            at_once: again && !retry,
            retry: retry.then_some(pause),
            newly_silent: silent
                && self.silent_since().is_none_or(|since| clock.now().duration_since(since).as_secs() < 3),
            is_doubtful: self.facts.silent.as_ref().is_some_and(|silence| silence.is_doubtful),
            deleted,
            end_unknown: self.end_unknown.is_some(),
            over: match not_recorded {
                Some(RecordError::Deposed) => Some(Over::Deposed),
                Some(RecordError::DatabaseOlder { .. }) => Some(Over::DatabaseOlder),
                _ => None,
            },
        }
    }

    /// Whether this container is the game's, as far as is known.
    pub(super) fn has_container(&self, id: &ContainerId) -> bool {
        let on_record = self.record.as_ref().and_then(|record| record.container.as_ref());
        let seen = self.facts.container.as_ref().and_then(Option::as_ref);
        on_record == Some(id) || seen.is_some_and(|container| container.id == *id)
    }

    /// What an engine has to be told to be asked, and until when it may be: as long as nothing was heard
    /// of its container. None if something was since it was looked at: the address may be another
    /// game's by now. (While Docker is silent, what it said last holds; the engine has to have named its
    /// game since.)
    pub(super) fn target(&self, endpoint: String) -> Option<(crate::engine::Target, Believed)> {
        let record = self.record.as_ref()?;
        let container = match &self.facts.container {
            Some(container) => container.as_ref()?,
            None => self.facts.alive.as_ref().filter(|_| self.facts.silent.is_some())?,
        };
        let target = crate::engine::Target {
            game: self.desired.as_ref()?.id,
            endpoint,
            contract: record.applied.as_ref()?.contract,
            token: container.token.clone(),
        };
        let holds_it = container.reachable_at.as_ref() == Some(&target.endpoint);
        let believed = Believed::now(&self.moves);
        holds_it.then_some((target, believed))
    }
}

/// The work as it is told: how far it is changes while it goes on.
fn told(work: &Work, copying: Option<String>) -> Work {
    let progress = copying.unwrap_or_default();
    match work {
        Work::BackingUp { .. } => Work::BackingUp { progress },
        Work::PuttingBack { .. } => Work::PuttingBack { progress },
        Work::Removing { part, .. } => Work::Removing { part: *part, progress },
        Work::Stopping(_) | Work::Probing(_) | Work::Initialising(_) | Work::Generating(_) => work.clone(),
    }
}

#[cfg(test)]
mod tests;
