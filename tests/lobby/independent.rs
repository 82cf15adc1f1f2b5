//! Deliveries as others understand them: Standard Webhooks, CloudEvents and JSON Schema in Python.

use gamekeeper::game::operation::{Ending, OperationKind};
use gamekeeper::game::{DeletionPolicy, OperationId, Phase, UserId};
use gamekeeper::lobby::LobbyEvent;
use gamekeeper::lobby::event::{
    Deleted, EngineHealth, OperationFinished, Player, PlayerStats, PlayersChanged, RollbackCause, RolledBack,
    SlotSkipped, Snapshot, SpecInvalid, StartFailed,
};
use serde_json::json;

use crate::database::Database;
use crate::understood::understood;
use crate::world::{SECRET, World, game, name, status};

const OTHER: &str = "whsec_YW5vdGhlci1zZWNyZXQtb2YtMzItYnl0ZXMtISEhISE=";
/// One of each, with everything in it and with as little as there can be.
fn all() -> Vec<LobbyEvent> {
    let now = jiff::Timestamp::now();
    let user = UserId(uuid::Uuid::new_v4());
    let ending = Ending::Failed { code: "ImagePull".into(), message: "no such image \u{1F680} \"'\\".into() };
    let asked = ("ann".to_owned(), "turn-1".to_owned());
    let operation = |ending: &Ending| {
        let asked = (&asked.0, &asked.1);
        OperationFinished::of(OperationId(user.0), OperationKind::ForceNextTurn, 3, asked, ending)
    };
    let rolled_back = |cause, turn: Option<i64>| {
        LobbyEvent::RolledBack(RolledBack {
            cause,
            reason: "NeverHealthy".into(),
            message: "The new engine did not get healthy.".into(),
            turn,
            previous_timeline: turn,
            from_version: turn.map(|_| "1.4.3".into()),
            to_version: turn.map(|_| "1.4.2".into()),
        })
    };
    vec![
        status("It runs."),
        LobbyEvent::Snapshot(Snapshot {
            turn: 3,
            finished: true,
            engine_health: EngineHealth::of(Some("unhealthy")),
            observed_at: now,
            players: vec![PlayerStats {
                user_id: user,
                planets: 3,
                population: 100,
                highest_planets: 5,
                highest_population: 100,
            }],
        }),
        LobbyEvent::StartFailed(StartFailed {
            reason: "ImagePull".into(),
            message: String::new(),
            observed_generation: 1,
            status: Phase::CrashLoop,
            failures: 2,
            next_attempt_at: Some(now),
            operation_id: OperationId(user.0),
            operation: "start".into(),
            requested_by: "ann".into(),
            request_id: "create-1".into(),
        }),
        LobbyEvent::StartFailed(StartFailed {
            reason: "ImagePull".into(),
            message: String::new(),
            observed_generation: 1,
            status: Phase::CrashLoop,
            failures: 2,
            next_attempt_at: None,
            operation_id: OperationId(user.0),
            operation: "start".into(),
            requested_by: "ann".into(),
            request_id: "create-1".into(),
        }),
        LobbyEvent::SpecInvalid(SpecInvalid {
            reason: "UnknownVersion".into(),
            message: "There is no engine version 9.9.9.".into(),
            observed_generation: 1,
        }),
        LobbyEvent::SlotSkipped(SlotSkipped {
            slot: now,
            reason: "Paused".into(),
            message: String::new(),
            next_turn_at: None,
        }),
        LobbyEvent::PlayersChanged(PlayersChanged {
            observed_membership_revision: 2,
            players: vec![
                Player { user_id: user, race_name: "Terrans".into(), engine_player_id: None, active: true },
                Player {
                    user_id: user,
                    race_name: "Marsmännchen".into(),
                    engine_player_id: Some(user.to_string()),
                    active: false,
                },
            ],
        }),
        LobbyEvent::OperationFinished(operation(&ending)),
        LobbyEvent::OperationFinished(operation(&Ending::Succeeded)),
        rolled_back(RollbackCause::Patch, Some(3)),
        rolled_back(RollbackCause::Restore, None),
        rolled_back(RollbackCause::TurnWentBack, None),
        LobbyEvent::Deleted(Deleted {
            deletion_policy: DeletionPolicy::Retain,
            state_path: Some("/games/x".into()),
        }),
        LobbyEvent::Deleted(Deleted { deletion_policy: DeletionPolicy::Delete, state_path: None }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn others_verify_and_understand_every_kind_of_event() {
    let mut world = World::new().await;
    let events = all();
    world.records(game(7), events.clone()).await;
    world.deliver();
    world.told().await;
    world.end_delivery().await;
    let received = world.lobby.received();
    assert_eq!(received[0].path, "/hooks/gamekeeper");
    let deliveries: Vec<_> =
        received.iter().map(|event| (event.clone(), &[SECRET][..], &[OTHER][..])).collect();
    let understood = understood(&deliveries);
    let source = format!("/gamekeeper/{}/games/{}", world.instance, game(7));
    let expected: Vec<_> = events
        .iter()
        .zip(1..)
        .zip(&received)
        .map(|((event, seq), received)| {
            json!({
                "id": received.id(), "type": event.kind(), "source": source,
                "subject": format!("default/{}", name(game(7))), "sequence": format!("{seq:019}"), "seq": seq,
            })
        })
        .collect();
    assert_eq!(understood, expected);
    let mut words: Vec<_> = events.iter().map(LobbyEvent::word).collect();
    words.dedup();
    assert_eq!(words, LobbyEvent::schemas().iter().map(|(word, _)| *word).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_changed_over_without_a_delivery_that_nobody_can_verify() {
    let mut world = World::new().await;
    world.deliver();
    world.tells(game(1), 1).await;
    world.told().await;
    // The lobby knows the new secret as well as the old one now, and then the new one alone.
    std::fs::write(world.secret(), format!("{OTHER}\n{SECRET}\n")).unwrap();
    world.tells(game(1), 1).await;
    world.told().await;
    std::fs::write(world.secret(), OTHER).unwrap();
    world.tells(game(1), 1).await;
    world.told().await;
    world.end_delivery().await;
    let received = world.lobby.received();
    let [old, both, new] = &received[..] else { panic!("{received:#?}") };
    understood(&[
        (old.clone(), &[SECRET], &[OTHER]),
        (both.clone(), &[SECRET, OTHER], &[]),
        (new.clone(), &[OTHER], &[SECRET]),
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_with_is_nowhere_to_be_seen() {
    let mut world = World::new().await;
    world.lobby.answers(|_| crate::receiver::Answer::Status(401));
    world.tells(game(1), 1).await;
    world.deliver();
    world
        .until("it is set aside", async || {
            let aside = gamekeeper::store::outbox::OutboxState::SetAside;
            !world.find(aside).await.is_empty()
        })
        .await;
    world.end_delivery().await;
    let secret = SECRET.trim_start_matches("whsec_");
    let url = world.lobby.url().parse().unwrap();
    let push = gamekeeper::lobby::Push::new(url, &world.secret(), world.deadline, world.instance).unwrap();
    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &world.registry).unwrap();
    assert!(metrics.contains("gamekeeper_lobby_deliveries_total{result=\"refused\"} 4"), "{metrics}");
    let signature = world.lobby.received()[0].header("webhook-signature").to_owned();
    let told = format!("{:?}", world.store.events(game(1), 10).await.unwrap());
    let database = match &world.database {
        Database::Sqlite(path) => String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned(),
        Database::Postgres { .. } => {
            let outbox = world.database.rows("SELECT o::text FROM lobby_outbox AS o").await;
            format!("{outbox:?} {:?}", world.database.rows("SELECT e::text FROM events AS e").await)
        }
    };
    for place in [format!("{push:?}"), metrics, told, database] {
        for hidden in [secret, "this-is-a-secret", &signature] {
            assert!(!place.contains(hidden), "{place}");
        }
    }
}
