//! A `/proc` that was made up, and the real one.

use std::path::Path;

use super::*;

const OWN: &str = "10 1 8:1 / / rw - ext4 x rw\n11 10 8:1 /srv/games /state rw - ext4 x rw\n";
const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn game(number: u128) -> GameId {
    GameId(uuid::Uuid::from_u128(number))
}

/// A `/proc` with the asking process in it.
fn proc() -> (tempfile::TempDir, Processes) {
    let root = tempfile::tempdir().unwrap();
    let own = root.path().join("self");
    std::fs::create_dir_all(own.join("ns")).unwrap();
    std::fs::write(own.join("mountinfo"), OWN).unwrap();
    std::os::unix::fs::symlink("mnt:[1]", own.join("ns/mnt")).unwrap();
    let processes = Processes::at(root.path().to_owned());
    (root, processes)
}

/// A process in it; without a namespace it is one that may not be asked for it.
fn process(root: &Path, pid: u32, namespace: Option<u32>, mountinfo: &str, control_group: &str) {
    let process = root.join(pid.to_string());
    std::fs::create_dir_all(process.join("ns")).unwrap();
    if let Some(namespace) = namespace {
        std::os::unix::fs::symlink(format!("mnt:[{namespace}]"), process.join("ns/mnt")).unwrap();
    }
    std::fs::write(process.join("mountinfo"), mountinfo).unwrap();
    std::fs::write(process.join("comm"), "engine\n").unwrap();
    std::fs::write(process.join("cgroup"), control_group).unwrap();
}

fn question(path: &str) -> Question {
    Question::Directory {
        place: Place { device: b"8:1".to_vec(), path: path.into() },
        names: vec!["/state/7".into(), "/srv/games/7".into()],
    }
}

/// The mounts of a container with this directory, whose mounts are numbered from here.
fn container(first: u64, directory: &str, options: &str) -> String {
    let second = first + 1;
    format!(
        "{first} 1 0:50 / / rw - overlay x rw\n{second} {first} 8:1 {directory} /var/lib/galaxy-game {options} - ext4 x rw\n"
    )
}

fn found(processes: &Processes, path: &str) -> Vec<HostProcess> {
    processes.look(&[question(path)]).unwrap().remove(0)
}

#[test]
fn who_has_the_directory_in_a_namespace_of_its_own_is_found_and_named() {
    let (root, processes) = proc();
    process(root.path(), 7, Some(2), &container(20, "/srv/games/7", "rw"), &format!("0::/docker/{ID}\n"));
    process(root.path(), 8, Some(2), &container(20, "/srv/games/7", "rw"), "");
    process(root.path(), 9, Some(3), &container(30, "/srv/games/8", "rw"), "");
    let found = found(&processes, "/srv/games/7");
    assert_eq!(
        found,
        [HostProcess { pid: 7, command: "engine".into(), container: Some(ContainerId::new(ID)), others: 1 }]
    );
    assert_eq!(found[0].to_string(), "process 7 (`engine`, in container 0123456789ab, and 1 more)");
}

#[test]
fn who_has_a_part_of_the_directory_is_found_too() {
    let (root, processes) = proc();
    process(root.path(), 7, Some(2), &container(20, "/srv/games/7/kept/a", "rw"), "");
    // A part of another one, and of one of like name; and a part that a copy of the host's mounts has.
    process(root.path(), 8, Some(3), &container(30, "/srv/games/8/kept", "rw"), "");
    process(root.path(), 9, Some(4), &container(40, "/srv/games/77/kept", "rw"), "");
    let service =
        "60 1 8:1 / / rw - ext4 x rw\n61 60 8:1 /srv/games/7/kept /srv/games/7/kept rw - ext4 x rw\n";
    process(root.path(), 10, Some(5), service, "");
    let pids: Vec<u32> = found(&processes, "/srv/games/7").iter().map(|found| found.pid).collect();
    assert_eq!(pids, [7]);
}

#[test]
fn a_copy_of_the_hosts_own_mounts_is_nobodys_hold_on_the_directory() {
    let (root, processes) = proc();
    // Docker mounts a volume with a device on its host, and only then in the container.
    let alias = "12 10 8:1 /srv/games/7 /var/lib/docker/volumes/alias/_data rw - ext4 x rw\n";
    std::fs::write(root.path().join("self/mountinfo"), format!("{OWN}{alias}")).unwrap();
    let copied = "60 1 8:1 / / rw - ext4 x rw\n61 60 8:1 /srv/games/7 /var/lib/docker/volumes/alias/_data rw - ext4 x rw\n";
    process(root.path(), 7, Some(2), copied, &format!("0::/docker/{ID}\n"));
    process(root.path(), 8, Some(3), &container(20, "/srv/games/7", "rw"), "");
    let pids = || found(&processes, "/srv/games/7").iter().map(|found| found.pid).collect::<Vec<u32>>();
    assert_eq!(pids(), [8]);
    // Seen from a container, the host is whose process is the first.
    std::fs::write(root.path().join("self/mountinfo"), OWN).unwrap();
    process(root.path(), 1, Some(4), &copied.replace("60", "30").replace("61", "31"), "");
    assert_eq!(pids(), [8]);
}

#[test]
fn what_is_no_engine_on_the_directory_does_not_count() {
    let (root, processes) = proc();
    // Reads it; has the directory above it; has one of like name; has it as it was before it was removed.
    process(root.path(), 7, Some(2), &container(20, "/srv/games/7", "ro,nosuid"), "");
    process(root.path(), 8, Some(3), &container(30, "/srv/games", "rw"), "");
    process(root.path(), 9, Some(4), &container(40, "/srv/games/77", "rw"), "");
    process(root.path(), 10, Some(5), &container(50, "/srv/games/7//deleted", "rw"), "");
    // A service of the host's has a copy of all mounts of the host, and a state directory may be one.
    let service = "60 1 8:1 / / rw - ext4 x rw\n61 60 8:1 /srv/games/7 /srv/games/7 rw - ext4 x rw\n";
    process(root.path(), 11, Some(6), service, "");
    // In our namespace, whether that may be asked or not.
    let ours = format!("{OWN}12 10 8:1 /srv/games/7 /mnt rw - ext4 x rw\n");
    process(root.path(), 12, Some(1), &ours, "");
    process(root.path(), 13, None, &ours, "");
    assert_eq!(found(&processes, "/srv/games/7"), []);
}

#[test]
fn whose_namespace_may_not_be_asked_for_is_found_by_its_mounts() {
    let (root, processes) = proc();
    let control_group = format!("12:memory:/system.slice/docker-{ID}.scope\n0::/x\n");
    process(root.path(), 7, None, &container(20, "/srv/games/7", "rw"), &control_group);
    process(root.path(), 8, None, &container(20, "/srv/games/7", "rw"), &control_group);
    let found = found(&processes, "/srv/games/7");
    assert_eq!((found.len(), found[0].pid, found[0].others), (1, 7, 1));
    assert_eq!(found[0].container, Some(ContainerId::new(ID)));
}

#[test]
fn processes_that_end_and_files_that_nobody_may_read_hold_up_nothing() {
    let (root, processes) = proc();
    std::fs::create_dir(root.path().join("5")).unwrap();
    std::fs::create_dir_all(root.path().join("6/mountinfo")).unwrap();
    process(root.path(), 7, Some(2), "", "");
    process(root.path(), 8, Some(3), "nonsense\n\0\u{fffd}\n", "");
    process(root.path(), 9, Some(4), &container(40, "/srv/games/7", "rw"), "");
    std::fs::remove_file(root.path().join("9/comm")).unwrap();
    std::fs::remove_file(root.path().join("9/cgroup")).unwrap();
    std::fs::write(root.path().join("sys"), "").unwrap();
    let found = found(&processes, "/srv/games/7");
    assert_eq!(
        found,
        [HostProcess { pid: 9, command: String::new(), container: None, others: 0 }],
        "who it was is lost, that it was there is not"
    );
    // Without one's own mounts nothing can be told.
    std::fs::remove_file(root.path().join("self/mountinfo")).unwrap();
    processes.look(&[question("/srv/games/7")]).unwrap_err();
}

#[test]
fn one_look_answers_everybody_who_asked() {
    let (root, processes) = proc();
    let games: Vec<String> = (0..500).map(|game| format!("/srv/games/{game}")).collect();
    for (number, game) in (0_u32..).zip(&games) {
        let mounts = container(1_000 + 2 * u64::from(number), game, "rw");
        process(root.path(), 1_000 + number, Some(1_000 + number), &mounts, "");
    }
    let questions: Vec<Question> = games.iter().chain(games.first()).map(|game| question(game)).collect();
    let found = processes.look(&questions).unwrap();
    let pids: Vec<Vec<u32>> = found.iter().map(|found| found.iter().map(|it| it.pid).collect()).collect();
    assert_eq!(pids[..500], (1_000..1_500).map(|pid| vec![pid]).collect::<Vec<_>>());
    assert_eq!(pids[500], [1_000], "two may ask the same");
}

#[test]
fn who_has_an_address_in_a_network_of_its_own_is_found() {
    const TABLE: &str = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 172.18.0.0/16 2 0 2
        |-- 172.18.0.3
           /32 host LOCAL
        |-- 172.18.255.255
           /32 link BROADCAST
";
    let (root, processes) = proc();
    let networked = |name: &str, network: u32| {
        let process = root.path().join(name);
        std::fs::create_dir_all(process.join("ns")).unwrap();
        std::fs::create_dir_all(process.join("net")).unwrap();
        std::os::unix::fs::symlink(format!("net:[{network}]"), process.join("ns/net")).unwrap();
        std::fs::write(process.join("net/fib_trie"), TABLE).unwrap();
    };
    for (name, network) in [("self", 1), ("7", 1), ("8", 2), ("9", 2)] {
        networked(name, network);
    }
    let asked =
        ["172.18.0.3", "172.18.255.255", "172.18.0.4"].map(|it| Question::Address(it.parse().unwrap()));
    let found = processes.look(&asked).unwrap();
    let pids: Vec<Vec<(u32, usize)>> =
        found.iter().map(|found| found.iter().map(|it| (it.pid, it.others)).collect()).collect();
    assert_eq!(pids, [vec![(8, 1)], vec![], vec![]]);
    assert_eq!(own_addresses(b"|-- \xff\n/32 host LOCAL\n|-- x\n/32 host LOCAL").count(), 0);
}

#[tokio::test]
async fn on_this_host_a_directory_of_ones_own_is_nobody_elses_however_many_ask() {
    let processes = Processes::new(Arc::default());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    assert!(processes.place(std::slice::from_ref(&path)).unwrap().is_some());
    let asked = (0..200).map(|number| processes.with_mounted(game(number), &path, &path));
    for answer in futures::future::join_all(asked).await {
        assert_eq!(answer.unwrap(), []);
    }
    assert_eq!(processes.with_mounted(game(1), &path.join("gone"), &path).await.unwrap(), []);
}

#[tokio::test]
async fn one_game_whose_directory_hangs_takes_no_thread_from_others() {
    let disk = Arc::new(Disk::default());
    let processes = Processes::new(disk.clone());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (goes_on, until) = std::sync::mpsc::channel::<()>();
    let until = Arc::new(Mutex::new(until));
    let hangs = || {
        let (disk, until) = (disk.clone(), until.clone());
        tokio::spawn(async move {
            disk.run(Lane::Look, Some(game(1)), move || until.lock().map(|until| until.recv()).is_ok()).await
        })
    };
    let (first, second) = (hangs(), hangs());
    tokio::task::yield_now().await;
    let asked = processes.with_mounted(game(1), path, path);
    let others = async {
        for _ in 0..20 {
            assert_eq!(processes.with_mounted(game(2), path, path).await.unwrap(), []);
        }
    };
    tokio::select! {
        answer = asked => panic!("it had a third thread: {answer:?}"),
        () = others => {}
    }
    drop(goes_on);
    assert!(first.await.unwrap().unwrap() && second.await.unwrap().unwrap());
    assert_eq!(processes.with_mounted(game(1), path, path).await.unwrap(), []);
}

/// Processes that end with this.
struct Crowd(Vec<std::process::Child>);

impl Crowd {
    /// So many, each begun by this command.
    fn of(count: usize, command: &[&str]) -> Self {
        let begin =
            |_| std::process::Command::new(command[0]).args(&command[1..]).spawn().expect("a process");
        Self((0..count).map(begin).collect())
    }

    /// All have come to where they stay.
    fn settled(self, is_own: bool) -> Self {
        let own = std::fs::read_link("/proc/self/ns/mnt").expect("a namespace");
        let came = |child: &std::process::Child| {
            let namespace = std::fs::read_link(format!("/proc/{}/ns/mnt", child.id()));
            namespace.is_ok_and(|namespace| (namespace != own) == is_own)
        };
        while !self.0.iter().all(came) {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        self
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `cargo test --lib -- --ignored --nocapture a_look_at_a_thousand_processes_is_measured`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, as root: it makes two thousand processes"]
async fn a_look_at_a_thousand_processes_is_measured() {
    let directory = tempfile::tempdir().unwrap();
    let processes = Processes::new(Arc::default());
    let asked = async |what: &str, many: usize| {
        let began = std::time::Instant::now();
        let place = directory.path();
        let asks = (0u128..).take(many).map(|number| processes.with_mounted(game(number), place, place));
        let found = futures::future::join_all(asks).await;
        assert!(found.into_iter().all(|found| found.is_ok()));
        println!("{what}: {many} at once have their answer after {:?}", began.elapsed());
    };
    asked("as it is", 1).await;
    let shared = Crowd::of(1_000, &["sleep", "600"]).settled(false);
    for many in [1, 1, 100, 1_000] {
        asked("1,000 processes more", many).await;
    }
    drop(shared);
    let own = Crowd::of(1_000, &["unshare", "--mount", "sleep", "600"]).settled(true);
    for many in [1, 1, 100, 1_000] {
        asked("1,000 mount namespaces more", many).await;
    }
    drop(own);
}
