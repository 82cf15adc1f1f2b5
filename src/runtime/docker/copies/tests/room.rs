//! Room that others were promised.

use std::time::{Duration, Instant};

use super::checks::fetch;
use super::disks::Disk;
use super::*;
use crate::runtime::CopiesUnderWay;

fn under_way(backup: &str, restore: Option<RestoreId>) -> CopiesUnderWay {
    CopiesUnderWay { backup: name(backup), restore, waits_for_person: false }
}

fn another(number: u128) -> GameId {
    GameId(uuid::Uuid::from_u128(number))
}

/// Each of so many games has a state of four mebibytes.
fn with_others(disk: &Disk, numbers: &[u128]) -> World {
    let world = World::within(disk.path());
    fs::write(world.state().join("large"), vec![1; 4 << 20]).expect("a file");
    for number in numbers {
        world.root.create(another(*number), RunAs::Auto, &Watch::nobody()).expect("a directory");
        let state = world.state().with_file_name(another(*number).to_string());
        fs::write(state.join("large"), vec![1; 4 << 20]).expect("a file");
    }
    world
}

#[test]
fn room_that_another_game_was_promised_is_not_promised_again() {
    // Two states of 4 MiB, and room for three more of them.
    let Some(disk) = Disk::of("size=22m") else { return };
    let world = with_others(&disk, &[1]);
    let (root, other) = (&world.root, another(1));
    root.check_room_for_patch(game(), &Watch::nobody()).expect("there is room for two copies");
    root.check_room_for_patch(game(), &Watch::nobody()).expect("and still is, for the same game");
    let waits = |place: &str| match root.check_room_for_patch(other, &Watch::nobody()) {
        Err(CopyError::RoomKept { shortage: Shortage::Bytes { needed, .. }, games: 1 }) => needed,
        result => panic!("{place}: {result:?}"),
    };
    let both = waits("it has looked");
    assert!(both > 16 << 20, "{both}");
    // It is on record, and its copy is not there.
    let copies = |restore: Option<&str>| {
        let restore = restore.map(restore_name);
        root.keep_room(game(), Some(under_way("b-1", restore)));
    };
    copies(None);
    waits("it is on record");
    let takes = || {
        root.copy(&NewBackup { game: other, reason: BackupReason::Demand, ..new("b-9") }, &Watch::nobody())
    };
    world.copy("b-1").expect("its own copy has its room");
    let with_one = waits("its way back is still to come");
    assert!((4 << 20..5 << 20).contains(&(both - with_one)), "{both} {with_one}");
    copies(Some("r-1"));
    fetch(&world, "b-1", "r-1").expect("its own way back has its room");
    // There is one more state's room whatever others need now, and nobody keeps it.
    assert!(matches!(root.check_room_for_patch(other, &Watch::nobody()), Err(CopyError::NoRoom { .. })));
    takes().expect("a copy on demand");
    root.remove_backup(other, &name("b-9"), &Watch::nobody()).expect("a removal");
    world.put_back("b-1", "r-1").expect("it is put back");
    root.keep_room(game(), None);
    take_copies_away(root).expect("a removal");
    root.check_room_for_patch(other, &Watch::nobody()).expect("now there is room");
}

/// Does `meanwhile` in the middle of a copy, which stands before the change after the first `changes`.
fn in_the_middle<T: Send>(changes: u32, copies: impl FnOnce() -> T + Send, meanwhile: impl FnOnce()) -> T {
    let (goes_on, stands) = std::sync::mpsc::channel::<()>();
    let (began, begun) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let copying = scope.spawn(move || {
            let stand = move || {
                began.send(()).expect("somebody waits");
                let _ = stands.recv();
            };
            effects::interruption::meddling_after(changes, stand, copies)
        });
        begun.recv().expect("it stands");
        meanwhile();
        drop(goes_on);
        let (copied, stood) = copying.join().expect("no panic");
        assert!(stood);
        copied
    })
}

#[test]
fn room_that_a_copy_takes_while_it_is_made_is_promised_to_nobody() {
    // Two states of 4 MiB, and room for two more of them.
    let Some(disk) = Disk::of("size=18m") else { return };
    let world = with_others(&disk, &[1]);
    let (root, other) = (&world.root, another(1));
    let is_half_made = |kind: &str| {
        let mut entries = fs::read_dir(world.own(kind)).expect("a listing");
        let name = entries.next().expect("an entry").expect("an entry").file_name();
        assert!(name.to_string_lossy().starts_with(".making-"), "{name:?}");
    };
    let no_patch = || match root.check_room_for_patch(other, &Watch::nobody()) {
        Err(CopyError::RoomKept { games: 1, .. }) => {}
        result => panic!("{result:?}"),
    };
    let copied = in_the_middle(
        8,
        || copies(&world, game(), BackupReason::Demand),
        || {
            is_half_made(BACKUPS);
            no_patch();
            copies(&world, other, BackupReason::Turn).expect("there is room for one");
            root.remove_backup(other, &name("b-9"), &Watch::nobody()).expect("a removal");
        },
    );
    copied.expect("its own room is its own");
    let fetched = || {
        let fetched = root.fetch_backup(game(), &name("b-9"), &restore_name("r-1"), &Watch::nobody());
        fetched.expect("its own room is its own");
    };
    // Room for two again.
    fs::remove_file(world.state().join("large")).expect("a removal");
    in_the_middle(11, fetched, || {
        is_half_made("restoring");
        no_patch();
    });
    root.remove_backup(game(), &name("b-9"), &Watch::nobody()).expect("a removal");
    root.check_room_for_patch(other, &Watch::nobody()).expect("what was made takes its own room alone");
}

#[test]
fn a_copy_whose_room_was_promised_takes_it_once() {
    // Two states of 4 MiB, a copy, and room for three more of them.
    let Some(disk) = Disk::of("size=26m") else { return };
    let world = with_others(&disk, &[1]);
    copies(&world, game(), BackupReason::Demand).expect("a copy");
    world.root.keep_room(game(), Some(under_way("b-9", Some(restore_name("r-1")))));
    world.root.survey_promise(game());
    let fetched =
        || world.root.fetch_backup(game(), &name("b-9"), &restore_name("r-1"), &Watch::nobody()).map(drop);
    let fetched = in_the_middle(11, fetched, || {
        world
            .root
            .check_room_for_patch(another(1), &Watch::nobody())
            .expect("there is room for two beside it");
    });
    fetched.expect("it is fetched");
}

#[test]
fn a_look_for_room_is_forgotten_if_nothing_comes_of_it() {
    let Some(disk) = Disk::of("size=22m") else { return };
    let world = with_others(&disk, &[1]);
    world.root.check_room_for_patch(game(), &Watch::nobody()).expect("there is room for two copies");
    assert!(world.root.check_room_for_patch(another(1), &Watch::nobody()).is_err());
    world.root.room.forget_old_looks(std::time::Duration::ZERO);
    world.root.check_room_for_patch(another(1), &Watch::nobody()).expect("nobody has begun");
}

/// The copy of this game, for this reason.
fn copies(world: &World, of: GameId, reason: BackupReason) -> Result<Backup, CopyError> {
    world.root.copy(&NewBackup { game: of, reason, ..new("b-9") }, &Watch::nobody())
}

fn holes(place: &Path, length: u64) {
    fs::File::create(place.join("holes")).expect("a file").set_len(length).expect("a length");
}

/// As after a restart of the controller: nothing is known but what is on record.
fn promised(world: &World, of: GameId, copies: CopiesUnderWay) {
    assert!(world.root.keep_room(of, Some(copies)), "nobody knows how much it needs");
    world.root.survey_promise(of);
}

#[test]
fn a_long_file_with_holes_between_versions_keeps_no_room_that_its_copies_do_not_take() {
    let Some(disk) = Disk::of("size=22m") else { return };
    let world = with_others(&disk, &[1]);
    holes(&world.state(), 600 << 30);
    world.copy("b-1").expect("holes take no room");
    let of_disk = |needed: Result<(), CopyError>| match needed {
        Err(CopyError::RoomKept { shortage: Shortage::Bytes { needed, .. }, .. }) => needed,
        other => panic!("{other:?}"),
    };
    promised(&world, game(), under_way("b-1", None));
    let needed = of_disk(world.root.check_room_for_patch(another(1), &Watch::nobody()));
    assert!((12 << 20..14 << 20).contains(&needed), "its way back and two copies: {needed}");
    copies(&world, another(1), BackupReason::Demand).expect("one copy has room beside its way back");
    world.root.remove_backup(another(1), &name("b-9"), &Watch::nobody()).expect("a removal");
    // A copy of a release that did not note what it takes.
    let manifest = world.own(BACKUPS).join("b-1/manifest.json");
    let mut note: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&manifest).expect("a note")).expect("JSON");
    assert!(note["room"]["bytes"].as_u64().is_some_and(|bytes| bytes < 5 << 20), "{note}");
    note.as_object_mut().expect("an object").remove("room");
    fs::write(&manifest, note.to_string()).expect("a note");
    world.root.keep_room(game(), None);
    promised(&world, game(), under_way("b-1", None));
    assert!(
        of_disk(world.root.check_room_for_patch(another(1), &Watch::nobody())).abs_diff(needed) < 64 << 10
    );
}

#[test]
fn where_contents_can_be_shared_nobody_keeps_room_for_a_copys_bytes() {
    let Some(disk) = Disk::that_shares() else { return };
    let world = World::within(disk.path());
    fs::write(world.state().join("large"), vec![7; 180 << 20]).expect("a file");
    world.root.create(another(1), RunAs::Auto, &Watch::nobody()).expect("a directory");
    let state = world.state().with_file_name(another(1).to_string());
    fs::write(state.join("small"), vec![7; 1 << 20]).expect("a file");
    promised(&world, game(), under_way("b-1", None));
    world.root.check_room_for_patch(another(1), &Watch::nobody()).expect("no copy takes bytes");
    world.copy("b-1").expect("a copy");
    world.root.keep_room(game(), None);
    promised(&world, game(), under_way("b-1", None));
    world.root.check_room_for_patch(another(1), &Watch::nobody()).expect("nor does its way back");
}

#[test]
fn a_game_that_waits_for_a_person_holds_up_no_turn_and_keeps_its_way_back_from_changes_of_version() {
    // Three states of 4 MiB, and room for one more of them.
    let Some(disk) = Disk::of("size=17m") else { return };
    let world = with_others(&disk, &[1]);
    world.copy("b-1").expect("a copy");
    let way_back = under_way("b-1", None);
    promised(&world, game(), way_back.clone());
    let turn = || copies(&world, another(1), BackupReason::Turn);
    assert!(matches!(turn(), Err(CopyError::RoomKept { .. })));
    let blocked = CopiesUnderWay { waits_for_person: true, ..way_back };
    assert!(!world.root.keep_room(game(), Some(blocked)), "it is known");
    let demand = copies(&world, another(1), BackupReason::Demand);
    assert!(matches!(demand, Err(CopyError::RoomKept { .. })), "{demand:?}");
    turn().expect("nobody's turns wait for a person who looks after another game");
    world.root.remove_backup(another(1), &name("b-9"), &Watch::nobody()).expect("a removal");
    fs::write(world.state().with_file_name(another(1).to_string()).join("large"), vec![1; 1 << 20])
        .expect("a file");
    fs::write(world.directory.path().join("ballast"), vec![1; 4 << 20]).expect("a file");
    let patch = world.root.check_room_for_patch(another(1), &Watch::nobody());
    assert!(matches!(patch, Err(CopyError::RoomKept { .. })), "{patch:?}");
}

#[test]
fn whoever_looks_for_room_waits_a_moment_for_anothers_survey_and_never_for_its_disk() {
    let Some(disk) = Disk::of("size=22m") else { return };
    let world = with_others(&disk, &[1]);
    // Its survey takes for ever.
    assert!(world.root.keep_room(game(), Some(under_way("b-1", None))));
    let began = Instant::now();
    world.root.check_room_for_patch(another(1), &Watch::nobody()).expect("what is not known is nothing");
    let waited = began.elapsed();
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    world.root.room.forget_old_looks(Duration::ZERO);
    // Nobody waits a second time.
    for _ in 0..20 {
        world.root.check_room_for_patch(another(1), &Watch::nobody()).expect("what is not known is nothing");
    }
    world.root.room.forget_old_looks(Duration::ZERO);
    // It comes to its end, and its copy was taken meanwhile.
    world.copy("b-1").expect("a copy");
    world.root.survey_promise(game());
    assert!(matches!(
        world.root.check_room_for_patch(another(1), &Watch::nobody()),
        Err(CopyError::RoomKept { .. })
    ));
    world.root.keep_room(game(), None);
    world.root.check_room_for_patch(another(1), &Watch::nobody()).expect("what was promised is forgotten");
}

#[test]
fn a_promise_is_surveyed_once_however_much_others_look() {
    let Some(disk) = Disk::of("size=64m") else { return };
    let numbers: Vec<u128> = (1..=3).collect();
    let world = with_others(&disk, &numbers);
    fs::write(world.state().join("more"), vec![1; 1 << 20]).expect("a file");
    world.root.check_room_for_patch(game(), &Watch::nobody()).expect("there is room");
    assert!(!world.root.keep_room(game(), Some(under_way("b-1", None))), "it has looked itself");
    // A state that nobody could survey any more.
    fs::remove_dir_all(world.state()).expect("a removal");
    fs::write(world.state(), "in its place").expect("a file");
    let keeps = || world.root.room.others(another(1), Purpose::Wish).0;
    let before = keeps();
    assert_eq!(before.len(), 1);
    for number in numbers {
        world.root.check_room_for_patch(another(number), &Watch::nobody()).expect("there is room");
    }
    assert!(keeps().contains(&before[0]), "what it was promised stays as it was");
}

#[test]
fn many_looks_at_once_are_never_promised_the_same_room() {
    // Four states of 4 MiB, and room for seven more of them.
    let Some(disk) = Disk::of("size=46m") else { return };
    let numbers: Vec<u128> = (1..=3).collect();
    let world = with_others(&disk, &numbers);
    let games: Vec<GameId> = numbers.iter().copied().map(another).chain([game()]).collect();
    let found = std::thread::scope(|scope| {
        let looks: Vec<_> = games
            .iter()
            .map(|of| scope.spawn(|| world.root.check_room_for_patch(*of, &Watch::nobody()).is_ok()))
            .collect();
        looks.into_iter().map(|look| look.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert_eq!(found.iter().filter(|found| **found).count(), 3, "{found:?}");
    // Two have added up what others need, and one of them was first.
    let room = &world.root.room;
    let (_, at) = room.others(games[0], Purpose::Patch);
    assert!(room.claim(games[0], Needs::default(), at));
    assert!(!room.claim(games[1], Needs::default(), at), "that is not true any more");
}
