//! What goes with a game, and what goes because there is enough of it.

use std::time::Duration;

use super::*;
use crate::game::backup::Keep;

/// A game with two copies, and a state that was moved aside for each of these.
fn kept(world: &World, restores: &[&str]) {
    fs::write(world.state().join("turn"), "1").expect("a file");
    for id in ["b-1", "b-2"] {
        world.copy(id).expect("a copy");
    }
    for restore in restores {
        world.put_back("b-1", restore).expect("a copy in its place");
    }
}

/// How long ago it was moved aside.
fn aged(world: &World, restore: &str, seconds: u64) {
    let note = fs::File::open(world.own("failed").join(restore).join("put-back.json")).expect("a note");
    let then = std::time::SystemTime::now() - Duration::from_secs(seconds);
    note.set_modified(then).expect("a time");
}

#[test]
fn everything_kept_of_a_game_goes_at_once_and_nothing_of_another() {
    let world = World::in_memory();
    assert!(!world.root.has_copies(game()).expect("a look"));
    take_copies_away(&world.root).expect("nothing to remove");
    kept(&world, &["r-1"]);
    fs::create_dir_all(world.own("restoring").join(".making-r-2/state")).expect("half a copy");
    let other = world.own(BACKUPS).with_file_name("00000000-0000-0000-0000-000000000009");
    fs::create_dir(&other).expect("another game's");
    fs::write(other.join("copy"), "its own").expect("a file");
    assert!(world.root.has_copies(game()).expect("a look"));
    let before = tree(&world.state());
    take_copies_away(&world.root).expect("removed");
    assert!(!world.root.has_copies(game()).expect("a look"));
    for kind in [BACKUPS, "restoring", "failed"] {
        assert!(!world.own(kind).exists(), "{kind}");
    }
    assert_eq!(tree(&world.state()), before, "the state is another matter");
    assert_eq!(fs::read(other.join("copy")).expect("a file"), b"its own");
}

#[test]
fn a_removal_of_all_copies_that_is_interrupted_anywhere_lists_whole_ones_and_ends() {
    let mut deaths = 0;
    for changes in 0.. {
        let world = World::in_memory();
        kept(&world, &["r-1"]);
        let before = tree(&world.kept("b-1"));
        let (_, died) = effects::interruption::death_after(changes, || take_copies_away(&world.root));
        for id in world.ids() {
            assert_eq!(tree(&world.kept(&id)), before, "{id}");
        }
        let left = [BACKUPS, "restoring", "failed"].iter().any(|kind| world.own(kind).exists());
        assert_eq!(world.root.has_copies(game()).expect("a look"), left, "what is left is found");
        take_copies_away(&world.root).expect("removed");
        assert!(!world.root.has_copies(game()).expect("a look"));
        if !died {
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 15, "{deaths} deaths");
}

#[test]
fn of_what_was_moved_aside_the_newest_stays_and_what_is_spared_and_what_is_not_aside_yet() {
    let world = World::in_memory();
    kept(&world, &["r-1", "r-2", "r-3", "r-4"]);
    for (restore, seconds) in [("r-1", 400), ("r-2", 300), ("r-3", 200), ("r-4", 100)] {
        aged(&world, restore, seconds);
    }
    fs::create_dir(world.own("failed").join("r-5")).expect("one that has just begun");
    let aside = || -> Vec<String> {
        let entries = fs::read_dir(world.own("failed")).expect("a listing");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    };
    let prune = |count: usize, age: Option<u64>, spared: Option<&str>| -> Vec<String> {
        let keep = Keep { count, age: age.map(Duration::from_secs) };
        let may_go: Arc<dyn MayGo> = Named::sparing(spared.as_slice());
        let gone = world.root.prune_aside(game(), keep, &may_go, jiff::Timestamp::now(), &Watch::nobody());
        gone.expect("pruned").iter().map(ToString::to_string).collect()
    };
    assert!(prune(4, None, None).is_empty());
    assert_eq!(prune(2, None, Some("r-1")), ["r-2"]);
    assert_eq!(aside(), ["r-1", "r-3", "r-4", "r-5"]);
    assert_eq!(prune(9, Some(150), None), ["r-1", "r-3"]);
    assert!(prune(0, Some(1), None).is_empty(), "the newest stays whatever its age");
    assert_eq!(aside(), ["r-4", "r-5"]);
}
