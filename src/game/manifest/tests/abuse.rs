//! Hostile texts are refused, and fast.

use std::time::Duration;

use super::*;

/// The largest size where the parser is optimised; a share of it elsewhere, where the same takes
/// thirty times as long.
const SIZE: usize = if cfg!(debug_assertions) { MAX_FILE_BYTES / 16 } else { MAX_FILE_BYTES };
const MANY: usize = SIZE / 50;

/// How long this thread has computed: what else runs on the machine does not count.
fn busy() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    spent.try_into().unwrap()
}

#[track_caller]
fn refused_fast(what: &str, text: &str) {
    let begun = busy();
    let told = errors(text);
    let took = busy() - begun;
    assert_ne!(told, "none", "{what}");
    assert!(told.len() < 100_000, "{what}: {} bytes of errors", told.len());
    // It takes some tenths of a second, unoptimised.
    assert!(took < Duration::from_secs(5), "{what} took {took:?}");
    eprintln!("{what}: {took:?}: {}", told.lines().next().unwrap_or_default());
}

#[test]
fn a_huge_text_is_refused() {
    let huge = "a".repeat(100 << 20);
    let begun = busy();
    refused_fast("100 MiB", &huge);
    assert!(busy() - begun < Duration::from_secs(1));
}

#[test]
fn deep_nesting_is_refused() {
    for piece in ["[", "{", "{a: ", "[[", "- ", "? ", "{\"a\":", "[{", "-\n ", "!a [", "&a ["] {
        let text = piece.repeat(SIZE / piece.len());
        refused_fast(piece, &text);
    }
    let steps: String = (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused_fast("steps", &steps);
}

#[test]
fn alias_bombs_are_refused() {
    let mut doubling = String::from("a0: &a0 [x, x]\n");
    for level in 1..60 {
        let below = level - 1;
        doubling.push_str(&format!("a{level}: &a{level} [*a{below}, *a{below}]\n"));
    }
    refused_fast("doubling", &doubling);
    let wide = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(MANY), "*a,".repeat(MANY));
    refused_fast("wide", &wide);
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(SIZE / 4), "*a,".repeat(MANY));
    refused_fast("long", &long);
    refused_fast("itself", "a: &a [*a]\n");
}

#[test]
fn a_patch_in_yaml_has_the_same_limits() {
    assert_eq!(
        read_yaml("spec: { paused: true }").unwrap(),
        serde_json::json!({ "spec": { "paused": true } })
    );
    assert_eq!(read_yaml("").unwrap(), serde_json::Value::Null);
    assert_eq!(read_yaml("a: { b: 1, b: 2 }").unwrap_err().to_string(), "a.b: is there twice");
    for bad in ["a: 1\n---\nb: 1", "a: [", &"[".repeat(SIZE), &"a".repeat(MAX_FILE_BYTES + 1)] {
        assert!(read_yaml(bad).is_err());
    }
}

#[test]
fn texts_of_one_piece_are_refused() {
    for piece in [
        "a",
        "a:\n",
        "- a\n",
        "---\n- a\n",
        "'",
        "\"",
        "#\n",
        "&",
        "*",
        "!",
        "%",
        "|\n",
        "a: b\n",
        ",",
        ":",
        " ",
        "\u{2028}",
        "🚀",
    ] {
        let text = format!("x: [\n{}", piece.repeat((SIZE - 16) / piece.len()));
        refused_fast(piece.trim(), &text);
        let text = piece.repeat(SIZE / piece.len());
        let begun = busy();
        let _ = errors(&text);
        let took = busy() - begun;
        assert!(took < Duration::from_secs(5), "{piece:?} took {took:?}");
    }
}

#[test]
fn many_documents_and_many_problems_are_bounded() {
    refused_fast("documents", &format!("{GAME}---\n").repeat(MAX_DOCUMENTS + 1));
    let wrong = "    - { userId: x, raceName: \"\" }\n".repeat(MANY);
    let text = format!("{}{wrong}", GAME.split("  resources").next().unwrap());
    refused_fast("players", &text);
    let unknown: String = (0..MANY).map(|n| format!("  field{n}: 1\n")).collect();
    refused_fast("fields", &format!("{GAME}{unknown}"));
    let labels: String = (0..MANY).map(|n| format!("'{n} ': x, ")).collect();
    refused_fast("labels", &GAME.replace("name: andromeda", &format!("name: a, labels: {{ {labels} }}")));
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let name = "\\e[2J".repeat(10_000);
    for text in [
        GAME.replace("name: andromeda", &format!("name: \"{name}\"")),
        GAME.replace("engineVersion", &format!("\"{name}\"")),
        GAME.replace("Running", &format!("\"{name}\"")),
        GAME.replace("500m", &format!("[\"{name}\"]")),
        GAME.replace("kind: Game", &format!("kind: \"{name}\"")),
        GAME.replace("kind: Game", &format!("kind: Game\n\"{name}\": 1\n\"{name}\": 2")),
    ] {
        let told = errors(&text);
        assert!(told != "none" && told.len() < 1_000 && !told.contains('\u{1b}'), "{told}");
    }
}

#[test]
fn nothing_is_smuggled_through_a_spec() {
    const VERSION: &str = "apiVersion: gamekeeper.dev/v1\nkind: EngineVersion\nmetadata: { name: \"1.4.2\" }\nspec:\n  image: a/b:1\n";
    assert_eq!(errors(VERSION), "none");
    let nowhere = [
        "mounts",
        "volumes",
        "volumeMounts",
        "binds",
        "devices",
        "env",
        "environment",
        "envFrom",
        "command",
        "args",
        "entrypoint",
        "capabilities",
        "capAdd",
        "privileged",
        "securityContext",
        "securityOpt",
        "seccomp",
        "sysctls",
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "network",
        "networkMode",
        "pidMode",
        "userns",
        "ports",
        "dns",
        "extraHosts",
        "restartPolicy",
        "logging",
        "labels",
        "containerName",
        "hostname",
        "statePath",
        "mountPath",
        "cgroupParent",
        "runtime",
        "ulimits",
        "tmpfs",
        "volumesFrom",
        "containers",
        "template",
    ];
    for field in nowhere {
        let line = format!("  {field}: []\n");
        for text in [format!("{GAME}{line}"), format!("{VERSION}{line}")] {
            assert!(errors(&text).contains("unknown field"), "{text}");
        }
    }
    // What a version may say, a game may not.
    for field in ["image", "port", "contract", "runAs", "relaxations", "enabled"] {
        assert!(errors(&format!("{GAME}  {field}: x\n")).contains("unknown field"), "{field}");
    }
    for image in
        ["a b", "a:1 --privileged", "-v", "a/../b", "/a", "a\\tb", "http://a/b", "a:1@sha256:0", "${X}"]
    {
        let text = VERSION.replace("a/b:1", &format!("\"{image}\""));
        assert_ne!(errors(&text), "none", "{image}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[-\\[\\]{}:,a'\"#&*!|> \n?%@1.~<]{0,60}") {
        let _ = parse_documents("f", &text).map_err(|errors| errors.render(&miette::GraphicalTheme::none()));
    }

    #[test]
    fn no_slip_of_the_pen_makes_it_panic(at in 0..GAME.len(), new in "\\PC{0,3}") {
        let text = format!("{}{new}{}", &GAME[..at], &GAME[at + 1..]);
        let _ = parse_documents("f", &text).map_err(|errors| errors.render(&miette::GraphicalTheme::none()));
    }

    #[test]
    fn no_schedule_makes_it_panic(text in "[-0-9*/,LW#?+A-Z ]{0,40}", fields in "([-0-9*/,LW#?]{1,4} ){4,5}[-0-9*/,LW#?+]{1,4}") {
        let _ = (parse_schedule(&text), parse_schedule(&fields));
    }
}
