//! Work that is late: everybody has given up on it, its game has been deleted and made again, and then its
//! disk answers.

use std::sync::mpsc;
use std::time::Duration;

use super::*;

/// Another process ends the removal, and the game is made again.
pub(super) fn next_life(state: &Path) {
    let _ = fs::remove_dir_all(state);
    fs::create_dir(state).expect("a directory");
    fs::write(state.join("precious"), "the next life's").expect("a file");
}

pub(super) fn lives(world: &World) -> bool {
    fs::read_to_string(world.state().join("precious")).is_ok_and(|content| content == "the next life's")
}

#[test]
fn a_removal_that_is_late_at_any_moment_leaves_the_next_lifes_state_alone() {
    let mut met = 0;
    for changes in 0.. {
        let world = World::in_memory();
        furnish(&world.state());
        let held = world.root.hold(game()).expect("a look");
        let state = world.state();
        let (removed, done) = effects::interruption::meddling_after(
            changes,
            move || next_life(&state),
            || world.root.remove(&held, &Watch::nobody()),
        );
        if !done {
            removed.expect("nobody was in the way");
            break;
        }
        assert!(lives(&world), "gone after {changes} changes: {removed:?}");
        met += 1;
        // The rest of the former life goes with the next removal, and so does the next life itself.
        take_away(&world.root).expect("a removal");
        assert!(!world.state().exists() && !world.root.has_copies(game()).expect("a look"));
    }
    assert!(met > 10, "{met} moments");
}

/// Not even where the file system gives the new directory the old one's number.
#[test]
fn what_is_in_its_place_by_the_time_it_begins_is_refused() {
    for world in [World::new(), World::in_memory()] {
        let held = world.root.hold(game()).expect("a look");
        next_life(&world.state());
        let refused = world.root.remove(&held, &Watch::nobody());
        assert!(matches!(refused, Err(CopyError::Replaced(_))), "{refused:?}");
        assert!(lives(&world));
        // Nothing was there when it was queued.
        fs::remove_dir_all(world.state()).expect("a removal");
        let held = world.root.hold(game()).expect("a look");
        world.root.remove(&held, &Watch::nobody()).expect("nothing to remove");
        next_life(&world.state());
        assert!(matches!(world.root.remove(&held, &Watch::nobody()), Err(CopyError::Replaced(_))));
        assert!(lives(&world));
    }
}

#[test]
fn a_removal_of_copies_that_is_late_at_any_moment_leaves_the_next_lifes_copies_alone() {
    let mut met = 0;
    for changes in 0.. {
        let world = World::in_memory();
        fs::write(world.state().join("turn"), "1").expect("a file");
        for id in ["b-1", "b-2"] {
            world.copy(id).expect("a copy");
        }
        world.put_back("b-1", "r-1").expect("it is put back");
        let held = world.root.hold(game()).expect("a look");
        let own: Vec<PathBuf> =
            [BACKUPS, "restoring", "failed", "removed"].map(|kind| world.own(kind)).into();
        let meddle = move || {
            for kind in &own {
                let _ = fs::remove_dir_all(kind);
            }
            fs::create_dir_all(own[0].join("b-9/state")).expect("directories");
            fs::write(own[0].join("b-9/state/precious"), "the next life's").expect("a file");
        };
        let (removed, done) = effects::interruption::meddling_after(changes, meddle, || {
            world.root.remove_copies(&held, &Watch::nobody())
        });
        if !done {
            removed.expect("nobody was in the way");
            break;
        }
        let copy = fs::read_to_string(world.kept("b-9").join("precious"));
        assert_eq!(copy.expect("a copy"), "the next life's", "after {changes} changes: {removed:?}");
        met += 1;
    }
    assert!(met > 10, "{met} moments");
}

#[test]
fn who_hung_in_a_disk_looks_whether_anybody_still_waits_before_anything_of_the_games_moves() {
    let world = World::in_memory();
    furnish(&world.state());
    world.copy("b-1").expect("a copy");
    let fetched = restore_name("r-1");
    world.root.fetch_backup(game(), &name("b-1"), &fetched, &Watch::nobody()).expect("it is fetched");
    fs::write(world.state().join("turns/0002"), "the next life's").expect("a file");
    let before = tree(&world.state());
    let held = world.root.hold(game()).expect("a look");
    let (watch, waiting) = Watch::new();
    drop(waiting);
    let other: GameId = "00000000-0000-4000-8000-000000000001".parse().expect("an id");
    for late in [
        world.root.remove(&held, &watch),
        world.root.remove_copies(&held, &watch),
        world.root.put_back(game(), &name("b-1"), &fetched, &watch).map(drop),
        world.root.create(game(), RunAs::Image, &watch),
        world.root.create(other, RunAs::Auto, &watch),
    ] {
        assert!(matches!(late, Err(CopyError::Cancelled)), "{late:?}");
    }
    assert_eq!(tree(&world.state()), before);
    assert_eq!(world.ids(), ["b-1"]);
    assert!(!world.state().with_file_name(other.to_string()).exists());
    world.put_back("b-1", "r-1").expect("it is put back");
}

#[test]
fn while_a_removal_hangs_its_game_is_not_made_again_by_this_process() {
    let world = World::in_memory();
    furnish(&world.state());
    let held = world.root.hold(game()).expect("a look");
    let (goes_on, hangs) = mpsc::channel::<()>();
    let (began, begun) = mpsc::channel();
    std::thread::scope(|scope| {
        let root = &world.root;
        let (watch, waiting) = Watch::new();
        let removal = scope.spawn(move || {
            let hang = move || {
                began.send(()).expect("somebody waits");
                let _ = hangs.recv();
            };
            effects::interruption::meddling_after(2, hang, || root.remove(&held, &watch)).0
        });
        begun.recv().expect("it hangs");
        // Everybody gives up on it.
        drop(waiting);
        assert!(matches!(root.create(game(), RunAs::Auto, &Watch::nobody()), Err(CopyError::Busy)));
        assert!(matches!(world.copy("b-1"), Err(CopyError::Busy | CopyError::Absent(_))));
        // Another removal waits for it, for as long as anybody waits for that.
        let (watch, waiting) = Watch::new();
        let again = scope.spawn(move || root.remove(&root.hold(game())?, &watch));
        std::thread::sleep(Duration::from_millis(1_500));
        assert!(!again.is_finished());
        drop(waiting);
        assert!(matches!(again.join().expect("no panic"), Err(CopyError::Cancelled)));
        drop(goes_on);
        let late = removal.join().expect("no panic");
        assert!(matches!(late, Err(CopyError::Cancelled)), "{late:?}");
    });
    world.root.create(game(), RunAs::Auto, &Watch::nobody()).expect("the next life");
    next_life(&world.state());
    assert!(lives(&world));
}
