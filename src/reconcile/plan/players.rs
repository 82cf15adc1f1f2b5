//! Who is which player of the engine, how each does, and what of the engine's answers is kept.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::game::ConditionType as C;
use crate::game::engine::{EnginePlayer, EngineState};
use crate::game::player::{Health, Mapping, Report, Standing, derived_id};
use crate::game::record::Life;
use crate::game::spec::Contract;
use crate::game::{Member, UserId};
use crate::reconcile::backoff::after;

use super::Round;

/// So many names are listed; there may be hundreds.
const LISTED: usize = 8;

impl Round<'_> {
    /// Everybody who plays has a player before there is an engine to ask, under a derived id.
    pub(super) fn mint_players(&mut self) {
        self.map_members(None);
    }

    /// Who does not play any more is refused from now on, whatever the engine is doing.
    pub(super) fn refuse_removed(&mut self) {
        if !self.desired.knows_members() {
            // Who plays cannot be told from it.
            return;
        }
        let members = by_user(&self.desired.members);
        for player in &mut self.record.players {
            player.active &= members.get(&player.user_id) == Some(&player.race_name.as_str());
        }
    }

    /// What the engine says of its players: its ids win, and the best so far is kept.
    pub(super) fn take_in_players(&mut self, state: &EngineState) {
        if state.players.is_empty() && self.speaks() == Some(Contract::PlainV0) {
            self.map_members(None);
            return self.truths.unknown(C::PlayersInSync, "NotReported", "The engine names no players.");
        }
        self.map_members(Some(&state.players));
        self.take_in_standings(state);
        self.state_players(&state.players);
    }

    fn speaks(&self) -> Option<Contract> {
        self.record.applied.as_ref().map(|applied| applied.contract)
    }

    /// Each member as a player: with the engine's id of the race; where the engine has been asked and
    /// has none, not at all. Who was removed stays, and is refused.
    fn map_members(&mut self, reported: Option<&[EnginePlayer]>) {
        if !self.desired.knows_members() {
            return;
        }
        self.refuse_removed();
        let known = std::mem::take(&mut self.record.players);
        let mut players: HashMap<UserId, Mapping> = known
            .iter()
            .filter(|player| !player.active)
            .map(|player| (player.user_id, player.clone()))
            .collect();
        let active: HashMap<UserId, &Mapping> =
            known.iter().filter(|player| player.active).map(|player| (player.user_id, player)).collect();
        let reported = reported.map(by_race);
        for member in &self.desired.members {
            let of_race = reported.as_ref().and_then(|all| all.get(member.race_name.as_str()));
            if reported.is_some() && of_race.is_none() {
                continue;
            }
            let kept = active.get(&member.user_id).filter(|player| player.race_name == member.race_name);
            let own = of_race.and_then(|player| uuid::Uuid::try_parse(player.id.as_str()).ok());
            let engine_id = own
                .or(kept.map(|player| player.engine_id))
                .unwrap_or_else(|| derived_id(self.desired.id, member.user_id));
            let race_name = member.race_name.clone();
            let player = Mapping { user_id: member.user_id, race_name, engine_id, active: true };
            players.insert(member.user_id, player);
        }
        let mut players: Vec<Mapping> = players.into_values().collect();
        players.sort_by_key(|player| player.user_id);
        self.record.players = players;
    }

    fn take_in_standings(&mut self, state: &EngineState) {
        let timeline = self.record.timeline;
        let reported = by_race(&state.players);
        let mut standings: HashMap<UserId, Standing> =
            self.record.standings.drain(..).map(|known| (known.user_id, known)).collect();
        for player in self.record.players.iter().filter(|player| player.active) {
            let Some(said) = reported.get(player.race_name.as_str()) else { continue };
            let (planets, population) = (said.planets.max(0), said.population.max(0));
            let known = standings.get(&player.user_id);
            // The best of another timeline, or of another race, is none of this one.
            let best = known
                .filter(|known| known.timeline == timeline && known.race_name == player.race_name)
                .map_or((0, 0), |known| (known.most_planets, known.most_population));
            let now = Standing {
                user_id: player.user_id,
                race_name: player.race_name.clone(),
                timeline,
                turn: state.turn,
                planets,
                population,
                most_planets: best.0.max(planets),
                most_population: best.1.max(population),
            };
            standings.insert(player.user_id, now);
        }
        self.record.standings = standings.into_values().collect();
        self.record.standings.sort_by_key(|standing| standing.user_id);
    }

    /// Whether the engine's players are the game's members.
    fn state_players(&mut self, reported: &[EnginePlayer]) {
        if !self.desired.knows_members() {
            return self.truths.unknown(
                C::PlayersInSync,
                "SpecInvalid",
                "The members cannot be told from the spec.",
            );
        }
        let wanted = self.desired.members.iter().map(|member| member.race_name.as_str());
        let there = reported.iter().map(|player| player.race_name.as_str());
        let (of_members, of_players): (HashSet<&str>, HashSet<&str>) =
            (wanted.clone().collect(), there.clone().collect());
        let lacks = wanted.filter(|race| !of_players.contains(race));
        let idle = there.filter(|race| !of_members.contains(race));
        let mut differences = Vec::new();
        differences.extend(list("the engine has no player for", lacks));
        differences.extend(list("nobody plays", idle));
        if differences.is_empty() {
            self.truths.holds(C::PlayersInSync, "InSync", "The engine's players are the game's members.");
        } else {
            let message =
                format!("The engine's players are not the game's members: {}.", differences.join("; "));
            self.truths.fails(C::PlayersInSync, "PlayersDiffer", message);
        }
    }

    /// Keeps what the engine says if it is new, and now and then even if it is not.
    pub(super) fn keep_report(&mut self, at: Timestamp, life: &Life, state: &EngineState) {
        let said = |record: &crate::game::record::Record| {
            (record.current_turn, record.finished_at.is_some(), record.engine_health.clone())
        };
        let moved = self.record.standings != self.was.standings;
        // How very many do may move with each look; that is told now and then.
        let news = said(&self.record) != said(self.was)
            || self.record.reported_at.is_none()
            || (moved && (state.players.len() <= FEW || self.report_is_due(at)));
        self.report(at, life, Health::Healthy, Some(state), None, news);
    }

    /// Keeps that the engine is not healthy any more.
    pub(super) fn keep_illness(&mut self, at: Timestamp, life: &Life, why: &str) {
        let news = self.was.engine_health.as_deref() == Some(Health::Healthy.as_row());
        self.report(at, life, Health::Unhealthy, None, Some(why), news);
    }

    fn report_is_due(&self, at: Timestamp) -> bool {
        let last = self.record.reported_at;
        // A time in the future is from before a clock jumped back.
        last.is_none_or(|last| last > self.now || at >= after(last, self.policy.report_interval))
    }

    fn report(
        &mut self,
        at: Timestamp,
        life: &Life,
        health: Health,
        state: Option<&EngineState>,
        error: Option<&str>,
        news: bool,
    ) {
        if !news && !self.report_is_due(at) {
            return;
        }
        self.record.reported_at = Some(at);
        self.plan.report = Some(Report {
            at,
            container: life.container.clone(),
            health,
            state: state.cloned(),
            error: error.map(str::to_owned),
            news,
        });
    }
}

/// So many players are reported as they move.
const FEW: usize = 200;

/// The race of each member.
fn by_user(members: &[Member]) -> HashMap<UserId, &str> {
    members.iter().map(|member| (member.user_id, member.race_name.as_str())).collect()
}

/// The engine's player of each race; of two of the same race the first.
fn by_race(players: &[EnginePlayer]) -> HashMap<&str, &EnginePlayer> {
    players.iter().rev().map(|player| (player.race_name.as_str(), player)).collect()
}

/// `what A, B, C and 4 more`; nothing if there are none.
fn list<'n>(what: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let names: Vec<_> = names.collect();
    let more = names.len().saturating_sub(LISTED);
    let shown = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
    match (names.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(format!("{what} {shown}")),
        (false, more) => Some(format!("{what} {shown} and {more} more")),
    }
}
