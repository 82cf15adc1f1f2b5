//! The holder of a lock is told by name, whoever it is, with the way out.

use gamekeeper::store::recorder::RecordError;

use crate::cluster::Cluster;
use crate::database::Database;
use crate::fencing::recording;
use crate::waiting::{client, does};
use crate::writes::{create, replace};

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_is_told_by_its_name_with_the_way_out() {
    let cluster = Cluster::start();
    let set = cluster.psql(&["-c", "ALTER SYSTEM SET max_prepared_transactions = 5"]);
    assert!(set.status.success(), "{set:?}");
    cluster.restart();
    let database = Database::on(&cluster.url());
    let store = database.open().await;
    let lease = store.take_lead("first").await.unwrap();
    let (recorder, _writer) = store.recorder(lease);
    create(&store, "one").await.unwrap();
    recorder.record(recording("before")).await.unwrap();
    let prepared = "PREPARE TRANSACTION 'nightly ''bill''; COMMIT'";
    let way_out = "ROLLBACK PREPARED 'nightly ''bill''; COMMIT'";
    for again in [false, true] {
        let lock = "SELECT FROM games FOR UPDATE; SELECT FROM runtime_records FOR UPDATE";
        drop(client(&database, &format!("{lock}; {prepared}")).await);
        if again {
            // It outlives the server, and belongs to no process that ever was.
            cluster.restart();
        }
        let told = replace(&store, "Two").await.unwrap_err();
        let gamekeeper::store::WriteError::Store(told) = told else { panic!("{told:?}") };
        let told = told.locked().expect("it is told by whom");
        assert!(told.contains(way_out) && told.contains("(user postgres, prepared at "), "{told}");
        let refused = recorder.record(recording("meanwhile")).await.unwrap_err();
        assert!(matches!(&refused, RecordError::Locked(who) if who.contains(way_out)), "{refused:?}");
        database.sql(way_out).await;
        recorder.record(recording("after")).await.unwrap();
        replace(&store, "Two").await.unwrap();
    }
    // Neither row nor transaction is what is waited for.
    drop(client(&database, &format!("LOCK TABLE games IN EXCLUSIVE MODE; {prepared}")).await);
    let told = format!("{:?}", replace(&store, "Three").await.unwrap_err());
    assert!(told.contains("ROLLBACK PREPARED"), "{told}");
    database.sql(way_out).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_who_share_a_lock_are_all_told() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster.url());
    let store = database.open().await;
    let lease = store.take_lead("first").await.unwrap();
    let (recorder, _writer) = store.recorder(lease);
    recorder.record(recording("before")).await.unwrap();
    let mut clients = Vec::new();
    for name in ["one", "other", "third"] {
        let shares = format!(
            "SET application_name = 'report-{name}'; SAVEPOINT deeper; SELECT FROM runtime_records FOR SHARE"
        );
        clients.push(client(&database, &shares).await);
    }
    let refused = recorder.record(recording("meanwhile")).await.unwrap_err();
    let RecordError::Locked(who) = &refused else { panic!("{refused:?}") };
    for name in ["report-one (user", "report-other (user", "report-third (user"] {
        assert!(who.contains(name), "{who}");
    }
    for client in &mut clients {
        does(client, "COMMIT").await;
    }
    recorder.record(recording("after")).await.unwrap();
}
