//! What the host says of its processes, where Docker's word is not enough; and whether it can be asked.
//!
//! A controller on Docker's host sees all of its processes. One in a container sees its own, unless it is
//! given the host's; one that talks to Docker over a network, or to a virtual machine, sees others'. Then
//! Docker's word alone says that an engine is dead, and an answer of Docker's that a process may be alive
//! is not taken for a stale one.

use std::io;
use std::path::Path;

use tokio::net::UnixStream;

use super::DockerRuntime;
use super::error::{if_there, within};
use super::writers::Purpose;
use crate::game::{ContainerId, GameId};
use crate::runtime::{HostProcess, Runtime, RuntimeError};

impl DockerRuntime {
    /// The processes of the host that have the game's directory, or a part of it, mounted for writing, one of
    /// each mount namespace.
    pub(super) async fn processes_on(&self, game: GameId) -> Result<Vec<HostProcess>, RuntimeError> {
        let here = self.settings.state_root.join(game.to_string());
        let on_host = self.settings.state_directory_on_host(game);
        let after = self.settings.deadlines.look;
        let found = tokio::time::timeout(after, self.processes.with_mounted(game, &here, &on_host)).await;
        found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| {
            RuntimeError::Failed(format!("the host does not say which processes have the state: {error}"))
        })
    }

    /// Who has this address, beside the container that Docker has given it to.
    pub(super) async fn who_else_is_at(&self, endpoint: &str, own: &ContainerId) -> Option<HostProcess> {
        let address = endpoint.rsplit_once(':')?.0.parse().ok()?;
        let looked = tokio::time::timeout(self.settings.deadlines.look, self.processes.with_address(address));
        // That it cannot be told changes nothing of what is known: another one answers there.
        let found = looked.await.ok()?.ok()?;
        found.into_iter().find(|process| process.container.as_ref() != Some(own))
    }

    /// What it means that Docker would not start a container because its process may be alive.
    pub(super) async fn alive_or_stale(&self, game: GameId, message: String) -> RuntimeError {
        match (self.check_directory(game, Purpose::RemoveContainer).await, self.sees_processes().await) {
            (Err(error), _) => error,
            // What is left of another start is without a process.
            (Ok(_), Ok(())) => RuntimeError::Conflict(message),
            (Ok(_), Err(why)) => RuntimeError::MayBeAlive { message, why },
        }
    }

    /// Docker's word is no proof of this container's death, so the host can be asked; or it is gone.
    pub(super) async fn check_is_seen(&self, container: &ContainerId) -> Result<(), RuntimeError> {
        let Err(why) = self.sees_processes().await else { return Ok(()) };
        if if_there(self.describe(container.as_str()).await)?.is_none() {
            return Ok(());
        }
        let message = "it was not started, as a process of it may be alive".to_owned();
        Err(RuntimeError::MayBeAlive { message, why })
    }

    /// Every process that has a game's state and that no container is known for which is alive.
    ///
    /// # Errors
    /// Docker, the state root or the host does not say.
    pub async fn strays(&self) -> Result<Vec<(GameId, HostProcess)>, RuntimeError> {
        let games = self.state_directories().await?;
        let looked = games
            .into_iter()
            .map(|game| async move { Ok::<_, RuntimeError>((game, self.processes_on(game).await?)) });
        let found = futures::future::try_join_all(looked).await?;
        // After the look: what began meanwhile is known to Docker by now.
        let alive = self.living_containers().await?;
        let is_stray = |process: &HostProcess| {
            process.container.as_ref().is_none_or(|container| !alive.contains(container.as_str()))
        };
        let of_game = |(game, processes): (GameId, Vec<HostProcess>)| {
            processes.into_iter().filter(is_stray).map(move |process| (game, process))
        };
        let mut strays: Vec<_> = found.into_iter().flat_map(of_game).collect();
        strays.sort_by_key(|(game, process)| (*game, process.pid));
        Ok(strays)
    }

    /// Whether the processes of Docker's host are seen from here.
    ///
    /// # Errors
    /// Why they are not, in words.
    pub async fn sees_processes(&self) -> Result<(), String> {
        let Some(socket) = self.transport.socket_on_this_host() else {
            return Err("Docker is reached over a network".into());
        };
        let connected = UnixStream::connect(&socket).await.and_then(|stream| stream.peer_cred());
        let peer = connected.map_err(|error| format!("{}: {error}", socket.display()))?;
        // The kernel gives the number that it has here; none if it is of no process that is seen here.
        let Some(pid) = peer.pid().filter(|pid| *pid > 0) else {
            return Err("Docker's process is none of those that this one sees".into());
        };
        let file = format!("/proc/{pid}/mountinfo");
        tokio::fs::read(&file).await.map_err(|error| format!("{file}: {error}"))?;
        let info = within("info", self.settings.deadlines.look, self.docker.info()).await;
        let its = info.map_err(|error| error.to_string())?.kernel_version.unwrap_or_default();
        let own = tokio::fs::read_to_string(Path::new("/proc/sys/kernel/osrelease")).await;
        let own = own.map_err(|error| format!("this kernel does not say which it is: {error}"))?;
        if own.trim() != its {
            return Err(format!("Docker runs on another kernel ({its}), in a virtual machine"));
        }
        Ok(())
    }
}
