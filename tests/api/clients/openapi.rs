//! What the OpenAPI documents say holds, whatever is sent: schemathesis reads them and tries.

use std::process::Stdio;
use std::time::Instant;

use tokio::process::Command;

use super::python::python;
use crate::world::{GAMES, VERSIONS, World, explanation, game, version};

const PACKAGES: [&str; 1] = ["schemathesis==4.32.5"];
/// Requests of each operation, at most and more or less; the environment may ask for more.
const EXAMPLES: &str = "5";
const MORE: &str = "GAMEKEEPER_TEST_SCHEMATHESIS_EXAMPLES";
/// What every answer has to be.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,negative_data_rejection,\
                      use_after_free,ensure_resource_availability";

#[tokio::test(flavor = "multi_thread")]
async fn whatever_schemathesis_sends_is_answered_as_the_documents_say() {
    let mut world = World::new().await;
    // Without a loop and a disk there would be good reason for 503.
    let _asked = world.answers(explanation());
    world.has_its_state_root().await;
    world.post(VERSIONS, &version("1.4.2")).await.ok(201);
    world.post(GAMES, &game("andromeda")).await.ok(201);
    let ca = world.directory.path().join("tls/ca.crt");
    let examples = std::env::var(MORE).unwrap_or_else(|_| EXAMPLES.into());
    let python = python("schemathesis-python", &PACKAGES);
    let index = world.get("/openapi/v3").await.ok(200);
    for (name, document) in index["paths"].as_object().unwrap() {
        let began = Instant::now();
        let url = format!("https://{}{}", world.address, document["serverRelativeURL"].as_str().unwrap());
        let output = Command::new(python.with_file_name("schemathesis"))
            .current_dir(world.directory.path())
            .args(["run", &url, "--url", &format!("https://{}", world.address)])
            .args(["--header", &format!("Authorization: Bearer {}", world.token)])
            .args(["--tls-verify", &ca.display().to_string(), "--no-color", "--warnings", "off"])
            .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--continue-on-failure"])
            .args(["--max-examples", &examples, "--seed", "1", "--generation-deterministic"])
            .args(["--no-shrink", "--suppress-health-check", "all"])
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        eprintln!("{name}: {:?}", began.elapsed());
        assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    }
    // And it goes on working.
    world.get(GAMES).await.ok(200);
    world.end().await;
}
