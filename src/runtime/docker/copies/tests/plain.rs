//! File systems that know no rename which replaces nothing: NFS, 9p, CephFS.

use effects::interruption::{meddling_after, with_plain_renames};
use rustix::io::Errno;

use super::lives::{lives, next_life};
use super::*;

#[test]
fn a_file_system_that_knows_plain_renames_alone_is_worked_on_as_any_other() {
    for error in [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP] {
        let world = World::in_memory();
        furnish(&world.state());
        fs::create_dir_all(world.state().join("a/b/c/d")).expect("directories");
        let then = tree(&world.state());
        with_plain_renames(error, || {
            world.copy("b-1").expect("a copy");
            fs::write(world.state().join("turns/0002"), "a turn that went wrong").expect("a file");
            let wrong = tree(&world.state());
            world.put_back("b-1", "r-1").expect("it is put back");
            assert_eq!(tree(&world.state()), then);
            assert_eq!(tree(&world.own("failed").join("r-1").join(STATE)), wrong);
            take_away(&world.root).expect("a removal");
            take_copies_away(&world.root).expect("a removal");
        });
        assert!(!world.state().exists() && !world.root.has_copies(game()).expect("a look"));
    }
}

#[test]
fn where_renames_are_plain_nothing_that_is_there_is_replaced() {
    let world = World::in_memory();
    let (from, to) = (world.state(), world.directory.path().join("to"));
    fs::create_dir(&to).expect("a directory");
    let open = |path: &Path| OwnedFd::from(fs::File::open(path).expect("a directory"));
    let (source, target) = (open(&from), open(&to));
    let moved =
        |name: &str| with_plain_renames(Errno::INVAL, || effects::rename_new(&source, name, &target, name));
    fs::create_dir(from.join("directory")).expect("a directory");
    fs::write(from.join("file"), "ours").expect("a file");
    symlink("/nowhere", from.join("link")).expect("a link");
    for name in ["directory", "file", "link"] {
        fs::write(to.join(name), "theirs").expect("a file");
        assert_eq!(moved(name), Err(Errno::EXIST), "{name}");
        assert_eq!(fs::read_to_string(to.join(name)).expect("a file"), "theirs");
        assert!(from.join(name).symlink_metadata().is_ok(), "{name} is where it was");
        fs::remove_file(to.join(name)).expect("a removal");
        assert_eq!(moved(name), Ok(()), "{name}");
        assert!(from.join(name).symlink_metadata().is_err(), "{name} is elsewhere");
    }
    assert_eq!(fs::read_to_string(to.join("file")).expect("a file"), "ours");
    assert_eq!(fs::read_link(to.join("link")).expect("a link"), Path::new("/nowhere"));
}

/// At any moment of it, and whatever comes into the place.
#[test]
fn where_renames_are_plain_a_removal_that_is_late_leaves_the_next_lifes_state_alone() {
    let mut met = 0;
    for changes in 0.. {
        let world = World::in_memory();
        furnish(&world.state());
        let held = world.root.hold(game()).expect("a look");
        let state = world.state();
        let (removed, done) = with_plain_renames(Errno::INVAL, || {
            meddling_after(changes, move || next_life(&state), || world.root.remove(&held, &Watch::nobody()))
        });
        if !done {
            removed.expect("nobody was in the way");
            break;
        }
        assert!(lives(&world), "gone after {changes} changes: {removed:?}");
        met += 1;
    }
    assert!(met > 10, "{met} moments");
}
