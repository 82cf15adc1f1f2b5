//! Docker's events as text on a wire, and what of them matters. Pure.

use std::collections::HashMap;

use bytes::BytesMut;
use serde::Deserialize;

use super::labels;
use super::text::percent_encoded;
use crate::game::{ContainerId, InstanceId};
use crate::runtime::{Owner, RuntimeEvent};

/// The longest line that is waited for; what is longer is no event of Docker's.
const LONGEST_LINE: usize = 1 << 20;

/// The words after which a game is worth a look. `died` is Podman's.
const ACTIONS: [&str; 13] = [
    "create", "start", "die", "died", "stop", "oom", "destroy", "remove", "pause", "unpause", "rename",
    "restart", "update",
];

/// What moves a container's address: it is another's the moment after.
const MOVES: [&str; 2] = ["connect", "disconnect"];

/// The path and query of a subscription to what happens to containers, and to who is on which network.
/// (Not by label: what a network tells of a container has the container's id alone.)
pub(super) fn path(since: Option<&str>) -> String {
    let actions: Vec<&str> = ACTIONS.into_iter().chain(MOVES).collect();
    let filters = serde_json::json!({ "type": ["container", "network"], "event": actions });
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

    /// Which game or container to look at, if any. `network` is the one that engines are put on.
    pub(super) fn event(self, instance: InstanceId, network: &str) -> Option<RuntimeEvent> {
        let Actor { mut attributes } = self.actor;
        match self.kind.as_str() {
            "container" if ACTIONS.contains(&self.action.as_str()) => {
                match labels::owner(Some(&attributes), instance) {
                    Owner::Game(game) => {
                        Some(RuntimeEvent { game: Some(game), container: None, action: self.action })
                    }
                    Owner::Foreign => None,
                }
            }
            "network" if MOVES.contains(&self.action.as_str()) => {
                let ours = attributes.get("name").is_some_and(|name| name == network);
                let container = attributes.remove("container").filter(|_| ours).map(ContainerId::new)?;
                Some(RuntimeEvent { game: None, container: Some(container), action: self.action })
            }
            _ => None,
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
            .filter_map(|message| message.event(instance(), "engines"))
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
    fn who_comes_to_the_engines_network_or_leaves_it_is_looked_at() {
        let event = |kind: &str, action: &str, network: &str| {
            let event = serde_json::json!({
                "Type": kind, "Action": action, "Actor": {"ID": "n", "Attributes": {"container": "c1", "name": network}}
            });
            let message = Lines::default().take(format!("{event}\n").as_bytes()).remove(0);
            message.event(instance(), "engines")
        };
        for action in MOVES {
            let told = event("network", action, "engines").expect("an event");
            assert_eq!(
                (told.game, told.container, told.action.as_str()),
                (None, Some(ContainerId::new("c1")), action)
            );
            assert_eq!(event("network", action, "another"), None);
        }
        assert_eq!(event("network", "create", "engines"), None);
        assert_eq!(event("container", "disconnect", "engines"), None);
    }

    #[test]
    fn a_subscription_goes_on_from_the_last_event() {
        let message = Lines::default().take(line("container", "die", GAME).as_bytes()).remove(0);
        assert_eq!(message.time().as_deref(), Some("1700000000.000000042"));
        let path = path(message.time().as_deref());
        assert!(path.ends_with("&since=1700000000.000000042"), "{path}");
        assert!(path.parse::<http::Uri>().is_ok(), "{path}");
    }
}
