//! Containers with the game's labels that were not made here: told, and left alone, whatever goes on.

use std::time::Duration;

use crate::game::container::{Container, ContainerState};
use crate::game::spec::DesiredStatus;
use crate::game::{ContainerId, ImageId, Phase};
use crate::reconcile::plan::STRANGE_CONTAINER;

use super::restores::{ask, with_a_copy};
use super::world::{Newer, World};

/// A request of somebody's.
type Wish = fn(&mut World);

/// The ways of a game from one container to another.
const WAYS: [(&str, Wish); 5] = [
    ("a patch", |world| world.wants("1.4.3")),
    ("a patch that fails", |world| {
        world.newer = Newer::NeverHealthy;
        world.wants("1.4.3");
    }),
    ("a patch that ruins the state", |world| {
        world.newer = Newer::RuinsTheState;
        world.wants("1.4.3");
    }),
    ("a restore", |world| {
        let copy = world.backups.keys().next().unwrap().clone();
        ask(world, &copy);
    }),
    ("a restart", |world| world.change(|desired| desired.requests.restart += 1)),
];

/// As Watchtower makes them, and as a person does who starts an image that was committed from an engine.
fn strangers(own: &Container) -> Vec<Container> {
    let running = ContainerState::Running { started_at: "by somebody".into() };
    let exited = ContainerState::Exited { started_at: "by somebody".into(), code: 0, out_of_memory: false };
    let paused = ContainerState::Unsettled { status: "paused".into() };
    let id = ContainerId::new("f00d");
    let another =
        |state| Container { id: id.clone(), image_id: ImageId::new("sha256:7"), state, ..own.clone() };
    let unlike = Some("its name is `naughty_euler`".to_owned());
    vec![
        another(running.clone()),
        another(exited),
        another(paused),
        Container { id: id.clone(), unlike, state: running, ..own.clone() },
    ]
}

#[test]
fn a_stranger_is_told_and_never_touched_at_any_moment_of_a_change() {
    for (way, begin) in WAYS {
        let mut moments = 0;
        for rounds in 0..40 {
            let (mut world, _) = with_a_copy();
            let own = world.container.clone().unwrap();
            begin(&mut world);
            for _ in 0..rounds {
                world.round();
                world.now = crate::reconcile::backoff::after(world.now, Duration::from_secs(5));
            }
            for stranger in strangers(&own) {
                for status in [DesiredStatus::Running, DesiredStatus::Stopped] {
                    let mut world = world.clone();
                    let made_from = world.record.image_id.clone();
                    world.container = Some(stranger.clone());
                    world.done.clear();
                    world.change(|desired| desired.status = status);
                    world.later(Duration::from_secs(600));
                    let what = format!("{way}, {rounds} rounds, {status:?}, {made_from:?}: {stranger:?}");
                    let touches = |step: &String| step.contains("f00d");
                    assert!(!world.done.iter().any(touches), "{what}: {:?}", world.done);
                    assert_eq!(
                        (world.record.phase, world.record.reason.as_str()),
                        (Phase::Blocked, STRANGE_CONTAINER),
                        "{what}: {}",
                        world.record.message
                    );
                    moments += 1;
                }
            }
        }
        assert!(moments > 100, "{way}");
    }
}
