use serde_json::{Value, json};

use super::*;

const GAME: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";
const INSTANCE: &str = "11111111-2222-4333-8444-555555555555";

fn settings() -> Settings {
    Settings::new(INSTANCE.parse().expect("an id"), "/srv/state")
}

fn inspected(state: Value) -> Value {
    json!({
        "Id": "c0ffee",
        "Name": format!("/gamekeeper-{GAME}"),
        "Image": "sha256:0123",
        "State": state,
        "Mounts": [{
            "Type": "bind",
            "Source": format!("/srv/state/{GAME}"),
            "Destination": "/var/lib/galaxy-game",
            "RW": true
        }],
        "Config": {
            "Labels": {
                "gamekeeper.dev/instance": INSTANCE,
                "gamekeeper.dev/game-id": GAME,
                "gamekeeper.dev/port": "8080",
                "gamekeeper.dev/epoch": "7"
            },
            "Env": ["PATH=/bin", "GAME_ADMIN_TOKEN=s3cret"]
        },
        "NetworkSettings": {
            "Ports": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "40001"}]},
            "Networks": {"gamekeeper": {"NetworkID": "n1", "IPAddress": "172.18.0.2"}}
        }
    })
}

fn running() -> Value {
    inspected(json!({"Status": "running", "Running": true, "Pid": 42, "StartedAt": "2026-11-01T00:00:00.5Z"}))
}

fn read(inspected: Value, mode: EndpointMode) -> Container {
    let inspected = serde_json::from_value(inspected).expect("an inspect's answer");
    container(inspected, &settings(), Some(mode)).expect("a container")
}

#[test]
fn a_running_container_is_reached_as_the_mode_says() {
    for (mode, at) in [
        (EndpointMode::Address, "172.18.0.2:8080".to_owned()),
        (EndpointMode::HostName, format!("game-{GAME}:8080")),
        (EndpointMode::Published, "127.0.0.1:40001".to_owned()),
    ] {
        let container = read(running(), mode);
        assert_eq!(container.reachable_at, Some(at));
        assert_eq!(container.owner, Owner::Game(GAME.parse().expect("an id")));
        assert_eq!(container.state, ContainerState::Running { started_at: "2026-11-01T00:00:00.5Z".into() });
        assert_eq!((container.epoch, container.network_id), (Some(7), Some(NetworkId::new("n1"))));
        assert_eq!(container.token.map(|token| token.reveal().to_owned()).as_deref(), Some("s3cret"));
    }
}

#[test]
fn a_running_container_without_an_address_has_lost_its_endpoint() {
    let mut lost = running();
    lost["NetworkSettings"]["Networks"]["gamekeeper"]["IPAddress"] = json!("");
    let container = read(lost, EndpointMode::Address);
    assert_eq!((container.network_id, container.reachable_at), (None, None));
}

#[test]
fn only_created_and_exited_are_proof_that_no_process_lives() {
    let of = |state: Value| read(inspected(state), EndpointMode::Address).state;
    assert_eq!(of(json!({"Status": "created"})), ContainerState::Created);
    assert_eq!(
        of(json!({"Status": "exited", "ExitCode": 137, "OOMKilled": true, "StartedAt": "t"})),
        ContainerState::Exited { started_at: "t".into(), code: 137, out_of_memory: true }
    );
    for status in ["paused", "restarting", ""] {
        assert_eq!(
            of(json!({"Status": status, "Pid": 1})),
            ContainerState::Unsettled { status: status.into() }
        );
    }
    assert!(matches!(of(json!({"Status": "running", "Pid": 0})), ContainerState::Unsettled { .. }));
    assert_eq!(of(json!({"Status": "removing"})), ContainerState::Removing);
    assert_eq!(of(json!({"Status": "dead", "Dead": true})), ContainerState::Dead);
}

#[test]
fn what_does_not_carry_our_labels_is_foreign_and_its_secrets_are_not_read() {
    for (label, value) in [
        ("gamekeeper.dev/instance", json!("99999999-2222-4333-8444-555555555555")),
        ("gamekeeper.dev/game-id", json!("../../etc")),
    ] {
        let mut other = running();
        other["Config"]["Labels"][label] = value;
        let container = read(other, EndpointMode::Address);
        assert_eq!((container.owner, container.token), (Owner::Foreign, None));
        assert_eq!(container.endpoints, Endpoints::default());
    }
}

#[test]
fn a_name_or_a_mount_that_was_not_made_here_is_told() {
    fn mount(it: &mut Value, more: Value) {
        it["Mounts"].as_array_mut().expect("mounts").push(more);
    }
    let unlike = |change: &dyn Fn(&mut Value)| {
        let mut other = running();
        change(&mut other);
        read(other, EndpointMode::Address).unlike
    };
    assert_eq!(unlike(&|_| ()), None);
    // A volume that its image declares is of Docker's own making.
    assert_eq!(unlike(&|it| mount(it, json!({"Type": "volume", "Destination": "/x", "RW": true}))), None);
    for (change, told) in [
        ((|it| it["Name"] = json!("/naughty_euler")) as fn(&mut Value), "its name is `naughty_euler`"),
        (|it| it["Mounts"] = json!([]), "no directory of the host is mounted in it"),
        (|it| it["Mounts"] = Value::Null, "no directory of the host is mounted in it"),
        (
            |it| it["Mounts"][0]["Source"] = json!("/srv/copy"),
            "mounted in it is /srv/copy at /var/lib/galaxy-game",
        ),
        (|it| it["Mounts"][0]["Destination"] = json!("/data"), "at /data"),
        (|it| it["Mounts"][0]["RW"] = json!(false), "at /var/lib/galaxy-game, read only"),
        (
            |it| mount(it, json!({"Type": "bind", "Source": "/", "Destination": "/host", "RW": true})),
            ", / at /host",
        ),
    ] {
        let found = unlike(&change);
        assert!(found.as_ref().is_some_and(|found| found.contains(told)), "{found:?} and not {told}");
    }
}

#[test]
fn malformed_lines_of_the_list_are_left_out() {
    let line = |game: &str| -> ContainerSummary {
        serde_json::from_value(json!({
            "Id": "c0ffee", "State": "running",
            "Labels": {"gamekeeper.dev/instance": INSTANCE, "gamekeeper.dev/game-id": game},
            "NetworkSettings": {"Networks": {"gamekeeper": {"IPAddress": "172.18.0.2"}}}
        }))
        .expect("a line")
    };
    let good = listed(line(GAME), &settings()).expect("a game's container");
    assert_eq!((good.state.as_str(), good.address.as_deref()), ("running", Some("172.18.0.2")));
    assert_eq!(listed(line("nonsense"), &settings()), None);
}
