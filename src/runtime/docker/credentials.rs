//! Credentials for registries, from the file that `docker login` writes. Credential helpers are
//! not run.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;

use super::host::Environment;

/// The key under which Docker Hub's credentials are kept.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    auths: HashMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    identitytoken: Option<String>,
}

/// The credentials for the registry of `image`, if there are any.
pub(super) fn for_image(image: &str, environment: &Environment) -> Option<DockerCredentials> {
    let config: ConfigFile = serde_json::from_slice(&environment.config_file()?).ok()?;
    let registry = registry(image);
    let (key, entry) = config.auths.into_iter().find(|(key, _)| is_for(key, registry))?;
    let decoded = entry.auth.and_then(|auth| String::from_utf8(STANDARD.decode(auth).ok()?).ok());
    let (username, password) = match decoded.as_deref().and_then(|text| text.split_once(':')) {
        Some((user, password)) => (Some(user.to_owned()), Some(password.trim_end_matches('\0').to_owned())),
        None => (None, None),
    };
    let known = username.is_some() || entry.identitytoken.is_some();
    known.then(|| DockerCredentials {
        username,
        password,
        identitytoken: entry.identitytoken,
        serveraddress: Some(key),
        ..DockerCredentials::default()
    })
}

/// The first part of a reference is a registry if it looks like a host.
fn registry(image: &str) -> Option<&str> {
    let (first, _) = image.split_once('/')?;
    (first.contains(['.', ':']) || first == "localhost")
        .then_some(first)
        .filter(|first| *first != "docker.io")
}

fn is_for(key: &str, registry: Option<&str>) -> bool {
    match registry {
        None => key == DOCKER_HUB,
        Some(registry) => {
            let bare = key.trim_start_matches("https://").trim_start_matches("http://");
            bare.split('/').next() == Some(registry)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_of_the_images_registry() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let hub = STANDARD.encode("hub:p:w");
        let own = STANDARD.encode("own:secret");
        let file = serde_json::json!({"auths": {
            "https://index.docker.io/v1/": {"auth": hub},
            "registry.example:5000": {"auth": own},
            "https://token.example/v2/": {"identitytoken": "t"},
            "empty.example": {}
        }});
        std::fs::write(directory.path().join("config.json"), file.to_string()).expect("a file");
        let environment =
            Environment { config_directory: Some(directory.path().into()), ..Environment::default() };
        let of = |image: &str| for_image(image, &environment);
        let hub = of("team/engine").expect("the hub's");
        assert_eq!((hub.username.as_deref(), hub.password.as_deref()), (Some("hub"), Some("p:w")));
        assert_eq!(of("registry.example:5000/engine").and_then(|c| c.username).as_deref(), Some("own"));
        assert_eq!(of("token.example/engine").and_then(|c| c.identitytoken).as_deref(), Some("t"));
        assert!(of("empty.example/engine").is_none() && of("other.example/engine").is_none());
    }
}
