//! The one raw shape of a manifest: as it is written in YAML, sent as JSON, and read from rows.
//!
//! Nothing here is checked beyond types and names of fields; [`super::validate`] does that.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::game::spec::{Contract, DeletionPolicy, DesiredStatus, ForceMode, MissedTurns, Relaxation};

/// The API group of both kinds.
pub const GROUP: &str = "gamekeeper.dev";
/// What `apiVersion` says in every manifest.
pub const API_VERSION: &str = "gamekeeper.dev/v1";
/// What `kind` says of a game.
pub const GAME_KIND: &str = "Game";
/// What `kind` says of an engine version.
pub const ENGINE_VERSION_KIND: &str = "EngineVersion";

/// Name, labels and what the server keeps beside them.
///
/// The fields that the server writes may be present, so that what was read can be applied again;
/// they change nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectMeta {
    /// Handle of the object: of a game an RFC 1123 label, of an engine version its number.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Namespace of a game's name; `default` when absent. Engine versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// For selectors.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Notes of people and tools.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Written by the server: of a game, its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Written by the server: moves at every change; sent back, it refuses to overwrite a newer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// Written by the server: counts changes of the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Written by the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub creation_timestamp: Option<Timestamp>,
    /// Written by the server: when its deletion was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub deletion_timestamp: Option<Timestamp>,
    /// Written by the server: what has to be cleaned up before the object goes.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<String>,
    /// Written by the server: who wrote which field, for server-side apply.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub managed_fields: Vec<ManagedFields>,
}

/// What one manager wrote of an object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedFields {
    /// Who.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// The version in whose words the fields are.
    pub api_version: String,
    /// When the fields changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub time: Option<String>,
    /// `FieldsV1`.
    pub fields_type: String,
    /// The fields, as a tree.
    #[schemars(schema_with = "free_object")]
    pub fields_v1: serde_json::Value,
    /// The subresource by which they were written, if not the object itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
}

/// A game: one turn-based match, served by one engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Game")]
pub struct GameManifest {
    /// `gamekeeper.dev/v1`.
    #[schemars(extend("const" = "gamekeeper.dev/v1"))]
    pub api_version: String,
    /// `Game`.
    #[schemars(extend("const" = "Game"))]
    pub kind: String,
    /// Name and labels.
    pub metadata: ObjectMeta,
    /// What should be true of the game.
    pub spec: GameSpecManifest,
    /// What is true of it. Written by the controller; ignored in what others write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub status: Option<serde_json::Value>,
}

impl GameManifest {
    /// A manifest of this metadata and spec, without status.
    pub fn new(metadata: ObjectMeta, spec: GameSpecManifest) -> Self {
        Self { api_version: API_VERSION.into(), kind: GAME_KIND.into(), metadata, spec, status: None }
    }
}

/// What should be true of a game.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "GameSpec")]
pub struct GameSpecManifest {
    /// Whether the game's engine should run.
    pub desired_status: DesiredStatus,
    /// No turn begins while this is true; the engine stays up.
    #[serde(default, deserialize_with = "null_is_default")]
    pub paused: bool,
    /// No turn is generated before a copy of the state was taken; `gamekeeper backups` lists them.
    #[serde(default, deserialize_with = "null_is_default")]
    pub backup_before_turn: bool,
    /// What people call the game.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub display_name: Option<String>,
    /// The engine version that should serve the game: one that is registered (`"1.4.2"`), or what it
    /// has to fulfil (`"~1.4"`, `"1.4.x"`, `">=1.4.2, <1.6"`). Of a requirement, the newest enabled
    /// version is taken when the game starts, and again when `patchGeneration` asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub engine_version: Option<String>,
    /// A version to which the game may move although major or minor number differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub allow_incompatible_version: Option<String>,
    /// When turns happen; absent: only when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<TurnsManifest>,
    /// Who plays. Absent: left to others. Present: a user who is not listed is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["userId"]))]
    pub players: Option<Vec<PlayerManifest>>,
    /// Limits of the engine's container; absent: the engine version's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesManifest>,
    /// What becomes of the state directory when the game is deleted.
    #[serde(default, deserialize_with = "null_is_default")]
    pub deletion_policy: DeletionPolicy,
    /// When stopping, do not wait for a turn in flight. Absent: left as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_now: Option<bool>,
    /// One more asks for a restart. Absent: left as it is; does not belong in kept manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub restart_generation: Option<i64>,
    /// One more asks for a turn now. Absent: left as it is; does not belong in kept manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub force_turn_generation: Option<i64>,
    /// One more asks to try a failed patch again, or for the newest version that fits a requirement. Absent: left as it is; does not belong in kept
    /// manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub patch_generation: Option<i64>,
    /// One more says that a person has looked at what blocks the game. Absent: left as it is; does not
    /// belong in kept manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub unblock_generation: Option<i64>,
    /// One more asks to put `restoreBackupId` back. Absent: left as it is; does not belong in kept
    /// manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub restore_generation: Option<i64>,
    /// The kept copy that a restore puts back. Absent: left as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub restore_backup_id: Option<String>,
    /// One more asks for a copy of the state now. Absent: left as it is; does not belong in kept
    /// manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub backup_generation: Option<i64>,
}

impl GameSpecManifest {
    /// A spec that says nothing but this.
    pub fn new(desired_status: DesiredStatus) -> Self {
        Self {
            desired_status,
            paused: false,
            backup_before_turn: false,
            display_name: None,
            engine_version: None,
            allow_incompatible_version: None,
            turns: None,
            players: None,
            resources: None,
            deletion_policy: DeletionPolicy::default(),
            stop_now: None,
            restart_generation: None,
            force_turn_generation: None,
            patch_generation: None,
            unblock_generation: None,
            restore_generation: None,
            restore_backup_id: None,
            backup_generation: None,
        }
    }
}

/// When turns happen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Turns")]
pub struct TurnsManifest {
    /// Cron, five fields or six with seconds first; absent or empty: only when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub schedule: Option<String>,
    /// IANA name of the zone that the schedule is meant in; `UTC` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub time_zone: Option<String>,
    /// What happens to slots that passed while nobody could fire them.
    #[serde(default, deserialize_with = "null_is_default")]
    pub missed: MissedTurns,
    /// No slot fires earlier (RFC 3339); the slots before it become one turn, due then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub not_before: Option<String>,
    /// How a forced turn relates to the next slot.
    #[serde(default, deserialize_with = "null_is_default")]
    pub force_mode: ForceMode,
}

/// A user in a game.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Player")]
pub struct PlayerManifest {
    /// The lobby's id of the user: a UUID in lower case.
    #[schemars(regex(pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"))]
    pub user_id: String,
    /// Under which name the user plays; unique in the game.
    #[schemars(length(min = 1, max = 64))]
    pub race_name: String,
}

/// Limits of a container, as Kubernetes quantities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Resources")]
pub struct ResourcesManifest {
    /// CPU time: `500m` or `2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Memory: `256Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
    /// Processes and threads: `128`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_194_304))]
    pub pids: Option<u64>,
}

/// A Kubernetes quantity, unchecked: a text or, as Kubernetes allows, a bare number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as \"500m\" or \"256Mi\"")
            }

            fn visit_str<E>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A Kubernetes quantity: a number, alone or in text with a unit.",
            "anyOf": [
                { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$" },
                { "type": "number", "exclusiveMinimum": 0 },
            ],
            "x-kubernetes-int-or-string": true,
        })
    }
}

/// An engine version: a number and the image that it stands for, immutable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "EngineVersion")]
pub struct EngineVersionManifest {
    /// `gamekeeper.dev/v1`.
    #[schemars(extend("const" = "gamekeeper.dev/v1"))]
    pub api_version: String,
    /// `EngineVersion`.
    #[schemars(extend("const" = "EngineVersion"))]
    pub kind: String,
    /// Its number as the name, semver without build metadata; no namespace.
    pub metadata: ObjectMeta,
    /// What it stands for.
    pub spec: EngineVersionSpecManifest,
    /// What is known of it. Written by the controller; ignored in what others write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub status: Option<serde_json::Value>,
}

impl EngineVersionManifest {
    /// A manifest of this metadata and spec, without status.
    pub fn new(metadata: ObjectMeta, spec: EngineVersionSpecManifest) -> Self {
        Self {
            api_version: API_VERSION.into(),
            kind: ENGINE_VERSION_KIND.into(),
            metadata,
            spec,
            status: None,
        }
    }
}

/// What an engine version stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "EngineVersionSpec")]
pub struct EngineVersionSpecManifest {
    /// The image reference. It never changes: a new image is a new version.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// A disabled version starts no new game and stops no running one.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// The port that its engine listens on.
    #[serde(default = "port")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: u16,
    /// What its engine speaks.
    #[serde(default, deserialize_with = "null_is_default")]
    pub contract: Contract,
    /// Which user its process is: `auto`, `image` or `uid:gid`.
    #[serde(default = "run_as")]
    #[schemars(regex(pattern = "^(auto|image|[0-9]{1,10}:[0-9]{1,10})$"))]
    pub run_as: String,
    /// What hardening it cannot live with.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub relaxations: Vec<Relaxation>,
    /// Limits, where the game sets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesManifest>,
    /// One more lets halted changes to this version go on. Absent: left as it is; does not belong in
    /// kept manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub resume_generation: Option<i64>,
}

impl EngineVersionSpecManifest {
    /// A spec of this image, with every default.
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            enabled: enabled(),
            port: port(),
            contract: Contract::default(),
            run_as: run_as(),
            relaxations: Vec::new(),
            resources: None,
            resume_generation: None,
        }
    }
}

/// A manifest of either kind.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Manifest {
    /// A game.
    Game(Box<GameManifest>),
    /// An engine version.
    EngineVersion(Box<EngineVersionManifest>),
}

impl Manifest {
    /// Its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Game(_) => GAME_KIND,
            Self::EngineVersion(_) => ENGINE_VERSION_KIND,
        }
    }

    /// Its metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Game(game) => &game.metadata,
            Self::EngineVersion(version) => &version.metadata,
        }
    }
}

fn enabled() -> bool {
    true
}

fn port() -> u16 {
    8080
}

fn run_as() -> String {
    "auto".into()
}

/// Kubernetes' clients send `null` for what is absent, and an empty line in YAML is one.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Any object. Kubernetes' clients would otherwise refuse what the schema does not list.
fn free_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
