//! Manifests: what people and programs write, strictly parsed, validated once into the domain.
//!
//! One raw shape ([`wire`]) serves YAML files, the API's JSON bodies and the database's rows; one
//! path ([`validate`]) leads from it into the types of [`crate::game`].

pub mod problem;
pub mod validate;
pub mod wire;

pub use problem::SpecProblem;
pub use validate::{RequestCounters, ValidEngineVersion, ValidGame, ValidManifest, ValidMeta, ValidSpec};
pub use wire::{
    API_VERSION, EngineVersionManifest, EngineVersionSpecManifest, GameManifest, GameSpecManifest, GROUP, Manifest,
    ObjectMeta, PlayerManifest, Quantity, ResourcesManifest, TurnsManifest,
};
