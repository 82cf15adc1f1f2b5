//! What needs no server, and what says that there is none.

use crate::world::{Files, GAME, VERSION};

#[test]
fn help_teaches_with_examples_and_exit_codes() {
    let files = Files::new();
    let help = files.run(&["--help"]).ok();
    for expected in
        ["Exit codes:", "6  no server", "8  failed, of `diff`", "gamekeeper apply -f manifests/demo"]
    {
        assert!(help.contains(expected), "{help}");
    }
    for verb in [
        "run",
        "apply",
        "get",
        "describe",
        "explain",
        "plan",
        "diff",
        "delete",
        "wait",
        "restart",
        "stop",
        "ops",
        "events",
        "logs",
        "status",
        "freeze",
        "unfreeze",
        "confirm-deletions",
        "rebind",
        "adopt",
        "remove",
        "unblock",
        "token",
        "kubeconfig",
        "doctor",
        "schema",
    ] {
        let help = files.run(&[verb, "--help"]).ok();
        assert!(help.contains("Examples:\n  gamekeeper "), "{verb}: {help}");
    }
    assert_eq!(files.run(&["aply"]).failed(2).lines().count(), 7);
}

#[test]
fn help_shows_no_secret_of_the_environment() {
    let secret = [("GAMEKEEPER_DATABASE_URL", "postgres://u:hunter2@h/d")];
    let ran = Files::new().run_with(&["run", "--help"], &secret, "");
    assert!(!ran.ok().contains("hunter2"));
}

#[test]
fn wrong_manifests_are_told_with_their_places_and_nothing_is_sent() {
    let files = Files::new();
    let good = files.file("a.yaml", GAME);
    for (name, text, expected) in [
        (
            "status",
            GAME.replace("Running", "Runing"),
            "status.yaml:5:18: spec.desiredStatus: `Runing` is none of",
        ),
        ("field", GAME.replace("turns:", "turn:"), "field.yaml:7:3: spec.turn: unknown field `turn`"),
        ("number", GAME.replace("\"1.4.2\"", "1.4"), "number.yaml:6:18: spec.engineVersion"),
        ("yaml", "a: [".to_owned(), "yaml.yaml:"),
        ("again", GAME.to_owned(), "a.yaml:3:19"),
        ("empty", "# nothing\n".to_owned(), ""),
    ] {
        let bad = files.file(&format!("{name}.yaml"), &text);
        let ran = files.run(&["apply", "-f", &good, "-f", &bad]);
        // A file without documents is no mistake beside one that has some: then only the server is
        // missing.
        let error = ran.failed(if name == "empty" { 6 } else { 2 });
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn a_directory_is_read_in_order_and_only_what_is_a_manifest() {
    let files = Files::new();
    files.file("all/b/game.json", r#"{ "apiVersion": "gamekeeper.dev/v1", "kind": "Gaem" }"#);
    files.file("all/a.yml", &VERSION.replace("1.4.2\" }", "latest\" }"));
    files.file("all/notes.txt", "no manifest");
    let directory = files.path("all").display().to_string();
    let error = files.run(&["apply", "-f", &directory]).failed(2);
    let (first, second) = (error.find("a.yml:3:").unwrap(), error.find("game.json:1:").unwrap());
    assert!(first < second && !error.contains("notes"), "{error}");

    files.file("none/notes.txt", "no manifest");
    let none = files.path("none").display().to_string();
    assert!(files.run(&["apply", "-f", &none]).failed(2).contains("there is no *.yaml"));
    let error = files.run(&["apply", "-f", "/nonexistent"]).failed(2);
    assert!(error.contains("/nonexistent cannot be read: No such file"), "{error}");
}

#[test]
fn manifests_made_to_hurt_are_refused_fast() {
    let files = Files::new();
    let large = files.path("large.yaml");
    std::fs::File::create(&large).unwrap().set_len(100 << 20).unwrap();
    let doubling = (1..60).fold("a0: &a0 [x, x]\n".to_owned(), |yaml, n| {
        format!("{yaml}a{n}: &a{n} [*a{m}, *a{m}]\n", m = n - 1)
    });
    let deep = "[".repeat(100_000);
    let bytes = files.path("bytes.yaml");
    std::fs::write(&bytes, b"kind: \xff\xfe").unwrap();
    for (file, expected) in [
        (large.display().to_string(), "larger than 4 MiB"),
        (files.file("bomb.yaml", &doubling), "repetition"),
        (files.file("deep.yaml", &deep), "nested too deeply"),
        (files.file("deep.json", &format!("{}{}", "{\"a\":".repeat(50_000), "}".repeat(50_000))), "nested"),
        (bytes.display().to_string(), "UTF-8"),
        ("/dev/zero".to_owned(), "larger than 4 MiB"),
    ] {
        let begun = std::time::Instant::now();
        let error = files.run(&["apply", "-f", &file]).failed(2);
        assert!(error.contains(expected) && error.len() < 5_000, "{file}: {error}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{file}: {:?}", begun.elapsed());
    }
}

#[test]
fn standard_input_is_a_file_too() {
    let files = Files::new();
    let ran = files.run_with(&["apply", "-f", "-"], &[], &GAME.replace("0 18", "61 18"));
    let error = ran.failed(2);
    assert!(error.contains("standard input:7:"), "{error}");
    let ran = files.run_with(&["apply", "-f", "-", "-f", "-"], &[], GAME);
    assert!(ran.failed(2).contains("only once"));
    assert!(files.run(&["apply"]).failed(2).contains("nothing to apply"));
}

#[test]
fn without_a_server_it_is_said_where_it_was_looked_for() {
    let files = Files::new();
    for arguments in [
        &["get"][..],
        &["ops", "a"],
        &["wait", "--all"],
        &["stop", "a"],
        &["logs", "a"],
        &["delete", "a"],
        &["explain", "a"],
        &["events"],
        &["status"],
        &["freeze", "--because", "x"],
        &["rebind"],
        &["unblock", "a"],
    ] {
        let error = files.run(arguments).failed(6);
        assert!(
            error.contains("data/kubeconfig") && error.contains("hint: start one with `gamekeeper run`"),
            "{error}"
        );
    }
    assert!(files.run(&["get", "--kubeconfig", "/k/c"]).failed(6).contains("/k/c"));
    assert!(files.run_with(&["get"], &[("GAMEKEEPER_KUBECONFIG", "/k/d")], "").failed(6).contains("/k/d"));
}

#[test]
fn a_schema_is_json_and_knows_its_kinds() {
    let files = Files::new();
    let schema: serde_json::Value = serde_json::from_str(&files.run(&["schema", "game"]).ok()).unwrap();
    assert!(schema["$defs"]["GameSpec"].is_object());
    assert!(files.run(&["schema", "pod"]).failed(2).contains("Game and EngineVersion"));
}

#[test]
fn shells_get_their_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Files::new().run(&["completion", shell]).ok();
        for word in ["explain", "plan", "diff", "events", "confirm-deletions", "unblock", "because"] {
            assert!(script.contains(word), "{shell} {word}");
        }
    }
}

#[test]
fn versions_are_told_with_and_without_a_server() {
    let told = Files::new().run(&["version"]).ok();
    assert!(told.contains(env!("CARGO_PKG_VERSION")) && told.contains("not reached"), "{told}");
}

#[test]
fn wrong_settings_keep_the_server_from_starting() {
    let files = Files::new();
    let config = files.file("c.yaml", "listen: 127.0.0.1:0\nstop-graze: 5s\n");
    let error = files.run(&["run", "--config", &config]).failed(2);
    assert!(error.contains("c.yaml:2:1: unknown field `stop-graze`"), "{error}");
    assert!(files.run(&["run", "--config", "/nonexistent.yaml"]).failed(2).contains("/nonexistent.yaml"));
    let error = files.run_with(&["run"], &[("GAMEKEEPER_STOP_GRACE", "10")], "").failed(2);
    assert!(error.contains("--stop-grace") && error.contains("as in `30s`"), "{error}");
    let error = files.run(&["run", "--restart-after", "1"]).failed(2);
    assert!(error.contains("--restart-after: 1 is less than --unreachable-after"), "{error}");
    assert!(!files.path("data").exists(), "nothing is half-written");
}

#[test]
fn the_doctor_says_what_is_in_the_way_and_leaves_nothing() {
    let files = Files::new();
    let ran = files.run(&["doctor", "--docker-host", "unix:///nonexistent", "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for expected in [
        "ok    settings:",
        "ok    data directory:",
        "ok    database:",
        "ok    state directories: made for",
        "FAIL  docker:",
        "-> start Docker, or say where it is by --docker-host",
        "warn  kubeconfig: no kubeconfig found",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    assert_eq!(std::fs::read_dir(files.path("")).unwrap().count(), 0, "nothing is left");
}

#[test]
fn the_doctor_knows_a_file_that_is_no_database_and_leaves_it_alone() {
    let files = Files::new();
    let database = files.file("data/gamekeeper.db", &"no database at all\n".repeat(100));
    let ran = files.run(&["doctor", "--docker-host", "unix:///nonexistent", "--listen", "127.0.0.1:0"]);
    assert!(ran.stdout.contains("FAIL  database:"), "{}", ran.stdout);
    assert!(std::fs::read_to_string(database).unwrap().starts_with("no database"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_gamekeeper"))
        .args(["completion", "bash"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}

/// Every way to say where the server is, in every pair: a flag wins over a variable, whichever of the two
/// settings each is; between two flags, or two variables, the kubeconfig is the nearer answer.
#[test]
fn what_was_typed_wins_over_every_variable() {
    #[derive(Clone, Copy, PartialEq)]
    enum By {
        Nobody,
        Variable,
        Flag,
    }
    use By::{Flag, Nobody, Variable};
    let files = Files::new();
    let manifest = files.file("game.yaml", GAME);
    let (kubeconfig, data_dir) = (files.path("typed.kubeconfig"), files.path("elsewhere"));
    let (kubeconfig, data_dir) = (kubeconfig.display().to_string(), data_dir.display().to_string());
    let verbs: [&[&str]; 8] = [
        &["get"],
        &["status"],
        &["explain", "a"],
        &["delete", "a"],
        &["apply", "-f", &manifest],
        &["patch", "a", "--to", "1.4.2"],
        &["token", "list"],
        &["unfreeze"],
    ];
    for by_kubeconfig in [Nobody, Variable, Flag] {
        for by_directory in [Nobody, Variable, Flag] {
            let expected = match (by_kubeconfig, by_directory) {
                (Nobody, Nobody) => {
                    files.path("home/.local/share/gamekeeper/kubeconfig").display().to_string()
                }
                (Nobody, _) | (Variable, Flag) => format!("{data_dir}/kubeconfig"),
                (Flag, _) | (Variable, Nobody | Variable) => kubeconfig.clone(),
            };
            for verb in verbs {
                // Before the verb and after it.
                for flags_first in [true, false] {
                    let flag = |by, name: &'static str, value: &str| match by {
                        Flag => vec![name.to_owned(), value.to_owned()],
                        Nobody | Variable => Vec::new(),
                    };
                    let flags = [
                        flag(by_kubeconfig, "--kubeconfig", &kubeconfig),
                        flag(by_directory, "--data-dir", &data_dir),
                    ]
                    .concat();
                    let verb: Vec<String> = verb.iter().map(ToString::to_string).collect();
                    let all = if flags_first { [flags, verb].concat() } else { [verb, flags].concat() };
                    let all: Vec<&str> = all.iter().map(String::as_str).collect();
                    let mut command = files.command(&all);
                    command.env_remove("GAMEKEEPER_DATA_DIR").env_remove("XDG_DATA_HOME");
                    command.env("HOME", files.path("home"));
                    if by_kubeconfig == Variable {
                        command.env("GAMEKEEPER_KUBECONFIG", &kubeconfig);
                    }
                    if by_directory == Variable {
                        command.env("GAMEKEEPER_DATA_DIR", &data_dir);
                    }
                    let output = command.output().unwrap();
                    let said = String::from_utf8(output.stderr).unwrap();
                    let is_right = said.contains(&expected)
                        || (expected.contains("home/") && said.contains("/var/lib/gamekeeper/kubeconfig"));
                    assert!(is_right, "{all:?}: {said} instead of {expected}");
                }
            }
        }
    }
}

/// The same for which database is meant.
#[test]
fn a_directory_that_was_typed_wins_over_a_database_in_a_variable() {
    let files = Files::new();
    let elsewhere = files.path("elsewhere").display().to_string();
    let url = format!("sqlite:{}", files.path("variable.db").display());
    let copy = files.path("copy.db").display().to_string();
    let asked = |arguments: &[&str]| files.run_with(arguments, &[("GAMEKEEPER_DATABASE_URL", &url)], "");
    let said = asked(&["backup-db", &copy, "--data-dir", &elsewhere]).failed(3);
    assert!(said.contains("elsewhere/gamekeeper.db"), "{said}");
    let said = asked(&["backup-db", &copy]).failed(3);
    assert!(said.contains("variable.db"), "{said}");
    let typed = format!("sqlite:{}", files.path("typed.db").display());
    let said = asked(&["--data-dir", &elsewhere, "backup-db", &copy, "--database-url", &typed]).failed(3);
    assert!(said.contains("typed.db"), "{said}");
}
