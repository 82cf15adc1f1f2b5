//! One request: find its rule, ask Docker, answer.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SERVER, TRANSFER_ENCODING};
use http::{Request, Response, request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use hyperlocal::UnixConnector;
use serde_json::Value;

use super::Shared;
use super::call::{Asked, Call, decoded};
use super::rule::{Action, TrapState};

pub(super) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Body = UnsyncBoxBody<Bytes, Error>;

/// The answer; an error ends the connection without one.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let call = Call::of(&head.method, &head.uri);
    let path = decoded(head.uri.path_and_query().map_or("/", |path| path.as_str()));
    let asked = Asked { call, path, answered: None };
    let number = {
        let mut record = shared.asked.lock().expect("the record");
        record.push(asked.clone());
        record.len() - 1
    };
    let docker = Docker { shared: Arc::clone(&shared), number, call, head, body };
    let Some((action, trap)) = rule_for(&shared, &asked) else { return docker.ask().await };
    act(action, &trap, docker).await
}

fn rule_for(shared: &Shared, asked: &Asked) -> Option<(Action, Arc<TrapState>)> {
    let mut rules = shared.rules.lock().expect("rules");
    // Every rule counts what it is about, whoever acts in the end.
    let mut acting = rules.iter_mut().filter_map(|rule| rule.takes(asked).then_some(rule));
    let first = acting.next().map(|rule| (rule.action.clone(), Arc::clone(&rule.trap)));
    acting.for_each(drop);
    first
}

async fn act(action: Action, trap: &TrapState, docker: Docker) -> Result<Response<Body>, Error> {
    match action {
        Action::Forward => {
            trap.spring();
            docker.ask().await
        }
        Action::Delay(pause) => {
            trap.spring();
            tokio::time::sleep(pause).await;
            docker.ask().await
        }
        Action::HoldBefore => {
            trap.spring();
            trap.opened().await;
            docker.ask().await
        }
        Action::HoldAfter => {
            let answer = docker.ask_to_the_end().await?;
            trap.spring();
            trap.opened().await;
            Ok(answer)
        }
        Action::Respond(status, body) => {
            trap.spring();
            Ok(own(status, &body))
        }
        Action::RespondPage(status, page) => {
            trap.spring();
            let answer = Response::builder().status(status).header(CONTENT_TYPE, "text/html");
            Ok(answer.header(SERVER, "a-proxy/1").body(whole(page.into()))?)
        }
        Action::RespondAfter(status, body) => {
            docker.ask_to_the_end().await?;
            trap.spring();
            Ok(own(status, &body))
        }
        Action::DropBefore => {
            trap.spring();
            Err("dropped by a rule".into())
        }
        Action::DropAfter => {
            docker.ask_to_the_end().await?;
            trap.spring();
            Err("dropped by a rule".into())
        }
        Action::Rewrite(change) => {
            let (mut head, body) = docker.ask().await?.into_parts();
            let body = body.collect().await?.to_bytes();
            if !head.status.is_success() {
                return Ok(Response::from_parts(head, whole(body)));
            }
            trap.spring();
            head.headers.remove(CONTENT_LENGTH);
            head.headers.remove(TRANSFER_ENCODING);
            let changed = change(serde_json::from_slice(&body)?);
            Ok(Response::from_parts(head, whole(serde_json::to_vec(&changed)?.into())))
        }
    }
}

/// A request to Docker, to be sent or not.
struct Docker {
    shared: Arc<Shared>,
    number: usize,
    call: Call,
    head: request::Parts,
    body: Bytes,
}

impl Docker {
    /// Passes it on. A client that goes away takes it along, as without a socket in between.
    async fn ask(self) -> Result<Response<Body>, Error> {
        let Self { shared, number, call, head, body } = self;
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder()
            .method(head.method)
            .uri(hyperlocal::Uri::new(&shared.upstream, path))
            .body(Full::new(body))?;
        *request.headers_mut() = head.headers;
        request.headers_mut().remove(CONNECTION);
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(UnixConnector);
        let (mut head, body) = client.request(request).await?.into_parts();
        head.headers.remove(CONNECTION);
        shared.asked.lock().expect("the record")[number].answered = Some(head.status.as_u16());
        let body = if call == Call::Events && head.status.is_success() {
            super::events::meddled(shared, body)
        } else {
            body.map_err(Error::from).boxed_unsync()
        };
        Ok(Response::from_parts(head, body))
    }

    /// Passes it on and waits for the whole answer, whatever becomes of the client.
    async fn ask_to_the_end(self) -> Result<Response<Body>, Error> {
        let asking = tokio::spawn(async move {
            let (head, body) = self.ask().await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Response::from_parts(head, whole(body)))
        });
        asking.await?
    }
}

fn own(status: u16, body: &Value) -> Response<Body> {
    let answer = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    answer.body(whole(body.to_string().into())).expect("an answer")
}

fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}
