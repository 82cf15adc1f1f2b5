//! The whole controller as an object: shown, frozen, confirmed, rebound.

use gamekeeper::api::auth::Role;
use gamekeeper::game::controller::{
    ControllerStatus, Freeze, FreezeReason, Ground, HeldDeletion, HeldDeletions,
};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, read, token};

pub(crate) const CONTROLLER: &str = "/apis/gamekeeper.dev/v1/controllers/gamekeeper";

fn ground() -> Ground {
    Ground { docker_engine_id: Some("ABCD".into()), state_root: None, high_water: Some(7) }
}

fn active() -> ControllerStatus {
    ControllerStatus {
        started: true,
        ground: ground(),
        held_deletions: Some(HeldDeletions::default()),
        orphans: Some(Vec::new()),
        ..ControllerStatus::default()
    }
}

fn frozen() -> ControllerStatus {
    let freeze = Freeze {
        reason: FreezeReason::OtherDocker,
        message: "Another Docker Engine answers.".into(),
        way_out: "`gamekeeper rebind` confirms a move.".into(),
    };
    ControllerStatus { freezes: vec![freeze], ..active() }
}

fn held(times: &[&str]) -> ControllerStatus {
    let game = |(time, index): (&&str, u32)| HeldDeletion {
        game_id: format!("00000000-0000-4000-8000-00000000000{index}").parse().unwrap(),
        namespace: "default".into(),
        name: format!("game-{index}"),
        removes_state: index == 1,
        seen_at: time.parse().unwrap(),
    };
    let games = times.iter().zip(1..).map(game).collect();
    let held = HeldDeletions { games, asked: 6, known: 8, window_seconds: 600, share_percent: 50 };
    ControllerStatus { held_deletions: Some(held), ..active() }
}

/// The one problem of a refusal: its field, and what is wrong.
fn cause(status: &Value) -> (&str, &str) {
    let cause = &status["details"]["causes"][0];
    (cause["field"].as_str().unwrap(), cause["message"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_is_shown_with_its_phase_and_kubernetes_condition() {
    let world = World::new().await;
    world.store.take_lead("host-1").await.unwrap();
    let starting = world.get(CONTROLLER).await.ok(200);
    assert_eq!((&starting["kind"], &starting["status"]["phase"]), (&json!("Controller"), &json!("Starting")));
    let began = starting["status"]["conditions"][0]["lastTransitionTime"].clone();

    world.controller.send(active()).unwrap();
    let list = loop {
        let list = world.get("/apis/gamekeeper.dev/v1/controllers").await.ok(200);
        if list["items"][0]["status"]["conditions"][0]["lastTransitionTime"] != began {
            break list;
        }
    };
    assert_eq!(list["kind"], "ControllerList");
    let shown = &list["items"][0];
    assert_eq!(
        (&shown["metadata"]["name"], &shown["status"]["phase"]),
        (&json!("gamekeeper"), &json!("Active"))
    );
    let instance = world.store.instance().await.unwrap().id.to_string();
    assert_eq!(shown["status"]["instanceId"], instance);
    assert_eq!((&shown["status"]["epoch"], &shown["status"]["leader"]), (&json!(1), &json!("host-1")));
    assert_eq!(shown["status"]["ground"], json!({ "dockerEngineId": "ABCD", "highWater": 7 }));
    assert_eq!(
        shown["spec"],
        json!({ "frozen": false, "frozenBecause": "", "rebindGeneration": 0, "rebind": {} })
    );
    let ready = &shown["status"]["conditions"][0];
    assert_eq!(
        (&ready["type"], &ready["status"], &ready["reason"]),
        (&json!("Ready"), &json!("True"), &json!("Active"))
    );
    assert_eq!(ready["observedGeneration"], shown["metadata"]["generation"]);

    world.controller.send(frozen()).unwrap();
    let shown = world.get(CONTROLLER).await.ok(200);
    assert_eq!(shown["status"]["phase"], "Frozen");
    let ready = &shown["status"]["conditions"][0];
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("OtherDocker")));
    assert!(ready["message"].as_str().unwrap().contains("gamekeeper rebind"), "{ready:#}");

    world.get("/apis/gamekeeper.dev/v1/controllers/other").await.refused(404, "NotFound");
    let none =
        world.get("/apis/gamekeeper.dev/v1/controllers?fieldSelector=metadata.name=other").await.ok(200);
    assert_eq!(none["items"], json!([]));
    let discovery = world.get("/apis/gamekeeper.dev/v1").await.ok(200);
    let names: Vec<_> =
        discovery["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    for name in ["controllers", "controllers/adopt", "controllers/remove", "games/explain", "games/plan"] {
        assert!(names.contains(&name), "{names:?}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn freezing_is_a_change_of_the_spec_that_says_why() {
    let world = World::new().await;
    world.controller.send(active()).unwrap();
    let wish = json!({ "spec": { "frozen": true, "frozenBecause": "the disk is being moved" } });
    let tried = world.patch(&format!("{CONTROLLER}?dryRun=All"), &wish).await.ok(200);
    assert_eq!(tried["spec"]["frozenBecause"], "the disk is being moved");
    assert!(!world.store.controller_spec().await.unwrap().frozen, "nothing is stored");

    let done = world.patch(CONTROLLER, &wish).await.ok(200);
    assert_eq!(done["spec"], tried["spec"]);
    assert_eq!(done["metadata"]["generation"], tried["metadata"]["generation"]);
    // The controller has not looked yet: what is shown was not computed from this.
    assert!(
        done["status"]["conditions"][0]["observedGeneration"].as_i64()
            < done["metadata"]["generation"].as_i64()
    );
    let spec = world.store.controller_spec().await.unwrap();
    assert_eq!((spec.frozen, spec.requested_by.as_str()), (true, "admin"));
    let again = world.patch(CONTROLLER, &wish).await.ok(200);
    assert_eq!(again["metadata"]["resourceVersion"], done["metadata"]["resourceVersion"], "no write");

    let version = &done["metadata"]["resourceVersion"];
    let lift = json!({ "metadata": { "resourceVersion": version }, "spec": { "frozen": false } });
    let lifted = world.patch(CONTROLLER, &lift).await.ok(200);
    assert_eq!(lifted["spec"]["frozenBecause"], "");
    let stale = json!({ "metadata": { "resourceVersion": version }, "spec": { "frozen": true } });
    world.patch(CONTROLLER, &stale).await.refused(409, "Conflict");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_field_by_field() {
    let world = World::new().await;
    world.controller.send(active()).unwrap();
    for (patch, field) in [
        (json!({ "spec": { "frozen": "yes" } }), "spec.frozen"),
        (json!({ "spec": { "froze": true } }), "spec"),
        (json!({ "spec": { "rebind": { "docker": "x" } } }), "spec.rebind"),
        (json!({ "spec": { "frozenBecause": "so" } }), "spec.frozenBecause"),
        (json!({ "spec": { "frozen": true, "frozenBecause": "x".repeat(1_025) } }), "spec.frozenBecause"),
        (json!({ "spec": { "rebindGeneration": 2 } }), "spec.rebindGeneration"),
        (json!({ "spec": { "rebindGeneration": 1 } }), "spec.rebind"),
        (json!({ "spec": { "rebind": { "dockerEngineId": "ABCD", "highWater": 7 } } }), "spec.rebind"),
        (json!({ "metadata": { "labels": { "a": "b" } } }), "metadata"),
        (json!({ "kind": "Game" }), "kind"),
        (json!({ "spec": null }), "spec"),
        (json!({ "spec": [] }), "spec"),
    ] {
        let status = world.patch(CONTROLLER, &patch).await.refused(422, "Invalid");
        assert!(cause(&status).0.starts_with(field), "{patch} {status:#}");
    }
    let status = world.request(Method::PATCH, CONTROLLER).json(&json!({})).send().await.unwrap();
    read(status).await.refused(415, "UnsupportedMediaType");
    world.delete(CONTROLLER).await.refused(405, "MethodNotAllowed");
    world.patch("/apis/gamekeeper.dev/v1/controllers/x", &json!({})).await.refused(404, "NotFound");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_deletions_that_are_held_can_be_confirmed() {
    let world = World::new().await;
    let confirm = |time: &str| json!({ "spec": { "deletionsConfirmedAt": time } });
    let (first, last) = ("2026-11-01T10:00:00.123456789Z", "2026-11-01T10:00:05Z");
    world.controller.send(active()).unwrap();
    world.patch(CONTROLLER, &confirm(last)).await.refused(409, "Conflict");

    world.controller.send(held(&[first, last])).unwrap();
    let later = world.patch(CONTROLLER, &confirm("2026-11-01T10:00:06Z")).await.refused(422, "Invalid");
    assert!(cause(&later).1.contains(last), "{later:#}");
    world.patch(CONTROLLER, &confirm("soon")).await.refused(422, "Invalid");

    world.patch(CONTROLLER, &confirm(first)).await.ok(200);
    let confirmed = world.store.controller_spec().await.unwrap().deletions_confirmed_at.unwrap();
    assert!(confirmed >= first.parse::<Timestamp>().unwrap(), "what was seen then is within it: {confirmed}");
    world.patch(CONTROLLER, &confirm(last)).await.ok(200);
    world.patch(CONTROLLER, &confirm("2026-11-01T09:00:00Z")).await.refused(422, "Invalid");
    world
        .patch(CONTROLLER, &json!({ "spec": { "deletionsConfirmedAt": null } }))
        .await
        .refused(422, "Invalid");
    // The same again, when they are gone.
    world.controller.send(active()).unwrap();
    world.patch(CONTROLLER, &confirm(last)).await.ok(200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_lead_or_has_not_looked_says_so_and_who_leads() {
    let world = World::new().await;
    if world.store.lead_is_leased() {
        world.store.try_lead("host-1").await.unwrap();
    } else {
        world.store.take_lead("host-1").await.unwrap();
    }
    let confirm = json!({ "spec": { "deletionsConfirmedAt": "2026-11-01T10:00:00Z" } });
    let orphan = json!({ "gameId": "11111111-1111-4111-8111-111111111111" });
    let standby = ControllerStatus { stands_by: true, ..ControllerStatus::default() };
    for (status, told) in [
        (standby, "does not lead; ask host-1"),
        (ControllerStatus::default(), "has not looked at everything yet"),
    ] {
        world.controller.send(status).unwrap();
        let shown = world.get(CONTROLLER).await.ok(200);
        for unknown in ["heldDeletions", "orphans"] {
            assert_eq!(shown["status"].get(unknown), None, "{shown:#}");
        }
        let refused = [
            world.patch(CONTROLLER, &confirm).await.refused(503, "ServiceUnavailable"),
            world.post(&format!("{CONTROLLER}/adopt"), &orphan).await.refused(503, "ServiceUnavailable"),
            world.post(&format!("{CONTROLLER}/remove"), &orphan).await.refused(503, "ServiceUnavailable"),
        ];
        for status in refused {
            assert!(status["message"].as_str().unwrap().contains(told), "{status:#}");
        }
        // A wish is written wherever it is asked.
        world.patch(CONTROLLER, &json!({ "spec": { "frozen": true, "frozenBecause": "so" } })).await.ok(200);
        world.patch(CONTROLLER, &json!({ "spec": { "frozen": false } })).await.ok(200);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebind_names_what_is_found_now() {
    let world = World::new().await;
    world.controller.send(frozen()).unwrap();
    let rebind = |docker: &str, generation: i64| {
        json!({ "spec": {
            "rebind": { "dockerEngineId": docker, "stateRoot": null, "highWater": 7 },
            "rebindGeneration": generation,
        } })
    };
    let status = world.patch(CONTROLLER, &rebind("OTHER", 1)).await.refused(409, "Conflict");
    assert!(status["message"].as_str().unwrap().contains("ABCD"), "{status:#}");
    let done = world.patch(CONTROLLER, &rebind("ABCD", 1)).await.ok(200);
    assert_eq!(done["spec"]["rebind"], json!({ "dockerEngineId": "ABCD", "highWater": 7 }));
    let spec = world.store.controller_spec().await.unwrap();
    assert_eq!((spec.rebind_generation, spec.rebind), (1, ground()));
    world.patch(CONTROLLER, &rebind("ABCD", 1)).await.ok(200);
    let back = world.patch(CONTROLLER, &rebind("ABCD", 0)).await.refused(422, "Invalid");
    assert!(cause(&back).1.contains("with 2"), "{back:#}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_operators_decide_about_the_controller() {
    let world = World::with(|tokens| {
        token(tokens, Role::Viewer, "viewer");
        token(tokens, Role::Lobby, "lobby");
        token(tokens, Role::Operator, "operator");
    })
    .await;
    world.controller.send(active()).unwrap();
    let patch = async |token: &str| {
        let request = world.anonymous(Method::PATCH, CONTROLLER).bearer_auth(token);
        let request = request.header("content-type", "application/merge-patch+json");
        read(request.body(json!({ "spec": { "frozen": true } }).to_string()).send().await.unwrap()).await
    };
    for who in ["viewer", "lobby"] {
        patch(who).await.refused(403, "Forbidden");
        for path in ["adopt", "remove"] {
            let request = world.anonymous(Method::POST, &format!("{CONTROLLER}/{path}")).bearer_auth(who);
            read(request.json(&json!({})).send().await.unwrap()).await.refused(403, "Forbidden");
        }
        let seen = world.anonymous(Method::GET, CONTROLLER).bearer_auth(who).send().await.unwrap();
        assert_eq!(seen.status(), 200);
    }
    patch("operator").await.ok(200);
    assert_eq!(world.store.controller_spec().await.unwrap().requested_by, "operator");
    world.end().await;
}
