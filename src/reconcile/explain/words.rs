//! The words of an explanation.

use crate::game::Phase;
use crate::game::container::{Container, ContainerState, Owner, StateDirectory};
use crate::game::engine::Answer;
use crate::game::manifest::FaultySpec;
use crate::game::record::Record;
use crate::game::spec::{Deletion, DeletionPolicy, Desired, DesiredStatus};
use crate::reconcile::observed::{
    Beside, EngineView, Fetching, Looked, Observation, Pulling, RuntimeView, Seen, Work,
};
use crate::reconcile::plan::{
    BACKUP_DAMAGED, BACKUP_GONE, DELETIONS_HELD, DIRECTORY_IN_USE, ENGINE_ENDED, FOREIGN_CONTAINER,
    PARTIAL_INIT, PINNED_IMAGE_GONE, Plan, RECORD_REFUSED, STATE_IN_USE, STATE_MISSING, STRANGE_CONTAINER,
    TURN_WENT_BACK,
};

use super::{Fact, Guard, Hindrance};

fn fact(what: &str, is: impl Into<String>) -> Fact {
    Fact { what: what.to_owned(), is: is.into() }
}

/// The whole in one sentence. That nothing is left is said only while nothing keeps the controller from
/// acting.
pub(super) fn summary(desired: &Desired, planned: &Plan, guard: Option<&Guard>) -> String {
    let shown = &planned.record;
    let (name, left) = (&desired.name, &shown.left_to_do);
    let should = match (desired.deletion, desired.status) {
        (Some(Deletion::Requested), _) => "should be deleted",
        (Some(Deletion::RowGone), _) => "has lost its row",
        (None, DesiredStatus::Running) => "should run",
        (None, DesiredStatus::Stopped) => "should be stopped",
    };
    if let Some(guard) = guard.filter(|guard| guard.message != shown.message) {
        return format!("{name} {should}. Nothing is done for it now: {}", guard.message);
    }
    let does = planned.steps.iter().find(|planned| planned.step.mutates());
    match (left.is_empty(), does) {
        (true, _) if desired.status == DesiredStatus::Stopped => format!("{name} should be stopped, and is."),
        (true, _) if shown.reason == ENGINE_ENDED => {
            format!(
                "{name} is finished, and its engine ended by itself; `gamekeeper restart` brings it up again."
            )
        }
        (true, _) if shown.phase == Phase::Finished => {
            format!("{name} is finished; its engine stays up for reports.")
        }
        (true, Some(planned)) => {
            format!("{name} should run, and does. Next: {}, because {}.", planned.step, planned.cause)
        }
        (true, None) => format!("{name} should run, and does."),
        (false, Some(planned)) => {
            format!("{name} {should}. Next: {}, because {}.", planned.step, planned.cause)
        }
        // What is wrong with it says more than what is missing.
        (false, None) if !matches!(shown.phase, Phase::Running | Phase::Stopped) => {
            format!("{name} {should}. {}", shown.message)
        }
        (false, None) => format!("{name} {should}. What is left: {}. {}", left.join("; "), shown.message),
    }
}

/// The desired state.
pub(super) fn desired(desired: &Desired) -> Vec<Fact> {
    let mut facts = Vec::new();
    let policy = match desired.deletion_policy {
        DeletionPolicy::Retain => "its state is kept",
        DeletionPolicy::Delete => "its state is removed with it",
    };
    match desired.deletion {
        Some(Deletion::Requested) => facts.push(fact("Status", format!("deleted; {policy}"))),
        Some(Deletion::RowGone) => {
            facts.push(fact("Status", format!("its row is gone: deleted after a grace period; {policy}")));
        }
        None => {
            let paused = if desired.paused { ", paused" } else { "" };
            let status = match desired.status {
                DesiredStatus::Running => "running",
                DesiredStatus::Stopped => "stopped",
            };
            facts.push(fact("Status", format!("{status}{paused}")));
        }
    }
    match &desired.spec {
        Ok(spec) => {
            let version = spec.engine_version.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
            facts.push(fact("Engine version", version));
            facts.push(fact("Players", desired.members.len().to_string()));
        }
        Err(_) if desired.deletion.is_some() => {}
        Err(FaultySpec { problems, .. }) => {
            let listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
            facts.push(fact("Spec", format!("not valid: {}", listed.join("; "))));
        }
    }
    facts
}

/// The observed state.
pub(super) fn observed(record: &Record, observation: &Observation) -> Vec<Fact> {
    let mut facts = vec![fact("Status", phase(record.phase))];
    match &observation.runtime {
        RuntimeView::Unknown { why, .. } => facts.push(fact("Docker", format!("cannot be asked: {why}"))),
        RuntimeView::Known(seen) => {
            facts.push(fact("Container", container(seen.container.as_ref())));
            if let Some(said) = engine(seen) {
                facts.push(fact("Engine", said));
                if let EngineView::Said { answer: Answer::Has(state), .. } = &seen.engine {
                    facts.push(fact("Players", state.players.len().to_string()));
                }
            }
            if let Looked::At(there) = seen.state_directory {
                let is = match there {
                    StateDirectory::WithGame | StateDirectory::Present => "is there",
                    StateDirectory::Empty => "is there, and empty",
                    StateDirectory::Absent => "is not there",
                };
                facts.push(fact("State directory", is));
            }
        }
    }
    if let Some(applied) = &record.applied {
        facts.push(fact("Engine version", applied.engine_version.to_string()));
    }
    if let Some(turn) = record.current_turn {
        facts.push(fact("Turn", turn.to_string()));
    }
    if let Some(exit) = &record.last_exit {
        let code = exit.code.map_or_else(String::new, |code| format!(" with exit code {code}"));
        facts.push(fact("Last exit", format!("{}{code} at {:.0}", exit.reason, exit.at)));
    }
    facts
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "seen, nothing done yet",
        Phase::Starting => "on its way up",
        Phase::Running => "running",
        Phase::Stopping => "on its way down",
        Phase::Stopped => "stopped",
        Phase::Finished => "finished",
        Phase::EngineUnreachable => "running, and not answering",
        Phase::CrashLoop => "down, between two attempts",
        Phase::Patching => "between two versions",
        Phase::Invalid => "not started",
        Phase::Blocked => "left alone",
        Phase::Unknown => "unknown",
    }
}

fn container(container: Option<&Container>) -> String {
    let Some(container) = container else { return "none".into() };
    let state = match &container.state {
        ContainerState::Created => "made, never started".to_owned(),
        ContainerState::Running { .. } => "running".to_owned(),
        ContainerState::Unsettled { status } => format!("{status}, by somebody else's hand"),
        ContainerState::Exited { code, out_of_memory, .. } => {
            let memory = if *out_of_memory { ", out of memory" } else { "" };
            format!("exited with code {code}{memory}")
        }
        ContainerState::Removing => "being removed by Docker".to_owned(),
        ContainerState::Dead => "half removed by Docker".to_owned(),
    };
    let whose = match container.owner {
        Owner::Game(_) => "",
        Owner::Foreign => ", not this game's",
    };
    format!("{}, {state}{whose}", container.id.short())
}

fn engine(seen: &Seen) -> Option<String> {
    let container = seen.container.as_ref()?;
    let ContainerState::Running { .. } = container.state else { return None };
    let life = container.life()?;
    match &seen.engine {
        EngineView::Said { life: answered, answer, failures, .. } if *answered == life => {
            Some(match answer {
                Answer::Has(state) if state.finished => format!("healthy, at turn {}, finished", state.turn),
                Answer::Has(state) => format!("healthy, at turn {}", state.turn),
                Answer::NotInitialised => "healthy, has no game".to_owned(),
                Answer::Unhealthy(why) if *failures > 1 => {
                    format!("not healthy: {why} ({failures} looks in a row)")
                }
                Answer::Unhealthy(why) => format!("not healthy: {why}"),
                Answer::NotUnderstood(why) => format!("not understood: {why}"),
                Answer::WrongEngine(why) => format!("the wrong one answers: {why}"),
            })
        }
        EngineView::Said { .. } | EngineView::NotAsked => Some("has not been asked in this life".to_owned()),
    }
}

/// What goes on in the background, if anything does.
pub(super) fn background(observation: &Observation) -> Option<String> {
    let Beside { pulling, fetching } = &observation.beside;
    let fetching = fetching.as_ref().map(|Fetching { progress, .. }| {
        format!("copying a kept copy beside the state, to put it back: {progress}")
    });
    let pulling =
        pulling.as_ref().map(|Pulling { image, progress }| format!("fetching image {image}: {progress}"));
    let all: Vec<String> =
        [observation.work.as_ref().map(work), fetching, pulling].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// Work that occupies the engine.
fn work(work: &Work) -> String {
    match work {
        Work::Stopping(container) => format!("stopping container {}", container.short()),
        Work::Probing(_) => "asking the engine how it is".to_owned(),
        Work::Generating(_) => "the engine generates a turn".to_owned(),
        Work::BackingUp { progress } => format!("copying the state: {progress}"),
        Work::PuttingBack { progress } => format!("putting a copy of the state back: {progress}"),
        Work::Removing { part, progress } => format!("removing {part}: {progress}"),
        Work::Initialising(_) => "giving the engine its game".to_owned(),
    }
}

/// The thing that keeps the controller from acting for it, and the way out.
pub(super) fn guard(shown: &Record, observation: &Observation) -> Option<Guard> {
    if let Some(freeze) = &observation.freeze {
        return Some(Guard {
            reason: freeze.reason.to_string(),
            message: freeze.message.clone(),
            way_out: freeze.way_out.clone(),
        });
    }
    if let RuntimeView::Unknown { since, why, .. } = &observation.runtime {
        return Some(Hindrance::DockerUnreachable(*since, why.clone()).into());
    }
    let way_out = match shown.reason.as_str() {
        _ if shown.phase != Phase::Blocked => return None,
        DELETIONS_HELD => "`gamekeeper confirm-deletions` lists them and asks; or put the rows back.",
        STATE_MISSING => {
            "Bring the state directory back (a disk to mount, a backup); it goes on by itself. To give the game up, delete it."
        }
        PARTIAL_INIT => {
            "Empty the state directory; or, if what lies there is harmless, `gamekeeper unblock`."
        }
        TURN_WENT_BACK => {
            "Bring the newer state back; or `gamekeeper unblock` to go on from the engine's turn."
        }
        PINNED_IMAGE_GONE => {
            "Load the old image again; or `gamekeeper unblock` to take the one that has its name now."
        }
        STRANGE_CONTAINER => "Remove the container that Gamekeeper did not make; it goes on by itself.",
        RECORD_REFUSED => {
            "It is tried again by itself, with growing pauses. If it stays so, mend what the database names."
        }
        BACKUP_DAMAGED | BACKUP_GONE => {
            "Put another copy back with `gamekeeper restore` (`gamekeeper backups` lists them); or `gamekeeper unblock` to give this one up and go on with the state as it is."
        }
        FOREIGN_CONTAINER => "Rename or remove the container that holds the name; it goes on by itself.",
        STATE_IN_USE => {
            "End the process that the message names, on Docker's host (`kill PID`); it goes on by itself. `gamekeeper doctor` lists all such processes. Where the message names a container alone: see that no process of it is left there, and remove it (`docker rm`)."
        }
        DIRECTORY_IN_USE => {
            "Stop the container that can write to the state, or mount it read-only there; it goes on by itself."
        }
        _ => "Mend what the message says; `gamekeeper unblock` has it looked at again at once.",
    };
    Some(Guard { reason: shown.reason.clone(), message: shown.message.clone(), way_out: way_out.to_owned() })
}

/// The reason for an engine of another version than is asked for, and the way out.
pub(super) fn patch(shown: &Record) -> Option<Guard> {
    // What never ran has nothing to change from.
    shown.applied.as_ref()?;
    let way_out = match shown.reason.as_str() {
        "PatchPending" => {
            "Nothing: it begins by itself. `gamekeeper describe` shows how far it is; another engineVersion calls it off."
        }
        "PatchFailed" => {
            "Mend the version and register it under another number; or `gamekeeper patch --retry` to try this one again."
        }
        "PatchHalted" => {
            "`gamekeeper versions list` says what failed; `gamekeeper versions resume` lets changes to it go on."
        }
        "PatchSemverIncompatible" | "PatchUserDiffers" => {
            "Ask for a version that fits; or, if that one can use the state, `gamekeeper patch --to VERSION --allow-incompatible`."
        }
        "EngineVersionDisabled" => {
            "Ask for another version; or `gamekeeper versions enable` lets games be moved to this one."
        }
        _ => return None,
    };
    Some(Guard { reason: shown.reason.clone(), message: shown.message.clone(), way_out: way_out.to_owned() })
}

#[cfg(test)]
mod tests;
