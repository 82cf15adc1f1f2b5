use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::*;
use crate::game::spec::RunAs;
use crate::game::{BackupReason, InstanceId, RestoreId};

const GAME: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";

struct World {
    directory: tempfile::TempDir,
    root: StateRoot,
}

impl World {
    fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// In memory, where that can be: thousands of rounds would wait for a disk each.
    fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        Self::within(if memory.is_dir() { memory } else { Path::new("/tmp") })
    }

    fn within(place: &Path) -> Self {
        let directory = tempfile::tempdir_in(place).expect("a temporary directory");
        let root = StateRoot::new(directory.path().join("state"), Some(InstanceId(uuid::Uuid::from_u128(1))));
        root.bind().expect("a state root");
        root.create(game(), RunAs::Auto, &Watch::nobody()).expect("a directory");
        Self { directory, root }
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state").join(GAME)
    }

    fn own(&self, kind: &str) -> PathBuf {
        self.directory.path().join("state/.gamekeeper").join(kind).join(GAME)
    }

    /// The state that a kept copy holds.
    fn kept(&self, id: &str) -> PathBuf {
        self.own(BACKUPS).join(id).join(STATE)
    }

    fn copy(&self, id: &str) -> Result<Backup, CopyError> {
        self.root.copy(&new(id), &Watch::nobody())
    }

    fn copy_watched(&self, id: &str, watch: &Watch) -> Result<Backup, CopyError> {
        self.root.copy(&new(id), watch)
    }

    fn put_back(&self, id: &str, restore: &str) -> Result<Backup, CopyError> {
        self.root.put_back(game(), &name(id), &restore_name(restore), &Watch::nobody())
    }

    fn ids(&self) -> Vec<String> {
        let backups = self.root.backups(game()).expect("a list");
        backups.iter().map(|backup| backup.id.to_string()).collect()
    }
}

fn game() -> GameId {
    GAME.parse().expect("an id")
}

/// Removes the state that the game has now.
fn take_away(root: &StateRoot) -> Result<(), CopyError> {
    root.remove(&root.hold(game())?, &Watch::nobody())
}

/// Removes the copies that the game has now.
fn take_copies_away(root: &StateRoot) -> Result<(), CopyError> {
    root.remove_copies(&root.hold(game())?, &Watch::nobody())
}

/// A word on what may go for now: everything but what is named, or nothing at all.
#[derive(Debug, Default)]
struct Named {
    spared: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

impl Named {
    fn sparing(spared: &[&str]) -> Arc<Self> {
        let spared = spared.iter().map(ToString::to_string).collect();
        Arc::new(Self { spared: Mutex::new(spared), ..Self::default() })
    }

    fn may_go(&self, name: &str) -> bool {
        self.anything() && !self.spared.lock().expect("no panic").iter().any(|spared| spared == name)
    }
}

impl MayGo for Named {
    fn anything(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    fn copy(&self, id: &BackupId) -> bool {
        self.may_go(id.as_str())
    }

    fn put_back(&self, id: &RestoreId) -> bool {
        self.may_go(id.as_str())
    }
}

fn name(id: &str) -> BackupId {
    id.parse().expect("a name")
}

fn restore_name(id: &str) -> RestoreId {
    id.parse().expect("a name")
}

fn new(id: &str) -> NewBackup {
    NewBackup {
        id: name(id),
        game: game(),
        taken_at: jiff::Timestamp::from_second(1_800_000_000).expect("a time"),
        reason: BackupReason::Patch,
        turn: Some(17),
        timeline: Some(2),
        build: None,
    }
}

/// Everything that a copy has to keep, by path.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    content: Vec<u8>,
    mode: u32,
    owner: (u32, u32),
    changed: (i64, i64),
}

fn tree(top: &Path) -> BTreeMap<PathBuf, Facts> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![top.to_owned()];
    while let Some(path) = waiting.pop() {
        let about = path.symlink_metadata().expect("metadata");
        let content = if about.is_symlink() {
            fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
        } else if about.is_file() {
            fs::read(&path).expect("a file")
        } else {
            Vec::new()
        };
        if about.is_dir() {
            waiting
                .extend(fs::read_dir(&path).expect("a listing").map(|entry| entry.expect("an entry").path()));
        }
        let facts = Facts {
            content,
            mode: about.mode(),
            owner: (about.uid(), about.gid()),
            changed: (about.mtime(), about.mtime_nsec()),
        };
        found.insert(path.strip_prefix(top).expect("beneath it").to_owned(), facts);
    }
    found
}

/// A bit of everything that an engine may have.
fn furnish(state: &Path) {
    fs::create_dir_all(state.join("turns/deep/er")).expect("directories");
    fs::write(state.join("turns/0001"), "first").expect("a file");
    fs::write(state.join("turns/deep/empty"), "").expect("a file");
    let large: Vec<u8> = (0..1_500_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    fs::write(state.join("turns/deep/large"), large).expect("a file");
    fs::write(state.join("schlüssel\n\u{1b}[31m"), "odd name").expect("a file");
    fs::hard_link(state.join("turns/0001"), state.join("latest")).expect("a second name");
    symlink("turns/0001", state.join("link")).expect("a link");
    symlink("/nowhere/at/all", state.join("turns/broken")).expect("a link");
    fs::set_permissions(state.join("turns/deep/large"), fs::Permissions::from_mode(0o640)).expect("a mode");
    fs::set_permissions(state.join("turns/deep"), fs::Permissions::from_mode(0o550)).expect("a mode");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(state.join("turns/0001"), Some(10_001), Some(10_002)).expect("an owner");
        std::os::unix::fs::lchown(state.join("link"), Some(10_001), Some(10_002)).expect("an owner");
    }
    let holes = fs::File::create(state.join("holes")).expect("a file");
    holes.set_len(4 << 20).expect("a length");
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    fs::File::open(state.join("latest")).expect("a file").set_modified(long_ago).expect("a time");
}

#[test]
fn a_copy_is_byte_for_byte_with_owners_modes_times_and_second_names() {
    let world = World::new();
    furnish(&world.state());
    let before = tree(&world.state());
    let backup = world.copy("b-1").expect("a copy");
    assert_eq!(tree(&world.kept("b-1")), before);
    assert_eq!(tree(&world.state()), before);
    let of = |name: &str| world.kept("b-1").join(name).metadata().expect("metadata");
    assert_eq!((of("latest").nlink(), of("latest").ino()), (2, of("turns/0001").ino()));
    assert!(of("holes").blocks() < 64, "holes stay holes: {} blocks", of("holes").blocks());
    assert_eq!((backup.files, backup.bytes), (5, 5 + 1_500_000 + 8 + (4 << 20)));
    assert_eq!((backup.turn, backup.reason), (Some(17), BackupReason::Patch));
    assert_eq!(world.root.backups(game()).expect("a list"), [backup]);
    let mode = world.own(BACKUPS).join("b-1").metadata().expect("metadata").mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else sees it");
}

#[test]
fn a_copy_of_a_name_that_is_there_is_the_one_that_is_there_if_it_is_of_this_state() {
    let world = World::new();
    furnish(&world.state());
    let first = world.copy("b-1").expect("a copy");
    assert_eq!(world.copy("b-1").expect("the same"), first);
    fs::write(world.state().join("turns/0002"), "second").expect("a file");
    let then = tree(&world.kept("b-1"));
    assert!(matches!(world.copy("b-1"), Err(CopyError::NameTaken(_))), "it is of another state");
    assert_eq!(tree(&world.kept("b-1")), then);
    let second = world.copy("b-2").expect("another");
    assert_ne!(second.digest, first.digest);
    assert_eq!(world.ids(), ["b-1", "b-2"]);
    world.root.remove_backup(game(), &name("b-1"), &Watch::nobody()).expect("a removal");
    world.root.remove_backup(game(), &name("b-1"), &Watch::nobody()).expect("a removal again");
    assert_eq!(world.ids(), ["b-2"]);
    assert_eq!(fs::read_dir(world.own(BACKUPS)).expect("a listing").count(), 1);
}

#[test]
fn a_copy_that_is_put_back_is_the_state_and_what_was_there_is_kept_aside() {
    let world = World::new();
    furnish(&world.state());
    let then = tree(&world.state());
    world.copy("b-1").expect("a copy");
    fs::write(world.state().join("turns/0002"), "a turn that went wrong").expect("a file");
    let wrong = tree(&world.state());
    world.put_back("b-1", "r-1").expect("it is put back");
    assert_eq!(tree(&world.state()), then);
    assert_eq!(tree(&world.own("failed").join("r-1").join(STATE)), wrong);
    assert_eq!(tree(&world.kept("b-1")), then, "the copy stays");
    assert_eq!(fs::read_dir(world.own("restoring")).expect("a listing").count(), 0);

    fs::write(world.state().join("turns/0002"), "another turn").expect("a file");
    let now = tree(&world.state());
    world.put_back("b-1", "r-1").expect("it was put back");
    assert_eq!(tree(&world.state()), now, "and is not put back twice");
    assert!(matches!(world.put_back("b-2", "r-1"), Err(CopyError::Unfit(_))), "one name is of one wish");
    assert!(matches!(world.put_back("b-2", "r-2"), Err(CopyError::Absent(_))));
    assert_eq!(tree(&world.state()), now);
}

#[test]
fn state_that_is_gone_can_be_put_back() {
    let world = World::new();
    furnish(&world.state());
    let then = tree(&world.state());
    world.copy("b-1").expect("a copy");
    take_away(&world.root).expect("a removal");
    assert!(matches!(world.copy("b-2"), Err(CopyError::Absent(_))));
    world.put_back("b-1", "r-1").expect("it is put back");
    assert_eq!(tree(&world.state()), then);
}

#[test]
fn a_copy_that_was_tampered_with_is_not_put_back() {
    let world = World::new();
    furnish(&world.state());
    let then = tree(&world.state());
    for (number, harm) in [
        |kept: &Path| fs::write(kept.join("latest"), "worse").expect("a file"),
        |kept: &Path| fs::write(kept.join("more"), "").expect("a file"),
        |kept: &Path| fs::remove_file(kept.join("link")).expect("a removal"),
        |kept: &Path| fs::set_permissions(kept, fs::Permissions::from_mode(0o777)).expect("a mode"),
        |kept: &Path| fs::write(kept.join("../manifest.json"), "{").expect("a file"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("b-{number}");
        world.copy(&id).expect("a copy");
        harm(&world.kept(&id));
        let refused = world.put_back(&id, &format!("r-{number}"));
        assert!(matches!(refused, Err(CopyError::Damaged(_))), "{number}: {refused:?}");
        assert_eq!(tree(&world.state()), then);
    }
    assert_eq!(world.ids().len(), 4, "without a manifest it is no copy");
}

#[test]
fn what_comes_into_the_place_meanwhile_is_not_overwritten() {
    let world = World::in_memory();
    fs::write(world.state().join("turn"), "1").expect("a file");
    world.copy("b-1").expect("a copy");
    let mut met = 0;
    for changes in 0..500 {
        let restore = format!("r-{changes}");
        let (_, died) = effects::interruption::death_after(changes, || world.put_back("b-1", &restore));
        if died && !world.state().exists() {
            fs::create_dir(world.state()).expect("a directory");
            fs::write(world.state().join("precious"), "x").expect("a file");
            let refused = world.put_back("b-1", &restore).expect_err("somebody's is there");
            assert!(refused.to_string().contains("come into the place"), "{refused}");
            assert_eq!(fs::read_to_string(world.state().join("precious")).expect("the file"), "x");
            fs::remove_file(world.state().join("precious")).expect("a removal");
            met += 1;
        }
        world.put_back("b-1", &restore).expect("nothing is in the way");
        if !died {
            break;
        }
    }
    assert!(met > 0, "there was no such moment");
}

mod another;
mod checks;
mod closed;
mod crashes;
mod disks;
mod halves;
mod hostile;
mod limits;
mod lives;
mod plain;
mod pruning;
mod removals;
mod room;
mod silence;
