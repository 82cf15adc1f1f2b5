//! The host's own word for who has a state directory: the processes in whose mount namespace it is
//! mounted for writing; and for who has an address: the processes in whose network namespace it is one.
//!
//! Docker's word is about containers that it knows. One that was being started when Docker died may have
//! a process all the same, in a container that Docker takes for dead or knows nothing of. The kernel
//! knows every process. Only what is mounted in another mount namespace counts: whoever has the directory
//! open by its path, as copies do, is no engine; neither is who has a directory above it.
//!
//! One look serves everybody who asked before it began, so a thousand starts at once are no thousand
//! looks.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::sync::oneshot;

use super::disk::{Disk, Lane};
use super::mountinfo::{Mount, Place, mounts};
use super::text::one_line;
use crate::game::container::HostProcess;
use crate::game::{ContainerId, GameId};

/// The longest file of a process that is read, in bytes: a process may have as many mounts as it likes.
const LONGEST: u64 = 16 << 20;

/// The digits of a container's id.
const ID_DIGITS: usize = 64;

#[derive(Debug, Clone)]
enum Question {
    /// The processes that have this directory, or one within it, mounted in another place than those that it
    /// is called by itself.
    Directory { place: Place, names: Vec<PathBuf> },
    /// The processes that have this address in another network namespace.
    Address(Ipv4Addr),
}

type Answer = io::Result<Vec<HostProcess>>;

#[derive(Debug, Default)]
struct Waiting {
    is_looking: bool,
    asked: Vec<(Question, oneshot::Sender<Answer>)>,
}

/// The processes of this host.
#[derive(Debug, Clone)]
pub(super) struct Processes {
    disk: Arc<Disk>,
    proc: Arc<PathBuf>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Processes {
    /// Those that the kernel tells of; which directory is meant, this disk does.
    pub(super) fn new(disk: Arc<Disk>) -> Self {
        Self { disk, ..Self::at("/proc".into()) }
    }

    fn at(proc: PathBuf) -> Self {
        Self { disk: Arc::default(), proc: Arc::new(proc), waiting: Arc::default() }
    }

    /// The processes that have this directory, or one within it, mounted for writing in a mount namespace of
    /// their own, one of each namespace. The place itself may be a mount too, which every copy of the host's namespace
    /// has: `also_called` is what it is called on Docker's host. A disk that hangs at it takes no more threads
    /// than one game may have.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(super) async fn with_mounted(&self, game: GameId, directory: &Path, also_called: &Path) -> Answer {
        let names = vec![directory.to_owned(), also_called.to_owned()];
        let here = self.clone();
        let place = move || here.place(&names).map(|place| (place, names));
        let (place, names) = match self.disk.run(Lane::Look, Some(game), place).await?? {
            (Some(place), names) => (place, names),
            // Nobody can have what is not there.
            (None, _) => return Ok(Vec::new()),
        };
        self.ask(Question::Directory { place, names }).await.map_err(io::Error::other)?
    }

    /// The processes that have this address in a network namespace of their own, one of each namespace.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(super) async fn with_address(&self, address: Ipv4Addr) -> Answer {
        self.ask(Question::Address(address)).await.map_err(io::Error::other)?
    }

    /// Has the next look answer this too, and begins one if none is under way.
    fn ask(&self, question: Question) -> oneshot::Receiver<Answer> {
        let (tell, told) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.asked.push((question, tell));
        if !std::mem::replace(&mut waiting.is_looking, true) {
            let here = self.clone();
            tokio::task::spawn_blocking(move || here.work_off());
        }
        told
    }

    /// Looks until nobody asks any more.
    fn work_off(&self) {
        loop {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = std::mem::take(&mut waiting.asked);
            waiting.is_looking = !asked.is_empty();
            drop(waiting);
            if asked.is_empty() {
                return;
            }
            let (questions, tell): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
            match self.look(&questions) {
                Ok(found) => {
                    for (tell, found) in tell.into_iter().zip(found) {
                        // Whoever asked may not want to know any more.
                        let _ = tell.send(Ok(found));
                    }
                }
                Err(error) => {
                    for tell in tell {
                        let _ = tell.send(Err(io::Error::new(error.kind(), error.to_string())));
                    }
                }
            }
        }
    }

    /// Which directory this is, whatever it is called elsewhere; none if it is not there.
    fn place(&self, names: &[PathBuf]) -> io::Result<Option<Place>> {
        let Some(name) = names.first() else { return Ok(None) };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = match rustix::fs::open(name, flags, Mode::empty()) {
            Ok(directory) => directory,
            // What is in its place is no directory: nobody who wants a directory has it.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let own = self.proc.join("self");
        let number = directory.as_raw_fd().to_string();
        let about = std::fs::read_to_string(own.join("fdinfo").join(&number))?;
        let id = about.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse::<u64>().ok());
        let path = std::fs::read_link(own.join("fd").join(&number))?;
        let file = read(&own.join("mountinfo"))?;
        let mut mounts = mounts(&file);
        let mount = mounts.find(|mount| Some(mount.id) == id);
        let place = mount.and_then(|mount| Place::beneath(&mount, path.as_os_str().as_bytes()));
        place.map(Some).ok_or_else(|| {
            io::Error::other(format!("{} is on no file system that this process has mounted", name.display()))
        })
    }

    /// One look at every process, for all that is asked.
    fn look(&self, questions: &[Question]) -> io::Result<Vec<Vec<HostProcess>>> {
        let mut wanted: HashMap<&Place, Vec<usize>> = HashMap::new();
        let mut addresses: HashMap<Ipv4Addr, Vec<usize>> = HashMap::new();
        for (index, question) in questions.iter().enumerate() {
            match question {
                Question::Directory { place, .. } => wanted.entry(place).or_default().push(index),
                Question::Address(address) => addresses.entry(*address).or_default().push(index),
            }
        }
        let mut found: Vec<Vec<HostProcess>> = vec![Vec::new(); questions.len()];
        if !wanted.is_empty() {
            self.look_at_mounts(&wanted, questions, &mut found)?;
        }
        if !addresses.is_empty() {
            self.look_at_addresses(&addresses, &mut found)?;
        }
        Ok(found)
    }

    fn look_at_mounts(
        &self,
        wanted: &HashMap<&Place, Vec<usize>>,
        questions: &[Question],
        found: &mut [Vec<HostProcess>],
    ) -> io::Result<()> {
        let own = self.proc.join("self");
        // A mount has one number in all namespaces, and is in one.
        let file = read(&own.join("mountinfo"))?;
        let own_mounts: HashSet<u64> = mounts(&file).map(|mount| mount.id).collect();
        let of_host = self.mounts_of_host(&file);
        let own_namespace = std::fs::read_link(own.join("ns/mnt")).ok();
        // Of each namespace that was looked at, its entries in what was found.
        let mut looked: HashMap<u64, Vec<(usize, usize)>> = HashMap::new();
        let mut by_link: HashMap<PathBuf, u64> = HashMap::new();
        for pid in pids(&self.proc)? {
            let process = self.proc.join(pid.to_string());
            let namespace = std::fs::read_link(process.join("ns/mnt")).ok();
            if namespace.is_some() && namespace == own_namespace {
                continue;
            }
            let known = namespace.as_ref().and_then(|namespace| by_link.get(namespace));
            if let Some(entries) = known.and_then(|first| looked.get(first)) {
                count_another(found, entries);
                continue;
            }
            // It may have ended meanwhile; whose file nobody may read is not known to have anything.
            let Ok(file) = read(&process.join("mountinfo")) else { continue };
            let mut mounts = mounts(&file).peekable();
            let Some(first) = mounts.peek().map(|mount| mount.id) else { continue };
            if own_mounts.contains(&first) {
                continue;
            }
            if let Some(entries) = looked.get(&first) {
                count_another(found, entries);
                continue;
            }
            let entries = note(&process, pid, held(mounts, wanted, questions, &of_host), found);
            by_link.extend(namespace.map(|namespace| (namespace, first)));
            looked.insert(first, entries);
        }
        Ok(())
    }

    /// The mounts of the host itself, or what is known of them: those of this process, and of the first. A
    /// service of the host's has a copy of each, and so has a container for a moment while it is started;
    /// Docker mounts a volume with a `device` there, too.
    fn mounts_of_host(&self, own: &[u8]) -> HashSet<(Place, Vec<u8>)> {
        // In a container that sees no more than itself the first is one of its own.
        let first = read(&self.proc.join("1/mountinfo")).unwrap_or_default();
        [own, &first].into_iter().flat_map(mounts).map(|mount| (mount.place, mount.point)).collect()
    }

    fn look_at_addresses(
        &self,
        wanted: &HashMap<Ipv4Addr, Vec<usize>>,
        found: &mut [Vec<HostProcess>],
    ) -> io::Result<()> {
        let own_namespace = std::fs::read_link(self.proc.join("self/ns/net")).ok();
        let mut looked: HashMap<PathBuf, Vec<(usize, usize)>> = HashMap::new();
        for pid in pids(&self.proc)? {
            let process = self.proc.join(pid.to_string());
            // Without this there is no telling whose addresses those are.
            let Ok(namespace) = std::fs::read_link(process.join("ns/net")) else { continue };
            if own_namespace.as_ref() == Some(&namespace) {
                continue;
            }
            if let Some(entries) = looked.get(&namespace) {
                count_another(found, entries);
                continue;
            }
            let Ok(file) = read(&process.join("net/fib_trie")) else { continue };
            let of_namespace: HashSet<Ipv4Addr> = own_addresses(&file).collect();
            let held = of_namespace.iter().filter_map(|address| wanted.get(address)).flatten().copied();
            let entries = note(&process, pid, held.collect(), found);
            looked.insert(namespace, entries);
        }
        Ok(())
    }
}

/// Writes down what a process was found to have; gives the entries.
fn note(process: &Path, pid: u32, held: Vec<usize>, found: &mut [Vec<HostProcess>]) -> Vec<(usize, usize)> {
    if held.is_empty() {
        return Vec::new();
    }
    let who = describe(process, pid);
    let enter = |index: usize| {
        found[index].push(who.clone());
        (index, found[index].len() - 1)
    };
    held.into_iter().map(enter).collect()
}

/// The addresses that are a namespace's own, by its routing table: each is a leaf, `|-- 172.18.0.2`, and
/// beneath it stands what it is, `/32 host LOCAL`.
fn own_addresses(file: &[u8]) -> impl Iterator<Item = Ipv4Addr> + '_ {
    let mut leaf = None;
    file.split(|byte| *byte == b'\n').filter_map(move |line| {
        let line = std::str::from_utf8(line).ok()?.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        }
        leaf.filter(|_| line.starts_with("/32 host LOCAL"))
    })
}

/// The directories that were asked about and are among these mounts, as a whole or in part; those that
/// are copies of the host's are nobody's.
fn held(
    mounts: impl Iterator<Item = Mount>,
    wanted: &HashMap<&Place, Vec<usize>>,
    questions: &[Question],
    of_host: &HashSet<(Place, Vec<u8>)>,
) -> Vec<usize> {
    let devices: HashSet<&[u8]> = wanted.keys().map(|place| place.device.as_slice()).collect();
    let mut held = Vec::new();
    for mount in mounts.filter(|mount| mount.is_writable && devices.contains(mount.place.device.as_slice())) {
        for above in mount.place.with_all_above() {
            for index in wanted.get(&above).into_iter().flatten() {
                let names = match &questions[*index] {
                    Question::Directory { names, .. } => names.as_slice(),
                    Question::Address(_) => &[],
                };
                let within = &mount.place.path[above.path.len()..];
                let is_the_place_itself = names
                    .iter()
                    .any(|name| mount.point.strip_prefix(name.as_os_str().as_bytes()) == Some(within));
                let is_a_copy = || of_host.contains(&(mount.place.clone(), mount.point.clone()));
                if !is_the_place_itself && !held.contains(index) && !is_a_copy() {
                    held.push(*index);
                }
            }
        }
    }
    held
}

/// One more process in a namespace that was looked at: it is the same holder.
fn count_another(found: &mut [Vec<HostProcess>], entries: &[(usize, usize)]) {
    for (index, entry) in entries {
        found[*index][*entry].others += 1;
    }
}

/// Every process that there is now. (A thread has no line of its own here.)
fn pids(proc: &Path) -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in std::fs::read_dir(proc)? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    pids.sort_unstable();
    Ok(pids)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut content)?;
    Ok(content)
}

/// Who it is, as far as it can still be told.
fn describe(process: &Path, pid: u32) -> HostProcess {
    let text = |name: &str| read(&process.join(name)).unwrap_or_default();
    HostProcess {
        pid,
        command: one_line(&String::from_utf8_lossy(&text("comm"))),
        container: container_of(&text("cgroup")),
        others: 0,
    }
}

/// The container whose control group this is, in any runtime's way of calling it.
fn container_of(control_group: &[u8]) -> Option<ContainerId> {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let mut runs = control_group.split(|byte| !is_digit(byte));
    // Docker may itself run in a container: the innermost comes last.
    let id = runs.rfind(|run| run.len() == ID_DIGITS)?;
    Some(ContainerId::new(std::str::from_utf8(id).ok()?))
}

#[cfg(test)]
mod tests;
