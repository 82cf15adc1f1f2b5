//! A process that dies before each single change to the disk, and again in its recovery.

use super::*;

/// Small, and of everything: what is killed at each step has to be over soon.
fn furnish_little(state: &Path) {
    fs::create_dir(state.join("turns")).expect("a directory");
    fs::write(state.join("turns/0001"), "first").expect("a file");
    fs::hard_link(state.join("turns/0001"), state.join("latest")).expect("a second name");
    symlink("latest", state.join("link")).expect("a link");
}

/// What is in Gamekeeper's own places, without the copy itself.
fn leftovers(world: &World) -> Vec<String> {
    let mut names = Vec::new();
    for kind in [BACKUPS, "restoring", "failed", "removed"] {
        if let Ok(entries) = fs::read_dir(world.own(kind)) {
            names.extend(
                entries.map(|entry| format!("{kind}/{}", entry.expect("an entry").file_name().display())),
            );
        }
    }
    names.sort();
    names
}

#[test]
fn a_copy_that_is_interrupted_anywhere_is_not_listed_and_made_anew() {
    let mut deaths = 0;
    for changes in 0.. {
        let world = World::in_memory();
        furnish_little(&world.state());
        let before = tree(&world.state());
        let (copied, died) = effects::interruption::death_after(changes, || world.copy("b-1"));
        assert_eq!(tree(&world.state()), before);
        for listed in world.root.backups(game()).expect("a list") {
            // It was renamed, and then the process died.
            assert_eq!((listed.id.as_str(), tree(&world.kept("b-1"))), ("b-1", tree(&world.state())));
        }
        for again in (0..).step_by(7) {
            let (copied, died) = effects::interruption::death_after(again, || world.copy("b-1"));
            if !died {
                copied.expect("a copy");
                break;
            }
        }
        assert_eq!(tree(&world.kept("b-1")), before);
        assert_eq!(leftovers(&world), ["backups/b-1"]);
        if !died {
            copied.expect("a copy");
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 20, "{deaths} deaths");
    eprintln!("{deaths} moments to die in a copy");
}

#[test]
fn a_removal_that_is_interrupted_anywhere_is_no_copy_any_more_or_still_a_whole_one() {
    let mut deaths = 0;
    for changes in 0.. {
        let world = World::in_memory();
        furnish_little(&world.state());
        world.copy("b-1").expect("a copy");
        let (removed, died) = effects::interruption::death_after(changes, || {
            world.root.remove_backup(game(), &name("b-1"), &Watch::nobody())
        });
        if !world.ids().is_empty() {
            assert_eq!(tree(&world.kept("b-1")), tree(&world.state()));
        }
        world.root.remove_backup(game(), &name("b-1"), &Watch::nobody()).expect("a removal");
        assert_eq!(leftovers(&world), [""; 0]);
        if !died {
            removed.expect("a removal");
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 5, "{deaths} deaths");
}

/// Both states are on the disk at every moment, and the end is the same whoever died when.
#[test]
fn a_putting_back_that_is_interrupted_anywhere_and_again_ends_in_the_same_place() {
    let world = World::in_memory();
    furnish_little(&world.state());
    let then = tree(&world.state());
    world.copy("b-1").expect("a copy");
    let mut deaths = 0;
    let mut number = 0;
    for first in 0.. {
        let mut first_died = false;
        for second in 0.. {
            number += 1;
            let restore = format!("r-{number}");
            fs::write(world.state().join("turns/wrong"), &restore).expect("a file");
            let wrong = tree(&world.state());
            let (_, died) = effects::interruption::death_after(first, || world.put_back("b-1", &restore));
            first_died = died;
            nothing_is_lost(&world, &restore, &then, &wrong);
            let (_, died_again) =
                effects::interruption::death_after(second, || world.put_back("b-1", &restore));
            nothing_is_lost(&world, &restore, &then, &wrong);
            world.put_back("b-1", &restore).expect("it is put back");
            assert_eq!(tree(&world.state()), then, "{first}, {second}");
            assert_eq!(tree(&world.own("failed").join(&restore).join(STATE)), wrong);
            fs::remove_dir_all(world.own("failed")).expect("a removal");
            assert_eq!(leftovers(&world), ["backups/b-1"]);
            deaths += usize::from(died_again);
            if !died_again {
                break;
            }
        }
        if !first_died {
            break;
        }
    }
    assert!(deaths > 500, "{deaths} deaths");
    eprintln!("{deaths} second deaths");
}

fn nothing_is_lost(
    world: &World,
    restore: &str,
    then: &BTreeMap<PathBuf, Facts>,
    wrong: &BTreeMap<PathBuf, Facts>,
) {
    let is = |place: &Path, state: &BTreeMap<PathBuf, Facts>| place.is_dir() && tree(place) == *state;
    let aside = world.own("failed").join(restore).join(STATE);
    assert!(is(&world.state(), wrong) || is(&aside, wrong), "what was there is lost");
    assert!(is(&world.kept("b-1"), then), "the copy is lost");
    if world.state().exists() {
        assert!(is(&world.state(), wrong) || is(&world.state(), then), "something half is in the place");
    }
}

#[test]
fn a_state_whose_removal_is_interrupted_anywhere_is_whole_or_not_in_its_place() {
    let mut deaths = 0;
    for changes in 0.. {
        let world = World::in_memory();
        furnish_little(&world.state());
        let before = tree(&world.state());
        let (removed, died) = effects::interruption::death_after(changes, || take_away(&world.root));
        let is_there = world.state().exists();
        assert!(!is_there || tree(&world.state()) == before, "half of it is seen after {changes} changes");
        assert!(leftovers(&world).is_empty() || world.root.has_copies(game()).expect("a look"));
        // Whatever is left goes with what is kept of the game, or with the next removal.
        if changes % 2 == 0 && !is_there {
            take_copies_away(&world.root).expect("a removal");
        }
        take_away(&world.root).expect("a removal");
        assert!(!world.state().exists() && leftovers(&world).is_empty(), "{:?}", leftovers(&world));
        assert!(!world.root.has_copies(game()).expect("a look"));
        if !died {
            removed.expect("a removal");
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 8, "{deaths} deaths");
}
