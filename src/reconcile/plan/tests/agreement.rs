//! Headline, conditions, waits, `settled` and explanation say the same of any game, after each round.

use proptest::prelude::*;

use crate::game::agreement::Shown;
use crate::game::container::StateDirectory;
use crate::game::spec::DesiredStatus;
use crate::game::{ConditionStatus, ConditionType, EngineVersion, ImageRef, Phase};
use crate::reconcile::explain::{Explanation, explain};
use crate::reconcile::plan::Plan;
use crate::reconcile::wait::EndedBy;
use crate::reconcile::{Observation, Policy, RuntimeView, Step, Wait};

use super::properties::{any_world, freeze};
use super::world::{Engines, Looks, Turns, World};

/// Breaks of the rules in what a plan would write.
fn broken(world: &World, plan: &Plan) -> Result<(), TestCaseError> {
    let found = Shown::of(world.desired.status, &plan.record).contradictions(world.now);
    prop_assert!(
        found.is_empty(),
        "{found:?}: {:?} {} steps {:?} waits {:?} conditions {:#?}",
        plan.record.phase,
        plan.record.reason,
        plan.steps,
        plan.waiting_on,
        plan.record.conditions
    );
    Ok(())
}

/// A plan that does nothing for a game that is not settled names what it waits for.
fn names_its_waits(world: &World, plan: &Plan) -> Result<(), TestCaseError> {
    let left = &plan.record.left_to_do;
    if plan.steps.is_empty() && !left.is_empty() && !world.row_deleted {
        prop_assert!(!plan.waiting_on.is_empty(), "{left:?}: {:?} {}", plan.record.phase, plan.record.reason);
    }
    let forced = world.desired.requests.force_turn > plan.record.observed_requests.force_turn;
    if forced
        && world.desired.paused
        && world.desired.deletion.is_none()
        && plan.record.phase == Phase::Running
    {
        prop_assert!(plan.waiting_on.contains(&Wait::Resume), "{:?}", plan.waiting_on);
    }
    // Who waits for nobody else is looked at again.
    let by_itself = |wait: &Wait| wait.ended_by() == EndedBy::Itself && *wait != Wait::Work;
    let timed = |wait: &Wait| matches!(wait, Wait::NextAttempt | Wait::Grace);
    if plan.steps.is_empty() && plan.waiting_on.iter().any(timed) {
        prop_assert!(plan.look_again.is_some(), "{:?}", plan.waiting_on);
        prop_assert!(plan.waiting_on.iter().any(by_itself));
    }
    Ok(())
}

fn explained(world: &World) -> Explanation {
    explain(&world.desired, &world.record, &world.observation(), &Policy::default())
}

/// The explanation and the record that the same look writes.
fn agrees(explained: &Explanation, plan: &Plan) -> Result<(), TestCaseError> {
    prop_assert_eq!(explained.settled, plan.record.left_to_do.is_empty());
    prop_assert_eq!(&explained.left_to_do, &plan.record.left_to_do);
    let headline = (explained.phase, &explained.reason, &explained.message);
    prop_assert_eq!(headline, (plan.record.phase, &plan.record.reason, &plan.record.message));
    if explained.settled {
        let turn = |step: &Step| matches!(step, Step::GenerateTurn { .. } | Step::BackUp(_));
        let effects = plan.steps.iter().filter(|planned| planned.step.mutates() && !turn(&planned.step));
        prop_assert_eq!(effects.count(), 0, "settled, and {:?}", plan.steps);
    } else {
        let tells = !explained.steps.is_empty()
            || !explained.waiting_on.is_empty()
            || explained.working_on.is_some()
            || explained.guard.is_some();
        prop_assert!(tells, "{explained:?}");
    }
    prop_assert!(explained.waiting_on.iter().all(|wait| wait.contains(": it ends ")), "{explained:?}");
    Ok(())
}

/// What happens to a game between two rounds.
#[derive(Debug, Clone, Copy)]
enum Event {
    Nothing,
    ItIsKilled,
    ItsContainerIsRemoved,
    PauseOrResume,
    StopOrStart,
    ARestart,
    AForcedTurn,
    ARequestForAnotherVersion,
    AnotherVersion,
    AVersionThatIsNotThere,
    OtherLimits,
    FreezeOrThaw,
    DockerFallsSilentOrSpeaks,
    EnginesFallIllOrRecover,
    ItsTurnsHang,
    TheGameIsOver,
    ItsStateVanishesOrComesBack,
}

use Event as E;

fn event() -> impl Strategy<Value = Event> {
    prop::sample::select(vec![
        E::Nothing,
        E::Nothing,
        E::ItIsKilled,
        E::ItsContainerIsRemoved,
        E::PauseOrResume,
        E::StopOrStart,
        E::ARestart,
        E::AForcedTurn,
        E::ARequestForAnotherVersion,
        E::AnotherVersion,
        E::AVersionThatIsNotThere,
        E::OtherLimits,
        E::FreezeOrThaw,
        E::DockerFallsSilentOrSpeaks,
        E::EnginesFallIllOrRecover,
        E::ItsTurnsHang,
        E::TheGameIsOver,
        E::ItsStateVanishesOrComesBack,
    ])
}

fn happens(event: Event, world: &mut World) {
    match event {
        E::Nothing => {}
        E::ItIsKilled if world.container.is_some() => world.kill(1),
        E::ItIsKilled => {}
        E::ItsContainerIsRemoved => world.container = None,
        E::PauseOrResume => world.change(|desired| desired.paused = !desired.paused),
        E::StopOrStart => world.change(|desired| {
            desired.status = match desired.status {
                DesiredStatus::Running => DesiredStatus::Stopped,
                DesiredStatus::Stopped => DesiredStatus::Running,
            };
        }),
        E::ARestart => world.change(|desired| desired.requests.restart += 1),
        E::AForcedTurn => world.change(|desired| desired.requests.force_turn += 1),
        E::ARequestForAnotherVersion => world.change(|desired| desired.requests.patch += 1),
        E::AnotherVersion => world.change(|desired| {
            let version: EngineVersion = "1.4.3".parse().unwrap();
            if let (Ok(spec), Some(entry)) = (&mut desired.spec, &mut desired.version) {
                spec.engine_version = Some(version.clone().into());
                entry.image = ImageRef::new("engine:1.4.3");
                entry.version = version;
            }
        }),
        E::AVersionThatIsNotThere => world.change(|desired| desired.version = None),
        E::OtherLimits => world.change(|desired| {
            if let Ok(spec) = &mut desired.spec {
                spec.resources.pids = Some(spec.resources.pids.unwrap_or(32) + 1);
            }
        }),
        E::FreezeOrThaw => world.freeze = if world.freeze.is_none() { Some(freeze()) } else { None },
        E::DockerFallsSilentOrSpeaks => world.docker_answers = !world.docker_answers,
        E::EnginesFallIllOrRecover => {
            world.engines =
                if world.engines == Engines::Healthy { Engines::NeverHealthy } else { Engines::Healthy };
        }
        E::ItsTurnsHang => world.turns = Turns::Never,
        E::TheGameIsOver => world.finished = true,
        E::ItsStateVanishesOrComesBack => {
            world.state_directory = match world.state_directory {
                StateDirectory::Absent => StateDirectory::Present,
                _ => StateDirectory::Absent,
            };
            // What was seen of it before is stale.
            world.looks = Looks::none();
        }
    }
}

proptest! {
    #[test]
    fn whatever_a_round_writes_agrees_with_itself(
        schedule in prop::sample::select(vec![None, Some("*/20 * * * *"), Some("*/10 * * * * *")]),
        events in prop::collection::vec((event(), 1..5usize, 0..40i64), 1..8),
    ) {
        let mut world = World::running();
        world.change(|desired| {
            if let Ok(spec) = &mut desired.spec {
                spec.turns.schedule = schedule.map(str::to_owned);
            }
        });
        for (event, rounds, seconds) in events {
            happens(event, &mut world);
            for _ in 0..rounds {
                let plan = world.plan();
                broken(&world, &plan)?;
                names_its_waits(&world, &plan)?;
                agrees(&explained(&world), &plan)?;
                world.round();
                world.now += jiff::SignedDuration::from_secs(seconds);
            }
        }
    }

    /// Also where what is on record never came about by rounds.
    #[test]
    fn waits_and_what_is_left_are_named_from_any_state(mut world in any_world(), rounds in 0..10usize) {
        for _ in 0..=rounds {
            if world.row_deleted {
                break;
            }
            let plan = world.plan();
            names_its_waits(&world, &plan)?;
            agrees(&explained(&world), &plan)?;
            world.round();
            world.now += jiff::SignedDuration::from_secs(9);
        }
    }
}

#[test]
fn a_paused_game_with_a_forced_turn_waits_for_its_resume() {
    let mut world = World::running();
    world.change(|desired| {
        desired.paused = true;
        desired.requests.force_turn += 1;
    });
    world.converge();
    let explained = explained(&world);
    assert_eq!(world.record.waiting_on, ["the end of the pause"]);
    assert!(explained.waiting_on.iter().any(|wait| wait.contains("`gamekeeper resume`")), "{explained:?}");
    assert_eq!(explained.left_to_do, ["the turn that was forced"]);
    assert!(!explained.settled && explained.summary.contains("What is left: the turn that was forced"));
}

#[test]
fn nothing_is_left_is_not_said_while_docker_is_silent_or_the_controller_is_frozen() {
    let mut world = World::running();
    assert!(explained(&world).summary.ends_with("should run, and does."));
    world.docker_answers = false;
    let silent = explained(&world);
    assert!(silent.summary.contains("Nothing is done for it now: Docker does not answer"), "{silent:?}");
    assert_eq!(silent.guard.expect("a guard").reason, "DockerUnreachable");
    assert!(!silent.settled && silent.phase == Phase::Unknown);
    // A short silence is ridden out: the status stays as it was, and that nothing is done is said.
    let why = "no answer".to_owned();
    let runtime =
        RuntimeView::Unknown { since: world.now, reason: "DockerUnreachable".into(), why, engine: None };
    let observation = Observation { runtime, ..world.observation() };
    let short = explain(&world.desired, &world.record, &observation, &Policy::default());
    assert!(short.settled && short.phase == Phase::Running);
    assert!(short.summary.contains("Nothing is done for it now: Docker does not answer"), "{short:?}");
    world.docker_answers = true;
    world.freeze = Some(freeze());
    let frozen = explained(&world);
    assert!(!frozen.settled && frozen.summary.contains("Nothing is done for it now: An operator said so."));
}

#[test]
fn a_stopped_game_has_no_next_turn() {
    let mut world = World::running();
    world.change(|desired| {
        if let Ok(spec) = &mut desired.spec {
            spec.turns.schedule = Some("*/20 * * * *".into());
        }
    });
    world.converge();
    assert!(world.record.next_turn_at.is_some());
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.converge();
    assert_eq!((world.record.phase, world.record.next_turn_at), (Phase::Stopped, None));
}

#[test]
fn a_version_that_is_not_registered_any_more_is_not_settled_though_it_serves() {
    let mut world = World::running();
    world.change(|desired| desired.version = None);
    world.converge();
    let ready = world.record.conditions.iter().find(|known| known.kind == ConditionType::Ready);
    assert_eq!(ready.map(|ready| ready.status), Some(ConditionStatus::False));
    assert_eq!(world.record.left_to_do, ["what keeps it from being ready (UnknownEngineVersion)"]);
    assert_eq!(world.record.waiting_on, ["a changed spec"]);
}
