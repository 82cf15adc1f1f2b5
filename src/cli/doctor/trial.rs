//! What the controller will do with Docker, tried with a container that is no game's.

use std::path::Path;

use super::Finding;
use super::places::Scratch;
use crate::config::Config;
use crate::runtime::docker::{DockerRuntime, Outcome};

/// Tries it with a state directory of its own in `root`, until `interrupted`.
pub(super) async fn trial(
    runtime: &DockerRuntime,
    config: &Config,
    root: Option<&Path>,
    interrupted: impl Future<Output = ()>,
) -> Vec<(&'static str, Finding)> {
    const WHAT: &str = "an engine's container";
    let Some(root) = root else {
        let told = "nothing was tried: there is no state root that can be written".into();
        return vec![(WHAT, Finding::Warn(told, "put the state root right first".into()))];
    };
    if config.state_root_on_host.is_some() && root != config.state_root {
        let told =
            "nothing was tried: the state root is not there yet, so nobody knows where Docker's host has it";
        return vec![(WHAT, Finding::Warn(told.into(), "make it, and ask again".into()))];
    }
    let scratch = match Scratch::new(root) {
        Ok(scratch) => scratch,
        Err(error) => {
            let told = format!("{} cannot be written: {error}", root.display());
            return vec![(WHAT, Finding::Fail(told, "see the state root above".into()))];
        }
    };
    let tried = runtime.try_out(scratch.path(), interrupted).await;
    let finding = |outcome| match outcome {
        Outcome::Works(told) => Finding::Ok(told),
        Outcome::Worth(told, advice) => Finding::Warn(told, advice),
        Outcome::Fails(told, advice) => Finding::Fail(told, advice),
    };
    tried.into_iter().map(|tried| (tried.what, finding(tried.came_of_it))).collect()
}
