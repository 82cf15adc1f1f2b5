//! Of everything that a container is made with: where it comes from, and so whether a difference in
//! it needs a new container. What is declared does; what Gamekeeper derives, or is told by its
//! configuration, takes effect at the next creation, so that no upgrade restarts a game.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::game::record::AppliedSpec;
use crate::game::spec::{Contract, RunAs};

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// From this declared input.
    Declared(&'static str),
    /// From the game's identity, the configuration, or this program.
    Derived,
}

use Origin::{Declared, Derived};

/// Every setting that is made use of; those of the host one deeper.
const SETTINGS: [(&str, Origin); 24] = [
    ("Hostname", Derived),
    ("User", Declared("runAs")),
    ("ExposedPorts", Declared("port")),
    ("Env", Declared("contract")),
    ("Healthcheck", Derived),
    ("Image", Declared("image")),
    ("Labels", Derived),
    ("NetworkingConfig", Derived),
    ("HostConfig.CpuPeriod", Declared("resources")),
    ("HostConfig.CpuQuota", Declared("resources")),
    ("HostConfig.Memory", Declared("resources")),
    ("HostConfig.MemorySwap", Declared("resources")),
    ("HostConfig.PidsLimit", Declared("resources")),
    ("HostConfig.LogConfig", Derived),
    ("HostConfig.NetworkMode", Derived),
    ("HostConfig.PortBindings", Declared("port")),
    ("HostConfig.RestartPolicy", Derived),
    ("HostConfig.Mounts", Derived),
    ("HostConfig.CapDrop", Declared("relaxations")),
    ("HostConfig.CgroupnsMode", Derived),
    ("HostConfig.IpcMode", Derived),
    ("HostConfig.ReadonlyRootfs", Declared("relaxations")),
    ("HostConfig.SecurityOpt", Declared("relaxations")),
    ("HostConfig.Tmpfs", Declared("relaxations")),
];

/// What a container is made from, in the shapes that it has on its way.
struct Made {
    applied: AppliedSpec,
    new: NewContainer,
    placement: Placement,
}

fn base() -> Made {
    let applied = AppliedSpec {
        engine_version: "1.4.2".parse().expect("a version"),
        image: ImageRef::new("engine:1.4.2"),
        port: 8080,
        contract: Contract::GamekeeperV1,
        run_as: RunAs::Auto,
        relaxations: Vec::new(),
        resources: wanted().resources,
    };
    Made { applied, new: wanted(), placement: Placement { published: true, ..placement() } }
}

/// The same with one declared input changed.
fn changed(input: &str) -> Made {
    let mut made = base();
    let Made { applied, new, placement } = &mut made;
    // A new input has to be thought of here, and in the table.
    let AppliedSpec { engine_version, image, port, contract, run_as, relaxations, resources } = applied;
    match input {
        "engineVersion" => *engine_version = "1.4.3".parse().expect("a version"),
        "image" => {
            *image = ImageRef::new("other:1");
            new.image = ImageSelector::Reference(image.clone());
        }
        "port" => (*port, new.port) = (9090, 9090),
        "contract" => (*contract, placement.token) = (Contract::PlainV0, None),
        "runAs" => {
            (*run_as, placement.user) = (RunAs::User { uid: 7, gid: 7 }, Some("7:7".into()));
        }
        "relaxations" => {
            *relaxations =
                vec![Relaxation::NewPrivileges, Relaxation::Capabilities, Relaxation::WritableRoot];
            new.relaxations.clone_from(relaxations);
        }
        "resources" => {
            *resources = Resources { cpu_millis: None, memory_bytes: Some(32 << 20), pids: Some(8) };
            new.resources = Resources { cpu_millis: Some(250), ..*resources };
        }
        other => panic!("no input {other}"),
    }
    made
}

fn settings_of(made: &Made) -> serde_json::Map<String, Value> {
    let body = body(&made.new, &settings(), &made.placement);
    let Ok(Value::Object(mut top)) = serde_json::to_value(body) else { panic!("an object") };
    let Some(Value::Object(host)) = top.remove("HostConfig") else { panic!("the host's") };
    top.extend(host.into_iter().map(|(name, value)| (format!("HostConfig.{name}"), value)));
    top.retain(|_, value| !value.is_null());
    top
}

#[test]
fn every_setting_is_known_to_be_declared_or_derived() {
    let known: BTreeSet<&str> = SETTINGS.iter().map(|(name, _)| *name).collect();
    let set = settings_of(&base());
    let set: BTreeSet<&str> = set.keys().map(String::as_str).collect();
    assert_eq!(set, known, "is it declared, or derived?");
}

#[test]
fn a_difference_in_each_declared_input_needs_a_new_container() {
    let before = settings_of(&base());
    for input in ["engineVersion", "image", "port", "contract", "runAs", "relaxations", "resources"] {
        let made = changed(input);
        assert_eq!(base().applied.drift_to(&made.applied), Some(input));
        let after = settings_of(&made);
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let differing: BTreeSet<&str> = names
            .into_iter()
            .filter(|name| before.get(*name) != after.get(*name))
            .map(String::as_str)
            // They inform; the port's is read back with the container that has it.
            .filter(|name| *name != "Labels")
            .collect();
        let decided = SETTINGS.iter().filter(|(_, from)| *from == Declared(input));
        let mut decided: BTreeSet<&str> = decided.map(|(name, _)| *name).collect();
        // The period of a quota is always the same.
        decided.remove("HostConfig.CpuPeriod");
        assert_eq!(differing, decided, "{input}");
    }
    assert_eq!(base().applied.drift_to(&base().applied), None);
}

#[test]
fn what_a_newer_build_wrote_down_beside_is_passed_over() {
    let mut label = serde_json::to_value(&base().applied).expect("JSON");
    label["addedLater"] = serde_json::json!({ "any": "thing" });
    let read: AppliedSpec = serde_json::from_value(label).expect("inputs");
    assert_eq!(base().applied.drift_to(&read), None);
}
