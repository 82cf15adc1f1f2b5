//! The network that engines are put on.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{NetworkCreateRequest, NetworkInspect};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder};

use super::error::{if_there, within};
use super::{DockerRuntime, labels};
use crate::game::NetworkId;
use crate::runtime::RuntimeError;

/// How often to try when another process makes the same network at the same moment.
const ATTEMPTS: usize = 10;
const LONGEST_PAUSE_MILLIS: u64 = 1_000;

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
        let mut request = None;
        for _ in 0..ATTEMPTS {
            if let Some(there) = self.network_id().await? {
                return Ok(there);
            }
            let request = match &request {
                Some(request) => request,
                None => request.insert(self.request().await?),
            };
            match within(
                "network create",
                self.settings.deadlines.change,
                self.docker.create_network(request.clone()),
            )
            .await
            {
                Ok(created) if self.is_alone(&created.id).await? => return Ok(NetworkId::new(created.id)),
                Ok(created) => self.give_way(&created.id).await?,
                // Somebody else has made it.
                Err(RuntimeError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(RuntimeError::Conflict(format!(
            "others make and remove network {} all the time",
            self.settings.network
        )))
    }

    async fn request(&self) -> Result<NetworkCreateRequest, RuntimeError> {
        let isolated = self.reach.can_isolate(self.running_ids()).await?;
        Ok(NetworkCreateRequest {
            name: self.settings.network.clone(),
            driver: Some("bridge".into()),
            options: isolated
                .then(|| HashMap::from([("com.docker.network.bridge.enable_icc".into(), "false".into())])),
            labels: Some(HashMap::from([(labels::INSTANCE.into(), self.settings.instance.to_string())])),
            ..NetworkCreateRequest::default()
        })
    }

    /// The ids of every container that this daemon runs, whoever's it is.
    async fn running_ids(&self) -> Result<Vec<String>, RuntimeError> {
        let running = self.containers("status", "running").await?;
        Ok(running.into_iter().filter_map(|summary| summary.id).collect())
    }

    /// Whether no other process has made one of the same name at the same moment.
    async fn is_alone(&self, own: &str) -> Result<bool, RuntimeError> {
        let filters = HashMap::from([("name", vec![self.settings.network.as_str()])]);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let asked = self.docker.list_networks(Some(options));
        let networks = within("network list", self.settings.deadlines.look, asked).await?;
        // The filter also finds names that contain this one.
        let mut namesakes =
            networks.iter().filter(|network| network.name.as_ref() == Some(&self.settings.network));
        Ok(namesakes.all(|network| network.id.as_deref() == Some(own)))
    }

    /// Who sees another's takes its own away: of two makers the later to look sees the other's, so
    /// that two never stay. Both may; then they try again, and not in step.
    async fn give_way(&self, own: &str) -> Result<(), RuntimeError> {
        let removed =
            within("network remove", self.settings.deadlines.change, self.docker.remove_network(own));
        if_there(removed.await)?;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..LONGEST_PAUSE_MILLIS))).await;
        Ok(())
    }
}
