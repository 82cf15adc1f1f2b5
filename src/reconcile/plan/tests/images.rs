//! The image that a game runs is gone: that is found out before an engine is, and there is a way on.

use std::time::Duration;

use crate::game::operation::{Ending, OperationKind};
use crate::game::{BackupId, ImageId, Phase};
use crate::reconcile::plan::PINNED_IMAGE_GONE;

use super::world::{Newer, Turns, World};

fn runs(world: &World) -> String {
    world.record.applied.as_ref().unwrap().engine_version.to_string()
}

/// A game that was taken from 1.4.2 to 1.4.3, at turn 1, and the copy that was taken before.
fn patched() -> (World, BackupId) {
    let mut world = World::running();
    world.wants("1.4.3");
    world.converge();
    let copy = world.backups.keys().next().unwrap().clone();
    world.change(|desired| desired.requests.force_turn += 1);
    world.converge();
    assert_eq!((runs(&world).as_str(), world.turn), ("1.4.3", Some(1)), "{:?}", world.done);
    world.done.clear();
    (world, copy)
}

fn restores(world: &mut World, copy: &BackupId) {
    let copy = copy.clone();
    world.change(|desired| {
        desired.restore_backup = Some(copy);
        desired.requests.restore += 1;
    });
}

#[test]
fn a_copy_whose_image_cannot_be_had_is_refused_while_the_engine_runs() {
    let (mut world, copy) = patched();
    (world.image_on_host, world.registry_has_it) = (false, false);
    restores(&mut world, &copy);
    let mut told = Vec::new();
    for _ in 0..20 {
        let planned = world.round();
        if let Some(Ending::Failed { code, message }) = planned.operation.close {
            told.push((code, message));
        }
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, PINNED_IMAGE_GONE);
    assert!(told[0].1.starts_with("Nothing was put back"), "{told:?}");
    assert_eq!(world.done, ["fetch backup 20270115T080000000Z-before-1.4.3"]);
    assert!(world.is_alive() && world.record.phase == Phase::Running && world.record.put_back.is_none());
    assert_eq!((world.turn, world.record.timeline), (Some(1), 1));
    // Once it can be had it is brought, and the copy is put back.
    world.registry_has_it = true;
    restores(&mut world, &copy);
    world.converge();
    let place = format!("{} {:?}", world.record.message, world.done);
    assert_eq!((world.turn, world.record.timeline), (Some(0), 2), "{place}");
}

#[test]
fn the_image_of_a_copy_is_brought_again_if_it_goes_while_a_turn_is_waited_for() {
    for registry_has_it in [true, false] {
        let (mut world, copy) = patched();
        world.turns = Turns::Never;
        world.change(|desired| desired.requests.force_turn += 1);
        world.converge();
        restores(&mut world, &copy);
        world.converge();
        let fetch = "fetch backup 20270115T080000000Z-before-1.4.3";
        assert_eq!(world.done, ["generate turn 2", fetch]);
        // As `docker image prune -a` does.
        (world.image_on_host, world.registry_has_it) = (false, registry_has_it);
        (world.turns, world.turn) = (Turns::AtOnce, Some(2));
        world.later(Duration::from_secs(30));
        let place = format!("{registry_has_it}: {} {:?}", world.record.message, world.done);
        if registry_has_it {
            assert_eq!(world.done[2], fetch, "before the engine goes: {place}");
            assert!(world.done[3].starts_with("stop container"), "{place}");
            assert_eq!((world.turn, world.record.timeline), (Some(0), 2), "{place}");
        } else {
            assert_eq!(world.done[2..], [fetch], "{place}");
            assert!(world.is_alive() && world.record.put_back.is_none(), "{place}");
            assert_eq!((world.record.phase, world.turn), (Phase::Running, Some(2)), "{place}");
        }
    }
}

/// A game without a container, on an image that is gone; its tag is another one now, if it is there.
fn without_its_image(tag_is_there: bool) -> World {
    let mut world = World::running();
    world.change(|desired| desired.requests.force_turn += 1);
    world.converge();
    world.kill(137);
    world.container = None;
    world.forget_facts();
    (world.image_on_host, world.registry_has_it) = (false, tag_is_there);
    if tag_is_there {
        world.record.image_id = Some(ImageId::new("sha256:older"));
    }
    let wanted = if tag_is_there { PINNED_IMAGE_GONE } else { "Failed" };
    for _ in 0..20 {
        if world.record.reason != wanted {
            world.now += jiff::Span::new().seconds(30);
            world.round();
        }
    }
    assert_eq!(world.record.reason, wanted, "{:?}", world.done);
    world.done.clear();
    world
}

#[test]
fn a_game_whose_image_is_gone_is_taken_to_another_version_that_is_wanted() {
    for tag_is_there in [false, true] {
        let mut world = without_its_image(tag_is_there);
        world.wants("1.4.3");
        world.converge();
        let place = format!("{tag_is_there}: {} {:?}", world.record.message, world.done);
        assert_eq!((world.record.phase, runs(&world).as_str()), (Phase::Running, "1.4.3"), "{place}");
        assert_eq!((world.turn, world.backups.len()), (Some(1), 1), "by a copy of its state: {place}");
        assert!(!world.done.iter().any(|step| step.starts_with("stop")), "{place}");
        assert_eq!(world.operation(), None);
        world.change(|desired| desired.requests.force_turn += 1);
        world.converge();
        assert_eq!(world.turn, Some(2), "{place}");
    }
}

#[test]
fn an_image_that_is_gone_makes_no_version_compatible_and_none_that_fails_good() {
    // Another minor number needs a word, as ever.
    let mut world = without_its_image(true);
    world.wants("1.5.0");
    world.later(Duration::from_secs(600));
    assert_eq!((runs(&world).as_str(), world.record.reason.as_str()), ("1.4.2", PINNED_IMAGE_GONE));
    let allowed = "1.5.0".parse().unwrap();
    world.change(|desired| desired.spec.as_mut().unwrap().allow_incompatible_version = Some(allowed));
    world.converge();
    assert_eq!((runs(&world).as_str(), world.record.phase), ("1.5.0", Phase::Running), "{:?}", world.done);
    // One that fails gives the state back as it was; that it was tried is remembered.
    let mut world = without_its_image(true);
    world.newer = Newer::ExitsAtStart;
    world.wants("1.4.3");
    for _ in 0..3 {
        world.later(Duration::from_secs(2));
    }
    assert_eq!((runs(&world).as_str(), world.record.reason.as_str()), ("1.4.2", PINNED_IMAGE_GONE));
    assert!(world.record.failed_patch.is_some() && world.record.put_back.is_none());
    assert_eq!(world.turn, Some(1));
    // And a word takes the image that has the name now.
    world.change(|desired| desired.requests.unblock += 1);
    world.later(Duration::from_secs(600));
    assert_eq!((runs(&world).as_str(), world.record.phase), ("1.4.2", Phase::Running), "{:?}", world.done);
}

#[test]
fn an_image_that_is_fetched_again_is_no_reason_to_leave_it() {
    let mut world = without_its_image(false);
    world.registry_has_it = true;
    world.later(Duration::from_secs(600));
    assert_eq!((world.record.phase, runs(&world).as_str()), (Phase::Running, "1.4.2"));
    assert!(world.record.patch.is_none() && world.backups.is_empty());
    assert_ne!(world.operation(), Some(OperationKind::Patch));
    // Neither is the wish for a version whose image cannot be had: the old one is tried as ever.
    let mut world = without_its_image(false);
    world.newer_can_be_had = false;
    world.wants("1.4.3");
    world.later(Duration::from_secs(2));
    world.registry_has_it = true;
    world.later(Duration::from_secs(600));
    assert_eq!((world.record.phase, runs(&world).as_str()), (Phase::Running, "1.4.2"), "{:?}", world.done);
}
