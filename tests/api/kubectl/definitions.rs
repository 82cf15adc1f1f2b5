//! Our own kinds, for those who look for their definitions.

use super::{Kubectl, words};
use crate::stream::Watch;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_the_kinds_as_definitions_that_nobody_writes() {
    let world = World::new().await;
    for kubectl in Kubectl::all(&world) {
        let shown = kubectl.ok(&["get", "crd", "-o", "name"]).await;
        assert!(
            shown
                .lines()
                .any(|line| line == "customresourcedefinition.apiextensions.k8s.io/games.gamekeeper.dev"),
            "{shown}"
        );
        assert_eq!(words(&kubectl.ok(&["get", "crd"]).await)[0], ["NAME", "CREATED", "AT"]);
        let wait = ["wait", "crd/games.gamekeeper.dev", "--for=condition=Established", "--timeout=20s"];
        kubectl.ok(&wait).await;
        let described = kubectl.ok(&["describe", "crd", "games.gamekeeper.dev"]).await;
        assert!(
            described.contains("restartGeneration") || described.contains("Restart Generation"),
            "{described}"
        );
        let refused = kubectl.fails(&["delete", "crd", "games.gamekeeper.dev"]).await;
        assert!(refused.contains("the kinds are built in"), "{refused}");
        let refused = kubectl.fails(&["label", "crd", "games.gamekeeper.dev", "a=b"]).await;
        assert!(refused.contains("the kinds are built in"), "{refused}");
    }
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let list = world.get(path).await.ok(200);
    assert_eq!(list["kind"], "CustomResourceDefinitionList");
    let mut watch = Watch::open(&world, &format!("{path}?watch=true")).await;
    for _ in list["items"].as_array().unwrap() {
        assert_eq!(watch.next().await.kind, "ADDED");
    }
    watch.is_silent().await;
    world.get(&format!("{path}/others.gamekeeper.dev")).await.refused(404, "NotFound");
    world.end().await;
}
