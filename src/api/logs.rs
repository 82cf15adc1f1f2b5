//! The engines' logs, streamed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use jiff::Timestamp;
use serde::Deserialize;

use super::Shared;
use super::error::ApiError;
use super::games::present;
use super::request::{Names, Parameters, flag, number};
use super::wire::{GAMES, PODS};
use crate::runtime::{LogOptions, Owner};

/// How many logs may be read at the same time.
pub(super) const AT_ONCE: usize = 64;

/// Kubernetes' parameters of a log; a game has one container, so `container` says nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogParameters {
    follow: Option<String>,
    previous: Option<String>,
    timestamps: Option<String>,
    tail_lines: Option<String>,
    since_seconds: Option<String>,
    since_time: Option<String>,
}

/// `GET /api/v1/namespaces/{ns}/pods/{game}/log`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
    Parameters(parameters): Parameters<LogParameters>,
) -> Result<Response, ApiError> {
    let options = parameters.options(Timestamp::now())?;
    let game = present(&shared, &namespace, &name).await?;
    let nothing = |message: String| ApiError::Nothing { resource: PODS, name: name.clone(), message };
    if flag(parameters.previous.as_deref()) {
        let kept = game.record.and_then(|record| record.last_log_lines);
        let lines =
            kept.ok_or_else(|| nothing(format!("no earlier life of the engine of \"{name}\" is on record")))?;
        return Ok(text(Body::from(lines)));
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
    Ok(text(Body::from_stream(chunks)))
}

fn text(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

impl LogParameters {
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
}
