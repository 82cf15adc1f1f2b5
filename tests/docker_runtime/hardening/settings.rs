//! What Docker says of a container that was made.

use gamekeeper::game::spec::RunAs;
use serde_json::{Value, json};

use super::{Host, KINDS, Made, is_nothing};
use crate::world::{ENGINE, docker};

#[tokio::test]
async fn nothing_is_set_that_was_not_thought_of() {
    let host = Host::look();
    for kind in &KINDS {
        let made = Made::of(kind).await;
        let mut expected = made.expected(&host);
        for (field, found) in made.seen["HostConfig"].as_object().expect("an object") {
            let default = &host.untouched[field];
            match expected.remove(field.as_str()) {
                Some(expected) => made.expect(field, found, &expected),
                None if is_nothing(default) => {
                    assert!(is_nothing(found), "{}: {field} is {found}", made.kind);
                }
                None => made.expect(field, found, default),
            }
        }
        assert!(expected.is_empty(), "{}: not set: {expected:?}", made.kind);
    }
}

/// The points of the CIS Docker Benchmark, section 5, that speak of a container's own settings, as
/// absolute words: a daemon's default is no excuse.
#[tokio::test]
async fn it_keeps_the_benchmarks_points_on_container_runtimes() {
    for kind in &KINDS {
        let made = Made::of(kind).await;
        let host = &made.seen["HostConfig"];
        let absent =
            |field: &str| assert!(is_nothing(&host[field]), "{}: {field} {}", made.kind, host[field]);
        // 5.2, 5.3: SELinux and AppArmor are as the daemon has them; 5.22: so is seccomp.
        let options = host["SecurityOpt"].as_array().cloned().unwrap_or_default();
        assert!(options.iter().all(|option| option == "no-new-privileges"), "{}: {options:?}", made.kind);
        // 5.4, 5.5: no capability is added, nothing is privileged.
        absent("CapAdd");
        absent("Privileged");
        // 5.6, 5.32: neither a sensitive directory nor Docker's socket.
        let mounts = made.seen["Mounts"].as_array().expect("mounts");
        assert_eq!(mounts.len(), 1, "{}: {mounts:?}", made.kind);
        made.expect("the mount's source", &mounts[0]["Source"], &json!(made.world.directory()));
        // 5.20: nothing mounted later is shared.
        made.expect("propagation", &mounts[0]["Propagation"], &json!("rprivate"));
        // 5.8, 5.9, 5.14: no privileged port, on loopback alone.
        absent("PublishAllPorts");
        for binding in host["PortBindings"].as_object().into_iter().flat_map(|ports| ports.values()) {
            made.expect("the binding", binding, &json!([{ "HostIp": "127.0.0.1", "HostPort": "" }]));
        }
        // 5.10, 5.16, 5.17, 5.21, 5.31: no namespace of the host's or of another container's.
        made.expect("the network", &host["NetworkMode"], &json!(made.world.network()));
        made.expect("IPC", &host["IpcMode"], &json!("private"));
        made.expect("control groups", &host["CgroupnsMode"], &json!("private"));
        for namespace in ["PidMode", "UTSMode", "UsernsMode"] {
            absent(namespace);
        }
        // 5.11, 5.29: memory and processes end somewhere. (5.12: CPU where game or configuration say.)
        for limit in ["Memory", "PidsLimit"] {
            assert!(host[limit].as_i64().is_some_and(|limit| limit > 0), "{}: {limit}", made.kind);
        }
        absent("OomKillDisable");
        // 5.15: one healer.
        made.expect("restarts", &host["RestartPolicy"]["Name"], &json!("no"));
        absent("AutoRemove");
        // 5.18, 5.19, 5.25: no device, no limit or control group of its own.
        for field in ["Devices", "DeviceCgroupRules", "DeviceRequests", "Ulimits", "CgroupParent", "Sysctls"]
        {
            absent(field);
        }
        // Ways in by the side.
        for field in ["Binds", "VolumesFrom", "Links", "ExtraHosts", "GroupAdd", "Dns", "OomScoreAdj"] {
            absent(field);
        }
        // What the kernel tells everybody is hidden as Docker hides it.
        for (field, path) in [("MaskedPaths", "/proc/kcore"), ("ReadonlyPaths", "/proc/sys")] {
            let paths = host[field].as_array().expect("paths");
            assert!(paths.contains(&json!(path)), "{}: {field} {paths:?}", made.kind);
        }
    }
}

#[tokio::test]
async fn its_own_configuration_holds_what_it_must_and_no_more() {
    for kind in &KINDS {
        let made = Made::of(kind).await;
        let (world, config) = (&made.world, &made.seen["Config"]);
        let own = rustix::process::geteuid().as_raw();
        let rootless = docker(&["info", "-f", "{{.SecurityOptions}}"]).contains("name=rootless");
        let auto = if own == 0 {
            "10001:10001".into()
        } else if rootless {
            // Which is this user, outside.
            "0:0".into()
        } else {
            format!("{own}:{}", rustix::process::getegid().as_raw())
        };
        let user = match made.new.run_as {
            RunAs::Auto => auto,
            // The reference engine's.
            RunAs::Image => "10001:10001".into(),
            RunAs::User { uid, gid } => format!("{uid}:{gid}"),
        };
        made.expect("the user", &config["User"], &json!(user));

        let image = docker(&["image", "inspect", "-f", "{{json .Config}}", ENGINE]);
        let image: Value = serde_json::from_str(&image).expect("JSON");
        let mut variables: Vec<String> = strings(&config["Env"]);
        let secret = variables.iter().position(|variable| variable.starts_with("GAME_ADMIN_TOKEN="));
        assert_eq!(secret.is_some(), made.new.with_token, "{}", made.kind);
        let token = secret.map(|at| variables.remove(at).split_off("GAME_ADMIN_TOKEN=".len()));
        let mut expected = strings(&image["Env"]);
        expected.push(format!("GAME_ID={}", world.game));
        expected.push(format!("GAME_STATE_PATH=/var/lib/galaxy-game/{}", world.game));
        expected.sort_unstable();
        variables.sort_unstable();
        assert_eq!(variables, expected, "{}", made.kind);
        if let Some(token) = token {
            assert_eq!(made.seen.to_string().matches(&token).count(), 1, "{}", made.kind);
        }

        let mut labels = config["Labels"].as_object().expect("labels").clone();
        for of_image in image["Labels"].as_object().expect("labels").keys() {
            labels.remove(of_image);
        }
        let expected = json!({
            "gamekeeper.dev/instance": world.instance.to_string(),
            "gamekeeper.dev/game-id": world.game.to_string(),
            "gamekeeper.dev/name": "andromeda",
            "gamekeeper.dev/engine-version": "1.4.1",
            "gamekeeper.dev/spec-hash": "abc",
            "gamekeeper.dev/epoch": "7",
            "gamekeeper.dev/port": "8080",
            "gamekeeper.dev/inputs": "{}",
        });
        made.expect("labels", &Value::Object(labels), &expected);

        made.expect("the host name", &config["Hostname"], &json!(format!("game-{}", world.game)));
        made.expect("health", &config["Healthcheck"], &json!({ "Test": ["NONE"] }));
        made.expect("ports", &config["ExposedPorts"], &image["ExposedPorts"]);
        for field in ["Domainname", "Tty", "OpenStdin", "AttachStdin", "Volumes", "MacAddress", "Shell"] {
            assert!(is_nothing(&config[field]), "{}: {field}", made.kind);
        }
        for field in ["Entrypoint", "Cmd", "WorkingDir"] {
            let of_image = &image[field];
            assert!(
                config[field] == *of_image || (is_nothing(&config[field]) && is_nothing(of_image)),
                "{}: {field}",
                made.kind
            );
        }
        let networks = made.seen["NetworkSettings"]["Networks"].as_object().expect("networks");
        assert_eq!(networks.keys().collect::<Vec<_>>(), [world.network()], "{}", made.kind);
    }
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}
