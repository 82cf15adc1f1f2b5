use super::*;

fn of(call: &'static str, status_code: u16, message: &str) -> RuntimeError {
    let error = Error::DockerResponseServerError { status_code, message: message.into() };
    classify(call, Duration::from_secs(1), error)
}

#[test]
fn only_dockers_own_words_say_that_something_is_absent() {
    for words in [
        "No such container: gamekeeper-x",
        "no container with name or ID \"x\" found: no such container",
        "No such image: x:1",
        "x:1: image not known",
        "network gamekeeper not found",
        "unable to find network with name or ID x: network not found",
    ] {
        assert!(matches!(of("inspect", 404, words), RuntimeError::NotFound(_)), "{words}");
    }
    for words in ["", "404 page not found", "page not found", "<html>nginx: no such container</html>"] {
        let error = of("inspect", 404, words);
        assert!(matches!(error, RuntimeError::Because { cause: Cause::NotDocker, .. }), "{words}: {error:?}");
        assert!(!error.to_string().contains('<'), "{error}");
    }
    // It may be Docker's, and says nothing of the thing that was asked for.
    for words in ["plugin \"no such container\" not found", "the page for no such container: is missing"] {
        assert!(matches!(of("inspect", 404, words), RuntimeError::Failed(_)), "{words}");
    }
}

#[test]
fn answers_are_told_apart_from_silence() {
    assert!(matches!(of("create", 409, "x"), RuntimeError::Conflict(_)));
    for podman in [
        "container create: …: that name is already in use",
        "network name x already used: network already exists",
    ] {
        assert!(matches!(of("create", 500, podman), RuntimeError::Conflict(_)), "{podman}");
    }
    assert!(matches!(of("create", 400, "x"), RuntimeError::Refused(_)));
    assert!(matches!(of("logs", 501, "x"), RuntimeError::Refused(_)));
    // libnetwork's word for a subnet that is taken is no refusal of the call.
    let taken = "Pool overlaps with other one on this address space";
    assert!(matches!(of("network create", 403, taken), RuntimeError::Failed(_)));
    assert!(matches!(of("create", 503, ""), RuntimeError::Unreachable(_)));
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let error = classify("list", Duration::from_secs(1), Error::IOError { err: refused });
    assert!(matches!(error, RuntimeError::Unreachable(_)));
}

/// The start of a container, as runc says it to Docker 20.10.
const RUNC: &str = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ";
/// The same in Docker 28.
const RUNC_28: &str = "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: ";

/// Each row by the texts as they come, of Docker 20.10.24 (tried), 27 and 28, and Podman 4.
#[test]
fn what_docker_says_has_a_name() {
    let runc = |words: &str| format!("{RUNC}{words}");
    let runc_28 = |words: &str| format!("{RUNC_28}{words}");
    for (call, status, message, cause) in [
        (
            "list",
            400,
            "client version 9.99 is too new. Maximum supported API version is 1.41".to_owned(),
            Cause::ApiVersion,
        ),
        (
            "create",
            400,
            "client version 1.1 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version".into(),
            Cause::ApiVersion,
        ),
        ("create", 403, "authorization denied by plugin casbin: no".into(), Cause::Forbidden),
        ("create", 500, "mkdir /var/lib/docker/overlay2/0f-init: no space left on device".into(), Cause::DiskFull),
        (
            "start",
            500,
            runc("unable to apply cgroup configuration: mkdir /sys/fs/cgroup/memory/docker/0f: no space left on device: unknown"),
            Cause::ControlGroupsUsedUp,
        ),
        (
            "start",
            500,
            runc_28("unable to apply cgroup configuration: mkdir /sys/fs/cgroup/system.slice/docker-0f.scope: resource temporarily unavailable: unknown"),
            Cause::ControlGroupsUsedUp,
        ),
        (
            "start",
            500,
            runc("process_linux.go:545: container init caused: unable to join session keyring: unable to create session key: disk quota exceeded: unknown"),
            Cause::KeysUsedUp,
        ),
        (
            "start",
            500,
            runc_28("unable to join session keyring: unable to create session key: disk quota exceeded: unknown"),
            Cause::KeysUsedUp,
        ),
        ("start", 500, runc("mkdir /run/docker/runtime-runc/moby/0f: no space left on device: unknown"), Cause::DiskFull),
        (
            "start",
            500,
            "failed to start shim: exec: \"containerd-shim-runc-v2\": executable file not found in $PATH: unknown".into(),
            Cause::ContainerRuntimeMissing,
        ),
        (
            "start",
            500,
            "failed to create task for container: failed to start shim: failed to resolve runtime path: runtime \"io.containerd.runc.v2\" binary not installed \"containerd-shim-runc-v2\": file does not exist: unknown".into(),
            Cause::ContainerRuntimeMissing,
        ),
        (
            "start",
            400,
            "failed to create shim task: OCI runtime create failed: unable to retrieve OCI runtime error (open /run/containerd/io.containerd.runtime.v2.task/moby/0f/log.json: no such file or directory): exec: \"runc\": executable file not found in $PATH: unknown".into(),
            Cause::ContainerRuntimeMissing,
        ),
        (
            "start",
            400,
            "failed to create shim task: OCI runtime create failed: unable to retrieve OCI runtime error (open /run/containerd/io.containerd.runtime.v2.task/moby/0f/log.json: no such file or directory): fork/exec /usr/sbin/runc: no such file or directory: unknown".into(),
            Cause::ContainerRuntimeMissing,
        ),
        // runc before 1.1.
        (
            "start",
            400,
            "OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \"nothing\": executable file not found in $PATH: unknown".into(),
            Cause::EntrypointMissing,
        ),
        ("create", 500, "write /var/lib/docker/x: disk quota exceeded".into(), Cause::DiskFull),
        (
            "network create",
            404,
            "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network".into(),
            Cause::SubnetsUsedUp,
        ),
        (
            "network create",
            400,
            "all predefined address pools have been fully subnetted".into(),
            Cause::SubnetsUsedUp,
        ),
        (
            "start",
            500,
            "no available IPv4 addresses on this network's address pools: gamekeeper (fe95c78efe8d)".into(),
            Cause::AddressesUsedUp,
        ),
        (
            "start",
            500,
            "failed to set up container networking: no available IPv4 addresses on this network's address pools: gamekeeper (fd8f9346a771)".into(),
            Cause::AddressesUsedUp,
        ),
        ("start", 404, "network nosuchnet not found".into(), Cause::NetworkGone),
        (
            "start",
            404,
            "failed to set up container networking: network nosuchnet not found".into(),
            Cause::NetworkGone,
        ),
        ("start", 500, "unable to find network with name or ID x: network not found".into(), Cause::NetworkGone),
        (
            "start",
            500,
            "driver failed programming external connectivity on endpoint gkn16 (a20da0506e72): Bind for 0.0.0.0:39123 failed: port is already allocated".into(),
            Cause::PortTaken,
        ),
        (
            "start",
            500,
            "driver failed programming external connectivity on endpoint x (a2): Error starting userland proxy: listen tcp4 127.0.0.1:80: bind: address already in use".into(),
            Cause::PortTaken,
        ),
        ("create", 400, "error looking up logging plugin nosuch: plugin \"nosuch\" not found".into(), Cause::LogDriver),
        ("create", 400, "unknown log opt 'x' for json-file log driver".into(), Cause::LogDriver),
        ("create", 400, "logger: no log driver named 'x' is registered".into(), Cause::LogDriver),
        (
            "start",
            500,
            "failed to initialize logging driver: dial tcp 127.0.0.1:9: connect: connection refused".into(),
            Cause::LogDriver,
        ),
        ("start", 500, "unable to find user nobodyx: no matching entries in passwd file".into(), Cause::UserUnknown),
        (
            "start",
            400,
            runc("exec: \"/nothing/here\": stat /nothing/here: no such file or directory: unknown"),
            Cause::EntrypointMissing,
        ),
        (
            "start",
            400,
            runc_28("exec: \"/nothing/here\": stat /nothing/here: no such file or directory"),
            Cause::EntrypointMissing,
        ),
        (
            "start",
            400,
            runc("exec: \"nothing\": executable file not found in $PATH: unknown"),
            Cause::EntrypointMissing,
        ),
        (
            "start",
            500,
            "crun: executable file `/nothing` not found: No such file or directory: OCI runtime attempted to invoke a command that was not found".into(),
            Cause::EntrypointMissing,
        ),
        ("start", 400, runc("exec: \"/etc\": permission denied: unknown"), Cause::EntrypointDenied),
        ("start", 400, runc_28("exec: \"/etc\": is a directory"), Cause::EntrypointDenied),
        ("start", 500, "crun: open executable: Permission denied: OCI permission denied".into(), Cause::EntrypointDenied),
        (
            "start",
            400,
            runc_28("error mounting \"/srv/7\" to rootfs at \"/var/lib/galaxy-game\": mount src=/srv/7, dst=/var/lib/galaxy-game, dstFd=/proc/thread-self/fd/8, flags=MS_BIND|MS_REC: permission denied: unknown"),
            Cause::MountFailed,
        ),
        (
            "start",
            400,
            runc("error mounting \"/srv/7\" to rootfs at \"/x\": mount /srv/7:/x (via /proc/self/fd/6), flags: 0x5000: not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"),
            Cause::MountFailed,
        ),
        (
            "create",
            400,
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted".into(),
            Cause::LimitsUnsupported,
        ),
    ] {
        match of(call, status, &message) {
            RuntimeError::Because { cause: found, said } => {
                assert_eq!(found, cause, "{message}");
                assert!(said.ends_with(&message), "{said}");
            }
            other => panic!("{message}: {other:?}"),
        }
    }
}

#[test]
fn what_has_no_name_is_a_refusal_or_a_failure_in_dockers_words() {
    for (call, status, message) in [
        ("create", 400, "Minimum memory limit allowed is 6MB"),
        ("create", 400, "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"),
        ("create", 400, "invalid reference format"),
    ] {
        assert!(matches!(of(call, status, message), RuntimeError::Refused(said) if said == message));
    }
    let gone = "invalid mount config for type \"bind\": bind source path does not exist: /nope";
    assert!(matches!(of("create", 400, gone), RuntimeError::MountSourceMissing { .. }));
    for message in
        ["cannot stop container: x: tried to kill container, but did not receive an exit event", "eof"]
    {
        assert!(matches!(of("stop", 500, message), RuntimeError::Failed(said) if said == message));
    }
    for message in [
        "cannot start a paused container, try unpause instead",
        "removal of container x is already in progress",
        "Conflict. The container name \"/x\" is already in use by container \"y\". You have to remove (or rename) that container to be able to reuse that name.",
    ] {
        assert!(matches!(of("start", 409, message), RuntimeError::Conflict(_)), "{message}");
    }
}

#[test]
fn names_that_others_chose_decide_nothing() {
    for named in [
        "no space left on device",
        "/a: port is already allocated",
        "client version ",
        "/x: network y not found",
    ] {
        let message = format!("{RUNC}exec: \"{named}\": stat {named}: no such file or directory: unknown");
        let error = of("start", 400, &message);
        assert!(
            matches!(error, RuntimeError::Because { cause: Cause::EntrypointMissing, .. }),
            "{named}: {error:?}"
        );
    }
    let host = "bind source path does not exist: ";
    assert!(matches!(of("create", 400, &format!("invalid name \"{host}\"")), RuntimeError::Refused(_)));
}

#[test]
fn what_is_no_answer_of_dockers_is_told_without_its_page() {
    let page = "<html><body><h1>403 Forbidden</h1></body></html>";
    for (status, message) in [(404, page), (403, page), (200, page)] {
        let error = of("create", status, message);
        assert!(!error.to_string().contains('<'), "{error}");
    }
    let error = of("create", 403, "authorization denied by plugin x: no");
    assert!(error.to_string().contains("POST /containers/create"), "{error}");
}

#[test]
fn what_docker_says_of_a_living_process_is_told_from_a_port_that_is_taken() {
    for words in [
        "id already in use",
        "failed to create shim task: OCI runtime create failed: container with given ID already exists: unknown",
        "failed to create task for container: task 0123: already exists",
        "failed to mount rootfs: device or resource busy",
    ] {
        assert!(matches!(of("start", 500, words), RuntimeError::MayBeAlive { .. }), "{words}");
    }
    for words in [
        "driver failed programming external connectivity: listen tcp 127.0.0.1:80: bind: address already in use",
        "network with name gamekeeper already exists",
        "cannot start a paused container, try unpause instead",
    ] {
        assert!(!matches!(of("start", 500, words), RuntimeError::MayBeAlive { .. }), "{words}");
    }
}
