//! State directories that others have under another name: Docker compares texts, the kernel does not.

use std::os::unix::fs::symlink;

use gamekeeper::runtime::{Rival, Runtime, RuntimeError};

use crate::meddler::{Call, Meddler};
use crate::world::{ENGINE, World, docker};

/// A container of somebody else's that lives on this volume. Gone at drop.
struct Sidecar(String);

impl Sidecar {
    fn on(volume: &str, more: &[&str]) -> Self {
        let engine = ["-e", "GAME_ID=x", "-e", "GAME_STATE_PATH=/tmp/x", ENGINE];
        let run = ["run", "-d", "--network", "none", "-v", volume];
        Self(docker(&[&run, more, &engine].concat()))
    }

    /// Its name, as a person is told.
    fn name(&self) -> String {
        docker(&["inspect", "-f", "{{.Name}}", &self.0]).trim_start_matches('/').to_owned()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        docker(&["rm", "-f", "-v", &self.0]);
    }
}

/// A volume of Docker's that is another name for a directory. Gone at drop.
struct Alias(String);

impl Alias {
    fn of(directory: &std::path::Path) -> Self {
        let device = format!("device={}", directory.display());
        let made = ["volume", "create", "-d", "local", "-o", "type=none", "-o", "o=bind", "-o", &device];
        Self(docker(&made))
    }
}

impl Drop for Alias {
    fn drop(&mut self) {
        docker(&["volume", "rm", "-f", &self.0]);
    }
}

#[tokio::test]
async fn whoever_can_write_to_a_state_under_another_name_is_found_by_everything_that_asks() {
    let world = World::new().prepared().await;
    let within = world.directory().join("kept");
    std::fs::create_dir(&within).expect("a directory");
    let (whole, part) = (Alias::of(&world.directory()), Alias::of(&within));
    let link = world.state_root.parent().expect("a parent").join("link");
    symlink(&world.state_root, &link).expect("a link");
    let linked = link.join(world.game.to_string());
    for source in [whole.0.as_str(), part.0.as_str(), linked.to_str().expect("a path")] {
        let sidecar = Sidecar::on(&format!("{source}:/seen"), &[]);
        let name = sidecar.name();
        match world.docker.rival(world.game, None).await.expect("an answer") {
            Some(Rival::Container(told)) => assert!(told.starts_with(&name), "{source}: {told}"),
            other => panic!("{source}: {other:?}"),
        }
        let made = world.docker.create(&world.wanted()).await;
        assert!(matches!(&made, Err(RuntimeError::DirectoryInUse(_))), "{source}: {made:?}");
        let removed = world.docker.remove_state_directory(world.game, &|_| {}).await;
        assert!(matches!(&removed, Err(RuntimeError::DirectoryInUse(_))), "{source}: {removed:?}");
        assert!(within.is_dir(), "{source}");
        drop(sidecar);
        let id = world.created().await;
        let sidecar = Sidecar::on(&format!("{source}:/seen"), &[]);
        let started = world.docker.start(world.game, &id).await;
        assert!(matches!(&started, Err(RuntimeError::DirectoryInUse(_))), "{source}: {started:?}");
        // Docker knows the one as before, once the other is gone.
        world.docker.remove(world.game, &id).await.expect("a removal");
        drop(sidecar);
        assert_eq!(world.docker.rival(world.game, None).await.expect("an answer"), None, "{source}");
    }
}

#[tokio::test]
async fn who_may_write_or_only_reads_is_no_rival_under_any_name() {
    let world = World::new().prepared().await;
    let alias = Alias::of(&world.directory());
    let running = world.running().await;
    let rival = || world.docker.rival(world.game, Some(&running.id));
    assert_eq!(rival().await.expect("an answer"), None, "the engine itself");
    let reads = Sidecar::on(&format!("{}:/seen:ro", alias.0), &[]);
    assert_eq!(rival().await.expect("an answer"), None, "who only reads");
    drop(reads);
    let writes = format!("{}:/seen", alias.0);
    let may = Sidecar::on(&writes, &["--label", "gamekeeper.dev/may-write-state=true"]);
    assert_eq!(rival().await.expect("an answer"), None, "who may write");
    docker(&["rm", "-f", running.id.as_str()]);
    // It would lose what it works on.
    let removed = world.docker.remove_state_directory(world.game, &|_| {}).await;
    assert!(matches!(&removed, Err(RuntimeError::DirectoryInUse(_))), "{removed:?}");
    drop(may);
    world.docker.remove_state_directory(world.game, &|_| {}).await.expect("a removal");
}

#[tokio::test]
async fn the_processes_of_all_games_are_compared_with_docker_in_one_list() {
    let meddler = Meddler::before_docker();
    let host = meddler.host();
    let world = World::with(|settings| settings.host = Some(host)).prepared().await;
    world.running().await;
    let calls = |call| meddler.times(call);
    let before = (calls(Call::Inspect), calls(Call::List));
    assert_eq!(world.docker.strays().await.expect("a look"), []);
    assert_eq!((calls(Call::Inspect), calls(Call::List)), (before.0, before.1 + 1));
}

#[tokio::test]
async fn a_container_that_may_be_alive_is_proven_dead_by_nobody_who_does_not_see_its_host() {
    let (listener, docker_at) =
        (tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port"), "/var/run/docker.sock");
    let address = listener.local_addr().expect("an address");
    let forwarding = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut upstream = tokio::net::UnixStream::connect(docker_at).await.expect("Docker");
                let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
            });
        }
    });
    let far = World::with(|settings| settings.host = Some(format!("tcp://{address}"))).prepared().await;
    let id = far.created().await;
    let proven = far.docker.check_can_be_proven_dead(&id).await;
    assert!(
        matches!(&proven, Err(RuntimeError::MayBeAlive { why, .. }) if why.contains("network")),
        "{proven:?}"
    );
    // A person removed it.
    docker(&["rm", id.as_str()]);
    far.docker.check_can_be_proven_dead(&id).await.expect("it is gone");
    forwarding.abort();

    let near = World::new().prepared().await;
    let id = near.created().await;
    near.docker.check_can_be_proven_dead(&id).await.expect("its host is seen");
}
