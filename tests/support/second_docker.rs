//! A Docker daemon of a test's own, which may be killed, stopped and filled up. Needs root.
//!
//! Made by `docker.sh second`, which also says how it is separated from the first one. It and all
//! that it has are gone at drop.

#![allow(dead_code)]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// How long a daemon may take to end.
const DEADLINE: Duration = Duration::from_secs(60);

/// The daemon.
pub struct SecondDocker {
    name: String,
    arguments: Vec<String>,
}

impl SecondDocker {
    /// One that runs, started with these arguments.
    pub fn running(arguments: &[&str]) -> Self {
        Self::on(arguments, |_| {})
    }

    /// The same, after its data root was prepared.
    pub fn on(arguments: &[&str], prepare: impl FnOnce(&str)) -> Self {
        assert!(rustix::process::geteuid().is_root(), "a second dockerd needs root; run this test as root");
        let name = format!("f{}", &Uuid::new_v4().simple().to_string()[..7]);
        let second = Self { name, arguments: arguments.iter().map(|a| (*a).to_owned()).collect() };
        std::fs::create_dir_all(second.data()).expect("a data root");
        prepare(&second.data());
        second.start();
        second
    }

    /// Its data root.
    pub fn data(&self) -> String {
        format!("/var/lib/gamekeeper-second/{}", self.name)
    }

    /// Where its socket is.
    pub fn socket(&self) -> PathBuf {
        format!("/run/gamekeeper-second/{}/docker.sock", self.name).into()
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Starts it (again).
    pub fn start(&self) {
        self.start_with(&[]);
    }

    /// Starts it again with a directory of running things that is new, as after somebody cleaned up there:
    /// nobody tells it of the processes that its former life started, and they cannot tell it themselves.
    pub fn start_forgetful(&self) {
        self.start_with(&["--exec-root", &format!("/run/gamekeeper-second/{}/exec-anew", self.name)]);
    }

    fn start_with(&self, further: &[&str]) {
        let mut script = script();
        script.args(["second", &self.name]).args(&self.arguments).args(further);
        let ran = script.stdout(Stdio::null()).status();
        assert!(ran.expect("docker.sh").success(), "the second dockerd did not come up");
    }

    /// Kills the daemon, and nothing else.
    pub fn kill(&self) {
        self.signal("KILL");
    }

    /// Asks the daemon to end, and waits for that.
    pub fn stop(&self) {
        self.signal("TERM");
    }

    /// The process that it is.
    pub fn pid(&self) -> String {
        let file = format!("/run/gamekeeper-second/{}/dockerd.pid", self.name);
        std::fs::read_to_string(file).expect("a dockerd that runs").trim().to_owned()
    }

    fn signal(&self, signal: &str) {
        let pid = self.pid();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.expect("kill").success());
        let began = Instant::now();
        // A dead process that nobody has reaped yet has no command line.
        while std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()) {
            assert!(began.elapsed() < DEADLINE, "the second dockerd does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Docker's own client, which must succeed; gives what it printed.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = Command::new("docker").args(["-H", &self.host()]).args(arguments).output();
        let output = output.expect("Docker's client");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Gives it an image that the first one has.
    pub fn give(&self, image: &str) {
        let mut save = Command::new("docker");
        let mut save = save.args(["save", image]).stdout(Stdio::piped()).spawn().expect("docker save");
        let mut load = Command::new("docker");
        let load = load.args(["-H", &self.host(), "load", "-q"]).stdin(save.stdout.take().expect("a pipe"));
        assert!(load.stdout(Stdio::null()).status().expect("docker load").success());
        assert!(save.wait().expect("docker save").success());
    }
}

impl Drop for SecondDocker {
    fn drop(&mut self) {
        let _ = script().args(["second-stop", &self.name]).status();
    }
}

fn script() -> Command {
    let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/docker.sh"));
    script.stdin(Stdio::null());
    script
}
