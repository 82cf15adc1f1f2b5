//! A wall clock of their own for processes that a test starts, which the test sets as it likes. All other
//! clocks are the machine's.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

/// The clock of every process that was started with its [`environment`](Self::environment).
pub struct SetClock {
    dir: tempfile::TempDir,
}

impl SetClock {
    /// One that is right.
    pub fn right() -> Self {
        let clock = Self { dir: tempfile::tempdir().expect("a temporary directory") };
        clock.ahead(0);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/set_clock.c");
        // The compiler that links this program.
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(clock.library())
            .arg(source)
            .output()
            .expect("run cc");
        assert!(made.status.success(), "{made:?}");
        clock
    }

    /// Sets it: ahead of the true time by so many seconds, or behind it.
    pub fn ahead(&self, seconds: i64) {
        let file = std::fs::File::options().create(true).truncate(false).write(true).open(self.file());
        let nanoseconds = (seconds * 1_000_000_000).to_ne_bytes();
        // In its place, for it is mapped.
        file.and_then(|file| file.write_all_at(&nanoseconds, 0)).expect("the clock is set");
    }

    /// What has a process follow it.
    pub fn environment(&self) -> [(String, String); 2] {
        [("LD_PRELOAD", self.library()), ("GAMEKEEPER_TEST_CLOCK", self.file())]
            .map(|(name, path)| (name.to_owned(), path.display().to_string()))
    }

    fn library(&self) -> std::path::PathBuf {
        self.dir.path().join("set_clock.so")
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("ahead")
    }
}
