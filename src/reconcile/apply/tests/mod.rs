use std::io;

use crate::game::container::ContainerState;
use crate::reconcile::observed::RuntimeView;
use crate::reconcile::plan::tests::world::World;
use crate::runtime::Cause;

use super::*;

fn start() -> Step {
    Step::StartContainer(ContainerId::new("c1"))
}

fn class_of(step: &Step, error: &RuntimeError) -> (FailureClass, Pace, String) {
    let Failure { class, pace, reason, .. } = failure(step, error);
    (class, pace, reason)
}

#[test]
fn a_late_answer_is_one_calls_and_a_broken_connection_is_dockers() {
    let late = RuntimeError::TimedOut { call: "start", after: Duration::from_secs(120) };
    assert_eq!(class_of(&start(), &late), (FailureClass::Retry, Pace::Usual, DOCKER_TOO_SLOW.into()));
    assert_eq!(class_of(&Step::CreateNetwork, &late).0, FailureClass::Retry);
    // What only looks has learnt nothing.
    assert_eq!(
        class_of(&Step::LookAtNetwork, &late),
        (FailureClass::Unknown, Pace::Usual, DOCKER_TOO_SLOW.into())
    );
    let broken = RuntimeError::Unreachable(Box::new(io::Error::from(io::ErrorKind::ConnectionReset)));
    assert_eq!(class_of(&start(), &broken), (FailureClass::Unknown, Pace::Usual, DOCKER_UNREACHABLE.into()));
    assert_eq!(broken.io_kind(), Some(io::ErrorKind::ConnectionReset));
}

#[test]
fn what_is_the_images_fault_waits_for_the_spec_and_what_is_the_hosts_is_tried_again() {
    for cause in Cause::ALL {
        let error = RuntimeError::Because { cause, said: "words".into() };
        let images = [Cause::EntrypointMissing, Cause::EntrypointDenied, Cause::UserUnknown].contains(&cause);
        let (class, _, reason) = class_of(&start(), &error);
        let hosts =
            [Cause::ContainerRuntimeMissing, Cause::KeysUsedUp, Cause::ControlGroupsUsedUp].contains(&cause);
        let expected = match (images, hosts) {
            (true, _) => FailureClass::Spec,
            (false, true) => FailureClass::Host,
            (false, false) => FailureClass::Retry,
        };
        assert_eq!((class, reason.as_str()), (expected, cause.reason()));
        let looking = if hosts { FailureClass::Host } else { FailureClass::Retry };
        assert_eq!(class_of(&Step::LookAtNetwork, &error).0, looking, "{cause:?}");
        assert!(failure(&start(), &error).message.ends_with(": words"), "{error}");
    }
    let refused = RuntimeError::Refused("words".into());
    assert_eq!(class_of(&start(), &refused).0, FailureClass::Spec);
    assert_eq!(
        class_of(&Step::CreateNetwork, &refused),
        (FailureClass::Retry, Pace::Usual, "DockerRefused".into())
    );
}

#[test]
fn a_removal_that_docker_cannot_do_is_told_with_the_one_that_a_person_can() {
    let mut world = World::running();
    world.container.as_mut().expect("a container").state = ContainerState::Dead;
    let RuntimeView::Known(seen) = world.observation().runtime else { panic!("Docker answers") };
    let step = Step::RemoveContainer(seen.dead(None).expect("it has no process"));
    let busy = RuntimeError::Failed("driver \"overlay2\" failed to remove root filesystem: busy".into());
    let failed = failure(&step, &busy);
    assert_eq!((failed.class, failed.pace), (FailureClass::Retry, Pace::Usual));
    assert!(failed.message.contains("root filesystem: busy. "), "{}", failed.message);
    assert!(failed.message.contains("`docker rm -f container-1`"), "{}", failed.message);
}

#[test]
fn the_disk_of_the_state_is_not_dockers() {
    let of = |kind: io::ErrorKind| RuntimeError::StateDirectory {
        path: "/state/tls/no space left on device".into(),
        verb: "created",
        source: kind.into(),
    };
    let step = Step::LookAtStateDirectory;
    for (kind, reason, pace) in [
        (io::ErrorKind::StorageFull, "StateDiskFull", Pace::Slow),
        (io::ErrorKind::QuotaExceeded, "StateDiskFull", Pace::Slow),
        (io::ErrorKind::ReadOnlyFilesystem, "StateDiskReadOnly", Pace::Slow),
        (io::ErrorKind::PermissionDenied, "StateDirectoryDenied", Pace::Slow),
        (io::ErrorKind::NotADirectory, "StateDirectoryFailed", Pace::Usual),
    ] {
        assert_eq!(class_of(&step, &of(kind)), (FailureClass::Retry, pace, reason.into()));
    }
    let slow = RuntimeError::DiskTimedOut { verb: "copied", after: Duration::from_secs(300) };
    assert_eq!(class_of(&step, &slow), (FailureClass::Retry, Pace::Usual, "StateDiskTooSlow".into()));
}
