//! What is kept, what goes, and that it is said.

use gamekeeper::store::outbox::{OutboxFilter, OutboxState, Pruned, Retention};
use jiff::{SignedDuration, Timestamp};

use crate::world::{World, game, snapshot};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

async fn dropped(world: &World, number: u128) -> Vec<String> {
    let events = world.store.events(game(number), 100).await.unwrap();
    events.into_iter().filter(|event| event.reason == "OutboxDropped").map(|event| event.message).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn delivered_events_go_in_silence_and_undelivered_ones_are_told() {
    let world = World::new().await;
    let now = Timestamp::now();
    world.records_at(game(1), (1..=4).map(snapshot).collect(), now - HOUR * 100).await;
    world.records_at(game(2), (1..=2).map(snapshot).collect(), now - HOUR * 100).await;
    world.records_at(game(2), (1..=2).map(snapshot).collect(), now).await;
    let acked =
        "UPDATE lobby_outbox SET acked_at = '2026-11-23' WHERE seq <= 2 AND CAST(game_id AS text) LIKE '%1'";
    world.database.sql(acked).await;

    let keep = Retention { delivered: HOUR * 50, undelivered: HOUR * 200, most: 1_000 };
    let gone = world.store.prune_outbox(now, &keep).await.unwrap();
    assert_eq!(gone, Pruned { delivered: 2, undelivered: 0 });
    assert_eq!(dropped(&world, 1).await, Vec::<String>::new());

    let keep = Retention { undelivered: HOUR * 99, ..keep };
    let gone = world.store.prune_outbox(now, &keep).await.unwrap();
    assert_eq!(gone, Pruned { delivered: 0, undelivered: 4 });
    assert_eq!(
        dropped(&world, 1).await,
        ["Of events 3 to 4, 2 went without reaching the lobby: they are kept for 99 hours."]
    );
    assert_eq!(dropped(&world, 2).await.len(), 1);
    let left = world.store.find_outbox(&OutboxFilter::default(), 10).await.unwrap();
    assert_eq!(
        left.iter().map(|event| (event.game, event.seq)).collect::<Vec<_>>(),
        [(game(2), 3), (game(2), 4)]
    );
    // The numbers go on where they were.
    world.tells(game(1), 1).await;
    assert_eq!(world.find(OutboxState::Pending).await.last().unwrap().seq, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_events_go_delivered_ones_first_and_then_the_oldest() {
    let world = World::new().await;
    let now = Timestamp::now();
    for (number, hours) in [(1, 3), (2, 2), (3, 1)] {
        world.records_at(game(number), (1..=400).map(snapshot).collect(), now - HOUR * hours).await;
    }
    let acked = "UPDATE lobby_outbox SET acked_at = '2026-11-23' WHERE CAST(game_id AS text) LIKE '%3'";
    world.database.sql(acked).await;
    let keep = Retention { delivered: HOUR * 50, undelivered: HOUR * 50, most: 900 };
    assert_eq!(
        world.store.prune_outbox(now, &keep).await.unwrap(),
        Pruned { delivered: 300, undelivered: 0 }
    );
    let keep = Retention { most: 250, ..keep };
    assert_eq!(
        world.store.prune_outbox(now, &keep).await.unwrap(),
        Pruned { delivered: 100, undelivered: 550 }
    );
    let left = world.find(OutboxState::Pending).await;
    assert_eq!((left.len(), left[0].game, left[0].seq), (250, game(2), 151));
    let told = dropped(&world, 2).await;
    assert!(told.last().unwrap().ends_with("no more than 250 are kept."), "{told:?}");
    assert_eq!(world.store.prune_outbox(now, &keep).await.unwrap(), Pruned::default());
    let depth = world.store.outbox_depth().await.unwrap();
    assert_eq!((depth.open, depth.set_aside), (250, 0));
    assert!((now - HOUR * 2 - depth.oldest.unwrap()).get_milliseconds().abs() <= 1);
}
