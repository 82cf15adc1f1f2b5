//! Pruning goes on beside everything else that is done about a game: it gives way, and asks at the last
//! moment whether it still may.

use effects::interruption::meddling_after;

use super::*;
use crate::game::backup::Keep;

fn prune(world: &World, id: &str, may_go: &Arc<Named>) -> Result<bool, CopyError> {
    let may_go: Arc<dyn MayGo> = may_go.clone();
    world.root.prune_backup(game(), &name(id), &may_go, &Watch::nobody())
}

/// Waits until somebody wants to work on the game, beside whoever does.
fn until_wanted(world: &World) {
    let is_wanted = || {
        let games = world.root.copying.games.lock().expect("no panic");
        games.get(&game()).is_some_and(|is_wanted| is_wanted.load(Ordering::Relaxed))
    };
    while !is_wanted() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// The files of what is half removed.
fn half_removed(world: &World) -> usize {
    let entries = fs::read_dir(world.own(BACKUPS)).expect("a listing").map(|entry| entry.expect("an entry"));
    let halves = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(REMOVING));
    halves.map(|half| tree(&half.path()).len()).sum()
}

#[test]
fn a_pruning_gives_way_to_whoever_works_on_its_game() {
    let world = World::in_memory();
    furnish(&world.state());
    world.copy("b-1").expect("a copy");
    let (goes_on, stands) = std::sync::mpsc::channel::<()>();
    let (began, begun) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let world = &world;
        let pruning = scope.spawn(move || {
            let stand = move || {
                began.send(()).expect("somebody waits");
                let _ = stands.recv();
            };
            meddling_after(4, stand, || prune(world, "b-1", &Named::sparing(&[]))).0
        });
        begun.recv().expect("it stands in the middle of it");
        assert_eq!(world.ids(), [""; 0], "it is listed no more");
        let copying = scope.spawn(|| world.copy("b-2"));
        until_wanted(world);
        drop(goes_on);
        let pruned = pruning.join().expect("no panic");
        assert!(matches!(pruned, Err(CopyError::Busy)), "{pruned:?}");
        copying.join().expect("no panic").expect("a copy");
    });
    assert_eq!((world.ids(), half_removed(&world)), (vec!["b-2".to_owned()], 0));
}

#[test]
fn what_came_to_be_named_while_its_removal_waited_stays() {
    let world = World::in_memory();
    furnish(&world.state());
    world.copy("b-1").expect("a copy");
    world.root.fetch_backup(game(), &name("b-1"), &restore_name("r-1"), &Watch::nobody()).expect("fetched");
    let may_go = Named::sparing(&[]);
    let aside = || {
        let may_go: Arc<dyn MayGo> = may_go.clone();
        let keep = Keep { count: 1, age: None };
        world.root.prune_aside(game(), keep, &may_go, jiff::Timestamp::now(), &Watch::nobody()).map(drop)
    };
    let waiting: [&(dyn Fn() -> Result<(), CopyError> + Sync); 2] =
        [&|| prune(&world, "b-1", &may_go).map(|gone| assert!(!gone)), &aside];
    for removal in waiting {
        let working = world.root.working_on(game()).expect("nobody else does");
        std::thread::scope(|scope| {
            let removal = scope.spawn(removal);
            until_wanted(&world);
            may_go.spared.lock().expect("no panic").extend(["b-1", "r-1"].map(str::to_owned));
            drop(working);
            removal.join().expect("no panic").expect("nothing is to be done");
        });
        may_go.spared.lock().expect("no panic").clear();
    }
    assert_eq!(world.ids(), ["b-1"]);
    assert!(world.own("restoring").join("r-1").exists());
}

#[test]
fn who_may_remove_nothing_any_more_stops_at_once() {
    let world = World::in_memory();
    furnish(&world.state());
    for id in ["b-1", "b-2"] {
        world.copy(id).expect("a copy");
    }
    let whole = tree(&world.own(BACKUPS).join("b-1")).len();
    // It is told in the middle of the first change.
    let may_go = Named::sparing(&[]);
    let over = may_go.clone();
    let end = move || over.is_over.store(true, Ordering::Relaxed);
    let (pruned, ended) = meddling_after(0, end, || prune(&world, "b-1", &may_go));
    assert!(ended && matches!(pruned, Err(CopyError::Cancelled)), "{pruned:?}");
    assert_eq!(half_removed(&world), whole, "nothing of it is gone");
    let late = prune(&world, "b-2", &may_go);
    assert!(matches!(late, Err(CopyError::Cancelled)), "{late:?}");
    assert_eq!(world.ids(), ["b-2"]);
}

#[test]
fn nobody_waits_is_found_out_before_a_copy_leaves_its_place() {
    let world = World::in_memory();
    furnish(&world.state());
    world.copy("b-1").expect("a copy");
    let (watch, waiting) = Watch::new();
    drop(waiting);
    assert!(matches!(world.root.remove_backup(game(), &name("b-1"), &watch), Err(CopyError::Cancelled)));
    assert_eq!(world.ids(), ["b-1"]);
}
