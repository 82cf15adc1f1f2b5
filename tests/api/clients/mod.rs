//! Clients that others wrote, driven as their users drive them: kube-rs here, in this process; the
//! Python client and schemathesis by the scripts in `tests/support`. kubectl has a module of its own.

mod kube_following;
mod kube_writing;
mod openapi;
mod python;

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::discovery::pinned_kind;
use kube::{Client, Config};

use crate::world::World;

/// kube-rs, with the kubeconfig that the server wrote.
async fn kube(world: &World) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(world.directory.path().join("kubeconfig")).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// A kind of ours, as discovery tells of it.
async fn kind(client: &Client, kind: &str) -> ApiResource {
    let gvk = GroupVersionKind::gvk("gamekeeper.dev", "v1", kind);
    pinned_kind(client, &gvk).await.unwrap().0
}

/// The games of the default namespace.
async fn games(client: &Client) -> Api<DynamicObject> {
    let games = kind(client, "Game").await;
    Api::namespaced_with(client.clone(), "default", &games)
}
