//! Directories that their own owner may not read, or not write to, where the controller is not root.

use super::another::{again_as_another, as_another};
use super::*;

const PLACE: &str = "runtime::docker::copies::tests::closed::";

/// The directory of the game's state, or of what is kept of it.
fn at(root: &StateRoot, place: &str) -> PathBuf {
    root.real_path().expect("a state root").join(place)
}

fn closed(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Directories in directories, of which the inner ones can be read and no more.
fn with_read_only(top: &Path) {
    fs::create_dir_all(top.join("outer/inner/deep")).expect("directories");
    fs::write(top.join("outer/inner/deep/file"), "x").expect("a file");
    for inner in ["outer/inner/deep", "outer/inner", "outer"] {
        closed(&top.join(inner), 0o555);
    }
}

#[test]
fn what_its_owner_may_not_write_to_is_copied_put_back_and_removed() {
    let Some(root) = as_another() else {
        let test = "what_its_owner_may_not_write_to_is_copied_put_back_and_removed";
        return again_as_another(&format!("{PLACE}{test}"), World::new(), |_| false);
    };
    let state = at(&root, GAME);
    with_read_only(&state);
    closed(&state, 0o555);
    let then = tree(&state);
    for id in ["b-1", "b-2"] {
        root.copy(&new(id), &Watch::nobody()).expect("a copy");
    }
    root.remove_backup(game(), &name("b-2"), &Watch::nobody()).expect("a removal");
    root.put_back(game(), &name("b-1"), &restore_name("r-1"), &Watch::nobody()).expect("it is put back");
    assert_eq!(tree(&state), then);
    assert_eq!(tree(&at(&root, &format!(".gamekeeper/failed/{GAME}/r-1/state"))), then);
    // One that cannot even be opened.
    closed(&state, 0o755);
    fs::create_dir_all(state.join("shut/in")).expect("directories");
    fs::write(state.join("shut/in/file"), "x").expect("a file");
    closed(&state.join("shut/in"), 0o000);
    closed(&state.join("shut"), 0o000);
    closed(&state, 0o555);
    take_away(&root).expect("a removal");
    take_copies_away(&root).expect("a removal");
    assert!(!state.exists() && !root.has_copies(game()).expect("a look"));
}

#[test]
fn what_a_link_in_it_leads_to_keeps_its_mode() {
    let Some(root) = as_another() else {
        let test = "what_a_link_in_it_leads_to_keeps_its_mode";
        return again_as_another(&format!("{PLACE}{test}"), World::new(), |_| false);
    };
    let (state, outside) = (at(&root, GAME), at(&root, "../outside"));
    fs::create_dir(&outside).expect("a directory");
    fs::write(outside.join("precious"), "x").expect("a file");
    fs::create_dir(state.join("outer")).expect("a directory");
    symlink(&outside, state.join("outer/link")).expect("a link");
    symlink(&outside, state.join("link")).expect("a link");
    closed(&outside, 0o000);
    closed(&state.join("outer"), 0o555);
    take_away(&root).expect("a removal");
    assert_eq!(outside.metadata().expect("metadata").mode() & 0o777, 0o000);
    closed(&outside, 0o700);
    assert!(outside.join("precious").exists());
}

#[test]
fn what_is_left_and_cannot_be_removed_is_in_the_way_of_no_copy() {
    let Some(root) = as_another() else {
        let world = World::new();
        world.copy("b-0").expect("a copy");
        let theirs = world.own(BACKUPS).join(".removing-theirs");
        fs::create_dir_all(theirs.join("state")).expect("directories");
        fs::write(theirs.join("state/file"), "x").expect("a file");
        let test = "what_is_left_and_cannot_be_removed_is_in_the_way_of_no_copy";
        let is_theirs = |path: &Path| path.components().any(|part| part.as_os_str() == ".removing-theirs");
        return again_as_another(&format!("{PLACE}{test}"), world, is_theirs);
    };
    let kept = at(&root, &format!(".gamekeeper/backups/{GAME}"));
    with_read_only(&kept.join(".making-ours/state"));
    root.copy(&new("b-1"), &Watch::nobody()).expect("a copy");
    assert!(!kept.join(".making-ours").exists(), "what can be removed goes");
    root.remove_backup(game(), &name("b-0"), &Watch::nobody()).expect("a removal");
    root.put_back(game(), &name("b-1"), &restore_name("r-1"), &Watch::nobody()).expect("it is put back");
    assert!(kept.join(".removing-theirs/state/file").exists());
    // A removal of everything says so.
    assert!(matches!(take_copies_away(&root), Err(CopyError::Disk(_))));
}
