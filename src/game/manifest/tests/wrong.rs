use super::*;

/// Replaces one piece of the good game and tells what is said of it.
fn with(old: &str, new: &str) -> String {
    assert_eq!(GAME.matches(old).count(), 1, "{old}");
    errors(&GAME.replace(old, new))
}

#[track_caller]
fn expect(told: &str, place: &str, part: &str) {
    let first = told.lines().next().unwrap_or_default();
    assert!(first.starts_with(place), "{told}\n  should begin with {place}");
    assert!(first.contains(part), "{told}\n  should contain {part}");
}

#[test]
fn what_is_right_is_not_refused() {
    assert_eq!(errors(GAME), "none");
}

#[test]
fn a_wrong_value_is_told_with_its_place_and_path() {
    for (old, new, place, part) in [
        ("\"1.4.2\"", "1.4", "f:6:18: spec.engineVersion: ", "quotes"),
        ("\"1.4.2\"", "latest", "f:6:18: spec.engineVersion: ", "not an engine version"),
        ("\"1.4.2\"", "1.4.2+b", "f:6:18: spec.engineVersion: ", "build metadata"),
        ("\"1.4.2\"", "[1]", "f:6:18: spec.engineVersion: ", "sequence"),
        ("Running", "running", "f:5:18: spec.desiredStatus: ", "did you mean `Running`?"),
        ("Running", "yes", "f:5:18: spec.desiredStatus: ", "none of Running, Stopped"),
        ("Running", "true", "f:5:18: spec.desiredStatus: ", "boolean"),
        ("\"0 18 * * *\"", "\"0 0 30 2 *\"", "f:8:15: spec.turns.schedule: ", "never fires"),
        ("\"0 18 * * *\"", "60 18 * * *", "f:8:15: spec.turns.schedule: ", "not a schedule"),
        ("\"0 18 * * *\"", "5", "f:8:15: spec.turns.schedule: ", "quotes"),
        ("Europe/Berlin", "Mars/Olympus", "f:9:15: spec.turns.timeZone: ", "IANA"),
        ("Europe/Berlin", "../../../etc/passwd", "f:9:15: spec.turns.timeZone: ", "IANA"),
        ("500m", "0", "f:13:21: spec.resources.cpu: ", "CPU quantity"),
        ("500m", "-1", "f:13:21: spec.resources.cpu: ", "CPU quantity"),
        ("500m", "99999", "f:13:21: spec.resources.cpu: ", "CPU quantity"),
        ("256Mi", "1Ki", "f:13:35: spec.resources.memory: ", "memory quantity"),
        ("256Mi", "true", "f:13:35: spec.resources.memory: ", "quantity"),
        ("256Mi }", "256Mi, pids: -1 }", "f:13:48: spec.resources.pids: ", "-1"),
        ("256Mi }", "256Mi, pids: 0 }", "f:13:48: spec.resources.pids: ", "number of processes"),
        ("Terrans", "\"\"", "f:11:65: spec.players[0].raceName: ", "race name"),
        ("Terrans", "\"a\\u0000b\"", "f:11:65: spec.players[0].raceName: ", "race name"),
        ("Martians", "Terrans", "f:12:65: spec.players[1].raceName: ", "taken by players[0]"),
        (
            "0b9a3c1e-7a3f-4f0e-8a55-3f1f4a5f2d21",
            "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10",
            "f:12:17: spec.players[1].userId: ",
            "listed twice",
        ),
        (
            "0b9a3c1e-7a3f-4f0e-8a55-3f1f4a5f2d21",
            "0B9A3C1E-7A3F-4F0E-8A55-3F1F4A5F2D21",
            "f:12:17: spec.players[1].userId: ",
            "lower case",
        ),
        ("name: andromeda", "name: ../x", "f:3:19: metadata.name: ", "not a valid name"),
        ("name: andromeda", "name: 7", "f:3:19: metadata.name: ", "quotes"),
        ("name: andromeda", "name: a, namespace: A", "f:3:33: metadata.namespace: ", "not a valid name"),
        ("name: andromeda", "name: a, labels: { season: 7 }", "f:3:40: metadata.labels.season: ", "quotes"),
        (
            "name: andromeda",
            "name: a, labels: { season: 'x y' }",
            "f:3:40: metadata.labels.season: ",
            "label's value",
        ),
        (
            "name: andromeda",
            "name: a, annotations: { 'a/b/c': x }",
            "f:3:46: metadata.annotations[a/b/c]: ",
            "not a key",
        ),
        ("gamekeeper.dev/v1", "apps/v1", "f:1:13: apiVersion: ", "gamekeeper.dev/v1"),
        ("kind: Game", "kind: Pod", "f:2:7: kind: ", "Game or EngineVersion"),
        ("kind: Game", "kind: game", "f:2:7: kind: ", "did you mean `Game`?"),
        ("kind: Game", "kind: 1", "f:2:7: kind: ", "text"),
    ] {
        expect(&with(old, new), place, part);
    }
}

#[test]
fn an_unknown_field_is_told_where_it_stands_with_the_nearest_known_one() {
    expect(
        &with("engineVersion:", "engineVersoin:"),
        "f:6:3: spec.engineVersoin: ",
        "did you mean `engineVersion`? known here: desiredStatus",
    );
    expect(&with("timeZone:", "timezone:"), "f:9:5: spec.turns.timezone: ", "did you mean `timeZone`?");
    expect(
        &with("raceName: Terrans", "race: Terrans"),
        "f:11:55: spec.players[0].race: ",
        "known here: userId, raceName",
    );
    expect(
        &with("cpu: 500m", "mount: /"),
        "f:13:16: spec.resources.mount: ",
        "known here: cpu, memory, pids",
    );
    expect(&with("spec:", "sepc: 1\nspec:"), "f:4:1: sepc: ", "did you mean `spec`?");
    expect(
        &with("name: andromeda", "name: a, ownerReferences: []"),
        "f:3:22: metadata.ownerReferences: ",
        "unknown field",
    );
    expect(&with("spec:", "<<: { a: b }\nspec:"), "f:4:1: [<<]: ", "unknown field");
}

#[test]
fn a_missing_field_is_told_at_what_lacks_it() {
    expect(&with("  desiredStatus: Running\n", ""), "f:5:3: spec.desiredStatus: ", "is missing");
    expect(&with("metadata: { name: andromeda }\n", ""), "f:1:1: metadata: ", "is missing");
    expect(&with("{ name: andromeda }", "{}"), "f:3:11: metadata.name: ", "is missing");
    expect(&with("kind: Game\n", ""), "f:1:1: ", "`kind` is missing");
    expect(&with(", raceName: Terrans", ""), "f:11:7: spec.players[0].raceName: ", "is missing");
}

#[test]
fn a_second_equal_key_is_told_where_it_stands() {
    expect(&with("spec:", "kind: Game\nspec:"), "f:4:1: kind: ", "twice");
    expect(
        &with("name: andromeda", "name: a, labels: { a: b, a: c }"),
        "f:3:38: metadata.labels.a: ",
        "twice",
    );
}

#[test]
fn every_problem_is_told_not_only_the_first() {
    let text = GAME
        .replace("engineVersion", "engineVersoin")
        .replace("0 18 * * *", "nonsense")
        .replace("cpu: 500m", "cpu: 0")
        .replace("Europe/Berlin", "7");
    let told = errors(&text);
    let paths: Vec<&str> = told.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(
        paths,
        ["spec.engineVersoin", "spec.turns.timeZone", "spec.turns.schedule", "spec.resources.cpu"],
        "{told}"
    );
}

#[test]
fn places_are_right_in_later_documents_and_in_any_style() {
    let bad = |text: &str| GAME.replace("Europe/Berlin", text);
    expect(&errors(&format!("{GAME}---\n{}", bad("X"))), "f:23:15: spec.turns.timeZone", "");
    expect(
        &errors(&format!("# c\n---\n\n---\n{GAME}...\n---\n# c\n{}", bad("X"))),
        "f:29:15: spec.turns.timeZone",
        "",
    );
    expect(&errors(&format!("\u{feff}{}", bad("X"))), "f:9:15: spec.turns.timeZone", "");
    expect(&errors(&bad("X").replace('\n', "\r\n")), "f:9:15: spec.turns.timeZone", "");
    let far = bad("X").replace("raceName: Terrans", "raceName: \"äöü🚀\", colour: red");
    expect(&errors(&far), "f:11:73: spec.players[0].colour", "");
    expect(&errors(&format!("# äöü🚀\n{GAME}--- # äöü🚀\n{far}")), "f:26:73: spec.players[0].colour", "");
    let indented: String = bad("X").lines().map(|line| format!("    {line}\n")).collect();
    expect(&errors(&format!("---\n{indented}")), "f:10:19: spec.turns.timeZone", "");
    expect(&errors(&bad("*z").replace("name: andromeda", "name: a, labels: { a: &z X }")), "f:3:", "IANA");
}

#[test]
fn json_is_read_as_well() {
    let text = "{\n\t\"apiVersion\": \"gamekeeper.dev/v1\", \"kind\": \"Game\",\n\t\"metadata\": {\"name\": \"a\"},\n\t\
                \"spec\": {\"desiredStatus\": \"Running\", \"turns\": {\"schedule\": \"x\"}}\n}\n";
    expect(&errors(text), "f:4:61: spec.turns.schedule: ", "fields");
    assert_eq!(errors(&text.replace("\"x\"", "\"0 18 * * *\"")), "none");
}

#[test]
fn an_engine_version_is_checked_too() {
    const VERSION: &str = "apiVersion: gamekeeper.dev/v1\nkind: EngineVersion\nmetadata: { name: \"1.4.2\" }\nspec:\n  image: a/b:1\n";
    assert_eq!(errors(VERSION), "none");
    for (old, new, place, part) in [
        ("a/b:1", "A/b:1", "f:5:10: spec.image: ", "lower case"),
        ("a/b:1", "a/b:1\n  port: 70000", "f:6:9: spec.port: ", "70000"),
        ("a/b:1", "a/b:1\n  port: 0", "f:6:9: spec.port: ", "not a port"),
        ("a/b:1", "a/b:1\n  contract: v1", "f:6:13: spec.contract: ", "gamekeeper/v1"),
        ("a/b:1", "a/b:1\n  runAs: root", "f:6:10: spec.runAs: ", "10001:10001"),
        ("a/b:1", "a/b:1\n  relaxations: [privileged]", "f:6:17: spec.relaxations[0]: ", "new-privileges"),
        ("a/b:1", "a/b:1\n  mounts: []", "f:6:3: spec.mounts: ", "unknown field"),
        ("\"1.4.2\"", "1.4", "f:3:19: metadata.name: ", "quotes"),
        ("\"1.4.2\" }", "\"1.4.2\", namespace: default }", "f:3:39: metadata.namespace: ", "no namespace"),
    ] {
        assert_eq!(VERSION.matches(old).count(), 1, "{old}");
        expect(&errors(&VERSION.replace(old, new)), place, part);
    }
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    expect(&errors("a: [1,\nb: }"), "f:2:", "not valid YAML");
    expect(&errors("a: *nobody"), "f:1:4: ", "not valid YAML");
    expect(&errors("\ta: 1"), "f:1:", "not valid YAML");
    expect(&errors("a: \u{1}"), "f:1:", "not valid YAML");
    expect(&errors("hello"), "f:1:1: ", "not a manifest");
    expect(&errors("- a"), "f:1:1: ", "not a manifest");
    expect(&errors("a: !bad x"), "f:1:", "tag");
    expect(&errors("a: .nan"), "f:1:4: a: ", "finite");
    expect(&errors("a: 99999999999999999999999"), "f:1:4: a: ", "too large");
    expect(&errors("? [a]\n: b"), "f:1:", "");
}

#[test]
fn an_empty_text_has_no_manifests() {
    for text in ["", "\n", "---\n", "---\n---\n", "# nothing\n"] {
        assert_eq!(parse_documents("f", text).unwrap().len(), 0, "{text:?}");
    }
}

#[test]
fn one_object_declared_twice_is_refused_with_both_places() {
    let other = GAME.replace("name: andromeda", "namespace: default, name: andromeda");
    let told = parse_files([("a.yaml", GAME), ("b.yaml", &format!("---\n{other}"))]).unwrap_err().to_string();
    assert_eq!(told, "b.yaml:4:39: metadata.name: Game `andromeda` is declared twice, first at a.yaml:3:19");
    let elsewhere = GAME.replace("name: andromeda", "namespace: other, name: andromeda");
    assert_eq!(parse_files([("a", GAME), ("b", &elsewhere)]).unwrap().len(), 2);
}

#[test]
fn the_errors_show_the_lines_of_the_file() {
    let errors = parse_documents("f.yaml", &GAME.replace("Europe/Berlin", "Mars/Olympus")).unwrap_err();
    insta::assert_snapshot!(errors.render(&miette::GraphicalTheme::unicode_nocolor()));
}
