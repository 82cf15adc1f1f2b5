//! The kubectl programs that tests drive.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Found, or fetched, once.
pub(crate) fn programs() -> &'static [PathBuf] {
    static FOUND: OnceLock<Vec<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubectl");
        let found = Command::new(root.join("tests/support/kubectl.sh"))
            .arg(kept)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(found.status.success(), "tests/support/kubectl.sh failed");
        String::from_utf8(found.stdout).unwrap().lines().map(PathBuf::from).collect()
    })
}
