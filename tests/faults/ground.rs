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

/// What the game's events said, oldest first: `Reason: message`.
pub(crate) async fn told(world: &World, game: &str) -> Vec<String> {
    let query =
        format!("SELECT reason || ': ' || message FROM events WHERE uid = '{game}' ORDER BY event_id");
    world.rows(&query).await.iter().map(|row| sea_orm::sqlx::Row::get(row, 0)).collect()
}
