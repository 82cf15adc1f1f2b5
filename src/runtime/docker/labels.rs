//! The labels and names that Gamekeeper puts on its containers, and reads back.

use std::collections::HashMap;

use crate::game::{GameId, InstanceId};
use crate::runtime::{NewContainer, Owner};

/// Whose it is. With [`GAME`], the only label that decides anything.
pub(super) const INSTANCE: &str = "gamekeeper.dev/instance";
/// Which game it is.
pub(super) const GAME: &str = "gamekeeper.dev/game-id";
/// The purpose of a container, or an image, of an instance that is no game's.
pub(super) const ROLE: &str = "gamekeeper.dev/role";
/// A container of an operator's that may write to states, as `true`: a backup program that knows what it
/// does, another Gamekeeper of the same database.
pub(super) const MAY_WRITE_STATE: &str = "gamekeeper.dev/may-write-state";
/// The port its engine listens on: an inspect has to know where it is reached.
pub(super) const PORT: &str = "gamekeeper.dev/port";
/// The leadership that made it.
pub(super) const EPOCH: &str = "gamekeeper.dev/epoch";
/// The game's handle, for people.
pub(super) const NAME: &str = "gamekeeper.dev/name";
/// The engine version, for people.
pub(super) const VERSION: &str = "gamekeeper.dev/engine-version";
const SPEC_HASH: &str = "gamekeeper.dev/spec-hash";
/// The declared inputs it was made from, as JSON: what a lost record is made of again.
pub(super) const INPUTS: &str = "gamekeeper.dev/inputs";

/// The name of a game's container.
pub(super) fn container_name(game: GameId) -> String {
    format!("gamekeeper-{game}")
}

/// The name under which a game's container is known on its network.
pub(super) fn host_name(game: GameId) -> String {
    format!("game-{game}")
}

/// The labels of a new container.
pub(super) fn of(new: &NewContainer, instance: InstanceId) -> HashMap<String, String> {
    [
        (INSTANCE, instance.to_string()),
        (GAME, new.game.to_string()),
        (NAME, new.name.to_string()),
        (VERSION, new.engine_version.clone()),
        (SPEC_HASH, new.spec_hash.clone()),
        (INPUTS, new.inputs.clone()),
        (EPOCH, new.epoch.0.to_string()),
        (PORT, new.port.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// A label's text, empty if it has none.
pub(super) fn text(labels: Option<&HashMap<String, String>>, key: &str) -> String {
    labels.and_then(|labels| labels.get(key)).cloned().unwrap_or_default()
}

/// Whose a container with these labels is.
pub(super) fn owner(labels: Option<&HashMap<String, String>>, instance: InstanceId) -> Owner {
    let of_instance = |labels: &&HashMap<String, String>| {
        labels.get(INSTANCE).is_some_and(|value| *value == instance.to_string())
    };
    labels
        .filter(of_instance)
        .and_then(|labels| labels.get(GAME)?.parse().ok())
        .map_or(Owner::Foreign, Owner::Game)
}
