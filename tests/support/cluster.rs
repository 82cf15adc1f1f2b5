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
