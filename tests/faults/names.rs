//! Names that are taken, by ourselves, by others, or by nobody.

use serde_json::json;

use crate::ground::{Foreign, ONE_START, behind, containers};
use crate::meddler::{Action, Call, Counts, Meddler, When};
use crate::world::{container, docker};

fn in_use() -> serde_json::Value {
    json!({ "message": "Conflict. The container name is already in use" })
}

#[tokio::test]
async fn a_name_that_our_own_container_has_taken_leads_to_its_adoption() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    // As when an earlier request, thought lost, has been served after all.
    let taken = meddler.set(When::call(Call::Create), Action::RespondAfter(409, in_use()));
    let game = world.game("taken-by-us", "1.4.2").await;
    taken.sprung().await;
    let made = containers(&game);
    assert_eq!(made.len(), 1);
    let status = world.until(&game, "running", |s| s.phase == "running").await;
    assert_eq!((status.container, containers(&game)), (Some(made[0].clone()), made));
    assert_eq!((taken.times(), world.inits(&game)), (1, 1));
    assert_eq!(Counts { networks: 0, ..meddler.done() }, ONE_START);
}

#[tokio::test]
async fn a_name_that_somebody_takes_at_the_last_moment_blocks_and_stays_theirs() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    let create = meddler.set(When::call(Call::Create), Action::HoldBefore);
    let game = world.game("taken-by-others", "1.4.2").await;
    create.sprung().await;
    let foreign = Foreign::running(&container(&game));
    let life = foreign.life();
    create.let_go();
    let status = world.until(&game, "blocked", |s| s.phase == "blocked").await;
    assert_eq!(status.reason, "ForeignContainer");
    let refused = meddler.asked().iter().any(|a| a.call == Call::Create && a.answered == Some(409));
    assert!(refused, "Docker itself has refused the name");
    assert_eq!((meddler.done().creates, foreign.life()), (0, life));
    drop(foreign);
    world.until(&game, "running", |s| s.phase == "running").await;
    assert_eq!(Counts { networks: 0, ..meddler.done() }, ONE_START);
}

#[tokio::test]
async fn a_name_in_use_by_nobody_is_tried_again_ever_more_seldom() {
    let meddler = Meddler::before_docker();
    let world = behind(&meddler, &[]).await;
    let taken = meddler.set(When::call(Call::Create), Action::Respond(409, in_use()));
    let game = world.game("taken-by-nobody", "1.4.2").await;
    let status = world.until(&game, "tried three times", |s| s.failures >= 3).await;
    assert_eq!((status.phase.as_str(), status.reason.as_str()), ("crash_loop", "Conflict"));
    assert!(status.message.contains("already in use"), "{status:?}");
    assert_eq!(docker(&["inspect", &container(&game)]).code, 1, "nobody has that name");
    assert_eq!(taken.times(), 3, "one request for each counted failure");
    taken.let_go();
    world.until(&game, "running", |s| s.phase == "running").await;
    assert_eq!((meddler.times(Call::Create), world.inits(&game)), (4, 1));
    assert_eq!(Counts { networks: 0, ..meddler.done() }, ONE_START);
}
