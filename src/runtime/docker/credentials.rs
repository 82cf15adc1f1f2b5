//! Credentials for registries, found as Docker's own client finds them: in a file such as `docker
//! login` writes, or by the helper programs that it names.
//!
//! A file that the configuration names is asked first. What a helper prints is a secret: none of it
//! is ever shown.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::host::Environment;

/// The key under which Docker Hub's credentials are kept.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The longest file that is read, in bytes.
const LONGEST_FILE: u64 = 1 << 20;
/// The longest answer of a helper that is read, in bytes.
const LONGEST_ANSWER: u64 = 64 << 10;
/// How long a helper may take: it may have to ask somebody else.
const HELPER_DEADLINE: Duration = Duration::from_secs(30);
/// What helpers say of a registry that they know nothing of.
const NOT_FOUND: &str = "credentials not found";
/// The name under which helpers keep a token that is no password.
const TOKEN: &str = "<token>";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigFile {
    #[serde(default)]
    auths: HashMap<String, Entry>,
    /// The helper for every registry …
    creds_store: Option<String>,
    /// … and those for some of them.
    #[serde(default)]
    cred_helpers: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    identitytoken: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// The credentials for the registry of `image`, if there are any.
///
/// # Errors
/// In words, what has to be put right: the configured file cannot be read, or a helper fails.
pub(super) async fn for_image(
    image: &str,
    configured: Option<&Path>,
    environment: &Environment,
) -> Result<Option<DockerCredentials>, String> {
    let registry = registry(image);
    if let Some(path) = configured {
        let file =
            read(path).await.map_err(|why| format!("--registry-auth-file {}: {why}", path.display()))?;
        if let Some(found) = file.credentials(registry, environment).await? {
            return Ok(Some(found));
        }
    }
    let Some(path) = environment.config_directory.as_ref().map(|it| it.join("config.json")) else {
        return Ok(None);
    };
    match read(&path).await {
        Ok(file) => file.credentials(registry, environment).await,
        // Docker's client goes on without it as well.
        Err(why) => {
            if path.exists() {
                tracing::warn!(path = %path.display(), why, "Docker's configuration cannot be read");
            }
            Ok(None)
        }
    }
}

async fn read(path: &Path) -> Result<ConfigFile, String> {
    let file = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    file.take(LONGEST_FILE).read_to_end(&mut text).await.map_err(|error| error.to_string())?;
    // The parser's own words might quote a secret.
    serde_json::from_slice(&text)
        .map_err(|error| format!("is not JSON as `docker login` writes it (line {})", error.line()))
}

impl ConfigFile {
    async fn credentials(
        self,
        registry: Option<&str>,
        environment: &Environment,
    ) -> Result<Option<DockerCredentials>, String> {
        let server = registry.unwrap_or(DOCKER_HUB);
        let helper = self.cred_helpers.get(server).or(self.creds_store.as_ref());
        match helper.filter(|name| !name.is_empty()) {
            Some(helper) => ask(helper, server, environment).await,
            None => Ok(self.of_file(registry)),
        }
    }

    fn of_file(self, registry: Option<&str>) -> Option<DockerCredentials> {
        let (key, entry) = self.auths.into_iter().find(|(key, _)| is_for(key, registry))?;
        let decoded = entry.auth.and_then(|auth| String::from_utf8(STANDARD.decode(auth).ok()?).ok());
        let (username, password) = match decoded.as_deref().and_then(|text| text.split_once(':')) {
            Some((user, password)) => {
                (Some(user.to_owned()), Some(password.trim_end_matches('\0').to_owned()))
            }
            None => (None, None),
        };
        let identitytoken = entry.identitytoken.filter(|token| !token.is_empty());
        let known = username.is_some() || identitytoken.is_some();
        known.then(|| DockerCredentials {
            username,
            password,
            identitytoken,
            serveraddress: Some(key),
            ..DockerCredentials::default()
        })
    }
}

/// Asks the program `docker-credential-HELPER`.
async fn ask(
    helper: &str,
    server: &str,
    environment: &Environment,
) -> Result<Option<DockerCredentials>, String> {
    let program = format!("docker-credential-{helper}");
    if !helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        return Err("the name of a credential helper has letters, digits, `.`, `_` and `-` only".into());
    }
    let answered = tokio::time::timeout(HELPER_DEADLINE, run(&program, server, environment)).await;
    let (succeeded, said) = match answered {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) => {
            return Err(format!("the credential helper `{program}` cannot be run: {error}; install it"));
        }
        Err(_) => {
            let seconds = HELPER_DEADLINE.as_secs();
            return Err(format!("the credential helper `{program}` did not answer within {seconds} s"));
        }
    };
    if !succeeded {
        let unknown = String::from_utf8_lossy(&said).contains(NOT_FOUND);
        return if unknown {
            Ok(None)
        } else {
            Err(format!("the credential helper `{program}` failed; try `echo {server} | {program} get`"))
        };
    }
    let Ok(Answer { username, secret }) = serde_json::from_slice(&said) else {
        return Err(format!("the credential helper `{program}` gave no credentials"));
    };
    let serveraddress = Some(server.to_owned());
    Ok(Some(if username == TOKEN {
        DockerCredentials { identitytoken: Some(secret), serveraddress, ..DockerCredentials::default() }
    } else {
        DockerCredentials {
            username: Some(username),
            password: Some(secret),
            serveraddress,
            ..DockerCredentials::default()
        }
    }))
}

/// Whether it succeeded, and what it said, up to a bound. It ends when nobody waits any more.
async fn run(program: &str, server: &str, environment: &Environment) -> std::io::Result<(bool, Vec<u8>)> {
    let mut command = Command::new(program);
    if let Some(path) = &environment.path {
        command.env("PATH", path);
    }
    let mut child = command
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not want to know closes it.
        let _ = stdin.write_all(format!("{server}\n").as_bytes()).await;
    }
    let mut said = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(LONGEST_ANSWER).read_to_end(&mut said).await?;
    }
    Ok((child.wait().await?.success(), said))
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
mod tests;
