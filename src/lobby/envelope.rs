//! The CloudEvents 1.0 envelope, in its JSON form.
//!
//! It is put together anew for each attempt, from nothing but the row and the instance: every
//! attempt at an event has the same bytes.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::game::{GameId, InstanceId};
use crate::store::outbox::Due;

/// What the body of a delivery is.
pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// Where the schemas are said to be; `docs/lobby-events/` has them.
const SCHEMAS: &str = "https://gamekeeper.dev/lobby-events/v1";

/// One event, enveloped.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Envelope<'a> {
    specversion: &'static str,
    id: Uuid,
    source: String,
    r#type: &'a str,
    /// The game's handle, for people: `namespace/name`.
    subject: String,
    time: Timestamp,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataschema: Option<String>,
    /// CloudEvents' extension for order: texts that sort as the numbers do.
    sequence: String,
    data: &'a Value,
}

impl<'a> Envelope<'a> {
    /// The envelope of an event.
    pub fn of(instance: InstanceId, due: &'a Due) -> Self {
        Self {
            specversion: "1.0",
            id: due.event,
            source: source(instance, due.game),
            r#type: &due.kind,
            subject: format!("{}/{}", due.namespace, due.name),
            time: due.occurred_at,
            datacontenttype: "application/json",
            dataschema: word(&due.kind).map(schema_id),
            sequence: format!("{:019}", due.seq),
            data: &due.payload,
        }
    }

    /// The body of a delivery.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts and JSON always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Who says it: unique together with the event's id.
pub fn source(instance: InstanceId, game: GameId) -> String {
    format!("/gamekeeper/{instance}/games/{game}")
}

/// The identity of the schema of a type's payload.
pub fn schema_id(word: &str) -> String {
    format!("{SCHEMAS}/{word}.json")
}

/// The word in a type's name; none in one of another version.
fn word(kind: &str) -> Option<&str> {
    kind.strip_prefix("dev.gamekeeper.game.")?.strip_suffix(".v1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_enveloped_as_cloudevents_has_it() {
        let payload = json!({ "timeline": 1, "seq": 7, "turn": 3 });
        let due = Due {
            event: "0193f0a0-58a7-7d7e-9a0b-0a2f5f3c7f10".parse().unwrap(),
            game: "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10".parse().unwrap(),
            namespace: "default".into(),
            name: "andromeda".into(),
            seq: 7,
            kind: "dev.gamekeeper.game.snapshot.v1".into(),
            occurred_at: "2026-11-23T18:00:00.5Z".parse().unwrap(),
            payload,
            attempts: 0,
            refusals: 0,
        };
        let instance = "0b9a3c1e-7a3f-4f0e-8a55-3f1f4a5f2d21".parse().unwrap();
        assert_eq!(
            serde_json::to_value(Envelope::of(instance, &due)).unwrap(),
            json!({
                "specversion": "1.0",
                "id": "0193f0a0-58a7-7d7e-9a0b-0a2f5f3c7f10",
                "source": "/gamekeeper/0b9a3c1e-7a3f-4f0e-8a55-3f1f4a5f2d21/games/6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10",
                "type": "dev.gamekeeper.game.snapshot.v1",
                "subject": "default/andromeda",
                "time": "2026-11-23T18:00:00.5Z",
                "datacontenttype": "application/json",
                "dataschema": "https://gamekeeper.dev/lobby-events/v1/snapshot.json",
                "sequence": "0000000000000000007",
                "data": { "timeline": 1, "seq": 7, "turn": 3 },
            })
        );
        assert_eq!(word("dev.gamekeeper.game.snapshot.v2"), None);
    }
}
