//! Steps: plain data, one effect each, each with its cause in words.

use std::fmt;
use std::time::Duration;

use crate::game::container::ImageSelector;
use crate::game::patch::Build;
use crate::game::record::{AppliedSpec, Life};
use crate::game::spec::RunAs;
use crate::game::{BackupId, ContainerId, ImageId, ImageRef, NewBackup, RaceName, RestoreId};

use super::observed::{Dead, Vacancy};
pub use super::wait::Wait;

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
        /// The one that may be alive whatever Docker says of it: whether the host can be asked is looked at,
        /// too.
        doubted: Option<ContainerId>,
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
        /// No engine of this game was told before.
        is_first: bool,
    },
    /// Have the engine go from this turn to the next one, in the background.
    GenerateTurn {
        /// Which life of which container.
        life: Life,
        /// Where it is reached.
        endpoint: String,
        /// The turn it is at.
        from: i64,
        /// Which attempt it is.
        attempt: u32,
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
    /// Remove every kept copy of the state, and what was moved aside, in the background.
    RemoveCopies(Vacancy),
    /// Remove the state directory with everything in it, in the background.
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

impl Step {
    /// A call to the engine that is on record as sent before it is: if it is not, that has to be told.
    pub fn is_on_record_as_sent(&self) -> bool {
        matches!(self, Self::InitialiseEngine { .. } | Self::GenerateTurn { .. })
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
