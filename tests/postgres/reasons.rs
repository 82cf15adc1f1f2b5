//! The reasons that no connection comes about, and what becomes of those that there are.

use std::time::{Duration, Instant};

use gamekeeper::store::Store;

use crate::cluster::Cluster;
use crate::database::Database;

/// A connection is waited for ten seconds, and its reason for one.
const TOLD_WITHIN: Duration = Duration::from_secs(13);

/// A database of a role that can be limited, as a superuser cannot.
async fn limited(cluster: &Cluster) -> (Database, Store) {
    let made = cluster.psql(&["-c", "CREATE ROLE keeper LOGIN; GRANT CREATE ON DATABASE postgres TO keeper"]);
    assert!(made.status.success(), "{made:?}");
    let database = Database::on(&cluster.url_of("keeper"));
    let store = database.open().await;
    (database, store)
}

fn at_most(cluster: &Cluster, connections: i64) {
    let limit = format!("ALTER ROLE keeper CONNECTION LIMIT {connections}");
    assert!(cluster.psql(&["-c", &limit]).status.success());
}

/// The server's processes for the role.
fn sessions(cluster: &Cluster) -> Vec<String> {
    let asked = "SELECT pid FROM pg_stat_activity WHERE usename = 'keeper' ORDER BY 1";
    let output = cluster.psql(&["-Atc", asked]);
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_place_is_told_as_that_and_not_as_a_timeout() {
    let cluster = Cluster::start();
    let (_database, store) = limited(&cluster).await;
    at_most(&cluster, 0);
    let ended =
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename = 'keeper'";
    assert!(cluster.psql(&["-c", ended]).status.success());
    for asking in [store.clone(), store.clone().for_the_controller()] {
        let asked = Instant::now();
        let error = asking.games(None).await.unwrap_err();
        let told = error.unanswered().expect("the database is why");
        assert!(told.contains("too many connections for role"), "{told}");
        assert!(told.contains("each gamekeeper needs 13"), "{told}");
        assert!(asked.elapsed() < TOLD_WITHIN, "{:?}", asked.elapsed());
    }
    at_most(&cluster, -1);
    store.games(None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_answer_are_kept_while_no_new_ones_come_about() {
    let cluster = Cluster::start();
    let (_database, store) = limited(&cluster).await;
    store.instance().await.unwrap();
    // Those that it was only opened with go.
    let began = Instant::now();
    while sessions(&cluster).len() > 1 {
        assert!(began.elapsed() < TOLD_WITHIN, "{:?}", sessions(&cluster));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = sessions(&cluster);
    at_most(&cluster, i64::try_from(before.len()).unwrap());
    let burst = (0..6).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.instance().await.map(drop) })
    });
    let done: Vec<_> = futures::future::join_all(burst).await.into_iter().map(Result::unwrap).collect();
    assert!(done.iter().any(Result::is_ok) && done.iter().any(Result::is_err), "{done:?}");
    assert_eq!(sessions(&cluster), before, "those that answer are the same");
    store.instance().await.unwrap();
}
