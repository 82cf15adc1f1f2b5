//! kube-rs' watcher and reflector end with the truth, whatever happens to the server meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{games, kind, kube};
use crate::watching::made;
use crate::world::{GAMES, World, game};

/// How long a client may take to see what happened, its own pauses included.
const PATIENCE: Duration = Duration::from_secs(60);

/// A reflector that runs until it is dropped, and what its watcher tells.
struct Following {
    store: Store<DynamicObject>,
    told: mpsc::UnboundedReceiver<String>,
    task: JoinHandle<()>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Following {
    fn start(api: Api<DynamicObject>, kind: &ApiResource, how: watcher::Config) -> Self {
        let writer = Writer::new(kind.clone());
        let store = writer.as_reader();
        let (tell, told) = mpsc::unbounded_channel();
        let stream = reflector(writer, watcher(api, how)).default_backoff();
        let task = tokio::spawn(run(stream, tell));
        Self { store, told, task }
    }

    /// Name and object, as they are held.
    fn held(&self) -> BTreeMap<String, Value> {
        let entry = |object: &std::sync::Arc<DynamicObject>| (object.name_any(), json!(**object));
        self.store.state().iter().map(entry).collect()
    }

    /// Waits until what is held is what a list says, for good.
    async fn has_the_truth(&self, world: &World) {
        let list = world.get(GAMES).await.ok(200);
        let truth: BTreeMap<String, Value> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| (item["metadata"]["name"].as_str().unwrap().to_owned(), through_kube(item)))
            .collect();
        let reached = async {
            while self.held() != truth {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            assert_eq!(self.held(), truth);
        }
    }

    /// What was told since it was asked last.
    fn told(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }
}

/// An object as kube-rs writes it out again.
fn through_kube(object: &Value) -> Value {
    json!(serde_json::from_value::<DynamicObject>(object.clone()).unwrap())
}

async fn run(
    stream: impl Stream<Item = Result<Event<DynamicObject>, watcher::Error>>,
    tell: mpsc::UnboundedSender<String>,
) {
    let mut stream = Box::pin(stream);
    while let Some(event) = stream.next().await {
        let told = match event {
            Ok(Event::Init) => "init".to_owned(),
            Ok(Event::InitApply(object)) => format!("initially {}", object.name_any()),
            Ok(Event::InitDone) => "that was all".to_owned(),
            Ok(Event::Apply(object)) => format!("applied {}", object.name_any()),
            Ok(Event::Delete(object)) => format!("deleted {}", object.name_any()),
            Err(watcher::Error::WatchError(status)) => format!("error {}", status.code),
            Err(error) => format!("away: {error}"),
        };
        let _ = tell.send(told);
    }
}

fn ways() -> [(&'static str, watcher::Config); 4] {
    [
        ("list and watch", watcher::Config::default()),
        ("pages of seven", watcher::Config::default().page_size(7)),
        ("any version", watcher::Config::default().any_semantic()),
        ("streaming list", watcher::Config::default().streaming_lists()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn reflectors_end_with_the_truth_though_the_server_was_away_while_sql_changed_it() {
    let mut world = World::new().await;
    world.sql(&made("g", 30)).await;
    // A list of any version may be from before the rows that SQL has just written; one that asks is not.
    world.get(GAMES).await.ok(200);
    let client = kube(&world).await;
    let game_kind = kind(&client, "Game").await;
    let api = games(&client).await;
    let mut following: Vec<_> =
        ways().into_iter().map(|(_, how)| Following::start(api.clone(), &game_kind, how)).collect();
    for one in &following {
        one.has_the_truth(&world).await;
    }
    // Each game once, and nothing of it again.
    for (one, (way, _)) in following.iter_mut().zip(ways()) {
        let told = one.told();
        let initially = told.iter().filter(|line| line.starts_with("initially ")).count();
        assert_eq!((initially, told.len()), (30, 32), "{way}: {told:?}");
    }

    // While it is there: one change after the other, seen once.
    world.post(GAMES, &game("new")).await.ok(201);
    world.sql("UPDATE games SET display_name = 'changed' WHERE name = 'g-3'").await;
    world.get(&format!("{GAMES}/g-3")).await.ok(200);
    world.sql("DELETE FROM games WHERE name = 'g-4'").await;
    for (one, (way, _)) in following.iter_mut().zip(ways()) {
        one.has_the_truth(&world).await;
        assert_eq!(one.told(), ["applied new", "applied g-3", "deleted g-4"], "{way}");
    }

    world.stop().await;
    world.sql("UPDATE games SET desired_status = 'stopped' WHERE name = 'g-5'").await;
    world.sql("DELETE FROM games WHERE name = 'g-6'").await;
    world.sql(&format!("DELETE FROM games WHERE name = 'g-7'; {}", made("g-7", 1))).await;
    world.sql(&made("while-away", 3)).await;
    world.start();
    for (one, (way, _)) in following.iter_mut().zip(ways()) {
        one.has_the_truth(&world).await;
        let told = one.told();
        assert!(told.iter().any(|line| line == "error 410"), "{way}: {told:?}");
        assert!(
            !told.iter().any(|line| line.starts_with("applied") || line.starts_with("deleted")),
            "{told:?}"
        );
    }
    // And it goes on from there.
    world.sql("UPDATE games SET paused = true WHERE name = 'while-away-1'").await;
    for (one, (way, _)) in following.iter_mut().zip(ways()) {
        one.has_the_truth(&world).await;
        assert_eq!(one.told(), ["applied while-away-1"], "{way}");
    }
    drop(following);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reflector_of_a_part_and_one_of_metadata_follow_what_comes_into_sight_and_goes_out_of_it() {
    let world = World::new().await;
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let client = kube(&world).await;
    let api = games(&client).await;
    let part = watcher::Config::default().labels("season=7");
    let mut part = Following::start(api.clone(), &kind(&client, "Game").await, part);
    let metadata: Api<PartialObjectMeta<DynamicObject>> =
        Api::namespaced_with(client.clone(), "default", &kind(&client, "Game").await);
    let mut metadata = Box::pin(watcher(metadata, watcher::Config::default().streaming_lists()));
    assert!(matches!(metadata.next().await, Some(Ok(Event::Init))));
    let Some(Ok(Event::InitApply(first))) = metadata.next().await else { panic!("andromeda is there") };
    assert_eq!(first.name_any(), "andromeda");
    assert!(matches!(metadata.next().await, Some(Ok(Event::InitDone))));
    part.has_the_truth(&world).await;
    part.told();

    world.sql(r#"UPDATE games SET labels = '{"season": "8"}'"#).await;
    let Some(Ok(Event::Apply(changed))) = metadata.next().await else { panic!("it changed") };
    assert_eq!(changed.labels()["season"], "8");
    let told = tokio::time::timeout(PATIENCE, part.told.recv()).await.unwrap();
    assert_eq!((told.as_deref(), part.held().len()), (Some("deleted andromeda"), 0));
    world.sql(r#"UPDATE games SET labels = '{"season": "7"}'"#).await;
    part.has_the_truth(&world).await;
    world.end().await;
}
