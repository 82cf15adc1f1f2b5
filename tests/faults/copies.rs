//! The controller dies while a copy of the state is taken that somebody asked for.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::ground::{NOTHING, behind, kill_and_start_again};
use crate::ledger;
use crate::meddler::Meddler;
use crate::world::{DEADLINE, World, inspect, set};

fn kept(world: &World, game: &str) -> PathBuf {
    world.state_root().join(".gamekeeper/backups").join(game)
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

type Moment = (&'static str, fn(&str) -> bool);

/// A moment of a copy, as it shows in the state root; the last may be over before it is seen.
const MOMENTS: [Moment; 2] = [
    ("a copy is being made", |name| name.starts_with(".making-")),
    ("a copy is there", |name| name.starts_with('2')),
];

#[tokio::test]
async fn a_controller_killed_while_a_copy_on_demand_is_taken_has_one_copy_and_an_engine_that_went_on() {
    let meddler = Meddler::before_docker();
    let mut world = behind(&meddler, &[]).await;
    for (number, (moment, has_come)) in MOMENTS.into_iter().enumerate() {
        for stopped in [false, true] {
            let place = format!("{moment}, stopped: {stopped}");
            let game = world.running(&format!("copied-{number}-{stopped}")).await;
            set(&world, &game, "force_turn_generation = 1").await;
            ledger::until_turn(&world, &game, 1).await;
            let ballast = world.state_root().join(&game).join("ballast");
            // So much that copying takes a while.
            let content: Vec<u8> = (0..48_u32 << 20).map(|byte| (byte % 251) as u8).collect();
            std::fs::write(&ballast, &content).unwrap();
            if stopped {
                set(&world, &game, "desired_status = 'stopped'").await;
                world.until(&game, "stopped", |status| status.phase == "stopped").await;
            }
            let life = (!stopped).then(|| inspect(&game, "{{.Id}} {{.State.StartedAt}}"));
            let before = meddler.done();
            set(&world, &game, "backup_generation = 1").await;
            let began = Instant::now();
            while !names(&kept(&world, &game)).iter().any(|name| has_come(name)) {
                // Without a pause: some moments are short.
                assert!(began.elapsed() < DEADLINE, "{place}");
            }
            kill_and_start_again(&mut world, &meddler);
            let done = format!(
                "SELECT count(*) FROM runtime_records
                  WHERE game_id = '{game}' AND observed_backup_generation = 1 AND copying IS NULL"
            );
            world.eventually(&place, async || world.count(&done).await == 1).await;
            let copies = names(&kept(&world, &game));
            assert!(copies.len() == 1 && copies[0].ends_with("-demand-1"), "{place}: {copies:?}");
            let copy = kept(&world, &game).join(&copies[0]).join("state/ballast");
            assert!(std::fs::read(copy).unwrap() == content, "{place}: byte for byte");
            let operations = world.operations(&game).await;
            let backups: Vec<_> =
                operations.iter().filter(|operation| operation.starts_with("backup")).collect();
            assert_eq!(backups, ["backup succeeded"], "{place}");
            assert_eq!(meddler.done() - before, NOTHING, "{place}: nothing is asked of Docker for it");
            if let Some(life) = life {
                assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life, "{place}");
                set(&world, &game, "force_turn_generation = 2").await;
                ledger::until_turn(&world, &game, 2).await;
            }
        }
    }
}
