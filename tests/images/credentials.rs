//! Who may read: by name and password, or by a token for them; kept where Docker's client keeps them.

use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::registry::{Access, Registry};
use crate::world::World;
use crate::{is_running, pushed, with};

const NAME: &str = "keeper";
/// With bytes that two alphabets of base64 write differently.
const PASSWORD: &str = "hunter2-?>~?>~";

fn auths(registry: &Registry) -> String {
    let auth = STANDARD.encode(format!("{NAME}:{PASSWORD}"));
    json!({ "auths": { registry.host(): { "auth": auth } } }).to_string()
}

/// No secret is in the log, nor in the database.
fn keeps_its_secrets(world: &World) {
    let files = ["gamekeeper.db", "gamekeeper.db-wal"].map(|name| world.data_dir().join(name));
    let kept = files.into_iter().flat_map(|file| std::fs::read(file).unwrap_or_default());
    let everything: Vec<u8> = world.log().into_bytes().into_iter().chain(kept).collect();
    let encoded = STANDARD.encode(format!("{NAME}:{PASSWORD}"));
    for secret in [PASSWORD, &encoded] {
        assert!(!everything.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()));
    }
}

#[tokio::test]
async fn credentials_come_from_dockers_own_file_by_name_or_by_token() {
    for access in [Access::Basic(NAME, PASSWORD), Access::Bearer(NAME, PASSWORD)] {
        let registry = Registry::new().await;
        let (image, _, _pulled) = pushed(&registry, "private");
        registry.demand(access);
        let world = with(&["--backoff-longest", "5s"], |_| {}).await;
        world.register("2.0.0", &image).await;
        let game = world.game("private", "2.0.0").await;
        let status = world.until(&game, "refused", |s| s.reason == "RegistryUnauthorized").await;
        eprintln!("{}", status.message);
        // Somebody logs in; it is read anew at the next attempt.
        world.file("config.json", &auths(&registry));
        world.until(&game, "running", is_running).await;
        keeps_its_secrets(&world);
    }
}

#[tokio::test]
async fn a_configured_file_comes_before_dockers_own_and_helpers_are_asked() {
    let registry = Registry::new().await;
    registry.demand(Access::Basic(NAME, PASSWORD));
    let (by_file, _, _first) = pushed(&registry, "by-file");
    let (by_helper, _, _second) = pushed(&registry, "by-helper");
    let world = with(&["--backoff-longest", "5s"], |world| {
        let file = world.file("registry-auth.json", &auths(&registry));
        world.arguments.extend(["--registry-auth-file".into(), file]);
        world.file("config.json", &json!({ "credHelpers": { registry.host(): "gktest" } }).to_string());
        let helper = format!(
            "#!/bin/sh\necho '{}'\n",
            json!({ "ServerURL": registry.host(), "Username": NAME, "Secret": PASSWORD })
        );
        let helper = world.file("docker-credential-gktest", &helper);
        std::fs::set_permissions(helper, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = std::env::var("PATH").unwrap();
        world.environment.push(("PATH".into(), format!("{}:{path}", world.dir.path().display())));
    })
    .await;
    world.register("2.0.0", &by_file).await;
    world.register("2.0.1", &by_helper).await;
    let game = world.game("by-file", "2.0.0").await;
    world.until(&game, "running", is_running).await;
    // Without credentials in the first file the helper that the second one names is asked.
    world.file("registry-auth.json", "{}");
    let game = world.game("by-helper", "2.0.1").await;
    world.until(&game, "running", is_running).await;
    // A file that is damaged is named, and its content is not told.
    world.file("registry-auth.json", &format!("{{\"auths\": {PASSWORD}"));
    let (third, _, _third) = pushed(&registry, "by-nothing");
    world.register("2.0.2", &third).await;
    let game = world.game("by-nothing", "2.0.2").await;
    let status = world.until(&game, "refused", |s| s.reason == "RegistryUnauthorized").await;
    assert!(status.message.contains("--registry-auth-file"), "{status:?}");
    keeps_its_secrets(&world);
}
