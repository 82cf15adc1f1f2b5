//! Docker behind the trait, by bollard.
//!
//! [`DockerRuntime`] holds a connection pool ([`transport`]) to the daemon that Docker's own client
//! would use ([`host`]). What is asked for is built by pure functions ([`container`]), and so is what
//! is known from answers ([`observed`]); what a failure means is decided in one place ([`error`]).
//! Podman's Docker-compatible socket is served by the same code.
//!
//! bollard writes requests to the log below `info`, and a creation's carries the engine's token: the
//! process that sets up logging must hold the target `bollard` at `info` or above.

mod ask;
mod beneath;
mod container;
mod contents;
mod copies;
mod credentials;
mod daemon;
mod disk;
mod effects;
mod endpoint;
mod error;
mod event;
mod events;
mod holders;
mod host;
mod image;
mod labels;
mod lifecycle;
mod logs;
mod mount_view;
mod mountinfo;
mod moving;
mod network;
mod observed;
mod processes;
mod remove_tree;
mod sentinel;
pub mod settings;
mod sight;
mod small_file;
mod state;
mod stranger;
mod text;
mod transport;
mod trial;
mod writers;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::Docker;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::sync::{Mutex, OnceCell};

use copies::PausedGames;
pub use copies::{Belongings, CopyError, Watch};
pub use settings::{Deadlines, EndpointMode, PullPolicy, Settings};
pub use state::StateRoot;
pub use trial::{Outcome, SCRATCH, Tried};

use super::{
    Container, CopiesUnderWay, CopyProgress, HostProcess, ImageSelector, Listed, LogOptions, MayGo,
    NewContainer, PullProgress, Rival, Runtime, RuntimeError, RuntimeEvent, RuntimeIdentity, StateDirectory,
    StateRootLook,
};
use crate::game::backup::Keep;
use crate::game::controller::MountView;
use crate::game::record::Contents;
use crate::game::spec::RunAs;
use crate::game::{
    Backup, BackupId, ContainerId, GameId, ImageId, ImageRef, NetworkId, NewBackup, RestoreId,
};
pub use disk::MOST_DISK_THREADS;
use disk::{Disk, Lane};
use endpoint::Reach;
use error::if_there;
use host::Environment;
use processes::Processes;
use transport::Transport;

/// The Docker runtime.
pub struct DockerRuntime {
    settings: Settings,
    environment: Environment,
    transport: Arc<Transport>,
    docker: Docker,
    reach: Reach,
    rootless: OnceCell<bool>,
    state: Arc<StateRoot>,
    making_network: Mutex<()>,
    disk: Arc<Disk>,
    paused: PausedGames,
    comparing: Mutex<mount_view::Comparing>,
    processes: Processes,
}

impl DockerRuntime {
    /// A runtime with these settings. Connects to nothing: a daemon that is not there is an
    /// [`RuntimeError::Unreachable`] of each call.
    ///
    /// # Errors
    ///
    /// [`RuntimeError::Refused`] when the settings or the environment name a host that cannot be
    /// used (Docker over TLS or SSH), or a context that is not there.
    pub fn new(mut settings: Settings) -> Result<Self, RuntimeError> {
        // Docker compares mounts by their absolute path, and takes no other.
        settings.state_root = std::path::absolute(&settings.state_root)
            .map_err(|error| RuntimeError::Refused(format!("the state root: {error}")))?;
        let environment = Environment::of_process();
        let host = host::find(settings.host.as_deref(), &environment).map_err(RuntimeError::Refused)?;
        let transport = Transport::new(host);
        let docker = transport.bollard().map_err(|error| RuntimeError::Refused(error.to_string()))?;
        let disk = Arc::<Disk>::default();
        Ok(Self {
            environment,
            docker,
            reach: Reach::new(settings.endpoint_mode),
            rootless: OnceCell::new(),
            state: Arc::new(
                StateRoot::new(settings.state_root.clone(), Some(settings.instance))
                    .shared(settings.state_root_shared),
            ),
            making_network: Mutex::new(()),
            disk: Arc::clone(&disk),
            paused: PausedGames::default(),
            comparing: Mutex::default(),
            processes: Processes::new(disk),
            transport,
            settings,
        })
    }

    /// A container of this game that somebody gave another name: the labels decide, not the name.
    async fn renamed(
        &self,
        game: GameId,
    ) -> Result<Option<bollard::models::ContainerInspectResponse>, RuntimeError> {
        let label = format!("{}={game}", labels::GAME);
        let instance = self.settings.instance.to_string();
        for summary in self.containers("label", &label).await? {
            let ours =
                summary.labels.as_ref().and_then(|labels| labels.get(labels::INSTANCE)) == Some(&instance);
            if let (true, Some(id)) = (ours, summary.id) {
                return if_there(self.describe(&id).await);
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Runtime for DockerRuntime {
    async fn identity(&self) -> Result<RuntimeIdentity, RuntimeError> {
        self.daemon_identity().await
    }

    async fn list(&self) -> Result<Vec<Listed>, RuntimeError> {
        let ours = format!("{}={}", labels::INSTANCE, self.settings.instance);
        let listed = self.containers("label", &ours).await?;
        Ok(listed.into_iter().filter_map(|summary| observed::listed(summary, &self.settings)).collect())
    }

    async fn inspect(&self, game: GameId) -> Result<Option<Container>, RuntimeError> {
        let name = labels::container_name(game);
        let inspected = match if_there(self.describe(&name).await)? {
            Some(inspected) => inspected,
            None => match self.renamed(game).await? {
                Some(inspected) => inspected,
                None => return Ok(None),
            },
        };
        let runs = inspected.state.as_ref().and_then(|state| state.running).unwrap_or(false);
        // How engines are reached matters only while one runs; then its network is there.
        let mode = if runs { if_there(self.reach.mode(self.network_or_error()).await)? } else { None };
        let mut container = observed::container(inspected, &self.settings, mode)?;
        // Podman attaches by name, and gives the name for the id.
        if container.network_id.as_ref().is_some_and(|id| id.as_str() == self.settings.network) {
            container.network_id = self.network_id().await?;
        }
        Ok(Some(container))
    }

    async fn create(&self, new: &NewContainer) -> Result<ContainerId, RuntimeError> {
        self.create_container(new).await
    }

    async fn start(&self, game: GameId, container: &ContainerId) -> Result<(), RuntimeError> {
        self.start_container(game, container).await
    }

    async fn stop(&self, game: GameId, container: &ContainerId, grace: Duration) -> Result<(), RuntimeError> {
        self.stop_container(game, container, grace).await
    }

    async fn remove(&self, game: GameId, container: &ContainerId) -> Result<(), RuntimeError> {
        self.remove_container(game, container).await
    }

    async fn check_can_be_proven_dead(&self, container: &ContainerId) -> Result<(), RuntimeError> {
        self.check_is_seen(container).await
    }

    async fn log_tail(&self, container: &ContainerId, lines: usize) -> Result<String, RuntimeError> {
        self.tail(container, lines).await
    }

    async fn log_stream(
        &self,
        container: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<bytes::Bytes, RuntimeError>>, RuntimeError> {
        self.stream(container, options).await
    }

    async fn image(&self, image: &ImageSelector) -> Result<Option<ImageId>, RuntimeError> {
        self.image_id(image).await
    }

    async fn image_user(&self, image: &ImageId) -> Result<Option<String>, RuntimeError> {
        self.user_of_image(image).await
    }

    async fn pull(
        &self,
        image: &ImageRef,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<ImageId, RuntimeError> {
        self.get_image(image, progress).await
    }

    async fn network(&self) -> Result<Option<NetworkId>, RuntimeError> {
        self.network_id().await
    }

    async fn create_network(&self) -> Result<NetworkId, RuntimeError> {
        self.make_network().await
    }

    async fn state_directory(&self, game: GameId) -> Result<StateDirectory, RuntimeError> {
        self.on_disk(Some(game), "examined", move |state| state.look(game)).await
    }

    async fn create_state_directory(&self, game: GameId, run_as: RunAs) -> Result<(), RuntimeError> {
        let work = move |state: &StateRoot, watch: &Watch| state.create(game, run_as, watch);
        self.at_work((Lane::Look, game), ("created", self.settings.deadlines.state_directory), &|_| {}, work)
            .await
    }

    async fn remove_state_directory(
        &self,
        game: GameId,
        progress: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        let held = self.belongings(game).await?;
        // Whoever has it mounted under another name is not robbed of it.
        self.check_directory_is_unmounted(game).await?;
        let work = move |state: &StateRoot, watch: &Watch| state.remove(&held, watch);
        self.on_copies((Lane::Removal, game), "removed", progress, work).await
    }

    async fn state_directories(&self) -> Result<HashSet<GameId>, RuntimeError> {
        self.on_disk(None, "examined", StateRoot::games).await
    }

    async fn contents(&self, game: GameId) -> Result<Contents, RuntimeError> {
        self.on_disk(Some(game), "examined", move |state| state.contents(game)).await
    }

    async fn rival(&self, game: GameId, own: Option<&ContainerId>) -> Result<Option<Rival>, RuntimeError> {
        match self.check_directory_is_free(game, own).await {
            Ok(_) => Ok(None),
            Err(RuntimeError::DirectoryInUse(rival)) => Ok(Some(Rival::Container(rival))),
            Err(RuntimeError::StateInUse(process)) => Ok(Some(Rival::Process(process))),
            Err(error) => Err(error),
        }
    }

    async fn other_at_address(&self, endpoint: &str, own: &ContainerId) -> Option<HostProcess> {
        self.who_else_is_at(endpoint, own).await
    }

    async fn state_root(&self) -> Result<StateRootLook, RuntimeError> {
        self.on_disk(None, "examined", StateRoot::look_at_ground).await
    }

    async fn mount_view(&self, docker_engine_id: &str, not_older_than: Duration) -> MountView {
        self.compare_mount(docker_engine_id, not_older_than).await
    }

    async fn bind_state_root(&self) -> Result<(), RuntimeError> {
        self.on_disk(None, "bound", StateRoot::bind).await
    }

    async fn keep_high_water(&self, high_water: i64) -> Result<(), RuntimeError> {
        self.on_disk(None, "written", move |state| state.keep_high_water(high_water)).await
    }

    async fn back_up(
        &self,
        new: &NewBackup,
        progress: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<Backup, RuntimeError> {
        let new = new.clone();
        self.on_copies((Lane::Copy, new.game), "copied", progress, move |state, watch| {
            state.copy(&new, watch)
        })
        .await
    }

    fn pause_copying(&self, game: GameId, paused: bool) {
        self.paused.pause(game, paused);
    }

    /// Has to be called within a Tokio runtime, where the numbers of a promise are not known yet.
    fn keep_room(&self, game: GameId, copies: Option<CopiesUnderWay>) {
        if !self.state.keep_room(game, copies) {
            return;
        }
        let (disk, state) = (Arc::clone(&self.disk), Arc::clone(&self.state));
        tokio::spawn(async move {
            // A look for room does not wait for it beyond a moment.
            disk.run(Lane::Promise, Some(game), move || state.survey_promise(game)).await
        });
    }

    async fn backups(&self, game: GameId) -> Result<Vec<Backup>, RuntimeError> {
        self.on_copies((Lane::Look, game), "examined", &|_| {}, move |state, _| state.backups(game)).await
    }

    async fn remove_backup(
        &self,
        game: GameId,
        backup: &BackupId,
        may_go: &Arc<dyn MayGo>,
    ) -> Result<bool, RuntimeError> {
        let (id, may_go) = (backup.clone(), Arc::clone(may_go));
        let work = move |state: &StateRoot, watch: &Watch| state.prune_backup(game, &id, &may_go, watch);
        self.on_copies((Lane::Prune, game), "cleared of a copy", &|_| {}, work).await
    }

    async fn has_copies(&self, game: GameId) -> Result<bool, RuntimeError> {
        self.on_copies((Lane::Look, game), "examined", &|_| {}, move |state, _| state.has_copies(game)).await
    }

    async fn remove_copies(
        &self,
        game: GameId,
        progress: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        let held = self.belongings(game).await?;
        let work = move |state: &StateRoot, watch: &Watch| state.remove_copies(&held, watch);
        self.on_copies((Lane::Removal, game), "cleared of its copies", progress, work).await
    }

    async fn prune_aside(
        &self,
        game: GameId,
        keep: Keep,
        may_go: &Arc<dyn MayGo>,
        now: Timestamp,
    ) -> Result<Vec<RestoreId>, RuntimeError> {
        let may_go = Arc::clone(may_go);
        let work = move |state: &StateRoot, watch: &Watch| state.prune_aside(game, keep, &may_go, now, watch);
        self.on_copies((Lane::Prune, game), "cleared of what was moved aside", &|_| {}, work).await
    }

    async fn check_backup(&self, game: GameId, backup: &BackupId) -> Result<Backup, RuntimeError> {
        let id = backup.clone();
        let work = move |state: &StateRoot, watch: &Watch| state.check_backup(game, &id, watch);
        self.on_copies((Lane::Survey, game), "examined", &|_| {}, work).await
    }

    async fn check_room_for_patch(&self, game: GameId) -> Result<(), RuntimeError> {
        self.on_copies((Lane::Survey, game), "examined", &|_| {}, move |state, watch| {
            state.check_room_for_patch(game, watch)
        })
        .await
    }

    async fn fetch_backup(
        &self,
        game: GameId,
        backup: &BackupId,
        restore: &RestoreId,
        progress: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<Backup, RuntimeError> {
        let (id, restore) = (backup.clone(), restore.clone());
        let work = move |state: &StateRoot, watch: &Watch| state.fetch_backup(game, &id, &restore, watch);
        self.on_copies((Lane::Copy, game), "copied", progress, work).await
    }

    async fn put_back(
        &self,
        game: GameId,
        backup: &BackupId,
        restore: &RestoreId,
        progress: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<Backup, RuntimeError> {
        self.check_directory_is_free(game, None).await?;
        let (id, restore) = (backup.clone(), restore.clone());
        let work = move |state: &StateRoot, watch: &Watch| state.put_back(game, &id, &restore, watch);
        self.on_copies((Lane::PutBack, game), "put back", progress, work).await
    }

    fn state_path(&self, game: GameId) -> String {
        self.settings.state_directory_on_host(game).to_string_lossy().into_owned()
    }

    fn network_name(&self) -> &str {
        &self.settings.network
    }

    /// Has to be called within a Tokio runtime: a task of its own reads Docker's stream.
    fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        events::subscribe(Arc::clone(&self.transport), self.settings.instance, self.settings.network.clone())
    }
}
