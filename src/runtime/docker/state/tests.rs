use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::*;

const GAME: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";

struct World {
    directory: tempfile::TempDir,
    root: StateRoot,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = StateRoot::new(directory.path().join("srv/state"), None);
        Self { directory, root }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("srv/state")
    }

    fn game(&self) -> PathBuf {
        self.root().join(GAME)
    }
}

fn game() -> GameId {
    GAME.parse().expect("an id")
}

/// Removes what the game has there now.
fn take_away(root: &StateRoot) -> Result<(), CopyError> {
    root.remove(&root.hold(game())?, &Watch::nobody())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o7777
}

#[test]
fn a_directory_is_made_once_and_belongs_to_its_engine() {
    let world = World::new();
    assert_eq!(world.root.look(game()).expect("a look"), StateDirectory::Absent);
    world.root.create(game(), RunAs::Auto, &Watch::nobody()).expect("a directory");
    fs::write(world.game().join("turn"), "7").expect("a file");
    world.root.create(game(), RunAs::Auto, &Watch::nobody()).expect("the same directory");
    assert_eq!(fs::read_to_string(world.game().join("turn")).expect("the file"), "7");
    assert_eq!(world.root.look(game()).expect("a look"), StateDirectory::Present);
    assert_eq!((mode(&world.root()), mode(&world.game())), (0o711, 0o700));
    let owner = directory_owner(RunAs::Auto).expect("an owner");
    let found = fs::metadata(world.game()).expect("metadata");
    assert_eq!((found.uid(), found.gid()), (owner.uid, owner.gid));
}

#[test]
fn a_user_that_docker_maps_to_another_is_barred_from_a_directory_that_is_not_its_own() {
    let world = World::new();
    world.root.create(game(), RunAs::Auto, &Watch::nobody()).expect("a directory");
    let owner = directory_owner(RunAs::Auto).expect("an owner");
    assert_eq!(world.root.bars(game(), owner).expect("a look"), None);
    let mapped = User { uid: owner.uid + 100_000, gid: owner.gid + 100_000 };
    let barred = world.root.bars(game(), mapped).expect("a look").expect("it is barred");
    assert!(barred.contains(&format!("belongs to {owner} (mode 700)")), "{barred}");
    world.root.create(game(), RunAs::Image, &Watch::nobody()).expect("a directory for everybody");
    assert_eq!(world.root.bars(game(), mapped).expect("a look"), None);
}

#[test]
fn the_directories_within_a_state_are_counted_up_to_a_limit() {
    let world = World::new();
    assert_eq!(world.root.directories_within(game()).ok(), None, "there is no state root");
    world.root.create(game(), RunAs::Auto, &Watch::nobody()).expect("a directory");
    fs::create_dir_all(world.game().join("a/b")).expect("directories");
    fs::write(world.game().join("file"), "").expect("a file");
    symlink("/", world.game().join("link")).expect("a link");
    let mut within = world.root.directories_within(game()).expect("a look").expect("few");
    within.sort();
    assert_eq!(within, [PathBuf::from("a"), PathBuf::from("a/b")]);
    for number in 0..300 {
        fs::create_dir(world.game().join(format!("turn-{number}"))).expect("a directory");
    }
    assert_eq!(world.root.directories_within(game()).expect("a look"), None, "they are too many");
}

#[test]
fn an_image_that_decides_its_user_gets_a_directory_for_everybody() {
    let world = World::new();
    world.root.create(game(), RunAs::Image, &Watch::nobody()).expect("a directory");
    assert_eq!(mode(&world.game()), 0o777);
}

#[test]
fn a_state_root_that_is_there_keeps_its_mode() {
    let world = World::new();
    fs::create_dir_all(world.root()).expect("a root");
    fs::set_permissions(world.root(), fs::Permissions::from_mode(0o750)).expect("a mode");
    world.root.create(game(), RunAs::Auto, &Watch::nobody()).expect("a directory");
    assert_eq!(mode(&world.root()), 0o750);
}

#[test]
fn a_link_in_the_place_of_the_directory_is_refused_by_everything() {
    let world = World::new();
    let outside = world.directory.path().join("outside");
    fs::create_dir_all(&outside).expect("a directory");
    fs::write(outside.join("precious"), "x").expect("a file");
    let before = (mode(&outside), fs::metadata(&outside).expect("metadata").uid());
    world.root.prepare().expect("a root");
    symlink(&outside, world.game()).expect("a link");
    assert!(world.root.look(game()).is_err());
    assert!(world.root.create(game(), RunAs::Image, &Watch::nobody()).is_err());
    assert!(take_away(&world.root).is_err());
    assert!(outside.join("precious").exists());
    assert_eq!((mode(&outside), fs::metadata(&outside).expect("metadata").uid()), before);
}

#[test]
fn removal_takes_everything_inside_and_nothing_outside() {
    let world = World::new();
    let outside = world.directory.path().join("outside");
    fs::create_dir_all(outside.join("deep")).expect("directories");
    fs::write(outside.join("precious"), "x").expect("a file");
    world.root.create(game(), RunAs::Auto, &Watch::nobody()).expect("a directory");
    let inside = world.game();
    fs::create_dir_all(inside.join("a/b/c")).expect("directories");
    fs::write(inside.join("a/b/file"), "x").expect("a file");
    fs::write(inside.join(".removed-1"), "in the way").expect("a file");
    fs::create_dir_all(inside.join("a/locked/x")).expect("directories");
    fs::set_permissions(inside.join("a/locked"), fs::Permissions::from_mode(0o500)).expect("a mode");
    symlink(&outside, inside.join("escape")).expect("a link");
    symlink(&outside, inside.join("a/b/c/escape")).expect("a link");
    symlink("../../../outside/precious", inside.join("a/escape")).expect("a link");
    take_away(&world.root).expect("removal");
    assert!(!inside.exists());
    assert!(outside.join("precious").exists() && outside.join("deep").exists());
    take_away(&world.root).expect("removal again");
}

#[test]
fn removal_copes_with_any_depth() {
    let world = World::new();
    world.root.create(game(), RunAs::Auto, &Watch::nobody()).expect("a directory");
    let root = world.root.open().expect("the root");
    let mut at = beneath::open(&root, GAME).expect("the directory");
    // Far deeper than a path can be long or file descriptors go.
    for _ in 0..5_000 {
        rustix::fs::mkdirat(&at, "d", Mode::RWXU).expect("a directory");
        at = beneath::open(&at, "d").expect("the directory");
    }
    drop(at);
    take_away(&world.root).expect("removal");
    assert_eq!(world.root.look(game()).expect("a look"), StateDirectory::Absent);
}

#[test]
fn what_is_mounted_inside_is_not_emptied() {
    for place in ["mounted", "deep/mounted"] {
        let world = World::new();
        world.root.create(game(), RunAs::Auto, &Watch::nobody()).expect("a directory");
        let (outside, inside) = (world.directory.path().join("outside"), world.game().join(place));
        for directory in [&outside, &inside] {
            fs::create_dir_all(directory).expect("directories");
        }
        fs::write(outside.join("precious"), "x").expect("a file");
        let Some(mounted) = Mounted::bind(&outside, &inside) else { return };
        let refused = take_away(&world.root).expect_err("something is mounted there");
        let moved = world.root().join(".gamekeeper/removed").join(GAME);
        assert!(refused.to_string().contains("mounted"), "{refused}");
        assert!(refused.to_string().contains(&format!(".gamekeeper/removed/{GAME}")), "{refused}");
        assert!(outside.join("precious").exists());
        assert_eq!(world.root.look(game()).expect("a look"), StateDirectory::Absent);
        drop(mounted.moved_to(|| find(&moved, "mounted")));
        take_away(&world.root).expect("a removal");
        assert!(outside.join("precious").exists());
    }
}

/// A bind mount, for as long as this lives. Only root may make one.
struct Mounted(PathBuf);

impl Mounted {
    fn bind(from: &Path, to: &Path) -> Option<Self> {
        let mount = std::process::Command::new("mount").arg("--bind").args([from, to]).output().ok()?;
        mount.status.success().then(|| Self(to.into()))
    }
}

impl Mounted {
    /// It was moved with the directory that it is in.
    fn moved_to(self, place: impl FnOnce() -> PathBuf) -> Self {
        let moved = Self(place());
        std::mem::forget(self);
        moved
    }
}

/// The path of this name, somewhere in a directory.
fn find(within: &Path, name: &str) -> PathBuf {
    let mut waiting = vec![within.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.file_name().is_some_and(|it| it == name) {
            return path;
        }
        waiting.extend(fs::read_dir(&path).expect("a listing").map(|entry| entry.expect("an entry").path()));
    }
    panic!("no {name} in {}", within.display());
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

mod hostile;
