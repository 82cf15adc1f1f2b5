//! A world of its own for each test: directories, a database, a network, a `gamekeeper run`.
//! Whatever it made is removed when it is dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::database::{Database, Row};

/// The longest that anything may take on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

/// The number of lines of the controller's log that a failed test prints.
const LINES_TOLD: usize = 60;

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) database: Database,
    keeper: Option<Child>,
    /// Further arguments of `gamekeeper run`: flags, each with its value.
    pub(crate) arguments: Vec<String>,
    /// Further variables of its environment.
    pub(crate) environment: Vec<(String, String)>,
    network: String,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The parts of a row of `runtime_records` that tests look at.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Status {
    pub(crate) phase: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) observed_generation: i64,
    pub(crate) container: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) failures: i64,
    pub(crate) restarts: i64,
    pub(crate) last_exit_code: Option<i64>,
    pub(crate) last_log_lines: Option<String>,
    pub(crate) next_attempt_at: Option<String>,
}

impl World {
    /// Directories and nothing else.
    pub(crate) fn new() -> Self {
        let dir = directories();
        let database = Database::new(&dir.path().join("data"));
        Self::of(dir, database)
    }

    /// The same with its rows in this database.
    pub(crate) fn on(database: Database) -> Self {
        Self::of(directories(), database)
    }

    fn of(dir: TempDir, database: Database) -> Self {
        let network = format!("gk-e2e-{}", Uuid::new_v4().simple());
        let fast = ["--probe-interval", "1s", "--failing-probe-interval", "200ms", "--relist-interval", "5s"];
        Self {
            dir,
            database,
            keeper: None,
            arguments: fast.map(str::to_owned).into(),
            environment: Vec::new(),
            network,
        }
    }

    /// A controller that runs, with the engine versions registered.
    pub(crate) async fn started() -> Self {
        let mut world = Self::new();
        world.start();
        world.register("1.4.1", "gamekeeper/reference-engine:1.4.1").await;
        world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
        world
    }

    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        for pair in arguments.chunks(2) {
            if let Some(at) = self.arguments.iter().position(|known| known == pair[0]) {
                self.arguments.drain(at..at + 2);
            }
            self.arguments.extend(pair.iter().map(|argument| (*argument).to_owned()));
        }
        self
    }

    /// Starts the controller and waits for its line.
    pub(crate) fn start(&mut self) {
        assert!(self.keeper.is_none());
        let log =
            std::fs::File::options().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        let mut keeper = self.run_command().stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        let out = keeper.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        self.keeper = Some(keeper);
        assert!(line.contains("ready"), "no ready line, but {line:?}; log:\n{}", self.log());
    }

    pub(crate) fn run_command(&self) -> Command {
        self.run_command_in(&self.data_dir(), &self.state_root())
    }

    /// Another one, with directories of its own.
    pub(crate) fn run_command_in(&self, data_dir: &Path, state_root: &Path) -> Command {
        self.run_command_by(&self.database, data_dir, state_root)
    }

    /// The same by another way to the database.
    pub(crate) fn run_command_by(&self, database: &Database, data_dir: &Path, state_root: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gamekeeper"));
        command
            .args(["run", "--listen", "127.0.0.1:0", "--network", &self.network, "--data-dir"])
            .arg(data_dir)
            .arg("--state-root")
            .arg(state_root)
            .args(database.arguments())
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("GAMEKEEPER_LOG_LEVEL", "info,gamekeeper=debug")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The process id of the controller.
    pub(crate) fn keeper_id(&self) -> u32 {
        self.keeper.as_ref().expect("a controller").id()
    }

    /// The controller is killed as by a power cut.
    pub(crate) fn kill_keeper(&mut self) {
        let mut keeper = self.keeper.take().expect("a controller");
        keeper.kill().unwrap();
        keeper.wait().unwrap();
        if self.database.is_postgres() {
            // It is known to be dead; how long its lease is waited out is what tests/postgres shows.
            let ends = async || self.sql("UPDATE leases SET expires_at = now()").await;
            let run = || {
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(ends())
            };
            std::thread::scope(|scope| scope.spawn(run).join()).unwrap();
        }
    }

    /// The controller is asked to end. Returns its exit code.
    pub(crate) fn stop_keeper(&mut self) -> Option<i32> {
        let mut keeper = self.keeper.take().expect("a controller");
        let pid = keeper.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        keeper.wait().unwrap().code()
    }

    /// The network that its engines are put on.
    pub(crate) fn network(&self) -> &str {
        &self.network
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn state_root(&self) -> PathBuf {
        self.dir.path().join("games")
    }

    /// The engine's own journal.
    pub(crate) fn journal(&self, game: &str) -> Vec<Value> {
        let path = self.state_root().join(game).join(game).join("journal.jsonl");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How often the engine accepted an initialisation, ever.
    pub(crate) fn inits(&self, game: &str) -> usize {
        self.journal(game).iter().filter(|line| line["event"] == "init-accepted").count()
    }

    /// Tells a game's engines how to misbehave, before or after they start.
    pub(crate) fn misbehave(&self, game: &str, how: &Value) {
        let directory = self.state_root().join(game);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("misbehave.json"), how.to_string()).unwrap();
    }

    /// Runs the command line.
    pub(crate) fn gk(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments))
    }

    /// The command line, not run yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gamekeeper"));
        command.args(arguments).env("GAMEKEEPER_DATA_DIR", self.data_dir()).stdin(Stdio::null());
        command
    }

    /// Runs the command line, which must succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.gk(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}\nlog:\n{}", self.log());
        ran.stdout
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// What a lobby or a person does: SQL by another process' connection.
    pub(crate) async fn sql(&self, statement: &str) {
        self.database.sql(statement).await;
    }

    pub(crate) async fn rows(&self, query: &str) -> Vec<Row> {
        self.database.rows(query).await
    }

    pub(crate) async fn count(&self, query: &str) -> i64 {
        self.database.count(query).await
    }

    /// The row asks for the game's deletion.
    pub(crate) async fn request_deletion(&self, game: &str) {
        let now = self.database.now();
        self.sql(&format!("UPDATE games SET deletion_requested_at = {now} WHERE game_id = '{game}'")).await;
    }

    pub(crate) async fn register(&self, version: &str, image: &str) {
        self.sql(&format!(
            "INSERT INTO engine_versions (version, image_ref) VALUES ('{version}', '{image}')"
        ))
        .await;
    }

    /// A row written by hand, with one player. Returns the game's id.
    pub(crate) async fn game(&self, name: &str, version: &str) -> String {
        let id = Uuid::new_v4().to_string();
        self.game_with_id(&id, name, version).await;
        id
    }

    pub(crate) async fn game_with_id(&self, id: &str, name: &str, version: &str) {
        self.sql(&format!(
            "BEGIN IMMEDIATE;
             INSERT INTO games (game_id, name, desired_status, target_engine_version)
             VALUES ('{id}', '{name}', 'running', '{version}');
             INSERT INTO memberships (game_id, user_id, race_name) VALUES ('{id}', '{}', 'Terrans');
             COMMIT",
            Uuid::new_v4()
        ))
        .await;
    }

    /// A game that runs.
    pub(crate) async fn running(&self, name: &str) -> String {
        let id = self.game(name, "1.4.2").await;
        self.until(&id, "running", |status| status.phase == "running").await;
        id
    }

    pub(crate) async fn status(&self, game: &str) -> Status {
        let query = format!(
            "SELECT status, reason, message, observed_generation, current_container_id, engine_endpoint, failures,
                    restart_count, last_exit_code, last_log_lines, next_attempt_at
               FROM runtime_records WHERE game_id = '{game}'"
        );
        let rows = self.rows(&query).await;
        let Some(row) = rows.first() else { return Status::default() };
        Status {
            phase: row.get(0),
            reason: row.get(1),
            message: row.get(2),
            observed_generation: row.get(3),
            container: row.get(4),
            endpoint: row.get(5),
            failures: row.get(6),
            restarts: row.get(7),
            last_exit_code: row.get(8),
            last_log_lines: row.get(9),
            next_attempt_at: row.get(10),
        }
    }

    /// Waits until the status is as wanted.
    pub(crate) async fn until(&self, game: &str, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let began = Instant::now();
        loop {
            let status = self.status(game).await;
            if wanted(&status) {
                return status;
            }
            assert!(began.elapsed() < DEADLINE, "not {what}: {status:?}\nlog:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it holds.
    pub(crate) async fn eventually(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !holds().await {
            assert!(began.elapsed() < DEADLINE, "not so: {what}\nlog:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How every operation of a game ended, oldest first: `start succeeded`.
    pub(crate) async fn operations(&self, game: &str) -> Vec<String> {
        let query = format!(
            "SELECT op || ' ' || status FROM operation_log WHERE game_id = '{game}' ORDER BY created_at, operation_id"
        );
        self.rows(&query).await.iter().map(|row| row.get(0)).collect()
    }
}

/// Changes columns of a game's row.
pub(crate) async fn set(world: &World, game: &str, what: &str) {
    world.sql(&format!("UPDATE games SET {what} WHERE game_id = '{game}'")).await;
}

/// Forces a turn, and waits until the game is at this one.
pub(crate) async fn force(world: &World, game: &str, turn: i64) {
    set(world, game, "force_turn_generation = force_turn_generation + 1").await;
    turn_is(world, game, turn).await;
}

/// Waits until the game is at this turn.
pub(crate) async fn turn_is(world: &World, game: &str, turn: i64) {
    let query =
        format!("SELECT coalesce(max(current_turn), -1) FROM runtime_records WHERE game_id = '{game}'");
    world.eventually(&format!("turn {turn}"), async || world.count(&query).await >= turn).await;
}

fn directories() -> TempDir {
    let dir = tempfile::Builder::new().prefix("gk-e2e-").tempdir().unwrap();
    // The engines' user has to be able to reach its directory.
    std::fs::create_dir(dir.path().join("games")).unwrap();
    dir
}

impl World {
    /// Prints the controller's last words: a test that failed by its timing is understood by nothing else.
    fn tell_the_end_of_its_log(&self) {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.len().saturating_sub(LINES_TOLD);
        eprintln!("the controller's log, its last lines of {}:\n{}", lines.len(), lines[last..].join("\n"));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell_the_end_of_its_log();
        }
        if let Some(mut keeper) = self.keeper.take() {
            let _ = keeper.kill();
            let _ = keeper.wait();
        }
        let network = format!("network={}", self.network);
        let ids = docker(&["ps", "-aq", "--filter", &network]);
        for id in ids.stdout.split_whitespace() {
            docker(&["rm", "-f", id]);
        }
        docker(&["network", "rm", &self.network]);
        // Those by which the state root is compared with what Docker mounts.
        let ours = self.dir.path().display().to_string();
        let role = "label=gamekeeper.dev/role=state-root";
        let format = "{{.ID}} {{.Mounts}}";
        let all = docker(&["ps", "-a", "--no-trunc", "--filter", role, "--format", format]).stdout;
        for (id, mounts) in all.lines().filter_map(|line| line.split_once(' ')) {
            if mounts.contains(&ours) {
                docker(&["rm", "-f", id]);
            }
        }
    }
}

/// What an operator does by hand.
pub(crate) fn docker(arguments: &[&str]) -> Ran {
    let mut command = Command::new("docker");
    command.args(arguments);
    ran(command)
}

/// The name of a game's container.
pub(crate) fn container(game: &str) -> String {
    format!("gamekeeper-{game}")
}

/// One fact of an inspect.
pub(crate) fn inspect(game: &str, format: &str) -> String {
    docker(&["inspect", "-f", format, &container(game)]).stdout.trim().to_owned()
}

pub(crate) fn exists(game: &str) -> bool {
    docker(&["inspect", &container(game)]).code == 0
}

fn ran(mut command: Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub(crate) fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/demo")
}
