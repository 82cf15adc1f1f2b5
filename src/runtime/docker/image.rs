//! Images: whether one is here, and getting it.

use std::collections::HashMap;

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt;

use super::error::{if_there, pull_error, within};
use super::settings::PullPolicy;
use super::text::one_line;
use super::{DockerRuntime, credentials};
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

    pub(super) async fn user_of_image(&self, image: &ImageId) -> Result<Option<String>, RuntimeError> {
        check(image.as_str())?;
        let asked =
            within("image inspect", self.settings.deadlines.look, self.docker.inspect_image(image.as_str()));
        let user = |image: bollard::models::ImageInspect| {
            image.config.and_then(|config| config.user).unwrap_or_default()
        };
        Ok(if_there(asked.await)?.map(user))
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
        let credentials =
            credentials::for_image(name, self.settings.registry_auth_file.as_deref(), &self.environment)
                .await
                .map_err(|message| RuntimeError::Pull { kind: PullFailure::Unauthorized, message })?;
        let mut messages = Box::pin(self.docker.create_image(Some(options), None, credentials));
        let silence = self.settings.deadlines.pull_silence;
        let mut layers = Layers::default();
        loop {
            match tokio::time::timeout(silence, messages.next()).await {
                Err(_) => {
                    let message = format!("nothing came of it for {} s", silence.as_secs());
                    return Err(RuntimeError::Pull { kind: PullFailure::Stalled, message });
                }
                Ok(None) => return Ok(()),
                Ok(Some(Err(error))) => return Err(pull_error(error, silence, image)),
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
pub(super) fn name_and_tag(reference: &str) -> (&str, &str) {
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

#[cfg(test)]
mod tests;
