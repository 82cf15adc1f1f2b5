//! Many games patched at the same time: never more than allowed are down, as seen from outside.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::world::{World, docker};

const GAMES: usize = 20;
const AT_ONCE: usize = 3;

/// When each game was seen down first, and last, without having been seen up between.
type Outages = BTreeMap<String, Vec<(Instant, Instant)>>;

/// Somebody outside who looks at engines until they are told to end.
pub(crate) struct Watching {
    end: Arc<AtomicBool>,
    thread: JoinHandle<Watched>,
}

/// What they saw.
pub(crate) struct Watched {
    outages: Outages,
    looks: usize,
}

impl Watching {
    pub(crate) fn begin(games: Vec<String>, network: String) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let ends = end.clone();
        Self { end, thread: std::thread::spawn(move || watch(&games, &network, &ends)) }
    }

    pub(crate) fn end(self) -> Watched {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

impl Watched {
    /// The longest that an engine was seen not to answer.
    pub(crate) fn longest(&self) -> Duration {
        let all = self.outages.values().flatten();
        all.map(|(from, to)| to.duration_since(*from)).max().unwrap_or_default()
    }
}

/// Asks Docker who runs where, and each engine how it is, until it is told to end.
fn watch(games: &[String], network: &str, end: &AtomicBool) -> Watched {
    let (mut outages, mut looks) = (Outages::new(), 0);
    let mut is_down: BTreeMap<&String, bool> = games.iter().map(|game| (game, false)).collect();
    while !end.load(Ordering::Relaxed) {
        let listing = Instant::now();
        let addresses = addresses(network);
        let listed = Instant::now();
        for game in games {
            let name = format!("/gamekeeper-{game}");
            // What a look says was so at some time between its begin and its end.
            let (before, up) = match addresses.get(&name) {
                Some(address) => (Instant::now(), answers(*address)),
                None => (listing, false),
            };
            let after = if addresses.contains_key(&name) { Instant::now() } else { listed };
            let outages = outages.entry(game.clone()).or_default();
            match (up, is_down.insert(game, !up)) {
                (false, Some(true)) => outages.last_mut().unwrap().1 = before,
                (false, _) => outages.push((after, before)),
                (true, _) => {}
            }
        }
        looks += 1;
    }
    Watched { outages, looks }
}

/// The address of each container that runs.
fn addresses(network: &str) -> BTreeMap<String, SocketAddr> {
    let filter = format!("network={network}");
    let ids = docker(&["ps", "-q", "--no-trunc", "--filter", &filter]).stdout;
    let format = "{{.Name}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let mut arguments = vec!["inspect", "-f", format];
    arguments.extend(ids.split_whitespace());
    if arguments.len() == 3 {
        return BTreeMap::new();
    }
    let listed = docker(&arguments).stdout;
    let address = |line: &str| {
        let (name, ip) = line.split_once(' ')?;
        Some((name.to_owned(), format!("{ip}:8080").parse().ok()?))
    };
    listed.lines().filter_map(address).collect()
}

/// Whether an engine says that it is ready. One that is slow is not down.
fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(2)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    asked.is_ok() && stream.read_exact(&mut answer).is_ok() && answer.starts_with(b"HTTP/1.1 2")
}

/// The most that were down at the same time. Each was down from the end of the first look that said
/// so until the begin of the last one, so that there is none too many.
fn most_at_once(outages: &Outages) -> usize {
    let all: Vec<&(Instant, Instant)> = outages.values().flatten().collect();
    let down_at = |when: Instant| all.iter().filter(|(from, to)| *from <= when && when <= *to).count();
    all.iter().map(|(from, _)| down_at(*from)).max().unwrap_or(0)
}

#[tokio::test]
async fn of_twenty_games_that_are_patched_never_more_than_three_are_down() {
    let mut world = World::new().with(&["--max-disruptions", "3"]);
    world.start();
    world.register("1.4.1", "gamekeeper/reference-engine:1.4.1").await;
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let mut games = Vec::new();
    for number in 0..GAMES {
        games.push(world.game(&format!("game-{number}"), "1.4.2").await);
    }
    for game in &games {
        world.until(game, "running", |status| status.phase == "running").await;
    }
    let watching = Watching::begin(games.clone(), world.network().to_owned());
    let began = Instant::now();
    world.sql("UPDATE games SET target_engine_version = '1.4.1'").await;
    let left = "SELECT count(*) FROM runtime_records
                 WHERE current_engine_version <> '1.4.1' OR status <> 'running' OR engine_endpoint IS NULL";
    world.eventually("all are patched", async || world.count(left).await == 0).await;
    let took = began.elapsed();
    let watched = watching.end();
    let longest = watched.longest();
    let Watched { outages, looks } = watched;
    let most = most_at_once(&outages);
    let seen = outages.values().filter(|outages| !outages.is_empty()).count();
    eprintln!(
        "{GAMES} games patched in {:.1} s, at most {most} down at once (allowed {AT_ONCE}); {seen} seen down in {looks} looks, the longest for {:.2} s",
        took.as_secs_f64(),
        longest.as_secs_f64()
    );
    assert!(most <= AT_ONCE, "{outages:?}");
    assert!(most > 1 && seen > GAMES / 2, "it was looked too seldom to tell: {looks} looks");
    for game in &games {
        assert_eq!(world.inits(game), 1);
    }
}
