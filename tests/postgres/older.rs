//! An older copy of the database takes its place under controllers that live, as a failover to a replica
//! that lags behind does.

use std::time::Duration;

use futures::StreamExt;
use kube::ResourceExt;
use kube::api::{ListParams, WatchEvent, WatchParams};

use crate::cluster::Cluster;
use crate::database::Database;
use crate::reflectors::games;
use crate::replica::Replica;
use crate::world::{World, container, docker, inspect};

/// Longer than a relist, a look of a candidate and a lease that is given up: who would act has acted by then.
const A_WHILE: Duration = Duration::from_secs(8);

/// A server whose database can be copied and exchanged.
struct Server {
    cluster: Cluster,
    database: Database,
}

impl Server {
    fn start() -> Self {
        let cluster = Cluster::start();
        let server =
            Self { database: Database::on(&cluster.url().replace("/postgres?", "/games?")), cluster };
        server.run("CREATE DATABASE games");
        server
    }

    fn run(&self, statement: &str) {
        let done = self.cluster.psql(&["-c", statement]);
        assert!(done.status.success(), "{statement}: {done:?}");
    }

    /// Nobody is connected to this one, and nobody connects.
    fn close(&self, database: &str) {
        self.run(&format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false"));
        self.run(&format!(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = '{database}'"
        ));
    }

    fn copy(&self, name: &str) {
        self.close("games");
        self.run(&format!("CREATE DATABASE {name} TEMPLATE games"));
        self.run("ALTER DATABASE games ALLOW_CONNECTIONS true");
    }

    /// Puts a copy in the place of the database, which is kept by another name. The lease in it goes on:
    /// a replica is seconds behind.
    fn put(&self, copy: &str, kept_as: &str) {
        self.run(&format!("ALTER DATABASE {copy} ALLOW_CONNECTIONS true"));
        let url = self.cluster.url().replace("/postgres?", &format!("/{copy}?"));
        let Database::Postgres { schema, .. } = &self.database else { unreachable!() };
        let lease = format!("UPDATE {schema}.leases SET expires_at = clock_timestamp() + interval '15 s'");
        let done = std::process::Command::new("psql").args(["-Xqd", &url, "-c", &lease]).status().unwrap();
        assert!(done.success());
        self.close("games");
        self.run(&format!("ALTER DATABASE games RENAME TO {kept_as}"));
        self.run(&format!("ALTER DATABASE {copy} RENAME TO games"));
        self.run("ALTER DATABASE games ALLOW_CONNECTIONS true");
    }
}

fn told(replica: &Replica) -> String {
    let status = replica.gk(&["status"]);
    String::from_utf8_lossy(&status.stdout).into_owned()
}

async fn restart(world: &World, game: &str, times: usize) {
    world
        .sql(&format!(
            "UPDATE games SET restart_generation = restart_generation + 1 WHERE game_id = '{game}'"
        ))
        .await;
    let done = async || {
        let all = world.operations(game).await;
        all.iter().filter(|operation| *operation == "restart succeeded").count() == times
    };
    world.eventually("restarted", done).await;
    world.until(game, "running", |status| status.phase == "running").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_database_behind_the_same_address_stops_everything_until_it_is_confirmed() {
    let server = Server::start();
    let Database::Postgres { url, schema } = &server.database else { unreachable!() };
    let world = World::on(Database::Postgres { url: url.clone(), schema: schema.clone() });
    let first = Replica::start(&world, "first");
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let second = Replica::start(&world, "second");
    let game = world.running("one").await;
    server.copy("older");
    restart(&world, &game, 1).await;
    let lost = world.running("two").await;
    let life = |game: &str| inspect(game, "{{.Id}} {{.State.StartedAt}} {{.State.Running}}");
    let lives = (life(&game), life(&lost));

    // Watchers, wherever they are, have seen what is about to be lost.
    let mut watches = Vec::new();
    for replica in [&first, &second] {
        let api = games(replica).await;
        let list = api.list(&ListParams::default()).await.unwrap();
        assert_eq!(list.items.len(), 2);
        let version = list.metadata.resource_version.unwrap();
        watches.push(api.watch(&WatchParams::default(), &version).await.unwrap().boxed());
    }
    server.put("older", "newer");
    // The older one asks for what would be wrong now, and something happens that would be healed.
    world.sql(&format!("UPDATE games SET desired_status = 'stopped' WHERE game_id = '{game}'")).await;
    docker(&["kill", &container(&lost)]);

    for mut watch in watches {
        loop {
            let line = tokio::time::timeout(Duration::from_secs(30), watch.next()).await.expect("it is told");
            match line.expect("it is told before it ends").unwrap() {
                WatchEvent::Error(status) => break assert_eq!(status.code, 410, "{status:?}"),
                WatchEvent::Deleted(game) => panic!("{} is told to be deleted", game.name_any()),
                _ => {}
            }
        }
    }
    for replica in [&first, &second] {
        world.eventually("it says why", async || told(replica).contains("DatabaseOlder")).await;
        assert!(told(replica).contains("gamekeeper rebind"), "{}", told(replica));
        // Nothing is shown of what is not there.
        let names = games(replica).await.list(&ListParams::default()).await.unwrap();
        assert_eq!(names.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["one"]);
    }
    let recorded = "SELECT high_water FROM instance";
    let counted = world.count(recorded).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(life(&game), lives.0);
    assert_eq!(inspect(&lost, "{{.State.Running}}"), "false");
    assert_eq!(world.count(recorded).await, counted, "nothing is recorded");
    assert!(told(&first).contains("DatabaseOlder") && told(&second).contains("DatabaseOlder"));

    // The newer one is put back: everything goes on where it was.
    server.put("newer", "older");
    world.until(&lost, "healed", |status| status.phase == "running" && status.restarts == 1).await;
    assert_eq!(life(&game), lives.0);
    // And once more, and this time it is meant.
    restart(&world, &game, 2).await;
    server.put("older", "newer");
    world.eventually("it says why", async || told(&first).contains("DatabaseOlder")).await;
    first.ok(&["rebind", "--yes", "--wait"]);
    // Now it is followed; of what it does not know nothing is touched.
    world.until(&game, "stopped", |status| status.phase == "stopped").await;
    assert_eq!(inspect(&lost, "{{.State.Running}}"), "true");
    world.sql(&format!("UPDATE games SET desired_status = 'running' WHERE game_id = '{game}'")).await;
    world.until(&game, "running again", |status| status.phase == "running").await;
    // The leader knows.
    let orphan = async || {
        [&first, &second]
            .iter()
            .any(|one| String::from_utf8_lossy(&one.gk(&["adopt"]).stdout).contains(&lost))
    };
    world.eventually("it is reported", orphan).await;
    assert_eq!(world.inits(&game), 1);
}

/// The other database is not behind in anything that counts, so nothing else finds it out.
#[tokio::test(flavor = "multi_thread")]
async fn a_leadership_ends_with_the_database_that_it_was_taken_in() {
    let server = Server::start();
    let Database::Postgres { url, schema } = &server.database else { unreachable!() };
    let world = World::on(Database::Postgres { url: url.clone(), schema: schema.clone() });
    let replica = Replica::start(&world, "first");
    let epoch = "SELECT epoch FROM leases";
    // All its connections are lost, and those that it makes lead to the same database.
    server.copy("same");
    let renewed = "SELECT count(*) FROM leases WHERE renewed_at > clock_timestamp() - interval '1 s'";
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.eventually("it is renewed", async || world.count(renewed).await == 1).await;
    assert_eq!(world.count(epoch).await, 1, "the lead is kept");
    server.put("same", "before");
    world.eventually("it leads anew", async || world.count(epoch).await == 2).await;
    world.eventually("it is renewed", async || world.count(renewed).await == 1).await;
    assert!(replica.log().contains("another database answers"), "{}", replica.log());
}
