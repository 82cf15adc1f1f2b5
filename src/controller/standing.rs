//! What a candidate stands on: whether it sees the Docker Engine and the state root that the games of
//! this database belong to. Only looked at; binding is the leader's.

use std::time::Duration;

use crate::game::controller::{Freeze, Ground};
use crate::reconcile::apply::chain;
use crate::runtime::Runtime;
use crate::store::{Store, StoreError};

use super::ground::{found, judge};

/// A candidate looks every two seconds; what Docker mounts is compared more seldom, for others work there.
const COMPARED_WITHIN: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The reasons that it may not lead; empty if it may. (Whoever leads is frozen by hand, and still leads.)
    pub freezes: Vec<Freeze>,
    /// Why Docker does not say who it is, if so: nor may it lead then.
    pub docker_down: Option<String>,
    /// What an operator would confirm.
    pub ground: Ground,
}

impl Standing {
    /// Whether it may lead.
    pub fn is_eligible(&self) -> bool {
        self.freezes.is_empty() && self.docker_down.is_none()
    }
}

/// Looks at what a candidate stands on.
///
/// # Errors
/// The database failed.
pub async fn standing(store: &Store, runtime: &dyn Runtime) -> Result<Standing, StoreError> {
    let (docker, docker_down) = match runtime.identity().await {
        Ok(identity) => (Some(identity.id), None),
        Err(error) => (None, Some(chain(&error))),
    };
    // The state root before the database, which then is not behind what was noted of it.
    let mut found = found(store, runtime, docker, None).await;
    let (spec, instance) = (store.controller_spec().await?, store.instance().await?);
    let freezes = judge(runtime, &spec, &instance, &mut found, COMPARED_WITHIN).await.freezes;
    Ok(Standing { freezes, docker_down, ground: found.ground })
}
