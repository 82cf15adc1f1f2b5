//! What holds from any state, however it came about.

use proptest::prelude::*;

use crate::game::container::{ContainerState, Owner, StateDirectory};
use crate::game::record::{Exit, Life};
use crate::game::spec::{DeletionPolicy, DesiredStatus};
use crate::game::{ContainerId, ImageId, NetworkId, Phase};
use crate::reconcile::Step;

use super::world::{Engines, World};

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
    fn any_world()(
        record_from_running in any::<bool>(),
        state in proptest::option::of(container_state()),
        foreign in prop::bool::weighted(0.1),
        container in 1..3u8,
        network in proptest::option::of(1..3u8),
        image in 1..3u8,
        flags in any::<[bool; 10]>(),
        phase in 0..12usize,
        failures in 0..8u32,
        exit_life in proptest::option::of(0..4u8),
        restart in 0..3i64,
        turn in proptest::option::of(0..3i64),
    ) -> World {
        let [image_on_host, directory, stopped, deleting, policy_delete, no_members, disabled, restart_from, no_version, drift] = flags;
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
        world.looked = None;
        world.image_on_host = image_on_host;
        world.network = network.map(|n| NetworkId::new(format!("net-{n}")));
        world.state_directory = if directory { StateDirectory::Present } else { StateDirectory::Absent };
        world.turn = turn;
        world.record.phase = Phase::ALL[phase];
        world.record.failures = failures;
        world.record.last_exit = exit_life.map(|life| Exit {
            life: Some(Life { container: ContainerId::new("container-1"), started_at: format!("life-{life}") }),
            code: None,
            out_of_memory: false,
            reason: "Unreachable".into(),
            at: world.now,
        });
        world.record.restart_from = restart_from.then(|| ContainerId::new("container-1"));
        world.change(|desired| {
            desired.status = if stopped { DesiredStatus::Stopped } else { DesiredStatus::Running };
            desired.deletion_requested_at = deleting.then_some(jiff::Timestamp::UNIX_EPOCH);
            desired.deletion_policy = if policy_delete { DeletionPolicy::Delete } else { DeletionPolicy::Retain };
            desired.requests.restart = restart;
            if no_members { desired.members.clear(); }
            if disabled { desired.version.as_mut().unwrap().enabled = false; }
            if no_version { desired.version = None; }
            if drift { desired.spec.as_mut().unwrap().resources.pids = Some(64); }
        });
        world
    }
}

proptest! {
    /// The world itself panics on a second container, a second initialisation, a removal of what
    /// lives, and state removed against the policy.
    #[test]
    fn any_state_ends_in_a_few_rounds_in_a_plan_without_steps(mut world in any_world()) {
        let stopped = world.desired.status == DesiredStatus::Stopped;
        let deleting = world.desired.deletion_requested_at.is_some();
        let foreign = world.container.as_ref().is_some_and(|c| c.owner == Owner::Foreign);
        world.converge();
        // What waits for its next attempt gets it.
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
        } else if deleting {
            prop_assert!(world.row_deleted);
        } else if stopped {
            prop_assert_eq!(world.record.phase, Phase::Stopped);
            prop_assert!(world.container.is_none());
        } else {
            prop_assert!(
                matches!(world.record.phase, Phase::Running | Phase::Invalid | Phase::Blocked),
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
    fn every_effect_has_an_operation_on_record_before_it(mut world in any_world(), rounds in 0..10usize) {
        for _ in 0..=rounds {
            let plan = world.round();
            if plan.steps.iter().any(|planned| planned.step.mutates()) {
                prop_assert!(world.record.operation.is_some(), "{:?}", plan.steps);
            }
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
