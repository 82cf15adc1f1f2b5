//! What these tests have in common: a controller behind a meddler, and questions about the end.

use serde_json::Value;
use uuid::Uuid;

use crate::meddler::{Counts, Meddler};
use crate::world::{World, docker};

/// Nothing was done.
pub(crate) const NOTHING: Counts = Counts { networks: 0, creates: 0, starts: 0, stops: 0, removes: 0 };

/// A start needs no more than this, where the network is there.
pub(crate) const ONE_START: Counts = Counts { creates: 1, starts: 1, ..NOTHING };

/// A controller behind a meddler, with an engine version registered.
pub(crate) async fn behind(meddler: &Meddler, more: &[&str]) -> World {
    let mut world = World::new().with(&["--docker-host", &meddler.host()]).with(more);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    world
}

/// A game whose engines misbehave from the first.
pub(crate) async fn misbehaving(world: &World, name: &str, how: &Value) -> String {
    let game = Uuid::new_v4().to_string();
    world.misbehave(&game, how);
    world.game_with_id(&game, name, "1.4.2").await;
    game
}

/// The ids of every container that says it is this game's, in whatever state.
pub(crate) fn containers(game: &str) -> Vec<String> {
    let label = format!("label=gamekeeper.dev/game-id={game}");
    let listed = docker(&["ps", "-aq", "--no-trunc", "--filter", &label]);
    assert_eq!(listed.code, 0, "{listed:?}");
    listed.stdout.split_whitespace().map(str::to_owned).collect()
}

/// The controller is killed as it stands, the rules are forgotten, and the next one begins.
pub(crate) fn kill_and_start_again(world: &mut World, meddler: &Meddler) {
    world.kill_keeper();
    meddler.clear();
    world.start();
}

/// Sets what a person or a lobby wants of a game.
pub(crate) async fn want(world: &World, game: &str, status: &str) {
    world.sql(&format!("UPDATE games SET desired_status = '{status}' WHERE game_id = '{game}'")).await;
}

/// Waits until the game's events tell of this; gives what was said. The status itself may have moved
/// on before anybody looks.
pub(crate) async fn told(world: &World, game: &str, reason: &str) -> String {
    let query = format!("SELECT message FROM events WHERE uid = '{game}' AND reason = '{reason}'");
    let mut message = None;
    world
        .eventually(&format!("an event {reason}"), async || {
            message = world.rows(&query).await.first().map(|row| row.get(0));
            message.is_some()
        })
        .await;
    message.unwrap()
}

/// A container that somebody else made, removed at the end.
pub(crate) struct Foreign(pub(crate) String);

impl Foreign {
    /// Made under this name, and running.
    pub(crate) fn running(name: &str) -> Self {
        let environment = ["-e", "GAME_ID=x", "-e", "GAME_STATE_PATH=/tmp/x"];
        let mut arguments = vec!["run", "-d", "--name", name];
        arguments.extend(environment);
        arguments.push("gamekeeper/reference-engine:1.4.1");
        let made = docker(&arguments);
        assert_eq!(made.code, 0, "{made:?}");
        Self(made.stdout.trim().to_owned())
    }

    /// Its state and life: the same as long as nobody touches it.
    pub(crate) fn life(&self) -> String {
        docker(&["inspect", "-f", "{{.Id}} {{.State.Status}} {{.State.StartedAt}}", &self.0]).stdout
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0]);
    }
}
