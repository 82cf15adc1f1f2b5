//! What whoever led before writes of observed state is refused, whatever it is.

use gamekeeper::game::GameId;
use gamekeeper::game::controller::Binding;
use gamekeeper::game::record::Record;
use gamekeeper::game::spec::Requests;
use gamekeeper::store::history::History;
use gamekeeper::store::outbox::{Due, Failed, Retention};
use gamekeeper::store::recorder::RecordError;
use gamekeeper::store::{NewLobbyEvent, Recording};
use jiff::{SignedDuration, Timestamp};
use serde_json::Map;
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::database::Database;

const GAME: &str = "00000000-0000-4000-8000-000000000001";

pub(crate) fn recording(message: &str) -> Recording {
    let record = Record { message: message.to_owned(), ..Record::first_seen(Requests::default()) };
    let (namespace, name) = ("default".parse().unwrap(), "fenced".parse().unwrap());
    let event = NewLobbyEvent {
        kind: "dev.gamekeeper.game.status-changed.v1".into(),
        occurred_at: Timestamp::UNIX_EPOCH,
        payload: Map::new(),
    };
    let game: GameId = GAME.parse().unwrap();
    Recording { lobby: vec![event; 3], ..Recording::of(game, namespace, name, record) }
}

/// A row of each kind that is old enough to be forgotten.
const OLD: &str = "
    INSERT INTO events (namespace, kind, name, uid, type, reason, message, count, first_at, last_at)
    VALUES ('default', 'Game', 'fenced', '', 'normal', 'Old', 'old', 1, '2001-01-01', '2001-01-01');
    INSERT INTO runtime_health_snapshots (game_id, timeline, observed_at, engine_health)
    VALUES ('00000000-0000-4000-8000-000000000001', 1, '2001-01-01', 'healthy');
    UPDATE lobby_outbox SET acked_at = '2001-01-01' WHERE seq = 1";

const EVERYTHING: &str = "
    SELECT md5(string_agg(row, ';' ORDER BY row)) FROM (
        SELECT to_jsonb(t)::text AS row FROM runtime_records AS t
        UNION ALL SELECT to_jsonb(t)::text FROM lobby_outbox AS t
        UNION ALL SELECT to_jsonb(t)::text FROM events AS t
        UNION ALL SELECT to_jsonb(t)::text FROM instance AS t
        UNION ALL SELECT to_jsonb(t)::text FROM runtime_health_snapshots AS t) AS rows";

#[tokio::test]
async fn whoever_led_before_writes_nothing_of_observed_state() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let store = database.open().await.telling_the_lobby(true);
    let lease = store.take_lead("first").await.unwrap();
    let first = store.clone().leading(lease);
    let (recorder, _writer) = first.recorder(lease);
    recorder.record(recording("the first")).await.unwrap();
    database.sql(OLD).await;
    let event: String = database.rows("SELECT event_id FROM lobby_outbox WHERE seq = 2").await[0].get(0);
    let event: Uuid = event.parse().unwrap();

    let second = store.take_lead("second").await.unwrap();
    let before = database.rows(EVERYTHING).await;
    let now = Timestamp::now();
    let refused = recorder.record(recording("the first again")).await;
    assert!(matches!(refused, Err(RecordError::Deposed)), "{refused:?}");
    let due = Due {
        event,
        game: GAME.parse().unwrap(),
        namespace: "default".into(),
        name: "fenced".into(),
        seq: 2,
        kind: "x".into(),
        occurred_at: now,
        payload: serde_json::json!({}),
        attempts: 0,
        refusals: 0,
    };
    let failed = Failed { error: "no".into(), refused: true, again_at: None };
    let few = Retention { most: 0, ..Retention::default() };
    let short = |delivered, undelivered| Retention { delivered, undelivered, ..Retention::default() };
    let (never, always) = (SignedDuration::ZERO, SignedDuration::from_hours(100 * 365 * 24));
    let history = History::default();
    let binding = Binding { docker_engine_id: Some("another".into()), ..Binding::default() };
    let told = [
        ("bind", first.bind(&binding).await.err()),
        ("an event", first.controller_event(true, "Fenced", "fenced").await.err()),
        ("a delivery", first.outbox_delivered(event, now).await.err()),
        ("a failed delivery", first.outbox_failed(&due, &failed, now).await.err()),
        ("old events", first.prune_events(now).await.err()),
        ("old history", first.prune_history(now, &history).await.err()),
        ("what arrived", first.prune_outbox(now, &short(never, always)).await.err()),
        ("what is stale", first.prune_outbox(now, &short(always, never)).await.err()),
        ("what is too much", first.prune_outbox(now, &few).await.err()),
    ];
    for (what, refused) in told {
        let refused = refused.unwrap_or_else(|| panic!("{what} was written"));
        let why = std::error::Error::source(&refused).unwrap().to_string();
        assert!(why.contains("another controller has taken over"), "{what}: {why}");
    }
    assert_eq!(database.rows(EVERYTHING).await, before);

    // Whoever leads writes all of it.
    let second = store.clone().leading(second);
    second.outbox_delivered(event, now).await.unwrap();
    assert!(second.prune_events(now).await.unwrap() >= 1);
    assert_eq!(second.prune_history(now, &history).await.unwrap(), 1);
    assert_eq!(second.prune_outbox(now, &few).await.unwrap().delivered, 2);
}
