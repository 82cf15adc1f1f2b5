//! One attempt at one event: an HTTP POST that trusts nobody.
//!
//! No redirect is followed and no proxy used, so that an event goes where the operator said or
//! nowhere. The answer has a deadline, and of its body no more is read than tells a person what is
//! wrong.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, Url};

use crate::game::InstanceId;
use crate::store::outbox::Due;

use super::envelope::{self, Envelope};
use super::secret::{SecretError, SecretFile};
use super::verdict::{Outcome, of_status};

/// How long a connection may take; a lobby that is away is known sooner than by the deadline.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the body of an answer may take, once its status is known.
const BODY: Duration = Duration::from_secs(1);

/// Enough of a refusal to understand it, in bytes.
const SHOWN: usize = 200;

/// So much of an answer is read at most, so that a connection can be used again after a usual one.
const READ: usize = 16 * 1_024;

/// Why nothing can be pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The secrets cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// There is no client for this lobby.
    #[error(
        "no connection to the lobby can be prepared; for https the system's certificates are needed (the package ca-certificates, or a file that SSL_CERT_FILE names)"
    )]
    Client(#[source] reqwest::Error),
}

/// Where events go, and how they are signed.
#[derive(Debug, Clone)]
pub struct Push {
    http: Client,
    url: Url,
    deadline: Duration,
    instance: InstanceId,
    /// Held for a moment at a time, never across a wait.
    secrets: Arc<Mutex<SecretFile>>,
}

impl Push {
    /// Prepares to push to a lobby. Connects to nothing yet.
    ///
    /// # Errors
    /// The secrets cannot be used, or the system has no certificates for an https lobby.
    pub fn new(
        url: Url,
        secret_file: &std::path::Path,
        deadline: Duration,
        instance: InstanceId,
    ) -> Result<Self, PushError> {
        // Two providers in one process would be one too many; whoever was first is right.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("gamekeeper/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT.min(deadline));
        // In the clear no certificate is looked at, and a small system may have none.
        let client = if url.scheme() == "https" { client } else { client.tls_certs_only([]) };
        let http = client.build().map_err(PushError::Client)?;
        let secrets = Arc::new(Mutex::new(SecretFile::read(secret_file)?));
        Ok(Self { http, url, deadline, instance, secrets })
    }

    /// Tries once.
    pub(super) async fn attempt(&self, due: &Due) -> Outcome {
        let away = |error| Outcome::Away { error, retry_after: None };
        let body = Envelope::of(self.instance, due).to_bytes();
        let id = due.event.to_string();
        let timestamp = Timestamp::now().as_second();
        let mut signature = match HeaderValue::from_str(&self.sign(&id, timestamp, &body)) {
            Ok(signature) => signature,
            Err(error) => return away(error.to_string()),
        };
        signature.set_sensitive(true);
        let request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, envelope::CONTENT_TYPE)
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body);
        match tokio::time::timeout(self.deadline, request.send()).await {
            Ok(Ok(answer)) => understood(answer).await,
            // Without the URL: what stands in it is nobody's business who reads the table.
            Ok(Err(error)) => away(format!("the lobby did not answer: {}", root_cause(&error.without_url()))),
            Err(_) => away(format!("the lobby did not answer within {} s", self.deadline.as_secs_f32())),
        }
    }

    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut secrets = self.secrets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        secrets.current().sign(id, timestamp, body)
    }
}

/// The status decides; the body is for people, and for the connection to be used again. That it
/// never ends, or breaks off, changes nothing.
async fn understood(mut answer: Response) -> Outcome {
    let status = answer.status().as_u16();
    let seconds =
        answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut outcome = of_status(status, seconds.map(Duration::from_secs));
    let mut said = Vec::new();
    let reading = async {
        let mut read = 0;
        while let Ok(Some(chunk)) = answer.chunk().await {
            let room = SHOWN.saturating_sub(said.len()).min(chunk.len());
            said.extend_from_slice(&chunk[..room]);
            read += chunk.len();
            if read >= READ {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(BODY, reading).await;
    if let Outcome::Refused { error } | Outcome::Away { error, .. } = &mut outcome
        && !said.is_empty()
    {
        error.push_str(": ");
        error.extend(String::from_utf8_lossy(&said).chars().flat_map(char::escape_debug));
    }
    outcome
}

/// The client's own message says only that something failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
