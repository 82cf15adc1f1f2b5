//! The view `game_status`, the record and `game::settled` say the same of any game.

use sea_orm::{ConnectionTrait, Statement};

use super::{Place, Recording, Store};
use crate::game::record::{AppliedSpec, Record};
use crate::game::settled::what_is_left;
use crate::game::spec::Requests;
use crate::game::{Condition, ConditionStatus, ConditionType, GameId, ImageRef, Phase};

const GAME: GameId = GameId(uuid::Uuid::from_u128(7));

/// As many bits as a case needs, different ones for each case.
fn bits(case: u64) -> u64 {
    let mut mixed = case.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ (mixed >> 31)
}

/// Each request is at 5; now and then one of them was not seen yet.
fn observed(bits: u64) -> Requests {
    let seen = |n: u64| if bits % 16 == n { 4 } else { 5 };
    Requests {
        restart: seen(0),
        force_turn: seen(1),
        patch: seen(2),
        restore: seen(3),
        backup: seen(4),
        unblock: seen(5),
    }
}

/// Versions and requirements, such as fit, such as do not, and such as are none.
const WISHES: [&str; 8] = ["1.4.2", "1.4.2", "~1.4", "~1.4", ">=1.4.1, <1.5", "~1.5", "1.4", ""];

fn condition(kind: ConditionType, holds: bool, generation: i64) -> Condition {
    Condition {
        kind,
        status: if holds { ConditionStatus::True } else { ConditionStatus::False },
        reason: "R".into(),
        message: "M".into(),
        last_transition_time: jiff::Timestamp::UNIX_EPOCH,
        observed_generation: generation,
    }
}

#[tokio::test]
async fn the_view_and_what_is_left_say_the_same_of_any_game() {
    let directory = tempfile::tempdir().unwrap();
    let place: Place = format!("sqlite:{}", directory.path().join("g.db").display()).parse().unwrap();
    let store = Store::open(&place).await.unwrap();
    let lease = store.take_lead("test").await.unwrap();
    let (recorder, _writer) = store.recorder(lease);
    let run = async |statement: &str| store.db.execute_unprepared(statement).await.unwrap();
    run("INSERT INTO engine_versions (version, image_ref) VALUES ('1.4.2', 'engine:1.4.2')").await;
    run(&format!(
        "INSERT INTO games (game_id, name, desired_status, target_engine_version) VALUES ('{GAME}', 'andromeda', 'running', '1.4.2')"
    ))
    .await;
    run("UPDATE games SET restart_generation = 5, force_turn_generation = 5, patch_generation = 5,
         restore_generation = 5, backup_generation = 5, unblock_generation = 5")
    .await;
    let (mut settled_ones, mut others) = (0, 0);
    for case in 0..400 {
        let bits = bits(case);
        let bit = |n: u32| bits >> n & 1 == 1;
        let status = if bit(10) { "running" } else { "stopped" };
        let wanted = WISHES[usize::try_from(bits >> 33 & 7).unwrap()];
        run(&format!(
            "UPDATE games SET desired_status = '{status}', paused = {}, target_engine_version = '{wanted}'",
            u8::from(bit(12))
        ))
        .await;
        let (desired, _) = store.desired(&[GAME]).await.unwrap().remove(0);
        let phase = match (bits >> 13) % 4 {
            0 => Phase::ALL[usize::try_from(bits >> 20).unwrap() % Phase::ALL.len()],
            1 => Phase::Finished,
            _ if bit(10) => Phase::Running,
            _ => Phase::Stopped,
        };
        let has = if bit(15) || bit(16) || bit(17) { "1.4.2" } else { "1.4.1" };
        let applied = AppliedSpec {
            engine_version: has.parse().unwrap(),
            image: ImageRef::new("engine:1.4.2"),
            port: 8080,
            contract: Default::default(),
            run_as: Default::default(),
            relaxations: Vec::new(),
            resources: Default::default(),
        };
        let generation = desired.generation - i64::from(bits >> 40 & 7 == 0);
        let ready = bits >> 24 & 7 != 0;
        let mut record = Record {
            phase,
            observed_generation: generation,
            applied: Some(applied),
            paused_at: (bit(12) ^ (bits >> 44 & 3 == 0)).then_some(jiff::Timestamp::UNIX_EPOCH),
            conditions: vec![condition(ConditionType::Ready, ready, generation)],
            ..Record::first_seen(observed(bits >> 48))
        };
        record.left_to_do = what_is_left(&desired, &record);
        let recording = Recording::of(GAME, desired.namespace.clone(), desired.name.clone(), record);
        recorder.record(recording).await.unwrap();
        let query = Statement::from_string(
            store.db.get_database_backend(),
            "SELECT settled, ready, reason, message FROM game_status",
        );
        let row = store.db.query_one_raw(query).await.unwrap().unwrap();
        let truth = |column: usize| row.try_get_by_index::<i32>(column).unwrap() == 1;
        let text = |column: usize| row.try_get_by_index::<String>(column).unwrap();
        // As the API has it.
        let kept = store.game("default", "andromeda").await.unwrap().unwrap().record.unwrap();
        let left = what_is_left(&desired, &kept);
        assert_eq!(left, kept.left_to_do, "what was kept is what is left");
        assert_eq!(truth(0), left.is_empty(), "{left:?}: {desired:?}");
        assert_eq!(truth(1), ready);
        assert_eq!((text(2), text(3)), (kept.reason, kept.message));
        assert!(!truth(0) || truth(1), "what is settled is ready");
        if truth(0) { settled_ones += 1 } else { others += 1 }
    }
    assert!(settled_ones > 40 && others > 40, "{settled_ones} {others}");
    // A row of an older build says nothing of what is left, and a newer generation makes it void.
    let settled = "SELECT coalesce(sum(settled), 0) FROM game_status";
    let count = async || {
        let query = Statement::from_string(store.db.get_database_backend(), settled);
        store.db.query_one_raw(query).await.unwrap().unwrap().try_get_by_index::<i32>(0).unwrap()
    };
    run("UPDATE runtime_records SET left_to_do = '[]', observed_generation = (SELECT generation FROM games)")
        .await;
    assert_eq!(count().await, 1);
    run("UPDATE runtime_records SET left_to_do = NULL").await;
    assert_eq!(count().await, 0);
    run("UPDATE runtime_records SET left_to_do = '[]'").await;
    run("UPDATE games SET paused = NOT paused").await;
    assert_eq!(count().await, 0);
}
