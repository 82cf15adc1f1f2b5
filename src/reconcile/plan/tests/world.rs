//! A faithful world in memory: it has a container or not, an image or not, an engine that answers
//! or not, and it does what each step says.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::game::backup::CopyProblem;
use crate::game::container::{Container, ContainerState, ImageSelector, Owner, Rival, StateDirectory};
use crate::game::controller::Freeze;
use crate::game::engine::{Answer, EnginePlayer, EngineState};
use crate::game::operation::OperationKind;
use crate::game::record::{Contents, Endpoints, Life, Record};
use crate::game::spec::{
    Contract, DeletionPolicy, Desired, DesiredStatus, ForceMode, GameSpec, Member, MissedTurns, Requests,
    RunAs, Source, TurnSpec, VersionEntry,
};
use crate::game::turn::{CalledOff, DecidedSlot, TurnEnd, TurnState};
use crate::game::{
    Backup, BackupId, BackupReason, ContainerId, GameId, ImageId, ImageRef, NetworkId, NewBackup,
    OperationId, Resources, RestoreId, UserId,
};
use crate::reconcile::backoff::after;
use crate::reconcile::observed::{
    Beside, EngineView, Failure, FailureClass, FetchedBack, Fetching, Image, ImageUsers, Looked, NextImage,
    Observation, Pace, Pulling, Reached, Remains, RuntimeView, Seen, Work,
};
use crate::reconcile::plan::{PINNED_IMAGE_GONE, Plan, ROOM_KEPT, STATE_IN_USE, plan};
use crate::reconcile::step::{Planned, Wait};
use crate::reconcile::{Policy, Step};

/// How the ids of images begin that came with another version.
const NEWER: &str = "id of ";

pub(crate) const GAME: GameId = GameId(Uuid::from_u128(7));

/// How the engines of this world behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engines {
    Healthy,
    NeverHealthy,
    ExitAtStart,
}

/// What an engine does that is asked for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turns {
    /// It generates it, and is asked afterwards.
    AtOnce,
    /// It generates it for ever.
    Never,
    /// It loses it, and is idle.
    Lost,
    /// Its process ends over it.
    Kill,
}

/// How engines of another version behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Newer {
    Good,
    NeverHealthy,
    ExitsAtStart,
    HasNoGame,
    SaysAnotherTurn,
    DiesOnItsFirstTurn,
    /// It writes nonsense over the state, and exits.
    RuinsTheState,
}

/// A kept copy, and the state that is in it.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    copy: Backup,
    turn: Option<i64>,
    of: String,
    writes: u32,
    is_ruined: bool,
}

impl Kept {
    /// The copy, as it is listed.
    pub(crate) fn copy(&self) -> &Backup {
        &self.copy
    }
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) desired: Desired,
    pub(crate) record: Record,
    pub(crate) now: Timestamp,
    pub(crate) container: Option<Container>,
    pub(crate) image_on_host: bool,
    pub(crate) registry_has_it: bool,
    pub(crate) network: Option<NetworkId>,
    pub(crate) state_directory: StateDirectory,
    pub(crate) engines: Engines,
    /// The engine's game, kept in the state directory.
    pub(crate) turn: Option<i64>,
    pub(crate) docker_answers: bool,
    /// The engine says that the game is over.
    pub(crate) finished: bool,
    /// How many planets each player has.
    pub(crate) planets: i64,
    /// Its engine was given its game before these members came.
    pub(crate) silent_about_new_members: bool,
    /// While Docker is silent, the engine can be reached all the same: since when it is.
    pub(crate) reached_since: Option<Timestamp>,
    /// The ledger: each turn's slot.
    pub(crate) ledger: BTreeMap<i64, Option<Timestamp>>,
    /// Why turns were called off, in this order.
    pub(crate) called_off: Vec<CalledOff>,
    /// What was told of slots, in this order.
    pub(crate) slots: Vec<DecidedSlot>,
    /// Who answers at the address is another game's engine.
    pub(crate) says_it_is_another_game: bool,
    /// What the engine does with a turn.
    pub(crate) turns: Turns,
    /// How engines of another version than 1.4.2 behave.
    pub(crate) newer: Newer,
    /// The image of another version can be had.
    pub(crate) newer_can_be_had: bool,
    /// Somebody removed it from the host since.
    pub(crate) newer_was_removed: bool,
    pub(crate) disruption_place: bool,
    pub(crate) version_halted: Option<String>,
    /// Which version ran on the state last.
    pub(crate) state_of: String,
    /// How often something was written to the state.
    writes: u32,
    /// Engines of version 1.4.2 do nothing when they are told to initialise.
    pub(crate) init_fails: bool,
    /// No engine can read the state any more.
    pub(crate) is_ruined: bool,
    pub(crate) backups: BTreeMap<BackupId, Kept>,
    /// Stops and copies take until [`World::end_work`].
    pub(crate) works_slowly: bool,
    under_way: Option<Step>,
    /// A copy that is being fetched beside whatever else goes on.
    fetching: Option<Step>,
    /// Pulls take until [`World::end_pull`].
    pub(crate) pulls_slowly: bool,
    pulling: Option<ImageRef>,
    /// A place among the concurrent starts is free, or held.
    pub(crate) start_slot: bool,
    /// The next call to the engine is not sent.
    pub(crate) calls_get_lost: bool,
    not_sent: Option<Step>,
    writes_before: u32,
    /// So many steps that change something fail from now on: those that are printed so.
    pub(crate) fails: u32,
    pub(crate) fails_at: &'static str,
    /// And no other attempt makes sense.
    pub(crate) fails_for_good: bool,
    /// And a person has to look, for this reason.
    pub(crate) fails_for_a_person: Option<&'static str>,
    /// Docker does not start a container, as a process of it may be alive.
    pub(crate) says_alive: bool,
    /// The processes of Docker's host are not seen.
    pub(crate) hides_processes: bool,
    /// Failures are the host's fault.
    pub(crate) fails_by_the_host: bool,
    failure: Option<Failure>,
    next_image: Looked<NextImage>,
    image_users: Looked<ImageUsers>,
    /// As whom the image of the newer version runs its process.
    pub(crate) newer_user: &'static str,
    backed_up: Option<Backup>,
    looked_backup: Looked<(BackupId, Option<Backup>)>,
    room: Looked<(Timestamp, Result<(), CopyProblem>)>,
    /// There is room for the copies of a change of version.
    pub(crate) has_room: bool,
    /// Other games need it first.
    pub(crate) room_is_kept: bool,
    fetched_back: Option<FetchedBack>,
    put_back: Option<RestoreId>,
    /// Rounds until now: what is fresh in each is another one.
    rounds: u128,
    restored: Vec<RestoreId>,
    /// Everything that was done, printed.
    pub(crate) done: Vec<String>,
    pub(crate) row_deleted: bool,
    pub(crate) looks: Looks,
    /// What lies in the state directory.
    pub(crate) contents: Contents,
    /// Who else has the state directory.
    pub(crate) rival: Option<Rival>,
    pub(crate) freeze: Option<Freeze>,
    pub(crate) deletion_held: Option<String>,
    pub(crate) engine: EngineView,
    fetched: Option<ImageRef>,
    lives: u32,
    made: u32,
}

/// What was looked at for the present start.
#[derive(Debug, Clone)]
pub(crate) struct Looks {
    image: Image,
    network: Looked<Option<NetworkId>>,
    state_directory: Looked<StateDirectory>,
    contents: Looked<Contents>,
    copies: Looked<bool>,
    rival: Looked<Option<Rival>>,
}

impl Looks {
    /// The state directory was looked at.
    pub(crate) fn seeing(state_directory: StateDirectory) -> Self {
        Self { state_directory: Looked::At(state_directory), ..Self::none() }
    }

    pub(crate) fn none() -> Self {
        Self {
            image: Image::NotYet,
            network: Looked::NotYet,
            state_directory: Looked::NotYet,
            contents: Looked::NotYet,
            copies: Looked::NotYet,
            rival: Looked::NotYet,
        }
    }
}

pub(crate) fn desired() -> Desired {
    let version: crate::game::EngineVersion = "1.4.2".parse().unwrap();
    Desired {
        id: GAME,
        namespace: "default".parse().unwrap(),
        name: "andromeda".parse().unwrap(),
        generation: 1,
        status: DesiredStatus::Running,
        stop_now: false,
        paused: false,
        backup_before_turn: false,
        deletion_policy: DeletionPolicy::Retain,
        deletion: None,
        requests: Requests::default(),
        restore_backup: None,
        membership_revision: 1,
        members: vec![Member { user_id: UserId(Uuid::from_u128(1)), race_name: "Terrans".parse().unwrap() }],
        spec: Ok(GameSpec {
            engine_version: Some(version.clone().into()),
            allow_incompatible_version: None,
            turns: TurnSpec {
                schedule: None,
                time_zone: "UTC".into(),
                missed: MissedTurns::Once,
                not_before: None,
                force_mode: ForceMode::Advance,
            },
            resources: Resources::default(),
        }),
        version: Some(VersionEntry {
            version,
            image: ImageRef::new("engine:1.4.2"),
            enabled: true,
            port: 8080,
            contract: Contract::GamekeeperV1,
            run_as: RunAs::Auto,
            relaxations: Vec::new(),
            resources: Resources::default(),
        }),
        version_resumed: 0,
        created_at: None,
        cosmetic: Vec::new(),
        source: Source::Operator,
        requested_by: "admin".into(),
        request_id: "r".into(),
        labels: std::collections::BTreeMap::new(),
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            desired: desired(),
            record: Record::first_seen(Requests::default()),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            container: None,
            image_on_host: true,
            registry_has_it: true,
            network: Some(NetworkId::new("net-1")),
            state_directory: StateDirectory::Absent,
            engines: Engines::Healthy,
            turn: None,
            finished: false,
            planets: 1,
            silent_about_new_members: false,
            docker_answers: true,
            reached_since: None,
            ledger: BTreeMap::new(),
            called_off: Vec::new(),
            slots: Vec::new(),
            says_it_is_another_game: false,
            turns: Turns::AtOnce,
            newer: Newer::Good,
            newer_can_be_had: true,
            newer_was_removed: false,
            disruption_place: true,
            version_halted: None,
            state_of: "1.4.2".into(),
            writes: 0,
            init_fails: false,
            is_ruined: false,
            backups: BTreeMap::new(),
            works_slowly: false,
            under_way: None,
            fetching: None,
            pulls_slowly: false,
            pulling: None,
            start_slot: true,
            calls_get_lost: false,
            not_sent: None,
            writes_before: 0,
            fails: 0,
            fails_at: "",
            fails_for_good: false,
            fails_for_a_person: None,
            says_alive: false,
            hides_processes: false,
            fails_by_the_host: false,
            failure: None,
            next_image: Looked::NotYet,
            image_users: Looked::NotYet,
            newer_user: "1000",
            backed_up: None,
            looked_backup: Looked::NotYet,
            room: Looked::NotYet,
            has_room: true,
            room_is_kept: false,
            fetched_back: None,
            put_back: None,
            rounds: 0,
            restored: Vec::new(),
            done: Vec::new(),
            row_deleted: false,
            looks: Looks::none(),
            contents: Contents::nothing(),
            rival: None,
            freeze: None,
            deletion_held: None,
            engine: EngineView::NotAsked,
            fetched: None,
            lives: 0,
            made: 0,
        }
    }

    /// A world in which the game runs.
    pub(crate) fn running() -> Self {
        let mut world = Self::new();
        world.converge();
        world.done.clear();
        world
    }

    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Desired)) {
        change(&mut self.desired);
        self.desired.generation += 1;
    }

    /// This version is wanted, which is registered.
    pub(crate) fn wants(&mut self, version: &str) {
        let version: crate::game::EngineVersion = version.parse().unwrap();
        self.change(|desired| {
            desired.spec.as_mut().unwrap().engine_version = Some(version.clone().into());
            let entry = desired.version.as_mut().unwrap();
            entry.image = ImageRef::new(format!("engine:{version}"));
            entry.version = version;
        });
    }

    pub(crate) fn observation(&self) -> Observation {
        let Looks { image, network, state_directory, contents, copies, rival } = self.looks.clone();
        let runtime = if self.docker_answers {
            RuntimeView::Known(Box::new(Seen {
                container: self.container.clone(),
                log_tail: Some("last words".into()),
                image,
                next_image: self.next_image.clone(),
                image_users: self.image_users.clone(),
                backup: self.looked_backup.clone(),
                room: self.room.clone(),
                fetched_back: self.fetched_back.clone(),
                put_back: self.put_back.clone(),
                network,
                state_directory,
                contents,
                copies,
                rival,
                engine: self.engine.clone(),
            }))
        } else {
            let since = self.reached_since.unwrap_or(Timestamp::UNIX_EPOCH);
            let reason = "DockerUnreachable".into();
            RuntimeView::Unknown { since, reason, why: "no answer".into(), engine: self.reached() }
        };
        Observation {
            now: self.now,
            fresh: Uuid::from_u128(self.rounds),
            runtime,
            work: self.under_way.as_ref().and_then(work),
            beside: self.beside(),
            backed_up: self.backed_up.clone(),
            start_slot: self.start_slot,
            disruption_place: self.disruption_place,
            version_halted: self.version_halted.clone(),
            failure: self.failure.clone(),
            not_sent: self.not_sent.clone(),
            freeze: self.freeze.clone(),
            deletion_held: self.deletion_held.clone(),
        }
    }

    fn beside(&self) -> Beside {
        let progress = String::new;
        let fetching = self.fetching.as_ref().and_then(|step| match step {
            Step::FetchBackup { restore, .. } => {
                Some(Fetching { restore: restore.clone(), progress: progress() })
            }
            _ => None,
        });
        let pulling = self.pulling.clone().map(|image| Pulling { image, progress: progress() });
        Beside { pulling, fetching }
    }

    fn reached(&self) -> Option<Box<Reached>> {
        let container = self.container.as_ref().filter(|_| self.reached_since.is_some())?;
        let endpoint = container.reachable_at.clone()?;
        Some(Box::new(Reached { life: container.life()?, endpoint, said: self.engine.clone() }))
    }

    pub(crate) fn plan(&self) -> Plan {
        plan(&self.desired, &self.record, &self.observation(), &Policy::default())
    }

    /// One round: plans, records, does. Returns the plan.
    pub(crate) fn round(&mut self) -> Plan {
        self.round_of(usize::MAX)
    }

    /// A round that ends after so many steps.
    pub(crate) fn round_of(&mut self, steps: usize) -> Plan {
        self.rounds += 1;
        if self.record.deleted_at.is_some() && !self.row_deleted {
            // Its row is there: as the controller has it.
            let requests = self.record.observed_requests;
            self.record.made_again(requests);
        }
        let planned = self.plan();
        (self.failure, self.not_sent) = (None, None);
        for turn in planned.ledger.iter().map(|entry| &entry.turn) {
            let other =
                |(number, slot): (&i64, &Option<Timestamp>)| *number != turn.number && *slot == turn.slot;
            if let Some(slot) = turn.slot.filter(|_| self.ledger.iter().any(other)) {
                // The database refuses it, so nothing is done; the next round knows.
                assert!(!self.record.taken.contains(&slot), "refused twice: {slot}");
                self.record.taken.push(slot);
                return planned;
            }
        }
        self.ledger.extend(planned.ledger.iter().map(|entry| (entry.turn.number, entry.turn.slot)));
        self.called_off.extend(planned.ledger.iter().filter_map(|entry| match &entry.end {
            Some(TurnEnd::Abandoned(called_off)) => Some(called_off.clone()),
            Some(TurnEnd::Done) | None => None,
        }));
        self.slots.extend(planned.slots.iter().cloned());
        let mut record = planned.record.clone();
        if let Some(open) = &planned.operation.open {
            let id = OperationId(Uuid::from_u128(9));
            record.operation = Some(open.opened(id));
        }
        self.record = record;
        for Planned { step, .. } in planned.steps.iter().take(steps) {
            if step.mutates() {
                self.done.push(plain(&step.to_string()));
            }
            if step.mutates() && self.fails > 0 && step.to_string().starts_with(self.fails_at) {
                self.fails -= 1;
                self.fail(step);
                break;
            }
            if self.says_alive && matches!(step, Step::StartContainer(_)) {
                self.fail(step);
                let class = if self.hides_processes { FailureClass::MayBeAlive } else { FailureClass::Retry };
                let reason = STATE_IN_USE.to_owned();
                self.failure = self.failure.take().map(|failed| Failure { class, reason, ..failed });
                break;
            }
            if let Some(Rival::Process(process)) = self.rival.clone()
                && needs_a_free_state(step)
            {
                // As the runtime does, whatever was known when it was planned.
                self.fails_for_a_person = Some(STATE_IN_USE);
                self.fail(step);
                self.fails_for_a_person = None;
                self.failure =
                    self.failure.take().map(|failed| Failure { message: process.in_use(), ..failed });
                break;
            }
            if let (Some(Step::BackUp(_)), Step::StopContainer { .. }) = (&self.under_way, step) {
                // The copy is called off.
                self.under_way = None;
            }
            if step.is_on_record_as_sent() && std::mem::take(&mut self.calls_get_lost) {
                (self.not_sent, self.engine) = (Some(step.clone()), EngineView::NotAsked);
                continue;
            }
            match work(step) {
                None if self.works_slowly && matches!(step, Step::FetchBackup { .. }) => {
                    assert!(self.fetching.is_none(), "a copy is fetched twice: {:?}", self.done);
                    self.fetching = Some(step.clone());
                }
                None if self.pulls_slowly && matches!(step, Step::PullImage(_)) => {
                    assert!(self.pulling.is_none(), "an image is pulled twice: {:?}", self.done);
                    if let Step::PullImage(image) = step {
                        self.pulling = Some(image.clone());
                    }
                }
                Some(_) if self.works_slowly => {
                    // One at a time: what was under way comes to its end.
                    self.end_work();
                    self.under_way = Some(step.clone());
                    self.writes_before = self.writes;
                }
                _ => self.apply(step),
            }
        }
        self.call_off_unwanted();
        let looks = planned.steps.iter().any(|planned| !planned.step.mutates());
        let waits_for_it = planned.waiting_on.iter().any(|wait| matches!(wait, Wait::Pull(_)));
        if !looks && !waits_for_it {
            // Nobody wants it any more.
            self.pulling = None;
        }
        planned
    }

    /// The note of a copy is of a release that knew of no timelines.
    pub(crate) fn forget_timeline(&mut self, copy: &BackupId) {
        self.backups.get_mut(copy).expect("a kept copy").copy.timeline = None;
    }

    /// What is copied and is not on record any more is called off.
    fn call_off_unwanted(&mut self) {
        let Record { copying, patch, .. } = &self.record;
        let wanted = match &self.under_way {
            Some(Step::BackUp(new)) => {
                copying.as_ref().is_some_and(|copying| copying.backup == new.id)
                    || patch.as_ref().is_some_and(|patch| patch.backup == new.id)
            }
            _ => true,
        };
        if !wanted {
            self.under_way = None;
        }
        if let Some(Step::FetchBackup { restore, .. }) = &self.fetching
            && self.record.put_backs().all(|back| back.restore != *restore)
        {
            self.fetching = None;
        }
    }

    /// The image that is being pulled is there.
    pub(crate) fn end_pull(&mut self) {
        self.pulls_slowly = false;
        if let Some(image) = self.pulling.take() {
            self.apply(&Step::PullImage(image));
        }
    }

    /// What is under way in the background comes to its end.
    pub(crate) fn end_work(&mut self) {
        if let Some(step) = self.fetching.take() {
            self.apply(&step);
        }
        let Some(step) = self.under_way.take() else { return };
        match &step {
            // Somebody started what was to be copied first, or wrote while it was copied.
            Step::BackUp(_) if self.is_trying() || self.writes != self.writes_before => self.fail(&step),
            Step::StopContainer { container, .. }
                if self.container.as_ref().is_none_or(|c| c.id != *container) => {}
            _ => self.apply(&step),
        }
    }

    /// What is under way in the background.
    pub(crate) fn under_way(&self) -> Option<Step> {
        self.under_way.clone().or_else(|| self.fetching.clone())
    }

    /// The controller dies, and the next one knows what is on record and nothing else.
    pub(crate) fn forget_facts(&mut self) {
        self.looks = Looks::none();
        self.next_image = Looked::NotYet;
        (self.backed_up, self.put_back, self.looked_backup) = (None, None, Looked::NotYet);
        (self.room, self.fetched_back) = (Looked::NotYet, None);
        (self.engine, self.fetched) = (EngineView::NotAsked, None);
        (self.under_way, self.failure) = (None, None);
        (self.fetching, self.pulling, self.not_sent) = (None, None, None);
    }

    pub(crate) fn fail(&mut self, step: &Step) {
        let (class, reason) = match self.fails_for_a_person {
            Some(reason) => (FailureClass::Person, reason),
            None if self.fails_by_the_host => (FailureClass::Host, "Failed"),
            None if self.fails_for_good => (FailureClass::Spec, "Failed"),
            None => (FailureClass::Retry, "Failed"),
        };
        let (pace, reason) = (Pace::Usual, reason.to_owned());
        let message = format!("{step} failed");
        self.failure = Some(Failure { step: step.clone(), class, pace, reason, message });
        (self.looks, self.next_image) = (Looks::none(), Looked::NotYet);
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.container.as_ref().is_some_and(|c| matches!(c.state, ContainerState::Running { .. }))
    }

    /// Rounds until nothing is left to do now. Panics if that takes more than a few.
    pub(crate) fn converge(&mut self) -> Plan {
        for _ in 0..50 {
            if self.row_deleted {
                return self.plan();
            }
            let planned = self.round();
            if planned.steps.is_empty() && planned.look_again.is_none_or(|at| at > self.now) {
                return planned;
            }
        }
        panic!("no end after 50 rounds: {:?}", self.done);
    }

    /// Lets the time pass that the last plan wanted to pass, and converges again.
    pub(crate) fn later(&mut self, wait: Duration) -> Plan {
        self.now = after(self.now, wait);
        self.converge()
    }

    /// The engine's process ends.
    pub(crate) fn kill(&mut self, code: i64) {
        let container = self.container.as_mut().expect("a container");
        if let ContainerState::Running { started_at } = &container.state {
            container.state =
                ContainerState::Exited { started_at: started_at.clone(), code, out_of_memory: false };
            container.reachable_at = None;
        }
    }

    fn apply(&mut self, step: &Step) {
        let looks = &mut self.looks;
        let id = ImageId::new("sha256:1");
        let newer_is_there = self.newer_can_be_had && !self.newer_was_removed;
        match step {
            Step::LookAtImage(selector) => {
                let found = match selector {
                    ImageSelector::Pinned(id) if id.as_str().starts_with(NEWER) => {
                        newer_is_there.then(|| id.clone())
                    }
                    // The tag may have been moved since.
                    ImageSelector::Pinned(pinned) if *pinned != id => None,
                    ImageSelector::Pinned(_) | ImageSelector::Reference(_) => {
                        self.image_on_host.then(|| id.clone())
                    }
                };
                let at = self.now;
                looks.image =
                    Image::At { selector: selector.clone(), found, fetched: self.fetched.clone(), at };
            }
            Step::LookAtNextImage(image) => {
                let found = match image.as_str() {
                    "engine:1.4.2" => Some(id.clone()),
                    _ => newer_is_there.then(|| ImageId::new(format!("{NEWER}{image}"))),
                };
                let (image, at) = (image.clone(), self.now);
                self.next_image = Looked::At(NextImage { image, found, fetched: false, at });
            }
            Step::LookAtImageUsers { present, next } => {
                let user = |id: &ImageId| {
                    if id.as_str().starts_with(NEWER) { self.newer_user } else { "1000" }.to_owned()
                };
                self.image_users = Looked::At(ImageUsers {
                    of_present: Some(user(present)),
                    of_next: Some(user(next)),
                    present: present.clone(),
                    next: next.clone(),
                });
            }
            Step::LookAtBackup(id) => {
                let found = self.backups.get(id).map(|kept| kept.copy.clone());
                self.looked_backup = Looked::At((id.clone(), found));
            }
            Step::LookAtRoom => {
                let reason = if self.room_is_kept { ROOM_KEPT } else { "NoRoom" };
                let problem =
                    CopyProblem { reason: reason.to_owned(), message: "there is no room".to_owned() };
                let found = if self.has_room && !self.room_is_kept { Ok(()) } else { Err(problem) };
                self.room = Looked::At((self.now, found));
            }
            Step::FetchBackup { backup, restore, build } => {
                assert!(self.backups.contains_key(backup), "a copy that is not kept");
                let is_newer = build.image.as_str().starts_with(NEWER);
                let can_be_had =
                    if is_newer { self.newer_can_be_had } else { self.image_on_host || self.registry_has_it };
                if !can_be_had {
                    self.fails_for_a_person = Some(PINNED_IMAGE_GONE);
                    self.fail(step);
                    self.fails_for_a_person = None;
                    return;
                }
                self.image_on_host |= !is_newer;
                looks.image = Image::NotYet;
                self.fetched_back = Some(FetchedBack { restore: restore.clone(), at: self.now });
            }
            Step::BackUp(_) if self.state_directory == StateDirectory::Absent => self.fail(step),
            Step::BackUp(new) => self.back_up(new),
            Step::PutBack { backup, restore, .. } => {
                assert!(self.container.is_none(), "a copy put back under a container");
                // What was done under this name is not done again, whoever asks.
                if !self.restored.contains(restore) {
                    self.restored.push(restore.clone());
                    let Kept { turn, of, writes, is_ruined, .. } =
                        self.backups.get(backup).expect("a kept copy").clone();
                    (self.turn, self.state_of, self.writes, self.is_ruined) = (turn, of, writes, is_ruined);
                }
                self.put_back = Some(restore.clone());
                self.looks = Looks::none();
                self.engine = EngineView::NotAsked;
            }
            Step::LookAtNetwork => looks.network = Looked::At(self.network.clone()),
            Step::LookAtStateDirectory => looks.state_directory = Looked::At(self.state_directory),
            Step::LookAtContents => looks.contents = Looked::At(self.contents.clone()),
            Step::LookAtCopies => looks.copies = Looked::At(!self.backups.is_empty()),
            Step::LookForRival { doubted, .. } => {
                let unseen = doubted.clone().filter(|_| self.hides_processes);
                let unseen = unseen.map(|container| Rival::Unseen { container, why: "hidepid".into() });
                looks.rival = Looked::At(self.rival.clone().or(unseen));
            }
            Step::PullImage(image) if image.as_str() != "engine:1.4.2" => {
                if self.newer_can_be_had {
                    (self.next_image, self.fetched) = (Looked::NotYet, Some(image.clone()));
                    self.newer_was_removed = false;
                    looks.image = Image::NotYet;
                } else {
                    self.fail(step);
                }
            }
            Step::PullImage(_) if !self.registry_has_it => self.fail(step),
            Step::PullImage(image) => {
                self.image_on_host = true;
                self.fetched = Some(image.clone());
                looks.image = Image::NotYet;
            }
            Step::CreateStateDirectory(_) => {
                if self.state_directory == StateDirectory::Absent {
                    self.state_directory = StateDirectory::Empty;
                    self.contents = Contents::nothing();
                }
                looks.state_directory = Looked::At(self.state_directory);
            }
            Step::CreateNetwork => {
                self.network = Some(NetworkId::new("net-2"));
                looks.network = Looked::At(self.network.clone());
            }
            Step::CreateContainer { image, inputs, .. } => {
                assert!(self.container.is_none(), "two containers on one directory");
                assert!(self.state_directory != StateDirectory::Absent, "a container without its directory");
                self.made += 1;
                let image_id = match image {
                    ImageSelector::Pinned(id) => id.clone(),
                    ImageSelector::Reference(_) => id,
                };
                self.container = Some(Container {
                    id: ContainerId::new(format!("container-{}", self.made)),
                    owner: Owner::Game(GAME),
                    state: ContainerState::Created,
                    image_id,
                    network_id: None,
                    endpoints: Endpoints::default(),
                    reachable_at: None,
                    epoch: Some(1),
                    applied: Some(inputs.clone()),
                    token: None,
                    unlike: None,
                });
            }
            Step::StartContainer(wanted) => {
                let container = self.container.as_mut().expect("a container");
                assert_eq!(container.id, *wanted);
                self.lives += 1;
                let started_at = format!("life-{}", self.lives);
                container.network_id = self.network.clone();
                let version =
                    container.applied.as_ref().map(|applied| applied.engine_version.to_string()).unwrap();
                let on_record =
                    self.record.applied.as_ref().map(|applied| applied.engine_version.to_string());
                assert_eq!(
                    Some(&version),
                    on_record.as_ref(),
                    "what is started is not what is on record: {:?}",
                    self.done
                );
                let copy = self.record.patch.as_ref().and_then(|patch| self.backups.get(&patch.backup));
                let copied = copy.is_some_and(|kept| kept.of == self.state_of && kept.writes == self.writes);
                assert!(
                    version == self.state_of || self.turn.is_none() || copied,
                    "{version} is started on the state of {} without a copy of it: {:?}",
                    self.state_of,
                    self.done
                );
                if self.turn.is_some() {
                    self.state_of.clone_from(&version);
                    self.writes += 1;
                }
                let engines = match self.newer {
                    Newer::ExitsAtStart if version != "1.4.2" => Engines::ExitAtStart,
                    Newer::RuinsTheState if version != "1.4.2" => {
                        self.is_ruined = true;
                        Engines::ExitAtStart
                    }
                    _ if self.is_ruined => Engines::ExitAtStart,
                    _ => self.engines,
                };
                container.state = match engines {
                    Engines::ExitAtStart => {
                        ContainerState::Exited { started_at, code: 3, out_of_memory: false }
                    }
                    Engines::Healthy | Engines::NeverHealthy => ContainerState::Running { started_at },
                };
                container.reachable_at = Some("10.0.0.2:8080".into());
                self.looks = Looks::none();
            }
            Step::StopContainer { .. } => self.kill(0),
            Step::RemoveContainer(dead) => {
                let container = self.container.take().expect("a container");
                assert_eq!(container.id, *dead.container());
                assert!(!(self.says_alive && self.hides_processes), "removed though it may be alive");
                assert!(!matches!(container.state, ContainerState::Running { .. }), "removed alive");
                self.looks = Looks::none();
                self.fetched = None;
            }
            Step::ProbeEngine { life, .. } => self.answer(life),
            Step::InitialiseEngine { races, .. } => {
                assert!(!races.is_empty(), "initialised with nobody in it");
                assert!(self.turn.is_none(), "initialised twice");
                if self.init_fails && !self.is_newer() {
                    self.engine = EngineView::NotAsked;
                    self.looks.contents = Looked::NotYet;
                    return;
                }
                self.turn = Some(0);
                self.state_directory = StateDirectory::Present;
                self.contents = Contents::new("a game");
                self.looks.contents = Looked::NotYet;
                self.engine = EngineView::NotAsked;
            }
            Step::GenerateTurn { from, .. } => {
                // A second attempt at a turn has the copy of the first: an engine that was replaced
                // meanwhile may have written since.
                let copied = |kept: &Kept| kept.copy.reason == BackupReason::Turn && kept.turn == self.turn;
                let first = self.record.turn.as_ref().is_some_and(|turn| turn.attempts == 1);
                assert!(
                    !first || !self.desired.backup_before_turn || self.backups.values().any(copied),
                    "a turn without a copy of the state before it: {:?}",
                    self.done
                );
                assert!(
                    !matches!(self.under_way, Some(Step::BackUp(_))),
                    "a turn while the state is copied: {:?}",
                    self.done
                );
                assert_eq!(self.turn, Some(*from), "a turn that does not follow");
                let newer_dies = self.is_newer() && self.newer == Newer::DiesOnItsFirstTurn;
                if newer_dies || self.turns == Turns::Kill {
                    self.kill(70);
                } else if self.turns == Turns::AtOnce {
                    self.turn = Some(from + 1);
                    self.writes += 1;
                }
                self.engine = EngineView::NotAsked;
            }
            Step::RemoveCopies(_) => {
                assert!(self.record.erasing_since.is_some(), "removed before that is on record");
                self.backups.clear();
                looks.copies = Looked::At(false);
            }
            Step::RemoveStateDirectory(_) => {
                assert!(self.backups.is_empty(), "the state goes before its copies");
                let comes_back = matches!(self.under_way, Some(Step::PutBack { .. }));
                assert!(!comes_back, "state removed while a copy is being put in its place");
                assert!(
                    self.desired.deletion_policy == DeletionPolicy::Delete
                        || self.record.erasing_since.is_some(),
                    "state removed against the policy"
                );
                self.state_directory = StateDirectory::Absent;
                self.contents = Contents::nothing();
                looks.state_directory = Looked::At(StateDirectory::Absent);
                self.turn = None;
            }
            Step::FinishDeletion(_) => self.row_deleted = true,
        }
    }

    fn players(&self) -> Vec<EnginePlayer> {
        let player = |member: &Member| EnginePlayer {
            id: member.user_id.to_string().parse().unwrap(),
            race_name: member.race_name.to_string().parse().unwrap(),
            planets: self.planets,
            population: 1,
        };
        let known = if self.silent_about_new_members { 1 } else { self.desired.members.len() };
        self.desired.members.iter().take(known).map(player).collect()
    }

    /// What runs may do anything to the state.
    fn is_trying(&self) -> bool {
        self.is_alive() && self.record.patch.as_ref().is_some_and(|patch| patch.committed_at.is_none())
    }

    fn back_up(&mut self, new: &NewBackup) {
        assert!(!self.is_trying(), "a copy of what is written to");
        let at_work =
            self.record.turn.as_ref().is_some_and(|turn| matches!(turn.state, TurnState::Dispatched { .. }));
        assert!(!self.is_alive() || !at_work, "a copy while a turn is being generated: {:?}", self.done);
        let NewBackup { id, game, taken_at, reason, turn, timeline, build } = new.clone();
        let (files, bytes, left_out, digest) = (1, 1, 0, String::new());
        let copy = Backup {
            id: id.clone(),
            game,
            taken_at,
            reason,
            turn,
            timeline,
            build,
            files,
            bytes,
            left_out,
            digest,
        };
        self.backups.entry(id).or_insert(Kept {
            copy: copy.clone(),
            turn: self.turn,
            of: self.state_of.clone(),
            writes: self.writes,
            is_ruined: self.is_ruined,
        });
        self.backed_up = Some(copy);
    }

    /// The open turn was sent to this process.
    fn is_sent_to(&self, life: &Life) -> bool {
        let turn = self.record.turn.as_ref();
        turn.is_some_and(|turn| match &turn.state {
            TurnState::Dispatched { life: sent_to, .. } | TurnState::Failed { life: sent_to, .. } => {
                sent_to == life
            }
            TurnState::Pending => false,
        })
    }

    /// What runs is not the version that this world began with.
    fn is_newer(&self) -> bool {
        let applied = self.container.as_ref().and_then(|container| container.applied.as_ref());
        applied.is_some_and(|applied| applied.engine_version.to_string() != "1.4.2")
    }

    fn answer(&mut self, life: &Life) {
        let (engines, turn) = match (self.is_newer(), self.newer) {
            (true, Newer::NeverHealthy) => (Engines::NeverHealthy, self.turn),
            (true, Newer::HasNoGame) => (self.engines, None),
            (true, Newer::SaysAnotherTurn) => (self.engines, self.turn.map(|turn| turn + 7)),
            (_, _) => (self.engines, self.turn),
        };
        let answer = match (engines, turn) {
            (Engines::NeverHealthy | Engines::ExitAtStart, _) => Answer::Unhealthy("503".into()),
            (Engines::Healthy, _) if self.says_it_is_another_game => Answer::WrongEngine("another".into()),
            (Engines::Healthy, None) => Answer::NotInitialised,
            (Engines::Healthy, Some(turn)) => Answer::Has(EngineState {
                game_id: Some(GAME),
                turn,
                generating: self.turns == Turns::Never && self.is_sent_to(life),
                finished: self.finished,
                players: self.players(),
            }),
        };
        let failures = match &self.engine {
            EngineView::Said { failures, life: known, .. } if known == life => failures + 1,
            EngineView::Said { .. } | EngineView::NotAsked => 1,
        };
        let failures = if matches!(answer, Answer::Unhealthy(_)) { failures } else { 0 };
        self.engine = EngineView::Said { life: life.clone(), at: self.now, answer, failures };
    }

    pub(crate) fn operation(&self) -> Option<OperationKind> {
        self.record.operation.as_ref().map(|operation| operation.kind)
    }
}

/// A step without what is fresh in the name of a copy: eight digits after its time.
pub(crate) fn plain(step: &str) -> String {
    match step.split_once("Z-") {
        Some((time, rest)) if rest.len() > 8 && rest.as_bytes()[8] == b'-' => {
            format!("{time}Z-{}", &rest[9..])
        }
        _ => step.to_owned(),
    }
}

/// What goes on while a step is taken that takes long.
fn work(step: &Step) -> Option<Work> {
    match step {
        Step::StopContainer { container, .. } => Some(Work::Stopping(container.clone())),
        Step::BackUp(_) => Some(Work::BackingUp { progress: String::new() }),
        Step::PutBack { .. } => Some(Work::PuttingBack { progress: String::new() }),
        Step::RemoveCopies(_) => Some(removing(Remains::Copies)),
        Step::RemoveStateDirectory(_) => Some(removing(Remains::State)),
        _ => None,
    }
}

fn removing(part: Remains) -> Work {
    Work::Removing { part, progress: "12 names are gone".into() }
}

/// Whether the runtime takes it only while no process has the state beside Docker's knowledge.
fn needs_a_free_state(step: &Step) -> bool {
    matches!(
        step,
        Step::CreateContainer { .. }
            | Step::StartContainer(_)
            | Step::RemoveContainer(_)
            | Step::PutBack { .. }
            | Step::RemoveStateDirectory(_)
            | Step::FinishDeletion(_)
    )
}
