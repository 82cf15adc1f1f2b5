//! Each call.

use std::collections::HashSet;
use std::thread::sleep;
use std::time::Duration;

use serde::Deserialize;

use super::view;
use crate::burden;
use crate::config::Contract;
use crate::engine::{Engine, Refusal};
use crate::http::{Answer, Request};
use crate::knobs::{Knobs, Moment};
use crate::log::say;

const MAX_RACES: usize = 256;
const MAX_RACE_NAME: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Init {
    game_id: Option<String>,
    races: Vec<Race>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Race {
    race_name: String,
}

pub(super) fn health(knobs: &Knobs) -> Answer {
    if knobs.hang_health {
        return Answer::silence();
    }
    if knobs.never_healthy {
        return Answer::text(503, "not ready, as told\n");
    }
    Answer::text(200, "ok\n")
}

pub(super) fn status(engine: &Engine, knobs: &Knobs) -> Answer {
    if knobs.hang_status {
        return Answer::silence();
    }
    sleep(Duration::from_millis(knobs.slow_status_ms));
    if knobs.status500 {
        return Answer::error(500, "internal", "as told");
    }
    if knobs.endless_status {
        return Answer::endless();
    }
    if knobs.garbage_status {
        return Answer::text(200, "<html>It works!</html>");
    }
    if let Some(location) = &knobs.redirect_status {
        return Answer::text(302, "").with("location", location.clone());
    }
    let answer = match engine.status() {
        _ if knobs.deny_game => refuse(Refusal::NotInitialised),
        Ok((game, generating)) => view::state(engine, &game, generating, knobs),
        Err(refusal) => refuse(refusal),
    };
    match knobs.drip_status_ms {
        Some(ms) => answer.dripped(Duration::from_millis(ms)),
        None => answer,
    }
}

pub(super) fn init(engine: &Engine, request: &Request, knobs: &Knobs) -> Answer {
    // Before the body is looked at: a second init is a conflict whatever it says.
    if engine.status().is_ok() {
        return refuse(Refusal::AlreadyInitialised);
    }
    let races = match races(engine, request) {
        Ok(races) => races,
        Err(problem) => return Answer::error(400, "invalid", &problem),
    };
    if matches!(knobs.fail_init, Some(Moment::Before | Moment::During)) {
        return Answer::error(500, "internal", "as told, without effect");
    }
    match engine.init(&races, knobs) {
        Ok(_) if knobs.fail_init.is_some() => Answer::error(500, "internal", "as told, with effect"),
        Ok(game) => view::state(engine, &game, false, knobs),
        Err(refusal) => refuse(refusal),
    }
}

fn races(engine: &Engine, request: &Request) -> Result<Vec<String>, String> {
    let init: Init = serde_json::from_slice(&request.body).map_err(|problem| problem.to_string())?;
    if engine.config.contract == Contract::V1
        && init.game_id.as_deref() != Some(engine.config.game_id.as_str())
    {
        return Err(format!("gameId must be {}", engine.config.game_id));
    }
    let races: Vec<String> = init.races.into_iter().map(|race| race.race_name).collect();
    if races.is_empty() || races.len() > MAX_RACES {
        return Err(format!("between 1 and {MAX_RACES} races"));
    }
    if races.iter().any(|race| race.trim().is_empty() || race.chars().count() > MAX_RACE_NAME) {
        return Err(format!("a race name has 1 to {MAX_RACE_NAME} characters"));
    }
    if races.iter().collect::<HashSet<_>>().len() < races.len() {
        return Err("two races have the same name".into());
    }
    Ok(races)
}

pub(super) fn turn(engine: &Engine, request: &Request, knobs: &Knobs) -> Answer {
    let expected = match (engine.config.contract, request.header("if-match")) {
        (Contract::V0, _) => None,
        (Contract::V1, None) => {
            return Answer::error(428, "precondition", "If-Match with the current turn is required");
        }
        (Contract::V1, Some(tag)) => match turn_of(tag) {
            Some(turn) => Some(turn),
            None => return Answer::error(400, "precondition", "If-Match is not a turn in double quotes"),
        },
    };
    let unlucky = knobs.fail_turn.filter(|_| engine.knobs.take_turn("fail-turn", knobs.fail_turn_times));
    if matches!(unlucky, Some(Moment::Before | Moment::During)) {
        return Answer::error(500, "internal", "as told, without effect");
    }
    match engine.advance(expected, knobs) {
        Ok(_) if knobs.drop_turn_answer => Answer::dropped(),
        Ok(_) if unlucky.is_some() => Answer::error(500, "internal", "as told, with effect"),
        Ok(game) => view::state(engine, &game, false, knobs),
        Err(refusal) => refuse(refusal),
    }
}

fn turn_of(tag: &str) -> Option<u64> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

pub(super) fn misbehave(engine: &Engine, request: &Request) -> Answer {
    match request.method.as_str() {
        "PUT" => match serde_json::from_slice::<Knobs>(&request.body) {
            Ok(knobs) => engine.knobs.tell(Some(knobs)),
            Err(problem) => return Answer::error(400, "invalid", &problem.to_string()),
        },
        "DELETE" => engine.knobs.tell(None),
        _ => {}
    }
    let knobs = engine.knobs.current();
    burden::carry(engine, &knobs);
    match serde_json::to_value(&knobs) {
        Ok(value) => Answer::json(200, &value),
        Err(problem) => Answer::error(500, "internal", &problem.to_string()),
    }
}

fn refuse(refusal: Refusal) -> Answer {
    match refusal {
        Refusal::NotInitialised => Answer::error(409, "notInitialised", "there is no game yet"),
        Refusal::AlreadyInitialised => Answer::error(409, "alreadyInitialised", "there is a game already"),
        Refusal::Generating => Answer::error(409, "generating", "a turn is being generated"),
        Refusal::Finished => Answer::error(409, "finished", "the game is finished"),
        Refusal::NotAt(turn) => Answer::error(412, "notAtTurn", &format!("the game is at turn {turn}")),
        Refusal::Failed(problem) => {
            say!("failed: {problem}");
            Answer::error(500, "internal", &problem.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::turn_of;

    #[test]
    fn an_entity_tag_is_a_turn_in_quotes() {
        assert_eq!(turn_of("\"12\""), Some(12));
        for wrong in ["12", "\"\"", "\"-1\"", "\"+1\"", "W/\"1\"", "*", "\"1", "\"99999999999999999999\""] {
            assert_eq!(turn_of(wrong), None, "{wrong}");
        }
    }
}
