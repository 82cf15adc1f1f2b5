//! What people do to containers, images and networks behind Gamekeeper's back.

use uuid::Uuid;

use crate::ground::{NOTHING, behind, containers, told, want};
use crate::meddler::{Call, Counts, Meddler};
use crate::world::{Status, World, container, docker, inspect};

fn healed(status: &Status) -> bool {
    status.phase == "running" && status.restarts == 1
}

async fn how_it_was_healed(world: &World, game: &str) -> (String, String) {
    let query = format!("SELECT source, cause FROM operation_log WHERE game_id = '{game}' AND op = 'heal'");
    let rows = world.rows(&query).await;
    assert_eq!(rows.len(), 1);
    (rows[0].get(0), rows[0].get(1))
}

#[tokio::test]
async fn what_a_person_stopped_or_removed_is_put_right_and_on_record_as_it_was_found() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    let cases = [
        (&["stop", "-t", "5"][..], "Exited", "exit code 0", Counts { starts: 1, ..NOTHING }),
        (&["rm", "-f"], "Removed", "without Gamekeeper", Counts { creates: 1, starts: 1, ..NOTHING }),
    ];
    for (by_hand, reason, words, needed) in cases {
        let game = world.running(by_hand[0]).await;
        let before = meddler.done();
        assert_eq!(docker(&[by_hand, &[&container(&game)]].concat()).code, 0);
        let why = told(&world, &game, reason).await;
        assert!(why.contains(words), "{why}");
        world.until(&game, "healed", healed).await;
        assert_eq!(meddler.done() - before, needed, "{by_hand:?}");
        let (source, cause) = how_it_was_healed(&world, &game).await;
        assert!(source == "controller" && cause.contains("engine"), "{source}: {cause}");
        assert_eq!((world.inits(&game), containers(&game).len()), (1, 1));
    }
}

#[tokio::test]
async fn an_engine_killed_without_the_memory_flag_is_shown_as_killed() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    let game = world.running("killed").await;
    assert_eq!(docker(&["kill", "-s", "KILL", &container(&game)]).code, 0);
    let why = told(&world, &game, "Exited").await;
    assert!(why.contains("exit code 137") && why.contains("killed"), "{why}");
    let status = world.until(&game, "healed", healed).await;
    assert_eq!(status.last_exit_code, Some(137));
    let flag = format!("SELECT last_exit_oom FROM runtime_records WHERE game_id = '{game}'");
    assert_eq!(world.count(&flag).await, 0, "Docker has not said that it was memory");
}

/// An image that nothing else shares, so that its removal leaves nothing of it.
struct OwnImage(String);

impl OwnImage {
    fn made() -> Self {
        let image = Self(format!("gamekeeper-test/own-{}:1", Uuid::new_v4().simple()));
        let made = docker(&["create", "gamekeeper/reference-engine:1.4.2"]).stdout;
        let label = format!("LABEL own={}", image.0);
        assert_eq!(docker(&["commit", "--change", &label, made.trim(), &image.0]).code, 0);
        docker(&["rm", made.trim()]);
        image
    }
}

impl Drop for OwnImage {
    fn drop(&mut self) {
        docker(&["rmi", "-f", &self.0]);
    }
}

#[tokio::test]
async fn an_image_that_was_removed_is_reported_without_haste_and_used_once_it_is_back() {
    let image = OwnImage::made();
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    world.register("3.0.0", &image.0).await;
    let game = world.game("image-gone", "3.0.0").await;
    world.until(&game, "running", |s| s.phase == "running").await;
    let id = inspect(&game, "{{.Image}}");
    want(&world, &game, "stopped").await;
    world.until(&game, "stopped", |s| s.phase == "stopped").await;
    let kept = world.file("image.tar", "");
    assert_eq!(docker(&["save", "-o", &kept, &image.0]).code, 0);
    assert_eq!(docker(&["rmi", "-f", &image.0]).code, 0);
    assert_ne!(docker(&["image", "inspect", &id]).code, 0, "nothing of it is left");

    want(&world, &game, "running").await;
    let tried = |s: &Status| s.failures >= 3 && s.message.contains(&image.0);
    let status = world.until(&game, "tried three times", tried).await;
    assert!(status.next_attempt_at.is_some() && containers(&game).is_empty(), "{status:?}");
    let pulls = i64::try_from(meddler.times(Call::Pull)).unwrap();
    assert!(pulls >= 1 && pulls <= world.status(&game).await.failures + 1, "{pulls} pulls");

    assert_eq!(docker(&["load", "-i", &kept]).code, 0);
    world.until(&game, "running", |s| s.phase == "running").await;
    assert_eq!((inspect(&game, "{{.Image}}"), world.inits(&game)), (id, 1));
}

#[tokio::test]
async fn a_network_that_was_removed_is_made_again_and_the_container_that_was_on_it_replaced() {
    let meddler = Meddler::before_docker();
    let mut world = behind(&meddler, &[]).await;
    for by_hand in [false, true] {
        let game = world.running(if by_hand { "made-by-hand" } else { "removed" }).await;
        let (before, ours) = (meddler.done(), inspect(&game, "{{.Id}}"));
        let network = "{{range .NetworkSettings.Networks}}{{.NetworkID}}{{end}}";
        let old = inspect(&game, network);
        world.kill_keeper();
        assert_eq!(docker(&["kill", "-s", "KILL", &container(&game)]).code, 0);
        // Docker lets go of a network only when nobody alive is on it.
        for id in docker(&["ps", "-q", "--filter", &format!("network={}", world.network())]).stdout.lines() {
            assert_eq!(docker(&["kill", id]).code, 0);
        }
        assert_eq!(docker(&["network", "rm", world.network()]).code, 0);
        if by_hand {
            assert_eq!(docker(&["network", "create", world.network()]).code, 0);
        }
        world.start();
        let replaced =
            |s: &Status| s.phase == "running" && s.container.as_deref().is_some_and(|id| id != ours);
        world.until(&game, "replaced", replaced).await;
        assert_ne!(inspect(&game, network), old);
        let done = meddler.done() - before;
        assert_eq!(done.networks, usize::from(!by_hand));
        // The game of the round before lost its network too.
        let games = 1 + usize::from(by_hand);
        world.eventually("everybody is back", async || (meddler.done() - before).starts == games).await;
        let done = meddler.done() - before;
        assert_eq!((done.creates, done.removes, done.stops), (games, games, 0));
        assert_eq!((containers(&game).len(), world.inits(&game)), (1, 1));
    }
}
