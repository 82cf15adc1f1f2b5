//! Putting a copy back, so that it may be interrupted anywhere and begun again.
//!
//! 1. The copy is copied to `restoring/<game>/<restore>/`, and compared with its manifest. (This may be
//!    done long before the rest, while an engine runs: [`StateRoot::fetch_backup`].)
//! 2. `failed/<game>/<restore>/put-back.json` says what is put back.
//! 3. What is in the copy's place is moved to `failed/<game>/<restore>/state`.
//! 4. `restoring/<game>/<restore>/state` is moved into its place.
//! 5. The note says that it is done, and `restoring/<game>/<restore>/` goes.
//!
//! Which of these have been done shows in what is where, so the same call goes on from there; after
//! the fifth it does nothing, whatever the game has become since. At each moment the state that was,
//! and the copy, are on the disk.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::AtFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::super::state::StateRoot;
use super::super::{beneath, effects, moving, small_file};
use super::checks::{IS_A_MOUNT, room_at};
use super::error::CopyError;
use super::room::{Needs, Purpose};
use super::survey::survey;
use super::watch::Watch;
use super::{BACKUPS, LONGEST_MANIFEST, MANIFEST, Manifest, STATE, left_behind, make, read_backup, remove};
use crate::game::{Backup, BackupId, GameId, RestoreId};

pub(super) const RESTORING: &str = "restoring";
pub(super) const FAILED: &str = "failed";
pub(super) const NOTE: &str = "put-back.json";

/// What is put back, beside what was in its place.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Note {
    restore: RestoreId,
    backup: Backup,
    done: bool,
}

impl StateRoot {
    /// Copies a kept copy beside the game's state and compares it with what was copied once, so that
    /// [`StateRoot::put_back`] under the same name has but to move it. What was fetched for another
    /// putting back, and is not wanted any more, goes.
    ///
    /// An engine may be at work in the state directory: nothing in it is touched.
    ///
    /// # Errors
    /// The copy is not there or is damaged, there is no room, or it could not be moved into its place.
    pub fn fetch_backup(
        &self,
        game: GameId,
        id: &BackupId,
        restore: &RestoreId,
        watch: &Watch,
    ) -> Result<Backup, CopyError> {
        let _working = self.working_on(game)?;
        let restoring = self.place(RESTORING, game)?;
        self.check_movable(game, &restoring, &self.place(FAILED, game)?)?;
        self.fetch(&restoring, game, id, restore, true, watch)
    }

    /// Puts a copy back in the place of a game's state directory, which is moved aside. The same
    /// call again, under the same name, ends what was begun and does nothing twice.
    ///
    /// Nobody may be at work in the state directory.
    ///
    /// # Errors
    /// The copy is not there or is damaged, there is no room, or something that is not empty has
    /// come into the place meanwhile. Then the state is where it was, or aside.
    pub fn put_back(
        &self,
        game: GameId,
        id: &BackupId,
        restore: &RestoreId,
        watch: &Watch,
    ) -> Result<Backup, CopyError> {
        let _working = self.working_on(game)?;
        let aside = self.place(FAILED, game)?;
        if let Some(note) = read_note(&aside, restore)?.filter(|note| note.done) {
            let done = self.confirmed(note, game, id, restore)?;
            left_behind(remove(&self.place(RESTORING, game)?, restore.as_str(), watch))?;
            return Ok(done);
        }
        let restoring = self.place(RESTORING, game)?;
        let backup = self.fetch(&restoring, game, id, restore, false, watch)?;
        watch.check()?;
        let moved = self.move_aside(&aside, &restoring, game, restore, (&backup, watch))?;
        watch.check()?;
        self.move_in(&restoring, game, restore, watch)?;
        let done = Note { restore: restore.clone(), backup: backup.clone(), done: true };
        write_note(&moved, &done)?;
        left_behind(remove(&restoring, restore.as_str(), watch))?;
        Ok(backup)
    }

    /// What a note says was done, if it is the note of this very putting back, of this very copy.
    fn confirmed(
        &self,
        note: Note,
        game: GameId,
        id: &BackupId,
        restore: &RestoreId,
    ) -> Result<Backup, CopyError> {
        if note.restore != *restore || note.backup.game != game {
            return Err(CopyError::Unfit(format!(
                "the note on {restore} is that of {} of game {}",
                note.restore, note.backup.game
            )));
        }
        let kept = self.place(BACKUPS, game)?;
        let is_another = |kept: &Backup| kept.digest != note.backup.digest;
        match read_backup(&kept, game, id) {
            Ok(kept) if kept.as_ref().is_some_and(is_another) => {
                Err(CopyError::Unfit(format!("{restore} put another copy back that was named {id}")))
            }
            // It may have gone, or been harmed, since it was put back.
            Ok(_) | Err(CopyError::Damaged(_)) => of(restore, note.backup, id),
            Err(error) => Err(error),
        }
    }

    /// The first of the three: the copy's copy, verified. `beside_others`: an engine goes on meanwhile, and
    /// the room that others need comes first.
    fn fetch(
        &self,
        restoring: &OwnedFd,
        game: GameId,
        id: &BackupId,
        restore: &RestoreId,
        beside_others: bool,
        watch: &Watch,
    ) -> Result<Backup, CopyError> {
        let there = fetched(restoring, restore)?;
        if let Some((manifest, state)) = &there {
            let backup = of(restore, manifest.backup.clone(), id)?;
            if is_whole(manifest, state.as_ref(), watch)? {
                self.room.is_fetched(game, restore);
                return Ok(backup);
            }
        }
        for other in beneath::names(restoring)? {
            // Half copies are swept; a whole one is of a putting back that gave way to this one.
            let other = other.to_str().ok().filter(|other| other.parse::<RestoreId>().is_ok());
            if let Some(other) = other.filter(|other| *other != restore.as_str()) {
                left_behind(remove(restoring, other, watch))?;
            }
        }
        let kept = self.place(BACKUPS, game)?;
        let absent = || CopyError::Absent(format!("copy {id}"));
        let backup = read_backup(&kept, game, id)?.ok_or_else(absent)?;
        if there.is_some() {
            // Something of it is gone, and nothing of what it was fetched from.
            remove(restoring, restore.as_str(), watch)?;
        }
        let state = beneath::open(&beneath::open(&kept, id.as_str())?, STATE)?;
        let _taken = if beside_others {
            let room = room_at(&state, restoring, survey(&state, watch)?.room)?;
            let needs = Needs { restoring: room, ..Needs::default() };
            Some(self.take_room_beside(game, needs, Purpose::Wish, Some(restore))?)
        } else {
            None
        };
        let made = make(restoring, restore.as_str(), &state, watch, |measure| {
            if measure.is_what(&backup) { Ok(backup.clone()) } else { Err(damaged(id)) }
        })?;
        self.room.is_fetched(game, restore);
        Ok(made)
    }

    /// 2 and 3. The state that is there is moved aside, unless it was, or is already the copy.
    fn move_aside(
        &self,
        aside: &OwnedFd,
        restoring: &OwnedFd,
        game: GameId,
        restore: &RestoreId,
        (backup, watch): (&Backup, &Watch),
    ) -> Result<OwnedFd, CopyError> {
        if beneath::open_if_there(aside, restore.as_str())?.is_none() {
            effects::make_directory(aside, restore.as_str())?;
            effects::flush(aside)?;
        }
        let moved = beneath::open(aside, restore.as_str())?;
        if small_file::read(&moved, NOTE, LONGEST_MANIFEST)?.is_none() {
            let begun = Note { restore: restore.clone(), backup: backup.clone(), done: false };
            write_note(&moved, &begun)?;
        }
        let here = beneath::open(restoring, restore.as_str())?;
        let is_in_place = beneath::open_if_there(&here, STATE)?.is_none();
        let root = self.open()?;
        self.check(&root)?;
        if is_in_place || is_there(&moved, STATE)? || !is_there(&root, &game.to_string())? {
            return Ok(moved);
        }
        // A link, or a file, in its place is somebody's answer to be looked at, not state.
        drop(beneath::open(&root, &game.to_string())?);
        watch.check()?;
        let name = game.to_string();
        let rename = || effects::rename_new(&root, &name, &moved, STATE);
        moving::whatever_its_mode(&root, &name, rename).map_err(mounted)?;
        effects::flush(&moved)?;
        effects::flush(&root)?;
        Ok(moved)
    }

    /// 4. The copy is moved into its place. A directory there gives way only if it is empty.
    ///
    /// A controller that leads no more, and does not know it, may be about to remove what was fetched. It takes
    /// the name away before it takes anything else, so a name that is still there at the last moment is that of
    /// a whole copy.
    fn move_in(
        &self,
        restoring: &OwnedFd,
        game: GameId,
        restore: &RestoreId,
        watch: &Watch,
    ) -> Result<(), CopyError> {
        let (manifest, state) = fetched(restoring, restore)?.ok_or(CopyError::Busy)?;
        if state.is_none() {
            return Ok(());
        }
        if !is_whole(&manifest, state.as_ref(), watch)? {
            return Err(CopyError::Busy);
        }
        let here = beneath::open(restoring, restore.as_str())?;
        let root = self.open()?;
        self.check(&root)?;
        let name = format!("{restore}/{STATE}");
        watch.check()?;
        let rename = || effects::rename(restoring, &name, &root, game.to_string());
        moving::whatever_its_mode(&here, STATE, rename).map_err(|error| match error {
            Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR => CopyError::Unfit(
                "something has come into the place of the state directory meanwhile; move it away".into(),
            ),
            Errno::NOENT => CopyError::Busy,
            other => mounted(other),
        })?;
        effects::flush(&root)?;
        Ok(effects::flush(&here)?)
    }
}

/// The copy that was fetched under this name, if it is there: its manifest, and its state, unless that is in its
/// place already.
fn fetched(
    restoring: &OwnedFd,
    restore: &RestoreId,
) -> Result<Option<(Manifest, Option<OwnedFd>)>, CopyError> {
    let Some(directory) = beneath::open_if_there(restoring, restore.as_str())? else { return Ok(None) };
    let text = small_file::read(&directory, MANIFEST, LONGEST_MANIFEST)?.unwrap_or_default();
    let manifest = serde_json::from_str(&text).map_err(io::Error::other)?;
    Ok(Some((manifest, beneath::open_if_there(&directory, STATE)?)))
}

/// True if nothing is gone of a copy that was fetched and verified: as many names, files and bytes. One that is in
/// its place already is nobody's to look at any more.
fn is_whole(manifest: &Manifest, state: Option<&OwnedFd>, watch: &Watch) -> Result<bool, CopyError> {
    let Some(state) = state else { return Ok(true) };
    let found = survey(state, watch)?;
    let has_all = manifest.room.is_none_or(|room| room.inodes == found.room.inodes);
    Ok(has_all && (found.files, found.bytes) == (manifest.backup.files, manifest.backup.bytes))
}

pub(super) fn damaged(id: &BackupId) -> CopyError {
    CopyError::Damaged(format!("copy {id} is not what was copied; it is left as it is"))
}

/// One name is of one wish.
fn of(restore: &RestoreId, backup: Backup, id: &BackupId) -> Result<Backup, CopyError> {
    if backup.id == *id {
        Ok(backup)
    } else {
        Err(CopyError::Unfit(format!("{restore} puts copy {} back, and not {id}", backup.id)))
    }
}

pub(super) fn read_note(aside: &OwnedFd, restore: &RestoreId) -> Result<Option<Note>, CopyError> {
    let Some(directory) = beneath::open_if_there(aside, restore.as_str())? else { return Ok(None) };
    let text = small_file::read(&directory, NOTE, LONGEST_MANIFEST)?;
    text.map(|text| {
        serde_json::from_str(&text)
            .map_err(|error| CopyError::Damaged(format!("the note on {restore} is damaged: {error}")))
    })
    .transpose()
}

fn write_note(moved: &OwnedFd, note: &Note) -> Result<(), CopyError> {
    let text = serde_json::to_string_pretty(note).map_err(io::Error::other)?;
    Ok(small_file::replace(moved, NOTE, &text)?)
}

fn is_there(parent: &OwnedFd, name: &str) -> Result<bool, CopyError> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A directory that something is mounted on stays where it is.
pub(super) fn mounted(error: Errno) -> CopyError {
    match error {
        Errno::BUSY | Errno::XDEV => CopyError::Unfit(IS_A_MOUNT.into()),
        other => other.into(),
    }
}
