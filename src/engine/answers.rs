//! What engines are told and what they answer, as JSON.

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::game::engine::{Answer, EnginePlayer, EngineState};
use crate::game::spec::Contract;
use crate::game::{GameId, RaceName};

use super::Target;

/// Enough of a refusal to understand it.
const SHOWN: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    game_id: Option<String>,
    turn: i64,
    #[serde(default)]
    generating: bool,
    #[serde(default)]
    finished: bool,
    #[serde(default)]
    players: Vec<Player>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Player {
    id: String,
    race_name: String,
    #[serde(default)]
    planets: i64,
    #[serde(default)]
    population: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Init<'a> {
    game_id: GameId,
    races: Vec<Race<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Race<'a> {
    race_name: &'a str,
}

pub(super) fn init_request(game: GameId, races: &[RaceName]) -> Bytes {
    let races = races.iter().map(|race| Race { race_name: race.as_str() }).collect();
    // Plain structs of text always serialise.
    serde_json::to_vec(&Init { game_id: game, races }).unwrap_or_default().into()
}

/// Whether this is the answer of somebody who does not know the token: no engine's "no", but a sign that it
/// is not the engine that was asked.
pub(super) fn is_of_another(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// The answer to a healthy engine's status request.
pub(super) fn status(target: &Target, status: StatusCode, body: &[u8]) -> Answer {
    if status == StatusCode::CONFLICT {
        return Answer::NotInitialised;
    }
    if is_of_another(status) {
        return Answer::WrongEngine(format!(
            "who answers at {} refuses the token of this game's engine ({status}): it is another process, or the engine has lost its token",
            target.endpoint
        ));
    }
    if status != StatusCode::OK {
        return Answer::Unhealthy(format!("its status answers {status}: {}", shorten(body)));
    }
    let state: State = match serde_json::from_slice(body) {
        Ok(state) => state,
        Err(error) => {
            return Answer::Unhealthy(format!(
                "its status is not what the contract says: {}",
                shorten(error.to_string().as_bytes())
            ));
        }
    };
    let game_id = state.game_id.as_deref().and_then(|text| text.parse::<GameId>().ok());
    match target.contract {
        Contract::GamekeeperV1 if game_id != Some(target.game) => {
            let who = state.game_id.unwrap_or_else(|| "nobody".to_owned());
            return Answer::WrongEngine(format!(
                "the engine at {} says it has game {}, not this one",
                target.endpoint,
                shorten(who.as_bytes())
            ));
        }
        Contract::GamekeeperV1 | Contract::PlainV0 => {}
    }
    if state.turn < 0 {
        return Answer::Unhealthy(format!("its status says turn {}", state.turn));
    }
    let players = state.players.into_iter().map(|player| EnginePlayer {
        id: player.id,
        race_name: player.race_name,
        planets: player.planets,
        population: player.population,
    });
    Answer::Has(EngineState {
        game_id,
        turn: state.turn,
        generating: state.generating,
        finished: state.finished,
        players: players.collect(),
    })
}

pub(super) fn shorten(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(contract: Contract) -> Target {
        let game = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10".parse().unwrap();
        Target { game, endpoint: "127.0.0.1:1".into(), contract, token: None }
    }

    #[test]
    fn another_games_engine_is_not_believed() {
        let other = br#"{"gameId":"00000000-58a7-4d7e-9a0b-0a2f5f3c7f10","turn":3}"#;
        assert!(matches!(
            status(&target(Contract::GamekeeperV1), StatusCode::OK, other),
            Answer::WrongEngine(_)
        ));
        let nobody = br#"{"turn":3}"#;
        assert!(matches!(
            status(&target(Contract::GamekeeperV1), StatusCode::OK, nobody),
            Answer::WrongEngine(_)
        ));
        assert!(matches!(status(&target(Contract::PlainV0), StatusCode::OK, nobody), Answer::Has(_)));
    }

    #[test]
    fn unknown_fields_are_ignored_and_nonsense_is_unhealthy() {
        let v1 = target(Contract::GamekeeperV1);
        let state = br#"{"gameId":"6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10","turn":3,"mood":"good","players":[{"id":"x","raceName":"T"}]}"#;
        let Answer::Has(state) = status(&v1, StatusCode::OK, state) else { panic!("not understood") };
        assert_eq!((state.turn, state.players.len()), (3, 1));
        for (code, body) in [(200, &b"[]"[..]), (200, b"{\"turn\":-1}"), (500, b"oops"), (302, b"")] {
            let code = StatusCode::from_u16(code).unwrap();
            let answer = status(&v1, code, body);
            assert!(matches!(answer, Answer::Unhealthy(_) | Answer::WrongEngine(_)), "{code} {answer:?}");
        }
        assert_eq!(status(&v1, StatusCode::CONFLICT, b""), Answer::NotInitialised);
        // Who does not know the token is somebody else: it says nothing of the engine that was meant.
        for code in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
            assert!(matches!(status(&v1, code, b"no"), Answer::WrongEngine(_)), "{code}");
        }
    }
}
