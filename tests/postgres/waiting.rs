//! What forgets, marks and leads beside the games waits for nobody who may hold a row for long, and what
//! it tells is what it did.

use std::time::{Duration, Instant};

use gamekeeper::game::{GameId, InstanceId};
use gamekeeper::lobby::{LobbyMetrics, Pace, Push, deliver};
use gamekeeper::store::outbox::{Due, Failed, OutboxFilter, Pruned, Retention};
use gamekeeper::store::{HeldLease, Recording, Store, Taken};
use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{AssertSqlSafe, ConnectOptions, raw_sql};
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::database::Database;
use crate::fencing::recording;
use crate::receiver::Lobby;

/// Who waits for nobody is done by then, on a busy machine.
const PROMPT: Duration = Duration::from_secs(2);

/// A client in a transaction that stays open.
pub(crate) async fn client(database: &Database, statement: &str) -> PgConnection {
    let Database::Postgres { url, schema } = database else { unreachable!() };
    let options: PgConnectOptions = url.parse().unwrap();
    let mut client = options.options([("search_path", schema)]).connect().await.unwrap();
    does(&mut client, &format!("BEGIN; {statement}")).await;
    client
}

pub(crate) async fn does(client: &mut PgConnection, statement: &str) {
    raw_sql(AssertSqlSafe(statement.to_owned())).execute(client).await.unwrap();
}

/// A store that leads, one record, and events for the lobby that it has not got.
async fn leading(database: &Database) -> Store {
    leading_by(database).await.0
}

/// The same, with its lease.
async fn leading_by(database: &Database) -> (Store, HeldLease) {
    let store = database.open().await.telling_the_lobby(true);
    let Taken::Ours(lease) = store.try_lead("first").await.unwrap() else { panic!("somebody leads") };
    let store = store.leading(lease);
    let (recorder, _writer) = store.recorder(lease);
    recorder.record(recording("first")).await.unwrap();
    (store, lease)
}

async fn dropped(database: &Database) -> Vec<String> {
    let told = database.rows("SELECT message FROM events WHERE reason = 'OutboxDropped'").await;
    told.iter().map(|row| row.get(0)).collect()
}

fn nothing_is_kept() -> Retention {
    let age = SignedDuration::from_secs(-60);
    Retention { delivered: age, undelivered: age, most: 1_000 }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lobby_has_locked_or_acknowledged_is_not_dropped_and_holds_up_nobody() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let store = leading(&database).await;
    let seqs = database.count("SELECT max(seq) FROM lobby_outbox").await;
    assert!(seqs >= 3, "{seqs}");
    // It has one, and is about to say so of another.
    database.sql("UPDATE lobby_outbox SET acked_at = now() WHERE seq = 1").await;
    let mut lobby = client(&database, "UPDATE lobby_outbox SET acked_at = now() WHERE seq = 2").await;
    let began = Instant::now();
    let keep = Retention { delivered: SignedDuration::from_hours(1_000_000), ..nothing_is_kept() };
    let pruned = store.prune_outbox(Timestamp::now(), &keep).await.unwrap();
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    let undelivered = u64::try_from(seqs - 2).unwrap();
    assert_eq!(pruned, Pruned { delivered: 0, undelivered });
    let told = format!("Of events 3 to {seqs}, {undelivered} went without reaching the lobby");
    assert!(dropped(&database).await[0].starts_with(&told), "{:?}", dropped(&database).await);
    does(&mut lobby, "COMMIT").await;
    assert_eq!(store.prune_outbox(Timestamp::now(), &keep).await.unwrap(), Pruned::default());
    assert_eq!(dropped(&database).await.len(), 1, "what the lobby has is not told as lost");
    assert_eq!(database.count("SELECT count(*) FROM lobby_outbox").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_not_marked_while_its_row_is_locked_and_waits_for_that_briefly() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let store = leading(&database).await;
    let due: Due = store.outbox_due(Timestamp::now(), &[], 1).await.unwrap().remove(0);
    let mut lobby = client(&database, "SELECT * FROM lobby_outbox FOR UPDATE").await;
    let began = Instant::now();
    store.outbox_delivered(due.event, Timestamp::now()).await.expect_err("its row is locked");
    let failed = Failed { error: "no".into(), refused: true, again_at: None };
    store.outbox_failed(&due, &failed, Timestamp::now()).await.expect_err("its row is locked");
    assert!(began.elapsed() < 2 * PROMPT, "{:?}", began.elapsed());
    does(&mut lobby, "COMMIT").await;
    store.outbox_delivered(due.event, Timestamp::now()).await.unwrap();
    let left = store.find_outbox(&OutboxFilter::default(), 100).await.unwrap();
    assert_eq!(left.iter().filter(|event| event.delivered_at.is_some()).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_lobby_holds_are_not_sent_and_keep_no_other_game_from_being_told() {
    const HELD: u128 = 40;
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let store = database.open().await.telling_the_lobby(true);
    let Taken::Ours(lease) = store.try_lead("first").await.unwrap() else { panic!("somebody leads") };
    let store = store.leading(lease);
    let (recorder, _writer) = store.recorder(lease);
    let event_of = |number: u128| Recording {
        game: GameId(uuid::Uuid::from_u128(number)),
        name: format!("game-{number}").parse().unwrap(),
        ..recording("told")
    };
    for number in 1..=HELD {
        recorder.record(event_of(number)).await.unwrap();
    }
    let mut held = client(&database, "UPDATE lobby_outbox SET acked_at = now()").await;
    let lobby = Lobby::new().await;
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "whsec_dGhpcy1pcy1hLXNlY3JldC1vZi0zMi1ieXRlcy1hISE=").unwrap();
    let instance = InstanceId(uuid::Uuid::new_v4());
    let push = Push::new(lobby.url().parse().unwrap(), secret.path(), PROMPT, instance).unwrap();
    let (metrics, shutdown) = (LobbyMetrics::new(&mut Registry::default()), CancellationToken::new());
    let delivering = tokio::spawn(deliver(store.clone(), push, Pace::default(), metrics, shutdown.clone()));
    recorder.record(event_of(HELD + 1)).await.unwrap();
    let delivered = "SELECT count(*) FROM lobby_outbox WHERE delivered_at IS NOT NULL";
    let began = Instant::now();
    while database.count(delivered).await < 3 {
        assert!(began.elapsed() < 2 * PROMPT, "the game whose rows nobody holds is told nothing");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    does(&mut held, "COMMIT").await;
    // Looks that see what was acknowledged.
    recorder.record(event_of(HELD + 2)).await.unwrap();
    while database.count(delivered).await < 6 {
        assert!(began.elapsed() < 5 * PROMPT, "nothing is told any more");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shutdown.cancel();
    delivering.await.unwrap();
    assert_eq!(lobby.received().len(), 6, "what a lobby holds, and has, is not sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_forgets_events_locks_no_row_that_who_counts_them_waits_for() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let store = leading(&database).await;
    store.controller_event(false, "Old", "It was long ago.").await.unwrap();
    database.sql("UPDATE events SET last_at = now() - interval '30 days'").await;
    // As the recorder does: first the feed, then a row of an event.
    let mut recorder = client(&database, "SELECT FROM observed_feed FOR NO KEY UPDATE").await;
    let forgetting = {
        let store = store.clone();
        tokio::spawn(
            async move { store.prune_events(Timestamp::now() - SignedDuration::from_hours(1)).await },
        )
    };
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gamekeeper' AND wait_event_type = 'Lock'";
    let asked = Instant::now();
    while database.count(waits).await == 0 {
        assert!(asked.elapsed() < 5 * PROMPT, "it waits for nobody");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let began = Instant::now();
    does(&mut recorder, "SET LOCAL deadlock_timeout = '10s'; UPDATE events SET count = count + 1").await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    // Longer than a session waits for a lock: it is taken again.
    tokio::time::sleep(Duration::from_secs(6)).await;
    does(&mut recorder, "COMMIT").await;
    assert!(forgetting.await.unwrap().unwrap() > 0);
    assert_eq!(database.count("SELECT count(*) FROM events").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_that_wait_for_what_nobody_foresees_hold_up_no_other_game() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let (store, lease) = leading_by(&database).await;
    database
        .sql(
            "INSERT INTO games (game_id, desired_status, deletion_requested_at)
             SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'stopped', now() FROM generate_series(2, 41) AS n;
             CREATE TABLE bills (game_id uuid PRIMARY KEY REFERENCES games ON DELETE CASCADE);
             INSERT INTO bills SELECT game_id FROM games",
        )
        .await;
    let mut lobby = client(&database, "SELECT * FROM bills FOR UPDATE").await;
    let (recorder, _writer) = store.recorder(lease);
    let deletions: Vec<_> = (2..=41u128)
        .map(|number| {
            let (recorder, mut deletion) = (recorder.clone(), recording("deleted"));
            deletion.game = gamekeeper::game::GameId(uuid::Uuid::from_u128(
                0x00000000_0000_4000_8000_000000000000
                    + u128::from_str_radix(&number.to_string(), 16).unwrap(),
            ));
            deletion.deleted = Some(gamekeeper::game::spec::Deletion::Requested);
            tokio::spawn(async move { recorder.record(deletion).await })
        })
        .collect();
    for _ in 0..3 {
        let began = Instant::now();
        recorder.record(recording("another game's")).await.unwrap();
        assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    }
    does(&mut lobby, "ROLLBACK").await;
    let mut ends = Vec::new();
    for deletion in deletions {
        ends.push(deletion.await.unwrap());
    }
    assert!(
        ends.iter().any(Result::is_err) && ends.iter().any(Result::is_ok),
        "some waited, the others went"
    );
    assert!(ends.iter().filter_map(|end| end.as_ref().err()).all(|error| error.is_of_one_game()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_the_lead_waits_for_none_of_the_leaders_transactions() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let _leader = leading(&database).await;
    let other = database.open().await;
    let mut writes =
        client(&database, "SELECT epoch FROM leases FOR KEY SHARE; SELECT FROM leases FOR NO KEY UPDATE")
            .await;
    let began = Instant::now();
    let taken = other.try_lead("other").await.unwrap();
    assert!(matches!(&taken, Taken::Held { holder, .. } if holder == "first"), "{taken:?}");
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    does(&mut writes, "COMMIT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_of_a_server_whose_clock_was_set_back_begins_anew() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let (leader, lease) = leading_by(&database).await;
    let other = database.open().await;
    // As it is after the clock was set back by an hour.
    let set_back = "UPDATE leases SET expires_at = expires_at + interval '1 hour'";
    database.sql(set_back).await;
    let asked = async || match other.try_lead("other").await.unwrap() {
        Taken::Held { ends_in, .. } => ends_in,
        Taken::Ours(_) => panic!("it is somebody's for as long as a lease is"),
    };
    let longest = Duration::from_secs(15);
    assert!(asked().await <= longest);
    let left = "SELECT ceil(extract(epoch FROM expires_at - clock_timestamp()))::bigint FROM leases";
    let seconds = database.count(left).await;
    assert!((10..=15).contains(&seconds), "{seconds}");
    assert!(asked().await > Duration::from_secs(8), "it does not end at once");
    // Whoever has it and lives goes on.
    assert!(leader.renew_lead(lease).await.unwrap());
}
