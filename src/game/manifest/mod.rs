//! Manifests: what people and programs write, strictly parsed, validated once into the domain.
//!
//! One raw shape ([`wire`]) serves YAML files, the API's JSON bodies and the database's rows; one
//! path ([`validate`]) leads from it into the types of [`crate::game`].

mod image;
mod labels;
pub mod problem;
pub mod schedule;
pub mod validate;
pub mod wire;
mod words;

pub use problem::SpecProblem;
pub use image::parse_image;
pub use schedule::parse_schedule;
pub use validate::{
    DEFAULT_NAMESPACE, validate, validate_engine_version, validate_game, validate_spec,RequestCounters, ValidEngineVersion, ValidGame, ValidManifest, ValidMeta, ValidSpec};
pub use wire::{
    API_VERSION, EngineVersionManifest, EngineVersionSpecManifest, GameManifest, GameSpecManifest, GROUP, Manifest,
    ObjectMeta, PlayerManifest, Quantity, ResourcesManifest, TurnsManifest,
};
