//! What a list or a watch is asked with.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::api::auth::Caller;
use crate::api::auth::caller::CallerKey;
use crate::api::error::ApiError;
use crate::api::request::Parameters;
use crate::api::select::ListParameters;

/// A question for objects: which ones, and who asks.
pub(in crate::api) struct Asked {
    pub(in crate::api) parameters: ListParameters,
    pub(super) who: CallerKey,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Parameters(parameters) = Parameters::<ListParameters>::from_request_parts(parts, state).await?;
        let caller = parts.extensions.get::<Caller>().ok_or(ApiError::Unauthorized)?;
        Ok(Self { parameters, who: caller.key() })
    }
}
