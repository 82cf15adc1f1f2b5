//! What engines are told and what they answer, as JSON.

use bytes::Bytes;
use http::StatusCode;
use serde::de::{Deserializer, Error, Unexpected};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::game::engine::{Answer, EnginePlayer, EngineState, HIGHEST_COUNT, HIGHEST_TURN, MOST_PLAYERS};
use crate::game::spec::Contract;
use crate::game::{GameId, RaceName, Text};

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
    planets: Count,
    #[serde(default)]
    population: Count,
}

/// A statistic of a player. However large it is said to be, it is no reason to believe nothing of the
/// rest: beyond [`HIGHEST_COUNT`] it counts as that, and no turn waits for it. `null` is said of what is not
/// known, and counts as nothing.
#[derive(Debug, Clone, Copy, Default)]
struct Count(i64);

impl<'de> Deserialize<'de> for Count {
    /// Reads the digits themselves: a number that no `f64` can hold is none to `serde_json::Number`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let said = <&RawValue>::deserialize(deserializer)?.get();
        if said == "null" {
            return Ok(Self::default());
        }
        if !said.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Err(D::Error::invalid_type(Unexpected::Other("something else"), &"a number"));
        }
        // A number that is no `i64` is larger than one or has a fraction. The largest float is infinite, and
        // a cast ends at the bounds.
        let count = said.parse::<i64>().ok().or_else(|| said.parse::<f64>().ok().map(|float| float as i64));
        // Less than nothing is nothing, as ever.
        Ok(Self(count.unwrap_or(HIGHEST_COUNT).clamp(0, HIGHEST_COUNT)))
    }
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
            return Answer::NotUnderstood(format!(
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
    match within_bounds(state, game_id) {
        Ok(state) => Answer::Has(state),
        Err(why) => Answer::NotUnderstood(format!("its status cannot be right: {why}")),
    }
}

/// What the engine says, if all of it may be so. Whatever is kept or shown of it later has passed here.
fn within_bounds(state: State, game_id: Option<GameId>) -> Result<EngineState, String> {
    if !(0..=HIGHEST_TURN).contains(&state.turn) {
        return Err(format!("turn {} is not within 0 and {HIGHEST_TURN}", state.turn));
    }
    if state.players.len() > MOST_PLAYERS {
        return Err(format!("{} players are more than {MOST_PLAYERS}", state.players.len()));
    }
    let players = state.players.iter().enumerate();
    let players =
        players.map(|(at, player)| this_player(player).map_err(|why| format!("players[{at}]: {why}")));
    Ok(EngineState {
        game_id,
        turn: state.turn,
        generating: state.generating,
        finished: state.finished,
        players: players.collect::<Result<_, _>>()?,
    })
}

fn this_player(player: &Player) -> Result<EnginePlayer, String> {
    Ok(EnginePlayer {
        id: bounded("id", &player.id)?,
        race_name: bounded("raceName", &player.race_name)?,
        planets: player.planets.0,
        population: player.population.0,
    })
}

fn bounded<const MAX: usize>(what: &str, text: &str) -> Result<Text<MAX>, String> {
    text.parse::<Text<MAX>>().map_err(|why| format!("its {what} {why}"))
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
    fn unknown_fields_are_ignored_and_nonsense_is_not_believed() {
        let v1 = target(Contract::GamekeeperV1);
        let state = br#"{"gameId":"6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10","turn":3,"mood":"good","players":[{"id":"x","raceName":"T"}]}"#;
        let Answer::Has(state) = status(&v1, StatusCode::OK, state) else { panic!("not understood") };
        assert_eq!((state.turn, state.players.len()), (3, 1));
        for (code, body) in [(200, &b"[]"[..]), (200, b"{\"turn\":-1}"), (500, b"oops"), (302, b"")] {
            let code = StatusCode::from_u16(code).unwrap();
            let answer = status(&v1, code, body);
            let believed = matches!(answer, Answer::Has(_) | Answer::NotInitialised);
            assert!(!believed, "{code} {answer:?}");
        }
        assert_eq!(status(&v1, StatusCode::CONFLICT, b""), Answer::NotInitialised);
        // Who does not know the token is somebody else: it says nothing of the engine that was meant.
        for code in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
            assert!(matches!(status(&v1, code, b"no"), Answer::WrongEngine(_)), "{code}");
        }
    }

    #[test]
    fn what_is_beyond_all_bounds_is_not_understood_and_says_what() {
        let state = |turn: &str, player: &str, players: usize| {
            let players = vec![player; players].join(",");
            format!(
                r#"{{"gameId":"6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10","turn":{turn},"players":[{players}]}}"#
            )
        };
        let player = |id: &str, race: &str, planets: &str| {
            format!(r#"{{"id":"{id}","raceName":"{race}","planets":{planets},"population":1}}"#)
        };
        let good = player("x", "T", "1");
        let beyond = [
            (state("9223372036854775807", &good, 1), "turn 9223372036854775807"),
            (state("2147483648", &good, 1), "turn 2147483648"),
            (state("-1", &good, 1), "turn -1"),
            (state("99999999999999999999", &good, 1), "not what the contract says"),
            (state("1.5", &good, 1), "not what the contract says"),
            (
                state("1", &player("x", "a\\u0000b", "1"), 1),
                "players[0]: its raceName has the control character U+0000",
            ),
            (
                state("1", &player("\\u0000", "T", "1"), 1),
                "players[0]: its id has the control character U+0000",
            ),
            (state("1", &player("x", "\\u001b[2J", "1"), 1), "its raceName has the control character U+001B"),
            (state("1", &player("x", &"y".repeat(65), "1"), 2), "its raceName has more than 64 characters"),
            (state("1", &player(&"y".repeat(129), "T", "1"), 1), "its id has more than 128 characters"),
            (state("1", &player("x", "T", "\"many\""), 1), "not what the contract says"),
            (state("1", &player("x", "T", "[1]"), 1), "not what the contract says"),
            (state("1", &player("x", "T", "true"), 1), "not what the contract says"),
            (state("1", &player("x", "T", "1e"), 1), "not what the contract says"),
            (state("1", &good, 10_001), "10001 players"),
        ];
        for (body, why) in beyond {
            let answer = status(&target(Contract::GamekeeperV1), StatusCode::OK, body.as_bytes());
            let Answer::NotUnderstood(said) = answer else { panic!("{why}: {answer:?}") };
            assert!(said.contains(why) && said.len() < 400, "{said}");
        }
        for body in [state("2147483647", &good, 10_000), state("0", &player("", "", "-1"), 1)] {
            let answer = status(&target(Contract::GamekeeperV1), StatusCode::OK, body.as_bytes());
            assert!(matches!(answer, Answer::Has(_)), "{answer:?}");
        }
    }

    #[test]
    fn a_statistic_beyond_its_bound_counts_as_the_bound() {
        let digits = "9".repeat(400);
        let counted = [
            ("-1", 0),
            ("-9999999999999999999999", 0),
            ("2.9", 2),
            ("9007199254740991", HIGHEST_COUNT),
            ("9007199254740992", HIGHEST_COUNT),
            ("9223372036854775808", HIGHEST_COUNT),
            ("99999999999999999999", HIGHEST_COUNT),
            ("1e300", HIGHEST_COUNT),
            ("1e400", HIGHEST_COUNT),
            ("-1e400", 0),
            ("1e-400", 0),
            (digits.as_str(), HIGHEST_COUNT),
            ("null", 0),
        ];
        for (said, counts) in counted {
            let body = format!(
                r#"{{"gameId":"6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10","turn":1,
                    "players":[{{"id":"x","raceName":"T","planets":{said},"population":{said}}}]}}"#
            );
            let answer = status(&target(Contract::GamekeeperV1), StatusCode::OK, body.as_bytes());
            let Answer::Has(state) = answer else { panic!("{said}: {answer:?}") };
            let player = &state.players[0];
            assert_eq!((player.planets, player.population), (counts, counts), "{said}");
        }
    }
}
