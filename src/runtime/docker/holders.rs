//! Who else can write to a game's state: containers that have its directory mounted, or one above it,
//! or one within it.
//!
//! A mount that cannot be written through is harmless. Docker compares mounts by their text, and is
//! asked for the texts that matter: so few of a thousand containers are described.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as State, MountPoint};

use super::endpoint::is_own_container;
use super::labels;
use crate::game::GameId;
use crate::runtime::RuntimeError;

use super::DockerRuntime;

/// So many directories within a state are asked for by name; where there are more, all containers are
/// looked at.
pub(super) const MOST_WITHIN: usize = 200;
/// And so deep.
pub(super) const DEEPEST: usize = 4;

/// The longest question, in bytes: a URI has its limit.
const LONGEST_QUESTION: usize = 16 << 10;

/// The states that Docker lists containers by.
const ANY_STATE: [&str; 7] = ["running", "paused", "restarting", "removing", "dead", "created", "exited"];

/// The paths by which a game's directory can be reached on Docker's host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Places {
    /// It, by each of its names.
    directories: Vec<PathBuf>,
}

impl Places {
    /// The values of Docker's filter that find every mount of it, above it or within it; none: there
    /// are too many.
    fn filter(&self, within: Option<&[PathBuf]>) -> Option<Vec<String>> {
        let within = within?;
        let mut values = HashSet::new();
        for directory in &self.directories {
            values.extend(directory.ancestors().map(text));
            values.extend(within.iter().map(|relative| text(&directory.join(relative))));
            values.extend(volume(directory).map(|(name, _)| name));
        }
        let length: usize = values.iter().map(|value| value.len() + 10).sum();
        let mut values: Vec<String> = values.into_iter().collect();
        values.sort();
        (length <= LONGEST_QUESTION).then_some(values)
    }

    /// What a container can write of it, in words: it, all of what is above it, or a part.
    fn writable<'a>(&self, mounts: impl IntoIterator<Item = &'a MountPoint>) -> Option<String> {
        mounts.into_iter().filter(|mount| mount.rw != Some(false)).find_map(|mount| {
            let is_touched = |source: &Path| {
                let of = |directory: &PathBuf| directory.starts_with(source) || source.starts_with(directory);
                self.directories.iter().any(of)
            };
            self.sources(mount).into_iter().find(|source| is_touched(source)).map(|source| text(&source))
        })
    }

    /// What a container has mounted of it, all or a part, and can write to.
    fn loses<'a>(&self, mounts: impl IntoIterator<Item = &'a MountPoint>) -> Option<String> {
        let is_part =
            |source: &PathBuf| self.directories.iter().any(|directory| source.starts_with(directory));
        mounts
            .into_iter()
            .filter(|mount| mount.rw != Some(false))
            .find_map(|mount| self.sources(mount).into_iter().find(is_part).map(|source| text(&source)))
    }

    /// Where a mount comes from. Docker may name a volume alone.
    fn sources(&self, mount: &MountPoint) -> Vec<PathBuf> {
        let named = |directory: &PathBuf| {
            let (name, root) = volume(directory)?;
            (mount.name.as_ref() == Some(&name)).then_some(root)
        };
        let source = mount.source.iter().filter(|source| !source.is_empty()).map(PathBuf::from);
        source.chain(self.directories.iter().filter_map(named)).collect()
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The volume of Docker's that a path is in: its name, and where it begins.
fn volume(directory: &Path) -> Option<(String, PathBuf)> {
    let root = directory.ancestors().find(|above| above.ends_with("_data"))?;
    let (name, volumes) = (root.parent()?.file_name()?, root.parent()?.parent()?);
    volumes.ends_with("volumes").then(|| (name.to_string_lossy().into_owned(), root.to_owned()))
}

impl DockerRuntime {
    /// Every container that could have to do with the game's directory: what mounts it, what mounts a
    /// directory above it, and what mounts one within it.
    pub(super) async fn holders(&self, game: GameId) -> Result<Vec<Holder>, RuntimeError> {
        let within =
            self.on_disk(Some(game), "examined", move |state| state.directories_within(game)).await?;
        let places = self.places(game).await?;
        let values = places.filter(within.as_deref());
        let by_path = values.is_some();
        let summaries = match values {
            Some(values) => self.containers_with("volume", &values).await?,
            None => self.containers_with("status", &ANY_STATE.map(str::to_owned)).await?,
        };
        let holders = summaries.into_iter().filter_map(|summary| {
            let mounts = summary.mounts.iter().flatten();
            let exactly = |mount: &MountPoint| {
                places.sources(mount).iter().any(|source| places.directories.contains(source))
            };
            // Podman says nothing of mounts, and was asked for those alone that matter.
            let is_unsaid = by_path && mounts.clone().next().is_none();
            let mounts_it = is_unsaid || mounts.clone().any(exactly);
            let loses =
                if is_unsaid { Some(text(&places.directories[0])) } else { places.loses(mounts.clone()) };
            let writes = if is_unsaid { loses.clone() } else { places.writable(mounts) };
            let writes = writes.filter(|_| !is_exempt(summary.id.as_deref(), summary.labels.as_ref()));
            (mounts_it || writes.is_some() || loses.is_some()).then_some(Holder { summary, writes, loses })
        });
        Ok(holders.collect())
    }

    /// The ids of all containers that Docker says are alive, in one call.
    pub(super) async fn living_containers(&self) -> Result<HashSet<String>, RuntimeError> {
        let listed = self.containers_with("status", &ANY_STATE.map(str::to_owned)).await?;
        let is_alive = |summary: &ContainerSummary| {
            matches!(summary.state, Some(State::RUNNING | State::PAUSED | State::RESTARTING))
        };
        Ok(listed.into_iter().filter(is_alive).filter_map(|summary| summary.id).collect())
    }

    async fn places(&self, game: GameId) -> Result<Places, RuntimeError> {
        let said = self.settings.state_directory_on_host(game);
        let mut directories = vec![said];
        if self.settings.state_root_on_host.is_none()
            && let Some(real) = self.on_disk(Some(game), "examined", |state| Ok(state.real_path())).await?
        {
            directories.push(real.join(game.to_string()));
            directories.dedup();
        }
        Ok(Places { directories })
    }
}

/// A container that has something of a game's directory.
pub(super) struct Holder {
    pub(super) summary: ContainerSummary,
    /// What it can write to, if anything.
    writes: Option<String>,
    /// What it would lose with the directory, if anything.
    loses: Option<String>,
}

impl Holder {
    /// Whether it can write to the state now, or at any moment: in words.
    pub(super) fn danger(&self) -> Option<String> {
        let source = self.writes.as_ref().filter(|_| !is_dead(&self.summary))?;
        Some(format!("{} has {source} mounted for writing", called(&self.summary)))
    }
}

impl Holder {
    /// What it works on and would lose with the directory, where it may be alive: in words.
    pub(super) fn loses(&self) -> Option<String> {
        let source = self.loses.as_ref().filter(|_| !is_dead(&self.summary))?;
        Some(format!("{} has {source} mounted", called(&self.summary)))
    }
}

/// Gamekeeper's own container, and those that an operator answers for.
pub(super) fn is_exempt(id: Option<&str>, labels: Option<&HashMap<String, String>>) -> bool {
    labels::text(labels, labels::MAY_WRITE_STATE) == "true" || id.is_some_and(is_own_container)
}

/// It has no process, for certain.
fn is_dead(summary: &ContainerSummary) -> bool {
    matches!(summary.state, Some(State::CREATED | State::EXITED))
}

fn called(summary: &ContainerSummary) -> String {
    let name = summary.names.iter().flatten().next().map(|name| name.trim_start_matches('/').to_owned());
    name.or_else(|| summary.id.clone()).unwrap_or_else(|| "without a name".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places { directories: vec!["/srv/games/7".into(), "/disk/games/7".into()] }
    }

    fn mount(source: &str, rw: Option<bool>) -> MountPoint {
        MountPoint { source: Some(source.into()), rw, ..MountPoint::default() }
    }

    #[test]
    fn a_mount_counts_that_is_writable_and_of_it_above_it_or_within_it() {
        for source in
            ["/srv/games/7", "/srv/games", "/srv", "/", "/srv/games/7/a/b", "/disk/games/7", "/disk"]
        {
            assert_eq!(places().writable([&mount(source, Some(true))]).as_deref(), Some(source));
            assert!(places().writable([&mount(source, None)]).is_some(), "{source}");
            assert_eq!(places().writable([&mount(source, Some(false))]), None, "{source}");
        }
        for source in ["/srv/games/70", "/srv/games/8", "/srv/game", "", "/other/srv/games/7"] {
            assert_eq!(places().writable([&mount(source, Some(true))]), None, "{source}");
        }
    }

    #[test]
    fn docker_is_asked_for_each_path_that_matters() {
        let values = places().filter(Some(&["a".into(), "a/b".into()])).expect("few");
        for value in
            ["/", "/srv", "/srv/games", "/srv/games/7", "/srv/games/7/a/b", "/disk/games/7/a", "/disk"]
        {
            assert!(values.iter().any(|known| known == value), "{value} in {values:?}");
        }
        assert_eq!(places().filter(None), None);
        let many: Vec<PathBuf> = (0..MOST_WITHIN).map(|n| format!("{n:0100}").into()).collect();
        assert_eq!(places().filter(Some(&many)), None);
    }

    #[test]
    fn a_volume_is_known_by_its_name_too() {
        let root = "/var/lib/docker/volumes/games/_data";
        let places = Places { directories: vec![format!("{root}/7").into()] };
        assert!(places.filter(Some(&[])).expect("few").contains(&"games".to_owned()));
        let named = MountPoint { name: Some("games".into()), rw: Some(true), ..MountPoint::default() };
        assert_eq!(places.writable([&named]).as_deref(), Some(root));
        let other = MountPoint { name: Some("other".into()), ..named };
        assert_eq!(places.writable([&other]), None);
        assert_eq!(volume(Path::new("/srv/_data/7")), None);
    }
}
