//! Versions to which changes failed on too many games: nobody else is moved to them until a person
//! says so.

use std::collections::HashMap;

use crate::game::EngineVersion;
use crate::store::version_records::PatchFailures;

/// How often changes to each version failed.
#[derive(Debug, Default)]
pub(super) struct Failures {
    of: HashMap<EngineVersion, PatchFailures>,
    /// So many halt a version.
    most: u32,
}

impl Failures {
    pub(super) fn new(known: HashMap<EngineVersion, PatchFailures>, most: u32) -> Self {
        Self { of: known, most }
    }

    /// A change to this version failed. `resumed` counts the times a person said that they go on.
    pub(super) fn count(&mut self, version: EngineVersion, resumed: i64) {
        let known = self.of.entry(version).or_default();
        *known = known.one_more(resumed);
    }

    /// Why nobody is moved to this version, if so.
    pub(super) fn halt(&self, version: &EngineVersion, resumed: i64) -> Option<String> {
        let known = self.of.get(version).filter(|known| known.since_resumed >= resumed)?;
        (known.failures >= self.most).then(|| {
            format!(
                "Changes to engine version {version} failed on {} games, and are halted. `gamekeeper versions resume {version}` lets them go on.",
                known.failures
            )
        })
    }
}
