//! The attempts, one after the other.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::time::Duration;

use nix::sched::CloneFlags;
use rustix::fs::{CWD, FileType, Mode, makedev};
use rustix::mount::MountFlags;
use rustix::net::{AddressFamily, SocketType, ipproto};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::Report;
use crate::config::Config;
use crate::knobs::Knobs;

/// Who does not answer in this time does not answer.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// More than any engine needs.
const CONNECTIONS: u64 = 2_000;
/// A disk in memory that is larger than this is not bounded.
const FILL: u64 = 1 << 30;

pub(super) fn make_all(report: &mut Report, config: &Config, knobs: &Knobs) {
    controls(report, config);
    daemons(report, knobs);
    files(report, config, knobs);
    system(report, config);
    privileges(report);
    others(report, &knobs.attack_pids);
    for disk in ["/tmp", "/dev/shm"] {
        fill(report, Path::new(disk));
    }
}

/// What an engine may do.
fn controls(report: &mut Report, config: &Config) {
    report.tried("control: write state", "", fs::write(config.mount().join("attack.probe"), "x"));
    report.tried("control: write tmp", "/tmp", fs::write("/tmp/attack.probe", "x"));
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, config.port));
    report.tried("control: connect", own.to_string(), connect(own));
}

/// Docker, Gamekeeper, other engines.
fn daemons(report: &mut Report, knobs: &Knobs) {
    for socket in ["docker.sock", "containerd/containerd.sock", "podman/podman.sock"] {
        for directory in ["/run", "/var/run"] {
            let path = format!("{directory}/{socket}");
            report.tried("connect socket", &path, UnixStream::connect(&path));
        }
    }
    match gateway() {
        Ok(gateway) => {
            for port in [2_375, 2_376] {
                let docker = SocketAddr::from((gateway, port));
                report.tried("connect docker", docker.to_string(), connect(docker));
            }
        }
        Err(problem) => report.tried::<()>("find gateway", "/proc/net/route", Err(problem)),
    }
    for target in &knobs.attack_addresses {
        let address = target.parse().map_err(io::Error::other);
        report.tried("connect", target, address.and_then(connect));
    }
    if let Some(address) = knobs.attack_addresses.first().and_then(|target| target.parse().ok()) {
        let mut open = Vec::new();
        let refused = (0..CONNECTIONS).find_map(|_| connect(address).map(|stream| open.push(stream)).err());
        let count = open.len() as u64;
        report.counted("connect often", address.to_string(), Some(count), refused.map_or(Ok(()), Err));
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&address, PATIENCE)
}

/// The host, as it is seen from here.
fn gateway() -> io::Result<Ipv4Addr> {
    let table = fs::read_to_string("/proc/net/route")?;
    let default = table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        (fields.next()? == "00000000").then_some(())?;
        u32::from_str_radix(fields.next()?, 16).ok()
    });
    default.map(|raw| Ipv4Addr::from(raw.to_le_bytes())).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Files of the host and of other games; what is read-only; where limits are kept.
fn files(report: &mut Report, config: &Config, knobs: &Knobs) {
    for path in &knobs.attack_paths {
        report.tried("read", path, fs::metadata(path));
        report.tried("write", path, OpenOptions::new().append(true).open(path));
    }
    let beside = config.mount().parent().unwrap_or(Path::new("/"));
    let others = fs::read_dir(beside).map(|entries| entries.count().saturating_sub(1) as u64);
    let found = others.as_ref().map_or(0, |count| *count);
    let result =
        others.and_then(|count| if count == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) });
    report.counted("list beside", beside.display().to_string(), Some(found), result);
    for path in ["/attack", "/etc/attack"] {
        report.tried("write root", path, fs::write(path, "x"));
    }
    for path in [
        "/etc/hosts",
        "/etc/resolv.conf",
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/sys/fs/cgroup/pids.max",
        "/sys/fs/cgroup/pids/pids.max",
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/release_agent",
    ] {
        report.tried("write system", path, OpenOptions::new().write(true).open(path));
    }
    for path in ["/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse", "/dev/net/tun"] {
        report.tried("open device", path, File::open(path));
    }
}

/// What only the host's root may ask of the kernel.
fn system(report: &mut Report, config: &Config) {
    let mount = config.mount();
    let mode = Mode::RUSR | Mode::WUSR;
    for directory in [mount, Path::new("/tmp")] {
        let disk = directory.join("attack.disk");
        let made = rustix::fs::mknodat(CWD, &disk, FileType::BlockDevice, mode, makedev(8, 0));
        report.tried("mknod block", disk.display().to_string(), made);
        let memory = directory.join("attack.memory");
        let made = rustix::fs::mknodat(CWD, &memory, FileType::CharacterDevice, mode, makedev(1, 1));
        report.tried("mknod character", memory.display().to_string(), made);
    }
    for (kind, source) in [("tmpfs", "none"), ("proc", "proc"), ("overlay", "overlay")] {
        report.tried("mount", kind, rustix::mount::mount(source, "/tmp", kind, MountFlags::empty(), None));
    }
    report.tried("mount bind", "/", rustix::mount::mount_bind("/", mount));
    report.tried("remount", "/", rustix::mount::mount_remount("/", MountFlags::empty(), c""));
    report.tried(
        "unmount",
        "/proc",
        rustix::mount::unmount("/proc/kcore", rustix::mount::UnmountFlags::DETACH),
    );
    report.tried("chroot", "/tmp", rustix::process::chroot("/tmp"));
    report.tried("sethostname", "attack", rustix::system::sethostname(b"attack"));
    report.tried("init_module", "", rustix::system::init_module(b"", c""));
    for (name, namespace) in [("user", CloneFlags::CLONE_NEWUSER), ("mount", CloneFlags::CLONE_NEWNS)] {
        report.tried("unshare", name, nix::sched::unshare(namespace));
    }
    let packets = rustix::net::socket(AddressFamily::PACKET, SocketType::RAW, None);
    report.tried("raw socket", "packet", packets);
    let icmp = rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP));
    report.tried("raw socket", "icmp", icmp);
    report.tried("run from tmp", "/tmp/attack.program", run_from_tmp());
}

fn run_from_tmp() -> io::Result<()> {
    let program = "/tmp/attack.program";
    fs::copy("/proc/self/exe", program)?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))?;
    let ran = Command::new(program).env_clear().stdout(Stdio::null()).spawn();
    fs::remove_file(program)?;
    ran?.wait().map(drop)
}

/// Becoming more than one is.
fn privileges(report: &mut Report) {
    let root = || (rustix::thread::Uid::ROOT, rustix::thread::Gid::ROOT);
    report.tried("setuid", "0", rustix::thread::set_thread_uid(root().0));
    report.tried("setgid", "0", rustix::thread::set_thread_gid(root().1));
    for (name, wanted) in [
        ("SYS_ADMIN", CapabilitySet::SYS_ADMIN),
        ("NET_RAW", CapabilitySet::NET_RAW),
        ("DAC_OVERRIDE", CapabilitySet::DAC_OVERRIDE),
    ] {
        let sets =
            CapabilitySets { effective: wanted, permitted: wanted, inheritable: CapabilitySet::empty() };
        report.tried("capset", name, rustix::thread::set_capabilities(None, sets));
    }
}

/// Other processes: those that are seen from here, and those that are told.
fn others(report: &mut Report, pids: &[i32]) {
    let own = process::id();
    let seen = fs::read_dir("/proc").map(|entries| {
        let pid = |name: &str| name.parse::<u32>().ok().filter(|pid| *pid != own);
        entries.flatten().filter_map(|entry| pid(entry.file_name().to_str()?)).count() as u64
    });
    let count = seen.as_ref().map_or(0, |count| *count);
    let result = seen.and_then(|count| if count == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) });
    report.counted("see processes", "/proc", Some(count), result);
    for number in pids {
        let name = number.to_string();
        report.tried("ptrace", &name, nix::sys::ptrace::attach(nix::unistd::Pid::from_raw(*number)));
        let told = rustix::process::Pid::from_raw(*number).ok_or(rustix::io::Errno::INVAL);
        report.tried("signal", &name, told.and_then(rustix::process::test_kill_process));
        report.tried("read memory", &name, File::open(format!("/proc/{number}/mem")));
    }
}

/// Writes until there is no more room, and makes room again.
fn fill(report: &mut Report, disk: &Path) {
    let path = disk.join("attack.fill");
    let chunk = vec![0xa5; 1 << 20];
    let mut written = 0;
    let mut write = || {
        let mut file = File::create(&path)?;
        while written < FILL {
            file.write_all(&chunk)?;
            written += chunk.len() as u64;
        }
        Ok(())
    };
    let result = write();
    let _ = fs::remove_file(&path);
    report.counted("fill", disk.display().to_string(), Some(written), result);
}
