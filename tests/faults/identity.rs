//! Containers that are not the ones they seem to be, and specs that are not the ones acted on.

use crate::ground::{Foreign, NOTHING, behind, containers, want};
use crate::meddler::{Action, Call, Counts, Meddler, When};
use crate::world::{container, docker, inspect};

#[tokio::test]
async fn a_container_that_a_person_made_in_the_place_of_ours_is_not_mistaken_for_it() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    let game = world.running("replaced").await;
    let (before, ours) = (meddler.done(), world.status(&game).await.container.unwrap());
    // Until the person is done, nobody sees anything of it.
    let blind = meddler.set(When::call(Call::Inspect), Action::HoldBefore);
    assert_eq!(docker(&["rm", "-f", &ours]).code, 0);
    let foreign = Foreign::running(&container(&game));
    assert_ne!(foreign.0, ours);
    let life = foreign.life();
    blind.sprung().await;
    blind.let_go();
    let status = world.until(&game, "blocked", |s| s.phase == "blocked").await;
    assert_eq!((status.reason.as_str(), status.endpoint), ("ForeignContainer", None));
    assert_eq!((meddler.done() - before, foreign.life()), (NOTHING, life));
    drop(foreign);
    world.until(&game, "running", |s| s.phase == "running").await;
    assert_eq!(meddler.done() - before, Counts { creates: 1, starts: 1, ..NOTHING });
    assert_eq!(world.inits(&game), 1);
}

#[tokio::test]
async fn a_removal_names_an_id_and_spares_who_took_the_name_meanwhile() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    let game = world.running("name-taken").await;
    let ours = world.status(&game).await.container.unwrap();
    let remove = meddler.set(When::call(Call::Remove), Action::HoldBefore);
    want(&world, &game, "stopped").await;
    remove.sprung().await;
    assert_eq!(docker(&["rm", &ours]).code, 0);
    let foreign = Foreign::running(&container(&game));
    let life = foreign.life();
    remove.let_go();
    world.until(&game, "stopped", |s| s.phase == "stopped").await;
    let asked = meddler.asked();
    let removals: Vec<_> = asked.iter().filter(|asked| asked.call == Call::Remove).collect();
    assert!(removals.iter().all(|asked| asked.path.contains(&ours)), "{removals:?}");
    assert_eq!(removals.last().unwrap().answered, Some(404), "Docker says that it is gone");
    assert_eq!((foreign.life(), world.status(&game).await.failures), (life, 0));
}

#[tokio::test]
async fn a_spec_that_changes_in_the_middle_of_a_round_is_not_taken_for_the_one_acted_on() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    let create = meddler.set(When::call(Call::Create).first(), Action::HoldBefore);
    let game = world.game("edited", "1.4.2").await;
    create.sprung().await;
    let resources =
        format!(r#"UPDATE games SET resources = '{{"memory": "64Mi"}}' WHERE game_id = '{game}'"#);
    let generation = format!("SELECT generation FROM games WHERE game_id = '{game}'");
    let old = world.count(&generation).await;
    world.sql(&resources).await;
    assert_eq!(world.count(&generation).await, old + 1);
    assert_eq!(world.status(&game).await.observed_generation, old);
    // The round goes on only after the controller has read the change.
    let read = format!("Generation:  {}", old + 1);
    world
        .eventually("the change was read", async || {
            let told = world.ok(&["explain", "edited"]);
            told.contains(&read) && !told.contains("NotHeard")
        })
        .await;
    create.let_go();

    // Whenever it says that the new generation came true, it has.
    let settled = format!("SELECT settled AND ready FROM game_status WHERE game_id = '{game}'");
    let applied = format!(
        "SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND observed_generation > {old}
            AND start_began_at IS NOT NULL AND {} IS NULL",
        world.database.member("applied_spec", "resources")
    );
    world
        .eventually("settled", async || {
            assert_eq!(
                world.count(&applied).await,
                0,
                "started from the old spec in the name of the new one"
            );
            world.count(&settled).await == 1
        })
        .await;
    assert_eq!(inspect(&game, "{{.HostConfig.Memory}}"), (64 << 20).to_string());
    assert_eq!(world.status(&game).await.observed_generation, old + 1);
    // What was under way was made; it was never started.
    let expected = Counts { networks: 1, creates: 2, starts: 1, stops: 0, removes: 1 };
    assert_eq!((meddler.done(), world.inits(&game), containers(&game).len()), (expected, 1, 1));
}

#[tokio::test]
async fn a_stop_and_a_start_that_nobody_saw_touch_nothing() {
    let meddler = Meddler::before_docker();
    let mut world = behind(&meddler, &[]).await;
    let game = world.running("unseen").await;
    let life = "{{.Id}} {{.State.StartedAt}}";
    let (before, done) = (inspect(&game, life), meddler.done());
    let seen = world.status(&game).await.observed_generation;
    world.kill_keeper();
    want(&world, &game, "stopped").await;
    want(&world, &game, "running").await;
    world.start();
    let status = world.until(&game, "up to date", |s| s.observed_generation == seen + 2).await;
    assert_eq!((status.phase.as_str(), inspect(&game, life)), ("running", before));
    assert_eq!((meddler.done() - done, world.inits(&game)), (NOTHING, 1));
    assert_eq!(world.operations(&game).await, ["start succeeded"]);
}
