//! Clients that follow games while the lead goes from one controller to the other.

use std::time::Duration;

use futures::{Stream, StreamExt};
use gamekeeper::store::LEASE;
use kube::api::{Api, DynamicObject, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::pinned_kind;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Config, ResourceExt};

use crate::cluster::Cluster;
use crate::database::Database;
use crate::replica::Replica;
use crate::world::World;

/// How long a change may take to be seen on a busy machine, a change of lead included.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn games(replica: &Replica) -> Api<DynamicObject> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(replica.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let client = Client::try_from(config).unwrap();
    let gvk = GroupVersionKind::gvk("gamekeeper.dev", "v1", "Game");
    let (game, _) = pinned_kind(&client, &gvk).await.unwrap();
    Api::namespaced_with(client, "default", &game)
}

type Told = std::pin::Pin<Box<dyn Stream<Item = watcher::Result<Event<DynamicObject>>> + Send>>;

fn follow(api: Api<DynamicObject>) -> Told {
    Box::pin(watcher(api, watcher::Config::default()).default_backoff())
}

async fn next(told: &mut Told) -> Event<DynamicObject> {
    let event = tokio::time::timeout(PATIENCE, told.next()).await.expect("something is told");
    event.expect("it goes on").expect("nothing is wrong")
}

/// What is told until this is, as `andromeda 3 Stopped`: name, display name and phase. Each change has a
/// later version than the one before.
async fn until(told: &mut Told, last: impl Fn(&str) -> bool, version: &mut u64) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let (game, line) = match next(told).await {
            Event::Apply(game) => {
                let of = |path: &str| game.data.pointer(path).and_then(|value| value.as_str()).unwrap_or("-");
                let line = format!("{} {} {}", game.name_any(), of("/spec/displayName"), of("/status/phase"));
                (game, line)
            }
            Event::Delete(game) => {
                let line = format!("{} is gone", game.name_any());
                (game, line)
            }
            other @ (Event::Init | Event::InitApply(_) | Event::InitDone) => {
                panic!("nothing is listed again: {other:?}, after {seen:?}")
            }
        };
        let of_this: u64 = game.resource_version().unwrap().parse().unwrap();
        assert!(of_this > *version, "it is told once and in order: {line} after {seen:?}");
        *version = of_this;
        let end = last(&line);
        seen.push(line);
        if end {
            return seen;
        }
    }
}

async fn make(world: &World, name: &str) {
    let id = uuid::Uuid::new_v4();
    let sql =
        format!("INSERT INTO games (game_id, name, desired_status) VALUES ('{id}', '{name}', 'stopped')");
    world.sql(&sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_at_the_standby_sees_every_change_once_while_the_leader_is_killed() {
    let cluster = Cluster::start();
    let world = World::on(Database::on(&cluster.url()));
    let first = Replica::start(&world, "first");
    let second = Replica::start(&world, "second");
    assert!(!first.stands_by() && second.stands_by());
    make(&world, "andromeda").await;
    let mut told = follow(games(&second).await);
    while !matches!(next(&mut told).await, Event::InitDone) {}
    let mut version = 0;
    // By SQL, seen at the server that does not lead; the leader is killed amid that.
    for change in 1..=20 {
        if change == 10 {
            first.signal("-KILL");
        }
        world.sql(&format!("UPDATE games SET display_name = '{change}' WHERE name = 'andromeda'")).await;
        let seen =
            until(&mut told, |line| line.starts_with(&format!("andromeda {change} ")), &mut version).await;
        let before = seen[..seen.len() - 1].iter();
        let expected = format!("andromeda {} ", change - 1);
        assert!(before.clone().all(|line| line.starts_with(&expected) || change == 1), "{seen:?}");
    }
    // What the next leader does is told on the same watch.
    make(&world, "late").await;
    let seen = until(&mut told, |line| line == "late - Stopped", &mut version);
    tokio::time::timeout(LEASE + PATIENCE, seen).await.expect("the next leader takes it up");
    world.sql("DELETE FROM games WHERE name = 'late'").await;
    until(&mut told, |line| line == "late is gone", &mut version).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_server_dies_lists_at_the_other_one_and_ends_with_the_truth() {
    let cluster = Cluster::start();
    let world = World::on(Database::on(&cluster.url()));
    let first = Replica::start(&world, "first");
    let second = Replica::start(&world, "second");
    for name in ["andromeda", "borealis", "cygnus"] {
        make(&world, name).await;
    }
    let (here, there) = (games(&first).await, games(&second).await);
    let list = here.list(&kube::api::ListParams::default()).await.unwrap();
    let client = here.clone().into_client();
    let gvk = GroupVersionKind::gvk("gamekeeper.dev", "v1", "Game");
    let mut writer = Writer::new(pinned_kind(&client, &gvk).await.unwrap().0);
    let store = writer.as_reader();
    let mut told = follow(here);
    loop {
        let event = next(&mut told).await;
        writer.apply_watcher_event(&event);
        if matches!(event, Event::InitDone) {
            break;
        }
    }
    assert_eq!(store.len(), 3);
    first.signal("-KILL");
    world.sql("DELETE FROM games WHERE name = 'borealis'").await;
    world.sql("UPDATE games SET display_name = 'changed' WHERE name = 'cygnus'").await;
    make(&world, "draco").await;
    let broken = async {
        // What the leader was telling comes first.
        loop {
            match told.next().await {
                Some(Ok(event)) => writer.apply_watcher_event(&event),
                other => break other,
            }
        }
    };
    let broken = tokio::time::timeout(PATIENCE, broken).await.expect("the watch breaks off");
    assert!(matches!(broken, Some(Err(_))), "{broken:?}");

    // A version of the one is none of the other's, and never taken for one.
    let version = list.metadata.resource_version.unwrap();
    let line = there.watch(&WatchParams::default(), &version).await.unwrap().boxed().next().await;
    let Some(Ok(WatchEvent::Error(status))) = line else { panic!("{line:?}") };
    assert_eq!(status.code, 410);
    let mut told = follow(there.clone());
    loop {
        let event = next(&mut told).await;
        writer.apply_watcher_event(&event);
        let mut held: Vec<_> =
            store.state().iter().map(|game| (game.name_any(), game.resource_version())).collect();
        held.sort();
        let list = there.list(&kube::api::ListParams::default()).await.unwrap();
        let mut truth: Vec<_> =
            list.items.iter().map(|game| (game.name_any(), game.resource_version())).collect();
        truth.sort();
        // The next leader has looked at all of them.
        let settled = list.items.iter().all(|game| game.data["status"]["phase"] == "Stopped");
        if settled && held == truth {
            let names: Vec<_> = truth.into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["andromeda", "cygnus", "draco"]);
            break;
        }
    }
}
