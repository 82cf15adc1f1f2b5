use super::*;

fn home_with_context(current: &str, host: &str) -> (tempfile::TempDir, Environment) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let config = home.path().join(".docker");
    let digest: String = Sha256::digest(b"remote").iter().map(|byte| format!("{byte:02x}")).collect();
    let meta = config.join("contexts/meta").join(digest);
    std::fs::create_dir_all(&meta).expect("directories");
    let context = serde_json::json!({"Name": "remote", "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": false}}});
    std::fs::write(meta.join("meta.json"), context.to_string()).expect("a context");
    let file = serde_json::json!({"auths": {}, "currentContext": current});
    std::fs::write(config.join("config.json"), file.to_string()).expect("a configuration");
    let environment = Environment {
        config_directory: Some(config),
        home: Some(home.path().into()),
        runtime_directory: Some("/run/user/1000".into()),
        ..Environment::default()
    };
    (home, environment)
}

#[test]
fn the_settings_win_over_the_environment_and_that_over_the_context() {
    let (_home, mut environment) = home_with_context("remote", "unix:///context.sock");
    assert_eq!(find(None, &environment), Ok(Host::Unix("/context.sock".into())));
    environment.docker_host = Some("tcp://docker:1234".into());
    assert_eq!(find(None, &environment), Ok(Host::Tcp("docker:1234".into())));
    assert_eq!(find(Some("unix:///explicit.sock"), &environment), Ok(Host::Unix("/explicit.sock".into())));
}

#[test]
fn the_context_variable_wins_over_the_current_context() {
    let (_home, mut environment) = home_with_context("default", "tcp://10.0.0.7");
    assert!(matches!(find(None, &environment), Ok(Host::FirstOf(_))));
    environment.docker_context = Some("remote".into());
    assert_eq!(find(None, &environment), Ok(Host::Tcp("10.0.0.7:2375".into())));
}

#[test]
fn a_context_that_is_not_there_is_an_error_and_not_another_daemon() {
    let (_home, environment) = home_with_context("gone", "unix:///x.sock");
    assert!(find(None, &environment).is_err_and(|why| why.contains("`gone`")));
}

#[test]
fn without_a_word_from_anybody_the_usual_sockets_are_tried() {
    let environment = Environment {
        home: Some("/home/u".into()),
        runtime_directory: Some("/run/user/7".into()),
        ..Environment::default()
    };
    let sockets = [
        "/var/run/docker.sock",
        "/run/user/7/docker.sock",
        "/home/u/.docker/run/docker.sock",
        "/home/u/.docker/desktop/docker.sock",
        "/run/user/7/podman/podman.sock",
        "/run/podman/podman.sock",
    ];
    assert_eq!(find(None, &environment), Ok(Host::FirstOf(sockets.map(PathBuf::from).into())));
}

#[test]
fn what_is_not_supported_says_so() {
    let clear = Environment::default();
    for host in
        ["https://docker:2376", "ssh://user@docker", "npipe:////./pipe/docker", "unix://relative", "tcp://"]
    {
        assert!(find(Some(host), &clear).is_err(), "{host}");
    }
    let tls = Environment { tls: true, ..Environment::default() };
    assert!(find(Some("tcp://docker:2376"), &tls).is_err_and(|why| why.contains("TLS")));
}
