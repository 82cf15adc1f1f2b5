//! Hands that swap directories for links, in the middle of the work.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags};

use super::*;

/// More than a race needs to be lost once: each round is lost at another moment.
const ROUNDS: usize = 4_000;

/// Something outside the state root that must stay as it is.
struct Canary {
    directory: PathBuf,
    before: Vec<(u32, u32, u32, i64)>,
}

impl Canary {
    fn new(world: &World) -> Self {
        let directory = world.directory.path().join("outside");
        fs::create_dir_all(directory.join("deep")).expect("directories");
        fs::write(directory.join("precious"), "x").expect("a file");
        fs::write(directory.join("deep/precious"), "y").expect("a file");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o751)).expect("a mode");
        let before = Self::facts(&directory);
        Self { directory, before }
    }

    fn facts(directory: &Path) -> Vec<(u32, u32, u32, i64)> {
        ["", "precious", "deep", "deep/precious"]
            .map(|name| {
                let found = fs::symlink_metadata(directory.join(name)).expect("it is there");
                (found.uid(), found.gid(), found.mode(), found.mtime_nsec())
            })
            .into()
    }

    #[track_caller]
    fn is_unharmed(&self) {
        assert_eq!(Self::facts(&self.directory), self.before);
        assert_eq!(fs::read_to_string(self.directory.join("precious")).expect("the file"), "x");
        assert_eq!(fs::read_to_string(self.directory.join("deep/precious")).expect("the file"), "y");
        assert_eq!(fs::read_dir(&self.directory).expect("a listing").count(), 2, "nothing came in");
    }
}

/// Swaps two names for as long as the work goes on. Tells how often it did.
fn while_swapping<T>(one: &Path, other: &Path, work: impl FnOnce() -> T) -> (T, u64) {
    let (stop, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    let done = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                if rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok() {
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        // A thread may take longer to begin than the work to end.
        let begun = Instant::now();
        while swaps.load(Ordering::Relaxed) == 0 && begun.elapsed() < Duration::from_secs(10) {
            thread::yield_now();
        }
        // Whatever becomes of the work, the scope has to end.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        done
    });
    (done.expect("the work"), swaps.into_inner())
}

/// In memory, where that can be: thousands of rounds would wait for a disk each.
fn world() -> World {
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let directory = directory.expect("a temporary directory");
    let root = StateRoot::new(directory.path().join("srv/state"), None);
    World { directory, root }
}

#[test]
fn a_directory_that_is_swapped_for_a_link_is_never_followed() {
    let world = world();
    let canary = Canary::new(&world);
    world.root.create(game(), RunAs::Auto, &Watch::nobody()).expect("a directory");
    let link = world.root().join("link");
    symlink(&canary.directory, &link).expect("a link");
    let (mut done, mut refused) = (0, 0);
    let mut count = |result: Result<(), CopyError>| match result {
        Ok(()) => done += 1,
        Err(_) => refused += 1,
    };
    let ((), swaps) = while_swapping(&world.game(), &link, || {
        for round in 0..ROUNDS {
            let run_as = if round % 2 == 0 { RunAs::Image } else { RunAs::User { uid: 4_711, gid: 4_711 } };
            count(world.root.look(game()).map(drop).map_err(CopyError::from));
            // Giving a directory to somebody takes root; without it that alone is refused.
            count(world.root.create(game(), run_as, &Watch::nobody()));
        }
    });
    canary.is_unharmed();
    assert!(swaps > 0 && done > 0 && refused > 0, "no race: {swaps} swaps, {done} done, {refused} refused");
}

#[test]
fn a_directory_that_is_swapped_for_a_link_while_it_is_removed_is_never_followed() {
    let world = world();
    let canary = Canary::new(&world);
    world.root.prepare().expect("a root");
    let link = world.root().join("link");
    let mut lost = 0;
    for _ in 0..ROUNDS / 4 {
        let _ = fs::remove_file(&link);
        symlink(&canary.directory, &link).expect("a link");
        world.root.create(game(), RunAs::Auto, &Watch::nobody()).expect("a directory");
        fs::create_dir_all(world.game().join("a/b")).expect("directories");
        let (removed, _) = while_swapping(&world.game(), &link, || take_away(&world.root));
        lost += usize::from(removed.is_err());
        // Whichever name each has now.
        for name in [world.game(), link.clone()] {
            if name.symlink_metadata().is_ok_and(|found| found.is_dir()) {
                fs::remove_dir_all(&name).expect("a removal");
            } else {
                let _ = fs::remove_file(&name);
            }
        }
    }
    canary.is_unharmed();
    assert!(lost > 0, "no race");
}

#[test]
fn what_is_swapped_for_a_link_inside_while_it_is_removed_is_never_followed() {
    let world = world();
    let canary = Canary::new(&world);
    let (mut swaps, mut lost) = (0, 0);
    for _ in 0..ROUNDS / 4 {
        world.root.create(game(), RunAs::Auto, &Watch::nobody()).expect("a directory");
        // By a handle, as whoever had it open before it was moved away.
        let held = fs::File::open(world.game()).expect("the directory");
        let inside = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held)));
        let (directory, link) = (inside.join("x"), inside.join("y"));
        fs::create_dir_all(directory.join("a/b")).expect("directories");
        fs::write(directory.join("a/precious"), "not this one").expect("a file");
        symlink(&canary.directory, &link).expect("a link");
        let (removed, swapped) = while_swapping(&directory, &link, || take_away(&world.root));
        swaps += swapped;
        lost += usize::from(removed.is_err());
        take_away(&world.root).expect("nobody is in the way any more");
    }
    canary.is_unharmed();
    assert!(swaps > 0, "no race: {swaps} swaps, {lost} removals refused");
    eprintln!("{swaps} swaps, {lost} removals refused");
}

#[test]
fn a_link_in_the_place_of_something_deep_is_removed_as_a_link() {
    let world = world();
    let canary = Canary::new(&world);
    world.root.create(game(), RunAs::Auto, &Watch::nobody()).expect("a directory");
    let deep = world.game().join("a/b/c");
    fs::create_dir_all(&deep).expect("directories");
    for (name, target) in
        [("up", "../../../.."), ("root", "/"), ("self", "."), ("loop", "loop"), ("none", "/nowhere")]
    {
        symlink(target, deep.join(name)).expect("a link");
    }
    symlink(&canary.directory, deep.join("out")).expect("a link");
    fs::hard_link(canary.directory.join("precious"), deep.join("hard")).expect("a hard link");
    take_away(&world.root).expect("a removal");
    assert!(!world.game().exists());
    canary.is_unharmed();
}

proptest::proptest! {
    #[test]
    fn no_text_that_is_an_id_leads_out_of_the_root(
        text in "[0-9a-fA-F]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[./\\\\~a-f0-9-]{0,40}|\\PC{0,40}"
    ) {
        if let Ok(id) = text.parse::<GameId>() {
            let path = PathBuf::from("/root").join(id.to_string());
            let parts: Vec<_> = path.components().collect();
            proptest::prop_assert_eq!(parts.len(), 3);
            proptest::prop_assert!(text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'));
        }
    }
}
