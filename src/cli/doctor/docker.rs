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

/// No process has a game's state but those of containers that Docker knows to be alive.
pub(super) async fn processes(runtime: &DockerRuntime) -> Finding {
    let strays = match runtime.strays().await {
        Ok(strays) => strays,
        Err(error) => {
            let told = format!("which processes have a game's state cannot be told: {}", chain(&error));
            return Finding::Warn(told, "put right what is told above first".into());
        }
    };
    if !strays.is_empty() {
        let told: Vec<String> =
            strays.iter().map(|(game, process)| format!("{process} has the state of game {game}")).collect();
        return Finding::Fail(
            format!("{}; Docker does not say that they run", told.join("; ")),
            "look at what they are; an engine that outlived Docker is to be ended (`kill PID`), and its game goes on by itself then"
                .into(),
        );
    }
    match runtime.sees_processes().await {
        Ok(()) => Finding::Ok(
            "those of Docker's host are seen, and none has a game's state unknown to Docker".into(),
        ),
        Err(why) => Finding::Warn(
            format!(
                "those of Docker's host are not seen ({why}): Docker's word alone says that an engine is dead"
            ),
            "run gamekeeper on Docker's host, or give its container the host's processes (`--pid host`)"
                .into(),
        ),
    }
}
