//! Making, starting, stopping and removing containers.
//!
//! Whatever names an existing container first looks whether its labels still say that it is the
//! game's. A creation, a start and a removal also ask who has the game's directory
//! ([`writers`](super::writers)). Two processes on one state are the one thing that must never happen, and
//! Docker may have died before it knew of one.

use std::collections::HashMap;
use std::time::Duration;

use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptionsBuilder,
};
use rand::RngCore;

use super::daemon::User;
use super::error::{if_there, within};
use super::writers::Purpose;
use super::{DockerRuntime, container, image, labels};
use crate::game::{ContainerId, GameId};
use crate::runtime::docker::settings::EndpointMode;
use crate::runtime::{Cause, EngineToken, ImageSelector, NewContainer, Owner, RuntimeError, StateDirectory};

impl DockerRuntime {
    pub(super) async fn create_container(&self, new: &NewContainer) -> Result<ContainerId, RuntimeError> {
        if let ImageSelector::Reference(reference) = &new.image {
            image::check(reference.as_str())?;
        }
        let user = self.user(new.run_as).await?;
        self.check_user_is_let_in(new.game, user).await?;
        let placement = container::Placement {
            user: user.map(|user| user.to_string()),
            published: self.reach.mode(self.network_or_error()).await? == EndpointMode::Published,
            token: new.with_token.then(random_token),
        };
        self.check_directory_is_free(new.game, None).await?;
        let options = CreateContainerOptionsBuilder::new().name(&labels::container_name(new.game)).build();
        let body = container::body(new, &self.settings, &placement);
        let created = within(
            "create",
            self.settings.deadlines.change,
            self.docker.create_container(Some(options), body),
        )
        .await;
        let created = match created {
            Ok(created) => created,
            Err(error) => return Err(self.unseen(new.game, error).await),
        };
        for warning in created.warnings {
            tracing::warn!(warning = %super::text::one_line(&warning), "Docker warned about a creation");
        }
        Ok(ContainerId::new(created.id))
    }

    pub(super) async fn start_container(&self, game: GameId, id: &ContainerId) -> Result<(), RuntimeError> {
        match self.check_directory_is_free(game, Some(id)).await? {
            Some(summary) => self.check_labels(game, id, summary.labels.as_ref())?,
            // It does not mount the directory as it is now, or it is gone.
            None => self.verify(game, id).await?,
        }
        let started = within(
            "start",
            self.settings.deadlines.change,
            self.docker.start_container(id.as_str(), None::<StartContainerOptions>),
        );
        let Err(error) = started.await else { return Ok(()) };
        Err(match self.unseen(game, error).await {
            RuntimeError::MayBeAlive { message, .. } => self.alive_or_stale(game, message).await,
            error => error,
        })
    }

    /// A mount whose source is missing, told as what it is: nothing is there, or Docker looks elsewhere.
    async fn unseen(&self, game: GameId, error: RuntimeError) -> RuntimeError {
        if !matches!(error, RuntimeError::MountSourceMissing { .. }) {
            return error;
        }
        match self.on_disk(Some(game), "examined", move |state| state.look(game)).await {
            // It can be made, so it is not refused for ever.
            Ok(StateDirectory::Absent) => RuntimeError::NotFound("the state directory".into()),
            Ok(_) => RuntimeError::MountSourceMissing {
                on_host: self.settings.state_directory_on_host(game).to_string_lossy().into_owned(),
            },
            Err(error) => error,
        }
    }

    pub(super) async fn stop_container(
        &self,
        game: GameId,
        id: &ContainerId,
        grace: Duration,
    ) -> Result<(), RuntimeError> {
        if if_there(self.verify(game, id).await)?.is_none() {
            return Ok(());
        }
        let seconds = i32::try_from(grace.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let deadline = grace + self.settings.deadlines.stop_margin;
        let stopped = within("stop", deadline, self.docker.stop_container(id.as_str(), Some(options))).await;
        if if_there(stopped)?.is_none() {
            return Ok(());
        }
        // The answer alone is not believed: stopping again what "runs" for ever would have no pause.
        let state = if_there(self.describe(id.as_str()).await)?.and_then(|now| now.state);
        if state.and_then(|state| state.running) == Some(true) {
            let message = "Docker says that it has stopped the container, and that it still runs";
            return Err(RuntimeError::Failed(message.into()));
        }
        Ok(())
    }

    pub(super) async fn remove_container(&self, game: GameId, id: &ContainerId) -> Result<(), RuntimeError> {
        if if_there(self.verify(game, id).await)?.is_none() {
            return Ok(());
        }
        // With it would go what Docker and we know of a process that is alive all the same.
        self.check_directory(game, Purpose::RemoveContainer).await?;
        // Anonymous volumes that its image declares go with it; the state directory is no volume.
        let options = RemoveContainerOptionsBuilder::new().v(true).force(false).build();
        let removed = within(
            "remove",
            self.settings.deadlines.change,
            self.docker.remove_container(id.as_str(), Some(options)),
        );
        if_there(removed.await).map(drop)
    }

    /// Looks at the container now: its labels must say that it is this game's.
    async fn verify(&self, game: GameId, id: &ContainerId) -> Result<(), RuntimeError> {
        let inspected = self.describe(id.as_str()).await?;
        // An id that is the beginning of another, or another's name, must not be taken for it.
        if inspected.id.as_deref() != Some(id.as_str()) {
            return Err(RuntimeError::NotOurs(id.clone()));
        }
        self.check_labels(game, id, inspected.config.and_then(|config| config.labels).as_ref())
    }

    fn check_labels(
        &self,
        game: GameId,
        id: &ContainerId,
        labels: Option<&HashMap<String, String>>,
    ) -> Result<(), RuntimeError> {
        if labels::owner(labels, self.settings.instance) == Owner::Game(game) {
            Ok(())
        } else {
            Err(RuntimeError::NotOurs(id.clone()))
        }
    }

    /// Where Docker maps the users of containers, the one that the engine will be has to be let in by its
    /// state directory. (Where nothing is known of that user, its engine says what it may not.)
    async fn check_user_is_let_in(&self, game: GameId, user: Option<User>) -> Result<(), RuntimeError> {
        let Some((user, base)) = user.zip(self.mapped_users().await?) else { return Ok(()) };
        let mapped = User { uid: base.uid.saturating_add(user.uid), gid: base.gid.saturating_add(user.gid) };
        let Some(barred) =
            self.on_disk(Some(game), "examined", move |state| state.bars(game, mapped)).await?
        else {
            return Ok(());
        };
        let said = format!("user {user} of a container is {mapped} on Docker's host, and {barred}");
        Err(RuntimeError::Because { cause: Cause::UsersMapped, said })
    }
}

/// 32 random bytes in hexadecimal digits.
fn random_token() -> EngineToken {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    EngineToken::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
