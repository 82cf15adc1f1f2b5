//! Docker: that it answers, that it is the one the database knows, and that engines have a network.

use std::time::Duration;

use super::{Finding, chain};
use crate::config::Config;
use crate::game::InstanceId;
use crate::runtime::docker::{Deadlines, DockerRuntime, Settings};
use crate::runtime::{Runtime, RuntimeError};
use crate::store::Examined;

/// People wait for this.
const PATIENCE: Duration = Duration::from_secs(5);

/// The daemon answers, and is the one that the database is used with.
pub(super) async fn daemon(config: &Config, known: Option<&Examined>) -> (Finding, Option<DockerRuntime>) {
    let instance = known.map_or(InstanceId(uuid::Uuid::nil()), |known| known.instance.id);
    let deadlines = Deadlines { look: PATIENCE, ..Deadlines::default() };
    let runtime = match DockerRuntime::new(Settings { deadlines, ..config.docker(instance) }) {
        Ok(runtime) => runtime,
        Err(error) => {
            let advice = "name a socket by --docker-host, DOCKER_HOST or `docker context use`";
            return (Finding::Fail(chain(&error), advice.into()), None);
        }
    };
    let identity = match runtime.identity().await {
        Ok(identity) => identity,
        Err(error) => return (Finding::Fail(chain(&error), advice(&error).into()), None),
    };
    let told = format!("version {}, {}", identity.version, identity.id);
    let bound = known.and_then(|known| known.instance.docker_engine_id.as_ref());
    match bound {
        Some(bound) if *bound != identity.id => (
            Finding::Fail(
                format!("{told} is not the one that the database is used with ({bound})"),
                "point it to that one by --docker-host; the games' containers are there".into(),
            ),
            Some(runtime),
        ),
        _ => (Finding::Ok(told), Some(runtime)),
    }
}

fn advice(error: &RuntimeError) -> &'static str {
    let denied = error.io_kind() == Some(std::io::ErrorKind::PermissionDenied);
    match error {
        RuntimeError::Because { cause, .. } => cause.words(),
        RuntimeError::Unreachable(_) if denied => {
            "this user may not use Docker's socket; add it to the group `docker` and log in again"
        }
        RuntimeError::Unreachable(_) => {
            "start Docker, or say where it is by --docker-host; games are left as they are meanwhile"
        }
        _ => "look at Docker's own log",
    }
}

/// The engines' network is there, or will be made.
pub(super) async fn network(runtime: &DockerRuntime) -> Finding {
    let name = runtime.network_name();
    match runtime.network().await {
        Ok(Some(_)) => Finding::Ok(format!("{name} is there")),
        Ok(None) => Finding::Ok(format!("{name} is not there yet; it is made with the first engine")),
        Err(error) => Finding::Fail(
            chain(&error),
            format!("remove the network `{name}` if it is not needed, or name another one by --network"),
        ),
    }
}
