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
pub(super) struct Pulls {
    pulls: HashMap<ImageRef, Pull>,
    begun: u64,
}

#[derive(Debug)]
struct Pull {
    /// The end of one with another number is of an earlier pull of the same image, and says nothing about it.
    number: u64,
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
        start: impl FnOnce(u64, Arc<Mutex<PullProgress>>) -> AbortHandle,
    ) {
        let begun = &mut self.begun;
        let pull = self.pulls.entry(image.clone()).or_insert_with(|| {
            *begun += 1;
            let progress = Arc::new(Mutex::new(PullProgress::default()));
            let task = start(*begun, progress.clone());
            Pull { number: *begun, wanted_by: HashSet::new(), task, progress }
        });
        pull.wanted_by.insert(game);
    }

    /// This game wants nothing but `still`, if anything.
    pub(super) fn let_go(&mut self, game: GameId, still: Option<&ImageRef>) {
        self.pulls.retain(|image, pull| {
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
        let (image, pull) = self.pulls.iter().find(|(_, pull)| pull.wanted_by.contains(&game))?;
        let progress = pull.progress.lock().map(|progress| progress.clone()).unwrap_or_default();
        Some(Pulling { image: image.clone(), progress: words(&progress) })
    }

    /// A pull came to its end: what each game that waited on it learns. One that was cancelled may end all the
    /// same, and after another has begun.
    pub(super) fn ended(
        &mut self,
        image: &ImageRef,
        number: u64,
        result: Option<Result<(), RuntimeError>>,
    ) -> Vec<(GameId, News)> {
        if self.pulls.get(image).is_none_or(|pull| pull.number != number) {
            return Vec::new();
        }
        let Some(pull) = self.pulls.remove(image) else { return Vec::new() };
        let news = match result {
            // Nobody began: the next round says whether it is still wanted.
            None => News::ContainerStale,
            Some(Ok(())) => News::Fetched(image.clone()),
            Some(Err(error)) => counted(&Step::PullImage(image.clone()), &error),
        };
        pull.wanted_by.into_iter().map(|game| (game, news.clone())).collect()
    }

    pub(super) fn abort_all(&mut self) {
        for (_, pull) in self.pulls.drain() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_pull_that_was_cancelled_is_not_that_of_the_next_one() {
        let game = GameId(uuid::Uuid::from_u128(1));
        let image = ImageRef::new("engine:1.4.2");
        let mut pulls = Pulls::default();
        let mut numbers = Vec::new();
        for _ in 0..2 {
            pulls.want(game, &image, |number, _| {
                numbers.push(number);
                tokio::spawn(std::future::pending::<()>()).abort_handle()
            });
            if numbers.len() == 1 {
                pulls.let_go(game, None);
            }
        }
        let [first, second] = numbers[..] else { panic!("two pulls: {numbers:?}") };
        assert!(pulls.ended(&image, first, Some(Ok(()))).is_empty());
        assert!(pulls.of(game).is_some(), "the second goes on");
        assert_eq!(pulls.ended(&image, second, Some(Ok(()))).len(), 1);
        assert!(pulls.of(game).is_none());
    }
}
