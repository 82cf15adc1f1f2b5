//! What the benchmarks share: a controller of their own, and Docker's API beside it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use bollard::Docker;

pub const IMAGE: &str = "gamekeeper/reference-engine:1.4.2";

/// A controller in a directory of its own; everything it made goes when it is dropped.
pub struct Keeper {
    pub dir: tempfile::TempDir,
    pub network: String,
    child: Child,
}

impl Keeper {
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("gk-bench-").tempdir().expect("a directory");
        let network = format!("gk-bench-{}", std::process::id());
        let log = std::fs::File::create(dir.path().join("log")).expect("a log");
        let mut child = Command::new(env!("CARGO_BIN_EXE_gamekeeper"))
            .args(["run", "--listen", "127.0.0.1:0", "--network", &network, "--data-dir"])
            .arg(dir.path().join("data"))
            .arg("--state-root")
            .arg(dir.path().join("games"))
            .args(std::env::var("GAMEKEEPER_BENCH_ARGS").unwrap_or_default().split_whitespace())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("gamekeeper starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("its line");
        assert!(line.contains("ready"), "{line}");
        Self { dir, network, child }
    }

    /// Runs the command line, which must succeed.
    pub fn gk(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_gamekeeper"))
            .args(arguments)
            .env("GAMEKEEPER_DATA_DIR", self.dir.path().join("data"))
            .output()
            .expect("gamekeeper runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// A manifest of the version and these games.
    pub fn manifest(&self, names: &[String]) -> String {
        let mut text = format!(
            "apiVersion: gamekeeper.dev/v1\nkind: EngineVersion\nmetadata: {{ name: \"1.4.2\" }}\nspec: {{ image: \"{IMAGE}\" }}\n"
        );
        for name in names {
            let user = uuid::Uuid::new_v4();
            text.push_str(&format!(
                "---\napiVersion: gamekeeper.dev/v1\nkind: Game\nmetadata: {{ name: {name} }}\nspec:\n  desiredStatus: Running\n  engineVersion: \"1.4.2\"\n  players: [{{ userId: {user}, raceName: Terrans }}]\n"
            ));
        }
        let path = self.dir.path().join(format!("{}.yaml", names[0]));
        std::fs::write(&path, text).expect("a manifest");
        path.display().to_string()
    }

    /// The container of a game.
    pub fn container(&self, name: &str) -> String {
        let json: serde_json::Value =
            serde_json::from_str(&self.gk(&["get", &format!("game/{name}"), "-o", "json"])).expect("JSON");
        format!("gamekeeper-{}", json["metadata"]["uid"].as_str().expect("a uid"))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Nothing may panic here: this runs while a failed benchmark unwinds.
        let ours = format!(
            "docker rm -f $(docker ps -aq --filter network={0}) $(docker ps -aq --filter volume={1}); docker network rm {0}",
            self.network,
            self.dir.path().join("games").display()
        );
        let _ = Command::new("sh").args(["-c", &ours]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// What an operator types; it must succeed.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker runs");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Docker's API, straight.
pub fn api() -> Docker {
    let host = docker(&["context", "inspect", "-f", "{{.Endpoints.docker.Host}}"]);
    let host = std::env::var("DOCKER_HOST").unwrap_or(host);
    let path = PathBuf::from(host.trim_start_matches("unix://"));
    Docker::connect_with_unix(&path.display().to_string(), 120, bollard::API_DEFAULT_VERSION).expect("Docker")
}

/// Waits until something answers healthily at this address; the time when it did.
pub fn until_healthy(container: &str, address: &str, deadline: Duration) -> Instant {
    let began = Instant::now();
    let mut address = address.to_owned();
    let mut asked = Instant::now();
    loop {
        if healthy(&address) {
            return Instant::now();
        }
        assert!(began.elapsed() < deadline, "{container} did not come back at {address}");
        // A container may come back at another address.
        if asked.elapsed() > Duration::from_millis(150) {
            address = address_of(container);
            asked = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn address_of(container: &str) -> String {
    let ip =
        docker(&["inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container]);
    format!("{ip}:8080")
}

fn healthy(address: &str) -> bool {
    let Ok(address) = address.parse() else { return false };
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
    let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    asked.is_ok() && stream.read_exact(&mut answer).is_ok() && answer.starts_with(b"HTTP/1.1 2")
}

/// Median, smallest and largest.
pub fn spread(samples: &[f64]) -> (f64, f64, f64) {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = if sorted.len().is_multiple_of(2) {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    } else {
        sorted[middle]
    };
    (median, sorted[0], sorted[sorted.len() - 1])
}

/// Prints a comparison; the exit code says whether it is within its limit.
pub fn report(what: &str, ours: &[f64], bare_name: &str, bare: &[f64], limit: f64) -> ExitCode {
    let (our_median, our_least, our_most) = spread(ours);
    let (median, least, most) = spread(bare);
    let ratio = our_median / median;
    println!("{what}, in seconds: median (least … most) of {}", ours.len());
    println!("  gamekeeper   {our_median:.3} ({our_least:.3} … {our_most:.3})");
    println!("  {bare_name:<12} {median:.3} ({least:.3} … {most:.3})");
    println!("  ratio        {ratio:.2} (limit {limit:.2})");
    if ratio > limit { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
