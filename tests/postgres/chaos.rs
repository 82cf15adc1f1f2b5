//! Two controllers and a server that are killed, suspended, cut off and restarted at random, while a
//! lobby goes on wishing. In the end everything that was wished is true, and nothing happened twice.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::cluster::Cluster;
use crate::database::Database;
use crate::replica::Replica;
use crate::world::{World, docker};

/// How long, in seconds; `make soak` sets it.
const SECONDS: &str = "GAMEKEEPER_SOAK_SECONDS";

/// What the lobby wished last of a game.
#[derive(Debug, Clone)]
struct Wish {
    game: String,
    running: bool,
    restarts: i64,
    turns: i64,
}

impl Wish {
    /// Wishes the next thing. A write whose answer was lost is made again: it says the same.
    async fn next(&mut self, world: &World, random: &mut StdRng) {
        match random.random_range(0..4) {
            0 => self.running = !self.running,
            1 => self.restarts += 1,
            _ => self.turns += 1,
        }
        let Self { game, running, restarts, turns } = &self;
        let status = if *running { "running" } else { "stopped" };
        let wish = format!(
            "UPDATE games SET desired_status = '{status}', restart_generation = {restarts}, force_turn_generation = {turns} WHERE game_id = '{game}'"
        );
        while world.database.try_sql(&wish).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether it came true.
    async fn is_true(&self, world: &World) -> bool {
        let Self { game, running, restarts, turns } = self;
        let status = if *running { "running" } else { "stopped" };
        let query = format!(
            "SELECT count(*) FROM games JOIN runtime_records AS r USING (game_id)
              WHERE game_id = '{game}' AND desired_status = '{status}' AND r.status = '{status}'
                AND restart_generation = {restarts} AND r.observed_restart_generation = {restarts}
                AND force_turn_generation = {turns} AND r.observed_force_turn_generation = {turns}
                AND r.observed_generation = generation"
        );
        world.count(&query).await == 1
    }
}

/// What was done to whom, and how often.
#[derive(Debug, Default)]
struct Done {
    killed: usize,
    suspended: usize,
    cut_off: usize,
    restarted: usize,
}

async fn disturb(
    cluster: &Cluster,
    world: &World,
    replicas: &[Replica],
    random: &mut StdRng,
    done: &mut Done,
) {
    let victim = &replicas[random.random_range(0..replicas.len())];
    match random.random_range(0..7) {
        0 | 1 => {
            victim.signal("-KILL");
            done.killed += 1;
        }
        2 | 3 => {
            victim.signal("-STOP");
            // Sometimes longer than a lease.
            tokio::time::sleep(Duration::from_secs(random.random_range(1..20))).await;
            victim.signal("-CONT");
            done.suspended += 1;
        }
        4 | 5 => {
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gamekeeper'";
            let _ = world.database.try_sql(cut).await;
            done.cut_off += 1;
        }
        _ => {
            cluster.restart();
            done.restarted += 1;
        }
    }
}

fn containers_of(game: &str) -> usize {
    let label = format!("label=gamekeeper.dev/game-id={game}");
    docker(&["ps", "-q", "--no-trunc", "--filter", &label]).stdout.lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_controllers_under_every_blow_lose_and_double_nothing() {
    let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let seed = rand::random::<u64>();
    eprintln!("seed {seed}, {seconds} s");
    let mut random = StdRng::seed_from_u64(seed);
    let cluster = Cluster::start();
    let world = World::on(Database::on(&cluster.url()));
    let mut replicas = vec![Replica::start(&world, "a")];
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    replicas.push(Replica::start(&world, "b"));
    let mut wishes = Vec::new();
    for name in ["one", "two", "three", "four"] {
        wishes.push(Wish { game: world.running(name).await, running: true, restarts: 0, turns: 0 });
    }
    let (began, mut done, mut wished) = (Instant::now(), Done::default(), 0);
    while began.elapsed() < Duration::from_secs(seconds) {
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..wishes.len());
            wishes[at].next(&world, &mut random).await;
            wished += 1;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(100..2_500))).await;
        disturb(&cluster, &world, &replicas, &mut random, &mut done).await;
        for (replica, name) in replicas.iter_mut().zip(["a", "b"]) {
            if replica.has_ended() {
                *replica = Replica::spawned(&world, name);
            }
        }
        for wish in &wishes {
            assert!(containers_of(&wish.game) <= 1, "seed {seed}: two containers of {}", wish.game);
        }
    }
    let calm = Instant::now();
    for wish in &wishes {
        world
            .eventually(&format!("seed {seed}: {wish:?} came true"), async || {
                for (replica, name) in replicas.iter_mut().zip(["a", "b"]) {
                    if replica.has_ended() {
                        *replica = Replica::spawned(&world, name);
                    }
                }
                wish.is_true(&world).await
            })
            .await;
    }
    let epoch = world.count("SELECT epoch FROM leases").await;
    eprintln!(
        "{wished} wishes; {done:?}; {epoch} leaderships; all true {:?} after the last blow",
        calm.elapsed()
    );
    for Wish { game, .. } in &wishes {
        assert_eq!(world.inits(game), 1, "seed {seed}");
        let turns: Vec<i64> = world
            .journal(game)
            .iter()
            .filter(|line| line["event"] == "turn-done")
            .map(|line| line["turn"].as_i64().unwrap())
            .collect();
        assert!(turns.iter().zip(1..).all(|(turn, n)| *turn == n), "seed {seed}: {turns:?}");
        let ledger = format!("SELECT count(*) FROM turns WHERE game_id = '{game}' AND state = 'done'");
        assert_eq!(world.count(&ledger).await, i64::try_from(turns.len()).unwrap(), "seed {seed}");
    }
    assert_eq!(world.count("SELECT count(*) FROM operation_log WHERE finished_at IS NULL").await, 0);
}
