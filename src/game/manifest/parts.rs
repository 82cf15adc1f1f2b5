//! The parts of a spec, each valid or not on its own: a mistake in one holds up what depends on it,
//! and nothing else.

use super::problem::SpecProblem;
use super::validate::{valid_members, valid_turns, validate_spec};
use super::wire::{GameSpecManifest, PlayerManifest};
use super::{GameColumns, ValidSpec};
use crate::game::spec::{GameSpec, Member, TurnSpec};

/// What is wrong with a spec, and what of it could be read all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultySpec {
    /// Everything that is wrong.
    pub problems: Vec<SpecProblem>,
    /// When turns happen, if nothing is wrong with that.
    pub turns: Option<TurnSpec>,
    /// Nothing is wrong with who plays.
    pub knows_members: bool,
}

impl From<Vec<SpecProblem>> for FaultySpec {
    /// Nothing of it could be read.
    fn from(problems: Vec<SpecProblem>) -> Self {
        Self { problems, turns: None, knows_members: false }
    }
}

/// What depends on a field, beside the engine itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// When turns happen.
    Turns,
    /// Who plays.
    Members,
    /// What the engine is built from, and everything else.
    Engine,
}

/// The part that a problem is one of, by the field's path or the column's name.
fn part_of(problem: &SpecProblem) -> Part {
    const TURNS: [&str; 5] = [
        "games.turn_schedule",
        "games.time_zone",
        "games.missed_turns",
        "games.turn_not_before",
        "games.force_mode",
    ];
    let field = problem.field.as_str();
    if field.starts_with("spec.turns") || TURNS.contains(&field) {
        Part::Turns
    } else if field.starts_with("spec.players") || field.starts_with("memberships.") {
        Part::Members
    } else {
        Part::Engine
    }
}

impl FaultySpec {
    /// The problems of when turns happen.
    pub fn turn_problems(&self) -> impl Iterator<Item = &SpecProblem> {
        self.problems.iter().filter(|problem| part_of(problem) == Part::Turns)
    }
}

impl GameColumns {
    /// The row's spec, validated, or what is wrong with it; and its active members, given as user ids
    /// and race names, as far as they can be read. `unreadable`: the columns that have a default here in
    /// the place of what nobody can read.
    pub fn read<'a>(
        &self,
        members: impl IntoIterator<Item = (&'a str, &'a str)>,
        unreadable: &[SpecProblem],
    ) -> (Result<GameSpec, FaultySpec>, Vec<Member>) {
        let player =
            |(user, race): (&str, &str)| PlayerManifest { user_id: user.into(), race_name: race.into() };
        let players: Vec<PlayerManifest> = members.into_iter().map(player).collect();
        let (spec, problems) = self.declared(players);
        let wrong = match validate_spec(&spec) {
            Ok(ValidSpec { game, members, .. }) if problems.is_empty() && unreadable.is_empty() => {
                return (Ok(game), members.unwrap_or_default());
            }
            Ok(_) => problems,
            Err(more) => problems.into_iter().chain(more).collect(),
        };
        let spoilt = |part: Part| unreadable.iter().chain(&wrong).any(|problem| part_of(problem) == part);
        // What these say was said above.
        let mut again = Vec::new();
        let turns = valid_turns(spec.turns.as_ref(), &mut again).filter(|_| !spoilt(Part::Turns));
        let knows_members = !spoilt(Part::Members);
        let players = spec.players.filter(|_| knows_members).unwrap_or_default();
        let members = valid_members(&players, &mut again);
        // A default in the place of what could not be read is no mistake of its own.
        let problems = if unreadable.is_empty() { wrong } else { unreadable.to_vec() };
        (Err(FaultySpec { problems, turns, knows_members }), members)
    }

    /// The raw spec without what only people read: how a game is called is no part of what its engine
    /// is or does.
    fn declared(&self, players: Vec<PlayerManifest>) -> (GameSpecManifest, Vec<SpecProblem>) {
        let (spec, problems) = self.to_spec();
        (GameSpecManifest { players: Some(players), display_name: None, ..spec }, problems)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const USER: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";

    fn row() -> GameColumns {
        GameColumns { turn_schedule: Some("0 18 * * *".into()), ..GameColumns::default() }
    }

    /// What is wrong, whether turns can be read, and how many members.
    fn read(row: &GameColumns, race: &str, unreadable: &[&str]) -> (Vec<String>, bool, usize) {
        let unreadable: Vec<_> =
            unreadable.iter().map(|column| SpecProblem::unreadable(*column, "not text")).collect();
        let (spec, members) = row.read([(USER, race)], &unreadable);
        match spec {
            Ok(_) => (Vec::new(), true, members.len()),
            Err(faulty) => {
                assert_eq!(faulty.knows_members, !members.is_empty());
                let fields = faulty.problems.into_iter().map(|problem| problem.field).collect();
                (fields, faulty.turns.is_some(), members.len())
            }
        }
    }

    #[test]
    fn a_mistake_spoils_its_own_part_and_no_other() {
        let lots = GameColumns { resources: Some(json!({ "cpu": "lots" })), ..row() };
        assert_eq!(read(&lots, "Terrans", &[]), (vec!["spec.resources.cpu".to_owned()], true, 1));
        let version = GameColumns { target_engine_version: Some("latest".into()), ..row() };
        assert_eq!(read(&version, "Terrans", &[]), (vec!["spec.engineVersion".to_owned()], true, 1));
        let zone = GameColumns { time_zone: "Mars/Olympus".into(), ..row() };
        assert_eq!(read(&zone, "Terrans", &[]), (vec!["spec.turns.timeZone".to_owned()], false, 1));
        assert_eq!(read(&row(), "", &[]), (vec!["spec.players[0].raceName".to_owned()], true, 0));
        let column = "games.resources";
        assert_eq!(read(&row(), "Terrans", &[column]), (vec![column.to_owned()], true, 1));
        let column = "games.turn_schedule";
        assert_eq!(read(&row(), "Terrans", &[column]), (vec![column.to_owned()], false, 1));
        let column = "memberships.race_name";
        assert_eq!(read(&row(), "?", &[column]), (vec![column.to_owned()], true, 0));
    }

    #[test]
    fn how_a_game_is_called_is_no_spec() {
        for name in ["two\nlines".to_owned(), "x".repeat(10_000), "\u{1b}[2J".to_owned()] {
            let row = GameColumns { display_name: Some(name), ..row() };
            assert_eq!(read(&row, "Terrans", &[]), (vec![], true, 1));
        }
    }
}
