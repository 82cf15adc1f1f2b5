//! One recording of many that others stand in the way of, or that the database refuses: it is alone with that.

use std::time::{Duration, Instant};

use gamekeeper::game::GameId;
use gamekeeper::game::spec::Deletion;
use gamekeeper::game::turn::{LedgerEntry, OpenTurn, TurnCause, TurnEnd, TurnState};
use gamekeeper::store::recorder::{RecordError, RecordedEvent};
use gamekeeper::store::{Recorder, Recording, Store};
use jiff::Timestamp;
use sea_orm::sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::database::Database;
use crate::fencing::recording;
use crate::waiting::{client, does};

/// Far longer than it takes to wait for nobody, or once for half a second, however busy the machine is; and
/// shorter than a statement may take, which is what everybody would wait for who did not go on without it.
const PROMPT: Duration = Duration::from_secs(6);

/// The same the first time: it is found out what waits, and for whom.
const FOUND_OUT: Duration = Duration::from_secs(8);

/// The games whose recordings go together.
const GAMES: u128 = 30;

fn game(number: u128) -> GameId {
    GameId(Uuid::from_u128(0x00000000_0000_4000_8000_000000000000 + number))
}

/// Of the first game there are rows of all kinds, as far as a recording writes them.
fn of(number: u128) -> Recording {
    let event = RecordedEvent { warning: false, reason: "Seen".into(), message: "It was seen.".into() };
    let turn = OpenTurn {
        number: 1,
        cause: TurnCause::Schedule,
        slot: None,
        attempts: 1,
        opened_at: Timestamp::UNIX_EPOCH,
        state: TurnState::Pending,
    };
    let ledger = vec![LedgerEntry { turn, end: Some(TurnEnd::Done) }];
    let mut recording = Recording { event: Some(event), ledger, ..recording("seen") };
    recording.game = game(number);
    recording.name = format!("game-{number}").parse().unwrap();
    recording
}

struct World {
    _cluster: Cluster,
    database: Database,
    store: Store,
    recorder: Recorder,
}

impl World {
    async fn new() -> Self {
        let cluster = Cluster::start();
        let database = Database::on(&cluster.url());
        let store = database.open().await.telling_the_lobby(true);
        let lease = store.take_lead("first").await.unwrap();
        let (recorder, _writer) = store.recorder(lease);
        let world = Self { _cluster: cluster, database, store, recorder };
        for (number, done, _) in world.all().await {
            done.unwrap_or_else(|error| panic!("{number}: {error:?}"));
        }
        world
    }

    async fn psql(&self, statement: &str) -> PgConnection {
        client(&self.database, &format!("SET application_name = 'psql'; {statement}")).await
    }

    /// Records all games at the same time; what became of each, and how long it took.
    async fn all(&self) -> Vec<(u128, Result<(), RecordError>, Duration)> {
        let asked = (1..=GAMES).map(|number| async move {
            let began = Instant::now();
            let done = self.recorder.record(of(number)).await;
            (number, done, began.elapsed())
        });
        futures::future::join_all(asked).await
    }

    /// Records all games, of which the first alone fails. Gives how it does.
    async fn all_but_the_first(&self, within: Duration) -> RecordError {
        let mut failed = None;
        for (number, done, took) in self.all().await {
            match done {
                Err(error) if number == 1 => failed = Some(error),
                done => {
                    done.unwrap_or_else(|error| panic!("{number}: {error:?}"));
                    assert!(number == 1 || took < within, "{number}: {took:?}");
                }
            }
        }
        failed.expect("the first one fails")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_waits_for_a_row_of_whatever_kind_waits_alone() {
    let world = World::new().await;
    let first = "00000000-0000-4000-8000-000000000001";
    for rows in ["events WHERE name = 'game-1'", &format!("turns WHERE game_id = '{first}'")] {
        let mut client = world.psql(&format!("SELECT * FROM {rows} FOR UPDATE")).await;
        for attempt in 0..3 {
            let within = if attempt == 0 { FOUND_OUT } else { PROMPT };
            let failed = world.all_but_the_first(within).await;
            assert!(failed.is_of_one_game(), "{failed:?}");
            let is_told = matches!(&failed, RecordError::Locked(who) if who.starts_with("psql (user "));
            assert!(is_told, "{rows}: {failed:?}");
        }
        does(&mut client, "COMMIT").await;
        assert!(world.all().await.iter().all(|(_, done, _)| done.is_ok()));
    }
    // Nothing of it was written twice, and nothing of what was refused.
    let told = format!("SELECT count(*) FROM lobby_outbox WHERE game_id = '{first}'");
    assert_eq!(world.database.count(&told).await, 3 * 3);
    assert_eq!(world.database.count("SELECT count(*) FROM lobby_outbox").await, 9 + 29 * 3 * 9);
}

/// Every row of a table is locked, as by a migration of somebody's.
#[tokio::test(flavor = "multi_thread")]
async fn recordings_that_need_no_locked_table_wait_for_none_that_do() {
    let world = World::new().await;
    let mut client = world.psql("LOCK TABLE events IN EXCLUSIVE MODE").await;
    let eventful: Vec<_> = (1..=GAMES)
        .map(|number| {
            let recorder = world.recorder.clone();
            tokio::spawn(async move { recorder.record(of(number)).await })
        })
        .collect();
    for round in 0..4 {
        let began = Instant::now();
        for number in 101..=110 {
            let silent = Recording { event: None, ledger: Vec::new(), ..of(number) };
            world.recorder.record(silent).await.unwrap();
        }
        let took = began.elapsed();
        // Each of the ten waits for one of the others at most.
        let within = if round == 0 { 4 * PROMPT + FOUND_OUT } else { 4 * PROMPT };
        assert!(took < within, "{took:?}");
    }
    does(&mut client, "COMMIT").await;
    for asked in eventful {
        let done = asked.await.unwrap();
        assert!(done.as_ref().err().is_none_or(RecordError::is_of_one_game), "{done:?}");
    }
    assert!(world.all().await.iter().all(|(_, done, _)| done.is_ok()));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_somebody_has_changed_and_not_committed_hold_up_their_game_alone() {
    let world = World::new().await;
    let before = world.store.feeds().await.unwrap();
    let mut client = world
        .psql(
            "UPDATE runtime_records SET message = 'by hand' WHERE name = 'game-1';
             UPDATE events SET count = 100 WHERE name = 'game-1';
             DELETE FROM events WHERE name = 'game-2';
             INSERT INTO version_records (version) VALUES ('1.4.2')",
        )
        .await;
    let mut others = Vec::new();
    for number in 3..=GAMES {
        let began = Instant::now();
        world.recorder.record(of(number)).await.unwrap();
        assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
        others.push(game(number));
    }
    let meanwhile = world.store.feeds().await.unwrap();
    let mut seen = world.store.recorded_after(before.observed).await.unwrap();
    seen.sort_unstable();
    assert_eq!(seen, others, "nothing of what is not committed is seen");
    assert_eq!(meanwhile.forgotten, before.forgotten);
    does(&mut client, "COMMIT").await;
    // A follower until now finds it after what was seen.
    let after = world.store.feeds().await.unwrap();
    assert_eq!((after.observed, after.forgotten), (meanwhile.observed + 1, meanwhile.forgotten + 1));
    assert_eq!(world.store.recorded_after(meanwhile.observed).await.unwrap(), [game(1)]);
    let events = world.store.events_after(meanwhile.observed, 10).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].name, "game-1");
}

/// A trigger of somebody's that fails for the first game, in a way of its own.
fn trigger(table: &str, timing: &str, body: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION stands_in_the_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$;
         CREATE {timing} FOR EACH ROW WHEN (NEW.game_id = '00000000-0000-4000-8000-000000000001') EXECUTE FUNCTION stands_in_the_way()"
    )
    .replace("TABLE", table)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trigger_refuses_or_cannot_do_is_of_its_game_alone() {
    let world = World::new().await;
    let before = "TRIGGER in_the_way BEFORE INSERT OR UPDATE ON TABLE";
    let deferred =
        "CONSTRAINT TRIGGER in_the_way AFTER INSERT OR UPDATE ON TABLE DEFERRABLE INITIALLY DEFERRED";
    for (timing, body, words) in [
        (before, "RAISE EXCEPTION 'not yours' USING ERRCODE = '42501'", "not yours"),
        (before, "RAISE EXCEPTION 'not on Fridays'", "not on Fridays"),
        (before, "INSERT INTO bills VALUES (1)", "bills"),
        (before, "PERFORM pg_sleep(30)", "timeout"),
        (deferred, "INSERT INTO bills VALUES (1)", "bills"),
    ] {
        for table in ["runtime_records", "lobby_outbox"] {
            world.database.sql(&trigger(table, timing, body)).await;
            let slow = body.contains("pg_sleep");
            for attempt in 0..3 {
                // A statement has ten seconds, the first time.
                let within = match (attempt, slow) {
                    (0, true) => Duration::from_secs(20),
                    (0, false) => FOUND_OUT,
                    (_, true) => Duration::from_secs(6),
                    (_, false) => PROMPT,
                };
                let failed = world.all_but_the_first(within).await;
                let told = format!("{failed:?}");
                assert!(told.contains(words), "{told}");
                assert!(attempt == 0 || failed.is_refusal(), "{table} {body}: {told}");
            }
            world.database.sql(&format!("DROP TRIGGER in_the_way ON {table}")).await;
            assert!(world.all().await.iter().all(|(_, done, _)| done.is_ok()));
            if slow {
                break;
            }
        }
    }
}

/// Games with these numbers whose deletion was asked for.
async fn to_be_deleted(world: &World, numbers: std::ops::RangeInclusive<u128>) {
    let (first, last) = numbers.into_inner();
    world
        .database
        .sql(&format!(
            "INSERT INTO games (game_id, desired_status, deletion_requested_at)
             SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'stopped', now()
               FROM generate_series({first}, {last}) AS n"
        ))
        .await;
}

type Deletions = Vec<tokio::task::JoinHandle<Result<(), RecordError>>>;

fn delete(world: &World, numbers: std::ops::RangeInclusive<u128>) -> Deletions {
    let one = |number| {
        let recorder = world.recorder.clone();
        let deletion = Recording { deleted: Some(Deletion::Requested), ..of(number) };
        tokio::spawn(async move { recorder.record(deletion).await })
    };
    numbers.map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_that_come_to_their_end_do_not_hide_that_a_recording_waits() {
    let world = World::new().await;
    to_be_deleted(&world, 1_001..=1_200).await;
    let mut client = world
        .psql("SELECT * FROM turns WHERE game_id = '00000000-0000-4000-8000-000000000001' FOR UPDATE")
        .await;
    let deletions = delete(&world, 1_001..=1_200);
    let failed = world.all_but_the_first(FOUND_OUT).await;
    assert!(matches!(failed, RecordError::Locked(_)), "{failed:?}");
    for deletion in deletions {
        deletion.await.unwrap().unwrap();
    }
    does(&mut client, "COMMIT").await;
    assert_eq!(world.database.count("SELECT count(*) FROM games").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_takes_long_is_cut_off_and_told_and_the_others_do_not_wait_for_its_end() {
    let world = World::new().await;
    to_be_deleted(&world, 1_001..=1_004).await;
    world
        .database
        .sql(
            "CREATE FUNCTION takes_long() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(9); RETURN OLD; END $$;
             CREATE TRIGGER takes_long BEFORE DELETE ON games FOR EACH ROW EXECUTE FUNCTION takes_long()",
        )
        .await;
    let deletions = delete(&world, 1_001..=1_004);
    for _ in 0..3 {
        let began = Instant::now();
        world.recorder.record(of(2)).await.unwrap();
        assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    }
    for deletion in deletions {
        let error = deletion.await.unwrap().unwrap_err();
        assert!(error.is_of_one_game() && format!("{error:?}").contains("timeout"), "{error:?}");
    }
    world.database.sql("DROP TRIGGER takes_long ON games").await;
    for deletion in delete(&world, 1_001..=1_004) {
        deletion.await.unwrap().unwrap();
    }
    assert_eq!(world.database.count("SELECT count(*) FROM games").await, 0);
}

/// A transaction takes so long to commit, however much is in it.
const SLOW_FLUSH: &str = "
    CREATE TABLE disk (flush float8);
    INSERT INTO disk VALUES (2.2);
    CREATE FUNCTION flushes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(flush) FROM disk; RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER flushes AFTER UPDATE ON instance
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flushes()";

#[tokio::test(flavor = "multi_thread")]
async fn however_long_a_commit_takes_many_recordings_go_in_one() {
    let world = World::new().await;
    world.database.sql(SLOW_FLUSH).await;
    for _ in 0..6 {
        world.recorder.record(of(1)).await.unwrap();
    }
    world.database.sql("UPDATE disk SET flush = 0.6").await;
    let transactions = "SELECT high_water FROM instance";
    let before = world.database.count(transactions).await;
    for (number, done, _) in world.all().await {
        done.unwrap_or_else(|error| panic!("{number}: {error:?}"));
    }
    // The first to ask may go alone.
    let made = world.database.count(transactions).await - before;
    assert!(made <= 2, "{made} transactions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_a_trigger_cannot_do_is_told_as_refused() {
    let world = World::new().await;
    world
        .database
        .sql(
            "INSERT INTO games (game_id, desired_status, deletion_requested_at)
             VALUES ('00000000-0000-4000-8000-000000000001', 'stopped', now());
             CREATE FUNCTION bills() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO bills VALUES (1); RETURN OLD; END $$;
             CREATE TRIGGER bills BEFORE DELETE ON games FOR EACH ROW EXECUTE FUNCTION bills()",
        )
        .await;
    let deletion = || Recording { deleted: Some(Deletion::Requested), ..of(1) };
    let refused = world.recorder.record(deletion()).await.unwrap_err();
    assert!(refused.is_of_one_game(), "{refused:?}");
    world.database.sql("DROP TRIGGER bills ON games").await;
    world.recorder.record(deletion()).await.unwrap();
    assert_eq!(world.database.count("SELECT count(*) FROM games").await, 0);
}

/// A failure of all of them is nobody's in particular.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_recorder_itself_waits_for_or_may_not_do_is_of_no_game() {
    let world = World::new().await;
    let mut client = world.psql("SELECT * FROM instance FOR UPDATE").await;
    for (_, done, _) in world.all().await {
        let error = done.unwrap_err();
        assert!(!error.is_of_one_game(), "{error:?}");
    }
    does(&mut client, "COMMIT").await;
    world.database.sql("ALTER TABLE runtime_records RENAME TO away").await;
    for _ in 0..2 {
        for (_, done, _) in world.all().await {
            let error = done.unwrap_err();
            assert!(!error.is_of_one_game(), "{error:?}");
        }
    }
    world.database.sql("ALTER TABLE away RENAME TO runtime_records").await;
    assert!(world.all().await.iter().all(|(_, done, _)| done.is_ok()));
}
