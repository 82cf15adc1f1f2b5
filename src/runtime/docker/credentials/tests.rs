use std::os::unix::fs::PermissionsExt;

use super::*;

/// A directory with Docker's configuration, a configured file and helpers.
struct World {
    directory: tempfile::TempDir,
    environment: Environment,
}

impl World {
    fn new(config: &serde_json::Value) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("config.json"), config.to_string()).expect("a file");
        let environment = Environment {
            config_directory: Some(directory.path().into()),
            path: Some(format!("{}:/usr/bin:/bin", directory.path().display())),
            ..Environment::default()
        };
        Self { directory, environment }
    }

    /// A helper that is this shell script.
    fn helper(self, name: &str, script: &str) -> Self {
        let path = self.directory.path().join(format!("docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        self
    }

    async fn of(&self, image: &str) -> Result<Option<DockerCredentials>, String> {
        for_image(image, None, &self.environment).await
    }
}

fn auths() -> serde_json::Value {
    serde_json::json!({"auths": {
        "https://index.docker.io/v1/": {"auth": STANDARD.encode("hub:p:w")},
        "registry.example:5000": {"auth": STANDARD.encode("own:secret")},
        "https://token.example/v2/": {"identitytoken": "t"},
        "empty.example": {}
    }})
}

#[tokio::test]
async fn credentials_are_those_of_the_images_registry() {
    let world = World::new(&auths());
    let of = async |image: &str| world.of(image).await.expect("an answer");
    let hub = of("team/engine").await.expect("the hub's");
    assert_eq!((hub.username.as_deref(), hub.password.as_deref()), (Some("hub"), Some("p:w")));
    assert_eq!(of("registry.example:5000/engine").await.and_then(|c| c.username).as_deref(), Some("own"));
    assert_eq!(of("token.example/engine").await.and_then(|c| c.identitytoken).as_deref(), Some("t"));
    assert!(of("empty.example/engine").await.is_none() && of("other.example/engine").await.is_none());
}

#[tokio::test]
async fn the_configured_file_is_asked_first_and_has_to_be_readable() {
    let world = World::new(&auths());
    let file = world.directory.path().join("ours.json");
    let of = async |image: &str| for_image(image, Some(&file), &world.environment).await;
    assert!(of("team/engine").await.expect_err("it is not there").contains("--registry-auth-file"));
    std::fs::write(&file, "{\"auths\": {\"x\": {\"auth\": hunter2").expect("a file");
    let wrong = of("team/engine").await.expect_err("it is no JSON");
    assert!(wrong.contains("docker login") && !wrong.contains("hunter2"), "{wrong}");
    let ours = serde_json::json!({"auths": {"registry.example:5000": {"auth": STANDARD.encode("ours:x")}}});
    std::fs::write(&file, ours.to_string()).expect("a file");
    let found = of("registry.example:5000/engine").await.expect("an answer");
    assert_eq!(found.and_then(|c| c.username).as_deref(), Some("ours"));
    let found = of("team/engine").await.expect("an answer");
    assert_eq!(found.and_then(|c| c.username).as_deref(), Some("hub"), "what it has not, Docker's may have");
}

#[tokio::test]
async fn a_helper_is_asked_for_the_registry_and_the_one_of_the_registry_before_that_of_all() {
    let config = serde_json::json!({
        "auths": {"registry.example": {"auth": STANDARD.encode("file:x")}},
        "credsStore": "all",
        "credHelpers": {"registry.example": "one"}
    });
    let said =
        r#"read server; echo "{\"ServerURL\":\"$server\",\"Username\":\"$1-$server\",\"Secret\":\"s\"}""#;
    let token = r#"echo '{"Username":"<token>","Secret":"t"}'"#;
    let world = World::new(&config).helper("one", said).helper("all", token);
    let found = world.of("registry.example/engine").await.expect("an answer").expect("credentials");
    assert_eq!(found.username.as_deref(), Some("get-registry.example"));
    assert_eq!(found.password.as_deref(), Some("s"));
    let found = world.of("team/engine").await.expect("an answer").expect("credentials");
    assert_eq!((found.identitytoken.as_deref(), found.username), (Some("t"), None));
    assert_eq!(found.serveraddress.as_deref(), Some(DOCKER_HUB));
}

#[tokio::test]
async fn a_helper_that_fails_is_named_and_what_it_said_is_not_told() {
    let config = serde_json::json!({"credHelpers": {
        "none.example": "none", "bad.example": "bad", "silly.example": "silly",
        "absent.example": "absent", "path.example": "../../bin/sh", "endless.example": "endless"
    }});
    let world = World::new(&config)
        .helper("none", "echo 'credentials not found in native keychain'; exit 1")
        .helper("bad", "echo hunter2; echo hunter2 >&2; exit 1")
        .helper("silly", "echo hunter2")
        .helper("endless", "exec cat /dev/zero");
    assert!(world.of("none.example/x").await.expect("an answer").is_none());
    for (registry, words) in [
        ("bad", "docker-credential-bad get"),
        ("silly", "no credentials"),
        ("absent", "cannot be run"),
        ("path", "letters"),
        ("endless", "failed"),
    ] {
        let told = world.of(&format!("{registry}.example/x")).await.expect_err("it fails");
        assert!(told.contains(words) && !told.contains("hunter2"), "{told}");
    }
}
