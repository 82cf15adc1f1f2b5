//! Players and reports: what of the engine's answers is kept, and what is not kept twice.

use std::time::Duration;

use uuid::Uuid;

use crate::game::player::Health;
use crate::game::spec::DesiredStatus;
use crate::game::{ConditionStatus, ConditionType, Member, UserId};

use super::world::{Engines, World};

fn member(user: u128, race: &str) -> Member {
    Member { user_id: UserId(Uuid::from_u128(user)), race_name: race.parse().unwrap() }
}

fn running() -> World {
    let mut world = World::new();
    world.converge();
    world
}

/// Planets now and at best, of the first user.
fn planets(world: &World) -> (i64, i64) {
    let standing = &world.record.standings[0];
    (standing.planets, standing.most_planets)
}

fn probe(world: &mut World) -> Option<crate::game::player::Report> {
    world.now = crate::reconcile::backoff::after(world.now, Duration::from_secs(15));
    let asks = world.round();
    assert!(asks.report.is_none());
    world.round().report
}

#[test]
fn players_are_minted_before_there_is_an_engine_and_dropped_with_it() {
    let mut world = World::new();
    let minted = loop {
        let planned = world.round();
        if !planned.record.players.is_empty() {
            break planned.record.players;
        }
    };
    let again = {
        let mut world = World::new();
        world.converge();
        world.record.players.clone()
    };
    assert_eq!(minted[0].engine_id, crate::game::player::derived_id(super::world::GAME, minted[0].user_id));
    world.converge();
    assert_eq!(world.record.players, again);
    // This world's engines call their players by the users' ids.
    assert_eq!(world.record.players[0].engine_id, Uuid::from_u128(1));
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.converge();
    assert_eq!(world.record.players, []);
    assert_eq!(world.record.standings.len(), 1, "how they did outlives it");
}

#[test]
fn who_was_removed_is_refused_even_while_the_engine_is_silent() {
    let mut world = running();
    world.engines = Engines::NeverHealthy;
    world.later(Duration::from_secs(15));
    world.change(|desired| desired.members = vec![member(2, "Terrans")]);
    let planned = world.round();
    assert_eq!(planned.record.players.iter().map(|p| p.active).collect::<Vec<_>>(), [false]);
    world.engines = Engines::Healthy;
    world.later(Duration::from_secs(15));
    let active: Vec<_> = world.record.players.iter().map(|p| (p.user_id.0.as_u128(), p.active)).collect();
    assert_eq!(active, [(1, false), (2, true)]);
}

#[test]
fn the_best_so_far_is_kept_and_is_of_one_timeline() {
    let mut world = running();
    world.planets = 7;
    world.turn = Some(1);
    probe(&mut world).expect("a new turn is told");
    world.planets = 3;
    world.turn = Some(2);
    probe(&mut world);
    assert_eq!(planets(&world), (3, 7));
    // Another history of the game: what was better in the old one is void.
    world.turn = Some(1);
    probe(&mut world);
    assert_eq!(world.record.reason, "TurnWentBack");
    assert_eq!(planets(&world), (3, 7), "nothing that it says is believed before a person accepts it");
    world.change(|desired| desired.requests.unblock += 1);
    world.converge();
    assert_eq!((planets(&world), world.record.timeline), ((3, 3), 2));
}

#[test]
fn what_says_the_same_again_is_kept_now_and_then_only() {
    let mut world = running();
    let kept: Vec<_> = (0..60).map(|_| probe(&mut world)).collect();
    let told: Vec<_> = kept.iter().flatten().map(|report| (report.health, report.news)).collect();
    // A quarter of an hour, in which nothing happened: three rows, nothing new.
    assert_eq!(told, [(Health::Healthy, false); 3]);
}

#[test]
fn an_engine_that_falls_ill_is_reported_once() {
    let mut world = running();
    world.engines = Engines::NeverHealthy;
    let mut told = Vec::new();
    for _ in 0..12 {
        told.extend(world.round().report);
        world.now = crate::reconcile::backoff::after(world.now, Duration::from_secs(2));
    }
    let told: Vec<_> = told.iter().map(|report| (report.health, report.news)).collect();
    assert_eq!(told, [(Health::Unhealthy, true)]);
}

#[test]
fn the_difference_between_members_and_players_is_bounded() {
    let mut world = running();
    world.silent_about_new_members = true;
    world.change(|desired| {
        desired.members.extend((10..200).map(|number| member(number, &format!("Race {number}"))));
    });
    world.later(Duration::from_secs(15));
    let found = |kind| world.record.conditions.iter().find(|known| known.kind == kind).unwrap();
    let in_sync = found(ConditionType::PlayersInSync);
    assert_eq!(in_sync.status, ConditionStatus::False);
    assert!(in_sync.message.ends_with("Race 17 and 182 more."), "{}", in_sync.message);
    assert_eq!(found(ConditionType::Ready).status, ConditionStatus::True);
    assert_eq!(world.record.players.len(), 1);
}
