//! What holds from any state, however it came about.

use proptest::prelude::*;

use crate::game::container::{ContainerState, HostProcess, Owner, Rival, StateDirectory};
use crate::game::controller::{Freeze, FreezeReason};
use crate::game::record::{Contents, Exit, Life, Record};
use crate::game::settled::what_is_left;
use crate::game::spec::{Deletion, DeletionPolicy, DesiredStatus, Requests};
use crate::game::{ConditionStatus, ConditionType, ContainerId, ImageId, NetworkId, Phase};
use crate::reconcile::explain::explain;
use crate::reconcile::plan::{
    DELETIONS_HELD, DIRECTORY_IN_USE, PARTIAL_INIT, PINNED_IMAGE_GONE, STATE_IN_USE, STATE_MISSING,
    STRANGE_CONTAINER, TURN_WENT_BACK, plan,
};
use crate::reconcile::{EngineView, Policy, Step, Wait, Work};

use super::world::{Engines, Looks, World};

/// Reasons that a record may show, and that planning looks at.
const REASONS: [&str; 9] = [
    "Running",
    STATE_IN_USE,
    STATE_MISSING,
    PARTIAL_INIT,
    TURN_WENT_BACK,
    PINNED_IMAGE_GONE,
    DIRECTORY_IN_USE,
    DELETIONS_HELD,
    "FrozenByHand",
];

/// Schedules with slots that are far apart, close together, and none.
const SCHEDULES: [Option<&str>; 3] = [None, Some("*/20 * * * *"), Some("*/10 * * * * *")];

fn container_state() -> impl Strategy<Value = ContainerState> {
    prop_oneof![
        Just(ContainerState::Created),
        (0..4u8).prop_map(|life| ContainerState::Running { started_at: format!("life-{life}") }),
        (0..4u8, 0..3i64).prop_map(|(life, code)| ContainerState::Exited {
            started_at: format!("life-{life}"),
            code,
            out_of_memory: false
        }),
    ]
}

prop_compose! {
    /// A world that has been through anything: what is on record need not match what is there.
    pub(super) fn any_world()(
        record_from_running in any::<bool>(),
        state in proptest::option::of(container_state()),
        foreign in prop::bool::weighted(0.1),
        container in 1..3u8,
        network in proptest::option::of(1..3u8),
        image in 1..3u8,
        flags in any::<[bool; 10]>(),
        deletion in prop_oneof![3 => Just(None), 1 => Just(Some(Deletion::Requested)), 1 => Just(Some(Deletion::RowGone))],
        unblock in 0..2i64,
        lost in any::<bool>(),
        rival in prop_oneof![18 => Just(None), 1 => Just(Some(false)), 1 => Just(Some(true))],
        reason in prop::sample::select(&REASONS[..]),
        phase in 0..12usize,
        failures in 0..8u32,
        exit_life in proptest::option::of(0..4u8),
        (restart, backup) in (0..3i64, 0..2i64),
        before_turns in any::<bool>(),
        turn in proptest::option::of(0..3i64),
        schedule in prop::sample::select(&SCHEDULES[..]),
        paused in prop::bool::weighted(0.2),
        cursor in proptest::option::of(-90_000..90_000i64),
    ) -> World {
        let [image_on_host, directory, stopped, traces, policy_delete, no_members, disabled, restart_from, no_version, drift] = flags;
        let mut world = if record_from_running { World::running() } else { World::new() };
        let template = { let mut other = World::new(); other.converge(); other.container.unwrap() };
        world.container = state.map(|state| {
            let mut made = template;
            made.id = ContainerId::new(format!("container-{container}"));
            made.owner = if foreign { Owner::Foreign } else { made.owner };
            made.image_id = ImageId::new(format!("sha256:{image}"));
            made.network_id = network.map(|n| NetworkId::new(format!("net-{n}")));
            made.state = state;
            made
        });
        world.looks = Looks::none();
        world.image_on_host = image_on_host;
        world.network = network.map(|n| NetworkId::new(format!("net-{n}")));
        world.state_directory = if directory { StateDirectory::Present } else { StateDirectory::Absent };
        world.turn = turn;
        world.engine = EngineView::NotAsked;
        world.contents = if traces { Contents::new("traces") } else { Contents::nothing() };
        world.rival = rival.map(|is_process| match is_process {
            true => Rival::Process(HostProcess { pid: 7, command: "engine".into(), container: None, others: 0 }),
            false => Rival::Container("somebody-elses".to_owned()),
        });
        if lost { world.record = Record::first_seen(Requests::default()); }
        world.record.reason = reason.to_owned();
        world.record.blocked_by = Some(reason.to_owned());
        world.record.phase = Phase::ALL[phase];
        world.record.failures = failures;
        world.record.last_exit = exit_life.map(|life| Exit {
            life: Some(Life { container: ContainerId::new("container-1"), started_at: format!("life-{life}") }),
            code: None,
            out_of_memory: false,
            reason: "Unreachable".into(),
            at: world.now,
        });
        let cursor = cursor.map(|seconds| world.now + jiff::SignedDuration::from_secs(seconds));
        world.record.slot_cursor = cursor.filter(|_| world.record.initialized_at.is_some());
        world.record.restart_from = restart_from.then(|| ContainerId::new("container-1"));
        world.change(|desired| {
            desired.status = if stopped { DesiredStatus::Stopped } else { DesiredStatus::Running };
            desired.deletion = deletion;
            desired.deletion_policy = if policy_delete { DeletionPolicy::Delete } else { DeletionPolicy::Retain };
            desired.requests.restart = restart;
            desired.requests.backup = backup;
            desired.backup_before_turn = before_turns;
            desired.paused = paused;
            if let Ok(spec) = &mut desired.spec { spec.turns.schedule = schedule.map(str::to_owned); }
            desired.requests.unblock = unblock;
            if no_members { desired.members.clear(); }
            if disabled { desired.version.as_mut().unwrap().enabled = false; }
            if no_version { desired.version = None; }
            if drift { desired.spec.as_mut().unwrap().resources.pids = Some(64); }
        });
        world
    }
}

pub(super) fn freeze() -> Freeze {
    Freeze {
        reason: FreezeReason::FrozenByHand,
        message: "An operator said so.".into(),
        way_out: "Unfreeze it.".into(),
    }
}

proptest! {
    /// The world itself panics on a second container, a second initialisation, a removal of what
    /// lives, and state removed against the policy.
    #[test]
    fn any_state_ends_in_a_few_rounds_in_a_plan_without_steps(mut world in any_world()) {
        let stopped = world.desired.status == DesiredStatus::Stopped;
        let deleting = world.desired.deletion.is_some();
        let foreign = world.container.as_ref().is_some_and(|c| c.owner == Owner::Foreign);
        world.converge();
        // What waits for its next attempt, or for a grace period, gets it.
        world.later(std::time::Duration::from_secs(301));
        let last = world.converge();
        if !world.row_deleted {
            prop_assert!(last.steps.is_empty());
            let again = world.plan();
            prop_assert!(
                again.steps.is_empty() && again.operation.is_empty() && again.event.is_none(),
                "{:?} {:?} {:?}", again.steps, again.operation, again.event
            );
            prop_assert_eq!(&again.record, &world.record, "a plan with nothing to do writes nothing");
        }
        if foreign {
            prop_assert!(world.done.iter().all(|step| !step.contains("container")), "{:?}", world.done);
        } else if world.record.phase == Phase::Blocked {
            prop_assert!(!world.record.reason.is_empty() && last.waiting_on.contains(&Wait::Person));
        } else if deleting {
            prop_assert!(world.row_deleted);
        } else if stopped {
            prop_assert_eq!(world.record.phase, Phase::Stopped);
            prop_assert!(world.container.is_none());
        } else {
            prop_assert!(
                matches!(world.record.phase, Phase::Running | Phase::Invalid),
                "{:?} {}: {:?}", world.record.phase, world.record.reason, world.done
            );
        }
    }

    #[test]
    fn unknown_never_leads_to_a_step(mut world in any_world()) {
        world.docker_answers = false;
        let plan = world.plan();
        prop_assert!(plan.steps.is_empty(), "{:?}", plan.steps);
        prop_assert!(plan.operation.is_empty());
        prop_assert_eq!(plan.record.container, world.record.container);
        prop_assert_eq!(plan.record.observed_generation, world.record.observed_generation);
    }

    #[test]
    fn while_docker_is_silent_an_engine_is_asked_and_gets_its_turns_and_nothing_else_is_done(
        mut world in any_world(),
        rounds in 0..6usize,
    ) {
        world.docker_answers = false;
        world.reached_since = Some(world.now);
        for _ in 0..=rounds {
            let planned = world.round();
            let harmless = |step: &Step| {
                matches!(step, Step::ProbeEngine { .. } | Step::GenerateTurn { .. } | Step::BackUp(_))
            };
            prop_assert!(planned.steps.iter().all(|planned| harmless(&planned.step)), "{:?}", planned.steps);
            prop_assert_eq!(&planned.record.container, &world.record.container);
            world.now += jiff::SignedDuration::from_secs(7);
        }
    }

    #[test]
    fn every_effect_has_an_operation_on_record_before_it(mut world in any_world(), rounds in 0..10usize) {
        for _ in 0..=rounds {
            let plan = world.round();
            if plan.steps.iter().any(|planned| planned.step.mutates()) {
                prop_assert!(world.record.operation.is_some(), "{:?}", plan.steps);
            }
        }
    }

    /// Answers that come in another order than the questions would be taken for a turn that went back.
    #[test]
    fn an_engine_gets_one_call_at_a_time(mut world in any_world(), silent in any::<bool>(), rounds in 0..12usize) {
        world.docker_answers = !silent;
        world.reached_since = silent.then_some(world.now);
        for _ in 0..=rounds {
            let calls = |step: &Step| {
                matches!(step, Step::ProbeEngine { .. } | Step::InitialiseEngine { .. } | Step::GenerateTurn { .. })
            };
            let planned = world.plan();
            prop_assert!(
                planned.steps.iter().filter(|planned| calls(&planned.step)).count() <= 1,
                "{:?}", planned.steps
            );
            let mut observation = world.observation();
            observation.work = world.record.life().map(Work::Probing);
            if observation.work.is_some() {
                let busy = plan(&world.desired, &world.record, &observation, &Policy::default());
                prop_assert!(busy.steps.iter().all(|planned| !calls(&planned.step)), "{:?}", busy.steps);
                observation.work = Some(Work::BackingUp { progress: String::new() });
                let copying = plan(&world.desired, &world.record, &observation, &Policy::default());
                prop_assert!(copying.steps.iter().all(|planned| !calls(&planned.step)), "{:?}", copying.steps);
                let fired = busy.slots.iter().any(|slot| slot.decision == "fired");
                prop_assert!(!fired || !busy.ledger.is_empty(), "a slot that fired without a turn");
            }
            world.round();
            world.now += jiff::SignedDuration::from_secs(9);
        }
    }

    /// A lenient engine would keep a game without players for ever.
    #[test]
    fn no_engine_is_initialised_without_races_or_by_an_invalid_spec(mut world in any_world(), rounds in 0..12usize) {
        for _ in 0..=rounds {
            for planned in world.round().steps {
                if let Step::InitialiseEngine { races, .. } = planned.step {
                    prop_assert!(!races.is_empty() && world.desired.spec.is_ok());
                }
            }
            world.now += jiff::SignedDuration::from_secs(9);
        }
    }

    #[test]
    fn desired_stopped_heals_nothing(mut world in any_world()) {
        world.change(|desired| desired.status = DesiredStatus::Stopped);
        for _ in 0..12 {
            for planned in world.round().steps {
                let wakes = matches!(
                    planned.step,
                    Step::CreateContainer { .. } | Step::StartContainer(_) | Step::InitialiseEngine { .. } | Step::PullImage(_)
                );
                prop_assert!(!wakes, "{}", planned);
            }
        }
    }

    /// Whatever was and is: who is frozen, or waits for a person, is left alone.
    #[test]
    fn no_plan_of_a_frozen_or_blocked_game_has_an_effect(
        mut world in any_world(),
        frozen in any::<bool>(),
        held in any::<bool>(),
        rounds in 0..8usize,
    ) {
        world.freeze = frozen.then(freeze);
        world.deletion_held = (held && world.desired.deletion.is_some()).then(|| "so many".to_owned());
        for _ in 0..=rounds {
            let plan = world.round();
            if frozen || plan.record.phase == Phase::Blocked {
                let effects: Vec<_> = plan.steps.iter().filter(|planned| planned.step.mutates()).collect();
                prop_assert!(effects.is_empty(), "{}: {effects:?}", plan.record.reason);
            }
            if frozen {
                prop_assert!(plan.steps.is_empty(), "{:?}", plan.steps);
                prop_assert_eq!(plan.record.phase, Phase::Blocked);
                prop_assert_eq!(&plan.record.applied, &world.record.applied);
                prop_assert_eq!(plan.record.init_intent_at, world.record.init_intent_at);
            } else if world.deletion_held.is_some() {
                prop_assert!(plan.steps.iter().all(|planned| !planned.step.mutates()), "{:?}", plan.steps);
            }
        }
    }

    #[test]
    fn no_plan_removes_what_it_did_not_identify(mut world in any_world(), rounds in 0..10usize) {
        for _ in 0..=rounds {
            let (container, deletion, policy) =
                (world.container.clone(), world.desired.deletion, world.desired.deletion_policy);
            for planned in world.round().steps {
                let own = container.as_ref().filter(|container| matches!(container.owner, Owner::Game(_)));
                match &planned.step {
                    Step::RemoveContainer(dead) => {
                        let own = own.expect("a container of the game");
                        prop_assert_eq!(&own.id, dead.container());
                        let alive = matches!(own.state, ContainerState::Running { .. });
                        prop_assert!(!alive);
                    }
                    Step::StopContainer { container, .. } => {
                        prop_assert_eq!(Some(container), own.map(|own| &own.id));
                    }
                    Step::RemoveStateDirectory(_) | Step::RemoveCopies(_) => {
                        prop_assert!(container.is_none() && deletion.is_some());
                        prop_assert_eq!(policy, DeletionPolicy::Delete);
                    }
                    Step::FinishDeletion(_) => prop_assert!(container.is_none() && deletion.is_some()),
                    _ => {}
                }
            }
        }
    }

    /// A vanished row tears nothing down within its grace period.
    #[test]
    fn a_vanished_row_has_its_grace(mut world in any_world()) {
        world.desired.deletion = Some(Deletion::RowGone);
        world.record.deletion_seen_at = None;
        world.round();
        world.now += jiff::Span::new().seconds(59);
        let plan = world.plan();
        prop_assert!(plan.steps.iter().all(|planned| !planned.step.mutates()), "{:?}", plan.steps);
    }

    #[test]
    fn an_explanation_names_a_reason_whenever_something_is_left(
        mut world in any_world(),
        frozen in prop::bool::weighted(0.1),
        silent in prop::bool::weighted(0.1),
        rounds in 0..8usize,
    ) {
        world.freeze = frozen.then(freeze);
        world.docker_answers = !silent;
        for _ in 0..rounds {
            world.round();
        }
        let policy = Policy::default();
        let explained = explain(&world.desired, &world.record, &world.observation(), &policy);
        let plan = world.plan();
        let effects = plan.steps.iter().any(|planned| planned.step.mutates());
        prop_assert!(!(effects && explained.settled), "{explained:?}");
        prop_assert_eq!(explained.steps.len(), plan.steps.len());
        prop_assert!(explained.steps.iter().all(|step| !step.cause.is_empty()));
        if !explained.settled {
            prop_assert!(!explained.reason.is_empty() && !explained.message.is_empty(), "{explained:?}");
            let tells = !explained.steps.is_empty()
                || !explained.afterwards.is_empty()
                || !explained.waiting_on.is_empty()
                || explained.guard.is_some();
            prop_assert!(tells, "{explained:?}");
        }
        let left = what_is_left(&world.desired, &plan.record);
        prop_assert!(!explained.settled || left.is_empty(), "{explained:?}");
        prop_assert!(explained.settled || effects || frozen || !left.is_empty() || !explained.afterwards.is_empty());
        let turns = explained.turns.iter().flat_map(|turns| &turns.obstacles);
        let forbids = turns.filter(|found| ["Paused", "Stopped", "Finished"].contains(&found.reason.as_str()));
        if forbids.count() > 0 {
            let sends = explained.steps.iter().any(|step| step.step.starts_with("generate turn"));
            prop_assert!(!sends, "a turn beside what forbids it: {explained:?}");
        }
        if frozen {
            prop_assert_eq!(explained.guard.expect("a guard").reason, "FrozenByHand");
        }
        if explained.phase == Phase::Blocked {
            prop_assert!(!explained.summary.is_empty());
        }
    }

    #[test]
    fn ready_says_what_the_phase_says(world in any_world()) {
        let plan = world.plan();
        let record = plan.record;
        // While Docker is silent both stay as they were, and they may be anything here.
        prop_assume!(!plan.waiting_on.contains(&Wait::Docker) && record.phase != Phase::Unknown);
        let ready = record.conditions.iter().find(|known| known.kind == ConditionType::Ready);
        let ready = ready.expect("it is always stated").status;
        let settled = matches!(record.phase, Phase::Running | Phase::Stopped | Phase::Finished);
        let usual = ["Running", "Stopped", "Finished", "EngineEnded"].contains(&record.reason.as_str());
        prop_assert!(ready != ConditionStatus::Unknown);
        let where_it_should_be = settled && usual;
        prop_assert!(ready == ConditionStatus::False || where_it_should_be, "{:?} {}", record.phase, record.reason);
    }

    /// What was true of an engine that is not there is not told of it any more.
    #[test]
    fn conditions_are_of_what_is_there(mut world in any_world(), rounds in 0..8usize) {
        for _ in 0..=rounds {
            let container = world.container.as_ref().filter(|container| container.owner != Owner::Foreign);
            let runs = container.is_some_and(|c| matches!(c.state, ContainerState::Running { .. }));
            let record = world.round().record;
            // One with another image than the one on record is not the game's either.
            let runs = runs && record.reason != STRANGE_CONTAINER;
            let says = |kind| {
                let known = record.conditions.iter().find(|known| known.kind == kind);
                known.is_some_and(|known| known.status == ConditionStatus::True)
            };
            prop_assert_eq!(says(ConditionType::ContainerRunning), runs, "{} {:?}", record.reason, world.container);
            prop_assert!(!says(ConditionType::EngineHealthy) || runs, "{}", record.reason);
        }
    }

    #[test]
    fn planning_is_a_function(world in any_world()) {
        prop_assert_eq!(world.plan(), world.plan());
    }

    #[test]
    fn a_broken_engine_ends_in_bounded_attempts(mut world in any_world(), exits in any::<bool>()) {
        world.engines = if exits { Engines::ExitAtStart } else { Engines::NeverHealthy };
        world.converge();
        let before = world.done.len();
        for _ in 0..60 {
            world.later(std::time::Duration::from_secs(10));
        }
        // Ten minutes: about a dozen attempts of at most four effects each.
        prop_assert!(world.done.len() - before < 60, "{:?}", world.done);
    }
}
