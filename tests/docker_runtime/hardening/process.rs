//! What the kernel says of a container's process.

use std::path::{Path, PathBuf};

use gamekeeper::game::ContainerId;
use gamekeeper::game::spec::Relaxation;
use gamekeeper::runtime::Runtime;
use gamekeeper::runtime::docker::EndpointMode;
use serde_json::{Value, json};

use super::{KINDS, Made};
use crate::world::{eventually, health, inspected};

/// The engine's process, where the daemon's processes are visible from here.
struct Process {
    at: PathBuf,
    status: String,
}

impl Process {
    fn of(seen: &Value) -> Option<Self> {
        let at = Path::new("/proc").join(seen["State"]["Pid"].to_string());
        // Another user's processes are seen, and what they live in is not.
        std::fs::read_link(at.join("ns/pid")).ok()?;
        let status = std::fs::read_to_string(at.join("status")).ok()?;
        Some(Self { at, status })
    }

    fn field(&self, name: &str) -> String {
        let line = self.status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name}")).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn capabilities(&self, which: &str) -> u64 {
        u64::from_str_radix(&self.field(which), 16).expect("hexadecimal digits")
    }

    /// The options of what is mounted there, propagation included.
    fn mounted_at(&self, path: &str) -> String {
        let table = std::fs::read_to_string(self.at.join("mountinfo")).expect("mounts");
        let line = table.lines().find(|line| line.split(' ').nth(4) == Some(path));
        line.unwrap_or_else(|| panic!("nothing is mounted at {path}:\n{table}")).to_owned()
    }
}

#[tokio::test]
async fn the_kernel_holds_the_process_to_it() {
    for kind in &KINDS[..9] {
        let made = Made::of(kind).await;
        let id = ContainerId::new(made.seen["Id"].as_str().expect("an id").to_owned());
        made.world.docker.start(made.world.game, &id).await.expect("a start");
        let address = made.world.seen().await.reachable_at.expect("an address");
        if kind.endpoint != EndpointMode::HostName {
            eventually("the engine is healthy", || health(&address)).await;
        }
        let seen = inspected(&id);
        let ports = seen["NetworkSettings"]["Ports"]["8080/tcp"].as_array().cloned().unwrap_or_default();
        for port in ports {
            made.expect("where it is published", &port["HostIp"], &json!("127.0.0.1"));
            let number: u16 = port["HostPort"].as_str().and_then(|port| port.parse().ok()).expect("a port");
            assert!(number >= 1_024, "{}: {number}", made.kind);
        }
        let Some(process) = Process::of(&seen) else { continue };
        assert_eq!(
            process.field("NoNewPrivs") == "1",
            !made.relaxes(Relaxation::NewPrivileges),
            "{}",
            made.kind
        );
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            assert_eq!(process.capabilities(set) & !0xa804_25fb, 0, "{}: {set}", made.kind);
            assert!(set == "CapInh" || process.capabilities(set) == 0, "{}: {set}", made.kind);
        }
        let bound = if made.relaxes(Relaxation::Capabilities) { 0xa804_25fb } else { 0 };
        assert_eq!(process.capabilities("CapBnd"), bound, "{}: Docker's fourteen, or none", made.kind);
        assert_eq!(process.field("Seccomp"), "2", "{}: filtered", made.kind);
        for ids in ["Uid", "Gid"] {
            assert!(process.field(ids).split(' ').all(|id| id != "0"), "{}: {ids}", made.kind);
        }
        assert!(process.field("Groups").split(' ').all(|group| group != "0"), "{}", made.kind);
        for namespace in ["cgroup", "ipc", "mnt", "net", "pid", "uts"] {
            let of = |at: &Path| std::fs::read_link(at.join("ns").join(namespace)).expect("a namespace");
            assert_ne!(of(&process.at), of(Path::new("/proc/self")), "{}: {namespace}", made.kind);
        }
        let state = process.mounted_at("/var/lib/galaxy-game");
        assert!(!state.contains("shared:") && !state.contains("master:"), "{}: {state}", made.kind);
        let root = process.mounted_at("/");
        let writable = made.relaxes(Relaxation::WritableRoot);
        assert_eq!(
            root.split(' ').nth(5).expect("options").starts_with("rw"),
            writable,
            "{}: {root}",
            made.kind
        );
        if !writable {
            let tmp = process.mounted_at("/tmp");
            for option in ["noexec", "nosuid", "nodev", "size=65536k"] {
                assert!(tmp.contains(option), "{}: {tmp}", made.kind);
            }
        }
    }
}
