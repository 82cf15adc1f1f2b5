//! The domain, pure: what a game is, what may be asked of it, and what is known about it.
//!
//! Nothing here does I/O, reads a clock or draws a random number. Raw input (a manifest, a row) is
//! validated once, in [`manifest`], into the types of this module; later code never sees raw input.

pub mod access;
pub mod agreement;
pub mod backup;
pub mod container;
pub mod controller;
pub mod engine;
pub mod id;
pub mod manifest;
pub mod operation;
pub mod ownership;
pub mod patch;
pub mod player;
pub mod record;
pub mod resources;
pub mod settled;
pub mod spec;
pub mod status;
pub mod text;
pub mod turn;
pub mod version;
pub mod wall_time;
pub mod zone;

pub use access::{AccessToken, Grant, NewToken, Role};
pub use backup::{Backup, BackupReason, NewBackup};
pub use id::{
    BackupId, ContainerId, Epoch, GameId, ImageId, ImageRef, InstanceId, Name, Namespace, NetworkId,
    OperationId, RaceName, RestoreId, UserId,
};
pub use resources::Resources;
pub use spec::{DeletionPolicy, Desired, DesiredStatus, GameSpec, Member, Source, VersionEntry};
pub use status::{Condition, ConditionStatus, ConditionType, Phase};
pub use text::Text;
pub use version::EngineVersion;
