//! Player mappings: one is looked up by a proxy in front of the engines, all are listed for people.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;

use super::Shared;
use super::error::ApiError;
use super::past;
use super::request::{Names, Parameters};
use super::select::ListParameters;
use super::wire::{List, PLAYER_MAPPINGS, PlayerMappingObject};
use crate::game::UserId;
use crate::store::{Mark, SeatRefusal};

const FIELDS: [&str; 3] = ["spec.game", "spec.gameId", "metadata.namespace"];

/// How many are told where no limit is given, and at most.
const USUAL: u64 = 500;
const MOST: u64 = 5_000;

/// `GET …/playermappings` of all namespaces.
pub(super) async fn list_all(
    State(shared): State<Shared>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<List<PlayerMappingObject>>, ApiError> {
    list_some(&shared, None, &parameters).await
}

/// `GET …/namespaces/{ns}/playermappings`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Names(namespace): Names<String>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<List<PlayerMappingObject>>, ApiError> {
    list_some(&shared, Some(namespace), &parameters).await
}

/// `GET …/namespaces/{ns}/playermappings/{game}.{user}`, the game by its name or its id.
pub(super) async fn get(
    State(shared): State<Shared>,
    Names((namespace, name)): Names<(String, String)>,
) -> Result<Json<PlayerMappingObject>, ApiError> {
    look_up(&shared, Some(&namespace), &name).await
}

/// `GET …/playermappings/{game}.{user}`, the game by its id, whatever its namespace.
pub(super) async fn get_by_id(
    State(shared): State<Shared>,
    Names(name): Names<String>,
) -> Result<Json<PlayerMappingObject>, ApiError> {
    look_up(&shared, None, &name).await
}

async fn list_some(
    shared: &Shared,
    namespace: Option<String>,
    parameters: &ListParameters,
) -> Result<Json<List<PlayerMappingObject>>, ApiError> {
    let of = parameters.selection(&FIELDS)?.games(namespace)?;
    let (limit, behind) = (parameters.limit(USUAL, MOST)?, past::behind(parameters)?);
    let found = shared.api.store.find_players(&of, behind.as_ref(), limit + 1).await?;
    past::page::<_, PlayerMappingObject>(
        shared.hub.version(),
        PLAYER_MAPPINGS,
        parameters,
        limit,
        found,
        |player| Mark { other: player.user.0, ..Mark::new(Timestamp::UNIX_EPOCH, player.game.0) },
    )
}

async fn look_up(
    shared: &Shared,
    namespace: Option<&str>,
    name: &str,
) -> Result<Json<PlayerMappingObject>, ApiError> {
    let shown: String = name.chars().take(128).collect();
    let (game, user) = name.rsplit_once('.').ok_or_else(|| {
        ApiError::BadRequest(
            "a player mapping is named GAME.USER, by a game's name or id and a user's id".into(),
        )
    })?;
    let user: UserId =
        user.parse().map_err(|error| ApiError::BadRequest(format!("the user of a mapping: {error}")))?;
    let nothing =
        |message: String| ApiError::Nothing { resource: PLAYER_MAPPINGS, name: shown.clone(), message };
    let game_shown: String = game.chars().take(64).flat_map(char::escape_debug).collect();
    match shared.api.store.seat(namespace, game, user).await {
        Ok(seat) => Ok(Json(seat.into())),
        Err(SeatRefusal::NoGame) => Err(nothing(match namespace {
            Some(namespace) => format!("there is no game \"{game_shown}\" in namespace {namespace}"),
            None => format!("there is no game of the id \"{game_shown}\""),
        })),
        Err(SeatRefusal::NoPlayer) => {
            Err(nothing(format!("nobody plays in game \"{game_shown}\" as user {user}")))
        }
        Err(SeatRefusal::Removed) => {
            Err(ApiError::Forbidden(format!("user {user} was removed from game \"{game_shown}\"")))
        }
        Err(SeatRefusal::Store(error)) => Err(error.into()),
    }
}
