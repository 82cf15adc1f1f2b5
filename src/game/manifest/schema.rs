//! The JSON Schema of manifests, made from the types that are parsed.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::wire::{ENGINE_VERSION_KIND, EngineVersionManifest, GAME_KIND, GameManifest};

/// The kinds that have a schema.
pub const KINDS: [&str; 2] = [GAME_KIND, ENGINE_VERSION_KIND];

/// JSON Schema (draft 2020-12) of a manifest: of the given kind (in any spelling of case), or of
/// either. None if there is no such kind.
pub fn json_schema(kind: Option<&str>) -> Option<Value> {
    let kinds = match kind {
        None => KINDS.to_vec(),
        Some(wanted) => vec![*KINDS.iter().find(|kind| kind.eq_ignore_ascii_case(wanted))?],
    };
    let mut generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    for kind in &kinds {
        match *kind {
            GAME_KIND => generator.subschema_for::<GameManifest>(),
            _ => generator.subschema_for::<EngineVersionManifest>(),
        };
    }
    let definitions = Value::Object(generator.take_definitions(true));
    let reference = |kind: &&str| json!({ "$ref": format!("#/$defs/{kind}") });
    let references: Vec<Value> = kinds.iter().map(reference).collect();
    Some(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Gamekeeper manifest",
        "oneOf": references,
        "$defs": definitions,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_both_kinds_with_descriptions_and_closed_objects() {
        let schema = json_schema(None).unwrap();
        assert_eq!(schema["oneOf"].as_array().map(Vec::len), Some(2));
        for kind in KINDS {
            let definition = &schema["$defs"][kind];
            assert_eq!(definition["additionalProperties"], false, "{definition:#}");
            assert_eq!(definition["properties"]["kind"]["const"], kind);
            assert!(definition["description"].is_string());
        }
        let spec = &schema["$defs"]["GameSpec"];
        assert_eq!(spec["required"], json!(["desiredStatus"]));
        for (field, property) in spec["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{field} has no description");
        }
        assert_eq!(schema["$defs"]["EngineVersionSpec"]["properties"]["port"]["maximum"], 65_535);
    }

    #[test]
    fn a_kind_s_schema_can_be_had_alone() {
        assert!(json_schema(Some("game")).unwrap()["$defs"].get("EngineVersionSpec").is_none());
        assert!(json_schema(Some("engineversion")).unwrap()["$defs"].get("GameSpec").is_none());
        assert_eq!(json_schema(Some("pod")), None);
    }

    #[test]
    fn every_reference_has_its_definition() {
        let schema = json_schema(None).unwrap();
        let text = schema.to_string();
        for reference in text.split("\"#/$defs/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schema["$defs"].get(name).is_some(), "{name}");
        }
    }
}
