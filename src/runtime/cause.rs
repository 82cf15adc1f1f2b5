//! Names of causes: why the runtime did not do what was asked, what that means, and what to do.
//!
//! The one place for both. What a runtime's answer is recognised by is the runtime's own matter
//! (`docker::error` has that table for Docker).

/// Why the runtime answered and did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The answer is not Docker's.
    NotDocker,
    /// A proxy before Docker, or a plugin within, does not let the call through.
    Forbidden,
    /// Docker and Gamekeeper have no version of the API in common.
    ApiVersion,
    /// No subnet is left for another network.
    SubnetsUsedUp,
    /// No address is left on the network.
    AddressesUsedUp,
    /// The network that a container is to be on is gone.
    NetworkGone,
    /// A port of the host is another's.
    PortTaken,
    /// The disk that Docker works on is full.
    DiskFull,
    /// A program that Docker starts containers with is not on its host.
    ContainerRuntimeMissing,
    /// The kernel has no session key left for the engine's user.
    KeysUsedUp,
    /// The kernel makes no more control groups.
    ControlGroupsUsedUp,
    /// The image's program is not there.
    EntrypointMissing,
    /// The image's program is nothing that can be executed.
    EntrypointDenied,
    /// The image's user is not in the image.
    UserUnknown,
    /// The state directory cannot be mounted.
    MountFailed,
    /// Docker maps users, so that no engine may write to its state directory.
    UsersMapped,
    /// The log driver is unknown, refuses its options, or does not come up.
    LogDriver,
    /// The host cannot keep the limits that are asked for.
    LimitsUnsupported,
}

/// What to do about what failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Try again, at once and then after pauses that double.
    Again,
    /// Try again, less often: a person has to mend something, and it goes on by itself then.
    Slowly,
    /// As [`Remedy::Slowly`], and nothing is wrong with the container or its version: neither is made anew
    /// or given up for it.
    Host,
    /// Wait for another spec or version.
    Spec,
}

impl Cause {
    /// Each of them.
    pub const ALL: [Self; 18] = [
        Self::NotDocker,
        Self::Forbidden,
        Self::ApiVersion,
        Self::SubnetsUsedUp,
        Self::AddressesUsedUp,
        Self::NetworkGone,
        Self::PortTaken,
        Self::DiskFull,
        Self::ContainerRuntimeMissing,
        Self::KeysUsedUp,
        Self::ControlGroupsUsedUp,
        Self::EntrypointMissing,
        Self::EntrypointDenied,
        Self::UserUnknown,
        Self::MountFailed,
        Self::UsersMapped,
        Self::LogDriver,
        Self::LimitsUnsupported,
    ];

    /// The reason that is shown, what to do about it, and what it means in words that Docker's own
    /// follow.
    fn row(self) -> (&'static str, Remedy, &'static str) {
        use Remedy::{Again, Host, Slowly, Spec};
        match self {
            Self::NotDocker => (
                "NotDocker",
                Again,
                "what answers is not Docker; look at --docker-host, and at what stands before it",
            ),
            Self::Forbidden => (
                "DockerForbids",
                Again,
                "this call of Docker's API is not let through; allow it in the proxy or plugin that refuses it",
            ),
            Self::ApiVersion => (
                "DockerApiVersion",
                Slowly,
                "Docker and Gamekeeper have no version of Docker's API in common; update the older one",
            ),
            Self::SubnetsUsedUp => (
                "SubnetsUsedUp",
                Slowly,
                "Docker has no subnet left for the engines' network; remove networks that nobody needs (`docker network prune`), or widen default-address-pools in daemon.json",
            ),
            Self::AddressesUsedUp => (
                "AddressesUsedUp",
                Slowly,
                "the engines' network has no address left; remove containers from it, or make it anew with a larger subnet",
            ),
            Self::NetworkGone => {
                ("NetworkGone", Again, "the network of the container is gone; the container is made anew")
            }
            Self::PortTaken => (
                "PortTaken",
                Again,
                "the port on the host that Docker took for the engine is another's; it takes another one next time",
            ),
            Self::DiskFull => (
                "DiskFull",
                Again,
                "the disk (or its inodes) on which Docker keeps images and containers is full; `docker system df`, `df -i`",
            ),
            Self::ContainerRuntimeMissing => (
                "ContainerRuntimeMissing",
                Host,
                "a program that Docker starts containers with (runc, or containerd's shim) is not on Docker's host; install it again (`docker info` names the runtimes), the image is not to blame",
            ),
            Self::KeysUsedUp => (
                "KeysUsedUp",
                Host,
                "the engine's user has no session key left on Docker's host; raise the sysctls kernel.keys.maxkeys and kernel.keys.maxbytes there (for root: root_maxkeys, root_maxbytes; /proc/key-users has what is used)",
            ),
            Self::ControlGroupsUsedUp => (
                "ControlGroupsUsedUp",
                Host,
                "the kernel of Docker's host makes no more control groups: there are as many as it can have (65535 of memory, dead ones included), or as cgroup.max.descendants lets; /proc/cgroups counts them, and containers that nobody needs, or a restart of the host, make room",
            ),
            Self::EntrypointMissing => (
                "EntrypointMissing",
                Spec,
                "the program that the image names is not in it; mend the image, or use another engine version",
            ),
            Self::EntrypointDenied => (
                "EntrypointDenied",
                Spec,
                "the program that the image names may not be executed, or is none; mend the image, or use another engine version",
            ),
            Self::UserUnknown => (
                "UserUnknown",
                Spec,
                "the user that the image names is not in it; mend the image, or set runAs of the engine version to a number",
            ),
            Self::MountFailed => (
                "MountFailed",
                Slowly,
                "Docker cannot mount the state directory; it, and every directory above it, must be open to Docker (rights, SELinux or AppArmor, userns-remap)",
            ),
            Self::UsersMapped => (
                "UsersMapped",
                Slowly,
                "Docker maps the users of containers to others (userns-remap), and the one that the engine would be may not write to its state directory; run the games on a Docker without userns-remap, or let the image decide about the user (runAs: image)",
            ),
            Self::LogDriver => (
                "LogDriver",
                Slowly,
                "Docker does not take the log driver or its options (--log-driver, --log-option), or the driver does not come up",
            ),
            Self::LimitsUnsupported => (
                "LimitsUnsupported",
                Slowly,
                "the kernel of Docker's host cannot keep the limits of the container; enable its control groups, or leave that limit out",
            ),
        }
    }

    /// One CamelCase word for machines.
    pub fn reason(self) -> &'static str {
        self.row().0
    }

    /// What to do about it.
    pub fn remedy(self) -> Remedy {
        self.row().1
    }

    /// What it means, and what to do, for a person.
    pub fn words(self) -> &'static str {
        self.row().2
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_cause_has_a_name_of_its_own_and_says_what_to_do() {
        let names: HashSet<_> = Cause::ALL.iter().map(|cause| cause.reason()).collect();
        assert_eq!(names.len(), Cause::ALL.len());
        for cause in Cause::ALL {
            assert!(cause.words().contains(';') || cause.words().contains(','), "{cause:?}");
        }
    }
}
