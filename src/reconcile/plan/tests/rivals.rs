//! Others that can write to a game's state: the engine that is there goes on, whatever is asked for.

use crate::game::container::Rival;
use crate::game::operation::{Ending, OperationKind};
use crate::game::spec::DesiredStatus;
use crate::game::{ImageRef, Phase};
use crate::reconcile::plan::DIRECTORY_IN_USE;

use super::world::{Looks, World};

const SIDECAR: &str = "sidecar has /srv/games mounted for writing";

fn with_a_rival() -> World {
    let mut world = World::running();
    world.rival = Some(Rival::Container(SIDECAR.to_owned()));
    world
}

fn is_untouched(world: &World) {
    assert!(
        world.done.iter().all(|step| !step.starts_with("stop") && !step.starts_with("remove")),
        "{:?}",
        world.done
    );
    assert_eq!(world.record.phase, Phase::Running);
}

#[test]
fn a_restart_is_refused_while_another_can_write_to_the_state_and_done_when_none_can() {
    let mut world = with_a_rival();
    world.change(|desired| desired.requests.restart += 1);
    let mut refused = Vec::new();
    for _ in 0..6 {
        refused.extend(world.round().operation.at_once);
    }
    let [(new, Ending::Failed { code, message })] = refused.as_slice() else { panic!("{refused:?}") };
    assert_eq!((new.kind, code.as_str()), (OperationKind::Restart, DIRECTORY_IN_USE));
    assert!(message.contains(SIDECAR), "{message}");
    assert_eq!(world.record.observed_requests.restart, world.desired.requests.restart);
    is_untouched(&world);

    world.rival = None;
    world.looks = Looks::none();
    world.change(|desired| desired.requests.restart += 1);
    world.converge();
    assert!(world.done.iter().any(|step| step.starts_with("stop")), "{:?}", world.done);
    assert_eq!(world.record.phase, Phase::Running);
}

#[test]
fn changed_inputs_wait_until_nobody_else_can_write_to_the_state() {
    let mut world = with_a_rival();
    world.change(|desired| desired.spec.as_mut().unwrap().resources.memory_bytes = Some(512 << 20));
    for _ in 0..6 {
        world.round();
        is_untouched(&world);
    }
    // Looking, or having looked: the reason stands while it waits.
    let shown = [world.round().record.reason, world.round().record.reason];
    assert!(shown.iter().any(|reason| reason == DIRECTORY_IN_USE), "{shown:?}");
    world.rival = None;
    world.looks = Looks::none();
    world.converge();
    assert!(world.done.iter().any(|step| step.starts_with("stop")), "{:?}", world.done);
}

#[test]
fn a_change_of_version_is_put_off_while_another_can_write_to_the_state() {
    let mut world = with_a_rival();
    let version: crate::game::EngineVersion = "1.4.3".parse().unwrap();
    world.change(|desired| {
        desired.spec.as_mut().unwrap().engine_version = Some(version.clone().into());
        let entry = desired.version.as_mut().unwrap();
        entry.image = ImageRef::new("engine:1.4.3");
        entry.version = version;
    });
    for _ in 0..12 {
        world.round();
        is_untouched(&world);
    }
    let delay = world.record.patch_delay.clone().unwrap();
    assert_eq!(delay.reason, DIRECTORY_IN_USE);
    assert!(delay.message.contains(SIDECAR), "{}", delay.message);
}

#[test]
fn a_restore_touches_nothing_while_another_can_write_to_the_state() {
    let mut world = World::running();
    world.change(|desired| desired.requests.backup += 1);
    world.converge();
    let copy = world.backups.keys().next().unwrap().clone();
    world.done.clear();
    world.rival = Some(Rival::Container(SIDECAR.to_owned()));
    world.change(|desired| {
        desired.restore_backup = Some(copy);
        desired.requests.restore += 1;
    });
    let mut closed = Vec::new();
    for _ in 0..12 {
        closed.extend(world.round().operation.close);
        is_untouched(&world);
    }
    assert!(
        closed.iter().any(|ending| matches!(ending, Ending::Failed { code, .. } if code == DIRECTORY_IN_USE)),
        "{closed:?}"
    );
    assert_eq!(world.record.put_back, None);
}

#[test]
fn a_stop_asks_nobody() {
    let mut world = with_a_rival();
    world.change(|desired| desired.status = DesiredStatus::Stopped);
    world.converge();
    assert_eq!(world.record.phase, Phase::Stopped);
}
