mod drift;

use super::*;
use crate::game::{Epoch, ImageId, ImageRef, Resources};

const GAME: &str = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";
const INSTANCE: &str = "11111111-2222-4333-8444-555555555555";

fn settings() -> Settings {
    Settings::new(INSTANCE.parse().expect("an id"), "/srv/state")
}

fn wanted() -> NewContainer {
    NewContainer {
        game: GAME.parse().expect("an id"),
        name: "andromeda".parse().expect("a name"),
        engine_version: "1.4.2".into(),
        inputs: "{}".into(),
        spec_hash: "abc".into(),
        epoch: Epoch(7),
        image: ImageSelector::Reference(ImageRef::new("engine:1.4.2")),
        port: 8080,
        run_as: Default::default(),
        relaxations: vec![],
        resources: Resources { cpu_millis: Some(500), memory_bytes: Some(64 << 20), pids: Some(32) },
        with_token: true,
    }
}

fn placement() -> Placement {
    Placement {
        user: Some("10001:10001".into()),
        published: false,
        token: Some(EngineToken::new("s3cret".into())),
    }
}

fn made(new: &NewContainer, settings: &Settings, placement: &Placement) -> (ContainerCreateBody, HostConfig) {
    let made = body(new, settings, placement);
    let host = made.host_config.clone().expect("a host configuration");
    (made, host)
}

#[test]
fn it_is_named_and_labelled_as_the_design_says() {
    let (made, _) = made(&wanted(), &settings(), &placement());
    assert_eq!(labels::container_name(wanted().game), format!("gamekeeper-{GAME}"));
    assert_eq!(made.hostname, Some(format!("game-{GAME}")));
    let labels = made.labels.expect("labels");
    for (key, value) in [
        ("gamekeeper.dev/instance", INSTANCE),
        ("gamekeeper.dev/game-id", GAME),
        ("gamekeeper.dev/name", "andromeda"),
        ("gamekeeper.dev/engine-version", "1.4.2"),
        ("gamekeeper.dev/spec-hash", "abc"),
        ("gamekeeper.dev/epoch", "7"),
        ("gamekeeper.dev/port", "8080"),
        ("gamekeeper.dev/inputs", "{}"),
    ] {
        assert_eq!(labels.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert_eq!(labels.len(), 8);
}

#[test]
fn the_state_directory_is_a_mount_whose_missing_source_is_an_error() {
    let mut settings = settings();
    settings.state_root_on_host = Some("/host/state".into());
    let (made, host) = made(&wanted(), &settings, &placement());
    assert_eq!(host.binds, None);
    let mounts = host.mounts.expect("mounts");
    assert_eq!(mounts.len(), 1);
    assert_eq!(mounts[0].typ, Some(MountType::BIND));
    assert_eq!(mounts[0].source, Some(format!("/host/state/{GAME}")));
    assert_eq!(mounts[0].target.as_deref(), Some("/var/lib/galaxy-game"));
    let options = mounts[0].bind_options.clone().expect("bind options");
    assert_eq!(options.create_mountpoint, None, "a missing source is an error");
    assert_eq!(options.propagation, Some(MountBindOptionsPropagationEnum::RPRIVATE));
    let expected = [
        format!("GAME_STATE_PATH=/var/lib/galaxy-game/{GAME}"),
        format!("GAME_ID={GAME}"),
        "GAME_ADMIN_TOKEN=s3cret".into(),
    ];
    assert_eq!(made.env.expect("an environment"), expected);
}

#[test]
fn the_token_is_nowhere_but_in_its_variable() {
    let mut body = body(&wanted(), &settings(), &placement());
    body.env = None;
    assert!(!serde_json::to_string(&body).expect("JSON").contains("s3cret"));
    let without = Placement { token: None, ..placement() };
    let (made, _) = made(&wanted(), &settings(), &without);
    assert!(
        !made.env.expect("an environment").iter().any(|variable| variable.starts_with("GAME_ADMIN_TOKEN"))
    );
}

#[test]
fn it_is_hardened_by_default() {
    let (made, host) = made(&wanted(), &settings(), &placement());
    assert_eq!(made.user.as_deref(), Some("10001:10001"));
    assert_eq!(host.security_opt, Some(vec!["no-new-privileges".to_owned()]));
    assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
    assert_eq!((host.cap_add, host.privileged, host.devices, host.init), (None, None, None, None));
    assert_eq!((host.pid_mode, host.uts_mode, host.userns_mode), (None, None, None));
    assert_eq!(host.ipc_mode.as_deref(), Some("private"));
    assert_eq!(host.cgroupns_mode, Some(HostConfigCgroupnsModeEnum::PRIVATE));
    assert_eq!(host.readonly_rootfs, Some(true));
    assert!(host.tmpfs.expect("a tmpfs").get("/tmp").is_some_and(|options| options.contains("nosuid")));
}

#[test]
fn each_relaxation_relaxes_one_thing() {
    let with = |relaxation| NewContainer { relaxations: vec![relaxation], ..wanted() };
    let (_, host) = made(&with(Relaxation::NewPrivileges), &settings(), &placement());
    assert_eq!((host.security_opt, host.cap_drop.is_some(), host.readonly_rootfs), (None, true, Some(true)));
    let (_, host) = made(&with(Relaxation::Capabilities), &settings(), &placement());
    assert_eq!((host.security_opt.is_some(), host.cap_drop, host.readonly_rootfs), (true, None, Some(true)));
    let (_, host) = made(&with(Relaxation::WritableRoot), &settings(), &placement());
    assert_eq!(
        (host.security_opt.is_some(), host.cap_drop.is_some(), host.readonly_rootfs),
        (true, true, Some(false))
    );
    assert_eq!(host.tmpfs, None);
}

#[test]
fn limits_come_from_the_game_and_else_from_the_configuration() {
    let (_, host) = made(&wanted(), &settings(), &placement());
    assert_eq!((host.memory, host.memory_swap), (Some(64 << 20), Some(64 << 20)));
    assert_eq!((host.cpu_period, host.cpu_quota, host.nano_cpus), (Some(100_000), Some(50_000), None));
    assert_eq!(host.pids_limit, Some(32));
    let unlimited = NewContainer { resources: Resources::default(), ..wanted() };
    let (_, host) = made(&unlimited, &settings(), &placement());
    assert_eq!(
        (host.memory, host.memory_swap, host.pids_limit),
        (Some(256 << 20), Some(256 << 20), Some(256))
    );
    assert_eq!((host.cpu_period, host.cpu_quota), (None, None));
}

#[test]
fn docker_neither_restarts_it_nor_checks_it_nor_lets_its_log_grow() {
    let (made, host) = made(&wanted(), &settings(), &placement());
    assert_eq!(host.restart_policy.and_then(|policy| policy.name), Some(RestartPolicyNameEnum::NO));
    assert_eq!(made.healthcheck.and_then(|check| check.test), Some(vec!["NONE".to_owned()]));
    let log = host.log_config.expect("a log configuration");
    assert_eq!(log.typ.as_deref(), Some("json-file"));
    let options = log.config.expect("options");
    assert_eq!(options.get("max-size").map(String::as_str), Some("10m"));
    assert_eq!(options.get("max-file").map(String::as_str), Some("3"));
}

#[test]
fn it_is_on_our_network_under_its_host_name() {
    let (made, host) = made(&wanted(), &settings(), &placement());
    assert_eq!(host.network_mode.as_deref(), Some("gamekeeper"));
    let networks = made.networking_config.and_then(|config| config.endpoints_config).expect("networks");
    assert_eq!(networks["gamekeeper"].aliases, Some(vec![format!("game-{GAME}")]));
    assert_eq!(host.port_bindings, None);
}

#[test]
fn a_published_port_is_on_loopback_and_docker_chooses_it() {
    let published = Placement { published: true, ..placement() };
    let (_, host) = made(&wanted(), &settings(), &published);
    let bindings = host.port_bindings.expect("bindings");
    let binding = PortBinding { host_ip: Some("127.0.0.1".into()), host_port: None };
    assert_eq!(bindings["8080/tcp"], Some(vec![binding]));
}

#[test]
fn a_pinned_image_is_named_by_its_id() {
    let pinned = NewContainer { image: ImageSelector::Pinned(ImageId::new("sha256:0123")), ..wanted() };
    let (made, _) = made(&pinned, &settings(), &placement());
    assert_eq!(made.image.as_deref(), Some("sha256:0123"));
}
