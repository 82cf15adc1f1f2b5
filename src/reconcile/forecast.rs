//! What would follow: the plan is applied, in thought, to a world in which every step succeeds, and
//! the next one is made, until nothing is left to do. Pure, like the planner that it asks.

use std::time::Duration;

use crate::game::container::{Container, ContainerState, ImageSelector, Owner, StateDirectory};
use crate::game::engine::{Answer, EngineState};
use crate::game::record::{Contents, Endpoints, Life, Record};
use crate::game::spec::Desired;
use crate::game::{Backup, BackupId, BackupReason, ContainerId, ImageId, ImageRef, NetworkId, OperationId};

use super::backoff::after;
use super::observed::{
    Beside, EngineView, FetchedBack, Image, ImageUsers, Looked, NextImage, Observation, Pulling, Remains,
    RuntimeView, Seen, Work,
};
use super::plan::{Plan, plan};
use super::policy::Policy;
use super::step::{Planned, Step, Wait};

/// No way is longer.
const ROUNDS: usize = 64;

/// Every step from here on, the present ones first, if all of them succeed and nothing else happens.
pub fn forecast(
    desired: &Desired,
    record: &Record,
    observation: &Observation,
    policy: &Policy,
) -> Vec<Planned> {
    let RuntimeView::Known(seen) = &observation.runtime else { return Vec::new() };
    let mut world = Foreseen {
        record: record.clone(),
        seen: (**seen).clone(),
        around: observation.clone(),
        lives: 0,
        steps: Vec::new(),
    };
    for _ in 0..ROUNDS {
        world.around.runtime = RuntimeView::Known(Box::new(world.seen.clone()));
        let planned = plan(desired, &world.record, &world.around, policy);
        if !world.take_in(&planned) {
            break;
        }
    }
    world.steps
}

/// The world as it is thought to become.
struct Foreseen {
    record: Record,
    seen: Seen,
    around: Observation,
    lives: u32,
    steps: Vec<Planned>,
}

impl Foreseen {
    /// Lets the plan come true. False if that was the end.
    fn take_in(&mut self, planned: &Plan) -> bool {
        self.record = planned.record.clone();
        if let Some(new) = &planned.operation.open {
            let id = OperationId(uuid::Uuid::nil());
            self.record.operation = Some(new.opened(id));
        }
        (self.around.failure, self.around.not_sent) = (None, None);
        for planned in &planned.steps {
            self.steps.push(planned.clone());
            if matches!(planned.step, Step::FinishDeletion(_)) {
                return false;
            }
            self.take(&planned.step);
        }
        !planned.steps.is_empty() || self.wait_out(planned)
    }

    /// Lets the time pass that the plan waits for. False if nothing comes by itself.
    fn wait_out(&mut self, planned: &Plan) -> bool {
        let Beside { pulling, fetching } = &mut self.around.beside;
        match self.around.work.take() {
            Some(Work::Stopping(_)) => self.end_process(),
            Some(Work::Probing(life)) => self.answers(&life),
            Some(Work::Initialising(life)) => self.has_its_game(&life),
            Some(Work::Generating(life)) => self.generates(&life),
            Some(Work::BackingUp { .. }) => {
                let patch = self.record.patch.as_ref().map(|patch| &patch.backup);
                let copying = self.record.copying.as_ref().map(|copying| &copying.backup);
                self.around.backed_up = copying.or(patch).map(kept);
            }
            Some(Work::PuttingBack { .. }) => {
                self.seen.put_back = self.record.put_back.as_ref().map(|back| back.restore.clone());
            }
            Some(Work::Removing { part: Remains::Copies, .. }) => self.seen.copies = Looked::At(false),
            Some(Work::Removing { part: Remains::State, .. }) => {
                self.seen.state_directory = Looked::At(StateDirectory::Absent);
            }
            None if fetching.is_some() => {
                let at = self.around.now;
                self.seen.fetched_back =
                    fetching.take().map(|fetching| FetchedBack { restore: fetching.restore, at });
            }
            None if pulling.is_some() => {
                if let Some(Pulling { image, .. }) = pulling.take() {
                    self.fetched(&image);
                }
            }
            None if planned.waiting_on.contains(&Wait::DisruptionPlace) && !self.around.disruption_place => {
                self.around.disruption_place = true;
            }
            None if planned.waiting_on.contains(&Wait::StartSlot) && !self.around.start_slot => {
                self.around.start_slot = true;
            }
            None => return self.until_due(planned),
        }
        true
    }

    fn until_due(&mut self, planned: &Plan) -> bool {
        let due = [Wait::NextAttempt, Wait::Grace].iter().any(|wait| planned.waiting_on.contains(wait));
        let Some(at) = planned.look_again.filter(|at| due && *at > self.around.now) else { return false };
        self.around.now = after(at, Duration::from_millis(1));
        true
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::LookAtImage(selector) => {
                let found = Some(self.image(selector));
                let at = self.around.now;
                self.seen.image = Image::At { selector: selector.clone(), found, fetched: None, at };
            }
            Step::LookAtNextImage(reference) => {
                let found = Some(self.image(&ImageSelector::Reference(reference.clone())));
                let (image, at) = (reference.clone(), self.around.now);
                self.seen.next_image = Looked::At(NextImage { image, found, fetched: false, at });
            }
            Step::LookAtImageUsers { present, next } => {
                let (present, next) = (present.clone(), next.clone());
                // Thought to be the same.
                let users = ImageUsers { present, next, of_present: None, of_next: None };
                self.seen.image_users = Looked::At(users);
            }
            Step::LookAtBackup(id) => self.seen.backup = Looked::At((id.clone(), Some(kept(id)))),
            Step::LookAtRoom => self.seen.room = Looked::At((self.around.now, Ok(()))),
            Step::FetchBackup { restore, .. } => {
                self.seen.fetched_back = Some(FetchedBack { restore: restore.clone(), at: self.around.now });
            }
            Step::BackUp(new) => self.around.backed_up = Some(kept(&new.id)),
            Step::PutBack { restore, .. } => self.seen.put_back = Some(restore.clone()),
            Step::PullImage(reference) => self.fetched(reference),
            Step::LookAtNetwork | Step::CreateNetwork => self.seen.network = Looked::At(Some(self.network())),
            Step::LookAtStateDirectory => {
                let has_state = self.record.init_intent_at.is_some();
                let there = if has_state { StateDirectory::WithGame } else { StateDirectory::Absent };
                self.seen.state_directory = Looked::At(there);
            }
            Step::LookAtContents => {
                self.seen.contents =
                    Looked::At(self.record.init_baseline.clone().unwrap_or(Contents::nothing()));
            }
            Step::LookForRival { .. } => self.seen.rival = Looked::At(None),
            Step::CreateStateDirectory(_) => self.seen.state_directory = Looked::At(StateDirectory::Empty),
            Step::CreateContainer { .. } => self.seen.container = Some(self.created()),
            Step::StartContainer(_) => self.start_process(),
            Step::StopContainer { .. } => self.end_process(),
            Step::RemoveContainer(_) => {
                self.seen.container = None;
                self.seen.image = Image::NotYet;
            }
            Step::ProbeEngine { life, .. } => self.answers(life),
            Step::InitialiseEngine { life, .. } => self.has_its_game(life),
            Step::GenerateTurn { life, .. } => self.generates(life),
            Step::LookAtCopies => self.seen.copies = Looked::At(true),
            Step::RemoveCopies(_) => self.seen.copies = Looked::At(false),
            Step::RemoveStateDirectory(_) => self.seen.state_directory = Looked::At(StateDirectory::Absent),
            Step::FinishDeletion(_) => {}
        }
    }

    fn fetched(&mut self, image: &ImageRef) {
        let selector = ImageSelector::Reference(image.clone());
        let found = Some(self.image(&selector));
        if let Looked::At(next) = &mut self.seen.next_image
            && next.image == *image
        {
            (next.found, next.fetched, next.at) = (found.clone(), true, self.around.now);
        }
        let fetched = Some(image.clone());
        self.seen.image = Image::At { selector, found, fetched, at: self.around.now };
    }

    /// The image that is known, or one that is thought to be there.
    fn image(&self, selector: &ImageSelector) -> ImageId {
        match (selector, &self.seen.image) {
            (ImageSelector::Pinned(id), _) => id.clone(),
            (_, Image::At { found: Some(id), selector: known, .. }) if known == selector => id.clone(),
            (ImageSelector::Reference(reference), _) => ImageId::new(format!("image of {reference}")),
        }
    }

    fn network(&self) -> NetworkId {
        let known = self.seen.container.as_ref().and_then(|container| container.network_id.clone());
        known.unwrap_or_else(|| NetworkId::new("the network"))
    }

    fn created(&self) -> Container {
        Container {
            id: ContainerId::new("the-new-one"),
            owner: Owner::Game(crate::game::GameId(uuid::Uuid::nil())),
            state: ContainerState::Created,
            image_id: self.record.image_id.clone().unwrap_or_else(|| ImageId::new("")),
            network_id: None,
            endpoints: Endpoints::default(),
            reachable_at: None,
            epoch: None,
            applied: self.record.applied.clone(),
            token: None,
            unlike: None,
        }
    }

    fn start_process(&mut self) {
        self.lives += 1;
        let network = match &self.seen.network {
            Looked::At(Some(network)) => network.clone(),
            Looked::At(None) | Looked::NotYet => self.network(),
        };
        if let Some(container) = &mut self.seen.container {
            container.state = ContainerState::Running { started_at: format!("life {}", self.lives) };
            container.network_id = Some(network);
            container.reachable_at = Some("its-address".into());
        }
        self.seen.engine = EngineView::NotAsked;
        self.seen.contents = Looked::NotYet;
    }

    fn end_process(&mut self) {
        if let Some(container) = &mut self.seen.container {
            let started_at =
                container.life().map_or_else(|| "an earlier life".to_owned(), |life| life.started_at);
            container.state = ContainerState::Exited { started_at, code: 0, out_of_memory: false };
            container.reachable_at = None;
        }
    }

    fn answers(&mut self, life: &Life) {
        if self.record.initialized_at.is_some() {
            return self.has_its_game(life);
        }
        self.say(life, Answer::NotInitialised);
    }

    fn has_its_game(&mut self, life: &Life) {
        let turn = self.record.current_turn.unwrap_or_default();
        let finished = self.record.finished_at.is_some();
        let state = EngineState { game_id: None, turn, generating: false, finished, players: Vec::new() };
        self.say(life, Answer::Has(state));
    }

    fn generates(&mut self, life: &Life) {
        self.record.current_turn = self.record.current_turn.map(|turn| turn + 1);
        self.has_its_game(life);
    }

    fn say(&mut self, life: &Life, answer: Answer) {
        self.seen.engine = EngineView::Said { life: life.clone(), at: self.around.now, answer, failures: 0 };
    }
}

/// A copy as it is thought to be.
fn kept(id: &BackupId) -> Backup {
    Backup {
        id: id.clone(),
        game: crate::game::GameId(uuid::Uuid::nil()),
        taken_at: jiff::Timestamp::UNIX_EPOCH,
        reason: BackupReason::Patch,
        turn: None,
        timeline: None,
        build: None,
        files: 0,
        bytes: 0,
        left_out: 0,
        digest: String::new(),
    }
}
