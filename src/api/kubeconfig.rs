//! The kubeconfig that the server leaves for its operator, and the admin token in it.
//!
//! Only the digest of the token is kept beside it, so a kubeconfig that is lost, or that holds
//! another token, is replaced by one with a new token, and the old token is good no more.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::auth::{Role, Tokens, TokensError, mint};
use super::files;

/// The name of the admin token, and of the user in the kubeconfig.
const ADMIN: &str = "admin";
/// The name of cluster and context.
const CLUSTER: &str = "gamekeeper";

/// Why tokens and kubeconfig could not be made.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// The tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// A file could not be read or written.
    #[error("{path} could not be {verb}; check that this user may write its directory")]
    File {
        /// Which file.
        path: String,
        /// What was tried.
        verb: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file could not be put into YAML.
    #[error("{path} could not be put into words")]
    Yaml {
        /// Which file.
        path: String,
        /// Why not.
        #[source]
        source: serde_yaml::Error,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: String,
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
    contexts: Vec<NamedContext>,
    current_context: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority_data: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    token: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Context {
    cluster: String,
    user: String,
    namespace: String,
}

impl Kubeconfig {
    fn new(server: String, ca_pem: &str, token: &str) -> Self {
        let cluster = Cluster { server, certificate_authority_data: STANDARD.encode(ca_pem) };
        let context = Context {
            cluster: CLUSTER.into(),
            user: ADMIN.into(),
            namespace: crate::game::manifest::DEFAULT_NAMESPACE.into(),
        };
        Self {
            api_version: "v1".into(),
            kind: "Config".into(),
            clusters: vec![NamedCluster { name: CLUSTER.into(), cluster }],
            users: vec![NamedUser { name: ADMIN.into(), user: User { token: token.into() } }],
            contexts: vec![NamedContext { name: CLUSTER.into(), context }],
            current_context: CLUSTER.into(),
        }
    }
}

/// Reads the tokens of the data directory, and sees to it that its `kubeconfig` leads to the server
/// at this address, with this CA and a good admin token.
///
/// # Errors
/// What could not be read or written; nothing is half-written then.
pub fn ensure(data_dir: &Path, listen: SocketAddr, ca_pem: &str) -> Result<Tokens, KubeconfigError> {
    let (path, tokens_path) = (data_dir.join("kubeconfig"), data_dir.join("tokens.yaml"));
    let failed =
        |path: &Path, verb, source| KubeconfigError::File { path: path.display().to_string(), verb, source };
    let mut tokens = Tokens::read(&tokens_path)?;
    let text = files::read(&path).map_err(|source| failed(&path, "read", source))?;
    let there: Option<Kubeconfig> = text.as_deref().and_then(|text| serde_yaml::from_str(text).ok());
    let kept = there.as_ref().and_then(|config| {
        let user = config.users.iter().find(|user| tokens.is_of(ADMIN, &user.user.token))?;
        Some(user.user.token.clone())
    });
    let token = match kept {
        Some(token) => token,
        None => {
            let token = mint();
            tokens.replace(ADMIN, Role::Admin, &token);
            let yaml = tokens.to_yaml().map_err(|source| yaml_error(&tokens_path, source))?;
            files::write(&tokens_path, yaml.as_bytes(), files::PRIVATE)
                .map_err(|source| failed(&tokens_path, "written", source))?;
            token
        }
    };
    let wanted = Kubeconfig::new(server_url(listen), ca_pem, &token);
    if there.as_ref() != Some(&wanted) || files::is_open_to_others(&path) {
        let yaml = serde_yaml::to_string(&wanted).map_err(|source| yaml_error(&path, source))?;
        files::write(&path, yaml.as_bytes(), files::PRIVATE)
            .map_err(|source| failed(&path, "written", source))?;
    }
    Ok(tokens)
}

fn yaml_error(path: &Path, source: serde_yaml::Error) -> KubeconfigError {
    KubeconfigError::Yaml { path: path.display().to_string(), source }
}

/// How a client on this machine reaches a server that listens there.
pub fn server_url(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("https://{}", SocketAddr::new(ip, listen.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_in(directory: &Path) -> String {
        let text = std::fs::read_to_string(directory.join("kubeconfig")).unwrap();
        serde_yaml::from_str::<Kubeconfig>(&text).unwrap().users[0].user.token.clone()
    }

    #[test]
    fn a_second_start_changes_nothing_and_a_lost_file_gives_a_new_token() {
        let directory = tempfile::tempdir().unwrap();
        let (path, listen) = (directory.path(), "127.0.0.1:7878".parse().unwrap());
        ensure(path, listen, "CA").unwrap();
        let first = token_in(path);
        let inode =
            || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path.join("kubeconfig")).unwrap());
        let before = inode();
        assert!(ensure(path, listen, "CA").unwrap().is_of(ADMIN, &first));
        assert_eq!(inode(), before, "written again without need");

        std::fs::remove_file(path.join("kubeconfig")).unwrap();
        let tokens = ensure(path, listen, "CA").unwrap();
        assert!(!tokens.is_of(ADMIN, &first) && tokens.is_of(ADMIN, &token_in(path)));
    }

    #[test]
    fn another_port_or_ca_keeps_the_token() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        ensure(path, "127.0.0.1:1".parse().unwrap(), "CA").unwrap();
        let first = token_in(path);
        ensure(path, "0.0.0.0:2".parse().unwrap(), "CA").unwrap();
        ensure(path, "[::]:2".parse().unwrap(), "other").unwrap();
        let text = std::fs::read_to_string(path.join("kubeconfig")).unwrap();
        assert!(text.contains("https://[::1]:2") && text.contains(&STANDARD.encode("other")), "{text}");
        assert_eq!(token_in(path), first);
    }

    #[test]
    fn no_secret_is_readable_by_others_and_other_tokens_stay() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let mut tokens = Tokens::default();
        tokens.replace("lobby", Role::Lobby, "secret");
        std::fs::write(path.join("tokens.yaml"), tokens.to_yaml().unwrap()).unwrap();
        assert!(ensure(path, "127.0.0.1:1".parse().unwrap(), "CA").unwrap().is_of("lobby", "secret"));
        for file in ["kubeconfig", "tokens.yaml"] {
            let mode = std::fs::metadata(path.join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        std::fs::set_permissions(path.join("kubeconfig"), std::fs::Permissions::from_mode(0o644)).unwrap();
        ensure(path, "127.0.0.1:1".parse().unwrap(), "CA").unwrap();
        assert!(!files::is_open_to_others(&path.join("kubeconfig")));
    }

    #[test]
    fn a_broken_list_of_tokens_is_told_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for broken in ["tokens: 5", "tokens: [{name: a, role: admin, sha256: abc}]", "{"] {
            std::fs::write(path.join("tokens.yaml"), broken).unwrap();
            let error = ensure(path, "127.0.0.1:1".parse().unwrap(), "CA").unwrap_err().to_string();
            assert!(error.contains("tokens.yaml"), "{error}");
            assert_eq!(std::fs::read_to_string(path.join("tokens.yaml")).unwrap(), broken);
        }
    }
}
