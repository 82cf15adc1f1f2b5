//! The ledger of turns and the fates of slots: history, which outlives its games.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use uuid::Uuid;

use super::Shared;
use super::error::ApiError;
use super::hub::{self, Asked, Kind};
use super::past;
use super::request::{Names, Parameters};
use super::select::ListParameters;
use super::wire::{List, Resource, TURN_SLOTS, TURNS, TurnObject, TurnSlotObject};
use crate::game::GameId;
use crate::store::{GameFilter, Mark, SlotFilter, TurnFilter};

const TURN_FIELDS: [&str; 7] = [
    "metadata.name",
    "spec.game",
    "spec.gameId",
    "spec.timeline",
    "spec.number",
    "status.phase",
    "metadata.namespace",
];
const SLOT_FIELDS: [&str; 5] =
    ["spec.game", "spec.gameId", "spec.timeline", "status.decision", "metadata.namespace"];

/// The database's words.
const STATES: [&str; 6] = ["pending", "dispatched", "done", "failed", "abandoned", "rolled_back"];
const DECISIONS: [&str; 5] = ["fired", "coalesced", "skipped", "deferred", "consumed"];

/// How many are told where no limit is given, and at most: the latest, newest first.
const USUAL: u64 = 50;
const MOST: u64 = 1_000;

/// `GET …/turns` of all namespaces.
pub(super) async fn list_all(State(shared): State<Shared>, asked: Asked) -> Result<Response, ApiError> {
    list_some(&shared, None, asked).await
}

/// `GET …/namespaces/{ns}/turns`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    asked: Asked,
) -> Result<Response, ApiError> {
    list_some(&shared, Some(namespace), asked).await
}

/// `GET …/namespaces/{ns}/turns/{name}`.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
) -> Result<Json<TurnObject>, ApiError> {
    let (game, timeline, number) = numbered(TURNS, &name)?;
    let of = GameFilter { namespace: Some(namespace), name: None, game: Some(game) };
    let filter = TurnFilter { of, timeline: Some(timeline), number: Some(number), ..TurnFilter::default() };
    let found = shared.api.store.find_turns(&filter, 1).await?.pop();
    found.map(|turn| Json(turn.into())).ok_or(ApiError::NotFound { resource: TURNS, name })
}

/// `GET …/turnslots` of all namespaces.
pub(super) async fn list_all_slots(
    State(shared): State<Shared>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<List<TurnSlotObject>>, ApiError> {
    list_some_slots(&shared, None, &parameters).await
}

/// `GET …/namespaces/{ns}/turnslots`.
pub(super) async fn list_slots(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<List<TurnSlotObject>>, ApiError> {
    list_some_slots(&shared, Some(namespace), &parameters).await
}

/// `GET …/namespaces/{ns}/turnslots/{name}`.
pub(super) async fn get_slot(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
) -> Result<Json<TurnSlotObject>, ApiError> {
    let (game, timeline, second) = numbered(TURN_SLOTS, &name)?;
    let not_found = || ApiError::NotFound { resource: TURN_SLOTS, name: name.clone() };
    let slot = Timestamp::from_second(second).map_err(|_| not_found())?;
    let of = GameFilter { namespace: Some(namespace), name: None, game: Some(game) };
    let filter = SlotFilter { of, timeline: Some(timeline), slot: Some(slot), ..SlotFilter::default() };
    let found = shared.api.store.find_slots(&filter, 1).await?.pop();
    found.map(|slot| Json(slot.into())).ok_or_else(not_found)
}

async fn list_some(shared: &Shared, namespace: Option<String>, asked: Asked) -> Result<Response, ApiError> {
    if asked.parameters.watches() {
        return hub::list(shared, Kind::Turn, namespace, &TURN_FIELDS, asked).await;
    }
    let parameters = &asked.parameters;
    let selection = parameters.selection(&TURN_FIELDS)?;
    let mut filter = TurnFilter {
        of: selection.games(namespace)?,
        timeline: selection.whole("spec.timeline")?,
        number: selection.whole("spec.number")?,
        state: selection.word("status.phase", &STATES)?,
        behind: past::behind(parameters)?,
    };
    if let Some(name) = selection.required("metadata.name")? {
        // What is no name of a turn is the name of none.
        let (game, timeline, number) = numbered(TURNS, name).unwrap_or((GameId(Uuid::nil()), 0, 0));
        filter.of.game = Some(game);
        (filter.timeline, filter.number) = (Some(timeline), Some(number));
    }
    let limit = parameters.limit(USUAL, MOST)?;
    // A watch that goes on from here tells everything that is not in the list.
    let version = shared.hub.caught_up(Kind::Turn).await?;
    let found = shared.api.store.find_turns(&filter, limit + 1).await?;
    let page = past::page::<_, TurnObject>(version, TURNS, parameters, limit, found, |turn| Mark {
        timeline: turn.timeline,
        number: turn.number,
        ..Mark::new(turn.opened_at, turn.game.0)
    })?;
    Ok(page.into_response())
}

async fn list_some_slots(
    shared: &Shared,
    namespace: Option<String>,
    parameters: &ListParameters,
) -> Result<Json<List<TurnSlotObject>>, ApiError> {
    let selection = parameters.selection(&SLOT_FIELDS)?;
    let filter = SlotFilter {
        of: selection.games(namespace)?,
        timeline: selection.whole("spec.timeline")?,
        slot: None,
        decision: selection.word("status.decision", &DECISIONS)?,
        behind: past::behind(parameters)?,
    };
    let limit = parameters.limit(USUAL, MOST)?;
    let found = shared.api.store.find_slots(&filter, limit + 1).await?;
    past::page::<_, TurnSlotObject>(shared.hub.version(), TURN_SLOTS, parameters, limit, found, |slot| Mark {
        timeline: slot.timeline,
        number: slot.slot.as_microsecond(),
        ..Mark::new(slot.decided_at, slot.game.0)
    })
}

/// Reads `GAME-ID.TIMELINE.NUMBER`; whatever else somebody asks for is not there.
fn numbered(resource: Resource, name: &str) -> Result<(GameId, i64, i64), ApiError> {
    let mut parts = name.split('.');
    let mut read = || {
        let (game, timeline, number) = (parts.next()?, parts.next()?, parts.next()?);
        let numbered = (game.parse().ok()?, timeline.parse().ok()?, number.parse().ok()?);
        parts.next().is_none().then_some(numbered)
    };
    read().ok_or_else(|| ApiError::NotFound { resource, name: name.chars().take(128).collect() })
}
