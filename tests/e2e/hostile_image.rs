//! An engine that attacks, and engines that use up whatever they get: what they reach, and who else
//! notices.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::database::Database;
use crate::world::{World, docker, inspect};

/// Which container, and which life of it.
const LIFE: &str = "{{.Id}} {{.State.StartedAt}}";
const HOSTILE: &str = "gamekeeper/reference-engine:hostile";

/// A game that has nothing to do with it.
struct Neighbour {
    game: String,
    life: String,
    endpoint: String,
}

impl Neighbour {
    async fn of(world: &World) -> Self {
        let game = world.running("neighbour").await;
        let endpoint = world.status(&game).await.endpoint.expect("an endpoint");
        let endpoint = endpoint.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { life: inspect(&game, LIFE), game, endpoint }
    }

    /// It runs as it ran, and answers at once.
    async fn is_unharmed(&self, world: &World) {
        let began = Instant::now();
        let answer = call(&self.endpoint, "GET /healthz", "", "").expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let status = world.status(&self.game).await;
        assert_eq!(
            (status.phase.as_str(), status.restarts, status.failures),
            ("running", 0, 0),
            "{status:?}"
        );
        assert_eq!(inspect(&self.game, LIFE), self.life);
    }
}

/// One HTTP call, as plain as can be.
fn call(address: &str, what: &str, token: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let length = body.len();
    write!(
        stream,
        "{what} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Tells an engine that runs how to misbehave until it ends. It may not live to answer.
async fn tell(world: &World, game: &str, knobs: Value) {
    let endpoint = world.status(game).await.endpoint.expect("an endpoint");
    let variables = inspect(game, "{{range .Config.Env}}{{println .}}{{end}}");
    let token = variables.lines().find_map(|line| line.strip_prefix("GAME_ADMIN_TOKEN=")).expect("a token");
    let address = endpoint.trim_start_matches("http://").trim_end_matches('/');
    let _ = call(address, "PUT /api/v1/admin/misbehave", token, &knobs.to_string());
}

/// A row with limits of its own.
async fn limited(world: &World, name: &str, version: &str, resources: Value) -> String {
    let game = Uuid::new_v4().to_string();
    // What is tried here is tried when it is told.
    world.misbehave(&game, &json!({ "attack": false }));
    world
        .sql(&format!(
            "BEGIN IMMEDIATE;
             INSERT INTO games (game_id, name, desired_status, target_engine_version, resources)
             VALUES ('{game}', '{name}', 'running', '{version}', '{resources}');
             INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{game}', '{}', 'Terrans');
             COMMIT",
            Uuid::new_v4()
        ))
        .await;
    world.until(&game, "running", |status| status.phase == "running").await;
    game
}

/// A report that an engine writes into its state directory, once it is there.
async fn report(world: &World, game: &str, name: &str) -> Value {
    let path = world.state_root().join(game).join(name);
    world.eventually(&format!("{name} is there"), async || path.exists()).await;
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What the kernel may say to each kind of attempt, and how many of it there are at least.
const REFUSALS: [(&str, &[&str], usize); 28] = [
    ("connect socket", &["ENOENT"], 6),
    ("connect docker", &["ECONNREFUSED", "TimedOut", "EHOSTUNREACH", "ENETUNREACH"], 2),
    ("connect", &["ECONNREFUSED", "TimedOut", "EHOSTUNREACH", "ENETUNREACH"], 3),
    ("connect often", &["ECONNREFUSED", "TimedOut", "EHOSTUNREACH", "ENETUNREACH"], 1),
    ("read", &["ENOENT"], 4),
    ("write", &["ENOENT"], 4),
    ("list beside", &["NotFound"], 1),
    ("write root", &["EROFS"], 2),
    ("write system", &["EACCES", "EROFS", "ENOENT"], 9),
    ("open device", &["ENOENT"], 7),
    ("mknod block", &["EPERM"], 2),
    ("mknod character", &["EPERM"], 2),
    ("mount", &["EPERM"], 3),
    ("mount bind", &["EPERM"], 1),
    ("remount", &["EPERM"], 1),
    ("unmount", &["EPERM"], 1),
    ("chroot", &["EPERM"], 1),
    ("sethostname", &["EPERM"], 1),
    ("init_module", &["EPERM"], 1),
    ("unshare", &["EPERM"], 2),
    ("raw socket", &["EPERM"], 2),
    ("run from tmp", &["EACCES"], 1),
    ("setuid", &["EPERM"], 1),
    ("setgid", &["EPERM"], 1),
    ("capset", &["EPERM"], 3),
    ("see processes", &["NotFound"], 1),
    ("ptrace", &["ESRCH"], 2),
    ("signal", &["ESRCH"], 2),
];

#[tokio::test]
async fn an_engine_reaches_nothing_that_is_not_its_own() {
    let world = World::started().await;
    world.register("6.6.6", HOSTILE).await;
    let neighbour = Neighbour::of(&world).await;
    let network = inspect(&neighbour.game, "{{.HostConfig.NetworkMode}}");
    let gateway =
        docker(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", &network]).stdout;
    let kubeconfig = std::fs::read_to_string(world.data_dir().join("kubeconfig")).unwrap();
    let port = kubeconfig.split("https://127.0.0.1:").nth(1).unwrap();
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let api = format!("{}:{port}", gateway.trim());
    let state = world.state_root().join(&neighbour.game);
    let mut paths: Vec<PathBuf> =
        vec![world.data_dir().join("kubeconfig"), state.clone(), world.state_root()];
    paths.push(match &world.database {
        Database::Sqlite(path) => path.clone(),
        Database::Postgres { .. } => world.data_dir().join("tls"),
    });
    assert!(paths.iter().all(|path| path.exists()), "they are where the engine looks for them");
    let own = std::process::id();
    let pids = [inspect(&neighbour.game, "{{.State.Pid}}").parse::<u32>().unwrap(), own];
    let before = contents(&state);

    let game = Uuid::new_v4().to_string();
    let targets = json!({
        "attackPaths": paths,
        "attackAddresses": [api, neighbour.endpoint, format!("127.0.0.1:{port}")],
        "attackPids": pids,
    });
    world.misbehave(&game, &targets);
    world.game_with_id(&game, "hostile", "6.6.6").await;
    let report = report(&world, &game, "attack.json").await;
    let mut tried: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for attempt in report["attempts"].as_array().unwrap() {
        tried.entry(attempt["what"].as_str().unwrap()).or_default().push(attempt);
    }

    // What it may do it could: so the refusals are refusals.
    for control in ["control: write state", "control: write tmp", "control: connect"] {
        assert!(tried.remove(control).unwrap().iter().all(|attempt| attempt["outcome"] == "succeeded"));
    }
    for (what, refusals, at_least) in REFUSALS {
        let attempts = tried.remove(what).unwrap_or_default();
        assert!(attempts.len() >= at_least, "{what}: {} of {at_least} tried", attempts.len());
        for attempt in attempts {
            let outcome = attempt["outcome"].as_str().unwrap();
            assert!(refusals.contains(&outcome), "{attempt}");
            assert_eq!(attempt["amount"].as_u64().unwrap_or(0), 0, "{attempt}");
            // Another engine's port is open: its silence is the network's doing.
            assert!(attempt["target"] != json!(neighbour.endpoint) || outcome != "ECONNREFUSED", "{attempt}");
        }
    }
    // The disks in memory end where they should.
    for attempt in tried.remove("fill").unwrap() {
        assert_eq!(attempt["outcome"], "ENOSPC", "{attempt}");
        assert!((32 << 20..=64 << 20).contains(&attempt["amount"].as_u64().unwrap()), "{attempt}");
    }
    assert!(tried.remove("read memory").unwrap().iter().all(|attempt| attempt["outcome"] == "ENOENT"));
    assert!(tried.is_empty(), "not judged: {:?}", tried.keys());

    assert_eq!(contents(&state), before);
    neighbour.is_unharmed(&world).await;
    world.until(&game, "running, for all that", |status| status.phase == "running").await;
}

/// The names below a directory, with their sizes.
fn contents(directory: &std::path::Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            let about = entry.metadata().unwrap();
            if about.is_dir() {
                open.push(entry.path());
            }
            found.push((entry.path(), about.len()));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_fork_bomb_ends_at_the_limit_of_processes() {
    let world = World::started().await;
    world.register("6.6.6", HOSTILE).await;
    let neighbour = Neighbour::of(&world).await;
    let game = limited(&world, "bomb", "6.6.6", json!({ "pids": "40", "cpu": "500m" })).await;
    tell(&world, &game, json!({ "forkBomb": true })).await;
    assert_eq!(report(&world, &game, "bomb.json").await["outcome"], "EAGAIN");
    let count = docker(&["stats", "--no-stream", "--format", "{{.PIDs}}", &crate::world::container(&game)]);
    let processes: u32 = count.stdout.trim().parse().unwrap();
    assert!((30..=40).contains(&processes), "{processes}");
    neighbour.is_unharmed(&world).await;
    // It has no process left to answer with: that is seen, and the engine is replaced.
    world.until(&game, "unreachable", |status| status.phase == "engine_unreachable").await;
    world.until(&game, "healed", |status| status.phase == "running" && status.restarts > 0).await;
    assert_eq!(world.inits(&game), 1);
    neighbour.is_unharmed(&world).await;
}

#[tokio::test]
async fn an_engine_that_fills_memory_is_killed_alone_and_it_is_said_why() {
    let world = World::started().await;
    world.register("6.6.6", HOSTILE).await;
    let neighbour = Neighbour::of(&world).await;
    let game = limited(&world, "hog", "6.6.6", json!({ "memory": "64Mi" })).await;
    tell(&world, &game, json!({ "allocateMb": 2_000 })).await;
    let status =
        world.until(&game, "healed", |status| status.phase == "running" && status.restarts > 0).await;
    assert_eq!((status.restarts, status.last_exit_code), (1, Some(137)), "{status:?}");
    let of_game = format!("game_id = '{game}'");
    assert_eq!(world.count(&format!("SELECT last_exit_oom FROM runtime_records WHERE {of_game}")).await, 1);
    let told = format!(
        "SELECT count(*) FROM operation_log WHERE {of_game} AND error_message LIKE '%out of memory%'"
    );
    let described = world.ok(&["describe", "game/hog"]);
    assert!(described.contains("out of memory") || world.count(&told).await > 0, "{described}");
    assert_eq!(world.inits(&game), 1);
    neighbour.is_unharmed(&world).await;
}

#[tokio::test]
async fn a_flood_of_logs_is_bounded_on_disk() {
    let mut world = World::new().with(&["--engine-log-max-size", "6Mi", "--engine-log-max-files", "2"]);
    world.start();
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    world.register("6.6.6", HOSTILE).await;
    let neighbour = Neighbour::of(&world).await;
    let game = limited(&world, "flood", "6.6.6", json!({})).await;
    tell(&world, &game, json!({ "logLinesPerSecond": 50_000 })).await;
    let log = PathBuf::from(inspect(&game, "{{.LogPath}}"));
    let older = PathBuf::from(format!("{}.1", log.display()));
    // Each file is full several times over, where the daemon's files are visible from here.
    let mut turned_over = std::collections::BTreeSet::new();
    let visible = log.exists();
    world
        .eventually("the log was turned over", async || {
            turned_over.extend(std::fs::metadata(&older).and_then(|about| about.modified()).ok());
            turned_over.len() >= 3 || !visible
        })
        .await;
    let files: Vec<_> = contents_beside(&log);
    let size: u64 = files.iter().map(|(_, size)| size).sum();
    assert!(files.len() <= 2 && size <= 13 << 20, "{files:?}");
    neighbour.is_unharmed(&world).await;
    let tail = world.ok(&["logs", "flood", "--tail", "5"]);
    assert!(tail.lines().count() <= 5, "{tail}");
    let status = world.status(&game).await;
    assert_eq!((status.phase.as_str(), status.restarts), ("running", 0), "{status:?}");
}

/// A log's files, with their sizes.
fn contents_beside(log: &std::path::Path) -> Vec<(PathBuf, u64)> {
    let name = log.file_name().unwrap().to_string_lossy().into_owned();
    let Ok(entries) = std::fs::read_dir(log.parent().unwrap()) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&name))
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len())))
        .collect()
}
