//! One of several controllers of the same games.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::database::Database;
use crate::world::World;

/// Killed when dropped.
pub struct Replica {
    child: Child,
    data_dir: PathBuf,
    log: PathBuf,
    /// What it printed when it was ready.
    pub line: String,
}

impl Replica {
    /// Starts it and waits for its line.
    pub fn start(world: &World, name: &str) -> Self {
        Self::start_on(world, name, &world.state_root())
    }

    /// Starts it by this way to the database, with these variables, and waits for nothing: it may come to
    /// its end again.
    pub fn spawned(world: &World, name: &str, database: &Database, environment: &[(String, String)]) -> Self {
        let data_dir = world.dir.path().join(name);
        let log = world.dir.path().join(format!("{name}.log"));
        let file = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let mut command = world.run_command_by(database, &data_dir, &world.state_root());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let child = command.stdout(Stdio::null()).stderr(file).spawn().unwrap();
        Self { child, data_dir, log, line: String::new() }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The same with another state root.
    pub fn start_on(world: &World, name: &str, state_root: &Path) -> Self {
        let data_dir = world.dir.path().join(name);
        let log = world.dir.path().join(format!("{name}.log"));
        let file = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let mut command = world.run_command_in(&data_dir, state_root);
        let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let replica = Self { child, data_dir, log, line };
        assert!(replica.line.contains("ready"), "{:?}; log:\n{}", replica.line, replica.log());
        replica
    }

    pub fn stands_by(&self) -> bool {
        self.line.contains("stands by")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How its clients find it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir.join("kubeconfig")
    }

    /// Its process, as `holder` in the lease names it.
    pub fn is_holder(&self, holder: &str) -> bool {
        holder.ends_with(&format!(":{}", self.child.id()))
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Asks it to end. Gives its exit code.
    pub fn end(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.child.wait().unwrap().code()
    }

    /// The command line, speaking to this one.
    pub fn gk(&self, arguments: &[&str]) -> std::process::Output {
        self.gk_by(arguments, &[])
    }

    /// The same with these variables.
    pub fn gk_by(&self, arguments: &[&str], environment: &[(String, String)]) -> std::process::Output {
        Command::new(env!("CARGO_BIN_EXE_gamekeeper"))
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("GAMEKEEPER_DATA_DIR", &self.data_dir)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// The command line, which must succeed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.gk(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}\nlog:\n{}", self.log());
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
