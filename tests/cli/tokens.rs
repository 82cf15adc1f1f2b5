//! `token` and `kubeconfig`: who else may ask, and what they need for it.

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_listed_used_and_revoked() {
    let world = World::new().await;
    let run = |arguments: &[&str]| world.files.run(arguments);
    let made = run(&["token", "create", "ci", "--role", "operator", "--expires", "30d"]);
    assert!(made.stderr.contains("shown this once") && !made.stderr.contains("gamekeeper_"), "{made:?}");
    let token = made.ok().trim_end().to_owned();
    assert!(token.starts_with("gamekeeper_") && !token.contains(char::is_whitespace), "{token}");

    let kubeconfig = run(&[
        "token",
        "create",
        "ann",
        "--role",
        "viewer",
        "-n",
        "s7",
        "-n",
        "s8",
        "--expires",
        "never",
        "-o",
        "kubeconfig",
    ]);
    let ann = world.files.file("ann.kubeconfig", &kubeconfig.ok());
    let table = run(&["token", "list"]).ok();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "ROLE", "NAMESPACES", "CREATED-BY", "EXPIRES", "AGE"]);
    assert_eq!(rows[1][..5], ["ann", "viewer", "s7,s8", "admin", "<never>"]);
    assert_eq!(rows[2][..4], ["ci", "operator", "<all>", "admin"]);
    for output in ["json", "yaml", "name"] {
        assert!(!run(&["token", "list", "-o", output]).ok().contains("gamekeeper_"));
    }

    // Its own namespace is the one that is meant.
    assert_eq!(run(&["get", "games", "--kubeconfig", &ann]).ok(), "");
    let refused = run(&["get", "games", "-A", "--kubeconfig", &ann]).failed(7);
    assert!(refused.contains("namespaces s7, s8 alone"), "{refused}");
    assert!(run(&["token", "list", "--kubeconfig", &ann]).failed(7).contains("admin"));

    run(&["token", "create", "ci", "--role", "viewer"]).failed(4);
    run(&["token", "create", "CI", "--role", "viewer"]).failed(2);
    run(&["token", "create", "x", "--role", "root"]).failed(2);
    run(&["token", "create", "x", "--role", "viewer", "--expires", "soon"]).failed(2);
    assert!(run(&["token", "create", "x", "--role", "viewer", "--dry-run"]).ok().contains("dry run"));
    assert!(run(&["token", "revoke", "ann", "--dry-run"]).ok().contains("revoked (dry run)"));
    assert_eq!(
        run(&["token", "revoke", "ann", "ci"]).ok(),
        "accesstoken/ann revoked\naccesstoken/ci revoked\n"
    );
    run(&["token", "revoke", "ann"]).failed(3);
    let refused = run(&["get", "games", "--kubeconfig", &ann]).failed(7);
    assert!(!refused.contains("gamekeeper_"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_that_is_printed_leads_to_the_server() {
    let world = World::new().await;
    let run = |arguments: &[&str]| world.files.run(arguments);
    let printed = world.files.file("printed", &run(&["kubeconfig"]).ok());
    run(&["get", "games", "--kubeconfig", &printed]).ok();
    let token = run(&["token", "create", "ann", "--role", "viewer"]).ok();
    let elsewhere =
        ["kubeconfig", "--server", "https://games.example.org:7443", "--token", "-", "--user", "ann"];
    let other = world.files.run_with(&elsewhere, &[], &token).ok();
    for expected in
        ["https://games.example.org:7443", token.trim(), "name: ann", "current-context: gamekeeper"]
    {
        assert!(other.contains(expected), "{expected}: {other}");
    }
    assert!(world.files.run_with(&["kubeconfig", "--token", "-"], &[], "").failed(2).contains("no token"));
    run(&["kubeconfig", "--server", "http://x"]).failed(2);
    let script = run(&["completion", "bash"]).ok();
    assert!(script.contains("kubeconfig") && script.contains("viewer lobby operator admin"), "no completion");
}
