//! What the lead waits for, and what it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gamekeeper::game::Epoch;
use gamekeeper::store::history::History;
use gamekeeper::store::recorder::RecordError;
use gamekeeper::store::{HeldLease, Store, Taken};
use jiff::Timestamp;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{ConnectOptions, raw_sql};

use crate::cluster::Cluster;
use crate::database::Database;
use crate::fencing::recording;
use crate::set_clock::SetClock;
use crate::world::World;

/// The disk takes so long for each commit of observed state.
const SLOW_COMMITS: &str = "
    CREATE FUNCTION takes_long() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER takes_long AFTER INSERT ON runtime_records
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION takes_long();
    CREATE CONSTRAINT TRIGGER takes_long AFTER UPDATE ON lobby_outbox
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION takes_long();
    CREATE CONSTRAINT TRIGGER takes_long AFTER UPDATE ON instance
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION takes_long()";

/// A renewal that takes longer has waited for somebody.
const PROMPT: Duration = Duration::from_secs(1);

async fn lead(store: &Store, holder: &str) -> HeldLease {
    match store.try_lead(holder).await.unwrap() {
        Taken::Ours(lease) => lease,
        Taken::Held { holder, .. } => panic!("{holder} leads"),
    }
}

/// Renews the lead all the while; gives the longest that it took.
async fn renews(store: Store, lease: HeldLease, over: Arc<AtomicBool>) -> (Duration, u32) {
    let (mut longest, mut times) = (Duration::ZERO, 0);
    while !over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        assert!(store.renew_lead(lease).await.unwrap(), "the lead is lost");
        longest = longest.max(asked.elapsed());
        times += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (longest, times)
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_commits_and_a_backlog_do_not_hold_up_the_renewal() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let store = database.open().await.telling_the_lobby(true);
    let lease = lead(&store, "first").await;
    let leading = store.clone().leading(lease);
    let (recorder, _writer) = leading.recorder(lease);
    recorder.record(recording("first")).await.unwrap();
    database.sql(SLOW_COMMITS).await;
    let over = Arc::new(AtomicBool::new(false));
    let renewing = tokio::spawn(renews(store.clone(), lease, over.clone()));
    // Somebody holds the fence at every moment.
    let events = database.rows("SELECT event_id FROM lobby_outbox").await;
    let delivering = events.into_iter().map(|row| {
        let (leading, over) = (leading.clone(), over.clone());
        let event = row.get::<String>(0).parse().unwrap();
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                leading.outbox_delivered(event, Timestamp::now()).await.unwrap();
            }
        })
    });
    let delivering: Vec<_> = delivering.collect();
    let began = Instant::now();
    let mut recorded = 0;
    while began.elapsed() < Duration::from_secs(5) {
        recorder.record(recording("again")).await.unwrap();
        recorded += 1;
    }
    over.store(true, Ordering::Relaxed);
    let (longest, times) = renewing.await.unwrap();
    for delivering in delivering {
        delivering.await.unwrap();
    }
    eprintln!("{recorded} records, {times} renewals, the longest took {longest:?}");
    assert!(longest < PROMPT && times > 20 && recorded > 10, "{longest:?} {times} {recorded}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_ends_only_between_the_transactions_that_write_in_it() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let store = database.open().await;
    let lease = lead(&store, "first").await;
    let (recorder, _writer) = store.clone().leading(lease).recorder(lease);
    recorder.record(recording("first")).await.unwrap();
    let Database::Postgres { url, schema } = &database else { unreachable!() };
    let options: PgConnectOptions = url.parse().unwrap();
    let mut writer = options.options([("search_path", schema)]).connect().await.unwrap();
    // As the recorder holds it, in the middle of a write.
    raw_sql("BEGIN; SELECT epoch FROM leases FOR KEY SHARE").execute(&mut writer).await.unwrap();
    assert!(store.renew_lead(lease).await.unwrap());
    database.sql("UPDATE leases SET expires_at = now()").await;
    store.try_lead("second").await.expect_err("the write goes first");
    assert_eq!(database.count("SELECT epoch FROM leases").await, lease.epoch.0);
    raw_sql("COMMIT").execute(&mut writer).await.unwrap();
    let next = lead(&store, "second").await;
    assert_eq!(next.epoch.0, lease.epoch.0 + 1);
    let refused = recorder.record(recording("too late")).await;
    assert!(matches!(refused, Err(RecordError::Deposed)), "{refused:?}");
}

/// As after a failover to a replica that lacks the last change of leader.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_have_the_same_epoch_the_one_leads_that_the_database_knows() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let (store, other) = (database.open().await, database.open().await);
    lead(&store, "before").await;
    database.sql("UPDATE leases SET expires_at = now(); CREATE TABLE replica AS SELECT * FROM leases").await;
    let first = lead(&store, "same-pod:1").await;
    let leading = store.clone().leading(first);
    let (recorder, _writer) = leading.recorder(first);
    recorder.record(recording("first")).await.unwrap();
    database.sql("DELETE FROM leases; INSERT INTO leases SELECT * FROM replica").await;
    let second = lead(&other, "same-pod:1").await;
    assert_eq!((first.epoch, second.epoch), (Epoch(2), Epoch(2)), "the number is given out again");

    assert!(!store.renew_lead(first).await.unwrap(), "it is another one's lease");
    let refused = recorder.record(recording("too late")).await;
    assert!(matches!(refused, Err(RecordError::Deposed)), "{refused:?}");
    leading.controller_event(true, "Late", "It is too late.").await.expect_err("another one leads");
    leading.prune_history(Timestamp::now(), &History::default()).await.expect_err("another one leads");
    store.give_up_lead(first).await.unwrap();
    assert!(other.renew_lead(second).await.unwrap(), "it is not the first one's to give up");
    let (recorder, _writer) = other.recorder(second);
    recorder.record(recording("second")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_a_great_many_reports_holds_nobody_up() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let store = database.open().await;
    let lease = lead(&store, "first").await;
    let leading = store.clone().leading(lease);
    let (recorder, _writer) = leading.recorder(lease);
    recorder.record(recording("first")).await.unwrap();
    database
        .sql(
            "INSERT INTO runtime_health_snapshots (game_id, observed_at, engine_health)
             SELECT lpad(to_hex(n % 7), 32, '0')::uuid, now() - make_interval(days => (n % 2) * 20), 'healthy'
               FROM generate_series(1, 42000) AS n",
        )
        .await;
    let over = Arc::new(AtomicBool::new(false));
    let renewing = tokio::spawn(renews(store.clone(), lease, over.clone()));
    let recording_too = {
        let over = over.clone();
        tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            while !over.load(Ordering::Relaxed) {
                let asked = Instant::now();
                recorder.record(recording("meanwhile")).await.unwrap();
                longest = longest.max(asked.elapsed());
            }
            longest
        })
    };
    let began = Instant::now();
    // Half of them are too old, and of the others 1,000 of each game stay.
    let gone = leading.prune_history(Timestamp::now(), &History::default()).await.unwrap();
    let took = began.elapsed();
    over.store(true, Ordering::Relaxed);
    let ((renewal, _), record) = (renewing.await.unwrap(), recording_too.await.unwrap());
    eprintln!(
        "{gone} reports went in {took:?}; the longest renewal took {renewal:?}, the longest record {record:?}"
    );
    assert_eq!(gone, 42_000 - 7_000);
    assert!(renewal < PROMPT && record < PROMPT, "{renewal:?} {record:?}");
    let kept = "SELECT count(DISTINCT game_id) * 1000 FROM runtime_health_snapshots";
    assert_eq!(
        database.count(kept).await,
        database.count("SELECT count(*) FROM runtime_health_snapshots").await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_clock_is_set_keeps_the_lead() {
    let (cluster, clock) = (Cluster::start(), SetClock::right());
    let mut world = World::on(Database::on(&cluster.url()));
    world.environment.extend(clock.environment());
    world.start();
    let renewed = async || {
        let last = world.rows("SELECT renewed_at::text FROM leases").await[0].get::<String>(0);
        let later = format!("SELECT count(*) FROM leases WHERE renewed_at > '{last}'");
        world.eventually("it is renewed", async || world.count(&later).await == 1).await;
    };
    for ahead in [-3_600, 3_600, 10 * 365 * 86_400, 0] {
        clock.ahead(ahead);
        renewed().await;
    }
    assert_eq!(world.count("SELECT epoch FROM leases").await, 1);
    assert!(!world.log().contains("the lead is lost"), "{}", world.log());
}
