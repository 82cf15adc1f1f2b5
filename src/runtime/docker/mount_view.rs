//! The state root as Docker mounts it, compared with the one that is seen here.
//!
//! With the controller in a container, or Docker on another host, two paths lead to the state root, and
//! a mistyped one, or a disk that is mounted on one side only, has engines write where nobody looks. So a
//! file with a name that nobody else knows is made here, and looked for through Docker: in a container of
//! an empty image that has the state root mounted and is never started. (For requests about files in a
//! container that does not run, Docker mounts what a start would mount.) That container stays, and each
//! further comparison is one request.
//!
//! An answer that is no plain word for "it is there" or "it is not" proves nothing: [`MountView::Unknown`].

use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, RemoveContainerOptionsBuilder,
};
use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Either, Full, Limited};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::error::{classify, if_there, within};
use super::text::{chain, one_line, percent_encoded};
use super::{DockerRuntime, labels, sentinel};
use crate::game::controller::MountView;
use crate::runtime::RuntimeError;

/// The whole comparison may take so long; it is part of each relist.
const DEADLINE: Duration = Duration::from_secs(20);

/// Where the state root is in the container.
const TARGET: &str = "/state-root";

/// An image without a file, made here: nothing is pulled, and nothing could be started from it.
const IMAGE: &str = "gamekeeper/nothing";
const IMAGE_TAG: &str = "1";

/// The end of an archive, and nothing before it.
const EMPTY_ARCHIVE: [u8; 1_024] = [0; 1_024];

/// An archive of one small file is shorter.
const LONGEST_ARCHIVE: usize = 16 << 10;

/// The header in which Docker describes the file that was asked for.
const FOUND: &str = "x-docker-container-path-stat";

/// What is kept between two comparisons.
#[derive(Debug, Default)]
pub(super) struct Comparing {
    /// The id of the container, once it was seen to be the right one.
    container: Option<String>,
    last: Option<(Instant, MountView)>,
}

/// What Docker says of a file in the container.
enum Answer {
    There,
    Absent,
    /// The container itself is not there (any more).
    NoContainer,
}

/// Why there is no answer to believe.
enum Doubt {
    /// Docker has no such directory.
    NoSource,
    Unknown(String),
}

impl From<RuntimeError> for Doubt {
    fn from(error: RuntimeError) -> Self {
        Self::Unknown(chain(&error))
    }
}

impl DockerRuntime {
    /// Compares, unless the last answer is not older than this.
    pub(super) async fn compare_mount(&self, engine: &str, not_older_than: Duration) -> MountView {
        let mut comparing = self.comparing.lock().await;
        if let Some((at, view)) = &comparing.last
            && at.elapsed() < not_older_than
        {
            return view.clone();
        }
        let compared = tokio::time::timeout(DEADLINE, self.compare(engine, &mut comparing.container)).await;
        let view = compared
            .unwrap_or_else(|_| MountView::Unknown(format!("it took longer than {} s", DEADLINE.as_secs())));
        comparing.last = Some((Instant::now(), view.clone()));
        view
    }

    async fn compare(&self, engine: &str, container: &mut Option<String>) -> MountView {
        let mark = format!("{}{}", sentinel::MARK, uuid::Uuid::new_v4());
        let made = mark.clone();
        match self.on_disk(None, "marked", move |state| state.leave_mark(&made)).await {
            Ok(()) => {}
            // That is told as such.
            Err(RuntimeError::StateRootNotOurs) => return MountView::NotAsked,
            Err(error) => return MountView::Unknown(chain(&error)),
        }
        let seen = self.look_for(engine, &mark, container).await;
        let left = self.on_disk(None, "marked", move |state| state.remove_mark(&mark)).await;
        match (seen, left) {
            (Ok(None), _) => MountView::Same,
            (Err(Doubt::Unknown(why)), _) => MountView::Unknown(why),
            // Somebody took it away meanwhile: that it was not found says nothing.
            (_, Ok(false)) => MountView::Unknown("the file that was looked for was removed meanwhile".into()),
            (_, Err(error)) => MountView::Unknown(chain(&error)),
            (Ok(Some(sees)), Ok(true)) => self.other(sees),
            (Err(Doubt::NoSource), Ok(true)) => self.other("there is no directory".into()),
        }
    }

    fn other(&self, sees: String) -> MountView {
        MountView::Other {
            on_host: self.settings.state_root_on_host().to_string_lossy().into_owned(),
            here: self.settings.state_root.to_string_lossy().into_owned(),
            sees,
        }
    }

    /// None if Docker sees the mark; otherwise what it sees in its place.
    async fn look_for(
        &self,
        engine: &str,
        mark: &str,
        container: &mut Option<String>,
    ) -> Result<Option<String>, Doubt> {
        let path = format!("{TARGET}/{}/{mark}", sentinel::DIRECTORY);
        if let Some(id) = self.known_container(container).await?
            && let Answer::There = self.ask_for(&id, &path).await?
        {
            return Ok(None);
        }
        // The socket may lead elsewhere since it was last asked who answers, and nothing is left at another
        // Docker Engine.
        let answers = self.daemon_identity().await?.id;
        if answers != engine {
            return Err(Doubt::Unknown(format!("another Docker Engine answers ({answers})")));
        }
        // Made anew, its directory is looked for anew: a creation says if there is none.
        self.remove_known(container).await?;
        let id = self.make_container().await?;
        *container = Some(id.clone());
        match self.ask_for(&id, &path).await? {
            Answer::There => Ok(None),
            Answer::NoContainer => Err(Doubt::Unknown("somebody removes its container all the time".into())),
            Answer::Absent => Ok(Some(self.what_is_there(&id).await)),
        }
    }

    /// The container of an earlier comparison, of this process or of one before it.
    async fn known_container(&self, known: &mut Option<String>) -> Result<Option<String>, RuntimeError> {
        if known.is_some() {
            return Ok(known.clone());
        }
        let Some(found) = if_there(self.describe(&self.mount_container()).await)? else { return Ok(None) };
        let mounts = found.host_config.and_then(|config| config.mounts).unwrap_or_default();
        let source = self.settings.state_root_on_host().to_string_lossy().into_owned();
        let fits = mounts
            .iter()
            .any(|mount| mount.source.as_ref() == Some(&source) && mount.target.as_deref() == Some(TARGET));
        let ours = self.is_mount_container(found.config.and_then(|config| config.labels).as_ref());
        if !ours {
            let name = self.mount_container();
            return Err(RuntimeError::Conflict(format!(
                "a container that is not gamekeeper's is called {name}; rename or remove it"
            )));
        }
        known.clone_from(&found.id);
        // (One that does not fit is in the way, and goes.)
        Ok(found.id.filter(|_| fits))
    }

    async fn remove_known(&self, known: &mut Option<String>) -> Result<(), RuntimeError> {
        let Some(id) = known.take() else { return Ok(()) };
        let options = RemoveContainerOptionsBuilder::new().v(true).force(false).build();
        let removed = within(
            "remove",
            self.settings.deadlines.change,
            self.docker.remove_container(&id, Some(options)),
        );
        if_there(removed.await).map(drop)
    }

    async fn make_container(&self) -> Result<String, Doubt> {
        let name = self.mount_container();
        let make = async || {
            let options = CreateContainerOptionsBuilder::new().name(&name).build();
            let body = self.docker.create_container(Some(options), self.mount_body());
            within("create", self.settings.deadlines.change, body).await
        };
        let made = match make().await {
            Err(RuntimeError::NotFound(_)) => {
                self.make_image().await?;
                make().await
            }
            made => made,
        };
        match made {
            Ok(made) => Ok(made.id),
            Err(RuntimeError::MountSourceMissing { .. }) => Err(Doubt::NoSource),
            Err(error) => Err(error.into()),
        }
    }

    fn mount_body(&self) -> ContainerCreateBody {
        ContainerCreateBody {
            image: Some(format!("{IMAGE}:{IMAGE_TAG}")),
            cmd: Some(vec!["/never-started".into()]),
            network_disabled: Some(true),
            labels: Some(
                [(labels::INSTANCE, self.settings.instance.to_string()), (labels::ROLE, ROLE.into())]
                    .map(|(key, value)| (key.to_owned(), value))
                    .into(),
            ),
            host_config: Some(HostConfig {
                network_mode: Some("none".into()),
                readonly_rootfs: Some(true),
                cap_drop: Some(vec!["ALL".into()]),
                mounts: Some(vec![Mount {
                    typ: Some(MountType::BIND),
                    source: Some(self.settings.state_root_on_host().to_string_lossy().into_owned()),
                    target: Some(TARGET.into()),
                    read_only: Some(true),
                    ..Mount::default()
                }]),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }

    /// Its name is of the instance and of the path that Docker is given: controllers that are told different
    /// paths have a container each.
    fn mount_container(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.settings.instance.to_string());
        digest.update(self.settings.state_root_on_host().as_os_str().as_encoded_bytes());
        let digest: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("gamekeeper-state-root-{digest}")
    }

    fn is_mount_container(&self, labels: Option<&std::collections::HashMap<String, String>>) -> bool {
        labels::text(labels, labels::INSTANCE) == self.settings.instance.to_string()
            && labels::text(labels, labels::ROLE) == ROLE
    }

    async fn make_image(&self) -> Result<(), RuntimeError> {
        let options = CreateImageOptionsBuilder::new()
            .from_src("-")
            .repo(IMAGE)
            .tag(IMAGE_TAG)
            .changes(vec![format!("LABEL {}={ROLE}", labels::ROLE)])
            .build();
        let body = Either::Left(Full::new(Bytes::from_static(&EMPTY_ARCHIVE)));
        let mut answers = Box::pin(self.docker.create_image(Some(options), Some(body), None));
        while let Some(answer) = answers.next().await {
            answer.map_err(|error| classify("image import", DEADLINE, error))?;
        }
        Ok(())
    }

    /// Whether the container has this file, asked as the comparison asks.
    pub(super) async fn sees_file(&self, container: &str, path: &str) -> Result<bool, RuntimeError> {
        Ok(matches!(self.ask_for(container, path).await?, Answer::There))
    }

    /// Whether the container has this file. The answer has no body, so a 404 does not say what it is that is
    /// not there.
    async fn ask_for(&self, container: &str, path: &str) -> Result<Answer, RuntimeError> {
        let path = archive(container, path);
        let answered = within("archive", self.settings.deadlines.look, async {
            let request = Request::builder().method(Method::HEAD).uri(&path);
            let request = request.body(Either::Left(Full::new(Bytes::new())))?;
            let answer = self.transport.request(request).await?;
            Ok((answer.status(), answer.headers().contains_key(FOUND)))
        });
        match answered.await? {
            (status, true) if status.is_success() => Ok(Answer::There),
            (StatusCode::NOT_FOUND, _) => match if_there(self.describe(container).await)? {
                Some(_) => Ok(Answer::Absent),
                None => Ok(Answer::NoContainer),
            },
            (status, _) => Err(RuntimeError::Failed(format!(
                "`HEAD /containers/{{id}}/archive` was answered with {}",
                status.as_u16()
            ))),
        }
    }

    /// The directory that is there instead, in words: whose it is says its sentinel.
    async fn what_is_there(&self, container: &str) -> String {
        let path = format!("{TARGET}/{}/{}", sentinel::DIRECTORY, sentinel::SENTINEL);
        let read = within("archive", self.settings.deadlines.look, async {
            let request = Request::builder().method(Method::GET).uri(archive(container, &path));
            let request = request.body(Either::Left(Full::new(Bytes::new())))?;
            let answer = self.transport.request(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LONGEST_ARCHIVE).collect().await;
            let body = body.map_err(|error| Error::IOError { err: std::io::Error::other(error) })?;
            Ok((status, body.to_bytes()))
        });
        match read.await {
            Ok((status, archive)) if status.is_success() => match first_file(&archive) {
                Some(id) if id == self.settings.instance.to_string() => {
                    "there is a copy of this state root, or an older one".into()
                }
                Some(id) => format!("there is the state root of database {}", one_line(&id)),
                None => "there is another directory, whose sentinel cannot be read".into(),
            },
            Ok((StatusCode::NOT_FOUND, _)) => {
                "there is another directory, which is no state root (it has no sentinel)".into()
            }
            _ => "there is another directory".into(),
        }
    }
}

/// What [`labels::ROLE`] says of the container and of its image.
const ROLE: &str = "state-root";

fn archive(container: &str, path: &str) -> String {
    format!("/containers/{}/archive?path={}", percent_encoded(container), percent_encoded(path))
}

/// The text of the first file of a tar archive.
fn first_file(archive: &[u8]) -> Option<String> {
    const BLOCK: usize = 512;
    let header = archive.get(..BLOCK)?;
    let size = std::str::from_utf8(header.get(124..136)?).ok()?;
    let size = usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).ok()?;
    let text = archive.get(BLOCK..BLOCK.checked_add(size)?)?;
    Some(String::from_utf8_lossy(text).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_is_read_from_an_archive_and_nonsense_is_not() {
        let mut archive = vec![0; 512];
        archive[..8].copy_from_slice(b"instance");
        archive[124..136].copy_from_slice(b"00000000005\0");
        archive.extend_from_slice(b"abcd\n");
        archive.resize(2_048, 0);
        assert_eq!(first_file(&archive).as_deref(), Some("abcd"));
        archive[124..136].copy_from_slice(b"77777777777\0");
        assert_eq!(first_file(&archive), None);
        assert_eq!(first_file(b"<html>"), None);
        assert_eq!(first_file(&[b'9'; 600]), None);
    }
}
