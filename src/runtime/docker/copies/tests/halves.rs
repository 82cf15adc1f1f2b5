//! A fetched copy is put in its place as a whole, whoever else has a hand in it.

use effects::interruption::meddling_after;

use super::*;

#[test]
fn a_fetched_copy_of_which_something_is_gone_is_fetched_again() {
    let world = World::in_memory();
    furnish(&world.state());
    let then = tree(&world.state());
    world.copy("b-1").expect("a copy");
    let harms: [fn(&Path) -> std::io::Result<()>; 3] = [
        |state| fs::remove_file(state.join("turns/0001")),
        |state| fs::remove_file(state.join("link")),
        |state| fs::rename(state.join("turns"), state.join("../.removed-1")),
    ];
    for (number, harm) in harms.into_iter().enumerate() {
        let restore = format!("r-{number}");
        let fetched = restore_name(&restore);
        world.root.fetch_backup(game(), &name("b-1"), &fetched, &Watch::nobody()).expect("it is fetched");
        harm(&world.own("restoring").join(&restore).join(STATE)).expect("something is gone");
        world.put_back("b-1", &restore).expect("it is put back");
        assert_eq!(tree(&world.state()), then, "{number}");
    }
}

/// Another controller, which has not noticed yet that it leads no more, removes what was fetched.
#[test]
fn what_another_removes_at_any_moment_of_a_putting_back_is_never_put_in_place_by_halves() {
    let mut met = 0;
    for changes in 0.. {
        let world = World::in_memory();
        furnish(&world.state());
        let then = tree(&world.state());
        world.copy("b-1").expect("a copy");
        let fetched = restore_name("r-1");
        world.root.fetch_backup(game(), &name("b-1"), &fetched, &Watch::nobody()).expect("it is fetched");
        let restoring = world.own("restoring");
        let meddle = move || {
            let half = restoring.join(".removing-theirs");
            let _ = fs::rename(restoring.join("r-1"), &half);
            let _ = fs::remove_file(half.join("state/link"));
        };
        let (put_back, done) = meddling_after(changes, meddle, || world.put_back("b-1", "r-1"));
        if let Err(error) = &put_back {
            assert!(matches!(error, CopyError::Busy | CopyError::Disk(_)), "{error:?}");
        }
        world.put_back("b-1", "r-1").expect("it is put back");
        assert_eq!(tree(&world.state()), then, "after {changes} changes: {put_back:?}");
        if !done {
            break;
        }
        met += 1;
    }
    assert!(met > 10, "{met} moments");
}
