//! Knowledge of the controller that leads alone, and once it has looked: another one says neither that there
//! is something nor that there is nothing.

use super::leader::Leader;
use crate::cli::client::Object;
use crate::cli::failure::{Exit, Failure};

/// The reason that something is not known to the controller that was asked.
#[derive(Debug)]
pub(crate) enum Unknown {
    /// Another one leads, or may.
    NotLeading(Failure),
    /// It leads, and has not looked at everything yet.
    NotYet(Failure),
}

impl From<Unknown> for Failure {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::NotLeading(failure) | Unknown::NotYet(failure) => failure,
        }
    }
}

/// The same for whoever waits: none of one that leads and has not looked yet.
pub(crate) fn so_far<T>(known: Result<T, Unknown>) -> Result<Option<T>, Failure> {
    match known {
        Ok(known) => Ok(Some(known)),
        Err(Unknown::NotYet(_)) => Ok(None),
        Err(Unknown::NotLeading(failure)) => Err(failure),
    }
}

/// The part of the controller's status at this place, of which another one would know nothing.
pub(crate) fn part<'a>(
    controller: &'a Object,
    at: &str,
    what: &str,
) -> Result<&'a serde_json::Value, Unknown> {
    if let Some(part) = controller.0.pointer(at) {
        return Ok(part);
    }
    if !controller.flag("/status/standsBy").unwrap_or_default() {
        let message = format!("the controller has not looked at everything yet, and does not know {what}");
        return Err(Unknown::NotYet(Failure::new(Exit::Failed, message).hint("try again in a moment")));
    }
    let leader = Leader::of(controller).map(|leader| format!(": {}", leader.words())).unwrap_or_default();
    let message = format!("the controller that was asked does not lead, and does not know {what}{leader}");
    Err(Unknown::NotLeading(Failure::new(Exit::Failed, message).hint(
        "ask the one that leads: `gamekeeper leader` names it, --server or --context says which is asked",
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_does_not_lead_says_who_does_and_never_that_there_is_nothing() {
        let ask = |status: serde_json::Value| {
            part(&Object(json!({ "status": status })), "/status/orphans", "which containers have no game")
                .cloned()
                .map_err(Failure::from)
                .map_err(|failure| failure.to_string())
        };
        assert_eq!(ask(json!({ "orphans": [] })), Ok(json!([])));
        let told = ask(json!({ "standsBy": true, "leader": "host-1", "epoch": 3 })).unwrap_err();
        assert!(told.contains("does not lead") && told.contains("host-1 leads (epoch 3)"), "{told}");
        let told = ask(json!({ "phase": "Starting" })).unwrap_err();
        assert!(told.contains("has not looked at everything yet"), "{told}");
    }
}
