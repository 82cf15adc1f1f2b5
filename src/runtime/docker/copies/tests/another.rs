//! A controller that is not root: a test that runs itself once more, as a user that may not do everything.

use std::os::unix::process::CommandExt;

use super::*;

/// Set in that other process.
const AS_ANOTHER: &str = "GAMEKEEPER_TEST_STATE_ROOT";
const NOBODY: u32 = 65_534;

/// The state root of the test that is run once more; none: this is the first run.
pub(super) fn as_another() -> Option<StateRoot> {
    let path = std::env::var_os(AS_ANOTHER)?;
    Some(StateRoot::new(path.into(), Some(InstanceId(uuid::Uuid::from_u128(1)))))
}

/// Runs the test of this name again, as another user to whom everything there is given but what is `theirs`.
/// Only root can do that: elsewhere it is left out.
pub(super) fn again_as_another(test: &str, world: World, theirs: impl Fn(&Path) -> bool) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root can run {test} as another: it is LEFT OUT");
        return;
    }
    // Its lock is the other process's to take.
    let World { directory, root } = world;
    drop(root);
    for path in walk(directory.path()).into_iter().filter(|path| !theirs(path)) {
        std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).expect("an owner");
    }
    let mut again = std::process::Command::new(std::env::current_exe().expect("this test"));
    again.args(["--exact", test, "--nocapture"]).env(AS_ANOTHER, directory.path().join("state"));
    again.uid(NOBODY).gid(NOBODY);
    let ran = again.output().expect("it ran");
    let told = String::from_utf8_lossy(&ran.stdout);
    let wrong = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && told.contains("1 passed"), "{told}{wrong}");
}

/// Every path in a directory, itself included.
fn walk(top: &Path) -> Vec<PathBuf> {
    let mut found = vec![top.to_owned()];
    let mut at = 0;
    while let Some(path) = found.get(at).cloned() {
        at += 1;
        if path.is_dir() && !path.is_symlink() {
            let entries = fs::read_dir(&path).expect("a listing");
            found.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
    }
    found
}
