//! The engines' logs, streamed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use serde::Deserialize;

use super::Shared;
use super::error::ApiError;
use super::games::present;
use super::request::{Names, Parameters, flag, number};
use super::wire::{CONTAINER, GAMES, PODS};
use crate::runtime::{LogOptions, Owner};

/// How many logs may be read at the same time.
pub(super) const AT_ONCE: usize = 64;

/// Kubernetes' parameters of a log.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogParameters {
    follow: Option<String>,
    previous: Option<String>,
    timestamps: Option<String>,
    tail_lines: Option<String>,
    since_seconds: Option<String>,
    since_time: Option<String>,
    limit_bytes: Option<String>,
    container: Option<String>,
    stream: Option<String>,
}

/// `GET /api/v1/namespaces/{ns}/pods/{game}/log`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    Parameters(parameters): Parameters<LogParameters>,
) -> Result<Response, ApiError> {
    let options = parameters.options(Timestamp::now())?;
    let limit = parameters.bounds(&name)?;
    let game = present(&shared, &namespace, &name).await?;
    let nothing = |message: String| ApiError::Nothing { resource: PODS, name: name.clone(), message };
    if flag(parameters.previous.as_deref()) {
        let kept = game.record.and_then(|record| record.last_log_lines);
        let lines =
            kept.ok_or_else(|| nothing(format!("no earlier life of the engine of \"{name}\" is on record")))?;
        let lines = last(&lines, options.tail).as_bytes();
        let end = lines.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        return Ok(text(Body::from(Bytes::copy_from_slice(&lines[..end]))));
    }
    let place = Arc::clone(&shared.logs)
        .try_acquire_owned()
        .map_err(|_| ApiError::TooMany("too many logs are being read at the same time"))?;
    let runtime = &shared.api.runtime;
    let asked = runtime.inspect(game.id).await.map_err(|error| ApiError::of_runtime(GAMES, &name, error))?;
    let Some(container) = asked.filter(|container| container.owner == Owner::Game(game.id)) else {
        let phase = game.record.map_or("not looked at yet".into(), |record| format!("{:?}", record.phase));
        return Err(nothing(format!(
            "{} \"{name}\" has no container, so there is no log; its phase is {phase}",
            GAMES.qualified()
        )));
    };
    let chunks = runtime
        .log_stream(&container.id, &options)
        .await
        .map_err(|error| ApiError::of_runtime(GAMES, &name, error))?;
    let chunks = chunks.take_until(shared.shutdown.clone().cancelled_owned()).map(move |chunk| {
        // The place is held for as long as the log is read.
        let _held = &place;
        chunk.inspect_err(|error| {
            tracing::debug!(error = error as &dyn std::error::Error, "a log broke off");
        })
    });
    Ok(text(Body::from_stream(at_most(chunks, limit))))
}

/// The beginning of a log: it ends where it has this many bytes.
fn at_most<E>(
    chunks: impl Stream<Item = Result<Bytes, E>>,
    limit: u64,
) -> impl Stream<Item = Result<Bytes, E>> {
    futures::stream::unfold((Box::pin(chunks), limit), |(mut chunks, left)| async move {
        if left == 0 {
            return None;
        }
        let mut chunk = chunks.next().await?;
        let mut read = 0;
        if let Ok(chunk) = &mut chunk {
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            read = chunk.len() as u64;
        }
        Some((chunk, (chunks, left - read)))
    })
}

/// The last lines of a text.
fn last(text: &str, lines: Option<usize>) -> &str {
    let Some(lines) = lines else { return text };
    let all = text.split_inclusive('\n').count();
    let cut: usize = text.split_inclusive('\n').take(all.saturating_sub(lines)).map(str::len).sum();
    &text[cut..]
}

fn text(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

impl LogParameters {
    /// How many bytes are wanted at most; or what there is no log of.
    fn bounds(&self, name: &str) -> Result<u64, ApiError> {
        let container = self.container.as_deref().filter(|container| !container.is_empty());
        if let Some(other) = container.filter(|container| *container != CONTAINER) {
            return Err(ApiError::BadRequest(format!(
                "container {} is not valid for pod {name}; its one container is called {CONTAINER}",
                other.chars().take(128).collect::<String>().escape_debug()
            )));
        }
        if self.stream.as_deref().is_some_and(|stream| !stream.is_empty() && stream != "All") {
            return Err(ApiError::BadRequest(
                "what an engine writes to its two streams is one log; leave `stream` out".into(),
            ));
        }
        let limit = number("limitBytes", self.limit_bytes.as_deref())?;
        match limit {
            Some(0) => Err(ApiError::BadRequest("limitBytes has to be greater than 0".into())),
            limit => Ok(limit.unwrap_or(u64::MAX)),
        }
    }

    fn options(&self, now: Timestamp) -> Result<LogOptions, ApiError> {
        let since_time = self.since_time.as_deref().filter(|text| !text.is_empty()).map(|text| {
            let time: Result<Timestamp, _> = text.parse();
            time.map(|time| u64::try_from(now.as_second() - time.as_second()).unwrap_or(0))
                .map_err(|_| ApiError::BadRequest("sinceTime has to be a time in RFC 3339".into()))
        });
        let tail = number("tailLines", self.tail_lines.as_deref())?;
        Ok(LogOptions {
            follow: flag(self.follow.as_deref()),
            tail: tail.map(|lines| usize::try_from(lines).unwrap_or(usize::MAX)),
            timestamps: flag(self.timestamps.as_deref()),
            since_seconds: match number("sinceSeconds", self.since_seconds.as_deref())? {
                Some(seconds) => Some(seconds),
                None => since_time.transpose()?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_kubernetes_own() {
        let now: Timestamp = "2026-11-01T00:01:00Z".parse().unwrap();
        let parameters = LogParameters {
            follow: Some("true".into()),
            tail_lines: Some("5".into()),
            since_time: Some("2026-11-01T00:00:00Z".into()),
            ..LogParameters::default()
        };
        let expected = LogOptions { follow: true, tail: Some(5), timestamps: false, since_seconds: Some(60) };
        assert_eq!(parameters.options(now).unwrap(), expected);
        let wrong = LogParameters { tail_lines: Some("-1".into()), ..LogParameters::default() };
        assert!(wrong.options(now).is_err());
    }

    #[test]
    fn only_the_engine_has_a_log_and_it_can_be_bounded() {
        let bounds = |container: &str, limit: &str| {
            let parameters = LogParameters {
                container: Some(container.into()),
                limit_bytes: Some(limit.into()),
                ..LogParameters::default()
            };
            parameters.bounds("andromeda").map_err(|error| error.to_string())
        };
        assert_eq!((bounds("", ""), bounds("engine", "17")), (Ok(u64::MAX), Ok(17)));
        assert!(bounds("sidecar", "").unwrap_err().contains("called engine"));
        assert!(bounds("", "0").is_err());
        assert_eq!((last("a\nb\nc", Some(2)), last("a\n", Some(0)), last("a\n", None)), ("b\nc", "", "a\n"));
    }

    #[tokio::test]
    async fn a_log_ends_where_it_has_as_many_bytes_as_are_wanted() {
        let chunks =
            || futures::stream::iter(["abc", "def", "ghi"].map(|text| Ok::<_, ()>(Bytes::from(text))));
        let read = async |limit| {
            let read: Vec<Bytes> = at_most(chunks(), limit).map(Result::unwrap).collect().await;
            read.concat()
        };
        assert_eq!((read(4).await, read(3).await), (b"abcd".to_vec(), b"abc".to_vec()));
        assert_eq!(read(u64::MAX).await, b"abcdefghi");
    }
}
