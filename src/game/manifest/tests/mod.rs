//! Manifests end to end: text in, manifests or errors with their places out.

mod abuse;
mod examples;
mod round_trip;
mod wrong;

use super::*;

/// A game that is right, to be made wrong.
const GAME: &str = r#"apiVersion: gamekeeper.dev/v1
kind: Game
metadata: { name: andromeda }
spec:
  desiredStatus: Running
  engineVersion: "1.4.2"
  turns:
    schedule: "0 18 * * *"
    timeZone: Europe/Berlin
  players:
    - { userId: 6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10, raceName: Terrans }
    - { userId: 0b9a3c1e-7a3f-4f0e-8a55-3f1f4a5f2d21, raceName: Martians }
  resources: { cpu: 500m, memory: 256Mi }
"#;

/// The errors of a text, one a line.
fn errors(text: &str) -> String {
    match parse_documents("f", text) {
        Ok(_) => "none".into(),
        Err(errors) => errors.to_string(),
    }
}
