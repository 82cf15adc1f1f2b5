//! What is found out before anything is touched, and that names are of one thing only.

use super::another::{again_as_another, as_another};
use super::disks::Disk;
use super::*;

pub(super) fn fetch(world: &World, id: &str, restore: &str) -> Result<Backup, CopyError> {
    world.root.fetch_backup(game(), &name(id), &restore_name(restore), &Watch::nobody())
}

fn check(world: &World, id: &str) -> Result<Backup, CopyError> {
    world.root.check_backup(game(), &name(id), &Watch::nobody())
}

#[test]
fn a_copy_that_was_fetched_is_put_back_by_moving_it_whatever_became_of_the_copy() {
    let world = World::in_memory();
    furnish(&world.state());
    let then = tree(&world.state());
    world.copy("b-1").expect("a copy");
    fs::write(world.state().join("turns/0002"), "second").expect("a file");
    let now = tree(&world.state());
    fetch(&world, "b-1", "r-1").expect("it is fetched");
    fetch(&world, "b-1", "r-1").expect("it was fetched");
    assert_eq!(tree(&world.state()), now, "nothing in it is touched");
    world.root.remove_backup(game(), &name("b-1"), &Watch::nobody()).expect("a removal");
    world.put_back("b-1", "r-1").expect("it is put back");
    assert_eq!(tree(&world.state()), then);
    assert_eq!(tree(&world.own("failed").join("r-1").join(STATE)), now);
}

#[test]
fn what_speaks_against_a_copy_is_found_before_anything_is_touched() {
    let world = World::in_memory();
    fs::write(world.state().join("turn"), "seven").expect("a file");
    let then = tree(&world.state());
    world.copy("b-1").expect("a copy");
    check(&world, "b-1").expect("it is good");
    // One byte.
    let file = world.kept("b-1").join("turn");
    let about = fs::metadata(&file).expect("metadata").modified().expect("a time");
    fs::write(&file, "sevem").expect("a file");
    fs::File::open(&file).expect("a file").set_modified(about).expect("a time");
    assert!(matches!(check(&world, "b-1"), Err(CopyError::Damaged(_))));
    assert!(matches!(fetch(&world, "b-1", "r-1"), Err(CopyError::Damaged(_))));
    assert!(matches!(check(&world, "b-2"), Err(CopyError::Absent(_))));
    assert!(matches!(fetch(&world, "b-2", "r-1"), Err(CopyError::Absent(_))));
    assert_eq!(tree(&world.state()), then);
    assert_eq!(fs::read_dir(world.own("restoring")).expect("a listing").count(), 0);
}

#[test]
fn room_is_looked_for_before_for_one_copy_and_for_two() {
    let Some(disk) = Disk::of("size=16m") else { return };
    let world = World::within(disk.path());
    let fill = |size: usize| fs::write(world.state().join("large"), vec![1; size]).expect("a file");
    fill(4 << 20);
    world.root.check_room_for_patch(game(), &Watch::nobody()).expect("there is room for two");
    fill(6 << 20);
    let Err(CopyError::NoRoom(Shortage::Bytes { needed, .. })) =
        world.root.check_room_for_patch(game(), &Watch::nobody())
    else {
        panic!("there is room for one, and not for two");
    };
    assert!(needed > 12 << 20, "{needed}");
    world.copy("b-1").expect("there is room for one");
    assert!(matches!(check(&world, "b-1"), Err(CopyError::NoRoom(Shortage::Bytes { .. }))));
    assert!(matches!(fetch(&world, "b-1", "r-1"), Err(CopyError::NoRoom(Shortage::Bytes { .. }))));
    fill(0);
    check(&world, "b-1").expect("there is room");
    fetch(&world, "b-1", "r-1").expect("there is room");
}

#[test]
fn a_file_that_cannot_be_read_is_found_before_anything_is_touched() {
    const THIS: &str = "runtime::docker::copies::tests::checks::a_file_that_cannot_be_read_is_found_before_anything_is_touched";
    if let Some(root) = as_another() {
        let Err(CopyError::Unfit(why)) = root.check_room_for_patch(game(), &Watch::nobody()) else {
            panic!("it is readable")
        };
        assert!(why.contains("secret in it is 0:0's and cannot be read (mode 600)"), "{why}");
        return;
    }
    let world = World::new();
    world.root.check_room_for_patch(game(), &Watch::nobody()).expect("nothing is in the way");
    fs::write(world.state().join("secret"), "x").expect("a file");
    fs::set_permissions(world.state().join("secret"), fs::Permissions::from_mode(0o600)).expect("a mode");
    again_as_another(THIS, world, |path| path.ends_with("secret"));
}

#[test]
fn inodes_are_looked_for_as_bytes_are_and_it_is_said_that_they_are_what_is_missing() {
    let Some(disk) = Disk::of("size=64m,nr_inodes=100") else { return };
    let world = World::within(disk.path());
    let make = |range: std::ops::Range<u32>| {
        for number in range {
            fs::write(world.state().join(format!("file-{number}")), "x").expect("a file");
        }
    };
    make(0..20);
    world.root.check_room_for_patch(game(), &Watch::nobody()).expect("there is room for two");
    world.copy("b-1").expect("there is room for one");
    make(20..30);
    let Err(CopyError::NoRoom(shortage @ Shortage::Inodes { needed, free })) =
        world.root.check_room_for_patch(game(), &Watch::nobody())
    else {
        panic!("there are inodes for one, and not for two");
    };
    assert!(needed >= 60 && free < needed, "{needed} needed, {free} free");
    let told = CopyError::NoRoom(shortage).told(|_| unreachable!()).to_string();
    assert!(told.contains(&format!("{} are missing", needed - free)) && told.contains("inodes"), "{told}");
    check(&world, "b-1").expect("there is room for what is smaller");
    make(30..50);
    // Nothing is begun that could not be ended.
    let before = fs::read_dir(world.own(BACKUPS)).expect("a listing").count();
    let none = |done: Result<Backup, CopyError>| matches!(done, Err(CopyError::NoRoom(Shortage::Inodes { needed, free })) if needed > free);
    assert!(none(world.copy("b-2")) && none(check(&world, "b-1")) && none(fetch(&world, "b-1", "r-1")));
    assert_eq!(fs::read_dir(world.own(BACKUPS)).expect("a listing").count(), before);
}

#[test]
fn what_was_fetched_for_another_putting_back_goes() {
    let world = World::in_memory();
    fs::write(world.state().join("turn"), "1").expect("a file");
    world.copy("b-1").expect("a copy");
    fetch(&world, "b-1", "r-1").expect("it is fetched");
    fetch(&world, "b-1", "r-2").expect("it is fetched");
    let fetched = || -> Vec<String> {
        let entries = fs::read_dir(world.own("restoring")).expect("a listing");
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect()
    };
    assert_eq!(fetched(), ["r-2"]);
    let keep = crate::game::backup::Keep { count: 5, age: None };
    let prune = |spared: &str| {
        let may_go: Arc<dyn MayGo> = Named::sparing(&[spared]);
        let gone = world.root.prune_aside(game(), keep, &may_go, jiff::Timestamp::now(), &Watch::nobody());
        gone.expect("pruned");
    };
    prune("r-2");
    assert_eq!(fetched(), ["r-2"]);
    prune("r-3");
    assert_eq!(fetched(), [""; 0], "nobody waits for it");
}

/// A note is believed if it is of this very putting back, of this very copy.
#[test]
fn a_note_of_something_else_is_not_believed() {
    let world = World::in_memory();
    fs::write(world.state().join("turn"), "1").expect("a file");
    world.copy("b-1").expect("a copy");
    world.put_back("b-1", "r-1").expect("it is put back");
    // Its note under another name.
    let aside = world.own("failed");
    fs::create_dir(aside.join("r-2")).expect("a directory");
    fs::copy(aside.join("r-1/put-back.json"), aside.join("r-2/put-back.json")).expect("a note");
    assert!(matches!(world.put_back("b-1", "r-2"), Err(CopyError::Unfit(_))));
    // Another copy of that name.
    world.root.remove_backup(game(), &name("b-1"), &Watch::nobody()).expect("a removal");
    fs::write(world.state().join("turn"), "2").expect("a file");
    world.copy("b-1").expect("another copy");
    assert!(matches!(world.put_back("b-1", "r-1"), Err(CopyError::Unfit(_))));
    assert_eq!(fs::read_to_string(world.state().join("turn")).expect("a file"), "2");
}

/// Names of what is half made are never another's: who was deposed in the middle of a copy does not
/// pass half a copy of its successor off as a whole one.
#[test]
fn half_a_copy_of_another_is_never_renamed_into_place() {
    let world = World::in_memory();
    furnish(&world.state());
    let place = world.own(BACKUPS);
    let mut met = 0;
    for changes in 0..500 {
        let id = format!("b-{changes}");
        let (path, other) = (place.clone(), id.clone());
        // Another process sweeps what it finds, and begins a copy of the same name.
        let meddle = move || {
            let half = fs::read_dir(&path).expect("a listing").map(|entry| entry.expect("an entry").path());
            for half in half
                .filter(|half| half.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')))
            {
                let _ = fs::remove_dir_all(half);
            }
            fs::create_dir_all(path.join(format!(".making-{other}/state"))).expect("half a copy");
        };
        fs::create_dir_all(&place).expect("a directory");
        let (copied, done) = effects::interruption::meddling_after(changes, meddle, || world.copy(&id));
        if let Ok(copy) = copied {
            assert_eq!(tree(&world.kept(&id)), tree(&world.state()), "{copy:?}");
        }
        assert!(done || world.ids().contains(&id));
        met += usize::from(done);
        if !done {
            break;
        }
    }
    assert!(met > 20, "{met} moments");
}

#[test]
fn whoever_only_looks_makes_nothing() {
    let world = World::in_memory();
    fs::write(world.state().join("turn"), "1").expect("a file");
    world.root.check_room_for_patch(game(), &Watch::nobody()).expect("there is room");
    assert!(matches!(check(&world, "b-1"), Err(CopyError::Absent(_))));
    assert!(!world.root.has_copies(game()).expect("a look"));
    for kind in [BACKUPS, "restoring", "failed", "removed"] {
        assert!(!world.own(kind).exists(), "{kind}");
    }
}
