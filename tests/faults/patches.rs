//! A change of engine version, interrupted everywhere: before and after each request that changes
//! something, after each record that is written, and while the state is copied or put back; by the
//! death of the controller, and by the engine's.
//!
//! A change that works ends on the new version, one whose new engine says a wrong turn on the old
//! one with the old state; in both cases by as few containers as if nobody had died. All places are
//! died at with `GAMEKEEPER_SWEEP=all`, else every third.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ground::{NOTHING, behind, containers, kill_and_start_again, want};
use crate::ledger;
use crate::meddler::{Action, Counts, Meddler, When};
use crate::world::{DEADLINE, World, container, docker, set};

const OLD: &str = "1.4.2";
const NEW: &str = "1.4.1";

/// What becomes of the change of version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum New {
    Works,
    SaysAWrongTurn,
}

impl New {
    /// What Docker has to do for it, and no more.
    fn needs(self) -> Counts {
        let times = if self == Self::Works { 1 } else { 2 };
        Counts { creates: times, starts: times, stops: times, removes: times, ..NOTHING }
    }

    /// Requests that change something.
    fn changes(self) -> usize {
        let Counts { creates, starts, stops, removes, .. } = self.needs();
        creates + starts + stops + removes
    }
}

/// One change of version of one game.
struct Patched {
    game: String,
    new: New,
    state: Vec<u8>,
    before: Counts,
    /// How often its record had been written.
    records: i64,
}

async fn world_behind(meddler: &Meddler) -> World {
    let world = behind(meddler, &["--max-failures", "1000"]).await;
    world.register(NEW, "gamekeeper/reference-engine:1.4.1").await;
    world
}

fn state_of(world: &World, game: &str) -> Vec<u8> {
    std::fs::read(world.state_root().join(game).join(game).join("state.json")).unwrap()
}

async fn records(world: &World, game: &str) -> i64 {
    world.count(&format!("SELECT record_version FROM runtime_records WHERE game_id = '{game}'")).await
}

/// A game at its first turn, of which nothing is wanted yet.
async fn game(world: &World, meddler: &Meddler, name: &str, new: New) -> Patched {
    let game = world.running(name).await;
    set(world, &game, "force_turn_generation = 1").await;
    ledger::until_turn(world, &game, 1).await;
    if new == New::SaysAWrongTurn {
        world.misbehave(&game, &json!({ "lowerTurnBy": 1, "onlyVersion": NEW }));
    }
    let (state, before, records) = (state_of(world, &game), meddler.done(), records(world, &game).await);
    Patched { game, new, state, before, records }
}

impl Patched {
    /// From now on the record is written so many times and no more, until [`Self::write_again`].
    async fn write_only(&self, world: &World, times: i64) {
        world
            .sql(&format!(
                "CREATE TRIGGER held BEFORE UPDATE ON runtime_records
                 WHEN OLD.game_id = '{}' AND OLD.record_version >= {}
                 BEGIN SELECT RAISE(ABORT, 'held by a test'); END",
                self.game,
                self.records + times
            ))
            .await;
    }

    async fn write_again(&self, world: &World) {
        world.sql("DROP TRIGGER held").await;
    }

    async fn begin(&self, world: &World) {
        set(world, &self.game, &format!("target_engine_version = '{NEW}'")).await;
    }

    /// It came to its end, one way or the other.
    async fn has_ended(&self, world: &World) -> bool {
        let query = format!(
            "SELECT status = 'running' AND put_back IS NULL AND engine_endpoint IS NOT NULL
                AND (failed_patch IS NOT NULL OR current_engine_version = '{NEW}')
               FROM runtime_records WHERE game_id = '{}'",
            self.game
        );
        world.count(&query).await == 1
    }

    async fn version(&self, world: &World) -> String {
        let query =
            format!("SELECT current_engine_version FROM runtime_records WHERE game_id = '{}'", self.game);
        world.rows(&query).await[0].get(0)
    }

    /// What holds at the end, whatever happened in the middle. Returns what Docker was made to do.
    async fn ends(&self, world: &World, meddler: &Meddler, place: &str, expected: Option<&str>) -> Counts {
        let Self { game, state, .. } = self;
        world.eventually(&format!("{place}: it ends"), async || self.has_ended(world).await).await;
        let version = self.version(world).await;
        assert!(expected.is_none_or(|expected| expected == version), "{place}: {version}");
        assert_eq!(&state_of(world, game), state, "{place}: the state is as it was");
        assert_eq!(containers(game).len(), 1, "{place}");
        let done = meddler.done() - self.before;
        let failed = format!("SELECT failed_patch IS NULL FROM runtime_records WHERE game_id = '{game}'");
        assert_eq!(world.count(&failed).await == 1, version == NEW, "{place}: {version}");
        // The engine that answers is of that version, and plays on.
        set(world, game, "force_turn_generation = 2").await;
        ledger::until_turn(world, game, 2).await;
        let journal = world.journal(game);
        let played = journal.iter().rfind(|line| line["event"] == "turn-done").unwrap();
        assert_eq!(played["version"], version.as_str(), "{place}");
        assert_eq!((ledger::done(world, game), world.inits(game)), (vec![1, 2], 1), "{place}");
        assert!(!journal.iter().any(|line| line["event"] == "conflict"), "{place}: two engines on one state");
        let open =
            format!("SELECT count(*) FROM operation_log WHERE game_id = '{game}' AND finished_at IS NULL");
        world.eventually("no operation is open", async || world.count(&open).await == 0).await;
        want(world, game, "stopped").await;
        world.until(game, "stopped", |status| status.phase == "stopped").await;
        done
    }

    fn expected(&self) -> &'static str {
        if self.new == New::Works { NEW } else { OLD }
    }
}

/// The places of a sweep that are died at.
fn places(all: usize) -> Vec<usize> {
    let step = if is_complete() { 1 } else { 3 };
    (1..=all).step_by(step).collect()
}

fn is_complete() -> bool {
    std::env::var("GAMEKEEPER_SWEEP").is_ok_and(|wanted| wanted == "all")
}

/// The controller dies before, or after, each request that changes something.
async fn dies_at_each_request(new: New) {
    let meddler = Meddler::before_docker();
    let mut world = world_behind(&meddler).await;
    let mut deaths = 0;
    for (when, action) in [("before", Action::HoldBefore), ("after", Action::HoldAfter)] {
        for nth in places(new.changes()) {
            let place = format!("{new:?}, {when} request {nth}");
            let patched = game(&world, &meddler, &format!("{when}-{nth}"), new).await;
            let trap = meddler.set(When::change().nth(nth), action.clone());
            patched.begin(&world).await;
            trap.sprung().await;
            assert!(containers(&patched.game).len() <= 1, "{place}");
            kill_and_start_again(&mut world, &meddler);
            deaths += 1;
            let done = patched.ends(&world, &meddler, &place, Some(patched.expected())).await;
            assert_eq!(done, new.needs(), "{place}");
        }
    }
    eprintln!("{new:?}: {deaths} deaths of the controller around {} requests", new.changes());
}

#[tokio::test]
async fn a_controller_killed_around_any_request_of_a_patch_that_works_ends_on_the_new_version() {
    dies_at_each_request(New::Works).await;
}

#[tokio::test]
async fn a_controller_killed_around_any_request_of_a_patch_that_fails_ends_on_the_old_version() {
    dies_at_each_request(New::SaysAWrongTurn).await;
}

/// Something dies after each record, when what that record announced has been done. Returns how
/// many records there were.
async fn dies_after_each_record(new: New, engine: bool, controller: bool) {
    let meddler = Meddler::before_docker();
    let mut world = world_behind(&meddler).await;
    let step = if is_complete() { 1 } else { 3 };
    let mut deaths = 0;
    let mut rolled_back = 0;
    for times in (0..).step_by(step) {
        let place = format!("{new:?}, after record {times}");
        let patched = game(&world, &meddler, &format!("record-{times}"), new).await;
        let refusals = || world.log().matches("nothing was recorded, so nothing was done").count();
        let before = refusals();
        patched.write_only(&world, times).await;
        patched.begin(&world).await;
        let began = Instant::now();
        while refusals() == before && !patched.has_ended(&world).await {
            assert!(began.elapsed() < DEADLINE, "{place}: {}", world.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let ended = patched.has_ended(&world).await;
        if engine {
            docker(&["kill", "-s", "KILL", &container(&patched.game)]);
        }
        if controller {
            world.kill_keeper();
        }
        patched.write_again(&world).await;
        if controller {
            world.start();
        }
        deaths += 1;
        // A new engine that is killed before it has shown itself is a failed one.
        let expected = (!engine || new != New::Works).then_some(patched.expected());
        let done = patched.ends(&world, &meddler, &place, expected).await;
        rolled_back += usize::from(done.creates == 2);
        if engine {
            assert!((1..=3).contains(&done.creates), "{place}: {done:?}");
        } else {
            assert_eq!(done, new.needs(), "{place}");
        }
        if ended {
            break;
        }
    }
    eprintln!(
        "{new:?}: deaths after {deaths} records (engine: {engine}, controller: {controller}), {rolled_back} rolled back"
    );
    assert!(deaths > 2);
}

#[tokio::test]
async fn a_controller_killed_after_any_record_of_a_patch_that_works_ends_on_the_new_version() {
    dies_after_each_record(New::Works, false, true).await;
}

#[tokio::test]
async fn a_controller_killed_after_any_record_of_a_patch_that_fails_ends_on_the_old_version() {
    dies_after_each_record(New::SaysAWrongTurn, false, true).await;
}

#[tokio::test]
async fn an_engine_killed_at_any_stage_of_a_patch_ends_on_one_version_with_its_state() {
    dies_after_each_record(New::Works, true, false).await;
}

#[tokio::test]
async fn an_engine_killed_at_any_stage_of_a_patch_that_fails_ends_on_the_old_version() {
    dies_after_each_record(New::SaysAWrongTurn, true, false).await;
}

#[tokio::test]
async fn engine_and_controller_killed_at_any_stage_of_a_patch_end_on_one_version_with_its_state() {
    dies_after_each_record(New::Works, true, true).await;
}

/// Whether something whose name begins so is in a directory of the state root.
fn is_there(directory: &Path, prefix: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
}

/// A moment of a copy, as it shows in the state root.
type Moment = (&'static str, fn(&World, &str) -> bool);

fn own(world: &World, kind: &str, game: &str) -> PathBuf {
    world.state_root().join(".gamekeeper").join(kind).join(game)
}

/// The first directory that is kept aside.
fn aside(world: &World, game: &str) -> Option<PathBuf> {
    Some(std::fs::read_dir(own(world, "failed", game)).ok()?.next()?.ok()?.path())
}

/// Each lasts until it is overtaken by the next; one that was too short to be seen is died at there.
const MOMENTS: [Moment; 6] = [
    ("a copy is being made", |world, game| is_there(&own(world, "backups", game), ".making-")),
    ("a copy is there", |world, game| is_there(&own(world, "backups", game), "2")),
    ("a copy's copy is being made", |world, game| is_there(&own(world, "restoring", game), ".making-")),
    ("it is noted what is put back", |world, game| aside(world, game).is_some()),
    ("the state is aside", |world, game| aside(world, game).is_some_and(|at| at.join("state").exists())),
    ("it is noted that it is done", |world, game| {
        let note = aside(world, game).and_then(|at| std::fs::read_to_string(at.join("put-back.json")).ok());
        let note = note.and_then(|note| serde_json::from_str::<Value>(&note).ok());
        note.is_some_and(|note| note["done"] == true)
    }),
];

#[tokio::test]
async fn a_controller_killed_while_the_state_is_copied_or_put_back_ends_on_the_old_version() {
    let meddler = Meddler::before_docker();
    let mut world = world_behind(&meddler).await;
    for (number, (moment, _)) in MOMENTS.into_iter().enumerate() {
        let patched = game(&world, &meddler, &format!("moment-{number}"), New::SaysAWrongTurn).await;
        // So much that copying takes a while.
        let ballast = world.state_root().join(&patched.game).join("ballast");
        let content: Vec<u8> = (0..48_u32 << 20).map(|byte| (byte % 251) as u8).collect();
        std::fs::write(&ballast, &content).unwrap();
        patched.begin(&world).await;
        let began = Instant::now();
        while !MOMENTS[number..].iter().any(|(_, has_come)| has_come(&world, &patched.game)) {
            // Without a pause: some moments are short.
            assert!(began.elapsed() < DEADLINE, "{moment}");
        }
        kill_and_start_again(&mut world, &meddler);
        let done = patched.ends(&world, &meddler, moment, Some(OLD)).await;
        assert_eq!(done, New::SaysAWrongTurn.needs(), "{moment}");
        assert!(std::fs::read(&ballast).unwrap() == content, "{moment}");
        for kind in ["backups", "restoring"] {
            assert!(!is_there(&own(&world, kind, &patched.game), "."), "{moment}: half a copy is left");
        }
        let _ = std::fs::remove_dir_all(world.state_root().join(".gamekeeper/backups").join(&patched.game));
    }
}
