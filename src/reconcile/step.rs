//! Steps: plain data, one effect each, each with its cause in words.

use std::fmt;
use std::time::Duration;

use crate::game::container::ImageSelector;
use crate::game::patch::Build;
use crate::game::record::{AppliedSpec, Life};
use crate::game::spec::RunAs;
use crate::game::{BackupId, ContainerId, ImageId, ImageRef, NewBackup, RaceName, RestoreId};

use super::observed::{Dead, Vacancy};

/// One effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// See whether the image is on the host.
    LookAtImage(ImageSelector),
    /// See whether the image of the version to come is on the host.
    LookAtNextImage(ImageRef),
    /// See as which users two images run their processes.
    LookAtImageUsers {
        /// The image that the game runs.
        present: ImageId,
        /// The image of the version to come.
        next: ImageId,
    },
    /// See whether this copy of the state is kept.
    LookAtBackup(BackupId),
    /// See whether there is room for what a change of version copies, there and back.
    LookAtRoom,
    /// See whether the network is there.
    LookAtNetwork,
    /// See whether the state directory is there.
    LookAtStateDirectory,
    /// See what is in the state directory.
    LookAtContents,
    /// See whether copies of the state are kept, or states that were moved aside.
    LookAtCopies,
    /// See whether another container has the state directory.
    LookForRival {
        /// The game's own, if it has one.
        own: Option<ContainerId>,
    },
    /// Fetch the image, in the background.
    PullImage(ImageRef),
    /// Make the state directory.
    CreateStateDirectory(RunAs),
    /// Make the network.
    CreateNetwork,
    /// Make the container, not started.
    CreateContainer {
        /// There is none.
        vacancy: Vacancy,
        /// The declared inputs it is made from.
        inputs: AppliedSpec,
        /// The image it runs.
        image: ImageSelector,
    },
    /// Start the container.
    StartContainer(ContainerId),
    /// Ask its process to end, and kill it after the grace, in the background.
    StopContainer {
        /// Which.
        container: ContainerId,
        /// How long it may take to end by itself.
        grace: Duration,
    },
    /// Remove the container.
    RemoveContainer(Dead),
    /// Ask the engine how it is, in the background.
    ProbeEngine {
        /// Which life of which container.
        life: Life,
        /// Where it is reached.
        endpoint: String,
    },
    /// Give the engine its game, in the background.
    InitialiseEngine {
        /// Which life of which container.
        life: Life,
        /// Where it is reached.
        endpoint: String,
        /// Who plays.
        races: Vec<RaceName>,
    },
    /// Have the engine go from this turn to the next one, in the background.
    GenerateTurn {
        /// Which life of which container.
        life: Life,
        /// Where it is reached.
        endpoint: String,
        /// The turn it is at.
        from: i64,
    },
    /// Take a copy of the state, in the background.
    BackUp(NewBackup),
    /// Copy a kept copy beside the state and compare it with what was copied once, and have the image on
    /// the host that its engine is made from, in the background.
    FetchBackup {
        /// Which copy.
        backup: BackupId,
        /// The name of the putting back that it is for.
        restore: RestoreId,
        /// What runs on it.
        build: Build,
    },
    /// Put a kept copy of the state back, in the background.
    PutBack {
        /// No container of the game is there.
        vacancy: Vacancy,
        /// Which copy.
        backup: BackupId,
        /// The name of this putting back.
        restore: RestoreId,
    },
    /// Remove every kept copy of the state, and what was moved aside.
    RemoveCopies(Vacancy),
    /// Remove the state directory with everything in it.
    RemoveStateDirectory(Vacancy),
    /// Delete the game's row: its deletion is done.
    FinishDeletion(Vacancy),
}

impl Step {
    /// Whether it changes the world. Looking and asking do not.
    pub fn mutates(&self) -> bool {
        match self {
            Self::LookAtImage(_)
            | Self::LookAtNextImage(_)
            | Self::LookAtImageUsers { .. }
            | Self::LookAtBackup(_)
            | Self::LookAtRoom
            | Self::LookAtNetwork
            | Self::LookAtStateDirectory
            | Self::LookAtContents
            | Self::LookAtCopies
            | Self::LookForRival { .. }
            | Self::ProbeEngine { .. } => false,
            Self::PullImage(_)
            | Self::CreateStateDirectory(_)
            | Self::CreateNetwork
            | Self::CreateContainer { .. }
            | Self::StartContainer(_)
            | Self::StopContainer { .. }
            | Self::RemoveContainer(_)
            | Self::InitialiseEngine { .. }
            | Self::GenerateTurn { .. }
            | Self::BackUp(_)
            | Self::FetchBackup { .. }
            | Self::PutBack { .. }
            | Self::RemoveCopies(_)
            | Self::RemoveStateDirectory(_)
            | Self::FinishDeletion(_) => true,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LookAtImage(ImageSelector::Reference(image)) => write!(f, "look at image {image}"),
            Self::LookAtImage(ImageSelector::Pinned(id)) => write!(f, "look at pinned image {id}"),
            Self::LookAtNextImage(image) => write!(f, "look at next image {image}"),
            Self::LookAtImageUsers { present, next } => {
                write!(f, "look at the users of {present} and {next}")
            }
            Self::LookAtBackup(id) => write!(f, "look at backup {id}"),
            Self::LookAtRoom => f.write_str("look for room for copies"),
            Self::LookAtNetwork => f.write_str("look at network"),
            Self::LookAtStateDirectory => f.write_str("look at state directory"),
            Self::LookAtContents => f.write_str("look into state directory"),
            Self::LookAtCopies => f.write_str("look at copies of the state"),
            Self::LookForRival { .. } => f.write_str("look for another container on the state directory"),
            Self::PullImage(image) => write!(f, "pull image {image}"),
            Self::CreateStateDirectory(_) => f.write_str("create state directory"),
            Self::CreateNetwork => f.write_str("create network"),
            Self::CreateContainer { inputs, .. } => {
                write!(f, "create container for {}", inputs.engine_version)
            }
            Self::StartContainer(id) => write!(f, "start container {}", id.short()),
            Self::StopContainer { container, grace } => {
                write!(f, "stop container {} within {} s", container.short(), grace.as_secs())
            }
            Self::RemoveContainer(dead) => write!(f, "remove container {}", dead.container().short()),
            Self::ProbeEngine { .. } => f.write_str("probe engine"),
            Self::InitialiseEngine { races, .. } => write!(f, "initialise engine with {} races", races.len()),
            Self::GenerateTurn { from, .. } => write!(f, "generate turn {}", from + 1),
            Self::BackUp(new) => write!(f, "back up state as {}", new.id),
            Self::FetchBackup { backup, .. } => write!(f, "fetch backup {backup}"),
            Self::PutBack { backup, .. } => write!(f, "put back {backup}"),
            Self::RemoveCopies(_) => f.write_str("remove copies of the state"),
            Self::RemoveStateDirectory(_) => f.write_str("remove state directory"),
            Self::FinishDeletion(_) => f.write_str("delete row"),
        }
    }
}

/// A step and why it is taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What.
    pub step: Step,
    /// Why, in words.
    pub cause: String,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.step, self.cause)
    }
}

/// What a plan without further steps is waiting on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// An image being fetched; a game that no longer waits on it lets go of it.
    Pull(ImageRef),
    /// A place among the concurrent starts.
    StartSlot,
    /// A place among the games that are disrupted at a time.
    DisruptionPlace,
    /// Background work of its own.
    Work,
    /// The next attempt, after a failure.
    NextAttempt,
    /// The engine's health, or its next look.
    Engine,
    /// Docker, which has to settle or to answer.
    Docker,
    /// The grace period of a row that vanished.
    Grace,
    /// A changed spec.
    Spec,
    /// A person.
    Person,
}

impl Wait {
    /// Whether it is worth showing: what passes in a moment is not.
    pub fn lasts(&self) -> bool {
        match self {
            Self::Work | Self::Engine => false,
            Self::Pull(_)
            | Self::StartSlot
            | Self::DisruptionPlace
            | Self::NextAttempt
            | Self::Docker
            | Self::Grace
            | Self::Spec
            | Self::Person => true,
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pull(image) => write!(f, "the image {image}"),
            Self::StartSlot => f.write_str("a place among the concurrent starts"),
            Self::DisruptionPlace => {
                f.write_str("a place among the games that are patched or restored at a time")
            }
            Self::Work => f.write_str("work in the background"),
            Self::NextAttempt => f.write_str("the next attempt"),
            Self::Engine => f.write_str("the engine"),
            Self::Docker => f.write_str("Docker"),
            Self::Grace => f.write_str("the grace period of its vanished row"),
            Self::Spec => f.write_str("a changed spec"),
            Self::Person => f.write_str("a person"),
        }
    }
}
