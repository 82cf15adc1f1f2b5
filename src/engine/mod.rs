//! The client of the engine's contract (`manifests/engine-openapi.yaml`).
//!
//! Engines are hostile until parsed: each call has a deadline, bodies are capped, redirects are
//! never followed, and an answer with another game's identity is not believed. No connection is
//! kept: Docker gives a freed address to the next container at once.

mod answers;

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::game::container::EngineToken;
use crate::game::engine::Answer;
use crate::game::spec::Contract;
use crate::game::{GameId, RaceName};

/// The largest body that is read, as the contract says.
const LARGEST_BODY: usize = 1 << 20;

/// The calls that an engine wants its token for.
const ADMIN: &str = "/api/v1/admin/";

/// How long an engine may take over each sort of call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// For its health and its status.
    pub probe: Duration,
    /// For its initialisation.
    pub init: Duration,
    /// For a turn.
    pub turn: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { probe: Duration::from_secs(2), init: Duration::from_secs(60), turn: Duration::from_secs(600) }
    }
}

/// Which engine is meant.
#[derive(Debug, Clone)]
pub struct Target {
    /// The game that it should have.
    pub game: GameId,
    /// `host:port`.
    pub endpoint: String,
    /// What it speaks.
    pub contract: Contract,
    /// Its admin token.
    pub token: Option<EngineToken>,
}

/// Why an engine did not do as asked. What it did is found out by asking.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nobody answered, or not as the protocol wants.
    #[error("the engine at {endpoint} did not answer: {why}")]
    NoAnswer {
        /// Where.
        endpoint: String,
        /// Why, in words.
        why: String,
    },
    /// It did not answer in time.
    #[error("the engine at {endpoint} did not answer within {} s", after.as_secs())]
    TimedOut {
        /// Where.
        endpoint: String,
        /// The deadline.
        after: Duration,
    },
    /// Its answer is larger than anything it could have to say.
    #[error("the engine at {endpoint} sent more than {LARGEST_BODY} bytes")]
    TooLarge {
        /// Where.
        endpoint: String,
    },
    /// Who answers there does not know the engine's token: it is another process, or the engine has lost it.
    #[error("who answers at {endpoint} refuses the token of this game's engine ({status})")]
    WrongEngine {
        /// Where.
        endpoint: String,
        /// The HTTP status.
        status: StatusCode,
    },
    /// It refused.
    #[error("the engine at {endpoint} answered {status}: {body}")]
    Refused {
        /// Where.
        endpoint: String,
        /// The HTTP status.
        status: StatusCode,
        /// What it said, shortened.
        body: String,
    },
}

/// Asks engines.
#[derive(Debug, Clone)]
pub struct EngineClient {
    http: Client<HttpConnector, Full<Bytes>>,
    deadlines: Deadlines,
}

impl EngineClient {
    /// A client with these deadlines.
    pub fn new(deadlines: Deadlines) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(deadlines.probe));
        connector.set_nodelay(true);
        let http = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { http, deadlines }
    }

    /// How the engine is, and what game it has.
    pub async fn probe(&self, target: &Target) -> Answer {
        let health = match self.call(target, Method::GET, "/healthz", None, self.deadlines.probe).await {
            Ok(answer) => answer,
            Err(error) => return Answer::Unhealthy(error.to_string()),
        };
        if !health.0.is_success() {
            return Answer::Unhealthy(format!("its health check answers {}", health.0));
        }
        match self.call(target, Method::GET, "/api/v1/admin/status", None, self.deadlines.probe).await {
            Ok((status, body)) => answers::status(target, status, &body),
            Err(error) => Answer::Unhealthy(error.to_string()),
        }
    }

    /// Gives the engine its game. That it has one already is not an error: whose it is, asking tells.
    pub async fn initialise(&self, target: &Target, races: &[RaceName]) -> Result<(), EngineError> {
        let body = answers::init_request(target.game, races);
        let (status, body) =
            self.call(target, Method::POST, "/api/v1/admin/init", Some(body), self.deadlines.init).await?;
        if status.is_success() || status == StatusCode::CONFLICT {
            return Ok(());
        }
        if answers::is_of_another(status) {
            return Err(EngineError::WrongEngine { endpoint: target.endpoint.clone(), status });
        }
        Err(EngineError::Refused { endpoint: target.endpoint.clone(), status, body: answers::shorten(&body) })
    }

    /// Has the engine go from this turn to the next one. The answer is its state then; a refusal or
    /// no answer says nothing about what it did.
    pub async fn turn(&self, target: &Target, from: i64) -> Result<Answer, EngineError> {
        let precondition = format!("\"{from}\"");
        let request = Request::builder().method(Method::PUT).header(IF_MATCH, precondition);
        let (status, body) =
            self.send(target, request, "/api/v1/admin/turn", None, self.deadlines.turn).await?;
        if status.is_success() {
            return Ok(answers::status(target, StatusCode::OK, &body));
        }
        if answers::is_of_another(status) {
            return Ok(answers::status(target, status, &body));
        }
        Err(EngineError::Refused { endpoint: target.endpoint.clone(), status, body: answers::shorten(&body) })
    }

    async fn call(
        &self,
        target: &Target,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        deadline: Duration,
    ) -> Result<(StatusCode, Bytes), EngineError> {
        self.send(target, Request::builder().method(method), path, body, deadline).await
    }

    async fn send(
        &self,
        target: &Target,
        request: http::request::Builder,
        path: &str,
        body: Option<Bytes>,
        deadline: Duration,
    ) -> Result<(StatusCode, Bytes), EngineError> {
        let endpoint = || target.endpoint.clone();
        let no_answer = |why: String| EngineError::NoAnswer { endpoint: endpoint(), why };
        let mut request = request.uri(format!("http://{}{path}", target.endpoint));
        // Shown where it is asked for, and nowhere else.
        let wants_token = target.contract == Contract::GamekeeperV1 && path.starts_with(ADMIN);
        if let Some(token) = target.token.as_ref().filter(|_| wants_token) {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| no_answer(error.to_string()))?;
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| no_answer(root_cause(&error)))?;
            let status = response.status();
            match Limited::new(response.into_body(), LARGEST_BODY).collect().await {
                Ok(body) => Ok((status, body.to_bytes())),
                Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                    Err(EngineError::TooLarge { endpoint: endpoint() })
                }
                Err(error) => Err(no_answer(error.to_string())),
            }
        };
        tokio::time::timeout(deadline, exchange)
            .await
            .unwrap_or_else(|_| Err(EngineError::TimedOut { endpoint: endpoint(), after: deadline }))
    }
}

/// hyper's own message says only that something failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
