//! The outbox: what the lobby is told, and what operators want told again, or not at all.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::Shared;
use super::body::RawBody;
use super::error::ApiError;
use super::past;
use super::request::{Names, Parameters, Write, number};
use super::select::ListParameters;
use super::wire::{List, OUTBOX, OutboxEventObject, Status};
use crate::store::outbox::{OutboxChange, OutboxFilter, OutboxRefusal, OutboxState};
use crate::store::{GameFilter, Mark};

const FIELDS: [&str; 4] = ["spec.game", "spec.gameId", "status.phase", "metadata.namespace"];

/// How many are told where no limit is given, and at most.
const USUAL: u64 = 100;
const MOST: u64 = 1_000;

/// From where a list goes on.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct From {
    /// The last number that the client knows.
    after_seq: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Retry {
    game: String,
    #[serde(default)]
    seq: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Skip {
    game: String,
    seq: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Replay {
    game: String,
    from_seq: i64,
}

/// `GET …/outbox` of all namespaces.
pub(super) async fn list_all(
    State(shared): State<Shared>,
    Parameters(parameters): Parameters<ListParameters>,
    Parameters(from): Parameters<From>,
) -> Result<Json<List<OutboxEventObject>>, ApiError> {
    list_some(&shared, None, &parameters, &from).await
}

/// `GET …/namespaces/{ns}/outbox`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    Parameters(parameters): Parameters<ListParameters>,
    Parameters(from): Parameters<From>,
) -> Result<Json<List<OutboxEventObject>>, ApiError> {
    list_some(&shared, Some(namespace), &parameters, &from).await
}

async fn list_some(
    shared: &Shared,
    namespace: Option<String>,
    parameters: &ListParameters,
    from: &From,
) -> Result<Json<List<OutboxEventObject>>, ApiError> {
    let selection = parameters.selection(&FIELDS)?;
    let limit = parameters.limit(USUAL, MOST)?;
    let GameFilter { namespace, name, game } = selection.games(namespace)?;
    let state = selection.required("status.phase")?.map(|word| {
        OutboxState::from_word(word).ok_or_else(|| {
            let known = OutboxState::ALL.map(OutboxState::word).join(", ");
            ApiError::BadRequest(format!("status.phase is one of {known}"))
        })
    });
    let after = number("afterSeq", from.after_seq.as_deref())?;
    let filter = OutboxFilter {
        namespace,
        name,
        game,
        state: state.transpose()?,
        after: after.map(|after| i64::try_from(after).unwrap_or(i64::MAX)),
        behind: past::behind(parameters)?,
    };
    if filter.after.is_some() && filter.game.is_none() {
        return Err(ApiError::BadRequest(
            "each game counts for itself; afterSeq goes with fieldSelector=spec.gameId=ID".into(),
        ));
    }
    let found = shared.api.store.find_outbox(&filter, limit + 1).await?;
    past::page::<_, OutboxEventObject>(shared.hub.version(), OUTBOX, parameters, limit, found, |event| Mark {
        number: event.seq,
        ..Mark::new(event.occurred_at, event.game.0)
    })
}

/// `POST …/namespaces/{ns}/outbox/retry`: tried again at once, what was set aside too.
pub(super) async fn retry(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    write: Write,
    body: RawBody,
) -> Result<Json<Status>, ApiError> {
    let Retry { game, seq } = body.read()?;
    change(&shared, &namespace, &game, OutboxChange::Retry(seq), &write).await
}

/// `POST …/namespaces/{ns}/outbox/skip`: set aside, so that the rest of its game goes on.
pub(super) async fn skip(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    write: Write,
    body: RawBody,
) -> Result<Json<Status>, ApiError> {
    let Skip { game, seq } = body.read()?;
    change(&shared, &namespace, &game, OutboxChange::Skip(seq), &write).await
}

/// `POST …/namespaces/{ns}/outbox/replay`: told again from there, under the same ids.
pub(super) async fn replay(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    write: Write,
    body: RawBody,
) -> Result<Json<Status>, ApiError> {
    let Replay { game, from_seq } = body.read()?;
    change(&shared, &namespace, &game, OutboxChange::Replay(from_seq), &write).await
}

async fn change(
    shared: &Shared,
    namespace: &str,
    game: &str,
    change: OutboxChange,
    write: &Write,
) -> Result<Json<Status>, ApiError> {
    let store = &shared.api.store;
    let shown: String = game.chars().take(128).collect();
    let id = store.outbox_game(namespace, game).await?.ok_or_else(|| ApiError::Nothing {
        resource: OUTBOX,
        name: shown.clone(),
        message: format!(
            "no game \"{}\" in namespace {namespace} is or was known, or several were; name it by its id",
            shown.escape_debug()
        ),
    })?;
    let who = &write.author.requested_by;
    let changed = store.change_outbox(id, change, who, write.dry_run).await.map_err(|error| match error {
        OutboxRefusal::NotThere(_) => {
            ApiError::Nothing { resource: OUTBOX, name: shown.clone(), message: error.to_string() }
        }
        OutboxRefusal::Arrived(_) => {
            ApiError::Conflict { resource: OUTBOX, name: shown.clone(), why: error.to_string() }
        }
        OutboxRefusal::Store(error) => error.into(),
    })?;
    if !write.dry_run {
        tracing::warn!(game = %id, %who, ?change, changed, "an operator changes what the lobby is told");
    }
    let events = if changed == 1 { "1 event is".to_owned() } else { format!("{changed} events are") };
    let message = match change {
        OutboxChange::Retry(_) => format!("{events} tried again now"),
        OutboxChange::Skip(_) => format!("{events} set aside"),
        OutboxChange::Replay(_) => format!("{events} told again"),
    };
    Ok(Json(Status::success(OUTBOX, &shown, message)))
}
