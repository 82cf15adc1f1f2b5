//! What Docker's answers are recognised by: the call, the status, and the words where nothing else tells.
//!
//! The words are those of Docker 20.10 to 28 and of Podman 4 (where it has others); the tests have them
//! as they come.

use super::said::Said;
use crate::runtime::Cause;

/// One way in which Docker tells of a cause.
struct Row {
    /// The calls that it comes of; none: any.
    calls: &'static [&'static str],
    /// Its statuses; none: any, since versions differ.
    statuses: &'static [u16],
    says: Says,
    cause: Cause,
}

/// What the words are, by their links.
enum Says {
    /// A link begins so.
    Link(&'static str),
    /// The innermost is one of these.
    Ends(&'static [&'static str]),
    /// A link begins with the first; the innermost is one of the others.
    Within(&'static str, &'static [&'static str]),
    /// runc says that it could not execute the container's program; the innermost is one of these. (Who could
    /// not execute runc, or the shim, says `exec` too.)
    Exec(&'static [&'static str]),
    /// The innermost begins and ends so.
    Around(&'static str, &'static str),
}

const ANY: &[&str] = &[];
const ANY_STATUS: &[u16] = &[];
const NETWORK: &[&str] = &["network create"];
const CONTAINER: &[&str] = &["create", "start"];
const START: &[&str] = &["start"];

const ROWS: &[Row] = &[
    Row { calls: ANY, statuses: &[400], says: Says::Link("client version "), cause: Cause::ApiVersion },
    Row {
        calls: ANY,
        statuses: &[403],
        says: Says::Link("authorization denied by plugin"),
        cause: Cause::Forbidden,
    },
    // Limits of the kernel's, which have the words of a disk.
    Row {
        calls: START,
        statuses: ANY_STATUS,
        says: Says::Within("unable to join session keyring", &["disk quota exceeded"]),
        cause: Cause::KeysUsedUp,
    },
    Row {
        calls: START,
        statuses: ANY_STATUS,
        says: Says::Within(
            "mkdir /sys/fs/cgroup/",
            &["no space left on device", "cannot allocate memory", "resource temporarily unavailable"],
        ),
        cause: Cause::ControlGroupsUsedUp,
    },
    // Where Docker puts images and containers: a state directory is never written to by Docker.
    Row {
        calls: ANY,
        statuses: ANY_STATUS,
        says: Says::Ends(&["no space left on device", "disk quota exceeded"]),
        cause: Cause::DiskFull,
    },
    // 404 before Docker 27.
    Row {
        calls: NETWORK,
        statuses: ANY_STATUS,
        says: Says::Link("could not find an available, non-overlapping "),
        cause: Cause::SubnetsUsedUp,
    },
    Row {
        calls: NETWORK,
        statuses: ANY_STATUS,
        says: Says::Link("all predefined address pools have been fully subnetted"),
        cause: Cause::SubnetsUsedUp,
    },
    Row {
        calls: NETWORK,
        statuses: ANY_STATUS,
        says: Says::Link("could not find free subnet from subnet pools"),
        cause: Cause::SubnetsUsedUp,
    },
    Row {
        calls: CONTAINER,
        statuses: ANY_STATUS,
        says: Says::Link("no available ipv4 addresses on this network's address pools"),
        cause: Cause::AddressesUsedUp,
    },
    Row {
        calls: CONTAINER,
        statuses: ANY_STATUS,
        says: Says::Link("no available ipv6 addresses on this network's address pools"),
        cause: Cause::AddressesUsedUp,
    },
    Row {
        calls: CONTAINER,
        statuses: &[404],
        says: Says::Around("network ", " not found"),
        cause: Cause::NetworkGone,
    },
    Row {
        calls: CONTAINER,
        statuses: ANY_STATUS,
        says: Says::Ends(&["network not found"]),
        cause: Cause::NetworkGone,
    },
    Row {
        calls: START,
        statuses: ANY_STATUS,
        says: Says::Ends(&["port is already allocated", "address already in use"]),
        cause: Cause::PortTaken,
    },
    Row {
        calls: CONTAINER,
        statuses: ANY_STATUS,
        says: Says::Link("error looking up logging plugin"),
        cause: Cause::LogDriver,
    },
    Row {
        calls: CONTAINER,
        statuses: ANY_STATUS,
        says: Says::Link("unknown log opt "),
        cause: Cause::LogDriver,
    },
    Row {
        calls: CONTAINER,
        statuses: ANY_STATUS,
        says: Says::Link("no log driver named "),
        cause: Cause::LogDriver,
    },
    Row {
        calls: CONTAINER,
        statuses: ANY_STATUS,
        says: Says::Link("failed to initialize logging driver"),
        cause: Cause::LogDriver,
    },
    Row {
        calls: CONTAINER,
        statuses: ANY_STATUS,
        says: Says::Ends(&["no matching entries in passwd file", "no matching entries in group file"]),
        cause: Cause::UserUnknown,
    },
    Row {
        calls: START,
        statuses: ANY_STATUS,
        says: Says::Link("are you trying to mount a directory onto a file"),
        cause: Cause::MountFailed,
    },
    Row {
        calls: START,
        statuses: ANY_STATUS,
        says: Says::Within("error mounting", MOUNT_ERRORS),
        cause: Cause::MountFailed,
    },
    // runc before 1.1.
    Row {
        calls: START,
        statuses: ANY_STATUS,
        says: Says::Within("mounting", MOUNT_ERRORS),
        cause: Cause::MountFailed,
    },
    Row {
        calls: START,
        statuses: ANY_STATUS,
        says: Says::Within("failed to start shim", PROGRAM_ERRORS),
        cause: Cause::ContainerRuntimeMissing,
    },
    Row {
        calls: START,
        statuses: ANY_STATUS,
        says: Says::Within("unable to retrieve oci runtime error", PROGRAM_ERRORS),
        cause: Cause::ContainerRuntimeMissing,
    },
    Row {
        calls: START,
        statuses: ANY_STATUS,
        says: Says::Exec(&["no such file or directory", "executable file not found in $path"]),
        cause: Cause::EntrypointMissing,
    },
    Row {
        calls: START,
        statuses: ANY_STATUS,
        says: Says::Ends(&["oci runtime attempted to invoke a command that was not found"]),
        cause: Cause::EntrypointMissing,
    },
    Row {
        calls: START,
        statuses: ANY_STATUS,
        says: Says::Exec(&["permission denied", "is a directory", "exec format error"]),
        cause: Cause::EntrypointDenied,
    },
    Row {
        calls: START,
        statuses: ANY_STATUS,
        says: Says::Ends(&["oci permission denied"]),
        cause: Cause::EntrypointDenied,
    },
    Row {
        calls: CONTAINER,
        statuses: &[400],
        says: Says::Link("nanocpus can not be set, as your kernel does not support"),
        cause: Cause::LimitsUnsupported,
    },
    Row {
        calls: CONTAINER,
        statuses: &[400],
        says: Says::Link("your kernel does not support"),
        cause: Cause::LimitsUnsupported,
    },
];

const MOUNT_ERRORS: &[&str] =
    &["permission denied", "operation not permitted", "no such file or directory", "not a directory"];

/// The kernel's words for a program that cannot be executed.
const PROGRAM_ERRORS: &[&str] = &[
    "executable file not found in $path",
    "no such file or directory",
    "file does not exist",
    "permission denied",
    "exec format error",
];

/// The beginnings of runc's words, now and before 1.1, when it is at work on a container's process.
const RUNC_AT_WORK: &[&str] = &["unable to start container process", "starting container process caused"];

/// The cause that an answer tells of, if it is one that has a name.
pub(super) fn cause(call: &str, status: u16, said: &Said) -> Option<Cause> {
    let tells = |row: &&Row| {
        (row.calls.is_empty() || row.calls.contains(&call))
            && (row.statuses.is_empty() || row.statuses.contains(&status))
            && row.says.matches(said)
    };
    ROWS.iter().find(tells).map(|row| row.cause)
}

impl Says {
    fn matches(&self, said: &Said) -> bool {
        let ends = |with: &[&str]| with.iter().any(|with| said.ends(with));
        match self {
            Self::Link(words) => said.has_beginning(words),
            Self::Ends(with) => ends(with),
            Self::Exec(with) => said.has_after("exec", RUNC_AT_WORK) && ends(with),
            // The rest follows in its link.
            Self::Within(words, with) => said.has_beginning(words) && ends(with),
            Self::Around(before, after) => said.ends_around(before, after),
        }
    }
}
