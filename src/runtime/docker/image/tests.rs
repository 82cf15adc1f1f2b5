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
fn the_words_of_a_failed_pull_say_what_to_expect() {
    use PullFailure::{DiskFull, NotFound, Other, RateLimited, Unauthorized, Unreachable};
    for (words, kind) in [
        ("manifest for engine:9 not found: manifest unknown: manifest unknown", NotFound),
        (
            "pull access denied for x, repository does not exist or may require 'docker login': denied",
            Unauthorized,
        ),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", NotFound),
        ("Head \"https://r/v2/x/manifests/1\": unauthorized: authentication required", Unauthorized),
        ("Get https://r/v2/: no basic auth credentials", Unauthorized),
        ("Head \"https://r:40412/v2/x/manifests/1\": denied: requested access is denied", Unauthorized),
        ("error parsing HTTP 403 response body: unexpected: 403 Forbidden", Unauthorized),
        ("toomanyrequests: You have reached your pull rate limit.", RateLimited),
        ("received unexpected HTTP status: 429 Too Many Requests", RateLimited),
        ("Get \"https://r/v2/\": dial tcp: lookup r: no such host", Unreachable),
        ("Get \"https://r/v2/\": net/http: request canceled while waiting for connection", Unreachable),
        ("Get \"https://r:34042/v2/\": EOF", Unreachable),
        ("received unexpected HTTP status: 503 Service Unavailable", Unreachable),
        ("write /var/lib/docker/tmp/x: no space left on device", DiskFull),
        ("filesystem layer verification failed for digest sha256:0", Other),
    ] {
        assert_eq!(pull_failure(words), kind, "{words}");
    }
}

#[test]
fn an_images_name_decides_nothing() {
    let image = ImageRef::new("registry.example:40401/toomanyrequests/denied:no-space-left");
    let message = format!("manifest for {image} not found: manifest unknown");
    for status_code in [404, 500] {
        let error = Error::DockerResponseServerError { status_code, message: message.clone() };
        let error = pull_error(error, Duration::from_secs(1), &image);
        let RuntimeError::Pull { kind, message } = error else { panic!("it is a pull's") };
        assert_eq!(kind, PullFailure::NotFound);
        assert!(message.contains(image.as_str()) && !message.contains("not Docker"), "{message}");
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
