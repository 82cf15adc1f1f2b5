//! What kubectl tells those who may not. (Every other error is in the matrix.)

use gamekeeper::api::auth::Role;

use super::{ANDROMEDA, Kubectl};
use crate::world::{World, token};

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_tells_who_may_not() {
    let world = World::with(|tokens| token(tokens, Role::Viewer, "looker")).await;
    for (number, kubectl) in Kubectl::all(&world).iter().enumerate() {
        let name = format!("andromeda{number}");
        let manifest = kubectl.file("andromeda.yaml", &ANDROMEDA.replace("andromeda", &name));
        kubectl.ok(&["apply", "-f", &manifest]).await;
        let looker = kubectl.with_token("looker");
        looker.ok(&["get", "games"]).await;
        let forbidden = looker.fails(&["label", "gm", &name, "a=b"]).await;
        assert!(forbidden.starts_with("Error from server (Forbidden): "), "{forbidden}");
        let nobody = kubectl.with_token("nobody");
        let unauthorized = nobody.fails(&["get", "games"]).await;
        assert!(
            unauthorized.contains("You must be logged in") || unauthorized.contains("bearer token"),
            "{unauthorized}"
        );
    }
    world.end().await;
}
