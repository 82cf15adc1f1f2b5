//! The right to a game's state directory: decided in one place, for everything that makes, starts or removes
//! something on it.
//!
//! Two witnesses are asked, and either one's word is enough against it. Docker tells of containers by the
//! text of what they mount ([`holders`](super::holders)), dead ones included. The kernel tells of processes by
//! the directory itself, under whatever name it was mounted ([`sight`](super::sight)): a volume with a
//! `device`, or a bind mount through a symbolic link, has another text.

use bollard::models::{ContainerInspectResponse, ContainerSummary};

use super::DockerRuntime;
use super::error::if_there;
use super::holders::is_exempt;
use crate::game::{ContainerId, GameId};
use crate::runtime::{HostProcess, RuntimeError};

/// The thing that is about to happen to a game's state directory, or to its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose<'a> {
    /// An engine is to have it, or a copy is to take its place: nobody may be able to write to it but this
    /// container, those that an operator answers for, and Gamekeeper's own.
    Write(Option<&'a ContainerId>),
    /// A container is removed. What Docker knows to be alive it knows afterwards, too; what only that
    /// container's presence tells of must not be there.
    RemoveContainer,
    /// The directory is removed: nobody may work on it.
    RemoveDirectory,
}

impl DockerRuntime {
    /// Nobody has the game's directory who may not have it for this. Gives the container that it is for, if
    /// that mounts it.
    ///
    /// # Errors
    /// [`RuntimeError::DirectoryInUse`] names a container, [`RuntimeError::StateInUse`] a process that is in
    /// none which Docker says is alive; others: Docker, the disk or the host does not say.
    pub(super) async fn check_directory(
        &self,
        game: GameId,
        purpose: Purpose<'_>,
    ) -> Result<Option<ContainerSummary>, RuntimeError> {
        let own = match purpose {
            Purpose::RemoveContainer => None,
            Purpose::Write(_) | Purpose::RemoveDirectory => self.check_holders(game, purpose).await?,
        };
        for process in self.processes_on(game).await? {
            self.check_process(game, process, purpose).await?;
        }
        Ok(own)
    }

    /// An engine may have the directory, or a copy may take its place.
    pub(super) async fn check_directory_is_free(
        &self,
        game: GameId,
        own: Option<&ContainerId>,
    ) -> Result<Option<ContainerSummary>, RuntimeError> {
        self.check_directory(game, Purpose::Write(own)).await
    }

    /// The directory may be removed.
    pub(super) async fn check_directory_is_unmounted(&self, game: GameId) -> Result<(), RuntimeError> {
        self.check_directory(game, Purpose::RemoveDirectory).await.map(drop)
    }

    /// Docker's word about the containers that mount it.
    async fn check_holders(
        &self,
        game: GameId,
        purpose: Purpose<'_>,
    ) -> Result<Option<ContainerSummary>, RuntimeError> {
        // Docker would follow a link in the directory's place, and mount whatever it leads to.
        self.on_disk(Some(game), "examined", move |state| state.look(game)).await?;
        let mut found = None;
        for holder in self.holders(game).await? {
            if purpose.is_for(holder.summary.id.as_deref()) {
                found = Some(holder.summary);
                continue;
            }
            let danger = if purpose == Purpose::RemoveDirectory { holder.loses() } else { holder.danger() };
            if let Some(danger) = danger {
                return Err(RuntimeError::DirectoryInUse(danger));
            }
        }
        Ok(found)
    }

    /// The kernel's word about one process that has it.
    async fn check_process(
        &self,
        game: GameId,
        process: HostProcess,
        purpose: Purpose<'_>,
    ) -> Result<(), RuntimeError> {
        // After the look at the processes: what began meanwhile is known to Docker by now.
        let container = match &process.container {
            Some(container) => if_there(self.describe(container.as_str()).await)?,
            None => None,
        };
        let Some(container) = container.filter(is_alive) else {
            return Err(RuntimeError::StateInUse(process));
        };
        let labels = container.config.as_ref().and_then(|config| config.labels.as_ref());
        let may = match purpose {
            Purpose::Write(_) => {
                purpose.is_for(container.id.as_deref()) || is_exempt(container.id.as_deref(), labels)
            }
            Purpose::RemoveContainer => true,
            Purpose::RemoveDirectory => false,
        };
        if may {
            return Ok(());
        }
        let name = container.name.or(container.id).unwrap_or_default();
        Err(RuntimeError::DirectoryInUse(format!(
            "{} has {} mounted for writing, under another name (its {process} shows it)",
            name.trim_start_matches('/'),
            self.settings.state_directory_on_host(game).display(),
        )))
    }
}

impl Purpose<'_> {
    fn is_for(self, id: Option<&str>) -> bool {
        matches!(self, Self::Write(Some(own)) if id == Some(own.as_str()))
    }
}

/// Its processes are known to Docker.
fn is_alive(container: &ContainerInspectResponse) -> bool {
    let state = container.state.as_ref();
    state.is_some_and(|state| state.running == Some(true) || state.paused == Some(true))
}
