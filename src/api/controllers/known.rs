//! Knowledge of the process that leads alone, and once it has looked: asked of another one, nobody is told
//! that there is nothing.

use super::status;
use crate::api::Shared;
use crate::api::error::ApiError;
use crate::game::controller::ControllerStatus;
use crate::store::Lead;

/// This part of the controller's status, if it is known here.
///
/// # Errors
/// This process does not lead, or has not looked yet; who leads is told.
pub(super) async fn known<T>(
    shared: &Shared,
    what: &str,
    part: impl FnOnce(ControllerStatus) -> Option<T>,
) -> Result<T, ApiError> {
    let status = status(shared);
    let stands_by = status.stands_by;
    if let Some(known) = part(status) {
        return Ok(known);
    }
    let why = if stands_by {
        match shared.api.store.lead().await? {
            Some(Lead { holder, epoch, holds: true, .. }) => {
                format!("it does not lead; ask {holder}, which does (epoch {})", epoch.0)
            }
            Some(_) | None => "it does not lead, and nobody does now; try again in a second".to_owned(),
        }
    } else {
        "it has not looked at everything yet; try again in a second".to_owned()
    };
    Err(ApiError::Unavailable(format!("this gamekeeper does not know {what}: {why}")))
}
