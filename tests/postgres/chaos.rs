//! Two controllers, one behind a pooler, on ways that are cut, silent and slow, with clocks that are set; a
//! server and engines that are killed, frozen and cut off; and a lobby with long transactions that goes on
//! wishing. In the end everything that was wished is true, and nothing happened twice.

mod deletions;
mod engines;
mod fleet;
mod lobby;
mod report;
mod voices;
mod watch;
mod way;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::Cluster;
use crate::database::Database;
use crate::world::{World, docker};
use fleet::Fleet;
use lobby::{CALM, Worker};
use report::Record;
pub(crate) use voices::readiness;
use watch::asked;

/// How long, in seconds; `make soak` sets it.
const SECONDS: &str = "GAMEKEEPER_SOAK_SECONDS";

/// What the dice begin with, to have the same blows in the same order again.
const SEED: &str = "GAMEKEEPER_SOAK_SEED";

/// From the end of a blow to the next wish that comes true: an answer that does not come is given up after
/// twelve seconds, a lease ends after fifteen, and a machine may be busy.
const RECOVERED: Duration = Duration::from_secs(60);

/// In calm a turn is a matter of moments, whatever a lobby has locked of other games.
const CALM_WAIT: Duration = Duration::from_secs(15);

/// After the last blow everything has come true within this time.
const SETTLED: Duration = Duration::from_secs(180);

/// A controller of ten games has a fraction of this resident, in KiB.
const MEMORY: u64 = 300 << 10;

/// Some twenty connections, Docker, engines, and its clients.
const DESCRIPTORS: u64 = 150;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn two_controllers_under_every_blow_lose_and_double_nothing() {
    let seconds = number(SECONDS).unwrap_or(45);
    let seed = number(SEED).unwrap_or_else(rand::random);
    eprintln!("seed {seed}, {seconds} s, from {}", jiff::Timestamp::now());
    let record = Arc::new(Record::new(seed));
    let (world, mut fleet) = begin(&record, seconds).await;
    let end = Instant::now() + Duration::from_secs(seconds);
    let told = run(&world, &mut fleet, &record, end).await;
    fleet.lives();
    let told = told.and(finish(&world, &mut fleet, &record).await);
    numbers(&world, &fleet, &record).await;
    let table = record.table();
    eprintln!("{table}");
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("soak-report.txt");
    std::fs::write(file, &table).unwrap();
    if let Err(what) = told {
        record.broken(what);
    }
    keep(&world).await;
    if record.is_broken() {
        panic!(
            "seed {seed}\n{}\nthe last blows:\n{}\n{}\n{}",
            record.table(),
            record.last_blows(),
            operations(&world).await,
            fleet.logs()
        );
    }
}

/// Two controllers and their games.
async fn begin(record: &Arc<Record>, seconds: u64) -> (Arc<World>, Fleet) {
    let cluster = Cluster::start();
    let world = World::on(Database::on(&cluster.url())).with(&[
        "--lobby-mode",
        "pull",
        "--deletion-grace",
        "5s",
        "--deletion-window",
        "30s",
        "--backoff-longest",
        "5s",
        "--max-failures",
        "1000",
        "--stop-grace",
        "2s",
    ]);
    let world = Arc::new(world);
    let fleet = Fleet::start(&world, cluster, record, (seconds / 8).clamp(3, 60)).await;
    for version in ["1.4.1", "1.4.2"] {
        world.register(version, &format!("gamekeeper/reference-engine:{version}")).await;
    }
    (world, fleet)
}

/// Blows and wishes, until it is time or a promise is broken.
async fn run(
    world: &Arc<World>,
    fleet: &mut Fleet,
    record: &Arc<Record>,
    end: Instant,
) -> Result<(), String> {
    let mut random = StdRng::seed_from_u64(record.seed);
    let calm = world.game(&format!("{CALM}one"), "1.4.2").await;
    for n in 0..8 {
        world.game(&format!("g{n}"), "1.4.2").await;
    }
    let (over, tasks) = (CancellationToken::new(), TaskTracker::new());
    let seconds = end.saturating_duration_since(Instant::now()).as_secs();
    let reach = (seconds / 6).clamp(4, 90);
    for _ in 0..4 {
        let worker = Worker { world: world.clone(), record: record.clone(), reach };
        tasks.spawn(worker.works(random.random(), over.clone()));
    }
    tasks.spawn(engines::suffer(world.clone(), record.clone(), reach, random.random(), over.clone()));
    let watching = CancellationToken::new();
    let watchers = TaskTracker::new();
    watchers.spawn(watch::promises(world.clone(), record.clone(), watching.clone()));
    watchers.spawn(watch::probe(world.clone(), record.clone(), calm, watching.clone()));
    while Instant::now() < end && !record.is_broken() {
        // That needs games which are older than the window, and time.
        if seconds > 120 && random.random_range(0..15) == 0 {
            deletions::all_at_once(world, fleet, record, &mut random).await;
        } else {
            fleet.strike(&mut random).await;
        }
        let pause = Instant::now() + Duration::from_millis(random.random_range(500..8_000));
        while Instant::now() < pause.min(end) {
            tokio::time::sleep(Duration::from_millis(250)).await;
            fleet.revive();
        }
    }
    over.cancel();
    tasks.close();
    fleet.calm();
    tasks.wait().await;
    // The last blow is recovered from as well.
    let settled = settle(world, fleet, record).await;
    watching.cancel();
    watchers.close();
    watchers.wait().await;
    settled
}

/// What the lobby wished has come true.
async fn settle(world: &Arc<World>, fleet: &mut Fleet, record: &Record) -> Result<(), String> {
    let calm = Instant::now();
    // Of what engines were kept from, once more: it is tried again when it is asked for.
    // A game that was upserted while it was deleted came about without a version.
    let again = "UPDATE games SET turn_schedule = '', backup_before_turn = false, paused = false,
        target_engine_version = coalesce(nullif(target_engine_version, ''), '1.4.2'),
        patch_generation = patch_generation + CASE WHEN EXISTS (SELECT 1 FROM runtime_records AS r
            WHERE r.game_id = games.game_id AND r.failed_patch IS NOT NULL) THEN 1 ELSE 0 END";
    while world.database.try_sql(again).await.is_err() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let open = "SELECT g.game_id::text, g.status, g.reason, g.message, to_jsonb(games)::text FROM game_status AS g JOIN games USING (game_id) WHERE NOT g.settled
        UNION ALL SELECT game_id::text, 'gone', '', '', '' FROM game_tombstones WHERE handled_at IS NULL
        UNION ALL SELECT game_id::text, op, status, cause, '' FROM operation_log WHERE finished_at IS NULL";
    loop {
        fleet.revive();
        let held = "SELECT game_id::text FROM runtime_records WHERE deletion_guard = 'held'";
        if asked(world, held).await.is_ok_and(|held| !held.is_empty()) {
            deletions::confirm(fleet, record).await;
        }
        let found = asked(world, open).await;
        if found.as_ref().is_ok_and(Vec::is_empty) {
            let took = calm.elapsed().as_secs();
            record.set("seconds until everything was true", i64::try_from(took).unwrap());
            return Ok(());
        }
        if calm.elapsed() > SETTLED {
            return Err(format!("not everything came true: {found:#?}"));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// What can only be said at the end.
async fn finish(world: &Arc<World>, fleet: &mut Fleet, record: &Record) -> Result<(), String> {
    fleet.revive();
    never(world, record, "an operation was told of twice", "SELECT payload ->> 'operationId' FROM lobby_outbox WHERE type LIKE '%operation-finished%' GROUP BY 1 HAVING count(*) > 1").await;
    never(world, record, "events are not numbered without gaps", "SELECT game_id::text, min(seq)::text, max(seq)::text, count(*)::text FROM lobby_outbox GROUP BY game_id HAVING max(seq) <> count(*) OR min(seq) <> 1").await;
    never(world, record, "the record knows of another last event", "SELECT game_id::text, outbox_seq::text FROM runtime_records AS r WHERE outbox_seq <> (SELECT coalesce(max(seq), 0) FROM lobby_outbox AS o WHERE o.game_id = r.game_id)").await;
    never(world, record, "a turn is missing in the ledger", "SELECT game_id::text, timeline::text FROM turns WHERE state IN ('done', 'rolled_back') GROUP BY game_id, timeline HAVING max(number) - min(number) + 1 <> count(*)").await;
    // Of all lives of a game: its counter begins anew with the next one.
    never(world, record, "one restart was made twice", "SELECT g.game_id::text FROM games AS g WHERE (SELECT coalesce(sum((c.changes -> 'restart_generation' ->> 'to')::bigint - (c.changes -> 'restart_generation' ->> 'from')::bigint), 0) FROM game_changes AS c WHERE c.game_id = g.game_id AND c.change = 'changed' AND c.changes ? 'restart_generation') < (SELECT count(*) FROM operation_log AS o WHERE o.game_id = g.game_id AND op = 'restart' AND cause LIKE '%asked for%' AND status = 'succeeded')").await;
    history(world, record).await?;
    fleet.agree().await;
    quiet(world, fleet, record).await;
    let (memory, descriptors) = record.largest();
    if memory > MEMORY || descriptors > DESCRIPTORS {
        record.broken(format!("a controller ended with {memory} KiB and {descriptors} descriptors"));
    }
    let (calm, recovered) = (record.longest_calm_wait(), record.longest_recovery());
    if calm > CALM_WAIT {
        record.broken(format!("a game that nobody had locked waited for {calm:?} in calm"));
    }
    if recovered > RECOVERED {
        record.broken(format!("no wish came true for {recovered:?} after a blow"));
    }
    Ok(())
}

/// Each engine was initialised once, and has the turns that are on record.
async fn history(world: &World, record: &Record) -> Result<(), String> {
    // A turn that was sent to an engine that was stopped at once, or killed, is asked about at the next start.
    let turns = "SELECT r.game_id::text, r.current_turn::text,
               coalesce((SELECT max(t.number) FROM turns AS t WHERE t.game_id = r.game_id AND t.timeline = r.timeline
                          AND t.state = 'dispatched' AND g.desired_status = 'stopped'), r.current_turn)::text
          FROM runtime_records AS r JOIN games AS g USING (game_id) WHERE r.initialized_at IS NOT NULL";
    // A turn that ends between the two readings is in one of them only.
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let mut unlike = Vec::new();
        for row in asked(world, turns).await.map_err(|error| error.to_string())? {
            let (turns, inits) = watch::history(world, &row[0]);
            let last = turns.last().copied().unwrap_or_default();
            if inits != 1 || row[1..].iter().all(|known| known.parse::<i64>().ok() != Some(last)) {
                unlike
                    .push(format!("{} was initialised {inits} times; turn {}, of {turns:?}", row[0], row[1]));
            }
        }
        if unlike.is_empty() || Instant::now() >= end {
            unlike.into_iter().for_each(|line| record.broken(line));
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn never(world: &World, record: &Record, what: &str, query: &str) {
    match asked(world, query).await {
        Ok(rows) if rows.is_empty() => {}
        other => record.broken(format!("{what}: {other:?}")),
    }
}

/// Two looks at everything, and nothing is done.
async fn quiet(world: &World, fleet: &mut Fleet, record: &Record) {
    let events = |from: &str, to: &str| {
        let label = "label=gamekeeper.dev/instance";
        let network = world.network();
        let told = docker(&[
            "events",
            "--since",
            from,
            "--until",
            to,
            "--filter",
            label,
            "--format",
            "{{.Action}} {{.Actor.Attributes.name}}",
        ]);
        assert_eq!(told.code, 0, "{told:?}");
        let mine = docker(&["ps", "-a", "--filter", &format!("network={network}"), "--format", "{{.Names}}"]);
        let of_ours = |line: &&str| mine.stdout.lines().any(|name| line.ends_with(name));
        told.stdout.lines().filter(of_ours).map(str::to_owned).collect::<Vec<_>>()
    };
    let now = || docker(&["info", "--format", "{{.SystemTime}}"]).stdout.trim().to_owned();
    let from = now();
    let end = Instant::now() + Duration::from_secs(11);
    while Instant::now() < end {
        fleet.revive();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let done = events(&from, &now());
    if !done.is_empty() {
        record.broken(format!("with nothing left to do, Docker was made to {done:?}"));
    }
}

/// What the run amounted to.
async fn numbers(world: &World, fleet: &Fleet, record: &Record) {
    for (what, query) in [
        ("leaderships", "SELECT epoch FROM leases"),
        ("turns", "SELECT count(*) FROM turns WHERE state IN ('done', 'rolled_back')"),
        ("operations", "SELECT count(*) FROM operation_log"),
        ("events for the lobby", "SELECT count(*) FROM lobby_outbox"),
        ("games at the end", "SELECT count(*) FROM games"),
        ("games that were deleted", "SELECT count(*) FROM game_tombstones"),
        ("timelines", "SELECT sum(timeline)::bigint FROM runtime_records"),
    ] {
        if let Ok(rows) = asked(world, query).await {
            record.set(what, rows[0][0].parse().unwrap_or_default());
        }
    }
    let operations = "SELECT op || ' ' || status, count(*) FROM operation_log GROUP BY 1";
    for row in asked(world, operations).await.unwrap_or_default() {
        record.set(&format!("operation: {}", row[0]), row[1].parse().unwrap_or_default());
    }
    for (what, count) in fleet.connections().await {
        record.set(what, count);
    }
}

/// The last operations of the games that were not left in peace.
async fn operations(world: &World) -> String {
    let query = format!(
        "SELECT created_at::text, game_id::text, op, status, cause, coalesce(error_message, '') FROM operation_log
          WHERE game_id NOT IN (SELECT game_id FROM games WHERE name LIKE '{CALM}%') ORDER BY created_at DESC LIMIT 60"
    );
    let rows = asked(world, &query).await.unwrap_or_default();
    rows.iter().rev().map(|row| row.join(" | ") + "\n").collect()
}

/// Where whoever looks for why finds everything.
async fn keep(world: &World) {
    let to = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("soak-logs");
    let _ = std::fs::remove_dir_all(&to);
    let _ = std::fs::create_dir_all(&to);
    for entry in std::fs::read_dir(world.dir.path()).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|kind| kind == "log") {
            let _ = std::fs::copy(&path, to.join(entry.file_name()));
        }
    }
    for table in [
        "games",
        "runtime_records",
        "operation_log",
        "game_changes",
        "turns",
        "turn_slots",
        "lobby_outbox",
        "events",
        "game_tombstones",
    ] {
        let rows =
            asked(world, &format!("SELECT to_jsonb({table})::text FROM {table}")).await.unwrap_or_default();
        let lines: String = rows.iter().map(|row| row.join("") + "\n").collect();
        let _ = std::fs::write(to.join(format!("{table}.jsonl")), lines);
    }
    for entry in std::fs::read_dir(world.state_root()).into_iter().flatten().flatten() {
        if let Ok(game) = entry.file_name().into_string() {
            let journal = entry.path().join(&game).join("journal.jsonl");
            let _ = std::fs::copy(journal, to.join(format!("journal-{game}.jsonl")));
        }
    }
}
