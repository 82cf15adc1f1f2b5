use super::*;

use PullFailure::{DiskFull, NotFound, Other, OtherPlatform, RateLimited, Unauthorized, Unreachable};

fn of(reference: &str, message: &str) -> PullFailure {
    pull_failure(message, &ImageRef::new(reference))
}

/// The texts as they come, of Docker 20.10 to 28 with its own image store and with containerd's, and of
/// Podman 4.
#[test]
fn the_words_of_a_failed_pull_say_what_to_expect() {
    for (words, kind) in [
        ("manifest for r/x:9 not found: manifest unknown: manifest unknown", NotFound),
        ("manifest for r/x:9 not found", NotFound),
        ("failed to resolve reference \"r/x:9\": r/x:9: not found", NotFound),
        ("initializing source docker://r/x:9: reading manifest 9 in r/x: manifest unknown", NotFound),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", OtherPlatform),
        ("no match for platform in manifest: not found", OtherPlatform),
        ("image operating system \"windows\" cannot be used on this platform", OtherPlatform),
        (
            "pull access denied for r/x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
            Unauthorized,
        ),
        (
            "failed to resolve reference \"r/x:9\": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
            Unauthorized,
        ),
        (
            "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://a/token: 401 Unauthorized",
            Unauthorized,
        ),
        ("Head \"https://r/v2/x/manifests/1\": unauthorized: authentication required", Unauthorized),
        ("Get https://r/v2/: no basic auth credentials", Unauthorized),
        ("Head \"https://r:40412/v2/x/manifests/1\": denied: requested access is denied", Unauthorized),
        ("error parsing HTTP 403 response body: unexpected: 403 Forbidden", Unauthorized),
        ("toomanyrequests: You have reached your pull rate limit.", RateLimited),
        ("received unexpected HTTP status: 429 Too Many Requests", RateLimited),
        (
            "failed to resolve reference \"r/x:9\": unexpected status from HEAD request to https://r/v2/x/manifests/9: 429 Too Many Requests",
            RateLimited,
        ),
        (
            "initializing source docker://r/x:9: Requesting bearer token: invalid status code from registry 429 (Too Many Requests)",
            RateLimited,
        ),
        ("Get \"http://127.0.0.1:9/v2/\": dial tcp 127.0.0.1:9: connect: connection refused", Unreachable),
        ("Get \"https://r/v2/\": dial tcp: lookup r on 10.255.255.53:53: no such host", Unreachable),
        ("Get \"https://r/v2/\": net/http: request canceled while waiting for connection", Unreachable),
        ("Get \"https://r/v2/\": net/http: TLS handshake timeout", Unreachable),
        ("Get \"https://r/v2/\": context deadline exceeded", Unreachable),
        ("Get \"https://r/v2/\": http: server gave HTTP response to HTTPS client", Unreachable),
        ("Get \"https://r/v2/\": x509: certificate signed by unknown authority", Unreachable),
        (
            "failed to do request: Head \"https://r/v2/x\": tls: failed to verify certificate: x509: certificate has expired",
            Unreachable,
        ),
        ("Get \"https://r/v2/\": proxyconnect tcp: dial tcp: lookup proxy: no such host", Unreachable),
        ("Get \"https://r/v2/\": Proxy Authentication Required", Unreachable),
        ("Get \"https://r:34042/v2/\": EOF", Unreachable),
        ("received unexpected HTTP status: 503 Service Unavailable", Unreachable),
        ("write /var/lib/docker/tmp/x: no space left on device", DiskFull),
        (
            "failed to register layer: Error processing tar file(exit status 1): write /tls/eof: no space left on device",
            DiskFull,
        ),
        ("filesystem layer verification failed for digest sha256:0", Other),
        ("", Other),
    ] {
        assert_eq!(of("r/x:9", words), kind, "{words}");
    }
}

#[test]
fn an_images_name_decides_nothing() {
    for reference in [
        "registry.example/tls-team/timeout:1",
        "registry.example:40401/toomanyrequests/denied:no-space-left",
        "tls:eof",
        "timeout",
        "denied/x509@sha256:429",
        "eof/unauthorized",
    ] {
        let (name, tag) = super::super::super::image::name_and_tag(reference);
        for (message, kind) in [
            (format!("manifest for {name}:{tag} not found: manifest unknown: manifest unknown"), NotFound),
            (format!("failed to resolve reference \"{reference}\": {reference}: not found"), NotFound),
            (
                format!(
                    "failed to resolve reference \"docker.io/library/{reference}\": docker.io/library/{reference}: not found"
                ),
                NotFound,
            ),
            (format!("reading manifest {tag} in {name}: manifest unknown"), NotFound),
            (
                format!(
                    "pull access denied for {name}, repository does not exist or may require 'docker login'"
                ),
                Unauthorized,
            ),
            (format!("Get \"https://{name}/v2/\": something new"), Other),
            (format!("failed to copy {reference}: something new"), Other),
            (
                format!(
                    "unexpected status from HEAD request to https://r/v2/{name}/manifests/{tag}: 500 Internal Server Error"
                ),
                Unreachable,
            ),
        ] {
            assert_eq!(of(reference, &message), kind, "{message}");
        }
    }
}

#[test]
fn a_registrys_own_words_come_after_its_code() {
    for (words, kind) in [
        ("denied: the disk is at its end: eof: no space left on device", Unauthorized),
        ("toomanyrequests: unauthorized: timeout", RateLimited),
    ] {
        assert_eq!(of("r/x:9", words), kind, "{words}");
    }
}

#[test]
fn a_404_of_a_pull_is_the_registrys_and_no_proxys() {
    let image = ImageRef::new("registry.example:40401/toomanyrequests/denied:no-space-left");
    let message = format!("manifest for {image} not found: manifest unknown");
    for status_code in [404, 500, 403] {
        let error = Error::DockerResponseServerError { status_code, message: message.clone() };
        let error = pull_error(error, Duration::from_secs(1), &image);
        let RuntimeError::Pull { kind, message } = error else { panic!("it is a pull's") };
        assert_eq!(kind, PullFailure::NotFound);
        assert!(message.contains(image.as_str()) && !message.contains("not Docker"), "{message}");
    }
}
