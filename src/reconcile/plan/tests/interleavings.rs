//! Changes of version in any order with everything else that may happen.
//!
//! The world itself panics when an engine is started on another version's state of which there is no
//! copy, when a copy is taken of what is written to, when a copy is put back under a container.

use std::time::Duration;

use proptest::prelude::*;

use crate::game::operation::OperationKind;
use crate::game::record::DeletionGuard;
use crate::game::spec::{Deletion, DeletionPolicy, Desired, DesiredStatus};
use crate::game::{ImageRef, Phase};

use super::world::{Newer, World};

const VERSIONS: [&str; 3] = ["1.4.2", "1.4.3", "1.4.4"];

const MISBEHAVIOURS: [Newer; 7] = [
    Newer::Good,
    Newer::NeverHealthy,
    Newer::ExitsAtStart,
    Newer::HasNoGame,
    Newer::SaysAnotherTurn,
    Newer::DiesOnItsFirstTurn,
    Newer::RuinsTheState,
];

/// One thing that happens.
#[derive(Debug, Clone)]
enum Event {
    Wants(usize),
    /// A version whose image is that of the first one.
    WantsTwin,
    Stop,
    Start,
    Restart,
    Retry,
    Force,
    Pause(bool),
    /// The nth of the kept copies.
    Restore(usize),
    /// A copy on demand.
    BackUp,
    /// Copies before turns, or none.
    BeforeTurns(bool),
    /// The controller dies after so many steps of a round.
    Dies(usize),
    Rounds(usize),
    WorkEnds,
    WorksSlowly(bool),
    EngineDies,
    StepsFail(u32),
    ImageCanBeHad(bool),
    Place(bool),
    Halted(bool),
    /// Seconds pass.
    Passes(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..VERSIONS.len()).prop_map(Event::Wants),
        2 => Just(Event::WantsTwin),
        2 => Just(Event::Stop),
        3 => Just(Event::Start),
        1 => Just(Event::Restart),
        2 => Just(Event::Retry),
        3 => Just(Event::Force),
        1 => any::<bool>().prop_map(Event::Pause),
        2 => (0..4usize).prop_map(Event::Restore),
        3 => Just(Event::BackUp),
        2 => any::<bool>().prop_map(Event::BeforeTurns),
        4 => (0..3usize).prop_map(Event::Dies),
        8 => (1..8usize).prop_map(Event::Rounds),
        3 => Just(Event::WorkEnds),
        1 => any::<bool>().prop_map(Event::WorksSlowly),
        2 => Just(Event::EngineDies),
        1 => (1..3u32).prop_map(Event::StepsFail),
        1 => any::<bool>().prop_map(Event::ImageCanBeHad),
        1 => any::<bool>().prop_map(Event::Place),
        1 => any::<bool>().prop_map(Event::Halted),
        3 => (1..400u64).prop_map(Event::Passes),
    ]
}

fn wants(world: &mut World, version: &str, image: &str) {
    let version: crate::game::EngineVersion = version.parse().unwrap();
    world.change(|desired| {
        desired.spec.as_mut().unwrap().engine_version = Some(version.clone().into());
        let entry = desired.version.as_mut().unwrap();
        entry.image = ImageRef::new(format!("engine:{image}"));
        entry.version = version;
    });
}

fn happens(world: &mut World, event: &Event) {
    // No two copies are taken in the same moment.
    world.now += jiff::Span::new().milliseconds(1);
    match event {
        Event::Wants(version) => wants(world, VERSIONS[*version], VERSIONS[*version]),
        Event::WantsTwin => wants(world, "1.4.5", VERSIONS[0]),
        Event::Stop => world.change(|desired| desired.status = DesiredStatus::Stopped),
        Event::Start => world.change(|desired| desired.status = DesiredStatus::Running),
        Event::Restart => world.change(|desired| desired.requests.restart += 1),
        Event::Retry => world.change(|desired| desired.requests.patch += 1),
        Event::Force => world.change(|desired| desired.requests.force_turn += 1),
        Event::Pause(paused) => world.change(|desired| desired.paused = *paused),
        Event::Restore(nth) => {
            let Some(copy) = world.backups.keys().nth(*nth).cloned() else { return };
            world.change(|desired| {
                desired.restore_backup = Some(copy);
                desired.requests.restore += 1;
            });
        }
        Event::BackUp => world.change(|desired| desired.requests.backup += 1),
        Event::BeforeTurns(before) => world.change(|desired| desired.backup_before_turn = *before),
        Event::Dies(steps) => {
            world.round_of(*steps);
            world.forget_facts();
        }
        Event::Rounds(rounds) => {
            for _ in 0..*rounds {
                world.round();
            }
        }
        Event::WorkEnds => world.end_work(),
        Event::WorksSlowly(slowly) => world.works_slowly = *slowly,
        Event::EngineDies if world.container.is_some() => world.kill(137),
        Event::EngineDies => {}
        Event::StepsFail(times) => world.fails = *times,
        Event::ImageCanBeHad(can) => world.newer_can_be_had = *can,
        Event::Place(free) => world.disruption_place = *free,
        Event::Halted(halted) => world.version_halted = halted.then(|| "too many failed".to_owned()),
        Event::Passes(seconds) => {
            world.now = crate::reconcile::backoff::after(world.now, Duration::from_secs(*seconds))
        }
    }
}

/// Nothing misbehaves any more, and enough time passes.
fn faults_cease(world: &mut World) {
    world.newer = Newer::Good;
    (world.works_slowly, world.fails) = (false, 0);
    (world.newer_can_be_had, world.disruption_place, world.version_halted) = (true, true, None);
    world.end_work();
    world.forget_facts();
    for _ in 0..40 {
        world.later(Duration::from_secs(30));
    }
}

fn runs(world: &World) -> String {
    world.record.applied.as_ref().unwrap().engine_version.to_string()
}

proptest! {
    #[test]
    fn a_game_ends_on_one_version_with_its_state_whatever_happened(
        newer in prop::sample::select(&MISBEHAVIOURS[..]),
        events in prop::collection::vec(event(), 1..40),
    ) {
        let mut world = World::running();
        world.newer = newer;
        for event in &events {
            happens(&mut world, event);
            prop_assert!(!world.is_alive() || world.turn.is_some());
        }
        faults_cease(&mut world);
        let stopped = world.desired.status == DesiredStatus::Stopped;
        prop_assert_eq!(world.record.phase, if stopped { Phase::Stopped } else { Phase::Running }, "{}: {:?}", world.record.message, world.done);
        prop_assert_eq!(world.is_alive(), !stopped);
        prop_assert_eq!(runs(&world), world.state_of.clone(), "{:?}", world.done);
        prop_assert!(!world.is_ruined && world.record.put_back.is_none(), "{:?}", world.done);
        let wanted = world.desired.version.as_ref().unwrap().version.to_string();
        let failed = world.record.failed_patch.as_ref().map(|failed| failed.version.to_string());
        if !stopped {
            prop_assert!(runs(&world) == wanted || failed == Some(wanted), "{:?}", world.done);
        }
        // Whoever asked for a copy was answered, and nothing is left of it.
        prop_assert_eq!(world.record.observed_requests.backup, world.desired.requests.backup);
        prop_assert!(world.record.copying.is_none(), "{:?}", world.record.copying);
        prop_assert!(world.record.operation.is_none(), "{:?}", world.record.operation);
        // And there it stays.
        let done = world.done.len();
        world.later(Duration::from_secs(7_200));
        prop_assert_eq!(world.done.len(), done, "{:?}", &world.done[done..]);
    }

    /// A deletion that may still be withdrawn takes nothing of the game with it: whatever it does to the
    /// record, and every step, would be the same without it, or is not done.
    #[test]
    fn a_deletion_that_is_held_or_in_its_grace_takes_nothing_with_it(
        newer in prop::sample::select(&MISBEHAVIOURS[..]),
        events in prop::collection::vec(event(), 1..25),
        keeps in any::<bool>(),
        is_held in any::<bool>(),
        by_row in any::<bool>(),
        rounds in 1..4usize,
    ) {
        let mut world = World::running();
        world.newer = newer;
        for event in &events {
            happens(&mut world, event);
        }
        let policy = if keeps { DeletionPolicy::Retain } else { DeletionPolicy::Delete };
        let is_held = is_held || !by_row;
        let guard = if is_held { DeletionGuard::Held } else { DeletionGuard::Counted };
        world.desired.deletion_policy = policy;
        for _ in 0..rounds {
            let mut left = world.clone();
            // A tombstone wants no engine, and asks for nothing.
            let deletion = if by_row { Deletion::RowGone } else { Deletion::Requested };
            if by_row {
                world.desired.status = DesiredStatus::Stopped;
            }
            (world.desired.deletion, world.record.deletion_guard) = (Some(deletion), Some(guard));
            world.deletion_held = is_held.then(|| "so many".to_owned());
            left.desired = Desired { deletion: None, ..world.desired.clone() };
            let was = world.record.clone();
            let plan = world.round();
            // Requests to a game that is to go are refused; with them it would be another game's plan.
            left.record.observed_requests = plan.record.observed_requests;
            let without = left.plan();
            for step in &plan.steps {
                prop_assert!(without.steps.contains(step), "{step}: {:?}", without.steps);
            }
            for entry in &plan.ledger {
                prop_assert!(without.ledger.contains(entry), "{entry:?}");
            }
            prop_assert!(plan.failed_version.is_none() || plan.failed_version == without.failed_version);
            // A copy that was asked for is refused, as every request is.
            let is_copy = was.operation.as_ref().is_some_and(|was| was.kind == OperationKind::Backup);
            let closes = plan.operation.close.is_some() && !is_copy;
            prop_assert!(!closes || plan.operation.close == without.operation.close, "{:?}", plan.operation);
            let (is, without) = (&plan.record, &without.record);
            prop_assert!(is.patch == was.patch || is.patch == without.patch, "{:?}: {:?}", is.patch, was.patch);
            prop_assert!(is.put_back == was.put_back || is.put_back == without.put_back);
            prop_assert!(is.turn == was.turn || is.turn == without.turn, "{:?}: {:?}", is.turn, was.turn);
            prop_assert!(is.applied == was.applied || is.applied == without.applied);
            prop_assert!(is.image_id == was.image_id || is.image_id == without.image_id);
            prop_assert!(is.restart_from == was.restart_from || is.restart_from == without.restart_from);
            prop_assert!(is.container == was.container || is.container == without.container);
            prop_assert!(is.failures >= was.failures || is.failures == without.failures, "forgotten");
            prop_assert_eq!((is.timeline, is.erasing_since), (without.timeline, None));
            prop_assert_eq!(is.deletion_guard, Some(guard));
        }
    }

    #[test]
    fn a_deletion_in_the_middle_of_anything_ends_and_leaves_state_that_matches(
        newer in prop::sample::select(&MISBEHAVIOURS[..]),
        events in prop::collection::vec(event(), 1..25),
        keeps in any::<bool>(),
        rounds in 0..4usize,
    ) {
        let mut world = World::running();
        world.newer = newer;
        for event in &events {
            happens(&mut world, event);
        }
        let policy = if keeps { DeletionPolicy::Retain } else { DeletionPolicy::Delete };
        world.change(|desired| {
            desired.deletion = Some(Deletion::Requested);
            desired.deletion_policy = policy;
        });
        for _ in 0..rounds {
            world.round();
        }
        faults_cease(&mut world);
        prop_assert!(world.row_deleted && world.container.is_none(), "{}: {:?}", world.record.message, world.done);
        if keeps && world.record.put_back.is_none() {
            prop_assert_eq!(runs(&world), world.state_of.clone(), "{:?}", world.done);
        }
    }
}
