//! A crowd of games for the real loop and the real store: their containers are said to run, and all
//! of them lead to one engine in this process that does a turn at once. For scale, where Docker
//! itself would be what is measured.

#![allow(dead_code)]

#[path = "crowd/fates.rs"]
mod fates;

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use gamekeeper::controller::{self, Leading, Limits, Metrics, Parts};
use gamekeeper::engine::{Deadlines, EngineClient};
use gamekeeper::game::backup::Keep;
use gamekeeper::game::container::{
    Container, ContainerState, EngineToken, HostProcess, ImageSelector, Owner, Rival, StateDirectory,
};
use gamekeeper::game::controller::{ControllerStatus, MountView};
use gamekeeper::game::record::{Contents, Endpoints};
use gamekeeper::game::spec::RunAs;
use gamekeeper::game::{
    Backup, BackupId, ContainerId, GameId, ImageId, ImageRef, NetworkId, NewBackup, RestoreId,
};
use gamekeeper::reconcile::Policy;
use gamekeeper::runtime::{
    CopyProgress, Listed, LogOptions, MayGo, NewContainer, PullProgress, Runtime, RuntimeError, RuntimeEvent,
    RuntimeIdentity, StateRootLook,
};
use gamekeeper::store::Store;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::sqlx::{self, ConnectOptions, Connection, Row};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use fates::Fates;

/// Games that run.
pub struct Crowd {
    pub games: Vec<GameId>,
    pub store: Store,
    /// The fates of containers and states.
    pub fates: Arc<Fates>,
    engine: Arc<Engine>,
    directory: tempfile::TempDir,
    shutdown: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

/// The one engine of all games.
#[derive(Default)]
struct Engine {
    turns: HashMap<String, AtomicI64>,
    /// When each turn was asked for.
    asked: Mutex<Vec<Timestamp>>,
    doubled: AtomicUsize,
}

/// The longest that anything may take of what has no limit of its own: hundreds of games at once, in a debug
/// build, beside other tests.
const PATIENCE: Duration = Duration::from_secs(120);

impl Crowd {
    /// So many games, all of them running.
    pub async fn running(count: u128, limits: Limits) -> Self {
        Self::on(Arc::default(), count, limits, Duration::from_secs(30)).await
    }

    /// The same on a Docker that can be told to be slow, compared with what is known so often.
    pub async fn on(docker: Arc<Docker>, count: u128, limits: Limits, relist_every: Duration) -> Self {
        let games: Vec<GameId> = (1..=count).map(|n| GameId(Uuid::from_u128(n))).collect();
        let engine = Arc::new(Engine {
            turns: games.iter().map(|game| (game.to_string(), AtomicI64::new(0))).collect(),
            ..Engine::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = listener.local_addr().expect("an address").to_string();
        tokio::spawn(serve(listener, engine.clone()));

        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&url(&directory).parse().expect("a place")).await.expect("a database");
        let instance = store.instance().await.expect("an instance");
        let fates = Arc::new(Fates::default());
        let runtime = Containers {
            fates: fates.clone(),
            endpoint,
            games: games.clone(),
            sentinel: instance.id.to_string(),
            high_water: AtomicI64::new(0),
            docker,
        };
        let lease = store.take_lead("crowd").await.expect("the lead");
        let (recorder, _) = store.recorder(lease);
        let (_asker, questions) = controller::questions();
        let parts = Parts {
            store: store.clone(),
            recorder,
            epoch: lease.epoch,
            leading: Leading::for_ever(),
            runtime: Arc::new(runtime),
            engines: EngineClient::new(Deadlines::default()),
            policy: Policy::default(),
            limits,
            keep: Keep { count: 5, age: None },
            relist_every,
            metrics: Metrics::new(&mut Registry::default()),
        };
        let shutdown = CancellationToken::new();
        let health = tokio::sync::watch::Sender::new(ControllerStatus::default());
        let running = tokio::spawn({
            let shutdown = shutdown.clone();
            async move {
                let _asker = _asker;
                controller::run(parts, questions, health, shutdown).await.expect("a controller");
            }
        });
        let crowd = Self { games, store, fates, engine, directory, shutdown, running };
        crowd.declare().await;
        crowd.until("all run", "SELECT count(*) FROM runtime_records WHERE status = 'running'").await;
        crowd
    }

    async fn declare(&self) {
        // In few statements: what is measured is not how many can be prepared at a time.
        let count = self.games.len();
        let id = "printf('00000000-0000-0000-0000-%012x', n)";
        self.sql(&format!(
            "BEGIN IMMEDIATE;
             INSERT INTO engine_versions (version, image_ref) VALUES ('1.4.2', 'engine:1.4.2');
             WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
             INSERT INTO games (game_id, desired_status, target_engine_version)
             SELECT {id}, 'running', '1.4.2' FROM numbers;
             INSERT INTO memberships (game_id, user_id, race_name) SELECT game_id, game_id, 'Terrans' FROM games;
             COMMIT"
        ))
        .await;
    }

    /// Gives all of them a turn in the same second, some seconds ahead, and waits until they know.
    pub async fn due_in(&self, seconds: i64) -> Timestamp {
        let slot = Timestamp::from_second(Timestamp::now().as_second() + seconds).expect("a time");
        let cron = slot.strftime("%S %M %H * * *").to_string();
        self.sql(&format!("UPDATE games SET turn_schedule = '{cron}'")).await;
        self.until("all know", "SELECT count(*) FROM runtime_records WHERE next_turn_at IS NOT NULL").await;
        assert!(Timestamp::now() < slot, "it took longer than {seconds} s to know the slot");
        slot
    }

    /// Waits until every game's turn is done, and gives how long after the slot each was asked for,
    /// ascending, in seconds.
    pub async fn until_done(&self, slot: Timestamp) -> Vec<f64> {
        self.until("all done", "SELECT count(*) FROM turns WHERE state = 'done'").await;
        assert_eq!(self.engine.doubled.load(Ordering::SeqCst), 0, "a number asked for twice");
        let asked = self.engine.asked.lock().expect("nobody panicked").clone();
        assert_eq!(asked.len(), self.games.len());
        let mut lags: Vec<f64> = asked.iter().map(|at| at.duration_since(slot).as_secs_f64()).collect();
        lags.sort_by(f64::total_cmp);
        lags
    }

    pub async fn until(&self, what: &str, count: &str) {
        self.until_so_many(i64::try_from(self.games.len()).expect("a few"), what, count).await;
    }

    /// Waits until this counts so many.
    pub async fn until_so_many(&self, all: i64, what: &str, count: &str) {
        let began = std::time::Instant::now();
        loop {
            let counted = self.count(count).await;
            if counted == all {
                return;
            }
            if began.elapsed() > PATIENCE {
                panic!("not so: {what}: {counted} of {all}; {}", self.state().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where they stand, in a line.
    async fn state(&self) -> String {
        let tables = [
            "runtime_records GROUP BY status, reason",
            "turns GROUP BY state, attempts, error_code",
            "turn_slots GROUP BY decision, reason",
        ];
        let mut state = Vec::new();
        for table in tables {
            let (_, columns) = table.split_once(" GROUP BY ").expect("columns");
            let query = format!("SELECT count(*) || ' ' || concat_ws(' ', {columns}) FROM {table}");
            let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&mut self.connection().await).await;
            let rows: Vec<String> = rows.expect("rows").iter().map(|row| row.get(0)).collect();
            state.push(format!("{table}: {}", rows.join(", ")));
        }
        state.join("; ")
    }

    async fn connection(&self) -> sqlx::SqliteConnection {
        let path = self.directory.path().join("gamekeeper.db");
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(Duration::from_secs(30))
            .disable_statement_logging();
        sqlx::SqliteConnection::connect_with(&options).await.expect("a connection")
    }

    pub async fn sql(&self, statement: &str) {
        let statement = sqlx::AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(statement).execute(&mut self.connection().await).await.expect("SQL");
    }

    pub async fn count(&self, query: &str) -> i64 {
        let query = sqlx::query(sqlx::AssertSqlSafe(query.to_owned()));
        query.fetch_one(&mut self.connection().await).await.expect("a row").get(0)
    }

    /// Ends the controller.
    pub async fn end(self) {
        self.shutdown.cancel();
        self.running.await.expect("it ended");
    }
}

fn url(directory: &tempfile::TempDir) -> String {
    format!("sqlite:{}", directory.path().join("gamekeeper.db").display())
}

async fn serve(listener: TcpListener, engine: Arc<Engine>) {
    while let Ok((stream, _)) = listener.accept().await {
        let engine = engine.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let answer = engine.answer(&request);
                async move { Ok::<_, Infallible>(answer) }
            });
            // A client that hangs up is its own business.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Engine {
    /// Whose game it is says the token: all have one address.
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !request.uri().path().starts_with("/api/v1/admin/") {
            // Its health is told to everybody.
            return answer(StatusCode::OK, "");
        }
        let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        let game = token.and_then(|token| token.strip_prefix("Bearer ")).unwrap_or_default();
        let Some(turn) = self.turns.get(game) else { return answer(StatusCode::UNAUTHORIZED, "") };
        if request.method() == Method::PUT {
            self.asked.lock().expect("nobody panicked").push(Timestamp::now());
            let wanted = request.headers().get("if-match").and_then(|value| value.to_str().ok());
            let at: i64 = wanted.and_then(|text| text.trim_matches('"').parse().ok()).unwrap_or(-1);
            if turn.compare_exchange(at, at + 1, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                self.doubled.fetch_add(1, Ordering::SeqCst);
                return answer(StatusCode::PRECONDITION_FAILED, "");
            }
        }
        let turn = turn.load(Ordering::SeqCst);
        let state = format!(
            r#"{{"gameId":"{game}","turn":{turn},"generating":false,"finished":false,"players":[{{"id":"{game}","raceName":"Terrans","planets":1,"population":1}}]}}"#
        );
        answer(StatusCode::OK, &state)
    }
}

fn answer(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *answer.status_mut() = status;
    answer
}

/// The behaviour of Docker.
pub struct Docker {
    /// It says nothing about these games' containers until the call is given up.
    pub hung: Mutex<HashSet<GameId>>,
    /// About which game's container it was asked, and when.
    pub asked: Mutex<Vec<(GameId, std::time::Instant)>>,
    /// Lists wait while this is false.
    pub lists: tokio::sync::watch::Sender<bool>,
    /// The number of lists that have begun.
    pub lists_begun: AtomicUsize,
    /// Logs of containers hang while this is true.
    pub logs_hang: tokio::sync::watch::Sender<bool>,
    /// Removals of containers hang while this is true.
    pub removals_hang: tokio::sync::watch::Sender<bool>,
    /// Questions about images come to nothing after so long.
    pub images_hang: Mutex<Option<Duration>>,
    /// The copies that every game has.
    pub backups: Mutex<Vec<Backup>>,
    /// The other one that has the state of every game, if there is one.
    pub rival: Mutex<Option<Rival>>,
    /// The number of times that it was asked for that.
    pub rivals_asked: AtomicUsize,
    events: tokio::sync::broadcast::Sender<GameId>,
}

impl Default for Docker {
    fn default() -> Self {
        Self {
            hung: Mutex::default(),
            asked: Mutex::default(),
            lists: tokio::sync::watch::Sender::new(true),
            lists_begun: AtomicUsize::new(0),
            logs_hang: tokio::sync::watch::Sender::new(false),
            removals_hang: tokio::sync::watch::Sender::new(false),
            images_hang: Mutex::default(),
            backups: Mutex::default(),
            rival: Mutex::default(),
            rivals_asked: AtomicUsize::new(0),
            events: tokio::sync::broadcast::Sender::new(4_096),
        }
    }
}

impl Docker {
    /// A call is given up after this.
    pub const DEADLINE: Duration = Duration::from_secs(3);

    /// Something happened to this game's container.
    pub fn tell(&self, game: GameId) {
        let _ = self.events.send(game);
    }

    /// The number of times that it was asked about these games.
    pub fn times_asked(&self, games: &[GameId]) -> usize {
        self.asked.lock().expect("nobody panicked").iter().filter(|(game, _)| games.contains(game)).count()
    }
}

/// Says of every game that its container runs, unless it came to another fate.
struct Containers {
    docker: Arc<Docker>,
    fates: Arc<Fates>,
    endpoint: String,
    games: Vec<GameId>,
    sentinel: String,
    high_water: AtomicI64,
}

impl Containers {
    fn container(&self, game: GameId, state: ContainerState) -> Container {
        Container {
            id: ContainerId::new(game.to_string()),
            owner: Owner::Game(game),
            state,
            image_id: ImageId::new("sha256:1"),
            network_id: Some(NetworkId::new("net")),
            endpoints: Endpoints { address: Some(self.endpoint.clone()), ..Endpoints::default() },
            reachable_at: Some(self.endpoint.clone()),
            epoch: Some(1),
            applied: None,
            token: Some(EngineToken::new(game.to_string())),
            unlike: None,
        }
    }
}

fn untouched<T>(what: &str) -> Result<T, RuntimeError> {
    Err(RuntimeError::Failed(format!("{what}: nothing is to be touched here")))
}

#[async_trait]
impl Runtime for Containers {
    async fn identity(&self) -> Result<RuntimeIdentity, RuntimeError> {
        Ok(RuntimeIdentity { id: "crowd".into(), version: "1".into() })
    }

    async fn list(&self) -> Result<Vec<Listed>, RuntimeError> {
        self.docker.lists_begun.fetch_add(1, Ordering::SeqCst);
        let _ = self.docker.lists.subscribe().wait_for(|open| *open).await;
        let host = self.endpoint.rsplit_once(':').map(|(host, _)| host.to_owned());
        let listed = |game: &GameId| {
            Some(Listed {
                id: ContainerId::new(game.to_string()),
                game: *game,
                state: if self.fates.is_running(*game)? { "running" } else { "exited" }.into(),
                address: host.clone(),
                name: game.to_string(),
                engine_version: "1.4.2".into(),
            })
        };
        Ok(self.games.iter().filter_map(listed).collect())
    }

    async fn inspect(&self, game: GameId) -> Result<Option<Container>, RuntimeError> {
        self.docker.asked.lock().expect("nobody panicked").push((game, std::time::Instant::now()));
        if self.docker.hung.lock().expect("nobody panicked").contains(&game) {
            tokio::time::sleep(Docker::DEADLINE).await;
            return Err(RuntimeError::TimedOut { call: "inspect", after: Docker::DEADLINE });
        }
        Ok(self.fates.state(game).map(|state| self.container(game, state)))
    }

    async fn create(&self, _: &NewContainer) -> Result<ContainerId, RuntimeError> {
        untouched("create")
    }

    async fn start(&self, game: GameId, _: &ContainerId) -> Result<(), RuntimeError> {
        self.fates.starts(game);
        Ok(())
    }

    async fn stop(&self, game: GameId, _: &ContainerId, _: Duration) -> Result<(), RuntimeError> {
        self.fates.ends(game);
        Ok(())
    }

    async fn remove(&self, game: GameId, _: &ContainerId) -> Result<(), RuntimeError> {
        let _ = self.docker.removals_hang.subscribe().wait_for(|hang| !hang).await;
        self.fates.goes(game);
        Ok(())
    }

    async fn log_tail(&self, _: &ContainerId, _: usize) -> Result<String, RuntimeError> {
        let _ = self.docker.logs_hang.subscribe().wait_for(|hang| !hang).await;
        Ok(String::new())
    }

    async fn log_stream(
        &self,
        _: &ContainerId,
        _: &LogOptions,
    ) -> Result<BoxStream<'static, Result<Bytes, RuntimeError>>, RuntimeError> {
        Ok(futures::stream::empty().boxed())
    }

    async fn image(&self, _: &ImageSelector) -> Result<Option<ImageId>, RuntimeError> {
        let hangs = *self.docker.images_hang.lock().expect("nobody panicked");
        if let Some(after) = hangs {
            tokio::time::sleep(after).await;
            return Err(RuntimeError::TimedOut { call: "inspect image", after });
        }
        Ok(Some(ImageId::new("sha256:1")))
    }

    async fn image_user(&self, _: &ImageId) -> Result<Option<String>, RuntimeError> {
        Ok(Some(String::new()))
    }

    async fn pull(
        &self,
        _: &ImageRef,
        _: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<ImageId, RuntimeError> {
        untouched("pull")
    }

    async fn network(&self) -> Result<Option<NetworkId>, RuntimeError> {
        Ok(Some(NetworkId::new("net")))
    }

    async fn create_network(&self) -> Result<NetworkId, RuntimeError> {
        untouched("create_network")
    }

    async fn state_directory(&self, game: GameId) -> Result<StateDirectory, RuntimeError> {
        let is_there = !self.fates.is_out_of_its_place(game);
        Ok(if is_there { StateDirectory::WithGame } else { StateDirectory::Absent })
    }

    async fn create_state_directory(&self, _: GameId, _: RunAs) -> Result<(), RuntimeError> {
        untouched("create_state_directory")
    }

    async fn state_directories(&self) -> Result<HashSet<GameId>, RuntimeError> {
        let is_there = |game: &GameId| !self.fates.is_out_of_its_place(*game);
        Ok(self.games.iter().copied().filter(is_there).collect())
    }

    async fn contents(&self, _: GameId) -> Result<Contents, RuntimeError> {
        Ok(Contents::new("a game"))
    }

    async fn check_can_be_proven_dead(&self, _: &ContainerId) -> Result<(), RuntimeError> {
        untouched("check_can_be_proven_dead")
    }

    async fn rival(&self, _: GameId, _: Option<&ContainerId>) -> Result<Option<Rival>, RuntimeError> {
        self.docker.rivals_asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.docker.rival.lock().expect("nobody panicked").clone())
    }

    async fn other_at_address(&self, _: &str, _: &ContainerId) -> Option<HostProcess> {
        None
    }

    async fn state_root(&self) -> Result<StateRootLook, RuntimeError> {
        Ok(StateRootLook {
            sentinel: Some(self.sentinel.clone()),
            high_water: Some(self.high_water.load(Ordering::SeqCst)),
            locked_by_another: false,
        })
    }

    async fn mount_view(&self, _: &str, _: Duration) -> MountView {
        MountView::Same
    }

    async fn bind_state_root(&self) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn keep_high_water(&self, high_water: i64) -> Result<(), RuntimeError> {
        self.high_water.store(high_water, Ordering::SeqCst);
        Ok(())
    }

    async fn back_up(
        &self,
        new: &NewBackup,
        _: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<Backup, RuntimeError> {
        let NewBackup { id, game, taken_at, reason, turn, timeline, build } = new.clone();
        let (files, bytes, left_out, digest) = (0, 0, 0, String::new());
        Ok(Backup { id, game, taken_at, reason, turn, timeline, build, files, bytes, left_out, digest })
    }

    async fn backups(&self, _: GameId) -> Result<Vec<Backup>, RuntimeError> {
        Ok(self.docker.backups.lock().expect("nobody panicked").clone())
    }

    async fn remove_backup(&self, _: GameId, _: &BackupId, _: &Arc<dyn MayGo>) -> Result<bool, RuntimeError> {
        untouched("remove backup")
    }

    async fn has_copies(&self, game: GameId) -> Result<bool, RuntimeError> {
        Ok(self.fates.is_half_removed(game))
    }

    async fn remove_copies(
        &self,
        game: GameId,
        _: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        self.fates.removes_a_state(game).await;
        Ok(())
    }

    async fn prune_aside(
        &self,
        _: GameId,
        _: Keep,
        _: &Arc<dyn MayGo>,
        _: Timestamp,
    ) -> Result<Vec<RestoreId>, RuntimeError> {
        self.fates.removes().await;
        Ok(Vec::new())
    }

    async fn check_backup(&self, _: GameId, _: &BackupId) -> Result<Backup, RuntimeError> {
        untouched("check_backup")
    }

    async fn check_room_for_patch(&self, _: GameId) -> Result<(), RuntimeError> {
        untouched("check_room_for_patch")
    }

    async fn fetch_backup(
        &self,
        _: GameId,
        _: &BackupId,
        _: &RestoreId,
        _: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<Backup, RuntimeError> {
        untouched("fetch_backup")
    }

    async fn put_back(
        &self,
        _: GameId,
        _: &BackupId,
        _: &RestoreId,
        _: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<Backup, RuntimeError> {
        untouched("put back")
    }

    async fn remove_state_directory(
        &self,
        game: GameId,
        _: &(dyn Fn(CopyProgress) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        self.fates.removes_a_state(game).await;
        Ok(())
    }

    fn state_path(&self, game: GameId) -> String {
        PathBuf::from("/games").join(game.to_string()).display().to_string()
    }

    fn network_name(&self) -> &str {
        "net"
    }

    fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        let event = |game| RuntimeEvent { game: Some(game), container: None, action: "told".into() };
        let told = futures::stream::unfold(self.docker.events.subscribe(), async |mut events| {
            Some((events.recv().await.ok()?, events))
        });
        futures::stream::select(told.map(event), self.fates.events()).boxed()
    }
}
