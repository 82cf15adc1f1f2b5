//! Which declared inputs an engine is to be built from.

use crate::game::RaceName;
use crate::game::manifest::FaultySpec;
use crate::game::record::AppliedSpec;
use crate::game::spec::Desired;
use crate::game::version::VersionWish;

/// Why a spec cannot be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unmet {
    /// One CamelCase word for machines.
    pub(super) reason: &'static str,
    /// What is wrong and what to do about it.
    pub(super) message: String,
}

/// The inputs that the desired state declares.
pub(super) fn declared(desired: &Desired) -> Result<AppliedSpec, Unmet> {
    let unmet = |reason, message| Err(Unmet { reason, message });
    let spec = match &desired.spec {
        Ok(spec) => spec,
        Err(FaultySpec { problems, .. }) => {
            let listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let unreadable = problems.iter().any(|problem| problem.unreadable);
            let reason = if unreadable { "UnreadableRow" } else { "InvalidSpec" };
            return unmet(reason, listed.join("; "));
        }
    };
    let Some(wanted) = &spec.engine_version else {
        return unmet(
            "NoEngineVersion",
            "No engine version is set: set engineVersion to a registered one.".into(),
        );
    };
    let Some(version) = desired.version.as_ref().filter(|entry| wanted.accepts(&entry.version)) else {
        return match wanted {
            VersionWish::Exactly(_) => unmet(
                "UnknownEngineVersion",
                format!("Engine version {wanted} is not registered: register it or ask for another one."),
            ),
            VersionWish::Newest(_) => unmet(
                "NoMatchingVersion",
                format!(
                    "No enabled engine version fits {wanted}: register or enable one, or ask for another."
                ),
            ),
        };
    };
    Ok(AppliedSpec::declared(version, spec.resources))
}

/// What only a first start needs.
pub(super) fn may_begin(desired: &Desired) -> Result<(), Unmet> {
    if let Some(version) = desired.version.as_ref().filter(|entry| !entry.enabled) {
        return Err(Unmet {
            reason: "EngineVersionDisabled",
            message: format!(
                "Engine version {} is disabled: enable it or ask for another one.",
                version.version
            ),
        });
    }
    races(desired).map(|_| ())
}

/// Who plays, for an engine that is about to be given its game: never nobody, and by no spec that
/// is invalid. An engine may keep for ever what it is told once, so this is the only place that the
/// races of an initialisation come from.
pub(super) fn first_races(desired: &Desired) -> Result<Vec<RaceName>, Unmet> {
    declared(desired)?;
    races(desired)
}

fn races(desired: &Desired) -> Result<Vec<RaceName>, Unmet> {
    if desired.members.is_empty() {
        return Err(Unmet {
            reason: "NoActiveMembers",
            message: "The game has no active member: add players before it can start.".into(),
        });
    }
    Ok(desired.members.iter().map(|member| member.race_name.clone()).collect())
}
