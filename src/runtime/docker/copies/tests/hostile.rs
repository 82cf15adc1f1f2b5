//! What an engine plants in its directory, and hands that change it while it is copied.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags};

use super::*;

const ROUNDS: usize = 200;

fn outside(world: &World) -> PathBuf {
    let directory = world.directory.path().join("outside");
    fs::create_dir_all(directory.join("deep")).expect("directories");
    fs::write(directory.join("precious"), "a secret of the host's").expect("a file");
    directory
}

/// Runs `work` while `meddle` is done again and again; says how often it was.
fn while_doing<T>(meddle: impl Fn() -> bool + Send + Sync, work: impl FnOnce() -> T) -> (T, u64) {
    let (stop, times) = (AtomicBool::new(false), AtomicU64::new(0));
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                times.fetch_add(u64::from(meddle()), Ordering::Relaxed);
            }
        });
        let begun = Instant::now();
        while times.load(Ordering::Relaxed) == 0 && begun.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        done
    });
    (done.expect("the work"), times.into_inner())
}

/// No content from outside is in any copy.
#[track_caller]
fn holds_no_secret(place: &Path) {
    for (path, facts) in tree(place) {
        assert!(!facts.content.windows(8).any(|bytes| bytes == b"a secret"), "{}", path.display());
    }
}

#[test]
fn links_are_copied_as_links_and_lead_nowhere() {
    let world = World::new();
    let outside = outside(&world);
    for (name, target) in
        [("out", outside.as_path()), ("up", Path::new("../..")), ("self", Path::new("self"))]
    {
        symlink(target, world.state().join(name)).expect("a link");
    }
    symlink(outside.join("precious"), world.state().join("file")).expect("a link");
    let before = tree(&outside);
    world.copy("b-1").expect("a copy");
    assert_eq!(tree(&world.kept("b-1")), tree(&world.state()));
    world.put_back("b-1", "r-1").expect("it is put back");
    world.root.remove_backup(game(), &name("b-1"), &Watch::nobody()).expect("a removal");
    assert_eq!(tree(&outside), before);
    holds_no_secret(&world.state());
}

#[test]
fn a_link_in_the_place_of_anything_of_ours_is_refused() {
    let world = World::new();
    let outside = outside(&world);
    furnish(&world.state());
    world.copy("b-1").expect("a copy");
    let before = tree(&outside);
    for (number, place) in [
        world.state(),
        world.own(BACKUPS),
        world.kept("b-1"),
        world.own(BACKUPS).parent().expect("a parent").to_owned(),
        world.own("failed"),
        world.own("restoring"),
    ]
    .into_iter()
    .enumerate()
    {
        let aside = place.with_extension("aside");
        let was_there = fs::rename(&place, &aside).is_ok();
        fs::create_dir_all(place.parent().expect("a parent")).expect("directories");
        symlink(&outside, &place).expect("a link");
        let copied = world.copy("b-2");
        let put_back = world.put_back("b-1", &format!("r-{number}"));
        assert!(copied.is_err() || put_back.is_err(), "{}", place.display());
        assert_eq!(tree(&outside), before, "{}", place.display());
        fs::remove_file(&place).expect("the link goes");
        if was_there {
            fs::rename(&aside, &place).expect("a rename");
        }
        let _ = world.root.remove_backup(game(), &name("b-2"), &Watch::nobody());
    }
    world.put_back("b-1", "r-last").expect("nobody is in the way any more");
}

#[test]
fn a_directory_that_is_swapped_for_a_link_while_it_is_copied_is_never_followed() {
    let Swapped { world, outside, one, other } = Swapped::new();
    let before = tree(&outside);
    let swap = || rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).is_ok();
    let (from, to) =
        (world.root.open_game(game()).expect("a look").expect("it is there"), world.own("swapped"));
    let (mut refused, mut copied) = (0, 0);
    // The copying itself, without the wait for a rest that would never come.
    let ((), swaps) = while_doing(swap, || {
        for round in 0..ROUNDS {
            let place = to.join(round.to_string());
            for inner in [STATE, SHARED] {
                fs::create_dir_all(place.join(inner)).expect("directories");
            }
            let [top, shared] = [STATE, SHARED].map(|inner| open(&place.join(inner)));
            let destination = tree::Destination { top: &top, shared: &shared, room: survey::Room::default() };
            match tree::copy(&from, &destination, &Watch::nobody()) {
                Ok(_) => copied += 1,
                Err(CopyError::Changed) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
    });
    eprintln!("{swaps} swaps, {copied} copied, {refused} refused");
    assert!(swaps > 0 && copied + refused == ROUNDS, "no race");
    assert_eq!(tree(&outside), before);
    holds_no_secret(&to);
}

#[test]
fn a_directory_that_is_swapped_for_a_link_at_any_moment_of_a_copy_is_never_followed() {
    let Swapped { world, outside, one, other } = Swapped::new();
    let before = tree(&outside);
    let mut refused = 0;
    for changes in 0.. {
        let (one, other) = (one.clone(), other.clone());
        let swap = move || {
            rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).expect("a swap");
        };
        let id = format!("b-{changes}");
        let (copied, swapped) = effects::interruption::meddling_after(changes, swap, || world.copy(&id));
        match copied {
            Ok(_) => holds_no_secret(&world.kept(&id)),
            Err(CopyError::Changed) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
        if !swapped {
            break;
        }
    }
    assert!(refused > 20, "{refused} were refused");
    assert_eq!(tree(&outside), before);
}

fn open(path: &Path) -> OwnedFd {
    fs::File::open(path).expect("it is there").into()
}

/// A directory in a state, and a link that leads out of it, which change places.
struct Swapped {
    world: World,
    outside: PathBuf,
    one: PathBuf,
    other: PathBuf,
}

impl Swapped {
    fn new() -> Self {
        let world = World::in_memory();
        let outside = outside(&world);
        let (one, other) = (world.state().join("x"), world.state().join("y"));
        fs::create_dir_all(one.join("deep")).expect("directories");
        for number in 0..20 {
            fs::write(one.join(number.to_string()), "inside").expect("a file");
        }
        fs::write(one.join("precious"), "not this one").expect("a file");
        symlink(&outside, &other).expect("a link");
        Self { world, outside, one, other }
    }
}

#[test]
fn what_is_written_while_it_is_copied_is_noticed_at_any_moment() {
    let mut refused = 0;
    for changes in 0.. {
        let world = World::in_memory();
        for number in 0..3 {
            fs::write(world.state().join(number.to_string()), "inside").expect("a file");
        }
        let before = tree(&world.state());
        let file = world.state().join("1");
        // As long as what was there, and of the same owner and mode.
        let write = move || fs::write(file, "change").expect("a file");
        let (copied, written) = effects::interruption::meddling_after(changes, write, || world.copy("b-1"));
        match copied {
            // It was written before the copy looked, or after it had looked for the last time.
            Ok(_) => {
                let kept = tree(&world.kept("b-1"));
                assert!(kept == before || kept == tree(&world.state()), "{changes}");
            }
            Err(CopyError::Changed) => {
                assert_eq!(fs::read_dir(world.own(BACKUPS)).expect("a listing").count(), 0);
                refused += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
        if !written {
            break;
        }
    }
    assert!(refused > 10, "{refused} were refused");
}

#[test]
fn sockets_and_pipes_are_left_out_and_counted_and_devices_refused() {
    let world = World::new();
    let _socket = std::os::unix::net::UnixListener::bind(world.state().join("socket")).expect("a socket");
    rustix::fs::mknodat(
        CWD,
        world.state().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a pipe");
    fs::write(world.state().join("file"), "x").expect("a file");
    let backup = world.copy("b-1").expect("a copy, without waiting for a writer");
    assert_eq!((backup.files, backup.left_out), (1, 2));
    assert_eq!(fs::read_dir(world.kept("b-1")).expect("a listing").count(), 1);
    world.put_back("b-1", "r-1").expect("it is put back");
    let aside = world.own("failed").join("r-1/state/socket");
    assert!(aside.symlink_metadata().expect("metadata").file_type().is_socket());

    if rustix::process::geteuid().is_root() {
        let null = rustix::fs::makedev(1, 3);
        let device = world.state().join("null");
        rustix::fs::mknodat(
            CWD,
            &device,
            rustix::fs::FileType::CharacterDevice,
            rustix::fs::Mode::RWXU,
            null,
        )
        .expect("a device");
        let refused = world.copy("b-2").expect_err("a device");
        assert!(refused.to_string().contains("device"), "{refused}");
        assert_eq!(fs::read_dir(world.own(BACKUPS)).expect("a listing").count(), 1);
    }
}
