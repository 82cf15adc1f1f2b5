use super::super::{Place, Store};
use super::*;
use crate::game::spec::Requests;

/// A counter that nobody else wrote went back, as in an older copy of the database.
#[tokio::test]
async fn nothing_is_recorded_in_a_database_that_is_older_than_what_was_committed() {
    let directory = tempfile::tempdir().unwrap();
    let place: Place = format!("sqlite:{}", directory.path().join("g.db").display()).parse().unwrap();
    let store = Store::open(&place).await.unwrap();
    let lease = store.take_lead("test").await.unwrap();
    let (recorder, _writer) = store.recorder(lease);
    let recording = |game: u128| {
        let name = format!("game-{game}").parse().unwrap();
        let record = Record::first_seen(Requests::default());
        Recording::of(GameId(uuid::Uuid::from_u128(game)), "default".parse().unwrap(), name, record)
    };
    let counter = async || store.instance().await.unwrap().high_water;
    let set = async |to: i64| {
        let sql = format!("UPDATE instance SET high_water = {to}");
        sea_orm::ConnectionTrait::execute_unprepared(&store.db, &sql).await.unwrap();
    };
    for game in 1..=3 {
        recorder.record(recording(game)).await.unwrap();
    }
    let committed = counter().await;
    for lost in 1..=committed {
        set(committed - lost).await;
        let refused = recorder.record(recording(4)).await.unwrap_err();
        let older = RecordError::DatabaseOlder { counts: committed - lost + 1, committed };
        assert_eq!(refused.to_string(), older.to_string());
        assert!(!refused.is_of_one_game() && !refused.is_refusal());
        assert_eq!(counter().await, committed - lost, "it was rolled back");
    }
    assert!(store.records(&[GameId(uuid::Uuid::from_u128(4))]).await.unwrap().is_empty());
    // Another writer of this process knows it too.
    let (recorder, _writer) = store.recorder(lease);
    assert!(matches!(recorder.record(recording(4)).await, Err(RecordError::DatabaseOlder { .. })));
    // With the newer one back, or this one confirmed, it goes on.
    set(committed).await;
    recorder.record(recording(4)).await.unwrap();
    assert_eq!(counter().await, committed + 1);
}

/// As after an older copy of the file was put back.
#[tokio::test]
async fn of_two_who_have_the_same_epoch_only_the_later_one_records() {
    let directory = tempfile::tempdir().unwrap();
    let place: Place = format!("sqlite:{}", directory.path().join("g.db").display()).parse().unwrap();
    let store = Store::open(&place).await.unwrap();
    let first = store.take_lead("test").await.unwrap();
    let (recorder, _writer) = store.recorder(first);
    let record = Record::first_seen(Requests::default());
    let (game, name) = (GameId(uuid::Uuid::from_u128(1)), "game-1".parse().unwrap());
    let recording = Recording::of(game, "default".parse().unwrap(), name, record);
    recorder.record(recording.clone()).await.unwrap();
    store.take_lead("test").await.unwrap();
    sea_orm::ConnectionTrait::execute_unprepared(&store.db, "UPDATE leases SET epoch = epoch - 1")
        .await
        .unwrap();
    let refused = recorder.record(recording.clone()).await;
    assert!(matches!(refused, Err(RecordError::Deposed)), "{refused:?}");
    let (recorder, _writer) = store.recorder(store.take_lead("test").await.unwrap());
    recorder.record(recording).await.unwrap();
}
