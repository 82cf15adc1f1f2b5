//! Questions about containers, asked past bollard.
//!
//! bollard's enumerations are closed: one state it does not know (Podman says `stopped`) would make
//! the whole list unreadable. It also writes answers to the log, and an inspect's carries the
//! engine's token.

use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerSummary};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Either, Full};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::DockerRuntime;
use super::error::within;
use super::text::percent_encoded;
use crate::runtime::RuntimeError;

/// The states that bollard knows.
const STATES: [&str; 8] =
    ["created", "running", "paused", "restarting", "removing", "exited", "dead", "stopping"];

impl DockerRuntime {
    /// The container with this name or id.
    pub(super) async fn describe(&self, name: &str) -> Result<ContainerInspectResponse, RuntimeError> {
        let path = format!("/containers/{}/json", percent_encoded(name));
        within("inspect", self.settings.deadlines.look, async {
            let mut answer = self.get(&path).await?;
            if let Some(status) = answer.pointer_mut("/State/Status") {
                normalise(status);
            }
            read(answer)
        })
        .await
    }

    /// Every container, in whatever state, that passes the filter.
    pub(super) async fn containers(
        &self,
        filter: &str,
        value: &str,
    ) -> Result<Vec<ContainerSummary>, RuntimeError> {
        self.containers_with(filter, &[value.to_owned()]).await
    }

    /// Every container, in whatever state, that passes the filter with one of these values.
    pub(super) async fn containers_with(
        &self,
        filter: &str,
        values: &[String],
    ) -> Result<Vec<ContainerSummary>, RuntimeError> {
        let filters = serde_json::json!({ filter: values }).to_string();
        let path = format!("/containers/json?all=true&filters={}", percent_encoded(&filters));
        within("list", self.settings.deadlines.look, async {
            let mut answer = self.get(&path).await?;
            for container in answer.as_array_mut().into_iter().flatten() {
                if let Some(state) = container.get_mut("State") {
                    normalise(state);
                }
            }
            read(answer)
        })
        .await
    }

    async fn get(&self, path: &str) -> Result<Value, Error> {
        let request =
            Request::builder().method(Method::GET).uri(path).body(Either::Left(Full::new(Bytes::new())))?;
        let answer = self.transport.request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if status.is_success() {
            return Ok(serde_json::from_slice(&body)?);
        }
        let said = serde_json::from_slice::<Value>(&body).ok();
        let message = said.as_ref().and_then(|said| said.get("message")?.as_str());
        Err(Error::DockerResponseServerError {
            status_code: status.as_u16(),
            message: message.map_or_else(|| String::from_utf8_lossy(&body).into_owned(), str::to_owned),
        })
    }
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Error> {
    Ok(serde_json::from_value(answer)?)
}

/// Podman's word for exited, and for any other that nobody knows the one that proves nothing.
fn normalise(state: &mut Value) {
    match state.as_str() {
        Some("stopped") => *state = "exited".into(),
        Some(known) if STATES.contains(&known) => {}
        _ => *state = "".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_nobody_knows_proves_nothing() {
        for (said, meant) in [("stopped", "exited"), ("running", "running"), ("dreaming", "")] {
            let mut state = Value::from(said);
            normalise(&mut state);
            assert_eq!(state, meant);
        }
    }
}
