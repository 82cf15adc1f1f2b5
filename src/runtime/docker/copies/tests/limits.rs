//! What is bounded: depth, room, time, and who works at once.

use std::time::Duration;

use super::disks::{Disk, Mounted};
use super::*;

#[test]
fn without_room_nothing_is_copied_and_what_is_missing_is_said() {
    let Some(disk) = Disk::of("size=8m") else { return };
    let world = World::within(disk.path());
    fs::write(world.state().join("large"), vec![1; 5 << 20]).expect("a file");
    let before = tree(&world.state());
    let Err(CopyError::NoRoom(shortage @ Shortage::Bytes { needed, free })) = world.copy("b-1") else {
        panic!("there is no room")
    };
    assert!(needed > 5 << 20 && free < 3 << 20, "{needed} needed, {free} free");
    let told = CopyError::NoRoom(shortage).told(|_| unreachable!()).to_string();
    assert!(told.contains(&format!("{} are missing", needed - free)), "{told}");
    // Where neither bytes nor inodes are missing, none are said to be.
    let told = CopyError::NoRoom(Shortage::Untold).told(|_| unreachable!()).to_string();
    assert!(told.contains("quota") && !told.contains("are missing"), "{told}");
    assert_eq!(tree(&world.state()), before);
    assert_eq!(fs::read_dir(world.own(BACKUPS)).expect("a listing").count(), 0);

    fs::write(world.state().join("large"), vec![1; 3 << 20]).expect("a file");
    world.copy("b-1").expect("there is room");
    // The disk fills up on the way: what was begun goes.
    fs::write(world.state().join("large"), "").expect("a file");
    fs::create_dir(world.state().join("many")).expect("a directory");
    let holes = fs::File::create(world.state().join("holes")).expect("a file");
    holes.set_len(6 << 20).expect("a length");
    std::os::unix::fs::FileExt::write_all_at(&holes, b"x", 0).expect("a write");
    world.copy("b-2").expect("holes take no room");
    drop(holes);
    world.put_back("b-1", "r-1").expect("there is room");
}

#[test]
fn a_file_system_mounted_inside_is_not_entered() {
    for place in ["mounted", "deep/mounted"] {
        let world = World::new();
        let Some(mounted) = Mounted::new(&world.state().join(place), &["-t", "tmpfs", "none"]) else {
            return;
        };
        fs::write(world.state().join(place).join("precious"), "x").expect("a file");
        let refused = world.copy("b-1").expect_err("something is mounted there");
        assert!(refused.to_string().contains("mounted"), "{refused}");
        assert!(world.state().join(place).join("precious").exists());
        drop(mounted);
        world.copy("b-1").expect("a copy");
    }
}

#[test]
fn a_state_directory_that_is_a_mount_of_its_own_is_copied_and_stays_where_it_is() {
    let world = World::new();
    let Some(mounted) = Mounted::new(&world.state(), &["-t", "tmpfs", "none"]) else { return };
    fs::write(world.state().join("precious"), "x").expect("a file");
    world.copy("b-1").expect("a copy");
    let refused = world.put_back("b-1", "r-1").expect_err("it cannot be moved");
    assert!(refused.to_string().contains("mount"), "{refused}");
    assert!(world.state().join("precious").exists());
    drop(mounted);
    world.put_back("b-1", "r-1").expect("it is put back");
    assert_eq!(fs::read_to_string(world.state().join("precious")).expect("the file"), "x");
}

#[test]
fn where_contents_can_be_shared_a_copy_takes_no_room() {
    let Some(disk) = Disk::that_shares() else { return };
    let world = World::within(disk.path());
    fs::write(world.state().join("large"), vec![7; 180 << 20]).expect("a file");
    let before = tree(&world.state());
    world.copy("b-1").expect("a copy, though there is no room for another one");
    assert_eq!(tree(&world.kept("b-1")), before);
    world.put_back("b-1", "r-1").expect("it is put back");
    assert_eq!(tree(&world.state()), before);
}

/// At most as long as is copied, and with next to nothing in it.
#[test]
fn holes_are_passed_over_however_long_they_are_and_stay_holes() {
    use std::os::unix::fs::FileExt;
    let world = World::in_memory();
    let path = world.state().join("holes");
    let file = fs::File::create(&path).expect("a file");
    file.set_len(900 << 30).expect("a length");
    for at in [0, (3 << 30) + 5, (3 << 30) + 9_000, (900 << 30) - 1] {
        file.write_all_at(b"x", at).expect("a byte");
    }
    // Zeros that are written are as good as a hole.
    file.write_all_at(&vec![0; 3 << 20], 7 << 30).expect("zeros");
    let began = std::time::Instant::now();
    let backup = world.copy("b-1").expect("a copy");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!((backup.files, backup.bytes), (1, 900 << 30));
    let kept = world.kept("b-1").join("holes");
    let about = kept.metadata().expect("metadata");
    assert!(about.len() == 900 << 30 && about.blocks() <= 4 * 8, "{} blocks", about.blocks());
    for place in [kept, path] {
        let file = fs::File::open(place).expect("a file");
        for (at, wanted) in
            [(0, b'x'), (1, 0), ((3 << 30) + 5, b'x'), ((3 << 30) + 9_000, b'x'), ((900 << 30) - 1, b'x')]
        {
            let mut byte = [7];
            file.read_exact_at(&mut byte, at).expect("a byte");
            assert_eq!(byte, [wanted], "{at}");
        }
    }
    world.put_back("b-1", "r-1").expect("it is what was copied");
    assert_eq!(world.copy("b-2").expect("a copy").digest, backup.digest, "wherever its holes are");
}

#[test]
fn what_is_longer_than_any_state_is_refused_and_it_is_said_which_file() {
    let world = World::in_memory();
    let file = fs::File::create(world.state().join("endless")).expect("a file");
    file.set_len(15 << 40).expect("a length");
    let refused = world.copy("b-1").expect_err("it is too long");
    assert!(refused.to_string().contains("endless alone is 15360 GiB long"), "{refused}");
    assert!(matches!(refused, CopyError::Unfit(_)));
    assert!(
        matches!(world.root.check_room_for_patch(game(), &Watch::nobody()), Err(CopyError::Unfit(_))),
        "found before"
    );
    // Many that are too long together.
    file.set_len(0).expect("a length");
    for number in 0..5 {
        let part = fs::File::create(world.state().join(format!("part-{number}"))).expect("a file");
        part.set_len(250 << 30).expect("a length");
    }
    assert!(matches!(world.copy("b-1"), Err(CopyError::Unfit(_))));
}

#[test]
fn a_copy_stands_still_while_others_come_first_and_can_be_called_off_then() {
    let world = World::in_memory();
    furnish(&world.state());
    let paused = PausedGames::default();
    paused.pause(game(), true);
    let (watch, waiting) = Watch::new();
    let watch = watch.pausing_with(paused.clone(), game());
    std::thread::scope(|scope| {
        let copying = scope.spawn(|| world.copy_watched("b-1", &watch));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!copying.is_finished());
        paused.pause(game(), false);
        copying.join().expect("no panic").expect("a copy");
    });
    paused.pause(game(), true);
    std::thread::scope(|scope| {
        let copying = scope.spawn(|| world.copy_watched("b-2", &watch));
        std::thread::sleep(Duration::from_millis(100));
        drop(waiting);
        let ended = copying.join().expect("no panic");
        assert!(matches!(ended, Err(CopyError::Cancelled)), "{ended:?}");
    });
}

#[test]
fn what_is_too_deep_is_refused() {
    let world = World::in_memory();
    let mut at = world.state();
    for _ in 0..64 {
        at.push("d");
    }
    fs::create_dir_all(&at).expect("directories");
    world.copy("b-1").expect("a copy");
    fs::create_dir(at.join("d")).expect("a directory");
    let refused = world.copy("b-2").expect_err("it is too deep");
    assert!(refused.to_string().contains("64 deep"), "{refused}");
}

#[test]
fn a_copy_that_nobody_waits_for_ends_and_leaves_nothing() {
    let world = World::in_memory();
    furnish(&world.state());
    let (watch, waiting) = Watch::new();
    drop(waiting);
    assert!(matches!(world.root.copy(&new("b-1"), &watch), Err(CopyError::Cancelled)));
    assert_eq!(fs::read_dir(world.own(BACKUPS)).expect("a listing").count(), 0);
    let (watch, waiting) = Watch::new();
    let backup = world.root.copy(&new("b-1"), &watch).expect("a copy");
    let told = *waiting.progress.borrow();
    assert_eq!((told.files, told.files_total), (5, 5));
    assert_eq!((told.bytes, told.bytes_total), (backup.bytes, backup.bytes));
}

#[test]
fn one_works_on_a_games_copies_at_a_time() {
    let world = World::in_memory();
    let other: GameId = "00000000-0000-4000-8000-000000000001".parse().expect("an id");
    let working = world.root.working_on(game()).expect("nobody else does");
    assert!(matches!(world.copy("b-1"), Err(CopyError::Busy)));
    assert!(matches!(world.put_back("b-1", "r-1"), Err(CopyError::Busy)));
    assert!(matches!(world.root.remove_backup(game(), &name("b-1"), &Watch::nobody()), Err(CopyError::Busy)));
    world.root.remove_backup(other, &name("b-1"), &Watch::nobody()).expect("another game's are free");
    drop(working);
    world.copy("b-1").expect("a copy");
}

#[test]
fn another_instances_state_root_is_left_alone() {
    let world = World::in_memory();
    world.copy("b-1").expect("a copy");
    let path = world.directory.path().join("state");
    let other = StateRoot::new(path, Some(InstanceId(uuid::Uuid::from_u128(2))));
    for refused in [
        other.copy(&new("b-2"), &Watch::nobody()).map(drop),
        other.backups(game()).map(drop),
        other.remove_backup(game(), &name("b-1"), &Watch::nobody()),
        other.put_back(game(), &name("b-1"), &restore_name("r-1"), &Watch::nobody()).map(drop),
    ] {
        let told = refused.expect_err("it is another's").told(|_| unreachable!());
        assert!(matches!(told, crate::runtime::RuntimeError::StateRootNotOurs), "{told:?}");
    }
    assert_eq!(world.ids(), ["b-1"]);
}
