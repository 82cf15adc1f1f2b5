//! What is known of the world when a round begins.
//!
//! An observation is three-valued. A runtime that cannot be asked is [`RuntimeView::Unknown`], and
//! that variant holds nothing a creation or a removal could be planned from: those need a
//! [`Vacancy`] or a [`Dead`], and only a [`Seen`] hands them out.

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use crate::game::backup::CopyProblem;
use crate::game::container::{Container, ContainerState, ImageSelector, Owner, Rival, StateDirectory};
use crate::game::controller::Freeze;
use crate::game::engine::Answer;
use crate::game::record::{Contents, Life};
use crate::game::{Backup, BackupId, ContainerId, ImageId, ImageRef, NetworkId, RestoreId};

use super::step::Step;

/// Everything a plan is made from, beside the desired state and the record.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The present time: planning reads no clock.
    pub now: Timestamp,
    /// An identity that nobody has used: planning makes none itself. The names of what is made on the
    /// disk come from it, and are on record before anything has them.
    pub fresh: Uuid,
    /// What Docker says.
    pub runtime: RuntimeView,
    /// What goes on in the background for this game, and occupies its engine.
    pub work: Option<Work>,
    /// What goes on beside its engine.
    pub beside: Beside,
    /// The copy of the state that was taken last.
    pub backed_up: Option<Backup>,
    /// A place among the concurrent starts is held.
    pub start_slot: bool,
    /// A place among the games that are disrupted at a time is held.
    pub disruption_place: bool,
    /// Why nobody is moved to the version that is wanted, if so.
    pub version_halted: Option<String>,
    /// A step that failed since the last plan.
    pub failure: Option<Failure>,
    /// A call that is on record as sent, and is known not to have been.
    pub not_sent: Option<Step>,
    /// Why the whole controller touches nothing, if so.
    pub freeze: Option<Freeze>,
    /// Why deletions wait for an operator's word, if this one does.
    pub deletion_held: Option<String>,
}

/// What Docker says.
#[derive(Debug, Clone, PartialEq)]
pub enum RuntimeView {
    /// It cannot be asked.
    Unknown {
        /// Since when.
        since: Timestamp,
        /// Why not, in one CamelCase word.
        reason: String,
        /// Why not, in words.
        why: String,
        /// The game's engine, where it was last seen alive; not what a container could be touched by.
        engine: Option<Box<Reached>>,
    },
    /// It answered.
    Known(Box<Seen>),
}

/// A process that can be asked though Docker cannot.
#[derive(Debug, Clone, PartialEq)]
pub struct Reached {
    /// Which life of which container, when Docker last said so.
    pub life: Life,
    /// Where it was reached then.
    pub endpoint: String,
    /// What was said there last.
    pub said: EngineView,
}

/// A fact that is asked for only when something depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked<T> {
    /// Nobody has looked.
    NotYet,
    /// This was found.
    At(T),
}

/// What Docker and the engine said.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The container that holds the game's name, if any does.
    pub container: Option<Container>,
    /// The last log lines of a life that ended and is not on record yet.
    pub log_tail: Option<String>,
    /// The image that the game needs.
    pub image: Image,
    /// The image of the version that is to come.
    pub next_image: Looked<NextImage>,
    /// As which users that one and the one to come run their processes.
    pub image_users: Looked<ImageUsers>,
    /// The kept copy that was looked for.
    pub backup: Looked<(BackupId, Option<Backup>)>,
    /// Whether there was room for a change of version, and when that was looked at.
    pub room: Looked<(Timestamp, Result<(), CopyProblem>)>,
    /// The copy that was fetched last, to be put back.
    pub fetched_back: Option<FetchedBack>,
    /// What was put back last.
    pub put_back: Option<RestoreId>,
    /// The network that engines are put on.
    pub network: Looked<Option<NetworkId>>,
    /// The game's state directory.
    pub state_directory: Looked<StateDirectory>,
    /// What is in it.
    pub contents: Looked<Contents>,
    /// Whether copies of its state are kept, or states that were moved aside.
    pub copies: Looked<bool>,
    /// Who else has its state directory.
    pub rival: Looked<Option<Rival>>,
    /// The engine itself.
    pub engine: EngineView,
}

/// The image that a game needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// Nobody has looked.
    NotYet,
    /// It was looked for.
    At {
        /// What was looked for.
        selector: ImageSelector,
        /// What was found on the host.
        found: Option<ImageId>,
        /// The image that was fetched for this start, if one was.
        fetched: Option<ImageRef>,
        /// The time of the look.
        at: Timestamp,
    },
}

/// A copy that lies beside the state, verified, with the image of its engine on the host. Nothing uses that
/// image yet, so anybody may remove it at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedBack {
    /// The restore that it was fetched for.
    pub restore: RestoreId,
    /// The time at which it was fetched.
    pub at: Timestamp,
}

/// The image of the version that is to come, as it was looked for. Nothing uses it yet, so anybody may remove it
/// at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextImage {
    /// The name that was looked for.
    pub image: ImageRef,
    /// The image that was found on the host.
    pub found: Option<ImageId>,
    /// It was fetched for this change of version.
    pub fetched: bool,
    /// The time of the look.
    pub at: Timestamp,
}

/// As which users two images run their processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUsers {
    /// The image that the game runs.
    pub present: ImageId,
    /// The image of the version to come.
    pub next: ImageId,
    /// The user of the first, as the image names it; none if it is not on the host any more.
    pub of_present: Option<String>,
    /// The user of the other.
    pub of_next: Option<String>,
}

impl ImageUsers {
    /// The two users, if they are known to be different ones.
    pub fn differ(&self) -> Option<(&str, &str)> {
        // An image that names nobody runs as root.
        let plain = |user: &str| match user {
            "" | "root" | "0:0" | "root:root" => "0".to_owned(),
            other => other.to_owned(),
        };
        let (present, next) = (self.of_present.as_deref()?, self.of_next.as_deref()?);
        (plain(present) != plain(next)).then_some((present, next))
    }
}

/// What the engine said when it was last asked.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineView {
    /// It has not been asked in its present life.
    NotAsked,
    /// It was asked.
    Said {
        /// Which life of which container answered.
        life: Life,
        /// When.
        at: Timestamp,
        /// What.
        answer: Answer,
        /// How many looks in a row have failed, this one included.
        failures: u32,
    },
}

/// Background work beside a game's engine. It needs nothing of the engine, however long it takes: the
/// engine is asked, healed and given its turns as ever. Its end brings the next round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// An image is being fetched.
    pub pulling: Option<Pulling>,
    /// A kept copy is being copied beside the state.
    pub fetching: Option<Fetching>,
}

/// An image on its way to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulling {
    /// Which.
    pub image: ImageRef,
    /// How far, in words for people.
    pub progress: String,
}

/// A kept copy on its way to lie beside the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetching {
    /// The putting back that it is for.
    pub restore: RestoreId,
    /// How far, in words for people.
    pub progress: String,
}

/// Background work that occupies a game's engine or its container: one at a time, and meanwhile the
/// engine is asked for nothing. Its end brings the next round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// A container is being stopped.
    Stopping(ContainerId),
    /// The engine is being asked how it is.
    Probing(Life),
    /// The engine is being initialised.
    Initialising(Life),
    /// The engine generates a turn.
    Generating(Life),
    /// A copy of the state is being taken.
    BackingUp {
        /// How far, in words for people.
        progress: String,
    },
    /// A kept copy is being put back.
    PuttingBack {
        /// How far, in words for people.
        progress: String,
    },
    /// A removal of what the game has on the disk.
    Removing {
        /// The part of it that goes.
        part: Remains,
        /// The progress, in words for people.
        progress: String,
    },
}

/// The parts that a game leaves on the disk, in the order in which they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// Kept copies of its state, and states that were moved aside.
    Copies,
    /// Its state.
    State,
}

impl fmt::Display for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copies => "the copies of its state",
            Self::State => "its state",
        })
    }
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Which.
    pub step: Step,
    /// What to do about it.
    pub class: FailureClass,
    /// How soon another attempt makes sense.
    pub pace: Pace,
    /// One CamelCase word for machines.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

/// How soon what failed is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At once, and then after pauses that double.
    Usual,
    /// After a fifth of the longest pause, and then after pauses that double.
    Slow,
    /// After the longest pause, each time.
    Slowest,
}

/// Docker cannot be asked.
pub const DOCKER_UNREACHABLE: &str = "DockerUnreachable";
/// Docker did not answer one call within its deadline, which says nothing of any other call.
pub const DOCKER_TOO_SLOW: &str = "DockerTooSlow";

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// It may go better next time.
    Retry,
    /// It may go better once something on Docker's host is mended. It says nothing of the container or of its
    /// version.
    Host,
    /// It will not, until the spec changes.
    Spec,
    /// It will not, until a person acts.
    Person,
    /// As [`FailureClass::Person`]: a process of the container may be alive, whatever Docker says of it later,
    /// and the host cannot be asked.
    MayBeAlive,
    /// The world was not as thought: look again, count nothing. (Twice in a row, it is a failure to retry.)
    Stale,
    /// Docker could not be asked: nothing is known about what happened.
    Unknown,
}

/// Proof that Docker was asked, that no container holds the game's name, and that no process is known
/// to have its state. (Whatever is done by it asks the host again.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vacancy(());

/// Proof that Docker was asked, that this container of the game has no process, and that no process is
/// known to have the game's state. Of a container that may be alive whatever Docker says, the host was asked.
/// (Whatever is done by it asks again.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    container: ContainerId,
    is_doubted: bool,
}

impl Dead {
    /// Which container.
    pub fn container(&self) -> &ContainerId {
        &self.container
    }

    /// Docker's word alone is no proof of it.
    pub fn is_doubted(&self) -> bool {
        self.is_doubted
    }
}

impl Seen {
    /// The proof that there is no container, if there is none.
    pub fn vacancy(&self) -> Option<Vacancy> {
        (self.container.is_none() && !self.is_held_by_a_process()).then_some(Vacancy(()))
    }

    /// The proof that the game's container has no process, if that is so. `doubted` is the container that may
    /// be alive whatever Docker says: of that one it takes a look that found nobody.
    pub fn dead(&self, doubted: Option<&ContainerId>) -> Option<Dead> {
        let container = self.container.as_ref()?;
        let ours = matches!(container.owner, Owner::Game(_));
        let ended = match container.state {
            ContainerState::Created | ContainerState::Exited { .. } | ContainerState::Dead => true,
            ContainerState::Running { .. } | ContainerState::Unsettled { .. } | ContainerState::Removing => {
                false
            }
        };
        let is_doubted = doubted == Some(&container.id);
        let is_proven = !is_doubted || self.rival == Looked::At(None);
        (ours && ended && is_proven && !self.is_held_by_a_process())
            .then(|| Dead { container: container.id.clone(), is_doubted })
    }

    /// Docker's word is not the whole: a process has the game's state, in no container that Docker says
    /// is alive.
    pub fn is_held_by_a_process(&self) -> bool {
        matches!(self.rival, Looked::At(Some(Rival::Process(_))))
    }
}
