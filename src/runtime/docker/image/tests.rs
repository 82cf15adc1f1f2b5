use super::*;

#[test]
fn a_reference_without_a_tag_means_latest_and_a_port_is_no_tag() {
    for (reference, expected) in [
        ("engine", ("engine", "latest")),
        ("engine:1.4.2", ("engine", "1.4.2")),
        ("registry:5000/team/engine", ("registry:5000/team/engine", "latest")),
        ("registry:5000/team/engine:1", ("registry:5000/team/engine", "1")),
        ("engine@sha256:abc", ("engine", "sha256:abc")),
    ] {
        assert_eq!(name_and_tag(reference), expected, "{reference}");
    }
}

#[test]
fn what_is_no_reference_never_reaches_a_request() {
    for good in ["engine", "a.b:5000/c_d/e-f:1.0", "sha256:0123", "engine@sha256:abc"] {
        assert!(check(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "../containers/x",
        "a/../b",
        "a//b",
        "/a",
        "a?b",
        "a#b",
        "a b",
        "a%2e",
        "ä",
        "a\n",
        &"x".repeat(600),
    ] {
        assert!(check(bad).is_err(), "{bad}");
    }
}

#[test]
fn progress_is_summed_over_the_layers() {
    let message = |id: &str, status: &str, current: i64, total: i64| {
        serde_json::from_value(serde_json::json!({
            "id": id, "status": status, "progressDetail": {"current": current, "total": total}
        }))
        .expect("a message")
    };
    let mut layers = Layers::default();
    assert_eq!(layers.note(message("a", "Pulling fs layer", 0, 0)), None);
    assert_eq!(layers.note(message("a", "Downloading", 5, 10)), Some(PullProgress { current: 5, total: 10 }));
    assert_eq!(layers.note(message("b", "Downloading", 1, 4)), Some(PullProgress { current: 6, total: 14 }));
    assert_eq!(
        layers.note(message("a", "Download complete", 0, 0)),
        Some(PullProgress { current: 11, total: 14 })
    );
}
