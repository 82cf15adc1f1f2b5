//! A throw-away PostgreSQL for a test that does to it what it may not do to its neighbours'.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Stopped and removed when dropped.
pub struct Cluster {
    dir: PathBuf,
}

impl Cluster {
    pub fn start() -> Self {
        let output = script().arg("start").output().expect("run tests/support/postgres.sh");
        assert!(
            output.status.success(),
            "no PostgreSQL for the tests; `tests/support/postgres.sh ensure` installs one: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let dir = String::from_utf8(output.stdout).expect("a directory's name");
        Self { dir: dir.trim_end().into() }
    }

    /// What is its own: `socket`, and `pooler` if there is one.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Kills PgBouncer as by a power cut.
    pub fn kill_pooler(&self) {
        let pid = std::fs::read_to_string(self.dir.join("pooler/pid")).expect("a pooler");
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).status().expect("run kill");
        assert!(killed.success(), "the pooler is not there");
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("socket")
    }

    /// The database `postgres` for this role.
    pub fn url_of(&self, role: &str) -> String {
        format!("postgres:///postgres?host={}&user={role}", self.socket().display())
    }

    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Restarts it as `pg_ctl -m immediate` does: no connection is asked.
    pub fn restart(&self) {
        let done = script().arg("restart").arg(&self.dir).status().expect("run tests/support/postgres.sh");
        assert!(done.success(), "the server does not come back");
    }

    /// Restarts it so that `pg_stat_statements` can be made.
    pub fn counts_statements(&self) {
        let done = self.psql(&["-c", "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'"]);
        assert!(done.status.success(), "{done:?}");
        self.restart();
    }

    /// Restarts it with TLS on a port of 127.0.0.1, which it gives; there it takes nobody without.
    pub fn speaks_tls(&self, certificate: &Path, key: &Path) -> u16 {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a port").port();
        let mut command = script();
        command.arg("tls").arg(&self.dir).arg(port.to_string()).arg(certificate).arg(key);
        assert!(command.status().expect("run tests/support/postgres.sh").success(), "no TLS");
        port
    }

    /// Puts PgBouncer before it, in place of one that was there. Gives the URL of its database `postgres`.
    pub fn pooled(&self, mode: &str, settings: &[&str]) -> String {
        let output = script().arg("pooler").arg(&self.dir).arg(mode).args(settings).output();
        let output = output.expect("run tests/support/postgres.sh");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "no PgBouncer: {told}");
        let host = String::from_utf8(output.stdout).expect("a directory's name");
        format!("postgres:///postgres?host={}&port=6432&user=postgres", host.trim_end())
    }

    /// Runs psql as the superuser.
    pub fn psql(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("psql");
        command.args(["-X", "-v", "ON_ERROR_STOP=1", "-q", "-d", &self.url()]).args(arguments);
        command.output().expect("run psql")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = script().arg("stop").arg(&self.dir).status();
    }
}

fn script() -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/postgres.sh"));
    // Where the server listens is the script's choice, not the environment's.
    for variable in ["PGPORT", "PGHOST", "PGDATA", "PGUSER", "PGOPTIONS"] {
        command.env_remove(variable);
    }
    command
}
