//! Manifests: what people and programs write, strictly parsed, validated once into the domain.
//!
//! One raw shape ([`wire`]) serves YAML files, the API's JSON bodies and the database's rows; one
//! path ([`validate()`]) leads from it into the types of [`crate::game`].

pub mod columns;
pub mod decode;
pub mod error;
pub mod file;
mod image;
mod labels;
mod locate;
mod parts;
pub mod problem;
pub mod schedule;
pub mod schema;
mod survey;
pub mod validate;
pub mod wire;
mod words;
pub mod yaml;

#[cfg(test)]
mod tests;

pub use columns::{GameColumns, VersionColumns};
pub use decode::{UnknownFields, from_json};
pub use error::{ManifestError, ManifestErrors, Place};
pub use file::{
    Located, MAX_DOCUMENTS, MAX_FILE_BYTES, parse_documents, parse_files, read_json, read_json_leniently,
    read_yaml, read_yaml_leniently, refuse_duplicates,
};
pub use image::parse_image;
pub use parts::FaultySpec;
pub use problem::SpecProblem;
pub use schedule::parse_schedule;
pub use schema::{KINDS, json_schema};
pub use validate::{
    DEFAULT_NAMESPACE, RequestCounters, ValidEngineVersion, ValidGame, ValidManifest, ValidMeta, ValidSpec,
    validate, validate_engine_version, validate_game, validate_spec,
};
pub use wire::{
    API_VERSION, EngineVersionManifest, EngineVersionSpecManifest, GROUP, GameManifest, GameSpecManifest,
    ManagedFields, Manifest, ObjectMeta, PlayerManifest, Quantity, ResourcesManifest, TurnsManifest,
};
pub use yaml::{to_yaml, to_yaml_documents};
