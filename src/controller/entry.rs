//! What the loop keeps for one game.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::WallClock;
use crate::game::controller::HeldDeletion;
use crate::game::record::{DeletionGuard, Record};
use crate::game::spec::Desired;
use crate::game::{ContainerId, DeletionPolicy, EngineVersion, ImageRef, Phase, RestoreId};
use crate::reconcile::apply::Background;
use crate::reconcile::{Beside, FailureClass, Fetching, Pulling, Step, Wait, Work};
use crate::store::RowVersion;
use crate::store::recorder::RecordError;

use super::Over;
use super::copies::{SharedNamed, keep_named};
use super::facts::{Facts, News, Silence};
use super::ground::Guards;
use super::halts::Failures;
use super::round::{Input, Output};

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
    works: u64,
    pub(super) in_round: bool,
    /// It became due while in a round.
    due_again: bool,
    /// What was learned while in a round.
    news: Vec<News>,
    /// Its row vanished while in a round.
    pub(super) gone: bool,
    /// It is part of the gauge of games by phase.
    pub(super) counted: bool,
    waits_for_person: bool,
    /// How often in a row the database refused what there was to record.
    refused: u32,
    /// Why the last round could not be recorded, and so nothing was done.
    not_recorded: Option<String>,
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
            works: 0,
            in_round: false,
            due_again: false,
            news: Vec::new(),
            gone: false,
            counted: false,
            refused: 0,
            not_recorded: None,
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
        }
        if self.in_round {
            self.news.push(news);
        } else {
            self.facts.learn(news, clock);
        }
    }

    /// Work begins in its background. Returns its number.
    pub(super) fn begin_work(&mut self, work: Work) -> u64 {
        self.works += 1;
        self.work = Some((self.works, work));
        self.works
    }

    /// A copy is being fetched for this putting back, beside whatever else goes on. Returns its number.
    pub(super) fn begin_fetching(&mut self, restore: RestoreId) -> u64 {
        self.works += 1;
        self.fetching = Some((self.works, restore));
        self.works
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
            News::PutBack(_) => Some(News::EverythingStale),
            News::EngineStale(_) => Some(News::EngineStale(None)),
            // Another initialisation may have been sent since, and is not told from it.
            News::NotSent(Step::InitialiseEngine { .. }) => Some(News::EngineStale(None)),
            News::NotSent(_)
            | News::Said(..)
            | News::ContainerStale
            | News::EverythingStale
            | News::StateDirectory(_)
            | News::BackedUp(_)
            | News::FetchedBack(_)
            | News::Fetched(_) => Some(news),
        }
    }

    /// Nothing is desired of it any more; what is known of it stays.
    pub(super) fn row_is_gone(&mut self) {
        let (record, works) = (self.record.take(), self.works);
        *self = Self { record, works, ..Self::unknown() };
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

    /// Its deletion, as an operator is shown it who has to say that it is meant.
    pub(super) fn held_deletion(&self) -> Option<HeldDeletion> {
        let desired = self.desired.as_ref().filter(|desired| desired.deletion.is_some())?;
        let record =
            self.record.as_ref().filter(|record| record.deletion_guard == Some(DeletionGuard::Held))?;
        Some(HeldDeletion {
            game_id: desired.id,
            namespace: desired.namespace.to_string(),
            name: desired.name.to_string(),
            removes_state: desired.deletion_policy == DeletionPolicy::Delete,
            seen_at: record.deletion_seen_at?,
        })
    }

    /// Keeps what was decided about its deletion, when this was the latest confirmation of others. True
    /// if that is news, which its next round puts on record.
    pub(super) fn decide_deletion(
        &mut self,
        guard: Option<DeletionGuard>,
        confirmed_before: Option<Timestamp>,
    ) -> bool {
        let Some(record) = &mut self.record else { return false };
        let before = std::mem::replace(&mut record.deletion_guard, guard);
        if before.is_none() {
            record.deletion_confirmed_before = confirmed_before.filter(|_| guard.is_some());
        }
        self.unwritten |= before != guard;
        before != guard
    }

    /// Whether its tear-down may begin in the round that is under way.
    pub(super) fn deletion_may_begin(&self) -> bool {
        let guard = self.record.as_ref().and_then(|record| record.deletion_guard);
        self.in_round && guard == Some(DeletionGuard::Counted)
    }

    /// Whether a state directory belongs to it, as far as is known.
    pub(super) fn has_state(&self) -> bool {
        self.is_desired() && self.record.as_ref().is_some_and(|record| record.init_intent_at.is_some())
    }

    /// Since when Docker has said nothing about it.
    pub(super) fn silent_since(&self) -> Option<Timestamp> {
        self.facts.silent.as_ref().map(|silence| silence.since)
    }

    /// A person has to act, and nothing tells when they have.
    pub(super) fn waits_for_person(&self) -> bool {
        self.waits_for_person
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
            deleted,
            not_recorded,
            refused,
            clock: _,
            unwritten,
        } = output;
        self.in_round = false;
        self.unwritten |= unwritten;
        self.refused = refused;
        self.not_recorded = not_recorded.as_ref().map(|error| crate::reconcile::apply::chain(error));
        // A deletion may have been asked for since this round began, which knows nothing of it.
        let before = self.record.take();
        let seen = before.as_ref().and_then(|before| before.deletion_seen_at);
        // Nor what was decided about it since; only that it began is the round's to say.
        let decided = before.as_ref().and_then(|before| before.deletion_guard);
        let guard = match (decided, record.deletion_guard) {
            (Some(DeletionGuard::Counted), Some(DeletionGuard::Begun)) => Some(DeletionGuard::Begun),
            _ => decided,
        };
        let confirmed_before = before.and_then(|before| before.deletion_confirmed_before);
        let going = self.is_going();
        let record = Record {
            deletion_seen_at: record.deletion_seen_at.or(seen).filter(|_| going),
            deletion_guard: guard.filter(|_| going),
            deletion_confirmed_before: confirmed_before.filter(|_| going),
            ..record
        };
        self.record = Some(record);
        keep_named(&self.named, self.record.as_ref(), self.desired.as_deref());
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
        let retry = not_recorded.is_some() || silent || stale;
        let pause = if not_recorded.is_some() { super::refused::pause(refused) } else { super::RETRY };
        Ended {
            waits_for_pull: waiting_on.iter().find_map(|wait| match wait {
                Wait::Pull(image) => Some(image.clone()),
                _ => None,
            }),
            begin,
            look_again,
            uses_start_slot,
            uses_disruption_place,
            failed_version,
            at_once: again && !retry,
            retry: retry.then_some(pause),
            newly_silent: silent
                && self.silent_since().is_none_or(|since| clock.now().duration_since(since).as_secs() < 3),
            is_doubtful: self.facts.silent.as_ref().is_some_and(|silence| silence.is_doubtful),
            deleted,
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
        let believed = Believed { moves: self.moves.clone(), seen: self.moves.load(Ordering::Relaxed) };
        holds_it.then_some((target, believed))
    }
}

/// That a container has its address, as long as nothing was heard of it.
#[derive(Debug, Clone)]
pub(super) struct Believed {
    moves: Arc<AtomicU64>,
    seen: u64,
}

impl Believed {
    /// Whether it still has; asked before anything is sent there.
    pub(super) fn holds(&self) -> bool {
        self.moves.load(Ordering::Relaxed) == self.seen
    }
}

/// The work as it is told: how far it is changes while it goes on.
fn told(work: &Work, copying: Option<String>) -> Work {
    let progress = copying.unwrap_or_default();
    match work {
        Work::BackingUp { .. } => Work::BackingUp { progress },
        Work::PuttingBack { .. } => Work::PuttingBack { progress },
        Work::Stopping(_) | Work::Probing(_) | Work::Initialising(_) | Work::Generating(_) => work.clone(),
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::Moment;
    use crate::game::container::{Container, ContainerState, Owner};
    use std::collections::HashMap;

    use crate::game::record::{AppliedSpec, Endpoints, moved};
    use crate::game::{GameId, ImageId};

    use super::*;

    fn running_at(endpoint: &str) -> Container {
        Container {
            id: ContainerId::new("c1"),
            owner: Owner::Game(GameId(uuid::Uuid::from_u128(7))),
            state: ContainerState::Running { started_at: "life-1".into() },
            image_id: ImageId::new("sha256:1"),
            network_id: None,
            endpoints: Endpoints::default(),
            reachable_at: Some(endpoint.to_owned()),
            epoch: Some(1),
            applied: None,
            token: None,
            unlike: None,
        }
    }

    /// A game that is to be deleted, whose record is as it is on disk.
    fn going() -> Entry {
        let mut entry = Entry::known(Record::first_seen(Default::default()));
        let desired = Desired {
            deletion: Some(crate::game::spec::Deletion::Requested),
            ..crate::reconcile::plan::tests::world::desired()
        };
        entry.declare(desired, RowVersion::Row(1), WallClock::default());
        entry
    }

    #[test]
    fn what_was_decided_about_a_deletion_is_written_whatever_the_round_plans() {
        let mut entry = going();
        assert!(entry.unwritten, "since when it is to be deleted");
        // A round has written it.
        entry.unwritten = false;
        assert!(entry.decide_deletion(Some(DeletionGuard::Held), None));
        assert!(entry.unwritten, "a restart must not forget that it is held");
        entry.unwritten = false;
        assert!(!entry.decide_deletion(Some(DeletionGuard::Held), None) && !entry.unwritten);
    }

    #[test]
    fn a_confirmation_that_was_there_before_the_decision_speaks_of_no_later_deletion() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let limits = crate::reconcile::deletions::Limits::default();
        let mut spec = crate::game::controller::ControllerSpec {
            deletions_confirmed_at: Some(at("2026-11-01T12:00:00Z")),
            ..Default::default()
        };
        // The clock went back an hour since the word was given.
        let mut entry = going();
        entry.record.as_mut().unwrap().deletion_seen_at = Some(at("2026-11-01T11:10:00Z"));
        entry.decide_deletion(Some(DeletionGuard::Held), spec.deletions_confirmed_at);
        let later = at("2026-11-01T13:00:00Z");
        assert_eq!(entry.fate(&spec, &limits, later).guard(false), Some(DeletionGuard::Held));
        // A new word speaks of it, earlier though it is by the clock as it is set now.
        spec.deletions_confirmed_at = Some(at("2026-11-01T11:10:00Z"));
        assert_eq!(entry.fate(&spec, &limits, later).guard(false), Some(DeletionGuard::Confirmed));
    }

    #[test]
    fn an_address_is_believed_until_something_is_heard_of_its_container() {
        let mut desired = crate::reconcile::plan::tests::world::desired();
        desired.requests = Default::default();
        let applied = AppliedSpec {
            engine_version: "1.4.2".parse().unwrap(),
            image: ImageRef::new("engine:1.4.2"),
            port: 8080,
            contract: Default::default(),
            run_as: Default::default(),
            relaxations: Vec::new(),
            resources: Default::default(),
        };
        let record = Record { applied: Some(applied), ..Record::first_seen(Default::default()) };
        let mut entry = Entry::known(record);
        entry.desired = Some(Arc::new(desired));
        let here = || "10.0.0.2:8080".to_owned();
        entry.facts.container = Some(Some(running_at(&here())));
        entry.facts.alive = Some(running_at(&here()));
        assert!(
            entry.has_container(&ContainerId::new("c1")) && !entry.has_container(&ContainerId::new("c2"))
        );
        let (_, believed) = entry.target(here()).expect("it is there");
        assert!(believed.holds() && entry.target("10.0.0.3:8080".into()).is_none());
        // It is heard of while a round goes on, or a call waits for its place.
        entry.in_round = true;
        let clock = WallClock::default();
        entry.tell(News::ContainerStale, clock);
        assert!(!believed.holds(), "what waits is not sent");
        entry.facts.learn(News::ContainerStale, clock);
        assert!(entry.target(here()).is_none(), "nor is anything else, before the container was looked at");
        // While Docker is silent there is nobody to ask.
        entry.facts.silent = Some(Silence::of_all("no answer".into(), Timestamp::UNIX_EPOCH));
        assert!(entry.target(here()).is_some_and(|(_, believed)| believed.holds()));
        entry.facts.silent = None;
        entry.facts.container = Some(Some(running_at("10.0.0.4:8080")));
        assert!(entry.target(here()).is_none(), "another has it now");
        // Who is not the engine that was meant says that the container may have moved.
        let life = entry.facts.container.clone().flatten().and_then(|container| container.life()).unwrap();
        let answer = crate::game::engine::Answer::WrongEngine("401".into());
        entry.facts.learn(News::Said(life, Moment::now(), answer), clock);
        assert_eq!(entry.facts.container, None);
    }

    #[test]
    fn a_clock_that_is_set_makes_no_grace_shorter() {
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        let record = Record {
            deletion_seen_at: Some(at(0)),
            next_attempt_at: Some(at(8)),
            ..Record::first_seen(Default::default())
        };
        let mut entry = Entry::known(record);
        let seen = |entry: &Entry| entry.record.as_ref().and_then(|record| record.deletion_seen_at);
        entry.shift_clock(SignedDuration::from_secs(70), true);
        assert_eq!(seen(&entry), Some(at(70)));
        assert_eq!(entry.record.as_ref().and_then(|record| record.next_attempt_at), Some(at(78)));
        entry.shift_clock(SignedDuration::from_secs(-100), true);
        assert_eq!(seen(&entry), Some(at(-30)));
        assert!(entry.unwritten, "what was moved is put on record");
    }

    /// A round that began at this time and brings its record back as it was.
    fn round_of(entry: &mut Entry, clock: WallClock) -> Output {
        let desired = Arc::new(crate::reconcile::plan::tests::world::desired());
        let (failures, guards) = (Failures::new(HashMap::new(), 3), Guards::default());
        let around = Around {
            start_slot: false,
            disruption_place: false,
            copying: None,
            failures: &failures,
            pulling: None,
            docker_down: None,
            docker_engine_id: None,
            guards: &guards,
            clock,
        };
        let input = entry.input(desired, around);
        entry.in_round = true;
        Output::new(input)
    }

    /// The clock as it was set before and after it was set by so much.
    fn set_by(seconds: i64) -> (WallClock, WallClock, SignedDuration) {
        let step = SignedDuration::from_secs(seconds);
        let before = WallClock::default();
        (before, before.set_by(step), step)
    }

    #[test]
    fn a_clock_that_is_set_during_a_round_is_followed_when_it_ends() {
        for seconds in [-3_600, 3_600] {
            let (before, after, step) = set_by(seconds);
            let mut entry = Entry::known(Record {
                healthy_since: Some(before.now()),
                ..Record::first_seen(Default::default())
            });
            let healthy_since = entry.record.as_ref().and_then(|record| record.healthy_since).unwrap();
            let mut output = round_of(&mut entry, before);
            entry.shift_clock(step, true);
            // What it takes meanwhile is of the clock that it began with.
            output.record.start_began_at = Some(output.clock.now());
            output.look_again = Some(output.clock.now() + Duration::from_secs(8));
            let ended = entry.end_round(output, after);
            let record = entry.record.as_ref().unwrap();
            assert_eq!(record.healthy_since, Some(moved(healthy_since, step)));
            let age = after.now().duration_since(record.start_began_at.unwrap());
            assert!(age.unsigned_abs() < Duration::from_secs(2), "{age}");
            let pause = ended.look_again.unwrap();
            assert!((6..=8).contains(&pause.as_secs()), "{pause:?}");
            assert!(entry.unwritten, "the record is of the clock before");
        }
    }

    #[test]
    fn a_row_that_vanishes_in_a_round_in_which_the_clock_is_set_has_its_whole_grace() {
        for seconds in [-3_600, 3_600] {
            let (before, after, step) = set_by(seconds);
            let mut entry = Entry::known(Record::first_seen(Default::default()));
            let output = round_of(&mut entry, before);
            entry.shift_clock(step, true);
            let gone = Desired {
                deletion: Some(crate::game::spec::Deletion::RowGone),
                ..crate::reconcile::plan::tests::world::desired()
            };
            entry.declare(gone, RowVersion::Row(2), after);
            entry.end_round(output, after);
            let seen = entry.record.as_ref().and_then(|record| record.deletion_seen_at).unwrap();
            let age = after.now().duration_since(seen);
            assert!(age.unsigned_abs() < Duration::from_secs(2), "{age}");
        }
    }

    #[test]
    fn what_an_engine_said_is_as_old_as_it_is_however_the_clock_is_set_before_it_is_learned() {
        let (_, after, _) = set_by(3_600);
        let mut facts = Facts::default();
        let life =
            crate::game::record::Life { container: ContainerId::new("c1"), started_at: "life-1".into() };
        let answer = crate::game::engine::Answer::NotInitialised;
        facts.learn(News::Said(life, Moment::now(), answer), after);
        let crate::reconcile::EngineView::Said { at, .. } = facts.engine else { panic!("it said something") };
        assert!(after.now().duration_since(at).unsigned_abs() < Duration::from_secs(2));
    }
}
