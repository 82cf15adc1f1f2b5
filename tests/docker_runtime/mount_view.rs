//! The state root as Docker mounts it, compared with the one that is seen here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use gamekeeper::game::controller::MountView;
use gamekeeper::runtime::Runtime;
use gamekeeper::runtime::docker::DockerRuntime;
use serde_json::json;

use crate::meddler::{Action, Call, Meddler, When};
use crate::world::{World, docker};

/// A world whose state root Docker is told to look for elsewhere, where nothing is yet.
fn told_elsewhere() -> (World, PathBuf) {
    let mut elsewhere = PathBuf::new();
    let world = World::with(|settings| {
        elsewhere = settings.state_root.with_file_name("elsewhere");
        settings.state_root_on_host = Some(elsewhere.clone());
    });
    (world, elsewhere)
}

async fn view(world: &World) -> MountView {
    view_of(&world.docker, Duration::ZERO).await
}

async fn view_of(docker: &DockerRuntime, not_older_than: Duration) -> MountView {
    let engine = docker.identity().await.expect("an identity").id;
    docker.mount_view(&engine, not_older_than).await
}

/// What Docker sees instead.
async fn sees(world: &World) -> String {
    match view(world).await {
        MountView::Other { sees, .. } => sees,
        other => panic!("{other:?}"),
    }
}

/// The containers by which it is compared.
fn containers(world: &World) -> Vec<String> {
    let label = format!("label=gamekeeper.dev/instance={}", world.instance);
    let format = "{{.Names}} {{.Status}} {{.Networks}}";
    let listed = docker(&["ps", "-a", "--filter", &label, "--format", format]);
    listed.lines().map(str::to_owned).collect()
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().expect("cp");
    assert!(copied.success());
}

#[tokio::test]
async fn every_other_directory_is_told_from_the_state_root_and_the_right_one_is_known_again() {
    let (world, elsewhere) = told_elsewhere();
    world.docker.create_state_directory(world.game, Default::default()).await.expect("a directory");
    assert_eq!(sees(&world).await, "there is no directory");
    assert!(!elsewhere.exists(), "Docker has not made it either");

    let right = || std::os::unix::fs::symlink(&world.state_root, &elsewhere).expect("a link");
    right();
    assert_eq!(view(&world).await, MountView::Same);
    std::fs::remove_file(&elsewhere).expect("the link goes");
    assert_eq!(sees(&world).await, "there is no directory");

    // A disk that is not mounted, below which an engine was once.
    std::fs::create_dir_all(elsewhere.join(world.game.to_string())).expect("a directory");
    assert!(sees(&world).await.contains("no state root"));
    // The root of another database.
    std::fs::create_dir(elsewhere.join(".gamekeeper")).expect("a directory");
    let other = "0b9a3c1e-7a3f-4f0e-8a55-3f1f4a5f2d21";
    std::fs::write(elsewhere.join(".gamekeeper/instance"), other).expect("a file");
    assert!(sees(&world).await.contains(other));
    // A copy of the right one, made this moment.
    std::fs::remove_dir_all(&elsewhere).expect("a removal");
    copy(&world.state_root, &elsewhere);
    assert!(sees(&world).await.contains("a copy of this state root"));

    std::fs::remove_dir_all(&elsewhere).expect("a removal");
    right();
    assert_eq!(view(&world).await, MountView::Same);
    // Nothing but the sentinel is left, and one container that was never started and is no game's.
    let own = std::fs::read_dir(world.state_root.join(".gamekeeper")).expect("a listing").count();
    assert_eq!(own, 1);
    let left = containers(&world);
    assert!(left.len() == 1 && left[0].contains(" Created"), "{left:?}");
    assert_eq!(world.docker.list().await.expect("a list"), []);
    // Another process of the same instance finds it.
    assert_eq!(view_of(&world.twin(), Duration::ZERO).await, MountView::Same);
    assert_eq!(containers(&world), left);
}

#[tokio::test]
async fn what_cannot_be_compared_is_not_taken_for_another_directory() {
    let meddler = Meddler::before_docker();
    let world = World::with(|settings| {
        settings.host = Some(meddler.host());
        settings.deadlines.look = Duration::from_millis(500);
    });
    let unknown = async || match view(&world).await {
        MountView::Unknown(why) => why,
        other => panic!("{other:?}"),
    };
    // A proxy that lets nobody look into containers.
    let archive = || When::call(Call::Other).about("/archive");
    let refused = meddler.set(archive(), Action::Respond(403, json!({ "message": "no" })));
    assert!(unknown().await.contains("403"));
    refused.sprung().await;
    meddler.clear();
    assert_eq!(view(&world).await, MountView::Same);
    // Silence; and a 404 that is not Docker's about a file.
    meddler.set(archive(), Action::HoldBefore);
    assert!(unknown().await.contains("did not answer"));
    meddler.clear();
    assert_eq!(view(&world).await, MountView::Same);
    // Who tidies up takes the container away: it is made again.
    let found = containers(&world)[0].split(' ').next().expect("a name").to_owned();
    docker(&["rm", &found]);
    assert_eq!(view(&world).await, MountView::Same);
    // Another Docker Engine than was asked for is left as it is.
    docker(&["rm", &found]);
    let other = world.docker.mount_view("another", Duration::ZERO).await;
    assert!(matches!(&other, MountView::Unknown(why) if why.contains("another Docker Engine")), "{other:?}");
    assert_eq!(containers(&world), Vec::<String>::new());
    assert_eq!(view(&world).await, MountView::Same);
    // Somebody else's container of that name is left alone.
    docker(&["rm", &found]);
    docker(&["create", "--name", &found, crate::world::ENGINE]);
    let stranger = world.twin();
    let MountView::Unknown(why) = view_of(&stranger, Duration::ZERO).await else { panic!("it was believed") };
    assert!(why.contains(&found), "{why}");
    docker(&["rm", &found]);
    // An answer that is young enough is asked for once.
    assert_eq!(view(&world).await, MountView::Same);
    let engine = world.docker.identity().await.expect("an identity").id;
    let before = meddler.asked().len();
    assert_eq!(world.docker.mount_view(&engine, Duration::from_secs(60)).await, MountView::Same);
    assert_eq!(meddler.asked().len(), before);
    assert_eq!(world.docker.mount_view(&engine, Duration::ZERO).await, MountView::Same);
    assert_eq!(meddler.asked().len(), before + 1, "one request for each comparison");
}
