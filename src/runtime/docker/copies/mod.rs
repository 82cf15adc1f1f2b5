//! Copies of state directories: taken, listed, removed and put back.
//!
//! ```text
//! <state root>/.gamekeeper/backups/<game id>/<backup id>/    a kept copy: manifest.json, state/
//!                          restoring/<game id>/<restore id>/ a copy of one, on its way back
//!                          failed/<game id>/<restore id>/    what was in its place: put-back.json, state/
//!                          removed/<game id>/<a fresh name>/ a state that is being removed
//! ```
//!
//! A copy is made under a name that begins with a dot, which no copy's name does, read again and
//! compared with what was read, and renamed when it is on the disk: one that is listed is whole.
//! What a process left half made or half removed is removed by the next work on that game's copies.
//! Every such name is a new one: whoever still works on what was removed meanwhile finds nothing under
//! it, and never another's half copy.
//! As with state directories, nothing is named by a path, and no link is followed.

mod checks;
mod error;
mod put_back;
mod removal;
mod room;
mod survey;
mod tree;
mod watch;

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sentinel::DIRECTORY as OWN;
use super::state::StateRoot;
use super::{beneath, effects, remove_tree, small_file};
use crate::game::{Backup, BackupId, GameId, NewBackup};
use crate::runtime::{CopyProgress, MayGo, Shortage};
use checks::room_at;
pub use error::CopyError;
pub use removal::Belongings;
pub(super) use room::Promises;
use room::{Needs, Purpose};
pub use watch::Watch;
pub(super) use watch::{PausedGames, attend};

const BACKUPS: &str = "backups";
const STATE: &str = "state";
const SHARED: &str = "shared";
const MANIFEST: &str = "manifest.json";
/// The longest manifest that is read, in bytes.
const LONGEST_MANIFEST: u64 = 16 << 10;
const MAKING: &str = ".making-";
const REMOVING: &str = ".removing-";
/// How long other work on a game's copies is waited for: what was called off ends within a moment.
const WORKING_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });
/// So often is looked whether an engine has come to rest.
const PATIENCE: usize = 25;

impl StateRoot {
    /// Takes a copy of a game's state directory. One that has this name already is the answer, if it is
    /// of the state as it is.
    ///
    /// # Errors
    /// There is no room, the state changed meanwhile, or something in it cannot be copied; then
    /// nothing of the copy is left. Or the name is that of a copy of another state.
    pub fn copy(&self, new: &NewBackup, watch: &Watch) -> Result<Backup, CopyError> {
        let _working = self.working_on(new.game)?;
        let kept = self.place(BACKUPS, new.game)?;
        let state = self
            .open_game(new.game)?
            .ok_or_else(|| CopyError::Absent(format!("the state directory of {}", new.game)))?;
        if let Some(there) = read_backup(&kept, new.game, &new.id)? {
            let is_of_it = there.reason == new.reason && tree::read(&state, watch)?.is_what(&there);
            if !is_of_it {
                return Err(CopyError::NameTaken(new.id.to_string()));
            }
            self.room.is_copied(new.game, &new.id);
            return Ok(there);
        }
        let _taken = match Purpose::of(new.reason) {
            Some(purpose) => {
                let room = room_at(&state, &kept, survey::survey(&state, watch)?.room)?;
                let needs = Needs { backups: room, ..Needs::default() };
                Some(self.take_room_beside(new.game, needs, purpose, None)?)
            }
            None => None,
        };
        let made = make(&kept, new.id.as_str(), &state, watch, |measure| Ok(described(new, measure)))?;
        self.room.is_copied(new.game, &new.id);
        Ok(made)
    }

    /// The kept copies of a game, oldest first. A directory that is none is passed over.
    ///
    /// # Errors
    /// The disk cannot be read, or the state root is another's.
    pub fn backups(&self, game: GameId) -> Result<Vec<Backup>, CopyError> {
        let Some(kept) = self.place_if_there(BACKUPS, game)? else { return Ok(Vec::new()) };
        let mut backups = Vec::new();
        for name in beneath::names(&kept)? {
            let Some(id) = name.to_str().ok().and_then(|name| name.parse::<BackupId>().ok()) else {
                continue;
            };
            match read_backup(&kept, game, &id) {
                Ok(backup) => backups.extend(backup),
                Err(CopyError::Damaged(why)) => {
                    tracing::warn!(game_id = %game, backup = %id, why, "what is kept here is no copy");
                }
                Err(error) => return Err(error),
            }
        }
        backups.sort_by(|a: &Backup, b| (a.taken_at, &a.id).cmp(&(b.taken_at, &b.id)));
        Ok(backups)
    }

    /// Removes a kept copy; success if it is gone.
    ///
    /// # Errors
    /// It cannot be removed. Once its removal has begun, it is listed no more.
    pub fn remove_backup(&self, game: GameId, id: &BackupId, watch: &Watch) -> Result<(), CopyError> {
        let _working = self.working_on(game)?;
        let Some(kept) = self.place_if_there(BACKUPS, game)? else { return Ok(()) };
        remove(&kept, id.as_str(), watch)
    }

    /// The same for a copy that is too much, if it may go; says whether it is gone. Whatever else is to be done
    /// about the game's copies comes first: then it ends, and what is left is swept later.
    ///
    /// # Errors
    /// It cannot be removed, or others came first.
    pub fn prune_backup(
        &self,
        game: GameId,
        id: &BackupId,
        may_go: &Arc<dyn MayGo>,
        watch: &Watch,
    ) -> Result<bool, CopyError> {
        let working = self.working_on(game)?;
        let watch = watch.giving_way(may_go, &working);
        let Some(kept) = self.place_if_there(BACKUPS, game)? else { return Ok(true) };
        remove_if(&kept, id.as_str(), &watch, || may_go.copy(id))
    }

    /// Nobody else works on this game's copies while this is held.
    pub(super) fn working_on(&self, game: GameId) -> Result<Working<'_>, CopyError> {
        let games = self.copying.games.lock().unwrap_or_else(PoisonError::into_inner);
        let is_worked_on = |games: &mut HashMap<GameId, Arc<AtomicBool>>| {
            games.get(&game).inspect(|is_wanted| is_wanted.store(true, Ordering::Relaxed)).is_some()
        };
        let waited = self.copying.ended.wait_timeout_while(games, WORKING_PATIENCE, is_worked_on);
        let (mut games, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if games.contains_key(&game) {
            return Err(CopyError::Busy);
        }
        games.insert(game, Arc::default());
        Ok(Working { copying: &self.copying, game })
    }

    /// A directory of this game's in Gamekeeper's own, made if it is missing.
    fn place(&self, kind: &str, game: GameId) -> Result<OwnedFd, CopyError> {
        let mut at = self.open()?;
        self.check(&at)?;
        for name in [OWN, kind, &game.to_string()] {
            if beneath::open_if_there(&at, name)?.is_none() {
                effects::make_directory(&at, name)?;
                effects::flush(&at)?;
            }
            at = beneath::open(&at, name)?;
        }
        Ok(at)
    }

    /// The place where something of a game's is or would come to lie, as far as that is there: to look for
    /// room, or for the file system that it is on. Makes nothing.
    fn near(&self, kind: &str, game: GameId) -> Result<OwnedFd, CopyError> {
        let mut at = self.open()?;
        self.check(&at)?;
        for name in [OWN, kind, &game.to_string()] {
            match beneath::open_if_there(&at, name)? {
                Some(inner) => at = inner,
                None => break,
            }
        }
        Ok(at)
    }

    fn place_if_there(&self, kind: &str, game: GameId) -> Result<Option<OwnedFd>, CopyError> {
        let mut at = self.open()?;
        self.check(&at)?;
        for name in [OWN, kind, &game.to_string()] {
            match beneath::open_if_there(&at, name)? {
                Some(inner) => at = inner,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }
}

/// The games whose copies are being worked on.
#[derive(Debug, Default)]
pub(super) struct BusyGames {
    /// Each with whether somebody else wants to work on it.
    games: Mutex<HashMap<GameId, Arc<AtomicBool>>>,
    /// Work on one of them ended.
    ended: Condvar,
}

pub(super) struct Working<'a> {
    copying: &'a BusyGames,
    game: GameId,
}

impl Working<'_> {
    /// True from the moment on at which somebody else wants to work on the game.
    fn is_wanted(&self) -> Arc<AtomicBool> {
        let games = self.copying.games.lock().unwrap_or_else(PoisonError::into_inner);
        games.get(&self.game).cloned().unwrap_or_default()
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.copying.games.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.game);
        self.copying.ended.notify_all();
    }
}

/// A name for what is half made or half removed; nothing ever had it.
fn half(prefix: &str) -> String {
    format!("{prefix}{}", uuid::Uuid::new_v4().simple())
}

/// Copies a directory to `within/name/state`, with a manifest beside it. It is there as a whole, or
/// not at all. `describe` may refuse what was read.
fn make(
    within: &OwnedFd,
    name: &str,
    from: &OwnedFd,
    watch: &Watch,
    describe: impl FnOnce(&tree::Measure) -> Result<Backup, CopyError>,
) -> Result<Backup, CopyError> {
    // Names are new ones: what cannot be removed is in nobody's way.
    left_behind(sweep(within, watch))?;
    let half = half(MAKING);
    let mut needed = survey::Room::default();
    let made = fill(within, &half, from, watch, &mut needed, describe).map_err(|error| match error {
        CopyError::Disk(error) if error.kind() == io::ErrorKind::StorageFull => {
            // Looked for while what was half made still takes its part.
            let shortage = survey::shortage(within, needed).ok().flatten();
            CopyError::NoRoom(shortage.unwrap_or(Shortage::Untold))
        }
        other => other,
    });
    let made = made.and_then(|backup| {
        effects::rename(within, &half, within, name)?;
        effects::flush(within)?;
        Ok(backup)
    });
    if made.is_err() {
        // If that fails too, the next work on this game's copies does it.
        let _ = remove_half(within, &half, &watch.to_its_end());
    }
    made
}

fn fill(
    within: &OwnedFd,
    half: &str,
    from: &OwnedFd,
    watch: &Watch,
    needed: &mut survey::Room,
    describe: impl FnOnce(&tree::Measure) -> Result<Backup, CopyError>,
) -> Result<Backup, CopyError> {
    let before = at_rest(from, watch)?;
    *needed = before.room;
    watch.at(|progress| {
        *progress = CopyProgress { files: 0, files_total: before.files, bytes: 0, bytes_total: before.bytes };
    })?;
    // (Bytes only where the content turns out not to be shared; inodes always.)
    survey::check_room(within, survey::Room { bytes: 0, ..before.room })?;
    effects::make_directory(within, half)?;
    let making = beneath::open(within, half)?;
    for inner in [STATE, SHARED] {
        effects::make_directory(&making, inner)?;
    }
    let (state, shared) = (beneath::open(&making, STATE)?, beneath::open(&making, SHARED)?);
    let destination = tree::Destination { top: &state, shared: &shared, room: before.room };
    let read = tree::copy(from, &destination, watch)?;
    remove_tree::empty(&shared, || watch.check())?;
    effects::remove_directory(&making, SHARED)?;
    effects::flush_all(&making)?;
    if !survey::survey(from, watch)?.is_same_as(&before) {
        return Err(CopyError::Changed);
    }
    let written = tree::read(&state, watch)?;
    if !written.is_same_as(&read) {
        return Err(CopyError::Damaged("what was written is not what was read; is the disk sound?".into()));
    }
    let manifest = Manifest { backup: describe(&read)?, room: Some(before.room) };
    let text = serde_json::to_string_pretty(&manifest).map_err(io::Error::other)?;
    small_file::replace(&making, MANIFEST, &text)?;
    watch.at(|_| {})?;
    Ok(manifest.backup)
}

/// What is there, once nothing has changed for a moment.
fn at_rest(from: &OwnedFd, watch: &Watch) -> Result<survey::Survey, CopyError> {
    for _ in 0..PATIENCE {
        let found = survey::survey(from, watch)?;
        if !found.is_fresh {
            return Ok(found);
        }
        std::thread::sleep(survey::TICK);
    }
    Err(CopyError::Changed)
}

fn described(new: &NewBackup, measure: &tree::Measure) -> Backup {
    let NewBackup { id, game, taken_at, reason, turn, timeline, build } = new.clone();
    Backup {
        id,
        game,
        taken_at,
        reason,
        turn,
        timeline,
        build,
        files: measure.files,
        bytes: measure.bytes,
        left_out: measure.left_out,
        digest: measure.digest_text(),
    }
}

/// The note beside a copy.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    #[serde(flatten)]
    backup: Backup,
    /// The room that it takes on a disk, without holes; none: it was noted by a release that did not say.
    #[serde(default)]
    room: Option<survey::Room>,
}

/// The copy of this name, if it is there.
fn read_backup(kept: &OwnedFd, game: GameId, id: &BackupId) -> Result<Option<Backup>, CopyError> {
    Ok(read_manifest(kept, game, id)?.map(|manifest| manifest.backup))
}

fn read_manifest(kept: &OwnedFd, game: GameId, id: &BackupId) -> Result<Option<Manifest>, CopyError> {
    let Some(directory) = beneath::open_if_there(kept, id.as_str())? else { return Ok(None) };
    let text = small_file::read(&directory, MANIFEST, LONGEST_MANIFEST)?.unwrap_or_default();
    let damaged = |why: String| CopyError::Damaged(format!("the manifest of copy {id} is damaged: {why}"));
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    let Backup { id: of, game: whose, .. } = &manifest.backup;
    if *whose != game || of != id {
        return Err(damaged(format!("it is of copy {of} of game {whose}")));
    }
    Ok(Some(manifest))
}

/// Removes a directory that is listed no more from the first moment.
fn remove(within: &OwnedFd, name: &str, watch: &Watch) -> Result<(), CopyError> {
    remove_if(within, name, watch, || true).map(drop)
}

/// The same, if it may go at the last moment; says whether it is gone.
fn remove_if(
    within: &OwnedFd,
    name: &str,
    watch: &Watch,
    may_go: impl FnOnce() -> bool,
) -> Result<bool, CopyError> {
    if beneath::open_if_there(within, name)?.is_some() {
        let half = half(REMOVING);
        watch.check()?;
        if !may_go() {
            return Ok(false);
        }
        effects::rename(within, name, within, &half)?;
        effects::flush(within)?;
        remove_half(within, &half, watch)?;
    }
    left_behind(sweep(within, watch))?;
    Ok(true)
}

/// Removes what was left half made or half removed, as far as it can be removed.
fn sweep(within: &OwnedFd, watch: &Watch) -> Result<(), CopyError> {
    let mut swept = Ok(());
    for name in beneath::names(within)? {
        let Some(name) =
            name.to_str().ok().filter(|name| [MAKING, REMOVING].iter().any(|half| name.starts_with(half)))
        else {
            continue;
        };
        match remove_half(within, name, watch) {
            Err(CopyError::Disk(error)) => swept = Err(CopyError::Disk(error)),
            done => done?,
        }
    }
    swept
}

/// Warns about what cannot be removed, and goes on.
fn left_behind(removed: Result<(), CopyError>) -> Result<(), CopyError> {
    match removed {
        Err(CopyError::Disk(error)) => {
            tracing::warn!(error = %error, "what was left half made or half removed cannot be removed");
            Ok(())
        }
        done => done,
    }
}

fn remove_half(within: &OwnedFd, name: &str, watch: &Watch) -> Result<(), CopyError> {
    let half = std::ffi::CString::new(name).map_err(io::Error::other)?;
    if let Some(half) = remove_tree::open(within, &half)? {
        remove_tree::empty(&half, || watch.one_gone())?;
        effects::remove_directory(within, name)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
