//! The game itself, pure: the same game, races and turn always give the same planets and populations.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The state as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Game {
    pub(crate) game_id: String,
    pub(crate) turn: u64,
    pub(crate) finished: bool,
    pub(crate) players: Vec<Player>,
}

/// One race.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Player {
    pub(crate) id: Uuid,
    pub(crate) race_name: String,
    pub(crate) planets: u64,
    pub(crate) population: u64,
}

impl Game {
    /// Turn 0.
    pub(crate) fn new(game_id: &str, races: &[String]) -> Game {
        let players = races
            .iter()
            .map(|race| Player {
                id: player_id(game_id, race),
                race_name: race.clone(),
                planets: 1,
                population: 1000 + chance(game_id, race, 0) % 100,
            })
            .collect();
        Game { game_id: game_id.into(), turn: 0, finished: false, players }
    }

    /// The next turn; the game is finished when that is `finish_at` or later.
    pub(crate) fn next(&self, finish_at: Option<u64>) -> Game {
        let turn = self.turn + 1;
        let mut next = self.clone();
        next.turn = turn;
        next.finished = finish_at.is_some_and(|last| turn >= last);
        for player in &mut next.players {
            let luck = chance(&self.game_id, &player.race_name, turn);
            // Losses too, so that "the highest so far" is not always "now".
            match luck % 8 {
                0 => player.planets = player.planets.saturating_sub(1).max(1),
                1..=3 => player.planets = player.planets.saturating_add(1),
                _ => {}
            }
            let percent = 97 + (luck >> 8) % 12;
            player.population =
                (player.population.saturating_mul(percent) / 100).saturating_add(player.planets * 10);
        }
        next
    }
}

/// Of the engine's own making: not what a controller would derive from a user's id.
pub(crate) fn player_id(game_id: &str, race: &str) -> Uuid {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:gamekeeper:reference-engine");
    Uuid::new_v5(&namespace, format!("{game_id}/{race}").as_bytes())
}

/// FNV-1a: stable across releases, which `std`'s hasher is not.
fn chance(game_id: &str, race: &str, turn: u64) -> u64 {
    let bytes = game_id.bytes().chain(*b"/").chain(race.bytes()).chain(turn.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(turns: u64) -> Game {
        (0..turns).fold(Game::new("g", &["Terrans".into(), "Zerg".into()]), |game, _| game.next(None))
    }

    #[test]
    fn the_same_game_evolves_the_same_way() {
        assert_eq!(played(50), played(50));
        assert_eq!(played(50).turn, 50);
        assert_eq!(played(50).players[0].id, played(0).players[0].id);
    }

    #[test]
    fn races_differ_and_nobody_dies_out() {
        let game = played(500);
        assert_ne!(game.players[0].population, game.players[1].population);
        assert_ne!(game.players[0].id, game.players[1].id);
        assert!(game.players.iter().all(|p| p.planets > 0 && p.population > 0));
    }

    #[test]
    fn it_finishes_at_the_turn_told() {
        assert!(!played(3).next(Some(5)).finished);
        assert!(played(4).next(Some(5)).finished);
    }
}
