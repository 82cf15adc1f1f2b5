//! Docker's events as text on a wire, and what of them matters. Pure.

use std::collections::HashMap;

use bytes::BytesMut;
use serde::Deserialize;

use super::labels;
use super::text::percent_encoded;
use crate::game::InstanceId;
use crate::runtime::{Owner, RuntimeEvent};

/// The longest line that is waited for; what is longer is no event of Docker's.
const LONGEST_LINE: usize = 1 << 20;

/// The words after which a game is worth a look. `died` is Podman's.
const ACTIONS: [&str; 13] = [
    "create", "start", "die", "died", "stop", "oom", "destroy", "remove", "pause", "unpause", "rename",
    "restart", "update",
];

/// The path and query of a subscription to the events of this instance's containers.
pub(super) fn path(instance: InstanceId, since: Option<&str>) -> String {
    let filters = serde_json::json!({
        "type": ["container"],
        "label": [format!("{}={instance}", labels::INSTANCE)],
    });
    let mut path = format!("/events?filters={}", percent_encoded(&filters.to_string()));
    if let Some(since) = since {
        path.push_str("&since=");
        path.push_str(&percent_encoded(since));
    }
    path
}

/// One event, as far as it matters.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(rename = "Action", default)]
    action: String,
    #[serde(rename = "Actor", default)]
    actor: Actor,
    #[serde(default)]
    time: i64,
    #[serde(rename = "timeNano", default)]
    time_nano: i64,
}

#[derive(Debug, Default, Deserialize)]
struct Actor {
    #[serde(rename = "Attributes", default)]
    attributes: HashMap<String, String>,
}

impl Message {
    /// When it happened, in the form that a subscription begins from.
    pub(super) fn time(&self) -> Option<String> {
        const NANOS: i64 = 1_000_000_000;
        match (self.time_nano, self.time) {
            (nanos, _) if nanos > 0 => Some(format!("{}.{:09}", nanos / NANOS, nanos % NANOS)),
            (_, seconds) if seconds > 0 => Some(seconds.to_string()),
            _ => None,
        }
    }

    /// Which game to look at, if any.
    pub(super) fn event(self, instance: InstanceId) -> Option<RuntimeEvent> {
        if self.kind != "container" || !ACTIONS.contains(&self.action.as_str()) {
            return None;
        }
        match labels::owner(Some(&self.actor.attributes), instance) {
            Owner::Game(game) => Some(RuntimeEvent { game: Some(game), action: self.action }),
            Owner::Foreign => None,
        }
    }
}

/// Cuts a stream of bytes into messages; what is no message is left out.
#[derive(Default)]
pub(super) struct Lines(BytesMut);

impl Lines {
    pub(super) fn take(&mut self, data: &[u8]) -> Vec<Message> {
        self.0.extend_from_slice(data);
        let mut messages = Vec::new();
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            let line = self.0.split_to(end + 1);
            messages.extend(serde_json::from_slice::<Message>(&line));
        }
        if self.0.len() > LONGEST_LINE {
            self.0.clear();
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAME: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";
    const INSTANCE: &str = "11111111-2222-4333-8444-555555555555";

    fn instance() -> InstanceId {
        INSTANCE.parse().expect("an id")
    }

    fn line(kind: &str, action: &str, game: &str) -> String {
        let event = serde_json::json!({
            "Type": kind, "Action": action, "status": action, "time": 1_700_000_000, "timeNano": 1_700_000_000_000_000_042_i64,
            "Actor": {"ID": "c", "Attributes": {"gamekeeper.dev/instance": INSTANCE, "gamekeeper.dev/game-id": game}}
        });
        format!("{event}\n")
    }

    fn events(text: &str) -> Vec<String> {
        let mut lines = Lines::default();
        // In pieces, as a network delivers it.
        let messages: Vec<Message> = text.as_bytes().chunks(7).flat_map(|piece| lines.take(piece)).collect();
        messages
            .into_iter()
            .filter_map(|message| message.event(instance()))
            .map(|event| event.action)
            .collect()
    }

    #[test]
    fn words_that_nobody_knows_yet_do_no_harm() {
        let text = [
            line("container", "die", GAME),
            line("hologram", "flicker", GAME),
            "not JSON\n".into(),
            line("container", "exec_start: sh", GAME),
            line("container", "start", "nonsense"),
            line("container", "start", GAME),
        ];
        assert_eq!(events(&text.concat()), ["die", "start"]);
    }

    #[test]
    fn a_subscription_goes_on_from_the_last_event() {
        let message = Lines::default().take(line("container", "die", GAME).as_bytes()).remove(0);
        assert_eq!(message.time().as_deref(), Some("1700000000.000000042"));
        let path = path(instance(), message.time().as_deref());
        assert!(path.ends_with("&since=1700000000.000000042"), "{path}");
        assert!(path.parse::<http::Uri>().is_ok(), "{path}");
    }
}
