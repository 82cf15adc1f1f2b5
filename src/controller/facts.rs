//! What is remembered of the world between the rounds of one game.

use jiff::{SignedDuration, Timestamp};

use crate::clock::{Moment, WallClock};
use crate::game::backup::CopyProblem;
use crate::game::container::{Container, ContainerState, ImageSelector, Rival, StateDirectory};
use crate::game::engine::Answer;
use crate::game::record::{Contents, Life, moved};
use crate::game::{Backup, BackupId, GameId, ImageRef, NetworkId, RestoreId};
use crate::reconcile::observed::{DOCKER_TOO_SLOW, DOCKER_UNREACHABLE, FetchedBack};
use crate::reconcile::{
    EngineView, Failure, FailureClass, Image, ImageUsers, Looked, NextImage, Reached, Remains, RuntimeView,
    Seen, Step,
};
use crate::runtime::{Cause, Listed};

/// Facts of one game. What is stale is asked for again when a round begins.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The container, as last inspected; `None` is stale.
    pub(super) container: Option<Option<Container>>,
    /// The container as Docker last spoke of it, if its process lived then.
    pub(super) alive: Option<Container>,
    /// The last log lines of a life that ended.
    pub(super) log_tail: Option<String>,
    /// The image that was looked for, what was found, and when.
    pub(super) image: Option<(ImageSelector, Option<crate::game::ImageId>, Timestamp)>,
    /// The image of the version that is to come.
    pub(super) next_image: Looked<NextImage>,
    pub(super) image_users: Looked<ImageUsers>,
    pub(super) backed_up: Option<Backup>,
    pub(super) backup: Looked<(BackupId, Option<Backup>)>,
    pub(super) room: Looked<(Timestamp, Result<(), CopyProblem>)>,
    pub(super) fetched_back: Option<FetchedBack>,
    pub(super) put_back: Option<RestoreId>,
    /// What was fetched for the present start.
    pub(super) fetched: Option<ImageRef>,
    pub(super) network: Looked<Option<NetworkId>>,
    pub(super) state_directory: Looked<StateDirectory>,
    /// The time at which it was last seen, made or changed. A look before that says nothing.
    pub(super) state_directory_at: Option<Moment>,
    pub(super) contents: Looked<Contents>,
    pub(super) copies: Looked<bool>,
    pub(super) rival: Looked<Option<Rival>>,
    pub(super) engine: EngineView,
    /// A step that failed since the last plan.
    pub(super) failure: Option<Failure>,
    /// A call that is on record as sent, and was not.
    pub(super) not_sent: Option<Step>,
    /// The step that found the world not as thought, until one of its kind is done: a second time is no
    /// accident.
    pub(super) stale: Option<std::mem::Discriminant<Step>>,
    /// The look that came to nothing though Docker answers about the container, until one of its kind is done.
    pub(super) unanswered: Option<std::mem::Discriminant<Step>>,
    /// Docker was late with the removal of the container that is there.
    pub(super) removal_is_late: bool,
    /// Docker has not answered about this game since.
    pub(super) silent: Option<Silence>,
}

/// That Docker does not say what there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Silence {
    pub(super) since: Timestamp,
    /// One CamelCase word.
    pub(super) reason: String,
    pub(super) why: String,
    /// Somebody else may be Docker by now, or nobody: all that was known is doubtful. A call that is late
    /// says nothing of the kind.
    pub(super) is_doubtful: bool,
}

impl Silence {
    /// It begins, with what a call came to.
    pub(super) fn begins(failure: &Failure, now: Timestamp) -> Self {
        Self {
            since: now,
            reason: failure.reason.clone(),
            why: failure.message.clone(),
            is_doubtful: (failure.class == FailureClass::Unknown && failure.reason != DOCKER_TOO_SLOW)
                || failure.reason == Cause::NotDocker.reason(),
        }
    }

    /// Nobody answers as the Docker that is known.
    pub(super) fn of_all(why: String, now: Timestamp) -> Self {
        let reason = DOCKER_UNREACHABLE.to_owned();
        Self { since: now, reason, why, is_doubtful: true }
    }
}

impl Facts {
    /// Moves the times with the wall clock, which was set by so much.
    pub(super) fn shift_clock(&mut self, step: SignedDuration) {
        // A fact of a new kind has to say here which times are in it.
        let Self {
            image,
            next_image,
            fetched_back,
            room,
            engine,
            silent,
            container: _,
            alive: _,
            log_tail: _,
            image_users: _,
            backed_up: _,
            backup: _,
            put_back: _,
            fetched: _,
            network: _,
            state_directory: _,
            // By the clock that nobody sets.
            state_directory_at: _,
            contents: _,
            copies: _,
            rival: _,
            failure: _,
            not_sent: _,
            stale: _,
            unanswered: _,
            removal_is_late: _,
        } = self;
        if let Some(Silence { since, reason: _, why: _, is_doubtful: _ }) = silent {
            *since = moved(*since, step);
        }
        if let EngineView::Said { life: _, at, answer: _, failures: _ } = engine {
            *at = moved(*at, step);
        }
        if let Some((_, _, at)) = image {
            *at = moved(*at, step);
        }
        if let Some(FetchedBack { at, restore: _ }) = fetched_back {
            *at = moved(*at, step);
        }
        if let Looked::At((at, _)) = room {
            *at = moved(*at, step);
        }
        if let Looked::At(NextImage { at, image: _, found: _, fetched: _ }) = next_image {
            *at = moved(*at, step);
        }
    }
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            container: None,
            alive: None,
            log_tail: None,
            image: None,
            next_image: Looked::NotYet,
            image_users: Looked::NotYet,
            backed_up: None,
            backup: Looked::NotYet,
            room: Looked::NotYet,
            fetched_back: None,
            put_back: None,
            fetched: None,
            network: Looked::NotYet,
            state_directory: Looked::NotYet,
            state_directory_at: None,
            contents: Looked::NotYet,
            copies: Looked::NotYet,
            rival: Looked::NotYet,
            engine: EngineView::NotAsked,
            failure: None,
            not_sent: None,
            stale: None,
            unanswered: None,
            removal_is_late: false,
            silent: None,
        }
    }
}

/// Something learned outside a round.
#[derive(Debug, Clone)]
pub(super) enum News {
    /// Something happened to the container.
    ContainerStale,
    /// Something may have happened to anything.
    EverythingStale,
    /// What the engine said, and when by the clock that nobody sets: the other one may be set before it is
    /// learned.
    Said(Life, Moment, Answer),
    /// The state directory was there at this moment, or was not.
    StateDirectory(Moment, bool),
    /// The engine was told something, and has to be asked what came of it.
    EngineStale(Option<Failure>),
    /// The call was not made, though it is on record: the address was not the engine's any more, or
    /// nothing may be touched by now.
    NotSent(Step),
    /// The image was fetched.
    Fetched(ImageRef),
    /// A copy of the state was taken.
    BackedUp(Box<Backup>),
    /// A kept copy lies beside the state, to be put back under this name.
    FetchedBack(RestoreId),
    /// A kept copy was put back, under this name.
    PutBack(RestoreId),
    /// This is not on the disk any more.
    Removed(Remains),
    /// Work in the background failed.
    Failed(Failure),
}

impl Facts {
    /// Takes it in, by the clock as it is set now.
    pub(super) fn learn(&mut self, news: News, clock: WallClock) {
        match news {
            News::ContainerStale => self.container = None,
            News::EverythingStale => {
                self.container = None;
                self.forget_looks();
            }
            News::StateDirectory(at, there) => {
                if self.state_directory_at.is_none_or(|known| known < at) {
                    self.state_directory_at = Some(at);
                    self.state_directory =
                        if there { Looked::NotYet } else { Looked::At(StateDirectory::Absent) };
                }
            }
            News::Said(life, at, answer) => {
                let failed = match &answer {
                    Answer::Has(_) | Answer::NotInitialised => false,
                    Answer::Unhealthy(_) | Answer::NotUnderstood(_) | Answer::WrongEngine(_) => true,
                };
                let before = match &self.engine {
                    EngineView::Said { life: known, failures, .. } if *known == life => *failures,
                    EngineView::Said { .. } | EngineView::NotAsked => 0,
                };
                let failures = if failed { before.saturating_add(1) } else { 0 };
                if matches!(answer, Answer::WrongEngine(_)) {
                    // Whether the container still has the address is asked before anybody there is asked again.
                    self.container = None;
                }
                self.engine = EngineView::Said { life, at: clock.at(at), answer, failures };
            }
            News::EngineStale(failure) => {
                self.engine = EngineView::NotAsked;
                self.failure = failure.or(self.failure.take());
            }
            News::NotSent(step) => {
                self.engine = EngineView::NotAsked;
                self.not_sent = Some(step);
            }
            News::Fetched(image) => {
                self.image = None;
                self.next_image = Looked::NotYet;
                self.fetched = Some(image);
            }
            News::BackedUp(copy) => self.backed_up = Some(*copy),
            News::FetchedBack(restore) => {
                // The image was brought with it.
                self.image = None;
                self.fetched_back = Some(FetchedBack { restore, at: clock.now() });
            }
            News::PutBack(restore) => {
                self.container = None;
                self.forget_looks();
                self.engine = EngineView::NotAsked;
                self.put_back = Some(restore);
                // One took the place of another: whoever looked meanwhile may have seen none.
                self.state_directory_at = Some(Moment::now());
            }
            News::Removed(Remains::Copies) => self.copies = Looked::At(false),
            News::Removed(Remains::State) => self.state_directory = Looked::At(StateDirectory::Absent),
            News::Failed(failure) => {
                self.container = None;
                self.forget_looks();
                self.failure = Some(failure);
            }
        }
    }

    /// The state directory was looked at, made or removed just now.
    pub(super) fn sees_state_directory(&mut self, there: StateDirectory) {
        self.state_directory = Looked::At(there);
        self.state_directory_at = Some(Moment::now());
    }

    /// What was looked at for a start is looked at again for the next one.
    pub(super) fn forget_looks(&mut self) {
        self.image = None;
        self.next_image = Looked::NotYet;
        self.image_users = Looked::NotYet;
        self.backup = Looked::NotYet;
        self.room = Looked::NotYet;
        self.network = Looked::NotYet;
        self.state_directory = Looked::NotYet;
        self.contents = Looked::NotYet;
        self.copies = Looked::NotYet;
        self.rival = Looked::NotYet;
    }

    /// A step did what it was to do.
    pub(super) fn done(&mut self, step: &Step) {
        let is_another = |kind: &std::mem::Discriminant<Step>| *kind != std::mem::discriminant(step);
        self.stale = self.stale.filter(is_another);
        self.unanswered = self.unanswered.filter(is_another);
        self.removal_is_late &= !matches!(step, Step::RemoveContainer(_));
    }

    /// Docker was late with the last step of this game's that is like this one.
    pub(super) fn is_late(&self, step: &Step) -> bool {
        if step.mutates() { self.removal_is_late } else { self.unanswered.is_some() }
    }

    /// A plan was made from them. Not every look serves another one: who else has the state is looked at anew for
    /// every decision, and a copy that was not there may have been brought back since.
    pub(super) fn served_a_plan(&mut self) {
        self.rival = Looked::NotYet;
        if matches!(self.backup, Looked::At((_, None))) {
            self.backup = Looked::NotYet;
        }
    }

    /// What a failure means here: the first look that was out of date is only taken again, after a pause.
    /// The next of the same kind of step is an attempt that failed, which is counted, told, and followed by
    /// pauses that grow. So is the second look that came to nothing while Docker answers about the container:
    /// that answer ends the silence, so nothing else would tell of it.
    pub(super) fn failed(&mut self, mut failure: Failure) -> Failure {
        let kind = std::mem::discriminant(&failure.step);
        self.removal_is_late |=
            matches!(failure.step, Step::RemoveContainer(_)) && failure.reason == DOCKER_TOO_SLOW;
        let counts = match failure.class {
            FailureClass::Stale => self.stale.replace(kind) == Some(kind),
            FailureClass::Unknown if failure.reason != DOCKER_UNREACHABLE => {
                self.unanswered.replace(kind).is_some()
            }
            FailureClass::Retry
            | FailureClass::Host
            | FailureClass::Spec
            | FailureClass::Person
            | FailureClass::MayBeAlive
            | FailureClass::Unknown => false,
        };
        if counts {
            failure.class = FailureClass::Retry;
        }
        failure
    }

    /// What the planner is shown.
    pub(super) fn view(&self) -> RuntimeView {
        match (&self.silent, &self.container) {
            (Some(silence), _) => RuntimeView::Unknown {
                since: silence.since,
                reason: silence.reason.clone(),
                why: silence.why.clone(),
                engine: self.reached(),
            },
            (None, None) => RuntimeView::Unknown {
                since: Timestamp::MAX,
                reason: DOCKER_UNREACHABLE.to_owned(),
                why: "nobody has looked yet".into(),
                engine: None,
            },
            (None, Some(container)) => RuntimeView::Known(Box::new(Seen {
                container: container.clone(),
                log_tail: self.log_tail.clone(),
                image: self.image_view(),
                next_image: self.next_image_view(),
                image_users: self.image_users.clone(),
                backup: self.backup.clone(),
                room: self.room.clone(),
                fetched_back: self.fetched_back.clone(),
                put_back: self.put_back.clone(),
                network: self.network.clone(),
                state_directory: self.state_directory,
                contents: self.contents.clone(),
                copies: self.copies,
                rival: self.rival.clone(),
                engine: self.engine.clone(),
            })),
        }
    }

    /// Where its engine was last seen alive.
    fn reached(&self) -> Option<Box<Reached>> {
        let container = self.alive.as_ref()?;
        let endpoint = container.reachable_at.clone()?;
        Some(Box::new(Reached { life: container.life()?, endpoint, said: self.engine.clone() }))
    }

    fn next_image_view(&self) -> Looked<NextImage> {
        let mut seen = self.next_image.clone();
        if let Looked::At(next) = &mut seen {
            next.fetched = self.fetched.as_ref() == Some(&next.image);
        }
        seen
    }

    fn image_view(&self) -> Image {
        match &self.image {
            None => Image::NotYet,
            Some((selector, found, at)) => Image::At {
                selector: selector.clone(),
                found: found.clone(),
                fetched: self.fetched.clone(),
                at: *at,
            },
        }
    }

    /// Whether the bulk list says the same of this game's container as is remembered.
    pub(super) fn agree_with(&self, game: GameId, listed: Option<&Listed>) -> bool {
        let Some(known) = &self.container else { return false };
        match (known, listed) {
            (None, None) => true,
            (Some(container), Some(listed)) => {
                debug_assert_eq!(listed.game, game);
                let same_state = match &container.state {
                    ContainerState::Created => listed.state == "created",
                    ContainerState::Running { .. } => listed.state == "running",
                    ContainerState::Exited { .. } => listed.state == "exited",
                    ContainerState::Removing => listed.state == "removing",
                    ContainerState::Dead => listed.state == "dead",
                    ContainerState::Unsettled { status } => listed.state == *status,
                };
                let known_address = container.endpoints.address.as_deref().and_then(|at| at.rsplit_once(':'));
                let same_address = known_address.map(|(host, _)| host) == listed.address.as_deref();
                container.id == listed.id && same_state && (same_address || !is_running(container))
            }
            // A foreign container holds the name: the list, which knows our labels only, has none.
            (Some(container), None) => container.owner == crate::game::container::Owner::Foreign,
            (None, Some(_)) => false,
        }
    }
}

fn is_running(container: &Container) -> bool {
    matches!(container.state, ContainerState::Running { .. })
}

#[cfg(test)]
mod tests {
    use crate::game::ContainerId;
    use crate::reconcile::apply;
    use crate::runtime::RuntimeError;

    use super::*;

    #[test]
    fn a_world_that_is_not_as_thought_twice_in_a_row_counts() {
        let mut facts = Facts::default();
        let start = Step::StartContainer(ContainerId::new("c1"));
        let fail = |facts: &mut Facts, step: &Step, error: &RuntimeError| {
            facts.failed(apply::failure(step, error)).class
        };
        let gone = RuntimeError::NotOurs(ContainerId::new("c1"));
        assert_eq!(fail(&mut facts, &start, &gone), FailureClass::Stale);
        assert_eq!(fail(&mut facts, &start, &gone), FailureClass::Retry);
        // Another step knows nothing of it.
        let absent = RuntimeError::NotFound("network".into());
        assert_eq!(fail(&mut facts, &Step::CreateNetwork, &absent), FailureClass::Stale);
        facts.done(&start);
        assert_eq!(fail(&mut facts, &Step::CreateNetwork, &absent), FailureClass::Retry);
        facts.done(&Step::CreateNetwork);
        assert_eq!(fail(&mut facts, &Step::CreateNetwork, &absent), FailureClass::Stale);
        // What is no matter of looking again is as it was, and so is silence.
        let refused = RuntimeError::Refused("no".into());
        assert_eq!(fail(&mut facts, &start, &refused), FailureClass::Spec);
        assert_eq!(fail(&mut facts, &Step::CreateNetwork, &refused), FailureClass::Retry);
        let silent = RuntimeError::Unreachable("no answer".into());
        assert_eq!(fail(&mut facts, &Step::CreateNetwork, &silent), FailureClass::Unknown);
    }

    #[test]
    fn a_look_that_comes_to_nothing_twice_while_docker_answers_counts() {
        let mut facts = Facts::default();
        let look = Step::LookAtNetwork;
        let late =
            RuntimeError::TimedOut { call: "inspect network", after: std::time::Duration::from_secs(30) };
        let fail = |facts: &mut Facts, error: &RuntimeError| {
            let Failure { class, reason, .. } = facts.failed(apply::failure(&look, error));
            (class, reason)
        };
        assert_eq!(fail(&mut facts, &late), (FailureClass::Unknown, DOCKER_TOO_SLOW.into()));
        // A Docker that nobody reaches is another matter, and is told as such.
        let silent = RuntimeError::Unreachable("no answer".into());
        assert_eq!(fail(&mut facts, &silent).0, FailureClass::Unknown);
        assert_eq!(fail(&mut facts, &late), (FailureClass::Retry, DOCKER_TOO_SLOW.into()));
        let other_root = RuntimeError::StateRootNotOurs;
        assert_eq!(fail(&mut facts, &other_root), (FailureClass::Retry, "StateRootNotOurs".into()));
        facts.done(&look);
        assert_eq!(fail(&mut facts, &late).0, FailureClass::Unknown);
    }

    #[test]
    fn who_has_the_state_and_that_a_copy_is_not_there_serve_one_plan() {
        let backup = Looked::At(("nowhere".parse().expect("a name"), None));
        let mut facts = Facts { rival: Looked::At(None), backup, ..Facts::default() };
        facts.served_a_plan();
        assert_eq!((facts.rival, facts.backup), (Looked::NotYet, Looked::NotYet));
    }

    #[test]
    fn a_directory_that_was_made_since_it_was_looked_for_is_there() {
        let (mut facts, clock) = (Facts::default(), WallClock::default());
        let looked = Moment::now();
        facts.sees_state_directory(StateDirectory::Empty);
        facts.forget_looks();
        facts.learn(News::StateDirectory(looked, false), clock);
        assert_eq!(facts.state_directory, Looked::NotYet, "the look was before it was made");
        facts.learn(News::StateDirectory(Moment::now(), false), clock);
        assert_eq!(facts.state_directory, Looked::At(StateDirectory::Absent));
        // A copy that is put back takes the directory's place: for a moment there is none.
        let looked = Moment::now();
        facts.learn(News::PutBack(RestoreId::fresh(uuid::Uuid::from_u128(1))), clock);
        facts.learn(News::StateDirectory(looked, false), clock);
        assert_eq!(facts.state_directory, Looked::NotYet);
    }
}
