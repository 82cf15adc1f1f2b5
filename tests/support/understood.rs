//! Deliveries as others understand them: Standard Webhooks, CloudEvents and JSON Schema in Python.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::receiver::Received;

const PACKAGES: [&str; 3] = ["standardwebhooks==1.1.0", "cloudevents==2.2.0", "jsonschema[format]==4.26.0"];

/// What the independent implementations understand of deliveries.
pub(crate) fn understood(deliveries: &[(Received, &[&str], &[&str])]) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = Command::new(root.join("tests/support/python.sh"))
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("lobby-python"))
        .args(PACKAGES)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let python = String::from_utf8(made.stdout).unwrap();
    let mut checking = Command::new(python.trim())
        .arg(root.join("tests/support/lobby_check.py"))
        .arg(root.join("docs/lobby-events"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = checking.stdin.take().unwrap();
    for (received, secrets, strangers) in deliveries {
        let headers: serde_json::Map<_, _> =
            received.headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        let line =
            json!({ "headers": headers, "body": received.text, "secrets": secrets, "strangers": strangers });
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let output = checking.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
