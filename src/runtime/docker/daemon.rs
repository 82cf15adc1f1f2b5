//! Who is at the other end, and what follows from it for users.

use std::fmt;
use std::path::PathBuf;

use super::DockerRuntime;
use super::error::within;
use crate::game::spec::RunAs;
use crate::runtime::{RuntimeError, RuntimeIdentity};

/// The user of an engine where the controller is root.
const DEFAULT_USER: User = User { uid: 10_001, gid: 10_001 };

/// A user and group, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

impl User {
    /// Who runs this process.
    pub(super) fn own() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    fn is_root(self) -> bool {
        self.uid == 0
    }
}

impl DockerRuntime {
    pub(super) async fn daemon_identity(&self) -> Result<RuntimeIdentity, RuntimeError> {
        let info = within("info", self.settings.deadlines.look, self.docker.info()).await?;
        let version = info.server_version.unwrap_or_default();
        let id = if is_podman(&version) {
            // Podman makes up another id at each call; its host and storage stay.
            format!("podman:{}:{}", info.name.unwrap_or_default(), info.docker_root_dir.unwrap_or_default())
        } else {
            info.id.unwrap_or_default()
        };
        Ok(RuntimeIdentity { id, version })
    }

    /// Where the daemon keeps images and containers, on its own host.
    pub async fn root_directory(&self) -> Option<PathBuf> {
        let info = within("info", self.settings.deadlines.look, self.docker.info()).await.ok()?;
        info.docker_root_dir.map(PathBuf::from)
    }

    /// The user inside the container; none leaves the image's.
    pub(super) async fn user(&self, run_as: RunAs) -> Result<Option<User>, RuntimeError> {
        Ok(match run_as {
            RunAs::Image => None,
            RunAs::User { uid, gid } => Some(User { uid, gid }),
            RunAs::Auto if User::own().is_root() => Some(DEFAULT_USER),
            // A rootless daemon maps its own user, who is also the controller's, to root inside.
            RunAs::Auto if self.is_rootless().await? => Some(User { uid: 0, gid: 0 }),
            RunAs::Auto => Some(User::own()),
        })
    }

    async fn is_rootless(&self) -> Result<bool, RuntimeError> {
        let ask = || async {
            let info = within("info", self.settings.deadlines.look, self.docker.info()).await?;
            let options = info.security_options.unwrap_or_default();
            Ok(has(&options, "rootless"))
        };
        self.rootless.get_or_try_init(ask).await.copied()
    }

    /// Whom the root of a container is on Docker's host, where Docker maps users to others
    /// (`userns-remap`) and says to whom.
    pub(super) async fn mapped_users(&self) -> Result<Option<User>, RuntimeError> {
        let info = within("info", self.settings.deadlines.look, self.docker.info()).await?;
        let maps = has(&info.security_options.unwrap_or_default(), "userns");
        Ok(info.docker_root_dir.filter(|_| maps).as_deref().and_then(mapped_root))
    }
}

/// Whether Docker names a security option: each is a list of pairs, `name=seccomp,profile=default`.
fn has(options: &[String], name: &str) -> bool {
    let is_it = |pair: &str| pair.split_once('=') == Some(("name", name));
    options.iter().any(|option| option.split(',').next().is_some_and(is_it))
}

/// Docker that maps users has a root directory for each mapping: `/var/lib/docker/100000.100000`.
fn mapped_root(docker_root: &str) -> Option<User> {
    let (uid, gid) = docker_root.rsplit_once('/')?.1.split_once('.')?;
    Some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
}

/// The owner of a new state directory, on the host; none means everybody's.
pub(super) fn directory_owner(run_as: RunAs) -> Option<User> {
    match run_as {
        RunAs::Image => None,
        RunAs::User { uid, gid } => Some(User { uid, gid }),
        RunAs::Auto if User::own().is_root() => Some(DEFAULT_USER),
        RunAs::Auto => Some(User::own()),
    }
}

/// Docker's versions are 17 and above, Podman's far below.
fn is_podman(version: &str) -> bool {
    version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major < 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podman_is_told_from_docker_by_its_version() {
        assert!(is_podman("4.3.1"));
        for docker in ["20.10.24+dfsg1", "29.1.0", "dev", ""] {
            assert!(!is_podman(docker), "{docker}");
        }
    }

    #[test]
    fn a_security_option_is_known_by_its_name_and_a_mapping_by_dockers_directory() {
        let options =
            ["name=seccomp,profile=/etc/name=rootless,name=userns", "name=cgroupns"].map(str::to_owned);
        assert!(has(&options, "cgroupns") && !has(&options, "rootless") && !has(&options, "userns"));
        assert_eq!(mapped_root("/var/lib/docker/100000.200000"), Some(User { uid: 100_000, gid: 200_000 }));
        for plain in ["/var/lib/docker", "/var/lib/docker/a.b", ""] {
            assert_eq!(mapped_root(plain), None, "{plain}");
        }
    }

    #[test]
    fn the_owner_of_a_directory_follows_run_as() {
        assert_eq!(directory_owner(RunAs::Image), None);
        assert_eq!(directory_owner(RunAs::User { uid: 5, gid: 6 }), Some(User { uid: 5, gid: 6 }));
        let auto = directory_owner(RunAs::Auto).expect("an owner");
        assert!(!auto.is_root());
    }
}
