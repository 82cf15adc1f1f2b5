//! Where the server is and how to speak to it: the kubeconfig that it writes at its first start.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::Deserialize;

use super::error::ClientError;
use crate::config::{KUBECONFIG, default_data_dir};

/// Where to look for the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Whereabouts {
    /// The kubeconfig itself (`--kubeconfig`, `GAMEKEEPER_KUBECONFIG`).
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The server's data directory (`--data-dir`, `GAMEKEEPER_DATA_DIR`).
    pub(crate) data_dir: Option<PathBuf>,
    /// In whose name to ask (`--as`); else the kubeconfig's `as`.
    pub(crate) as_user: Option<String>,
    /// As a member of which groups (`--as-group`).
    pub(crate) as_groups: Vec<String>,
}

/// In whose name an admin asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Impersonation {
    /// The user.
    pub(crate) user: String,
    /// Their groups.
    pub(crate) groups: Vec<String>,
}

/// How to speak to a server.
#[derive(Debug)]
pub(crate) struct Access {
    /// The file that says so.
    pub(crate) file: PathBuf,
    /// The server, as `https://host:port`.
    pub(crate) server: reqwest::Url,
    /// The only authority whose certificates are believed, as PEM.
    pub(crate) authority: Vec<u8>,
    /// Who asks.
    pub(crate) token: SecretString,
    /// In whose name, if not in its own.
    pub(crate) impersonates: Option<Impersonation>,
    /// The namespace that is meant when none is named.
    pub(crate) namespace: Option<String>,
}

impl Whereabouts {
    /// The kubeconfig's path, whether it is there or not.
    ///
    /// # Errors
    /// When nobody says where it is, and there is no home directory.
    pub(crate) fn file(&self) -> Result<PathBuf, ClientError> {
        match (&self.kubeconfig, &self.data_dir) {
            (Some(file), _) => Ok(file.clone()),
            (None, Some(directory)) => Ok(directory.join(KUBECONFIG)),
            (None, None) => Ok(default_data_dir().map_err(|_| ClientError::NoPlace)?.join(KUBECONFIG)),
        }
    }

    /// Reads the kubeconfig.
    ///
    /// # Errors
    /// When it is not there, or does not say how to speak to the server.
    pub(crate) fn access(&self) -> Result<Access, ClientError> {
        let file = self.file()?;
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let mut access = read(&file, &text)?;
                if let Some(user) = &self.as_user {
                    let groups = self.as_groups.clone();
                    access.impersonates = Some(Impersonation { user: user.clone(), groups });
                }
                Ok(access)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(ClientError::NoKubeconfig(file))
            }
            Err(source) => Err(ClientError::Unreadable { file, source }),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    current_context: String,
    #[serde(default)]
    clusters: Vec<Named<Cluster>>,
    #[serde(default)]
    users: Vec<Named<User>>,
    #[serde(default)]
    contexts: Vec<Named<Context>>,
}

#[derive(Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "cluster", alias = "user", alias = "context")]
    value: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    // Kubernetes writes this one in camel case.
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    #[serde(rename = "as")]
    as_user: Option<String>,
    #[serde(default)]
    as_groups: Vec<String>,
    as_uid: Option<String>,
    as_user_extra: Option<serde_yaml::Value>,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: String,
    namespace: Option<String>,
}

fn read(path: &Path, text: &str) -> Result<Access, ClientError> {
    let wrong = |message: String| ClientError::Kubeconfig { file: path.to_owned(), message };
    let file: File = serde_yaml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let context = named(&file.contexts, &file.current_context).ok_or_else(|| {
        wrong(format!("its current-context `{}` is not among its contexts", file.current_context))
    })?;
    let cluster = named(&file.clusters, &context.cluster)
        .ok_or_else(|| wrong(format!("it has no cluster `{}`", context.cluster)))?;
    let user = named(&file.users, &context.user)
        .ok_or_else(|| wrong(format!("it has no user `{}`", context.user)))?;

    let server = reqwest::Url::parse(&cluster.server)
        .ok()
        .filter(|url| url.scheme() == "https" && url.has_host())
        .ok_or_else(|| wrong(format!("its server `{}` is not https://HOST:PORT", cluster.server)))?;
    // As kubectl has it: paths are meant from the kubeconfig's own directory.
    let beside = |other: &Path| path.parent().unwrap_or(Path::new("")).join(other);
    let load = |other: &Path| {
        let file = beside(other);
        std::fs::read(&file).map_err(|source| ClientError::Unreadable { file, source })
    };
    let authority = match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
        (Some(data), _) => STANDARD
            .decode(data.trim())
            .map_err(|error| wrong(format!("its certificate-authority-data is not base64: {error}")))?,
        (None, Some(file)) => load(file)?,
        (None, None) => return Err(wrong("its cluster has no certificate authority".into())),
    };
    let token = match (&user.token, &user.token_file) {
        (Some(token), _) => token.clone().into(),
        (None, Some(file)) => String::from_utf8_lossy(&load(file)?).trim().to_owned().into(),
        (None, None) => return Err(wrong(format!("its user `{}` has no token", context.user))),
    };
    let impersonates = impersonation(user).map_err(wrong)?;
    let namespace = context.namespace.clone();
    Ok(Access { file: path.to_owned(), server, authority, token, impersonates, namespace })
}

/// In whose name it asks; what nobody here is known by is not left out in silence.
fn impersonation(user: &User) -> Result<Option<Impersonation>, String> {
    let User { token: _, token_file: _, as_user, as_groups, as_uid, as_user_extra } = user;
    if as_uid.is_some() || as_user_extra.is_some() {
        return Err(
            "its user has as-uid or as-user-extra; nobody is known by that here, take them out".into()
        );
    }
    match as_user {
        Some(user) => Ok(Some(Impersonation { user: user.clone(), groups: as_groups.clone() })),
        None if as_groups.is_empty() => Ok(None),
        None => Err("its user has as-groups without `as`; name a user, too".into()),
    }
}

fn named<'a, T>(all: &'a [Named<T>], name: &str) -> Option<&'a T> {
    all.iter().find(|one| one.name == name).map(|one| &one.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    const GOOD: &str = "
apiVersion: v1
kind: Config
current-context: gamekeeper
clusters: [{ name: c, cluster: { server: 'https://127.0.0.1:7443', certificate-authority-data: YWJj } }]
users: [{ name: u, user: { token: secret } }]
contexts: [{ name: gamekeeper, context: { cluster: c, user: u, namespace: season } }]
";

    #[test]
    fn what_the_server_writes_is_understood() {
        let access = read(Path::new("/d/kubeconfig"), GOOD).unwrap();
        assert_eq!(access.server.as_str(), "https://127.0.0.1:7443/");
        assert_eq!(access.authority, b"abc");
        assert_eq!(access.token.expose_secret(), "secret");
        assert_eq!(access.namespace.as_deref(), Some("season"));
        assert!(!format!("{access:?}").contains("secret"));
    }

    #[test]
    fn in_whose_name_it_asks_is_read() {
        assert_eq!(read(Path::new("/d/kubeconfig"), GOOD).unwrap().impersonates, None);
        let with = GOOD.replacen("token: secret", "token: secret, as: ann, as-groups: [g, h]", 1);
        let impersonates = read(Path::new("/d/kubeconfig"), &with).unwrap().impersonates;
        let groups = vec!["g".to_owned(), "h".to_owned()];
        assert_eq!(impersonates, Some(Impersonation { user: "ann".into(), groups }));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (from, to, expected) in [
            ("current-context: gamekeeper", "current-context: x", "`x` is not among its contexts"),
            ("cluster: c", "cluster: d", "it has no cluster `d`"),
            ("user: u,", "user: v,", "it has no user `v`"),
            ("https://", "http://", "is not https://HOST:PORT"),
            ("YWJj", "'?'", "is not base64"),
            ("token: secret", "password: x", "has no token"),
            ("certificate-authority-data: YWJj", "x: 1", "no certificate authority"),
            ("certificate-authority-data: YWJj", "certificate-authority: gone.pem", "/d/gone.pem"),
            ("token: secret", "token: secret, as-uid: '7'", "nobody is known by that here"),
            ("token: secret", "token: secret, as-user-extra: { scopes: [all] }", "nobody is known by that"),
            ("token: secret", "token: secret, as-groups: [g]", "without `as`"),
        ] {
            let error =
                read(Path::new("/d/kubeconfig"), &GOOD.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }

    #[test]
    fn the_file_is_looked_for_where_one_says() {
        let by = |kubeconfig: Option<&str>, data_dir: Option<&str>| {
            let place = Whereabouts {
                kubeconfig: kubeconfig.map(Into::into),
                data_dir: data_dir.map(Into::into),
                ..Whereabouts::default()
            };
            place.file().unwrap()
        };
        assert_eq!(by(Some("/k"), Some("/d")), Path::new("/k"));
        assert_eq!(by(None, Some("/d")), Path::new("/d/kubeconfig"));
    }
}
