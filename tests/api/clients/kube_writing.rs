//! kube-rs makes, reads, changes and deletes.

use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::core::v1::Event;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Object, Patch, PatchParams, PostParams, Preconditions,
    PropagationPolicy, WatchEvent, WatchParams,
};
use kube::core::Status;
use kube::discovery::{Discovery, Scope, verbs};
use kube::{Error, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{games, kind, kube};
use crate::watching::made;
use crate::world::{World, game, version};

const PLAYER: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";

/// As much of a game as somebody writes down who needs no more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    desired_status: String,
    engine_version: Option<String>,
    #[serde(default)]
    players: Vec<Player>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Player {
    user_id: String,
    race_name: String,
}

/// Why it was refused.
#[track_caller]
fn refused<T: std::fmt::Debug>(answer: kube::Result<T>, code: u16, reason: &str) -> Box<Status> {
    let Err(Error::Api(status)) = answer else { panic!("{answer:?}") };
    assert_eq!((status.code, status.reason.as_str()), (code, reason), "{status:?}");
    status
}

fn manifest(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn kube_rs_discovers_every_kind_and_what_can_be_done_with_it() {
    let world = World::new().await;
    let client = kube(&world).await;
    assert_eq!(client.apiserver_version().await.unwrap().major, "1");
    let plain = Discovery::new(client.clone()).run().await.unwrap();
    let aggregated = Discovery::new(client).run_aggregated().await.unwrap();
    for discovery in [plain, aggregated] {
        let group = discovery.get("gamekeeper.dev").expect("our group");
        let (game, can) = group.recommended_kind("Game").expect("games");
        assert_eq!((game.plural.as_str(), &can.scope), ("games", &Scope::Namespaced));
        for verb in [verbs::GET, verbs::LIST, verbs::WATCH, verbs::CREATE, verbs::PATCH, verbs::DELETE] {
            assert!(can.supports_operation(verb), "{verb}");
        }
        let below: Vec<&str> = can.subresources.iter().map(|(below, _)| below.plural.as_str()).collect();
        assert_eq!(below[..2], ["status", "scale"]);
        let (_, can) = group.recommended_kind("EngineVersion").expect("engine versions");
        assert_eq!(can.scope, Scope::Cluster);
        let core = discovery.get("").expect("the core group");
        assert!(core.recommended_kind("Event").expect("events").1.supports_operation(verbs::WATCH));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kube_rs_makes_reads_changes_and_deletes_games() {
    let world = World::new().await;
    let client = kube(&world).await;
    let versions: Api<DynamicObject> = Api::all_with(client.clone(), &kind(&client, "EngineVersion").await);
    versions.create(&PostParams::default(), &manifest(version("1.4.2"))).await.unwrap();
    let games = games(&client).await;

    let tried = PostParams { dry_run: true, ..PostParams::default() };
    games.create(&tried, &manifest(game("andromeda"))).await.unwrap();
    assert!(games.get_opt("andromeda").await.unwrap().is_none());
    let made = games.create(&PostParams::default(), &manifest(game("andromeda"))).await.unwrap();
    assert!(made.uid().is_some() && made.creation_timestamp().is_some() && made.resource_version().is_some());
    let again = games.create(&PostParams::default(), &manifest(game("andromeda"))).await;
    refused(again, 409, "AlreadyExists");
    let missing = refused(games.get("borealis").await, 404, "NotFound");
    let details = missing.details.unwrap();
    assert_eq!((details.kind.as_str(), details.name.as_str()), ("games", "borealis"));

    // The same objects in types of somebody's own.
    let own = kind(&client, "Game").await;
    let typed: Api<Object<Spec, Value>> = Api::namespaced_with(client.clone(), "default", &own);
    let mut read = typed.get("andromeda").await.unwrap();
    assert_eq!(read.spec.players[0].race_name, "Terrans");
    let stale = read.clone();
    read.spec.players[0].race_name = "Martians".into();
    let replaced = typed.replace("andromeda", &PostParams::default(), &read).await.unwrap();
    assert!(replaced.metadata.generation > stale.metadata.generation);
    refused(typed.replace("andromeda", &PostParams::default(), &stale).await, 409, "Conflict");
    let mut invalid = replaced.clone();
    invalid.spec.players[0].user_id = "nobody".into();
    let told = typed.replace("andromeda", &PostParams::default(), &invalid).await;
    let told = refused(told, 422, "Invalid").details.unwrap();
    assert_eq!(told.causes[0].field, "spec.players[0].userId");

    let paused = Patch::Merge(json!({ "spec": { "paused": true } }));
    let patched = games.patch("andromeda", &PatchParams::default(), &paused).await.unwrap();
    assert_eq!(patched.data["spec"]["paused"], true);
    let strategic = Patch::Strategic(json!({ "spec": { "paused": false } }));
    let strategic = games.patch("andromeda", &PatchParams::default(), &strategic).await;
    refused(strategic, 415, "UnsupportedMediaType");
    let missing = games.patch("borealis", &PatchParams::default(), &paused).await;
    refused(missing, 404, "NotFound");

    let scale: Scale = games.get_scale("andromeda").await.map(read_as).unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(1));
    let none = Patch::Merge(json!({ "spec": { "replicas": 0 } }));
    games.patch_scale("andromeda", &PatchParams::default(), &none).await.unwrap();
    assert_eq!(games.get("andromeda").await.unwrap().data["spec"]["desiredStatus"], "Stopped");

    // It goes when what the controller keeps for it is gone: here nobody does that but SQL.
    let other = Preconditions { uid: Some("another".into()), resource_version: None };
    let other = DeleteParams { preconditions: Some(other), ..DeleteParams::default() };
    refused(games.delete("andromeda", &other).await, 409, "Conflict");
    let how = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Foreground),
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    };
    let going = games.delete("andromeda", &how).await.unwrap().left().expect("it is still there");
    assert!(going.metadata.deletion_timestamp.is_some());
    assert_eq!(going.finalizers(), ["gamekeeper.dev/engine"]);
    world.sql("DELETE FROM games").await;
    assert!(games.get_opt("andromeda").await.unwrap().is_none());
    let gone = versions.delete("1.4.2", &DeleteParams::default()).await.unwrap();
    assert!(gone.is_right(), "nothing holds it: {gone:?}");
    world.end().await;
}

fn read_as<T: serde::de::DeserializeOwned>(object: impl Serialize) -> T {
    serde_json::from_value(json!(object)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn kube_rs_applies_and_is_told_of_conflicts() {
    let world = World::new().await;
    let client = kube(&world).await;
    let games = games(&client).await;
    let apply = async |manager: &str, force: bool, spec: Value| {
        let config = json!({ "apiVersion": "gamekeeper.dev/v1", "kind": "Game", "spec": spec });
        let how = PatchParams { force, ..PatchParams::apply(manager) };
        games.patch("andromeda", &how, &Patch::Apply(config)).await
    };
    let player = |race: &str| json!([{ "userId": PLAYER, "raceName": race }]);
    let wanted = json!({ "desiredStatus": "Running", "players": player("Terrans") });
    let made = apply("lobby", false, wanted.clone()).await.unwrap();
    assert_eq!(apply("lobby", false, wanted).await.unwrap(), made, "applying twice is applying once");
    let told = apply("bot", false, json!({ "players": player("Martians") })).await;
    let told = refused(told, 409, "Conflict").details.unwrap();
    assert_eq!(told.causes[0].field, format!(".spec.players[userId=\"{PLAYER}\"].raceName"));
    assert_eq!(told.causes[0].reason, "FieldManagerConflict");
    let forced = apply("bot", true, json!({ "players": player("Martians") })).await.unwrap();
    let managers: Vec<_> = forced.managed_fields().iter().map(|entry| entry.manager.as_deref()).collect();
    assert_eq!(managers, [Some("bot"), Some("lobby")]);
    let told = apply("bot", true, json!({ "players": player("Martians"), "paint": "red" })).await;
    let told = refused(told, 422, "Invalid").details.unwrap();
    assert_eq!(told.causes[0].field, "spec.paint");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kube_rs_lists_in_pages_and_by_selectors_and_reads_events() {
    let world = World::new().await;
    world.sql(&made("g", 25)).await;
    let client = kube(&world).await;
    let games = games(&client).await;
    let mut names = Vec::new();
    let mut how = ListParams::default().limit(10);
    let first = games.list(&how).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(15));
    let mut page = first.clone();
    // What happens meanwhile is in none of the pages.
    world.sql(&made("late", 1)).await;
    loop {
        assert_eq!(page.metadata.resource_version, first.metadata.resource_version);
        names.extend(page.items.iter().map(ResourceExt::name_any));
        let Some(token) = page.metadata.continue_.filter(|token| !token.is_empty()) else { break };
        how = how.continue_token(&token);
        page = games.list(&how).await.unwrap();
    }
    names.sort();
    names.dedup();
    assert_eq!((names.len(), names.iter().any(|name| name.starts_with("late"))), (25, false));
    assert_eq!(games.list(&ListParams::default().labels("batch=late")).await.unwrap().items.len(), 1);
    let one = games.list_metadata(&ListParams::default().fields("metadata.name=g-7")).await.unwrap();
    assert_eq!(one.items[0].name_any(), "g-7");

    // A version that nobody knows.
    let too_old = games.watch(&WatchParams::default(), "1").await.unwrap();
    let line = futures::StreamExt::next(&mut Box::pin(too_old)).await.unwrap().unwrap();
    let WatchEvent::Error(status) = line else { panic!("{line:?}") };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));

    let uid = games.get("g-7").await.unwrap().uid().unwrap();
    world
        .sql(&format!(
            "INSERT INTO events (kind, name, uid, type, reason, message) VALUES \
             ('Game', 'g-7', '{uid}', 'warning', 'CrashLoop', 'It died.')"
        ))
        .await;
    let events: Api<Event> = Api::namespaced(client, "default");
    let about = format!("involvedObject.name=g-7,involvedObject.uid={uid},involvedObject.kind=Game");
    let listed = events.list(&ListParams::default().fields(&about)).await.unwrap();
    let event = &listed.items[0];
    assert_eq!((event.reason.as_deref(), event.type_.as_deref()), (Some("CrashLoop"), Some("Warning")));
    assert_eq!(event.involved_object.name.as_deref(), Some("g-7"));
    assert!(event.last_timestamp.is_some() && event.count == Some(1), "{event:#?}");
    world.end().await;
}
