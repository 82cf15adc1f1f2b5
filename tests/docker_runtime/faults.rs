//! What goes wrong, and what it is called.

use std::time::{Duration, Instant};

use gamekeeper::game::{ImageId, ImageRef};
use gamekeeper::runtime::docker::PullPolicy;
use gamekeeper::runtime::{Cause, ContainerState, ImageSelector, Owner, PullFailure, Runtime, RuntimeError};

use crate::cut_socket::CutSocket;
use crate::meddler::{Action, Call, Meddler, When};
use crate::world::{ENGINE, World, docker};

#[tokio::test]
async fn a_foreign_container_of_our_name_is_never_touched() {
    let world = World::new().prepared().await;
    let name = world.container_name();
    docker(&["run", "-d", "--name", &name, "-e", "GAME_ID=x", "-e", "GAME_STATE_PATH=/tmp/x", ENGINE]);
    let seen = world.seen().await;
    assert_eq!((seen.owner, seen.token), (Owner::Foreign, None));
    assert!(matches!(world.docker.create(&world.wanted()).await, Err(RuntimeError::Conflict(_))));
    let grace = Duration::from_secs(1);
    assert!(matches!(world.docker.start(world.game, &seen.id).await, Err(RuntimeError::NotOurs(_))));
    assert!(matches!(world.docker.stop(world.game, &seen.id, grace).await, Err(RuntimeError::NotOurs(_))));
    assert!(matches!(world.docker.remove(world.game, &seen.id).await, Err(RuntimeError::NotOurs(_))));
    assert!(matches!(world.docker.log_tail(&seen.id, 1).await, Err(RuntimeError::NotOurs(_))));
    assert_eq!(world.docker.list().await.expect("a list"), []);
    assert!(matches!(
        world.seen().await.state,
        ContainerState::Running { .. } | ContainerState::Exited { .. }
    ));
    docker(&["rm", "-f", &name]);
}

#[tokio::test]
async fn a_container_of_another_game_or_instance_is_not_this_games() {
    let world = World::new().prepared().await;
    let id = world.created().await;
    let other = World::new();
    let grace = Duration::from_secs(1);
    assert!(matches!(world.docker.remove(other.game, &id).await, Err(RuntimeError::NotOurs(_))));
    assert!(matches!(other.docker.stop(world.game, &id, grace).await, Err(RuntimeError::NotOurs(_))));
    assert!(matches!(other.docker.start(world.game, &id).await, Err(RuntimeError::NotOurs(_))));
    assert_eq!(world.seen().await.id, id);
}

#[tokio::test]
async fn of_two_creations_at_once_one_wins() {
    let world = World::new().prepared().await;
    let (wanted, twin) = (world.wanted(), world.twin());
    let (one, two) = tokio::join!(world.docker.create(&wanted), twin.create(&wanted));
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1, "{one:?} {two:?}");
    let lost = if one.is_ok() { two } else { one };
    assert!(matches!(lost, Err(RuntimeError::Conflict(_))), "{lost:?}");
    assert_eq!(world.docker.list().await.expect("a list").len(), 1);
}

#[tokio::test]
async fn two_makers_of_the_network_end_with_one() {
    for _ in 0..3 {
        let world = World::new();
        let twin = world.twin();
        let (one, two) = tokio::join!(world.docker.create_network(), twin.create_network());
        let ids =
            docker(&["network", "ls", "-q", "--no-trunc", "--filter", &format!("name={}", world.network())]);
        assert_eq!(ids.lines().count(), 1, "{ids}");
        for made in [one, two] {
            assert_eq!(made.expect("a network").as_str(), ids);
        }
    }
}

#[tokio::test]
async fn an_absent_docker_is_unreachable_and_a_silent_one_times_out() {
    let socket = CutSocket::to_docker().await;
    let host = socket.host();
    let world = World::with(|settings| {
        settings.host = Some(host);
        settings.deadlines.look = Duration::from_millis(300);
    });
    assert!(world.docker.identity().await.is_ok_and(|identity| !identity.id.is_empty()));
    socket.hang();
    assert!(matches!(
        world.docker.inspect(world.game).await,
        Err(RuntimeError::TimedOut { call: "inspect", .. })
    ));
    assert!(matches!(world.docker.network().await, Err(RuntimeError::TimedOut { .. })));
    socket.cut().await;
    assert!(matches!(world.docker.inspect(world.game).await, Err(RuntimeError::Unreachable(_))));
    assert!(matches!(world.docker.list().await, Err(RuntimeError::Unreachable(_))));
    socket.restore().await;
    assert!(world.docker.inspect(world.game).await.expect("an answer").is_none());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let socket = CutSocket::to_docker().await;
    let host = socket.host();
    let world = World::with(|settings| settings.host = Some(host));
    world.docker.list().await.expect("a list");
    socket.hang();
    let (listed, ()) = tokio::join!(world.docker.list(), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        socket.cut().await;
    });
    assert!(matches!(listed, Err(RuntimeError::Unreachable(_))), "{listed:?}");
}

#[tokio::test]
async fn many_calls_use_few_connections() {
    let socket = CutSocket::to_docker().await;
    let host = socket.host();
    let world = World::with(|settings| settings.host = Some(host));
    let begun = Instant::now();
    for _ in 0..200 {
        world.docker.inspect(world.game).await.expect("an answer");
    }
    eprintln!("200 inspects in {:?}", begun.elapsed());
    assert_eq!(socket.connections(), 1);
    for _ in 0..10 {
        futures::future::join_all((0..8).map(|_| world.docker.inspect(world.game))).await;
    }
    assert!(socket.connections() <= 9, "{} connections", socket.connections());
}

#[tokio::test]
async fn a_network_that_was_made_again_shows_in_its_containers() {
    let world = World::new().prepared().await;
    let id = world.running().await.id;
    world.docker.stop(world.game, &id, Duration::from_secs(5)).await.expect("a stop");
    docker(&["network", "rm", world.network()]);
    let gone = world.docker.start(world.game, &id).await;
    assert!(matches!(gone, Err(RuntimeError::Because { cause: Cause::NetworkGone, .. })), "{gone:?}");
    let new = world.docker.create_network().await.expect("a network");
    let seen = world.seen().await;
    let again = world.docker.start(world.game, &id).await;
    let then = world.seen().await;
    eprintln!(
        "before {:?}, start {again:?}, then {:?} {:?}; new {new}",
        seen.network_id, then.state, then.network_id
    );
    assert_ne!(seen.network_id, Some(new));
}

#[tokio::test]
async fn a_live_container_that_was_taken_off_its_network_has_lost_its_endpoint() {
    let world = World::new().prepared().await;
    let id = world.running().await.id;
    docker(&["network", "disconnect", "-f", world.network(), id.as_str()]);
    let seen = world.seen().await;
    assert!(matches!(seen.state, ContainerState::Running { .. }));
    assert_eq!((seen.network_id, seen.reachable_at), (None, None));
    assert_eq!(world.docker.list().await.expect("a list")[0].address, None);
}

#[tokio::test]
async fn images_are_found_by_reference_and_by_id_and_otherwise_got_by_the_policy() {
    let world = World::with(|settings| settings.pull_policy = PullPolicy::Never);
    let reference = ImageRef::new(ENGINE);
    let id = world.docker.image(&ImageSelector::Reference(reference.clone())).await.expect("an answer");
    let id = id.expect("the engine's image");
    assert_eq!(
        world.docker.image(&ImageSelector::Pinned(id.clone())).await.expect("an answer"),
        Some(id.clone())
    );
    assert_eq!(world.docker.pull(&reference, &|_| {}).await.expect("it is here"), id);
    let absent = ImageRef::new("registry.invalid/gamekeeper/absent:1");
    let user = world.docker.image_user(&id).await.expect("an answer");
    assert_eq!(user.as_deref(), Some("10001:10001"));
    let nobodys = ImageId::new(format!("sha256:{}", "0".repeat(64)));
    assert_eq!(world.docker.image_user(&nobodys).await.expect("an answer"), None);
    assert_eq!(world.docker.image(&ImageSelector::Reference(absent.clone())).await.expect("an answer"), None);
    let pulled = world.docker.pull(&absent, &|_| {}).await;
    assert!(matches!(pulled, Err(RuntimeError::Pull { kind: PullFailure::Forbidden, .. })), "{pulled:?}");

    let world = World::new().prepared().await;
    let pulled = world.docker.pull(&absent, &|_| {}).await;
    assert!(matches!(pulled, Err(RuntimeError::Pull { kind: PullFailure::Unreachable, .. })), "{pulled:?}");
    let mut wanted = world.wanted();
    wanted.image = ImageSelector::Reference(absent);
    let made = world.docker.create(&wanted).await;
    assert!(matches!(made, Err(RuntimeError::NotFound(_))), "{made:?}");
}

#[tokio::test]
async fn a_paused_container_is_not_proven_dead_and_can_be_stopped() {
    let world = World::new().prepared().await;
    let id = world.running().await.id;
    docker(&["pause", id.as_str()]);
    assert!(matches!(world.seen().await.state, ContainerState::Unsettled { .. }));
    world.docker.stop(world.game, &id, Duration::from_secs(1)).await.expect("a stop");
    assert!(matches!(world.seen().await.state, ContainerState::Exited { .. }));
}

#[tokio::test]
async fn a_network_without_an_address_left_is_called_so() {
    let world = World::new();
    // Two addresses, one of them the gateway's.
    let subnet = format!("10.231.{}.{}/30", rand::random_range(0..250), 4 * rand::random_range(0..60));
    docker(&["network", "create", "--subnet", &subnet, world.network()]);
    let world = world.prepared().await;
    let other = docker(&[
        "run",
        "-d",
        "--network",
        world.network(),
        "-e",
        "GAME_ID=x",
        "-e",
        "GAME_STATE_PATH=/tmp/x",
        ENGINE,
    ]);
    let id = world.created().await;
    let started = world.docker.start(world.game, &id).await;
    docker(&["rm", "-f", &other]);
    let Err(RuntimeError::Because { cause: Cause::AddressesUsedUp, said }) = started else {
        panic!("{started:?}")
    };
    assert!(said.contains(world.network()), "{said}");
    world.docker.start(world.game, &id).await.expect("there is an address again");
}

#[tokio::test]
async fn what_an_image_cannot_do_is_told_by_its_name() {
    let world = World::new().prepared().await;
    for (change, cause) in [
        ("ENTRYPOINT [\"/nothing/is: no space left on device\"]", Cause::EntrypointMissing),
        ("ENTRYPOINT [\"/etc\"]", Cause::EntrypointDenied),
    ] {
        let base = docker(&["create", ENGINE]);
        let image = docker(&["commit", "-c", change, &base]);
        docker(&["rm", &base]);
        let mut wanted = world.wanted();
        wanted.image = ImageSelector::Pinned(ImageId::new(image.clone()));
        let id = world.docker.create(&wanted).await.expect("a container");
        let started = world.docker.start(world.game, &id).await;
        world.docker.remove(world.game, &id).await.expect("a removal");
        docker(&["rmi", &image]);
        assert!(
            matches!(started, Err(RuntimeError::Because { cause: found, .. }) if found == cause),
            "{change}: {started:?}"
        );
    }
}

#[tokio::test]
async fn a_change_that_docker_is_late_with_is_that_calls_alone() {
    let meddler = Meddler::before_docker();
    let late = meddler.set(When::call(Call::Create), Action::HoldBefore);
    let world = World::with(|settings| {
        settings.host = Some(meddler.host());
        settings.deadlines.change = Duration::from_millis(200);
    });
    let network = world.network().to_owned();
    docker(&["network", "create", &network]);
    world.docker.create_state_directory(world.game, Default::default()).await.expect("a directory");
    let made = world.docker.create(&world.wanted()).await;
    assert!(matches!(made, Err(RuntimeError::TimedOut { call: "create", .. })), "{made:?}");
    assert_eq!(late.times(), 1);
    // What is late may come yet, and everything else is answered.
    world.docker.list().await.expect("a list");
    world.docker.identity().await.expect("an answer");
}
