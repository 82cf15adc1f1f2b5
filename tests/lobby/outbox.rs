//! The table: numbers without gaps, and what operators may do.

use gamekeeper::store::outbox::{OutboxChange, OutboxFilter, OutboxRefusal, OutboxState};

use crate::receiver::Answer;
use crate::world::{World, game, name, snapshot, status};

#[tokio::test(flavor = "multi_thread")]
async fn events_are_numbered_without_gaps_in_the_transaction_of_their_record() {
    let world = World::new().await;
    world.records(game(1), vec![status("it runs"), snapshot(1)]).await;
    world.records(game(1), Vec::new()).await;
    world.records(game(2), vec![snapshot(1)]).await;
    world.records(game(1), vec![snapshot(2)]).await;
    let filter = OutboxFilter { game: Some(game(1)), ..OutboxFilter::default() };
    let events = world.store.find_outbox(&filter, 10).await.unwrap();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(events[0].kind, "dev.gamekeeper.game.status-changed.v1");
    assert_eq!(events[0].payload["seq"], 1);
    assert_eq!(events[0].payload["timeline"], 1);
    assert_eq!(events[0].payload["message"], "it runs");
    assert_eq!((&*events[0].name, events[0].state), (&*name(game(1)), OutboxState::Pending));
    let first = "SELECT outbox_seq FROM runtime_records ORDER BY game_id LIMIT 1";
    assert_eq!(world.database.count(first).await, 3);

    // A record that is lost has forgotten its number; the numbers go on all the same.
    world.database.sql("DELETE FROM runtime_records").await;
    world.records(game(1), vec![snapshot(3)]).await;
    assert_eq!(world.store.find_outbox(&filter, 10).await.unwrap().last().unwrap().seq, 4);
    assert_eq!(world.database.count("SELECT outbox_seq FROM runtime_records").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_lobby_nothing_is_written() {
    let mut world = World::new().await;
    world.store = world.store.clone().telling_the_lobby(false);
    let recorder = world.store.recorder(world.store.take_lead("again").await.unwrap()).0;
    world.recorder_is(recorder);
    world.tells(game(1), 3).await;
    assert_eq!(world.store.outbox_depth().await.unwrap().open, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_lobby_acknowledges_by_itself_is_not_pushed() {
    let mut world = World::new().await;
    world.tells(game(1), 3).await;
    // Whatever form of time it writes.
    for (seq, time) in [(1, "2026-11-23 18:00"), (2, "2026-11-23")] {
        let acked = format!("UPDATE lobby_outbox SET acked_at = '{time}' WHERE seq = {seq}");
        world.database.sql(&acked).await;
    }
    assert_eq!(world.find(OutboxState::Delivered).await.len(), 2);
    world.deliver();
    world.told().await;
    assert_eq!(world.lobby.received().iter().map(|event| event.seq()).collect::<Vec<_>>(), [3]);
    world.end_delivery().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_retry_skip_and_replay() {
    let mut world = World::new().await;
    world
        .lobby
        .answers(|received| if received.seq() == 2 { Answer::Status(500) } else { Answer::Status(200) });
    world.tells(game(1), 4).await;
    world.deliver();
    world.until("it is stuck", async || world.find(OutboxState::Retrying).await.len() == 1).await;
    world.end_delivery().await;
    let store = world.store.clone();
    let change = async |change, dry_run| store.change_outbox(game(1), change, "ann", dry_run).await;
    let refused = change(OutboxChange::Skip(9), false).await;
    assert!(matches!(refused, Err(OutboxRefusal::NotThere(9))), "{refused:?}");
    for wrong in [OutboxChange::Skip(1), OutboxChange::Retry(Some(1))] {
        let refused = change(wrong, false).await;
        assert!(matches!(refused, Err(OutboxRefusal::Arrived(1))), "{refused:?}");
    }
    let refused = change(OutboxChange::Replay(5), false).await;
    assert!(matches!(refused, Err(OutboxRefusal::NotThere(5))), "{refused:?}");

    assert_eq!(change(OutboxChange::Skip(2), true).await.unwrap(), 1);
    assert_eq!(world.find(OutboxState::SetAside).await, []);
    assert_eq!(change(OutboxChange::Skip(2), false).await.unwrap(), 1);
    assert_eq!(world.find(OutboxState::SetAside).await[0].last_error.as_deref(), Some("skipped by ann"));
    assert_eq!(change(OutboxChange::Skip(2), false).await.unwrap(), 0);
    world.deliver();
    world.told().await;
    world.end_delivery().await;

    assert_eq!(change(OutboxChange::Retry(None), false).await.unwrap(), 1);
    let pending = world.find(OutboxState::Pending).await;
    assert_eq!(pending.iter().map(|event| (event.seq, event.attempts)).collect::<Vec<_>>(), [(2, 0)]);
    assert_eq!(change(OutboxChange::Replay(1), false).await.unwrap(), 4);
    assert_eq!(world.find(OutboxState::Pending).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_is_found_by_name_or_id_when_it_is_gone_too() {
    let world = World::new().await;
    world.tells(game(1), 1).await;
    let find = async |text: &str| world.store.outbox_game("default", text).await.unwrap();
    assert_eq!(find(&name(game(1))).await, Some(game(1)));
    assert_eq!(find(&game(1).to_string()).await, Some(game(1)));
    assert_eq!(find("nobody").await, None);
    assert_eq!(world.store.outbox_game("other", &name(game(1))).await.unwrap(), None);
}
