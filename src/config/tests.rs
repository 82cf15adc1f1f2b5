use std::path::Path;

use clap::{Args, FromArgMatches};

use super::*;

/// The settings that these flags make. Variables are not read: a test cannot set them without
/// being seen by the others.
fn flags(arguments: &[&str]) -> Settings {
    let command = Settings::augment_args(clap::Command::new("run")).mut_args(|arg| arg.env(None::<&str>));
    let matches = command.try_get_matches_from([&["run"], arguments].concat()).unwrap();
    Settings::from_arg_matches(&matches).unwrap()
}

fn file(text: &str) -> Result<Settings, String> {
    super::file::parse(Path::new("/etc/gamekeeper.yaml"), text).map_err(|error| error.to_string())
}

fn resolved(mut settings: Settings) -> Result<Config, String> {
    settings.data_dir = settings.data_dir.or(Some("/data".into()));
    settings.resolve().map_err(|error| error.to_string())
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let from_file = file("listen: 127.0.0.1:1\nmax-starts: 2\nstop-grace: 3s\n").unwrap();
    let config = resolved(flags(&["--listen", "127.0.0.1:9"]).or(from_file)).unwrap();
    assert_eq!(config.listen.port(), 9);
    assert_eq!(config.max_starts, 2);
    assert_eq!(config.stop_grace, Duration::from_secs(3));
    assert_eq!(config.max_pulls, 3);
}

#[test]
fn every_setting_has_a_variable_named_like_its_flag() {
    let command = Settings::augment_args(clap::Command::new("run"));
    for argument in command.get_arguments() {
        let flag = argument.get_long().unwrap();
        let variable = format!("GAMEKEEPER_{}", flag.replace('-', "_").to_uppercase());
        assert_eq!(argument.get_env().unwrap().to_str(), Some(variable.as_str()), "--{flag}");
        let key = file(&format!("{flag}: []\n")).unwrap_err();
        assert_eq!(key.contains("unknown field"), flag == "config", "{flag}: {key}");
    }
}

#[test]
fn the_places_follow_the_data_directory() {
    let config = resolved(Settings::default()).unwrap();
    assert_eq!(config.state_root, Path::new("/data/games"));
    assert_eq!(config.database.to_string(), "sqlite:/data/gamekeeper.db");
    assert_eq!(config.kubeconfig(), Path::new("/data/kubeconfig"));
    assert_eq!(config.policy(), Policy::default());
}

#[test]
fn relative_places_in_a_file_are_meant_from_there() {
    let settings = file("data-dir: data\nstate-root: /games\n").unwrap();
    assert_eq!(settings.data_dir.as_deref(), Some(Path::new("/etc/data")));
    assert_eq!(settings.state_root.as_deref(), Some(Path::new("/games")));
}

#[test]
fn the_default_directory_depends_on_the_user() {
    let of = |root, xdg: Option<&str>, home: Option<&str>| {
        defaults::data_dir_of(root, xdg.map(PathBuf::from), home.map(PathBuf::from)).ok()
    };
    assert_eq!(of(true, Some("/x"), Some("/root")), Some("/var/lib/gamekeeper".into()));
    assert_eq!(of(false, Some("/x"), Some("/h")), Some("/x/gamekeeper".into()));
    assert_eq!(of(false, Some("relative"), Some("/h")), Some("/h/.local/share/gamekeeper".into()));
    assert_eq!(of(false, None, None), None);
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_place() {
    for (text, expected) in [
        ("max-starts: 2\nlistne: x\n", "/etc/gamekeeper.yaml:2:1: unknown field `listne`"),
        ("stop-grace: 10\n", "stop-grace: not a duration; write a number with a unit"),
        ("max-starts: 0\n", "max-starts: has to be a number from 1 to 10000"),
        ("pull-policy: sometimes\n", "pull-policy: unknown variant `sometimes`"),
        ("listen: here\n", "/etc/gamekeeper.yaml:1:"),
        ("- listen\n", "/etc/gamekeeper.yaml:1:1: invalid type: sequence"),
        ("a: [\n", "/etc/gamekeeper.yaml:"),
    ] {
        let error = file(text).unwrap_err();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    assert_eq!(file(""), Ok(Settings::default()));
    assert_eq!(file("# nothing\n\n"), Ok(Settings::default()));
}

#[test]
fn settings_that_cannot_hold_together_are_refused_with_what_to_do() {
    for (arguments, expected) in [
        (["--restart-after", "2"], "--restart-after: 2 is less than --unreachable-after (3)"),
        (["--backoff-longest", "500ms"], "--backoff-longest: is shorter than --backoff-first"),
        (["--mount-path", "state"], "--mount-path: `state` is no directory in a container"),
        (["--network", "host"], "--network: `host` is no name"),
        (["--metrics-listen", "127.0.0.1:7443"], "--metrics-listen: 127.0.0.1:7443 is where the API listens"),
        (["--state-root", "/data"], "--state-root: is the data directory itself"),
        (["--state-root-on-host", "games"], "--state-root-on-host: `games` has to be absolute"),
        (["--log-level", "gamekeeper=loud"], "--log-level: `gamekeeper=loud`"),
    ] {
        let error = resolved(flags(&arguments)).unwrap_err();
        assert!(error.starts_with(expected), "{arguments:?}: {error}");
    }
}

#[test]
fn durations_are_written_for_people() {
    for (text, seconds) in [("30s", 30), ("5m", 300), ("1h30m", 5_400), ("1 minute", 60)] {
        assert_eq!(text.parse(), Ok(Span(Duration::from_secs(seconds))), "{text}");
    }
    for bad in ["", "30", "0s", "-5s", "soon", "1000h", "99999999999999999999h"] {
        assert!(bad.parse::<Span>().is_err(), "{bad}");
    }
}

#[test]
fn a_database_s_password_is_not_shown() {
    let url: DatabaseUrl = "postgres://keeper:secret@db.example/games".parse().unwrap();
    assert_eq!(format!("{url:?}"), "postgres://db.example:5432/games, schema gamekeeper");
    for bad in ["", "games.db", "sqlite:", "sqlite::memory:", "sqlite:a?mode=ro", "mysql://x/y"] {
        assert!(bad.parse::<DatabaseUrl>().is_err(), "{bad}");
    }
}

#[test]
fn a_lobby_is_pushed_to_when_it_is_named_and_only_with_a_signature() {
    let mode = |arguments: &[&str]| resolved(flags(arguments)).map(|config| config.lobby.mode);
    let pushed = ["--lobby-url", "https://lobby.example/hooks/t0ken", "--lobby-secret-file", "/s"];
    assert_eq!(mode(&[]), Ok(LobbyMode::Off));
    assert_eq!(mode(&["--lobby-mode", "pull"]), Ok(LobbyMode::Pull));
    assert_eq!(mode(&pushed), Ok(LobbyMode::Push));
    assert_eq!(mode(&[&pushed[..], &["--lobby-mode", "off"]].concat()), Ok(LobbyMode::Off));
    let config = resolved(flags(&pushed)).unwrap();
    assert!(!format!("{config:?}").contains("t0ken"));
    let error = mode(&pushed[..2]).unwrap_err();
    assert!(error.starts_with("--lobby-secret-file: what is pushed is signed"), "{error}");
    let error = mode(&["--lobby-mode", "push"]).unwrap_err();
    assert!(error.starts_with("--lobby-mode: push needs to know where to"), "{error}");
    for bad in ["", "lobby", "ftp://x/", "https://", "https://a:b@x/", "https://x/#y", "unix:/x"] {
        assert!(bad.parse::<LobbyUrl>().is_err(), "{bad}");
    }
    let settings = file("lobby-secret-file: secret\n").unwrap();
    assert_eq!(settings.lobby_secret_file.as_deref(), Some(Path::new("/etc/secret")));
}
