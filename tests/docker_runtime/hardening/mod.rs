//! Every kind of container as Docker made it: what it may do, field by field.
//!
//! The whole of `HostConfig` is an allow-list. What is set is said here; every other field has the
//! value that this daemon gives to a container nobody said anything about. So a new setting fails
//! these tests until it was thought of.

mod process;
mod settings;

use std::collections::BTreeMap;

use gamekeeper::game::Resources;
use gamekeeper::game::spec::{Relaxation, RunAs};
use gamekeeper::runtime::docker::EndpointMode;
use gamekeeper::runtime::{NewContainer, Runtime};
use serde_json::{Value, json};

use crate::world::{ENGINE, World, docker, inspected};

/// A kind of container: how the runtime is set up, and what is wanted of it.
struct Kind {
    name: &'static str,
    endpoint: EndpointMode,
    change: fn(&mut NewContainer),
}

const KINDS: [Kind; 12] = [
    Kind { name: "as it comes", endpoint: EndpointMode::Auto, change: |_| {} },
    Kind { name: "without limits of its own", endpoint: EndpointMode::Auto, change: without_limits },
    Kind { name: "published", endpoint: EndpointMode::Published, change: |_| {} },
    Kind { name: "by its address", endpoint: EndpointMode::Address, change: |_| {} },
    Kind { name: "by its host name", endpoint: EndpointMode::HostName, change: |_| {} },
    Kind { name: "may gain privileges", endpoint: EndpointMode::Auto, change: relaxed::<0> },
    Kind { name: "keeps capabilities", endpoint: EndpointMode::Auto, change: relaxed::<1> },
    Kind { name: "with a writable root", endpoint: EndpointMode::Auto, change: relaxed::<2> },
    Kind { name: "with everything relaxed", endpoint: EndpointMode::Published, change: all_relaxed },
    Kind {
        name: "as the image's user",
        endpoint: EndpointMode::Auto,
        change: |new| new.run_as = RunAs::Image,
    },
    Kind { name: "as a user of its own", endpoint: EndpointMode::Auto, change: own_user },
    Kind { name: "without a token", endpoint: EndpointMode::Auto, change: |new| new.with_token = false },
];

const RELAXATIONS: [Relaxation; 3] =
    [Relaxation::NewPrivileges, Relaxation::Capabilities, Relaxation::WritableRoot];

fn relaxed<const WHICH: usize>(new: &mut NewContainer) {
    new.relaxations = vec![RELAXATIONS[WHICH]];
}

fn all_relaxed(new: &mut NewContainer) {
    new.relaxations = RELAXATIONS.into();
}

fn without_limits(new: &mut NewContainer) {
    new.resources = Resources::default();
}

fn own_user(new: &mut NewContainer) {
    new.run_as = RunAs::User { uid: 4_711, gid: 4_712 };
}

/// What Docker says of one container, and all that is needed to judge it.
struct Made {
    kind: &'static str,
    endpoint: EndpointMode,
    world: World,
    new: NewContainer,
    seen: Value,
}

impl Made {
    async fn of(kind: &Kind) -> Self {
        let world = World::with(|settings| settings.endpoint_mode = kind.endpoint);
        world.docker.create_network().await.expect("a network");
        let mut new = world.wanted();
        (kind.change)(&mut new);
        world.docker.create_state_directory(world.game, new.run_as).await.expect("a directory");
        let id = world.docker.create(&new).await.expect("a container");
        let seen = inspected(&id);
        Self { kind: kind.name, endpoint: kind.endpoint, world, new, seen }
    }

    fn relaxes(&self, what: Relaxation) -> bool {
        self.new.relaxations.contains(&what)
    }

    /// Whether its port is published: as it was said, or as was found out here.
    fn publishes(&self) -> bool {
        match self.endpoint {
            EndpointMode::Published => true,
            EndpointMode::Address | EndpointMode::HostName => false,
            EndpointMode::Auto => !is_nothing(&self.seen["HostConfig"]["PortBindings"]),
        }
    }

    #[track_caller]
    fn expect(&self, what: &str, found: &Value, expected: &Value) {
        assert_eq!(found, expected, "{}: {what}", self.kind);
    }

    /// Every field of `HostConfig` that is set.
    fn expected(&self, host: &Host) -> BTreeMap<&'static str, Value> {
        let resources = self.new.resources;
        let memory = resources.memory_bytes.unwrap_or(256 << 20);
        let mut expected = BTreeMap::from([
            ("NetworkMode", json!(self.world.network())),
            ("RestartPolicy", json!({ "Name": "no", "MaximumRetryCount": 0 })),
            ("IpcMode", json!("private")),
            ("CgroupnsMode", json!("private")),
            ("LogConfig", json!({ "Type": "json-file", "Config": { "max-size": "10m", "max-file": "3" } })),
            ("Memory", json!(memory)),
            // Equal to the memory: no swap. Where the kernel counts no swap, Docker says so by -1.
            ("MemorySwap", if host.counts_swap { json!(memory) } else { json!(-1) }),
            ("PidsLimit", json!(resources.pids.unwrap_or(256))),
            (
                "Mounts",
                json!([{
                    "Type": "bind",
                    "Source": self.world.directory(),
                    "Target": "/var/lib/galaxy-game",
                    "BindOptions": { "Propagation": "rprivate" },
                }]),
            ),
            ("ReadonlyRootfs", json!(!self.relaxes(Relaxation::WritableRoot))),
        ]);
        if let Some(millis) = resources.cpu_millis {
            expected.insert("CpuPeriod", json!(100_000));
            expected.insert("CpuQuota", json!(millis * 100));
        }
        if !self.relaxes(Relaxation::NewPrivileges) {
            expected.insert("SecurityOpt", json!(["no-new-privileges"]));
        }
        if !self.relaxes(Relaxation::Capabilities) {
            expected.insert("CapDrop", json!(["ALL"]));
        }
        if !self.relaxes(Relaxation::WritableRoot) {
            expected.insert("Tmpfs", json!({ "/tmp": "rw,noexec,nosuid,nodev,size=64m" }));
        }
        if self.publishes() {
            let binding = json!([{ "HostIp": "127.0.0.1", "HostPort": "" }]);
            expected.insert("PortBindings", json!({ "8080/tcp": binding }));
        }
        expected
    }
}

/// What is particular to this daemon.
struct Host {
    counts_swap: bool,
    /// `HostConfig` of a container that nobody said anything about.
    untouched: Value,
}

impl Host {
    fn look() -> Self {
        let id = docker(&["create", ENGINE]);
        let untouched = docker(&["inspect", "-f", "{{json .HostConfig}}", &id]);
        docker(&["rm", "-f", "-v", &id]);
        Self {
            counts_swap: docker(&["info", "-f", "{{.SwapLimit}}"]) == "true",
            untouched: serde_json::from_str(&untouched).expect("JSON"),
        }
    }
}

/// Nothing said: null, or what JSON has for it.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(is_nothing),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    }
}
