//! Whatever keeps a game from going on: what it is asked for is done, refused, or kept in sight, and a
//! pause is acknowledged as soon as no turn is at work. And it holds no place that others wait for.

use std::time::Duration;

use proptest::prelude::*;

use crate::game::container::{Owner, StateDirectory};
use crate::game::manifest::{FaultySpec, SpecProblem};
use crate::game::record::{Contents, Unreadable};
use crate::game::settled::what_is_left;
use crate::game::spec::Requests;
use crate::game::turn::TurnState;
use crate::game::{ImageId, Phase};
use crate::reconcile::Policy;
use crate::reconcile::plan::{
    BACKUP_DAMAGED, BACKUP_GONE, DIRECTORY_IN_USE, PARTIAL_INIT, RECORD_REFUSED, not_recorded,
};

use super::requests::ask_for_everything;
use super::restores::cannot_go_back;
use super::turns::{HOUR, hourly};
use super::world::{Engines, Looks, Turns, World};

const A_WHILE: Duration = Duration::from_secs(301);

/// What keeps a game from going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stuck {
    ForeignContainer,
    StrangeContainer,
    StateGoneUnderEngine,
    StateGone,
    TurnWentBack,
    PartialInit,
    DirectoryInUse,
    PinnedImageGone,
    WayBackDamaged,
    WayBackGone,
    WayBackFails,
    Unreadable,
    NoMembers,
    CrashLoop,
    NeverHealthy,
    EngineEnded,
}

const ALL: [Stuck; 16] = [
    Stuck::ForeignContainer,
    Stuck::StrangeContainer,
    Stuck::StateGoneUnderEngine,
    Stuck::StateGone,
    Stuck::TurnWentBack,
    Stuck::PartialInit,
    Stuck::DirectoryInUse,
    Stuck::PinnedImageGone,
    Stuck::WayBackDamaged,
    Stuck::WayBackGone,
    Stuck::WayBackFails,
    Stuck::Unreadable,
    Stuck::NoMembers,
    Stuck::CrashLoop,
    Stuck::NeverHealthy,
    Stuck::EngineEnded,
];

/// A game that is so. `in_flight`: a turn was sent to its engine before.
fn stuck(how: Stuck, in_flight: bool) -> World {
    let mut world = match how {
        Stuck::WayBackDamaged => return cannot_go_back(BACKUP_DAMAGED).0,
        Stuck::WayBackGone => return cannot_go_back(BACKUP_GONE).0,
        Stuck::WayBackFails => {
            let mut world = cannot_go_back(BACKUP_GONE).0;
            world.fails_for_a_person = None;
            for _ in 0..4 {
                world.later(A_WHILE);
            }
            return world;
        }
        Stuck::NoMembers => {
            let mut world = World::new();
            let problems = vec![SpecProblem::new("spec.resources", "is wrong")];
            world.change(|desired| {
                desired.spec = Err(FaultySpec { problems, turns: None, knows_members: true });
            });
            world.converge();
            return world;
        }
        Stuck::PartialInit => {
            let mut world = World::new();
            world.init_fails = true;
            world.later(Duration::from_secs(1));
            world.contents = Contents::new("half a game");
            world.state_directory = StateDirectory::Present;
            for _ in 0..3 {
                world.looks = Looks::none();
                world.later(A_WHILE);
            }
            assert_eq!(world.record.reason, PARTIAL_INIT);
            return world;
        }
        _ => hourly(),
    };
    if in_flight {
        world.turns = Turns::Never;
        world.later(HOUR);
        let is_sent = |turn: &crate::game::turn::OpenTurn| matches!(turn.state, TurnState::Dispatched { .. });
        assert!(world.record.turn.as_ref().is_some_and(is_sent));
    }
    match how {
        Stuck::ForeignContainer => world.container.as_mut().unwrap().owner = Owner::Foreign,
        Stuck::StrangeContainer => world.container.as_mut().unwrap().image_id = ImageId::new("sha256:7"),
        Stuck::StateGoneUnderEngine => {
            world.state_directory = StateDirectory::Absent;
            world.looks = Looks::seeing(StateDirectory::Absent);
        }
        Stuck::StateGone => {
            world.state_directory = StateDirectory::Absent;
            world.kill(1);
        }
        Stuck::TurnWentBack => world.record.current_turn = Some(7),
        Stuck::DirectoryInUse => {
            world.kill(1);
            world.rival = Some(crate::game::container::Rival::Container("somebody-elses".to_owned()));
            (world.fails, world.fails_at) = (1_000, "start container");
            world.fails_for_a_person = Some(DIRECTORY_IN_USE);
        }
        Stuck::PinnedImageGone => {
            world.container = None;
            world.record.image_id = Some(ImageId::new("id of one that is gone"));
            world.newer_can_be_had = false;
        }
        Stuck::Unreadable => {
            world.record.unreadable = vec![Unreadable { column: "patch", why: "no JSON".into() }];
        }
        Stuck::CrashLoop => {
            world.engines = Engines::ExitAtStart;
            world.kill(1);
        }
        Stuck::NeverHealthy => {
            world.kill(1);
            world.engines = Engines::NeverHealthy;
        }
        Stuck::EngineEnded => {
            world.turns = Turns::AtOnce;
            world.finished = true;
            world.later(A_WHILE);
            world.kill(0);
        }
        Stuck::WayBackDamaged
        | Stuck::WayBackGone
        | Stuck::WayBackFails
        | Stuck::NoMembers
        | Stuck::PartialInit => {}
    }
    world
}

proptest! {
    #[test]
    fn whoever_is_stuck_answers_acknowledges_a_pause_and_holds_no_place(
        how in prop::sample::select(&ALL[..]),
        in_flight in any::<bool>(),
        pauses in any::<bool>(),
        waits in 0..4u32,
    ) {
        let mut world = stuck(how, in_flight);
        for _ in 0..waits {
            world.later(A_WHILE);
        }
        ask_for_everything(&mut world);
        // (To make the unreadable readable is a person's word of another kind, and some words cure.)
        world.desired.requests.unblock = world.record.observed_requests.unblock;
        world.change(|desired| desired.paused = pauses);
        for _ in 0..8 {
            world.later(A_WHILE);
        }
        let (asked, seen) = (world.desired.requests, world.record.observed_requests);
        let place = format!("{how:?} {:?} {}: {:?}", world.record.phase, world.record.reason, world.done);
        let heals = matches!(how, Stuck::CrashLoop | Stuck::NeverHealthy);
        if pauses || heals {
            // Kept until it is resumed, or an engine serves; and that it is kept is told.
            prop_assert_eq!(Requests { force_turn: asked.force_turn, ..seen }, asked, "{}", place);
            let left = what_is_left(&world.desired, &world.record);
            prop_assert_eq!(seen == asked, !left.iter().any(|what| what.contains("forced")), "{}", place);
        } else {
            prop_assert_eq!(seen, asked, "{}", place);
        }
        let over = world.record.finished_at.is_some();
        prop_assert_eq!(world.record.paused_at.is_some(), pauses, "{} {:?}", place, world.record.turn);
        prop_assert!(over || how != Stuck::EngineEnded);
        let planned = world.plan();
        prop_assert!(!planned.uses_start_slot && !planned.uses_disruption_place, "{}", place);
    }
}

#[test]
fn what_the_database_refuses_to_record_is_told_once_and_answers_what_is_asked_for() {
    let mut world = World::running();
    ask_for_everything(&mut world);
    world.change(|desired| desired.paused = true);
    let refused = |world: &World| {
        let observation = world.observation();
        not_recorded(&world.desired, &world.record, &observation, &Policy::default(), "no such number")
    };
    let planned = refused(&world);
    assert!(planned.steps.is_empty() && !planned.uses_start_slot && !planned.uses_disruption_place);
    assert_eq!((planned.record.phase, planned.record.reason.as_str()), (Phase::Blocked, RECORD_REFUSED));
    let seen = planned.record.observed_requests;
    assert_eq!(seen.unblock, 0, "a person's word counts once it can be taken up");
    assert_eq!(Requests { unblock: 1, ..seen }, world.desired.requests);
    assert!(planned.record.paused_at.is_some() && planned.event.is_some());
    assert_ne!(planned.record.observed_generation, world.desired.generation, "it was not looked at");
    world.record = planned.record;
    let again = refused(&world);
    assert!(again.operation.is_empty() && again.event.is_none() && again.ledger.is_empty());
    assert_eq!(again.record, world.record, "and is written once");
}
