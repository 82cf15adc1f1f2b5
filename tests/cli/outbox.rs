//! `outbox`: what the lobby is told, as operators see and change it.

use gamekeeper::game::{ConditionStatus, Phase};
use gamekeeper::store::outbox::OutboxFilter;
use gamekeeper::store::{NewLobbyEvent, Recording};

use crate::world::World;

async fn told() -> World {
    let world = World::applied().await;
    let store = world.store.clone().telling_the_lobby(true);
    let (recorder, _) = store.recorder(store.take_lead("again").await.unwrap());
    let event = |turn: i64| NewLobbyEvent {
        kind: "dev.gamekeeper.game.snapshot.v1".into(),
        occurred_at: jiff::Timestamp::now(),
        payload: serde_json::Map::from_iter([("turn".to_owned(), turn.into())]),
    };
    let lobby = (1..=3).map(event).collect();
    let seen = world.recording("andromeda", Phase::Running, ConditionStatus::True).await;
    recorder.record(Recording { lobby, ..seen }).await.unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_lobby_does_not_have_is_listed_and_changed() {
    let world = told().await;
    let listed = world.run(&["outbox", "list"]).await.ok();
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines[0].starts_with("GAME        SEQ   TYPE       STATE     AGE"), "{listed}");
    assert!(lines[1].starts_with("andromeda   1     snapshot   Pending"), "{listed}");
    assert_eq!(lines.len(), 4);

    let unasked = world.run(&["outbox", "skip", "andromeda", "--seq", "2"]).await;
    assert!(unasked.code == 2 && unasked.stderr.contains("Leave the lobby without event 2"), "{unasked:?}");
    let tried = world.run(&["outbox", "skip", "andromeda", "--seq", "2", "--dry-run"]).await.ok();
    assert_eq!(tried, "game/andromeda: 1 event is set aside (dry run)\n");
    let done = world.run(&["outbox", "skip", "game/andromeda", "--seq", "2", "--yes"]).await.ok();
    assert_eq!(done, "game/andromeda: 1 event is set aside\n");
    let aside = world.run(&["outbox", "list", "andromeda", "--state", "set-aside", "-o", "json"]).await.ok();
    let aside: serde_json::Value = serde_json::from_str(&aside).unwrap();
    assert_eq!(aside["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(aside["items"][0]["status"]["lastError"], "skipped by admin");
    let names = world.run(&["outbox", "list", "-A", "-o", "name"]).await.ok();
    assert_eq!(names.lines().count(), 3);

    let done = world.run(&["outbox", "retry", "andromeda", "-o", "name"]).await.ok();
    assert_eq!(done, "game/andromeda\n");
    for event in world.store.find_outbox(&OutboxFilter::default(), 10).await.unwrap() {
        world.store.outbox_delivered(event.event, jiff::Timestamp::now()).await.unwrap();
    }
    let nothing = world.run(&["outbox", "list"]).await;
    assert!(nothing.stderr.contains("the lobby has everything"), "{nothing:?}");
    assert_eq!(nothing.ok(), "");
    let done = world.run(&["outbox", "replay", "andromeda", "--from", "2"]).await.ok();
    assert_eq!(done, "game/andromeda: 2 events are told again\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_its_exit_code() {
    let world = told().await;
    let gone = world.run(&["outbox", "replay", "andromeda", "--from", "9"]).await.failed(3);
    assert!(gone.contains("no event 9") && gone.contains("hint: "), "{gone}");
    world.run(&["outbox", "retry", "nobody"]).await.failed(3);
    let first = world.store.find_outbox(&OutboxFilter::default(), 1).await.unwrap().pop().unwrap();
    world.store.outbox_delivered(first.event, jiff::Timestamp::now()).await.unwrap();
    let arrived = world.run(&["outbox", "retry", "andromeda", "--seq", "1"]).await.failed(4);
    assert!(arrived.contains("replay tells it again"), "{arrived}");
    assert_eq!(world.run(&["outbox", "list", "--state", "lost"]).await.code, 2);
    assert_eq!(world.run(&["outbox"]).await.code, 2);
    let help = world.run(&["outbox", "replay", "--help"]).await.ok();
    assert!(help.contains("under the same ids") && help.contains("--dry-run"), "{help}");
}
