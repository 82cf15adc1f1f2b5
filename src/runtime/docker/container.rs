//! What a container is made from: a pure function of what is wanted and the settings.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum,
    HostConfigLogConfig, Mount, MountBindOptions, MountBindOptionsPropagationEnum, MountType,
    NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};

use super::labels;
use super::settings::Settings;
use crate::game::spec::Relaxation;
use crate::runtime::{EngineToken, ImageSelector, NewContainer};

/// The period that CPU quotas are given for, in microseconds (the kernel's default).
const CPU_PERIOD_MICROS: u64 = 100_000;

/// A place for temporary files where the root file system is read-only; counts as the container's
/// memory.
const TMPFS_OPTIONS: &str = "rw,noexec,nosuid,nodev,size=64m";

/// What is found out on this host before a container is made.
#[derive(Debug, Clone)]
pub(super) struct Placement {
    /// `uid:gid`; none leaves the image's user.
    pub(super) user: Option<String>,
    /// Whether the engine's port is published on 127.0.0.1.
    pub(super) published: bool,
    /// The engine's admin token.
    pub(super) token: Option<EngineToken>,
}

/// The body of the request that makes it.
pub(super) fn body(new: &NewContainer, settings: &Settings, placement: &Placement) -> ContainerCreateBody {
    ContainerCreateBody {
        hostname: Some(labels::host_name(new.game)),
        image: Some(match &new.image {
            ImageSelector::Reference(reference) => reference.to_string(),
            ImageSelector::Pinned(id) => id.to_string(),
        }),
        user: placement.user.clone(),
        env: Some(environment(new, settings, placement)),
        labels: Some(labels::of(new, settings.instance)),
        exposed_ports: Some(vec![port_key(new.port)]),
        // The controller asks the engine itself; a second opinion would only cost processes.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..HealthConfig::default() }),
        host_config: Some(host_config(new, settings, placement)),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(
                settings.network.clone(),
                EndpointSettings {
                    aliases: Some(vec![labels::host_name(new.game)]),
                    ..EndpointSettings::default()
                },
            )])),
        }),
        ..ContainerCreateBody::default()
    }
}

/// Docker's way of naming a port.
pub(super) fn port_key(port: u16) -> String {
    format!("{port}/tcp")
}

/// The variable that carries the admin token.
pub(super) const TOKEN_VARIABLE: &str = "GAME_ADMIN_TOKEN";

fn environment(new: &NewContainer, settings: &Settings, placement: &Placement) -> Vec<String> {
    let mount_path = settings.mount_path.trim_end_matches('/');
    let mut variables =
        vec![format!("GAME_STATE_PATH={mount_path}/{}", new.game), format!("GAME_ID={}", new.game)];
    if let Some(token) = &placement.token {
        variables.push(format!("{TOKEN_VARIABLE}={}", token.reveal()));
    }
    variables
}

fn host_config(new: &NewContainer, settings: &Settings, placement: &Placement) -> HostConfig {
    let relaxed = |what: Relaxation| new.relaxations.contains(&what);
    let read_only = !relaxed(Relaxation::WritableRoot);
    let resources = new.resources.or(settings.default_resources);
    let memory = resources.memory_bytes.map(signed);
    HostConfig {
        mounts: Some(vec![Mount {
            typ: Some(MountType::BIND),
            source: Some(settings.state_directory_on_host(new.game).to_string_lossy().into_owned()),
            target: Some(settings.mount_path.clone()),
            read_only: Some(false),
            // What is mounted on either side later stays there.
            bind_options: Some(MountBindOptions {
                propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
                ..MountBindOptions::default()
            }),
            ..Mount::default()
        }]),
        network_mode: Some(settings.network.clone()),
        // Said, since a daemon may be set to give others: memory that other containers can join, and
        // the host's control groups to look at.
        ipc_mode: Some("private".into()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        port_bindings: placement.published.then(|| {
            // No port given: Docker takes a free one, again at each start.
            let binding = PortBinding { host_ip: Some("127.0.0.1".into()), host_port: None };
            HashMap::from([(port_key(new.port), Some(vec![binding]))])
        }),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        memory,
        // Equal to the memory: no swap.
        memory_swap: memory,
        // A quota, not `NanoCpus`: Docker refuses more of these than the host has cores.
        cpu_period: resources.cpu_millis.map(|_| signed(CPU_PERIOD_MICROS)),
        cpu_quota: resources
            .cpu_millis
            .map(|millis| signed(millis.saturating_mul(CPU_PERIOD_MICROS / 1_000))),
        pids_limit: resources.pids.map(signed),
        log_config: Some(HostConfigLogConfig {
            typ: Some(settings.log_driver.clone()),
            config: Some(settings.log_options.clone().into_iter().collect()),
        }),
        security_opt: (!relaxed(Relaxation::NewPrivileges)).then(|| vec!["no-new-privileges".into()]),
        cap_drop: (!relaxed(Relaxation::Capabilities)).then(|| vec!["ALL".into()]),
        readonly_rootfs: Some(read_only),
        tmpfs: read_only.then(|| HashMap::from([("/tmp".into(), TMPFS_OPTIONS.into())])),
        ..HostConfig::default()
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
