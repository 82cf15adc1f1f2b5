//! Which engine version a game means: the one it names, or the newest that fits.

use std::collections::HashMap;

use sea_orm::{Condition, ConnectionTrait, DbErr};

use crate::game::version::VersionWish;
use crate::game::{EngineVersion, VersionEntry};

use super::{convert, readable};

/// A registered version, with how often a person said that changes to it go on.
#[derive(Debug, Clone)]
pub(super) struct Registered {
    pub(super) entry: VersionEntry,
    pub(super) resumed: i64,
}

/// Every version that can be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Registry(HashMap<EngineVersion, Registered>);

impl Registry {
    pub(super) async fn read(db: &impl ConnectionTrait) -> Result<Self, DbErr> {
        let rows = readable::versions(db, Condition::all()).await?;
        for row in &rows {
            for problem in &row.unreadable {
                let version = &row.version.version;
                tracing::warn!(
                    version,
                    column = problem.field,
                    "a column cannot be read; nothing starts by it"
                );
            }
        }
        let whole = rows.iter().filter(|row| row.unreadable.is_empty()).map(|row| &row.version);
        let registered = whole.filter_map(|row| {
            let entry = convert::version(row)?;
            Some((entry.version.clone(), Registered { entry, resumed: row.resume_generation }))
        });
        Ok(Self(registered.collect()))
    }

    /// This one too, or in the place of the one that has its number.
    pub(super) fn with(mut self, entry: &VersionEntry) -> Self {
        let resumed = self.0.get(&entry.version).map_or(0, |known| known.resumed);
        self.0.insert(entry.version.clone(), Registered { entry: entry.clone(), resumed });
        self
    }

    /// How often a person said that changes to this version go on.
    pub(super) fn resumed(&self, version: &EngineVersion) -> Option<i64> {
        self.0.get(version).map(|known| known.resumed)
    }

    /// What the text of a game's row means: the version that it names, enabled or not; or the newest
    /// enabled one that fits.
    pub(super) fn resolve(&self, wanted: &str) -> Option<&Registered> {
        match wanted.parse().ok()? {
            VersionWish::Exactly(version) => self.0.get(&version),
            wish @ VersionWish::Newest(_) => self
                .0
                .values()
                .filter(|known| known.entry.enabled && wish.accepts(&known.entry.version))
                .max_by(|a, b| a.entry.version.cmp(&b.entry.version)),
        }
    }
}
