//! Doing what was planned: one exhaustive match, and no decision.
//!
//! What takes long is not done here: it is handed back as [`Background`] for the controller to run,
//! so that nothing waits inside a round. What to do about an error is [`failure`], and nothing else.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::engine::EngineError;
use crate::game::backup::CopyProblem;
use crate::game::container::{ImageSelector, Rival, StateDirectory};
use crate::game::patch::Build;
use crate::game::record::{AppliedSpec, Contents, Life};
use crate::game::spec::Contract;
use crate::game::{
    Backup, BackupId, ContainerId, Epoch, GameId, ImageId, ImageRef, Name, NetworkId, NewBackup, RaceName,
    RestoreId,
};
use crate::runtime::{NewContainer, PullFailure, Remedy, Runtime, RuntimeError};

use super::observed::{
    DOCKER_TOO_SLOW, DOCKER_UNREACHABLE, Failure, FailureClass, ImageUsers, Pace, Remains,
};
use super::plan::{
    BACKUP_DAMAGED, BACKUP_GONE, BACKUP_NAME_TAKEN, DIRECTORY_IN_USE, PINNED_IMAGE_GONE, ROOM_KEPT,
    ROW_LOCKED, ROW_NOT_DELETED, STATE_IN_USE, STATE_MISSING,
};
use super::step::Step;

/// For whom steps are taken.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The game.
    pub game: GameId,
    /// Its handle.
    pub name: Name,
    /// The leadership that acts.
    pub epoch: Epoch,
}

/// What a step found, did, or asks to be done in the background.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The image that was looked for.
    Image(ImageSelector, Option<ImageId>),
    /// The image of the version to come.
    NextImage(ImageRef, Option<ImageId>),
    /// As which users two images run their processes.
    ImageUsers(ImageUsers),
    /// The kept copy that was looked for.
    Backup(BackupId, Option<Backup>),
    /// Whether there is room for a change of version.
    Room(Result<(), CopyProblem>),
    /// The network.
    Network(Option<NetworkId>),
    /// The state directory.
    StateDirectory(StateDirectory),
    /// What is in the state directory.
    Contents(Contents),
    /// Whether copies of the state are kept, or states that were moved aside.
    Copies(bool),
    /// Who else has the state directory.
    Rival(Option<Rival>),
    /// The container is another one now, or in another state.
    ContainerChanged,
    /// To be run in the background.
    Begin(Background),
    /// The row is to be deleted.
    DeleteRow,
}

/// An effect that takes long.
#[derive(Debug, Clone, PartialEq)]
pub enum Background {
    /// Fetch an image.
    Pull(ImageRef),
    /// Stop a container.
    Stop(ContainerId, Duration),
    /// Ask an engine how it is.
    Probe(Life, String),
    /// Initialise an engine.
    Initialise(Life, String, Vec<RaceName>),
    /// Have an engine generate the turn after this one.
    Turn(Life, String, i64),
    /// Take a copy of the state.
    BackUp(NewBackup),
    /// Copy a kept copy beside the state, to be put back under this name, and have the image of this build.
    FetchBackup(BackupId, RestoreId, Build),
    /// Put a kept copy back, under this name.
    PutBack(BackupId, RestoreId),
    /// Remove what the game has on the disk.
    Remove(Remains),
}

/// Takes one step.
pub async fn apply(step: &Step, subject: &Subject, runtime: &dyn Runtime) -> Result<Effect, RuntimeError> {
    let game = subject.game;
    Ok(match step {
        Step::LookAtImage(selector) => Effect::Image(selector.clone(), runtime.image(selector).await?),
        Step::LookAtNextImage(image) => {
            let selector = ImageSelector::Reference(image.clone());
            Effect::NextImage(image.clone(), runtime.image(&selector).await?)
        }
        Step::LookAtImageUsers { present, next } => Effect::ImageUsers(ImageUsers {
            of_present: runtime.image_user(present).await?,
            of_next: runtime.image_user(next).await?,
            present: present.clone(),
            next: next.clone(),
        }),
        Step::LookAtBackup(id) => {
            let found = runtime.backups(game).await?.into_iter().find(|copy| copy.id == *id);
            Effect::Backup(id.clone(), found)
        }
        Step::LookAtRoom => Effect::Room(match runtime.check_room_for_patch(game).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let Failure { class, reason, message, .. } = failure(step, &error);
                if matches!(class, FailureClass::Unknown | FailureClass::Stale) {
                    return Err(error);
                }
                Err(CopyProblem { reason, message })
            }
        }),
        Step::LookAtNetwork => Effect::Network(runtime.network().await?),
        Step::LookAtStateDirectory => Effect::StateDirectory(runtime.state_directory(game).await?),
        Step::LookAtContents => Effect::Contents(runtime.contents(game).await?),
        Step::LookAtCopies => Effect::Copies(runtime.has_copies(game).await?),
        Step::LookForRival { own, doubted } => {
            let found = runtime.rival(game, own.as_ref()).await?;
            Effect::Rival(match (found, doubted) {
                (None, Some(container)) => unseen(container, runtime).await?,
                (found, _) => found,
            })
        }
        Step::PullImage(image) => Effect::Begin(Background::Pull(image.clone())),
        Step::CreateStateDirectory(run_as) => {
            runtime.create_state_directory(game, *run_as).await?;
            Effect::StateDirectory(StateDirectory::Empty)
        }
        Step::CreateNetwork => Effect::Network(Some(runtime.create_network().await?)),
        Step::CreateContainer { vacancy: _, inputs, image } => {
            runtime.create(&new_container(subject, inputs, image)).await?;
            Effect::ContainerChanged
        }
        Step::StartContainer(container) => {
            runtime.start(game, container).await?;
            Effect::ContainerChanged
        }
        Step::StopContainer { container, grace } => {
            Effect::Begin(Background::Stop(container.clone(), *grace))
        }
        Step::RemoveContainer(dead) => {
            if dead.is_doubted() {
                runtime.check_can_be_proven_dead(dead.container()).await?;
            }
            runtime.remove(game, dead.container()).await?;
            Effect::ContainerChanged
        }
        Step::ProbeEngine { life, endpoint } => {
            Effect::Begin(Background::Probe(life.clone(), endpoint.clone()))
        }
        Step::InitialiseEngine { life, endpoint, races, is_first: _ } => {
            Effect::Begin(Background::Initialise(life.clone(), endpoint.clone(), races.clone()))
        }
        Step::GenerateTurn { life, endpoint, from, attempt: _ } => {
            Effect::Begin(Background::Turn(life.clone(), endpoint.clone(), *from))
        }
        Step::BackUp(new) => Effect::Begin(Background::BackUp(new.clone())),
        Step::FetchBackup { backup, restore, build } => {
            Effect::Begin(Background::FetchBackup(backup.clone(), restore.clone(), build.clone()))
        }
        Step::PutBack { vacancy: _, backup, restore } => {
            Effect::Begin(Background::PutBack(backup.clone(), restore.clone()))
        }
        Step::RemoveCopies(_) => Effect::Begin(Background::Remove(Remains::Copies)),
        Step::RemoveStateDirectory(_) => Effect::Begin(Background::Remove(Remains::State)),
        Step::FinishDeletion(_) => Effect::DeleteRow,
    })
}

/// The container of which nobody can tell whether it is dead, if so.
async fn unseen(container: &ContainerId, runtime: &dyn Runtime) -> Result<Option<Rival>, RuntimeError> {
    match runtime.check_can_be_proven_dead(container).await {
        Ok(()) => Ok(None),
        Err(RuntimeError::MayBeAlive { why, .. }) => {
            Ok(Some(Rival::Unseen { container: container.clone(), why }))
        }
        Err(error) => Err(error),
    }
}

fn new_container(subject: &Subject, inputs: &AppliedSpec, image: &ImageSelector) -> NewContainer {
    let AppliedSpec { engine_version, image: _, port, contract, run_as, relaxations, resources } = inputs;
    // Declared inputs are plain data, which always serialises.
    let declared = serde_json::to_string(inputs).unwrap_or_default();
    let spec_hash = Sha256::digest(&declared).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    NewContainer {
        game: subject.game,
        name: subject.name.clone(),
        engine_version: engine_version.to_string(),
        inputs: declared,
        spec_hash,
        epoch: subject.epoch,
        image: image.clone(),
        port: *port,
        run_as: *run_as,
        relaxations: relaxations.clone(),
        resources: *resources,
        with_token: *contract == Contract::GamekeeperV1,
    }
}

/// What to do about a runtime's error: retry, wait for the spec or a person, or look again.
pub fn failure(step: &Step, error: &RuntimeError) -> Failure {
    let (class, reason) = match error {
        RuntimeError::Unreachable(_) => (FailureClass::Unknown, DOCKER_UNREACHABLE),
        // What was to change may have changed, or change yet: it is counted, and looked at.
        RuntimeError::TimedOut { .. } if step.mutates() => (FailureClass::Retry, DOCKER_TOO_SLOW),
        RuntimeError::TimedOut { .. } => (FailureClass::Unknown, DOCKER_TOO_SLOW),
        RuntimeError::Because { cause, .. } => (
            match cause.remedy() {
                // What never changes anything is never the spec's fault.
                Remedy::Spec if step.mutates() => FailureClass::Spec,
                Remedy::Host => FailureClass::Host,
                Remedy::Again | Remedy::Slowly | Remedy::Spec => FailureClass::Retry,
            },
            cause.reason(),
        ),
        // The next look at the whole ground says what became of it.
        RuntimeError::StateRootNotOurs => (FailureClass::Unknown, "StateRootNotOurs"),
        RuntimeError::DirectoryInUse(_) => (FailureClass::Person, DIRECTORY_IN_USE),
        RuntimeError::MountSourceMissing { .. } => (FailureClass::Retry, "StateNotSeenByDocker"),
        RuntimeError::StateInUse(_) => (FailureClass::Person, STATE_IN_USE),
        RuntimeError::MayBeAlive { .. } => (FailureClass::MayBeAlive, STATE_IN_USE),
        RuntimeError::NotOurs(_) => (FailureClass::Stale, "NotOurs"),
        RuntimeError::Conflict(_) => match step {
            // Somebody else's name or directory: counted, so that it is not tried without a pause.
            Step::CreateContainer { .. } | Step::StartContainer(_) => (FailureClass::Retry, "Conflict"),
            _ => (FailureClass::Stale, "Conflict"),
        },
        RuntimeError::NotFound(_) => match step {
            // Its network or image may be gone for good: counted, and made anew.
            Step::StartContainer(_) => (FailureClass::Retry, "StartFailed"),
            Step::BackUp(_) => (FailureClass::Person, STATE_MISSING),
            Step::FetchBackup { .. } | Step::PutBack { .. } => (FailureClass::Person, BACKUP_GONE),
            _ => (FailureClass::Stale, "NotFound"),
        },
        RuntimeError::Refused(_) => match step {
            Step::CreateContainer { .. } | Step::StartContainer(_) | Step::PullImage(_) => {
                (FailureClass::Spec, "Refused")
            }
            // An image's name is the spec's too.
            Step::LookAtImage(_) | Step::LookAtNextImage(_) => (FailureClass::Spec, "Refused"),
            _ => (FailureClass::Retry, "DockerRefused"),
        },
        RuntimeError::StateDirectory { source, .. } => (FailureClass::Retry, of_disk(source)),
        RuntimeError::DiskTimedOut { .. } => (FailureClass::Retry, "StateDiskTooSlow"),
        RuntimeError::NoRoom(_) => (FailureClass::Retry, "NoRoom"),
        RuntimeError::RoomKept(_) => (FailureClass::Retry, ROOM_KEPT),
        RuntimeError::StateChanged => (FailureClass::Retry, "StateChanged"),
        RuntimeError::StateUnfit(_) => (FailureClass::Person, "StateUnfit"),
        RuntimeError::BackupNameTaken(_) => (FailureClass::Retry, BACKUP_NAME_TAKEN),
        RuntimeError::BackupDamaged(_) => (FailureClass::Person, BACKUP_DAMAGED),
        RuntimeError::ImageGone { .. } => (FailureClass::Person, PINNED_IMAGE_GONE),
        RuntimeError::Pull { kind, .. } => (
            FailureClass::Retry,
            match kind {
                PullFailure::NotFound => "ImageNotFound",
                PullFailure::OtherPlatform => "ImageForOtherPlatform",
                PullFailure::Stalled => "PullStalled",
                PullFailure::Unauthorized => "RegistryUnauthorized",
                PullFailure::RateLimited => "RateLimited",
                PullFailure::Unreachable => "RegistryUnreachable",
                PullFailure::DiskFull => "DiskFull",
                PullFailure::Forbidden => "ImageNotPresent",
                PullFailure::Other => "PullFailed",
            },
        ),
        RuntimeError::Failed(_) => (
            FailureClass::Retry,
            match step {
                Step::CreateContainer { .. } => "CreateFailed",
                Step::StartContainer(_) => "StartFailed",
                Step::StopContainer { .. } => "StopFailed",
                Step::RemoveContainer(_) => "RemoveFailed",
                Step::PullImage(_) => "PullFailed",
                _ => "DockerFailed",
            },
        ),
    };
    let message = match step {
        Step::PullImage(image) => format!("Image {image} could not be fetched: {}", chain(error)),
        Step::FetchBackup { build, .. } if matches!(error, RuntimeError::Pull { .. }) => {
            format!(
                "image {}, which its engine runs, could not be fetched: {}",
                build.inputs.image,
                chain(error)
            )
        }
        // Docker may remove with force what it cannot without: that is a person's to decide.
        Step::RemoveContainer(dead) if class == FailureClass::Retry => format!(
            "Docker could not remove the container: {}. It is tried again by itself; if it stays so, `docker rm -f {}` on Docker's host.",
            chain(error).trim_end_matches('.'),
            dead.container().short()
        ),
        _ => chain(error),
    };
    Failure { step: step.clone(), class, pace: pace(error), reason: reason.to_owned(), message }
}

/// What the disk of the state says, by its error's kind.
fn of_disk(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind as K;
    match error.kind() {
        K::StorageFull | K::QuotaExceeded => "StateDiskFull",
        K::ReadOnlyFilesystem => "StateDiskReadOnly",
        K::PermissionDenied => "StateDirectoryDenied",
        _ => "StateDirectoryFailed",
    }
}

/// What it means that a game's row could not be deleted, because these have locked it.
pub fn row_locked(step: &Step, who: &str) -> Failure {
    Failure {
        step: step.clone(),
        class: FailureClass::Retry,
        pace: Pace::Usual,
        reason: ROW_LOCKED.to_owned(),
        message: format!(
            "The game's row cannot be deleted while it, or a membership, is locked by {who}. It is tried again by itself."
        ),
    }
}

/// What it means that the database refuses to delete a game's row.
pub fn row_not_deleted(step: &Step, why: &(dyn std::error::Error + 'static)) -> Failure {
    Failure {
        step: step.clone(),
        class: FailureClass::Retry,
        pace: Pace::Usual,
        reason: ROW_NOT_DELETED.to_owned(),
        message: format!(
            "The game's row cannot be deleted: {}. Mend what the database names; it is tried again by itself.",
            chain(why)
        ),
    }
}

/// How soon another attempt makes sense: what a person has to mend is not mended within a second,
/// and a registry that counts requests counts these too.
fn pace(error: &RuntimeError) -> Pace {
    match error {
        RuntimeError::Pull { kind, .. } => match kind {
            PullFailure::Unreachable | PullFailure::Stalled | PullFailure::Other => Pace::Usual,
            PullFailure::NotFound
            | PullFailure::OtherPlatform
            | PullFailure::Unauthorized
            | PullFailure::DiskFull
            | PullFailure::Forbidden => Pace::Slow,
            PullFailure::RateLimited => Pace::Slowest,
        },
        RuntimeError::NoRoom(_) => Pace::Slow,
        RuntimeError::StateDirectory { source, .. } if of_disk(source) != "StateDirectoryFailed" => {
            Pace::Slow
        }
        RuntimeError::Because { cause, .. } if matches!(cause.remedy(), Remedy::Slowly | Remedy::Host) => {
            Pace::Slow
        }
        _ => Pace::Usual,
    }
}

/// What to do about an engine's error: the next attempt begins with asking it.
pub fn engine_failure(step: &Step, error: &EngineError) -> Failure {
    let reason = match error {
        EngineError::NoAnswer { .. } => "NotAnswered",
        EngineError::TimedOut { .. } => "TimedOut",
        EngineError::WrongEngine { .. } => "WrongEngine",
        EngineError::TooLarge { .. } | EngineError::Refused { .. } => "Refused",
    };
    let what = if matches!(step, Step::GenerateTurn { .. }) { "Turn" } else { "Init" };
    Failure {
        step: step.clone(),
        class: FailureClass::Retry,
        pace: Pace::Usual,
        reason: format!("{what}{reason}"),
        message: chain(error),
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text.push_str(": ");
        text.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    text
}

#[cfg(test)]
mod tests;
