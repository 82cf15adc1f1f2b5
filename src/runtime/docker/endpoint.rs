//! How the controller reaches engines on this host: said by the settings, or found out once.

use std::net::{IpAddr, UdpSocket};

use bollard::models::NetworkInspect;
use tokio::sync::OnceCell;

use super::settings::EndpointMode;
use crate::runtime::RuntimeError;

/// The mode, once it is known.
pub(super) struct Reach {
    wanted: EndpointMode,
    found: OnceCell<EndpointMode>,
}

impl Reach {
    pub(super) fn new(wanted: EndpointMode) -> Self {
        Self { wanted, found: OnceCell::new() }
    }

    /// The mode; never [`EndpointMode::Auto`]. `network` is asked for when it has to be found out.
    pub(super) async fn mode<F>(&self, network: F) -> Result<EndpointMode, RuntimeError>
    where
        F: Future<Output = Result<NetworkInspect, RuntimeError>>,
    {
        if self.wanted != EndpointMode::Auto {
            return Ok(self.wanted);
        }
        self.found.get_or_try_init(|| async { Ok(find_out(&network.await?)) }).await.copied()
    }

    /// Whether engines may be cut off from each other: not where the controller is one of the
    /// containers on their network, since it would be cut off too. `containers` gives the ids of the
    /// daemon's containers, and is asked when that has to be found out.
    pub(super) async fn can_isolate<F>(&self, containers: F) -> Result<bool, RuntimeError>
    where
        F: Future<Output = Result<Vec<String>, RuntimeError>>,
    {
        Ok(match self.wanted {
            EndpointMode::Address | EndpointMode::Published => true,
            EndpointMode::HostName => false,
            // A container of another daemon (this one runs in it) can be on none of its networks.
            EndpointMode::Auto => !in_container() || !is_among(&containers.await?, &own_traces()),
        })
    }
}

fn find_out(network: &NetworkInspect) -> EndpointMode {
    let mode = if in_container() && is_on(network, &own_traces()) {
        EndpointMode::HostName
    } else if gateways(network).any(is_ours) {
        EndpointMode::Address
    } else {
        EndpointMode::Published
    };
    tracing::info!(?mode, "how engines are reached was found out");
    mode
}

/// Whether this process is in the container of this id.
pub(super) fn is_own_container(id: &str) -> bool {
    in_container() && is_among([&id.to_owned()], &own_traces())
}

fn in_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|path| std::path::Path::new(path).exists())
}

/// Texts in which this process's own container id occurs, if it is in a container: what is mounted
/// from the runtime's directories, and the host name that Docker gives by default.
fn own_traces() -> String {
    ["/proc/self/mountinfo", "/etc/hostname"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_on(network: &NetworkInspect, traces: &str) -> bool {
    is_among(network.containers.iter().flat_map(|containers| containers.keys()), traces)
}

fn is_among<'a>(ids: impl IntoIterator<Item = &'a String>, traces: &str) -> bool {
    let hostname = traces.lines().last().unwrap_or_default().trim();
    ids.into_iter()
        .any(|id| traces.contains(id.as_str()) || (hostname.len() == 12 && id.starts_with(hostname)))
}

fn gateways(network: &NetworkInspect) -> impl Iterator<Item = IpAddr> + '_ {
    let configs = network.ipam.iter().flat_map(|ipam| ipam.config.iter().flatten());
    configs.filter_map(|config| config.gateway.as_deref()?.split('/').next()?.parse().ok())
}

/// An address that can be bound is in this network namespace.
fn is_ours(address: IpAddr) -> bool {
    !address.is_unspecified() && UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn network(gateway: &str) -> NetworkInspect {
        serde_json::from_value(json!({
            "Id": "n1",
            "IPAM": {"Config": [{"Subnet": "x", "Gateway": gateway}]},
            "Containers": {"0123456789abcdef0123": {"Name": "x"}}
        }))
        .expect("a network")
    }

    #[tokio::test]
    async fn the_settings_are_believed_without_asking() {
        let reach = Reach::new(EndpointMode::HostName);
        let asked = async { panic!("asked though told") };
        assert_eq!(reach.mode(asked).await.ok(), Some(EndpointMode::HostName));
        let asked = async { panic!("asked though told") };
        assert_eq!(reach.can_isolate(asked).await.ok(), Some(false));
        let asked = async { panic!("asked though told") };
        assert_eq!(Reach::new(EndpointMode::Address).can_isolate(asked).await.ok(), Some(true));
    }

    #[tokio::test]
    async fn engines_are_cut_off_wherever_the_controller_is_none_of_the_daemons_containers() {
        let reach = Reach::new(EndpointMode::Auto);
        let others = async { Ok(vec!["0123456789abcdef0123".to_owned()]) };
        assert_eq!(reach.can_isolate(others).await.ok(), Some(true));
    }

    #[test]
    fn a_gateway_of_this_machine_means_that_addresses_are_reachable() {
        assert!(gateways(&network("127.0.0.1")).any(is_ours));
        // TEST-NET-3: nobody's.
        assert!(!gateways(&network("203.0.113.1")).any(is_ours));
        assert!(!gateways(&network("0.0.0.0")).any(is_ours));
    }

    #[test]
    fn the_own_container_is_recognised_on_the_network() {
        let network = network("127.0.0.1");
        assert!(is_on(&network, "1 2 /docker/containers/0123456789abcdef0123/hostname /etc/hostname\nhost"));
        assert!(is_on(&network, "no trace\n0123456789ab\n"));
        assert!(!is_on(&network, "no trace\nother-host\n"));
    }
}
