//! From what Docker says of a container to what the rest of Gamekeeper knows of one. Pure.

use bollard::models::{
    ContainerInspectResponse, ContainerState as DockerState, ContainerStateStatusEnum as Status,
    ContainerSummary, EndpointSettings, MountPoint, PortMap,
};

use super::container::{TOKEN_VARIABLE, port_key};
use super::labels;
use super::settings::{EndpointMode, Settings};
use super::text::one_line;
use crate::game::record::Endpoints;
use crate::game::{ContainerId, GameId, ImageId, NetworkId};
use crate::runtime::{Container, ContainerState, EngineToken, Listed, Owner, RuntimeError};

/// What an inspect says. `mode` is how the controller reaches engines, which matters only while the
/// container runs.
pub(super) fn container(
    inspected: ContainerInspectResponse,
    settings: &Settings,
    mode: Option<EndpointMode>,
) -> Result<Container, RuntimeError> {
    let id = inspected
        .id
        .ok_or_else(|| RuntimeError::Failed("Docker described a container without its id".into()))?;
    let config = inspected.config.unwrap_or_default();
    let owner = labels::owner(config.labels.as_ref(), settings.instance);
    let label = |key: &str| config.labels.as_ref()?.get(key).cloned();
    let state = state(inspected.state.unwrap_or_default());
    let running = matches!(state, ContainerState::Running { .. });
    let network = inspected.network_settings.unwrap_or_default();
    let endpoint = network.networks.as_ref().and_then(|networks| networks.get(&settings.network));
    let endpoints = match (owner, label(labels::PORT).and_then(|port| port.parse().ok())) {
        (Owner::Game(game), Some(port)) if running => Endpoints {
            host_name: endpoint.map(|_| format!("{}:{port}", labels::host_name(game))),
            address: endpoint.and_then(address).map(|address| format!("{address}:{port}")),
            published: network.ports.as_ref().and_then(|ports| published(ports, port)),
        },
        _ => Endpoints::default(),
    };
    let unlike = match owner {
        Owner::Game(game) => unlike(game, inspected.name.as_deref(), inspected.mounts.as_deref(), settings),
        Owner::Foreign => None,
    };
    Ok(Container {
        id: ContainerId::new(id),
        unlike,
        owner,
        network_id: endpoint.filter(|endpoint| !running || address(endpoint).is_some()).and_then(network_id),
        reachable_at: match mode.filter(|_| endpoint.is_some_and(|endpoint| address(endpoint).is_some())) {
            Some(EndpointMode::Address) => endpoints.address.clone(),
            Some(EndpointMode::HostName) => endpoints.host_name.clone(),
            Some(EndpointMode::Published) => endpoints.published.clone(),
            Some(EndpointMode::Auto) | None => None,
        },
        state,
        image_id: ImageId::new(inspected.image.unwrap_or_default()),
        endpoints,
        epoch: label(labels::EPOCH).and_then(|epoch| epoch.parse().ok()),
        applied: label(labels::INPUTS).and_then(|inputs| serde_json::from_str(&inputs).ok()),
        token: match owner {
            Owner::Game(_) => token(&config.env.unwrap_or_default()),
            Owner::Foreign => None,
        },
    })
}

/// One line of the list; none if it carries no game of this instance.
pub(super) fn listed(summary: ContainerSummary, settings: &Settings) -> Option<Listed> {
    let Owner::Game(game) = labels::owner(summary.labels.as_ref(), settings.instance) else { return None };
    let networks = summary.network_settings.and_then(|network| network.networks).unwrap_or_default();
    Some(Listed {
        id: ContainerId::new(summary.id?),
        game,
        state: summary.state.map(|state| state.to_string()).unwrap_or_default(),
        address: networks.get(&settings.network).and_then(address),
        name: labels::text(summary.labels.as_ref(), labels::NAME),
        engine_version: labels::text(summary.labels.as_ref(), labels::VERSION),
    })
}

fn state(state: DockerState) -> ContainerState {
    let started_at = state.started_at.unwrap_or_default();
    match state.status.unwrap_or(Status::EMPTY) {
        Status::CREATED => ContainerState::Created,
        // No process behind it, as far as Docker knows, and yet not exited: proves nothing.
        Status::RUNNING if state.pid == Some(0) => {
            ContainerState::Unsettled { status: "running without a process".into() }
        }
        Status::RUNNING => ContainerState::Running { started_at },
        Status::EXITED => ContainerState::Exited {
            started_at,
            code: state.exit_code.unwrap_or(-1),
            out_of_memory: state.oom_killed.unwrap_or(false),
        },
        Status::REMOVING => ContainerState::Removing,
        Status::DEAD => ContainerState::Dead,
        other @ (Status::PAUSED | Status::RESTARTING | Status::STOPPING | Status::EMPTY) => {
            ContainerState::Unsettled { status: other.to_string() }
        }
    }
}

/// How its name and what of the host is mounted in it differ from what the game's container is made with.
fn unlike(
    game: GameId,
    name: Option<&str>,
    mounts: Option<&[MountPoint]>,
    settings: &Settings,
) -> Option<String> {
    let name = name.unwrap_or_default().trim_start_matches('/');
    if name != labels::container_name(game) {
        return Some(format!("its name is `{}`", one_line(name)));
    }
    let directory = settings.state_directory_on_host(game).to_string_lossy().into_owned();
    let is_bound = |mount: &&MountPoint| mount.typ.as_deref() == Some("bind");
    let bound: Vec<&MountPoint> = mounts.unwrap_or_default().iter().filter(is_bound).collect();
    let is_ours = |mount: &MountPoint| {
        mount.source.as_deref() == Some(directory.as_str())
            && mount.destination.as_deref() == Some(settings.mount_path.trim_end_matches('/'))
            && mount.rw == Some(true)
    };
    match bound.as_slice() {
        [mount] if is_ours(mount) => None,
        [] => Some("no directory of the host is mounted in it".to_owned()),
        others => {
            let told = others.iter().map(|mount| {
                let (source, destination) = (mount.source.as_deref(), mount.destination.as_deref());
                let access = if mount.rw == Some(true) { "" } else { ", read only" };
                format!("{} at {}{access}", source.unwrap_or("?"), destination.unwrap_or("?"))
            });
            Some(format!("mounted in it is {}", one_line(&told.collect::<Vec<_>>().join(", "))))
        }
    }
}

fn address(endpoint: &EndpointSettings) -> Option<String> {
    endpoint.ip_address.clone().filter(|address| !address.is_empty())
}

fn network_id(endpoint: &EndpointSettings) -> Option<NetworkId> {
    endpoint.network_id.clone().filter(|id| !id.is_empty()).map(NetworkId::new)
}

fn published(ports: &PortMap, port: u16) -> Option<String> {
    let binding = ports.get(&port_key(port))?.as_ref()?.first()?;
    let host_port = binding.host_port.as_deref().filter(|port| !port.is_empty())?;
    let host = match binding.host_ip.as_deref() {
        None | Some("" | "0.0.0.0" | "::") => "127.0.0.1",
        Some(host) => host,
    };
    Some(format!("{host}:{host_port}"))
}

fn token(variables: &[String]) -> Option<EngineToken> {
    variables
        .iter()
        .find_map(|variable| variable.strip_prefix(TOKEN_VARIABLE)?.strip_prefix('='))
        .filter(|token| !token.is_empty())
        .map(|token| EngineToken::new(token.to_owned()))
}

#[cfg(test)]
mod tests;
