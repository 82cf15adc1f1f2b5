//! What Gamekeeper needs of a container runtime, in its own words.
//!
//! Docker is the first runtime, in [`docker`]; only that module names bollard's types. Nothing here
//! or above assumes that the engine's host is the controller's: the state directory is the
//! runtime's business too.

mod cause;
pub mod docker;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;

pub use cause::{Cause, Remedy};

use crate::game::backup::{self, Keep};
pub use crate::game::container::{
    Container, ContainerState, EngineToken, HostProcess, ImageSelector, Owner, Rival, StateDirectory,
};
use crate::game::controller::MountView;
use crate::game::patch::Build;
use crate::game::record::Contents;
use crate::game::spec::{Relaxation, RunAs};
use crate::game::{
    Backup, BackupId, ContainerId, Epoch, GameId, ImageId, ImageRef, Name, NetworkId, NewBackup, Resources,
    RestoreId,
};

/// One line of the bulk list: what tells whether anything about a container changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Docker's id.
    pub id: ContainerId,
    /// The game it belongs to.
    pub game: GameId,
    /// Docker's word for its state (`running`, `exited` …).
    pub state: String,
    /// Its address on the network, which changes with each life.
    pub address: Option<String>,
    /// The game's handle when it was made, from its label.
    pub name: String,
    /// The engine version it was made for, from its label.
    pub engine_version: String,
}

/// What a new container is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContainer {
    /// Whose it will be.
    pub game: GameId,
    /// The game's handle, for people.
    pub name: Name,
    /// The version, for people.
    pub engine_version: String,
    /// The declared inputs it is made from, as JSON, kept with it: a lost record is made again from them.
    pub inputs: String,
    /// A digest of the declared inputs, for people.
    pub spec_hash: String,
    /// The leadership that makes it.
    pub epoch: Epoch,
    /// What it runs: the pinned id where one is pinned.
    pub image: ImageSelector,
    /// The port its engine listens on.
    pub port: u16,
    /// Which user its process is.
    pub run_as: RunAs,
    /// What hardening is relaxed.
    pub relaxations: Vec<Relaxation>,
    /// Its limits; what is absent gets the runtime's default.
    pub resources: Resources,
    /// Whether the engine wants an admin token.
    pub with_token: bool,
}

/// Something happened to a container. It only says where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeEvent {
    /// Which game to look at.
    pub game: Option<GameId>,
    /// Which container to look at, where the event names no game: it came to the engines' network, or left
    /// it. Neither game nor container means all of them (a stream that was interrupted).
    pub container: Option<ContainerId>,
    /// Docker's word for it (`die`, `start` …).
    pub action: String,
}

/// How far a pull is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// Bytes here.
    pub current: u64,
    /// Bytes in all, as far as known.
    pub total: u64,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyProgress {
    /// Files copied.
    pub files: u64,
    /// Files in all.
    pub files_total: u64,
    /// Bytes copied. What is written is read again afterwards, and then counts anew.
    pub bytes: u64,
    /// Bytes in all.
    pub bytes_total: u64,
}

/// Copies of a game's state that are under way: a change of version, or a copy on its way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiesUnderWay {
    /// The copy that is taken, or comes back.
    pub backup: BackupId,
    /// The name under which it comes back; none while it is taken.
    pub restore: Option<RestoreId>,
    /// The game is blocked: it goes no further until a person has acted.
    pub waits_for_person: bool,
}

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeIdentity {
    /// The engine's own id, which survives its restarts.
    pub id: String,
    /// Its version, for people.
    pub version: String,
}

/// Why a request to the runtime failed: named for what has to be done about it.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No answer: nothing is known about what is there or what happened.
    #[error("Docker cannot be asked")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer to one call within its deadline: nothing is known of what it did. It says nothing of
    /// other calls, nor of Docker as a whole.
    #[error("Docker did not answer `{call}` within {} s", after.as_secs_f32())]
    TimedOut {
        /// Which call.
        call: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// The thing named is not there.
    #[error("{0} is not there")]
    NotFound(String),
    /// Something else has the name, or is in the way.
    #[error("{0}")]
    Conflict(String),
    /// The runtime or the registry refuses what was asked, and will again.
    #[error("{0}")]
    Refused(String),
    /// Docker, or what stands before it, did not do it, and why has a name.
    #[error("{}: {said}", cause.words())]
    Because {
        /// The name.
        cause: Cause,
        /// What was said, by whom.
        said: String,
    },
    /// A pull failed.
    #[error("{message}")]
    Pull {
        /// What to expect of another attempt.
        kind: PullFailure,
        /// The registry's or Docker's words.
        message: String,
    },
    /// The very image that an engine runs is not on the host, and what is fetched by its name is another.
    #[error(
        "the image that its engine runs ({id}) is not on the host, and {image} is a different one now; bring the old image back"
    )]
    ImageGone {
        /// The image.
        id: ImageId,
        /// The name that it was registered with.
        image: ImageRef,
    },
    /// Another container that is not proven dead can write to the game's state directory.
    #[error("container {0}, and is not proven dead")]
    DirectoryInUse(String),
    /// A process that Docker's word does not cover has the game's state directory mounted.
    #[error("{}", .0.in_use())]
    StateInUse(HostProcess),
    /// Docker would not start a container because its process may be alive, and the host cannot be asked.
    #[error(
        "Docker says `{message}`: a process of an earlier start may be alive, and processes of Docker's host are not seen from here ({why})"
    )]
    MayBeAlive {
        /// Docker's words.
        message: String,
        /// Why the host cannot be asked.
        why: String,
    },
    /// The state root is not this instance's: another one, or its disk is not mounted.
    #[error("the state root is not this database's (any more): is its disk mounted?")]
    StateRootNotOurs,
    /// Docker does not find the game's state directory where it is told to mount it from.
    #[error(
        "Docker finds no directory at {on_host}, from where it was to mount the game's state; is --state-root-on-host right, and its disk mounted there?"
    )]
    MountSourceMissing {
        /// Where it looked.
        on_host: String,
    },
    /// The container is not what was decided about: its labels say so.
    #[error("container {0} is not this game's (any more); it is left alone")]
    NotOurs(ContainerId),
    /// The state directory could not be made, owned or removed.
    #[error("the state directory {path} could not be {verb}")]
    StateDirectory {
        /// Where.
        path: String,
        /// What was tried: `created`, `removed` …
        verb: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Work on the state's disk stood still for as long as it may.
    #[error("the state could not be {verb}: its disk did nothing for {} s", after.as_secs_f32())]
    DiskTimedOut {
        /// What was tried: `created`, `removed` …
        verb: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// There is no room for a copy of the state.
    #[error("there is no room for a copy of the state: {0}")]
    NoRoom(Shortage),
    /// There is room for a copy, and others need it first.
    #[error("there is no room for a copy of the state now: {0}")]
    RoomKept(String),
    /// Somebody wrote to the state while it was copied.
    #[error("the state changed while it was copied; nothing was kept")]
    StateChanged,
    /// Something about the state, or about where it is, that no other attempt gets past: a person has
    /// to look.
    #[error("{0}")]
    StateUnfit(String),
    /// A copy has the name that another one was to get.
    #[error("{0}")]
    BackupNameTaken(String),
    /// A kept copy is not what it was.
    #[error("{0}")]
    BackupDamaged(String),
    /// Docker failed at it; it may go better next time.
    #[error("{0}")]
    Failed(String),
}

/// What a disk has too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    /// Bytes.
    #[error("it takes {needed} bytes, and {free} are free; {} are missing", needed.saturating_sub(*free))]
    Bytes {
        /// What it takes.
        needed: u64,
        /// What is free.
        free: u64,
    },
    /// Inodes: there is one for each file and directory, and their number is fixed when most file systems
    /// are made.
    #[error(
        "it takes {needed} inodes (one for each file and directory), and {free} are free; {} are missing",
        needed.saturating_sub(*free)
    )]
    Inodes {
        /// What it takes.
        needed: u64,
        /// What is free.
        free: u64,
    },
    /// Neither, as far as the disk tells.
    #[error("the disk says that it is full, and also that there is room; is there a quota?")]
    Untold,
}

impl RuntimeError {
    /// The kind of the failure beneath it, where the system or the disk failed at it.
    pub fn io_kind(&self) -> Option<std::io::ErrorKind> {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<std::io::Error>() {
                return Some(error.kind());
            }
            cause = error.source();
        }
        None
    }
}

/// Why a pull failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullFailure {
    /// No such image or tag.
    NotFound,
    /// The image is there, and not for a host like this one.
    OtherPlatform,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// Too many requests.
    RateLimited,
    /// The registry cannot be reached, or answered with an error of its own.
    Unreachable,
    /// Nothing came of it any more for as long as a pull may be silent.
    Stalled,
    /// There is no room for it on the disk of Docker's.
    DiskFull,
    /// The policy is `never`, and the image is not here.
    Forbidden,
    /// Something else.
    Other,
}

/// What was found in the state root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateRootLook {
    /// The instance that its sentinel names; none if it has none.
    pub sentinel: Option<String>,
    /// The high-water counter that is kept in it.
    pub high_water: Option<i64>,
    /// It is this instance's, and another process works in it.
    pub locked_by_another: bool,
}

/// A container runtime.
///
/// Calls have deadlines of their own. A call that names a container verifies, by an inspect made
/// for it, that the labels still say it is that game's ([`RuntimeError::NotOurs`] otherwise).
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Who is at the other end.
    async fn identity(&self) -> Result<RuntimeIdentity, RuntimeError>;

    /// Every container with this instance's label, in one call.
    async fn list(&self) -> Result<Vec<Listed>, RuntimeError>;

    /// The container that holds this game's name, whoever made it.
    async fn inspect(&self, game: GameId) -> Result<Option<Container>, RuntimeError>;

    /// Makes a container, not started. A container of this game that is there already is a conflict.
    async fn create(&self, new: &NewContainer) -> Result<ContainerId, RuntimeError>;

    /// Starts it; success if it runs already.
    async fn start(&self, game: GameId, container: &ContainerId) -> Result<(), RuntimeError>;

    /// Asks its process to end and kills it after `grace`; success if it has ended already.
    async fn stop(&self, game: GameId, container: &ContainerId, grace: Duration) -> Result<(), RuntimeError>;

    /// Removes it, which must have ended: not by Docker's word alone ([`RuntimeError::StateInUse`]
    /// otherwise). Success if it is gone already.
    async fn remove(&self, game: GameId, container: &ContainerId) -> Result<(), RuntimeError>;

    /// A container that may be alive whatever Docker says of it can be proven dead: it is gone, or the
    /// processes of its host are seen from here ([`RuntimeError::MayBeAlive`] otherwise).
    async fn check_can_be_proven_dead(&self, container: &ContainerId) -> Result<(), RuntimeError>;

    /// The last `lines` lines that this life of it wrote, bounded in bytes.
    async fn log_tail(&self, container: &ContainerId, lines: usize) -> Result<String, RuntimeError>;

    /// Its log as text, for people; ends when the log ends, or never when it follows.
    async fn log_stream(
        &self,
        container: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<bytes::Bytes, RuntimeError>>, RuntimeError>;

    /// The image that this selects, if it is on the host.
    async fn image(&self, image: &ImageSelector) -> Result<Option<ImageId>, RuntimeError>;

    /// The user that an image's processes run as, as the image names it (empty: root); none if it is
    /// not on the host.
    async fn image_user(&self, image: &ImageId) -> Result<Option<String>, RuntimeError>;

    /// Gets an image, by the pull policy, telling how far it is. Cancelled by dropping.
    async fn pull(
        &self,
        image: &ImageRef,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<ImageId, RuntimeError>;

    /// Has the very image of a build on the host: fetched by its name, if it is not there
    /// ([`RuntimeError::ImageGone`] if that is another one by now). Cancelled by dropping.
    async fn bring_image(&self, build: &Build) -> Result<(), RuntimeError> {
        let pinned = ImageSelector::Pinned(build.image.clone());
        if self.image(&pinned).await?.is_some() {
            return Ok(());
        }
        match self.pull(&build.inputs.image, &|_| {}).await {
            Ok(_) | Err(RuntimeError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let gone = || RuntimeError::ImageGone { id: build.image.clone(), image: build.inputs.image.clone() };
        self.image(&pinned).await?.map(drop).ok_or_else(gone)
    }

    /// The network that engines are put on, if it is there.
    async fn network(&self) -> Result<Option<NetworkId>, RuntimeError>;

    /// Makes that network; success if it is there.
    async fn create_network(&self) -> Result<NetworkId, RuntimeError>;

    /// Where the game's state directory stands.
    async fn state_directory(&self, game: GameId) -> Result<StateDirectory, RuntimeError>;

    /// Makes it, owned by the user its engine will be; success if it is there.
    async fn create_state_directory(&self, game: GameId, run_as: RunAs) -> Result<(), RuntimeError>;

    /// Which games have a state directory, in one look.
    async fn state_directories(&self) -> Result<HashSet<GameId>, RuntimeError>;

    /// What is in the game's state directory.
    async fn contents(&self, game: GameId) -> Result<Contents, RuntimeError>;

    /// Who can write to the game's state beside `own` and is not proven dead: a container, with what it has
    /// of it in words (`NAME has PATH mounted for writing`), or a process of the host that Docker's word does
    /// not cover. (Never [`Rival::Unseen`].)
    async fn rival(&self, game: GameId, own: Option<&ContainerId>) -> Result<Option<Rival>, RuntimeError>;

    /// Who else has a container's address, if that can be told: an engine that outlived Docker keeps its own.
    async fn other_at_address(&self, endpoint: &str, own: &ContainerId) -> Option<HostProcess>;

    /// Whose the state root is, and how far things had come.
    async fn state_root(&self) -> Result<StateRootLook, RuntimeError>;

    /// Whether Docker mounts into engines what is seen here as the state root; an answer that is not older
    /// than this will do. The container that the comparison needs is made at the Docker Engine of this id
    /// alone. Never fails: what cannot be found out is [`MountView::Unknown`].
    async fn mount_view(&self, docker_engine_id: &str, not_older_than: Duration) -> MountView;

    /// Makes the state root this instance's.
    async fn bind_state_root(&self) -> Result<(), RuntimeError>;

    /// Writes into the state root how far things have come.
    async fn keep_high_water(&self, high_water: i64) -> Result<(), RuntimeError>;

    /// Removes it with everything in it, following no link, telling how many names are gone; success if it
    /// is gone. What comes into its place after the call began is another life's, and stays
    /// ([`RuntimeError::Conflict`]). Cancelled by dropping: then it is whole, or not in its place any more.
    async fn remove_state_directory(
        &self,
        game: GameId,
        progress: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<(), RuntimeError>;

    /// Takes a copy of the game's state, telling how far it is: whole and verified, or not at all.
    /// One that has this name already is the answer, if it is of the state as it is
    /// ([`RuntimeError::BackupNameTaken`] otherwise). Cancelled by dropping.
    ///
    /// An engine may be running, if it is known to be at rest: what it writes meanwhile is noticed
    /// ([`RuntimeError::StateChanged`]).
    async fn back_up(
        &self,
        new: &NewBackup,
        progress: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<Backup, RuntimeError>;

    /// Has the copying of a game's state stand still, or go on: others come first for a while.
    fn pause_copying(&self, _game: GameId, _paused: bool) {}

    /// Copies of this game's state are under way from now on, and nobody else takes the room that they still
    /// need; none: no more.
    fn keep_room(&self, _game: GameId, _copies: Option<CopiesUnderWay>) {}

    /// The kept copies of a game, oldest first.
    async fn backups(&self, game: GameId) -> Result<Vec<Backup>, RuntimeError>;

    /// Removes a kept copy that is too much, if it may go by the time that nobody else works on the game's copies;
    /// says whether it is gone. Other work on them comes first: then this ends in
    /// [`RuntimeError::Conflict`], and what is left of the copy is listed no more.
    async fn remove_backup(
        &self,
        game: GameId,
        backup: &BackupId,
        may_go: &Arc<dyn MayGo>,
    ) -> Result<bool, RuntimeError>;

    /// Whether a copy could be put back now: it is there and is what was copied, there is room for it,
    /// and it could be moved into the state's place. Reads all of it, and changes nothing.
    async fn check_backup(&self, game: GameId, backup: &BackupId) -> Result<Backup, RuntimeError>;

    /// Whether there is room for a change of version, beside what others need: for a copy of the state,
    /// and for that copy's way back. Changes nothing, and keeps what was found for a moment.
    async fn check_room_for_patch(&self, game: GameId) -> Result<(), RuntimeError>;

    /// Copies a kept copy beside the game's state and compares it with what was copied once: `put_back`
    /// under the same name has but to move it. An engine may be at work meanwhile. Cancelled by dropping.
    async fn fetch_backup(
        &self,
        game: GameId,
        backup: &BackupId,
        restore: &RestoreId,
        progress: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<Backup, RuntimeError>;

    /// Puts a copy back. What is in its place is moved aside, and stays. The same call under the
    /// same name ends what was begun, and does nothing twice; the copy itself stays too. Cancelled
    /// by dropping; then the state is where it was, or aside.
    ///
    /// No container may be at work in the directory ([`RuntimeError::DirectoryInUse`]).
    async fn put_back(
        &self,
        game: GameId,
        backup: &BackupId,
        restore: &RestoreId,
        progress: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<Backup, RuntimeError>;

    /// Whether copies of the game's state are kept, or states that were moved aside.
    async fn has_copies(&self, game: GameId) -> Result<bool, RuntimeError>;

    /// Removes every kept copy of the game's state, and what was moved aside, telling how many names are
    /// gone; success if nothing is there. Cancelled by dropping: what is still listed is whole.
    async fn remove_copies(
        &self,
        game: GameId,
        progress: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<(), RuntimeError>;

    /// Removes states that were moved aside, if they are too many or too old; gives those that went.
    /// The newest stays, and so does what may not go. Other work comes first, as in
    /// [`Runtime::remove_backup`].
    async fn prune_aside(
        &self,
        game: GameId,
        keep: Keep,
        may_go: &Arc<dyn MayGo>,
        now: Timestamp,
    ) -> Result<Vec<RestoreId>, RuntimeError>;

    /// Removes the copies of a game that are too many of their reason, or too old; gives those that
    /// went.
    async fn prune_backups(
        &self,
        game: GameId,
        keep: Keep,
        may_go: &Arc<dyn MayGo>,
        now: Timestamp,
    ) -> Result<Vec<BackupId>, RuntimeError> {
        let backups = self.backups(game).await?;
        let spared = backups.iter().map(|backup| &backup.id).filter(|id| !may_go.copy(id));
        let going = backup::surplus(&backups, keep, &spared.cloned().collect::<Vec<_>>(), now);
        let mut gone = Vec::new();
        for id in going {
            if self.remove_backup(game, &id, may_go).await? {
                gone.push(id);
            }
        }
        Ok(gone)
    }

    /// The game's state directory on the engine's host, for people.
    fn state_path(&self, game: GameId) -> String;

    /// The network's name, for people.
    fn network_name(&self) -> &str;

    /// What happens to this instance's containers, for ever: reconnects by itself, from where it
    /// was, and says with an event for all games that something may have been lost.
    fn events(&self) -> BoxStream<'static, RuntimeEvent>;
}

/// Copies that are worth beginning at a time, those that stand still for others included: each keeps a thread of
/// the runtime's to itself, and one more would but wait for it.
pub const MOST_COPIES_BEGUN: usize = 96;

/// The same of removals.
pub const MOST_REMOVALS_BEGUN: usize = 64;

/// Says what of a game's copies may go. It is asked directly before anything does, wherever the removal may have
/// waited: what is too much may have come to be needed, and whoever removes it to have no right to any more.
pub trait MayGo: std::fmt::Debug + Send + Sync {
    /// True if anything may go.
    fn anything(&self) -> bool;

    /// True if this copy may.
    fn copy(&self, id: &BackupId) -> bool;

    /// True if the state that was put back, or is to be put back, under this name may.
    fn put_back(&self, id: &RestoreId) -> bool;
}

/// Which part of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on with what is written from now on.
    pub follow: bool,
    /// Only this many lines from the end.
    pub tail: Option<usize>,
    /// A time before each line.
    pub timestamps: bool,
    /// Only what is younger, in seconds.
    pub since_seconds: Option<u64>,
}
