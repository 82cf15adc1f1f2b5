//! The network that engines are put on.

use std::collections::HashMap;

use bollard::models::{NetworkCreateRequest, NetworkInspect};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder};

use super::error::{if_there, within};
use super::{DockerRuntime, labels};
use crate::game::NetworkId;
use crate::runtime::RuntimeError;

impl DockerRuntime {
    /// The network, which has to be there.
    pub(super) async fn network_or_error(&self) -> Result<NetworkInspect, RuntimeError> {
        let asked = self.docker.inspect_network(&self.settings.network, None::<InspectNetworkOptions>);
        within("network inspect", self.settings.deadlines.look, asked).await
    }

    pub(super) async fn network_id(&self) -> Result<Option<NetworkId>, RuntimeError> {
        let found = if_there(self.network_or_error().await)?;
        Ok(found.and_then(|network| network.id).map(NetworkId::new))
    }

    /// Makes it, one caller at a time: Docker before 25 makes a second one of the same name.
    pub(super) async fn make_network(&self) -> Result<NetworkId, RuntimeError> {
        let _alone = self.making_network.lock().await;
        if let Some(there) = self.network_id().await? {
            return Ok(there);
        }
        let request = NetworkCreateRequest {
            name: self.settings.network.clone(),
            driver: Some("bridge".into()),
            options: self
                .reach
                .can_isolate()
                .then(|| HashMap::from([("com.docker.network.bridge.enable_icc".into(), "false".into())])),
            labels: Some(HashMap::from([(labels::INSTANCE.into(), self.settings.instance.to_string())])),
            ..NetworkCreateRequest::default()
        };
        let deadline = self.settings.deadlines.change;
        match within("network create", deadline, self.docker.create_network(request)).await {
            Ok(created) => self.give_way_to_a_twin(created.id).await,
            Err(RuntimeError::Conflict(message)) => {
                self.network_id().await?.ok_or(RuntimeError::Conflict(message))
            }
            Err(error) => Err(error),
        }
    }

    /// Another process may have made one at the same moment. Both see both, and the one with the
    /// greater id goes, by the hand of who made it.
    async fn give_way_to_a_twin(&self, own: String) -> Result<NetworkId, RuntimeError> {
        let filters = HashMap::from([("name", vec![self.settings.network.as_str()])]);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let networks =
            within("network list", self.settings.deadlines.look, self.docker.list_networks(Some(options)))
                .await?;
        // The filter also finds names that contain this one.
        let first = networks
            .into_iter()
            .filter(|network| network.name.as_deref() == Some(&self.settings.network))
            .filter_map(|network| network.id)
            .min();
        match first {
            Some(first) if first < own => {
                let removed = self.docker.remove_network(&own);
                if_there(within("network remove", self.settings.deadlines.change, removed).await)?;
                Ok(NetworkId::new(first))
            }
            _ => Ok(NetworkId::new(own)),
        }
    }
}
