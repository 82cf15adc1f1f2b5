//! Writes that the database gives up, or whose connection is lost, and what becomes of them.

use std::time::Duration;

use gamekeeper::game::controller::Binding;
use gamekeeper::game::manifest::{Manifest, ValidManifest, parse_documents, validate};
use gamekeeper::game::ownership::Managed;
use gamekeeper::game::spec::Source;
use gamekeeper::store::outbox::OutboxChange;
use gamekeeper::store::{Author, ControllerChange, Preconditions, Recorder, Recording, Store, WriteError};
use jiff::Timestamp;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{ConnectOptions, raw_sql};

use crate::cluster::Cluster;
use crate::database::Database;
use crate::fencing::recording;

/// The first two writes after each word are given up, in the way that is asked for.
const GIVES_UP: &str = "
    CREATE SEQUENCE attempts;
    CREATE TABLE way (code text);
    INSERT INTO way VALUES ('');
    CREATE FUNCTION gives_up() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE how text := (SELECT code FROM way);
    BEGIN
        IF how <> '' AND nextval('attempts') <= 2 THEN
            IF how = 'dies' THEN
                PERFORM pg_terminate_backend(pg_backend_pid());
                PERFORM pg_sleep(5);
            END IF;
            RAISE EXCEPTION 'not now' USING ERRCODE = how;
        END IF;
        RETURN NULL;
    END $$;
    DO $$
    DECLARE name text;
    BEGIN
        FOREACH name IN ARRAY ARRAY['games', 'engine_versions', 'controller_spec', 'instance', 'runtime_records',
                                    'events', 'lobby_outbox', 'leases'] LOOP
            EXECUTE format('CREATE TRIGGER gives_up BEFORE INSERT OR UPDATE OR DELETE ON %I
                            FOR EACH STATEMENT EXECUTE FUNCTION gives_up()', name);
        END LOOP;
    END $$";

const GAME: &str = "{apiVersion: gamekeeper.dev/v1, kind: Game, metadata: {name: NAME}, spec: {desiredStatus: Stopped, displayName: SHOWN}}";
const VERSION: &str = "{apiVersion: gamekeeper.dev/v1, kind: EngineVersion, metadata: {name: \"1.4.2\"}, spec: {image: \"engine:1.4.2\", port: PORT}}";

fn read(text: &str) -> (Manifest, ValidManifest) {
    let manifest = parse_documents("x.yaml", text).unwrap().pop().unwrap().value;
    let valid = validate(&manifest).unwrap();
    (manifest, valid)
}

fn author() -> Author {
    Author { source: Source::Operator, requested_by: "ann".into(), request_id: "r-1".into() }
}

pub(crate) async fn create(store: &Store, name: &str) -> Result<(), WriteError> {
    let (Manifest::Game(manifest), ValidManifest::Game(valid)) = read(&GAME.replace("NAME", name)) else {
        unreachable!()
    };
    store.create_game(&manifest, &valid, &Managed::default(), &author()).await.map(drop)
}

pub(crate) async fn replace(store: &Store, shown: &str) -> Result<(), WriteError> {
    let text = GAME.replace("NAME", "one").replace("SHOWN", shown);
    let (Manifest::Game(manifest), ValidManifest::Game(valid)) = read(&text) else { unreachable!() };
    store
        .replace_game(&manifest, &valid, &Preconditions::default(), &Managed::default(), &author())
        .await
        .map(drop)
}

async fn version(store: &Store, port: &str, is_new: bool) -> Result<(), WriteError> {
    let text = VERSION.replace("PORT", port);
    let (Manifest::EngineVersion(manifest), ValidManifest::EngineVersion(valid)) = read(&text) else {
        unreachable!()
    };
    if is_new {
        return store.create_version(&manifest, &valid, &Managed::default(), &author()).await.map(drop);
    }
    store
        .replace_version(&manifest, &valid, &Preconditions::default(), &Managed::default(), &author())
        .await
        .map(drop)
}

async fn each_is_made_again(how: &str) {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let store = database.open().await.telling_the_lobby(true);
    database.sql(GIVES_UP).await;
    let armed = async |what: &str| {
        eprintln!("{how}: {what}");
        database.sql(&format!("UPDATE way SET code = '{how}'; SELECT setval('attempts', 1, false)")).await;
    };
    let given_up = async |what: &str| {
        let tried = database.count("SELECT last_value FROM attempts").await;
        assert!(tried >= 3, "{what} was given up {} times", tried - 1);
        database.sql("UPDATE way SET code = ''").await;
    };
    macro_rules! write {
        ($what:literal, $write:expr) => {{
            armed($what).await;
            let done = $write.await;
            given_up($what).await;
            done.unwrap_or_else(|error| panic!("{}, {how}: {error:?}", $what))
        }};
    }
    let lease = write!("taking the lead", store.take_lead("first"));
    let leading = store.clone().leading(lease);
    let (recorder, _writer) = leading.recorder(lease);
    write!("a version", version(&store, "8080", true));
    write!("a changed version", version(&store, "8081", false));
    write!("a version's removal", store.delete_version("1.4.2", &Preconditions::default()));
    write!("a game", create(&store, "one"));
    write!("a changed game", replace(&store, "Two"));
    let freeze = ControllerChange::Freeze("x".into());
    write!("a change of the controller", store.change_controller(&freeze, &author()));
    let lost = "00000000-0000-4000-8000-000000000009".parse().unwrap();
    let namespace = "default".parse().unwrap();
    write!("a burial", store.bury_game(lost, &namespace, &author()));
    let (found, name) = ("00000000-0000-4000-8000-000000000008".parse().unwrap(), "found".parse().unwrap());
    let wanted = "1.4.2".parse().unwrap();
    write!("an adoption", store.adopt_game(found, &namespace, &name, &wanted, &author()));
    write!("a record", recorder.record(recording("recorded")));
    let game = recording("").game;
    write!("a retry of what was told", store.change_outbox(game, OutboxChange::Retry(None), "ann", false));
    let event: String = database.rows("SELECT event_id FROM lobby_outbox WHERE seq = 1").await[0].get(0);
    write!("a delivery", leading.outbox_delivered(event.parse().unwrap(), Timestamp::now()));
    write!("an event", leading.controller_event(false, "Seen", "seen"));
    write!("what is forgotten", leading.prune_events(Timestamp::UNIX_EPOCH));
    let binding = Binding { docker_engine_id: Some("engine".into()), ..Binding::default() };
    write!("what the games stand on", leading.bind(&binding));
    let any = Preconditions::default();
    write!("a deletion", store.request_deletion("default", "one", &any, &author()));
    // Each of them once.
    for (counted, wanted) in [
        ("SELECT count(*) FROM games", 2),
        ("SELECT generation FROM games WHERE name = 'one'", 1),
        ("SELECT count(*) FROM game_tombstones", 1),
        ("SELECT count(*) FROM lobby_outbox", 3),
        ("SELECT count FROM events WHERE reason = 'Seen'", 1),
        ("SELECT high_water FROM instance", 1),
        ("SELECT epoch FROM leases", 1),
        ("SELECT record_version FROM runtime_records", 1),
    ] {
        assert_eq!(database.count(counted).await, wanted, "{how}: {counted}");
    }
}

#[tokio::test]
async fn every_write_is_made_again_when_the_database_cannot_serialize_it() {
    each_is_made_again("40001").await;
}

#[tokio::test]
async fn every_write_is_made_again_when_its_connection_is_lost() {
    each_is_made_again("dies").await;
}

#[tokio::test]
async fn a_write_that_always_gives_way_is_given_up_within_seconds() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let store = database.open().await;
    database.sql(&GIVES_UP.replace("<= 2", "<= 1000000")).await;
    database.sql("UPDATE way SET code = '40001'").await;
    let began = std::time::Instant::now();
    assert!(matches!(create(&store, "one").await, Err(WriteError::Store(_))));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(database.count("SELECT last_value FROM attempts").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_loses_a_deadlock_is_made_again() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let store = database.open().await;
    let lease = store.take_lead("first").await.unwrap();
    let (recorder, _writer) = store.recorder(lease);
    recorder.record(recording("before")).await.unwrap();
    let Database::Postgres { url, schema } = &database else { unreachable!() };
    let options: PgConnectOptions = url.parse().unwrap();
    let mut other = options.options([("search_path", schema)]).connect().await.unwrap();
    raw_sql("BEGIN; SELECT * FROM instance FOR UPDATE").execute(&mut other).await.unwrap();
    let writing = tokio::spawn(async move { recorder.record(recording("after")).await });
    waits_for(&database, "Lock").await;
    raw_sql("UPDATE runtime_records SET name = name; COMMIT").execute(&mut other).await.unwrap();
    writing.await.unwrap().unwrap();
    let after = "SELECT count(*) FROM runtime_records WHERE message = 'after'";
    assert_eq!(database.count(after).await, 1);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let began = std::time::Instant::now();
    while database.count(deadlocks).await == 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "there was no deadlock");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn waits_for(database: &Database, what: &str) {
    let began = std::time::Instant::now();
    let query = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gamekeeper' AND '{what}' IN (wait_event_type, wait_event)"
    );
    while database.count(&query).await == 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "nobody waits for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A leader that tells the lobby, and has recorded once.
async fn led(database: &Database) -> (Store, Recorder, tokio::task::JoinHandle<()>) {
    let store = database.open().await.telling_the_lobby(true);
    let lease = store.take_lead("first").await.unwrap();
    let (recorder, writer) = store.recorder(lease);
    recorder.record(recording("first")).await.unwrap();
    (store, recorder, writer)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_without_an_answer_is_not_written_again() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let (store, recorder, _writer) = led(&database).await;
    let cut = async || {
        waits_for(&database, "SyncRep").await;
        database.rows(CUT).await;
    };
    answers_with(&cluster, "nobody");
    let writing = tokio::spawn(async move { recorder.record(recording("second")).await });
    cut().await;
    writing.await.unwrap().expect("the counter says that it was written");
    let creating = tokio::spawn({
        let store = store.clone();
        async move { create(&store, "one").await }
    });
    cut().await;
    let told = format!("{:?}", creating.await.unwrap().expect_err("nobody knows"));
    assert!(told.contains("look before you repeat it"), "{told}");
    answers_with(&cluster, "");
    assert_eq!(database.count("SELECT high_water FROM instance").await, 2);
    assert_eq!(database.count("SELECT count(*) FROM lobby_outbox").await, 6);
    assert_eq!(database.count("SELECT count(*) FROM games").await, 1);
}

/// A frozen controller's word to the lobby moves no counter.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_frozen_controller_told_without_an_answer_is_not_told_again() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let (_store, recorder, _writer) = led(&database).await;
    let frozen = |message| Recording { counts: false, ..recording(message) };
    answers_with(&cluster, "nobody");
    let writing = tokio::spawn({
        let (recorder, frozen) = (recorder.clone(), frozen("frozen"));
        async move { recorder.record(frozen).await }
    });
    waits_for(&database, "SyncRep").await;
    database.rows(CUT).await;
    let written = writing.await.unwrap();
    answers_with(&cluster, "");
    written.expect("the outbox says that it was written");
    let told = "SELECT count(*) FROM lobby_outbox";
    assert_eq!(database.count(told).await, 6);
    // One that was not written is told as that.
    database.sql(DIES.replace("runtime_records", "lobby_outbox").as_str()).await;
    recorder.record(frozen("frozen still")).await.expect_err("it died within its commit");
    database.sql("DROP TRIGGER dies ON lobby_outbox").await;
    assert_eq!(database.count(told).await, 6);
    recorder.record(frozen("frozen still")).await.unwrap();
    assert_eq!(database.count(told).await, 9);
    let counted = "SELECT high_water FROM instance";
    assert_eq!(database.count(counted).await, 1, "an older database would catch up by it");
}

/// The server's process dies within the commit.
const DIES: &str = "
    CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON runtime_records
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dies()";

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_a_record_without_an_answer_is_asked_until_it_is_known() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let (_store, recorder, _writer) = led(&database).await;
    answers_with(&cluster, "nobody");
    let writing = tokio::spawn(async move { recorder.record(recording("second")).await });
    waits_for(&database, "SyncRep").await;
    // Somebody has the row that says so as soon as the commit is over, for longer than anybody waits.
    let Database::Postgres { url, schema } = &database else { unreachable!() };
    let options: PgConnectOptions = url.parse().unwrap();
    let mut other = options.options([("search_path", schema)]).connect().await.unwrap();
    let locking = tokio::spawn(async move {
        raw_sql("BEGIN; SELECT * FROM instance FOR UPDATE").execute(&mut other).await.unwrap();
        other
    });
    let queued = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%instance FOR UPDATE' AND wait_event_type = 'Lock'";
    let began = std::time::Instant::now();
    while database.count(queued).await == 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "nobody waits for the row");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    database.rows(CUT).await;
    let mut other = locking.await.unwrap();
    answers_with(&cluster, "");
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(!writing.is_finished(), "whether it was written was not known");
    raw_sql("COMMIT").execute(&mut other).await.unwrap();
    writing.await.unwrap().expect("the counter says that it was written");
    assert_eq!(database.count("SELECT high_water FROM instance").await, 2);
    assert_eq!(database.count("SELECT count(*) FROM lobby_outbox").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_a_record_is_asked_until_somebody_is_let_in_again() {
    let cluster = Cluster::start();
    let made = cluster.psql(&["-c", "CREATE ROLE keeper LOGIN SUPERUSER"]);
    assert!(made.status.success(), "{made:?}");
    let database = Database::on(&cluster.url_of("keeper"));
    let Database::Postgres { schema, .. } = &database else { unreachable!() };
    let others = Database::Postgres { url: cluster.url(), schema: schema.clone() };
    let (_store, recorder, _writer) = led(&database).await;
    answers_with(&cluster, "nobody");
    let writing = tokio::spawn(async move { recorder.record(recording("second")).await });
    waits_for(&others, "SyncRep").await;
    let may = |what: &str| {
        let done =
            cluster.psql(&["-c", "SET synchronous_commit = off", "-c", &format!("ALTER ROLE keeper {what}")]);
        assert!(done.status.success(), "{done:?}");
    };
    may("NOLOGIN");
    others.rows(CUT).await;
    answers_with(&cluster, "");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!writing.is_finished(), "whether it was written was not known");
    may("LOGIN");
    writing.await.unwrap().expect("the counter says that it was written");
    assert_eq!(others.count("SELECT high_water FROM instance").await, 2);
    assert_eq!(others.count("SELECT count(*) FROM lobby_outbox").await, 6);
}

/// Loses the connections whose commits wait for an answer.
const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

/// From here on a commit is answered when this standby has it; one that does not come leaves it on disk
/// here, and without an answer.
fn answers_with(cluster: &Cluster, standby: &str) {
    let wanted = format!("ALTER SYSTEM SET synchronous_standby_names = '{standby}'");
    for statement in [wanted.as_str(), "SELECT pg_reload_conf()"] {
        let done = cluster.psql(&["-c", statement]);
        assert!(done.status.success(), "{done:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_committed_and_had_no_answer_is_told_as_not_written() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let store = database.open().await;
    let lease = store.take_lead("first").await.unwrap();
    let (recorder, _writer) = store.recorder(lease);
    database.sql(DIES).await;
    recorder.record(recording("first")).await.expect_err("it died within its commit");
    assert_eq!(database.count("SELECT count(*) FROM runtime_records").await, 0);
    database.sql("DROP TRIGGER dies ON runtime_records").await;
    recorder.record(recording("second")).await.unwrap();
    assert_eq!(database.count("SELECT high_water FROM instance").await, 1);
}
