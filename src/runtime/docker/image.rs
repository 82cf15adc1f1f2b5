//! Images: whether one is here, and getting it.

use std::collections::HashMap;

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt;

use super::DockerRuntime;
use super::error::{classify, if_there, within};
use super::settings::PullPolicy;
use super::text::one_line;
use crate::game::{ImageId, ImageRef};
use crate::runtime::{ImageSelector, PullFailure, PullProgress, RuntimeError};

impl DockerRuntime {
    pub(super) async fn image_id(&self, image: &ImageSelector) -> Result<Option<ImageId>, RuntimeError> {
        let name = match image {
            ImageSelector::Reference(reference) => reference.as_str(),
            ImageSelector::Pinned(id) => id.as_str(),
        };
        check(name)?;
        let asked =
            within("image inspect", self.settings.deadlines.look, self.docker.inspect_image(name)).await;
        Ok(if_there(asked)?.and_then(|image| image.id).map(ImageId::new))
    }

    pub(super) async fn get_image(
        &self,
        image: &ImageRef,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<ImageId, RuntimeError> {
        let selector = ImageSelector::Reference(image.clone());
        if self.settings.pull_policy != PullPolicy::Always {
            if let Some(id) = self.image_id(&selector).await? {
                return Ok(id);
            }
            if self.settings.pull_policy == PullPolicy::Never {
                return Err(RuntimeError::Pull {
                    kind: PullFailure::Forbidden,
                    message: format!("image {image} is not here, and the pull policy is `never`"),
                });
            }
        }
        self.pull_image(image, progress).await?;
        self.image_id(&selector)
            .await?
            .ok_or_else(|| RuntimeError::NotFound(format!("image {image}, just pulled,")))
    }

    async fn pull_image(
        &self,
        image: &ImageRef,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        check(image.as_str())?;
        let (name, tag) = name_and_tag(image.as_str());
        let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).build();
        let credentials = super::credentials::for_image(name, &self.environment);
        let mut messages = Box::pin(self.docker.create_image(Some(options), None, credentials));
        let silence = self.settings.deadlines.pull_silence;
        let mut layers = Layers::default();
        loop {
            match tokio::time::timeout(silence, messages.next()).await {
                Err(_) => return Err(RuntimeError::TimedOut { call: "pull", after: silence }),
                Ok(None) => return Ok(()),
                Ok(Some(Err(error))) => return Err(pull_error(classify("pull", silence, error))),
                Ok(Some(Ok(message))) => {
                    if let Some(now) = layers.note(message) {
                        progress(now);
                    }
                }
            }
        }
    }
}

/// Refuses what is no image reference before it becomes part of a request's path.
pub(super) fn check(reference: &str) -> Result<(), RuntimeError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    let segments_are_names = reference.split('/').all(|segment| !segment.trim_matches('.').is_empty());
    if reference.len() <= 512 && segments_are_names && reference.bytes().all(allowed) {
        Ok(())
    } else {
        Err(RuntimeError::Refused(format!("`{}` is not an image reference", one_line(reference))))
    }
}

/// `name` and `tag` or `digest`; without either, Docker would pull every tag there is.
fn name_and_tag(reference: &str) -> (&str, &str) {
    if let Some((name, digest)) = reference.split_once('@') {
        return (name, digest);
    }
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, "latest"),
    }
}

/// How far each layer is.
#[derive(Default)]
struct Layers(HashMap<String, (u64, u64)>);

impl Layers {
    fn note(&mut self, message: CreateImageInfo) -> Option<PullProgress> {
        let (id, status) = (message.id?, message.status?);
        let layer = self.0.entry(id).or_default();
        match status.as_str() {
            "Downloading" => {
                let detail = message.progress_detail?;
                *layer = (natural(detail.current), natural(detail.total));
            }
            "Download complete" | "Pull complete" => layer.0 = layer.1,
            _ => return None,
        }
        let (current, total) = self.0.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        Some(PullProgress { current, total })
    }
}

fn natural(value: Option<i64>) -> u64 {
    u64::try_from(value.unwrap_or(0)).unwrap_or(0)
}

/// A refusal of the registry's is not one of Docker's.
fn pull_error(error: RuntimeError) -> RuntimeError {
    let message = match error {
        RuntimeError::NotFound(message)
        | RuntimeError::Conflict(message)
        | RuntimeError::Refused(message)
        | RuntimeError::Failed(message) => message,
        other => return other,
    };
    match pull_failure(&message) {
        Some(kind) => RuntimeError::Pull { kind, message },
        None => RuntimeError::Failed(message),
    }
}

/// What the words of a failed pull mean; none if it failed on this host. The order matters: the
/// first words that occur decide.
fn pull_failure(message: &str) -> Option<PullFailure> {
    const WORDS: [(&str, Option<PullFailure>); 19] = [
        ("no space left", None),
        ("toomanyrequests", Some(PullFailure::RateLimited)),
        ("too many requests", Some(PullFailure::RateLimited)),
        ("rate limit", Some(PullFailure::RateLimited)),
        ("dial tcp", Some(PullFailure::Unreachable)),
        ("no such host", Some(PullFailure::Unreachable)),
        ("repository does not exist", Some(PullFailure::NotFound)),
        ("manifest unknown", Some(PullFailure::NotFound)),
        ("name unknown", Some(PullFailure::NotFound)),
        ("no such image", Some(PullFailure::NotFound)),
        ("unauthorized", Some(PullFailure::Unauthorized)),
        ("authentication required", Some(PullFailure::Unauthorized)),
        ("no basic auth", Some(PullFailure::Unauthorized)),
        ("denied", Some(PullFailure::Unauthorized)),
        ("401", Some(PullFailure::Unauthorized)),
        ("403", Some(PullFailure::Unauthorized)),
        ("manifest for", Some(PullFailure::NotFound)),
        ("not found", Some(PullFailure::NotFound)),
        ("404", Some(PullFailure::NotFound)),
    ];
    let message = message.to_ascii_lowercase();
    let decided = WORDS.iter().find(|(words, _)| message.contains(words));
    decided.map_or(Some(PullFailure::Unreachable), |(_, kind)| *kind)
}

#[cfg(test)]
mod tests;
