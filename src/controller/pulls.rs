//! One pull per image however many games want it; cancelled when nobody wants it any more.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use tokio::task::AbortHandle;

use crate::game::{GameId, ImageRef};
use crate::reconcile::{Pulling, Step};
use crate::runtime::{PullProgress, RuntimeError};

use super::facts::News;
use super::work::counted;

#[derive(Debug, Default)]
pub(super) struct Pulls(HashMap<ImageRef, Pull>);

#[derive(Debug)]
struct Pull {
    wanted_by: HashSet<GameId>,
    progress: Arc<Mutex<PullProgress>>,
    task: AbortHandle,
}

impl Pulls {
    /// This game wants the image. `start` begins to fetch it, if nobody has yet.
    pub(super) fn want(
        &mut self,
        game: GameId,
        image: &ImageRef,
        start: impl FnOnce(Arc<Mutex<PullProgress>>) -> AbortHandle,
    ) {
        let pull = self.0.entry(image.clone()).or_insert_with(|| {
            let progress = Arc::new(Mutex::new(PullProgress::default()));
            Pull { wanted_by: HashSet::new(), task: start(progress.clone()), progress }
        });
        pull.wanted_by.insert(game);
    }

    /// This game wants nothing but `still`, if anything.
    pub(super) fn let_go(&mut self, game: GameId, still: Option<&ImageRef>) {
        self.0.retain(|image, pull| {
            if Some(image) != still && pull.wanted_by.remove(&game) && pull.wanted_by.is_empty() {
                tracing::info!(image = %image, "nobody wants this image any more; its pull is cancelled");
                pull.task.abort();
                return false;
            }
            true
        });
    }

    /// The pull that this game waits on.
    pub(super) fn of(&self, game: GameId) -> Option<Pulling> {
        let (image, pull) = self.0.iter().find(|(_, pull)| pull.wanted_by.contains(&game))?;
        let progress = pull.progress.lock().map(|progress| progress.clone()).unwrap_or_default();
        Some(Pulling { image: image.clone(), progress: words(&progress) })
    }

    /// A pull came to its end: what each game that waited on it learns.
    pub(super) fn ended(
        &mut self,
        image: &ImageRef,
        result: Option<Result<(), RuntimeError>>,
    ) -> Vec<(GameId, News)> {
        let Some(pull) = self.0.remove(image) else { return Vec::new() };
        let news = match result {
            // Nobody began: the next round says whether it is still wanted.
            None => News::ContainerStale,
            Some(Ok(())) => News::Fetched(image.clone()),
            Some(Err(error)) => counted(&Step::PullImage(image.clone()), &error),
        };
        pull.wanted_by.into_iter().map(|game| (game, news.clone())).collect()
    }

    pub(super) fn abort_all(&mut self) {
        for (_, pull) in self.0.drain() {
            pull.task.abort();
        }
    }
}

fn words(progress: &PullProgress) -> String {
    const MIB: u64 = 1 << 20;
    match progress.total {
        0 => "waiting for the registry".to_owned(),
        total => format!("{} of {} MiB", progress.current / MIB, total.div_ceil(MIB)),
    }
}
