//! State directories, as an engine lives in one.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use gamekeeper::runtime::{Rival, Runtime, RuntimeError, StateDirectory};

use crate::world::{World, docker, eventually, health};

#[tokio::test]
async fn the_engine_owns_its_directory_and_nobody_else_sees_it() {
    let world = World::new().prepared().await;
    let found = std::fs::metadata(world.directory()).expect("the directory");
    assert_eq!(found.permissions().mode() & 0o7777, 0o700);
    let own = rustix::process::geteuid().as_raw();
    assert_eq!(found.uid(), if own == 0 { 10_001 } else { own });
    std::fs::write(world.directory().join("misbehave.json"), r#"{"earlyFiles": true}"#).expect("a file");
    world.running().await;
    let inside = world.directory().join(world.game.to_string());
    eventually("the engine has made its directory", || async { inside.is_dir().then_some(()) }).await;
}

#[tokio::test]
async fn links_that_an_engine_planted_lead_nowhere_at_removal() {
    let world = World::new().prepared().await;
    let outside = world.state_root.join("outside");
    std::fs::create_dir(&outside).expect("a directory");
    std::fs::write(outside.join("precious"), "x").expect("a file");
    std::os::unix::fs::symlink("../outside", world.directory().join("escape")).expect("a link");
    std::fs::write(world.directory().join("misbehave.json"), r#"{"plantSymlinks": true}"#).expect("a file");
    let running = world.running().await;
    let address = running.reachable_at.expect("an address");
    eventually("the engine is healthy", || health(&address)).await;
    docker(&["rm", "-f", running.id.as_str()]);
    let planted = std::fs::read_dir(world.directory()).expect("a listing").flatten();
    assert!(planted.filter(|entry| entry.path().is_symlink()).count() > 1, "the engine planted nothing");
    world.docker.remove_state_directory(world.game, &|_| {}).await.expect("a removal");
    world.docker.remove_state_directory(world.game, &|_| {}).await.expect("a removal again");
    assert_eq!(world.docker.state_directory(world.game).await.expect("a look"), StateDirectory::Absent);
    assert!(outside.join("precious").exists());
}

#[tokio::test]
async fn a_link_in_the_place_of_the_directory_is_mounted_by_nobody() {
    let world = World::new().prepared().await;
    let outside = world.state_root.join("outside");
    std::fs::create_dir(&outside).expect("a directory");
    std::fs::set_permissions(&outside, std::fs::Permissions::from_mode(0o777)).expect("a mode");
    let id = world.created().await;
    let aside = world.state_root.join("aside");
    std::fs::rename(world.directory(), &aside).expect("a rename");
    std::os::unix::fs::symlink(&outside, world.directory()).expect("a link");
    std::fs::write(outside.join("misbehave.json"), r#"{"earlyFiles": true}"#).expect("a file");
    let started = world.docker.start(world.game, &id).await;
    assert!(matches!(started, Err(RuntimeError::StateDirectory { .. })), "{started:?}");
    world.docker.remove(world.game, &id).await.expect("a removal");
    let created = world.docker.create(&world.wanted()).await;
    assert!(matches!(created, Err(RuntimeError::StateDirectory { .. })), "{created:?}");
    let removed = world.docker.remove_state_directory(world.game, &|_| {}).await;
    assert!(matches!(removed, Err(RuntimeError::StateDirectory { .. })), "{removed:?}");
    assert_eq!(std::fs::read_dir(&outside).expect("a listing").count(), 1, "no engine was here");

    std::fs::remove_file(world.directory()).expect("the link goes");
    std::fs::rename(&aside, world.directory()).expect("a rename");
    world.running().await;
}

#[tokio::test]
async fn without_its_directory_nothing_is_made() {
    let world = World::new();
    world.docker.create_network().await.expect("a network");
    let made = world.docker.create(&world.wanted()).await;
    assert!(
        matches!(&made, Err(RuntimeError::NotFound(what)) if what.contains("state directory")),
        "{made:?}"
    );
    assert!(!world.directory().exists(), "Docker has not made it either");
}

#[tokio::test]
async fn another_live_container_on_the_directory_stops_creation_and_start() {
    let world = World::new().prepared().await;
    let mount = format!("type=bind,src={},dst=/data", world.directory().display());
    let other = docker(&[
        "create",
        "--mount",
        &mount,
        "-e",
        "GAME_ID=x",
        "-e",
        "GAME_STATE_PATH=/data/x",
        "--user",
        "0",
        crate::world::ENGINE,
    ]);
    let id = world.created().await;
    docker(&["start", &other]);
    let started = world.docker.start(world.game, &id).await;
    docker(&["pause", &other]);
    world.docker.remove(world.game, &id).await.expect("a removal");
    let created = world.docker.create(&world.wanted()).await;
    docker(&["rm", "-f", &other]);
    assert!(matches!(started, Err(RuntimeError::DirectoryInUse(_))), "{started:?}");
    assert!(matches!(created, Err(RuntimeError::DirectoryInUse(_))), "{created:?}");
}

#[tokio::test]
async fn who_only_reads_a_state_is_no_rival_and_who_can_write_above_or_within_it_is_one() {
    let world = World::new().prepared().await;
    let within = world.directory().join("kept");
    std::fs::create_dir(&within).expect("a directory");
    let parent = world.state_root.parent().expect("a parent").to_owned();
    for (source, mode, is_rival) in [
        (world.directory(), "ro", false),
        (world.state_root.clone(), "ro", false),
        (world.directory(), "rw", true),
        (world.state_root.clone(), "rw", true),
        (parent, "rw", true),
        (within, "rw", true),
    ] {
        let volume = format!("{}:/seen:{mode}", source.display());
        let other = docker(&[
            "run",
            "-d",
            "--network",
            "none",
            "-v",
            &volume,
            "-e",
            "GAME_ID=x",
            "-e",
            "GAME_STATE_PATH=/tmp/x",
            crate::world::ENGINE,
        ]);
        let rival = world.docker.rival(world.game, None).await;
        docker(&["stop", "-t", "0", &other]);
        let stopped = world.docker.rival(world.game, None).await;
        docker(&["rm", "-f", &other]);
        let rival = rival.expect("an answer");
        assert_eq!(rival.is_some(), is_rival, "{volume}: {rival:?}");
        if let Some(rival) = rival {
            let Rival::Container(rival) = rival else { panic!("{rival:?}") };
            assert!(rival.contains(&*source.to_string_lossy()), "{rival}");
        }
        assert_eq!(stopped.expect("an answer"), None, "{volume}");
    }
}
