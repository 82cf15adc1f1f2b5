//! Requests: each is done or refused in bounded time, whatever state the game is in, and none waits for
//! ever behind others.

use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;

use crate::game::operation::{Ending, OperationKind};
use crate::game::spec::{Deletion, DesiredStatus, ForceMode, Requests};
use crate::game::version::VersionWish;
use crate::game::{ImageRef, Phase};
use crate::reconcile::plan::{PARTIAL_INIT, Plan};

use super::properties::any_world;
use super::turns::hourly;
use super::world::World;

const A_WHILE: Duration = Duration::from_secs(301);

/// One more of everything.
pub(super) fn ask_for_everything(world: &mut World) {
    world.change(|desired| {
        let Requests { restart, force_turn, patch, restore, backup, unblock } = desired.requests;
        desired.requests = Requests {
            restart: restart + 1,
            force_turn: force_turn + 1,
            patch: patch + 1,
            restore: restore + 1,
            backup: backup + 1,
            unblock: unblock + 1,
        };
    });
}

/// Another version is wanted, by its number or as the newest that fits.
fn want_another_version(world: &mut World, by_requirement: bool) {
    world.change(|desired| {
        let version = desired.version.as_mut().unwrap();
        (version.version, version.image) = ("1.4.3".parse().unwrap(), ImageRef::new("engine:1.4.3"));
        let wish: VersionWish = if by_requirement { "~1.4" } else { "1.4.3" }.parse().unwrap();
        desired.spec.as_mut().unwrap().engine_version = Some(wish);
    });
}

/// What was refused, and why.
fn refused(planned: &Plan) -> Vec<(OperationKind, String)> {
    let told = planned.operation.at_once.iter().filter_map(|(new, ending)| match ending {
        Ending::Failed { message, .. } => Some((new.kind, message.clone())),
        Ending::Succeeded | Ending::Superseded => None,
    });
    told.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_asked_for_is_done_or_refused_in_bounded_time(
        mut world in any_world(),
        another in prop::option::weighted(0.4, any::<bool>()),
        flags in any::<[bool; 4]>(),
        rounds in 0..4usize,
    ) {
        let [finished, held, halted, names_a_copy] = flags;
        world.finished = finished;
        world.deletion_held = (held && world.desired.deletion.is_some()).then(|| "so many".to_owned());
        world.version_halted = halted.then(|| "it failed on others".to_owned());
        for _ in 0..rounds {
            world.round();
        }
        // (A game whose record was lost starts as what its spec says, on whatever state there is.)
        let begins_anew = world.record.blocked_by.as_deref() == Some(PARTIAL_INIT);
        let has_state = world.record.init_intent_at.is_some() && world.record.initialized_at.is_some();
        let knows = (has_state && !begins_anew) || world.turn.is_none();
        if knows && world.desired.version.is_some() && let Some(by_requirement) = another {
            want_another_version(&mut world, by_requirement);
            // A first start on it finds it there.
            world.image_on_host = true;
        }
        world.desired.restore_backup = names_a_copy.then(|| "20270115T130000000Z-demand-1".parse().unwrap());
        ask_for_everything(&mut world);
        // (A copy that cannot be taken is tried five times, and there may be two of them.)
        for _ in 0..14 {
            world.later(A_WHILE);
        }
        if world.row_deleted {
            return Ok(());
        }
        let (asked, seen) = (world.desired.requests, world.record.observed_requests);
        let runs = world.desired.deletion.is_none() && world.desired.status == DesiredStatus::Running;
        if world.desired.paused && runs {
            // Kept until it is resumed, and then it is a turn.
            prop_assert!(seen.force_turn <= asked.force_turn);
            prop_assert_eq!(Requests { force_turn: asked.force_turn, ..seen }, asked);
        } else {
            prop_assert_eq!(seen, asked, "{:?} {}: {:?}", world.record.phase, world.record.reason, world.done);
        }
        // And what was refused is not asked for again, by nobody.
        prop_assert!(refused(&world.plan()).is_empty());
    }
}

#[test]
fn a_blocked_game_refuses_what_it_is_asked_for_and_says_what_blocks_it() {
    let mut world = World::running();
    world.deletion_held = Some("so many".into());
    world.change(|desired| desired.deletion = Some(Deletion::Requested));
    world.converge();
    ask_for_everything(&mut world);
    let planned = world.round();
    let kinds: Vec<OperationKind> = refused(&planned).into_iter().map(|(kind, _)| kind).collect();
    use OperationKind as K;
    assert_eq!(kinds, [K::Backup, K::Restart, K::ForceNextTurn, K::Patch, K::Restore]);
    assert_eq!(world.record.observed_requests, world.desired.requests);

    let mut world = World::running();
    world.record.current_turn = Some(7);
    world.converge();
    assert_eq!(world.record.phase, Phase::Blocked);
    world.change(|desired| desired.requests.force_turn = 1);
    let told = refused(&world.round());
    assert!(told[0].1.contains("TurnWentBack") && told[0].1.contains("turn 7"), "{told:?}");
}

#[test]
fn a_stopped_game_that_is_asked_to_change_its_version_has_it_when_it_is_started() {
    for by_requirement in [false, true] {
        let mut world = World::running();
        world.change(|desired| desired.status = DesiredStatus::Stopped);
        world.converge();
        want_another_version(&mut world, by_requirement);
        world.change(|desired| desired.requests.patch = 1);
        world.converge();
        assert_eq!(world.record.observed_requests.patch, 1, "it settles");
        assert_eq!(world.record.phase, Phase::Stopped);
        world.change(|desired| desired.status = DesiredStatus::Running);
        world.converge();
        let has = world.record.applied.as_ref().map(|applied| applied.engine_version.to_string());
        assert_eq!(has.as_deref(), Some("1.4.3"), "{by_requirement}: {:?}", world.done);
        assert_eq!(world.record.patch_delay, None);
    }
}

#[test]
fn a_forced_turn_that_is_extra_has_its_turn_between_slots_that_come_without_a_pause() {
    let mut world = hourly();
    world.change(|desired| {
        let turns = &mut desired.spec.as_mut().unwrap().turns;
        (turns.schedule, turns.force_mode) = (Some("* * * * * *".into()), ForceMode::Extra);
    });
    world.later(Duration::from_secs(3));
    // It is asked for while a turn is being generated.
    world.now += SignedDuration::from_secs(1);
    while world.record.turn.is_none() {
        world.round();
    }
    world.change(|desired| desired.requests.force_turn = 1);
    world.round();
    assert_eq!(world.record.observed_requests.force_turn, 0, "a turn is open");
    world.converge();
    assert_eq!(world.record.observed_requests.force_turn, 1, "before the next slot");
    let number = *world.ledger.keys().next_back().unwrap();
    assert_eq!(world.ledger[&number], None, "on top of the schedule's");
    world.later(Duration::from_secs(1));
    assert!(world.ledger[&(number + 1)].is_some(), "and then the schedule goes on");
}

#[test]
fn a_change_of_version_goes_before_a_forced_turn_that_waits_for_the_same_turn() {
    let mut world = hourly();
    world.now += SignedDuration::from_secs(3_599);
    while world.record.turn.is_none() {
        world.round();
    }
    want_another_version(&mut world, false);
    world.change(|desired| desired.requests.force_turn = 1);
    world.later(Duration::from_secs(2));
    world.later(A_WHILE);
    let has = world.record.applied.as_ref().map(|applied| applied.engine_version.to_string());
    assert_eq!(has.as_deref(), Some("1.4.3"));
    let order = |start: &str| world.done.iter().position(|step| step.starts_with(start)).unwrap();
    assert!(order("create container for 1.4.3") < order("generate turn 2"), "{:?}", world.done);
    assert_eq!(world.record.observed_requests.force_turn, 1);
}
