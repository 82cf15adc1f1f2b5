//! The real binary on loopback, and a client that sends what it is told.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub const GAME: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A mounted directory, and what the engines on it are told.
pub struct World {
    pub mount: PathBuf,
    environment: Vec<(String, String)>,
}

impl World {
    pub fn new(name: &str) -> World {
        let mount = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&mount);
        fs::create_dir_all(&mount).unwrap();
        World { mount, environment: Vec::new() }
    }

    pub fn with(mut self, name: &str, value: &str) -> World {
        self.environment.push((name.into(), value.into()));
        self
    }

    pub fn state_path(&self) -> PathBuf {
        self.mount.join(GAME)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reference-engine"));
        command
            .env_clear()
            .env("GAME_PORT", "0")
            .env("GAME_ID", GAME)
            .env("GAME_STATE_PATH", self.state_path())
            .env("GAME_ADMIN_TOKEN", "secret")
            .envs(self.environment.clone())
            .stdout(Stdio::piped());
        command
    }

    /// Starts an engine and waits until it listens.
    pub fn start(&self) -> Running {
        let mut child = self.command().spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("the engine ended before it listened").unwrap();
            if let Some(address) = line.strip_prefix("engine: listening on 0.0.0.0:") {
                break address.parse().unwrap();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Running { child, port }
    }

    /// Runs an engine that is expected to end by itself.
    pub fn ends(&self) -> i32 {
        self.command().output().unwrap().status.code().unwrap()
    }

    /// The turns of all journal lines with this event, in order.
    pub fn journal(&self, event: &str) -> Vec<u64> {
        let text = fs::read_to_string(self.state_path().join("journal.jsonl")).unwrap();
        let lines = text
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["event"] == event).map(|line| line["turn"].as_u64().unwrap()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.mount);
    }
}

/// One process.
pub struct Running {
    child: Child,
    pub port: u16,
}

impl Running {
    pub fn init(&self) -> Reply {
        let races = json!([{"raceName": "Terrans"}, {"raceName": "Zerg"}]);
        call(self.port, "POST", "init", &[], &json!({"gameId": GAME, "races": races}).to_string())
    }

    pub fn status(&self) -> Reply {
        call(self.port, "GET", "status", &[], "")
    }

    pub fn turn(&self, expected: u64) -> Reply {
        turn(self.port, expected)
    }

    pub fn misbehave(&self, knobs: &Value) -> Reply {
        call(self.port, "PUT", "misbehave", &[], &knobs.to_string())
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits until it has ended.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "still running");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came back; status 0 if nothing did.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

impl Reply {
    pub fn turn(&self) -> u64 {
        self.body["turn"].as_u64().unwrap_or_else(|| panic!("no turn in {self:?}"))
    }
}

pub fn turn(port: u16, expected: u64) -> Reply {
    call(port, "PUT", "turn", &[&format!("If-Match: \"{expected}\"")], "")
}

/// An admin call with the token.
pub fn call(port: u16, method: &str, name: &str, headers: &[&str], body: &str) -> Reply {
    let mut all = vec!["Authorization: Bearer secret"];
    all.extend(headers);
    raw(port, method, &format!("/api/v1/admin/{name}"), &all, body)
}

/// Any call.
pub fn raw(port: u16, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
    let text = exchange(port, method, path, headers, body).unwrap_or_default();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Reply { status, head: head.to_string(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
}

fn exchange(port: u16, method: &str, path: &str, headers: &[&str], body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: e\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
