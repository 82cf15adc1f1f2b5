//! Where Docker is: found as Docker's own client finds it.
//!
//! In order: what the settings say, `DOCKER_HOST`, the context named by `DOCKER_CONTEXT` or the
//! configuration file, then the sockets that Docker, rootless Docker, Docker Desktop and Podman
//! make. The environment is read once, by [`Environment::of_process`].

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// An address of a Docker daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// A socket on this machine.
    Unix(PathBuf),
    /// `host:port`, in the clear.
    Tcp(String),
    /// Nobody said: the first of these that is there.
    FirstOf(Vec<PathBuf>),
}

/// What of the process's environment decides where Docker is.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    pub(super) docker_host: Option<String>,
    pub(super) docker_context: Option<String>,
    pub(super) tls: bool,
    pub(super) config_directory: Option<PathBuf>,
    pub(super) home: Option<PathBuf>,
    pub(super) runtime_directory: Option<PathBuf>,
    /// Where programs are looked for; none: where the process looks.
    pub(super) path: Option<String>,
}

impl Environment {
    pub(super) fn of_process() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = variable("HOME").map(PathBuf::from);
        Self {
            docker_host: variable("DOCKER_HOST"),
            docker_context: variable("DOCKER_CONTEXT"),
            tls: variable("DOCKER_TLS_VERIFY").is_some() || variable("DOCKER_TLS").is_some(),
            config_directory: variable("DOCKER_CONFIG")
                .map(PathBuf::from)
                .or_else(|| home.as_ref().map(|home| home.join(".docker"))),
            home,
            runtime_directory: variable("XDG_RUNTIME_DIR").map(PathBuf::from),
            path: None,
        }
    }

    /// The client's configuration file, if there is one.
    pub(super) fn config_file(&self) -> Option<Vec<u8>> {
        std::fs::read(self.config_directory.as_ref()?.join("config.json")).ok()
    }

    fn sockets(&self) -> Vec<PathBuf> {
        let in_runtime = |name: &str| self.runtime_directory.as_ref().map(|directory| directory.join(name));
        let in_home = |name: &str| self.home.as_ref().map(|home| home.join(name));
        [
            Some(DEFAULT_SOCKET.into()),
            in_runtime("docker.sock"),
            in_home(".docker/run/docker.sock"),
            in_home(".docker/desktop/docker.sock"),
            in_runtime("podman/podman.sock"),
            Some("/run/podman/podman.sock".into()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Where Docker is, or in words why that cannot be.
pub(super) fn find(explicit: Option<&str>, environment: &Environment) -> Result<Host, String> {
    if let Some(host) = explicit {
        return parse(host, environment.tls);
    }
    if let Some(host) = &environment.docker_host {
        return parse(host, environment.tls).map_err(|why| format!("DOCKER_HOST: {why}"));
    }
    let context = environment.docker_context.clone().or_else(|| {
        let config: ConfigFile = serde_json::from_slice(&environment.config_file()?).ok()?;
        config.current_context
    });
    match context {
        Some(name) if !name.is_empty() && name != "default" => of_context(&name, environment),
        _ => Ok(Host::FirstOf(environment.sockets())),
    }
}

impl Host {
    /// The first of the candidates that exists, or Docker's default, for the error's sake.
    pub(super) fn first_existing(candidates: &[PathBuf]) -> Option<&Path> {
        candidates.iter().map(PathBuf::as_path).find(|path| path.exists())
    }

    /// What to show while none is there.
    pub(super) fn fallback() -> &'static Path {
        Path::new(DEFAULT_SOCKET)
    }
}

fn parse(host: &str, tls: bool) -> Result<Host, String> {
    let unsupported = |what: &str| {
        Err(format!(
            "`{host}`: {what} is not supported; use a Unix socket, or forward one (`ssh -L`), or plain tcp://"
        ))
    };
    match host.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Ok(Host::Unix(path.into())),
        None if host.starts_with('/') => Ok(Host::Unix(host.into())),
        Some(("tcp" | "http", _)) if tls => unsupported("Docker over TLS"),
        Some(("tcp" | "http", address)) => {
            tcp(address).ok_or_else(|| format!("`{host}` is not tcp://host:port"))
        }
        Some(("https", _)) => unsupported("Docker over TLS"),
        Some(("ssh", _)) => unsupported("Docker over SSH"),
        _ => Err(format!("`{host}` is not an address of Docker: use unix:///path or tcp://host:port")),
    }
}

fn tcp(address: &str) -> Option<Host> {
    let authority: http::uri::Authority = address.trim_end_matches('/').parse().ok()?;
    let port = authority.port_u16().unwrap_or(2375);
    (!authority.host().is_empty()).then(|| Host::Tcp(format!("{}:{port}", authority.host())))
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

#[derive(Deserialize)]
struct ContextFile {
    #[serde(rename = "Endpoints")]
    endpoints: ContextEndpoints,
}

#[derive(Deserialize)]
struct ContextEndpoints {
    docker: ContextEndpoint,
}

#[derive(Deserialize)]
struct ContextEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
}

/// Contexts lie in directories named by the digest of their name.
fn of_context(name: &str, environment: &Environment) -> Result<Host, String> {
    let wrong = |why: String| format!("Docker context `{name}`: {why}");
    let directory = environment.config_directory.as_ref().ok_or_else(|| wrong("no home directory".into()))?;
    let digest: String = Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let meta = directory.join("contexts/meta").join(&digest).join("meta.json");
    let text = std::fs::read(&meta).map_err(|error| wrong(format!("{}: {error}", meta.display())))?;
    let file: ContextFile = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    if file.endpoints.docker.host.is_empty() {
        return Ok(Host::FirstOf(environment.sockets()));
    }
    let tls = directory.join("contexts/tls").join(&digest).join("docker").exists();
    parse(&file.endpoints.docker.host, tls).map_err(wrong)
}

#[cfg(test)]
mod tests;
