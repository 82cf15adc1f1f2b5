//! What makes the controller look: merged streams, each of which only says where.
//!
//! Any of them may be lost, doubled or reordered; the periodic relist makes up for it, and looks at
//! desired state as well as at Docker.

use std::time::Duration;

use futures::Stream;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{IntervalStream, ReceiverStream};

use crate::runtime::{Runtime, RuntimeEvent};
use crate::store::Store;

use super::ask::Question;
use super::work::Finished;

/// A reason to look.
#[derive(Debug)]
pub(super) enum Trigger {
    /// Desired state may have changed.
    Desired,
    /// Something happened at the runtime.
    Runtime(RuntimeEvent),
    /// It is time to compare everything.
    Relist,
    /// A round or work in the background came to its end.
    Finished(Box<Finished>),
    /// Somebody wants to know what would be done.
    Asked(Question),
}

/// Merges everything that can be a reason to look.
pub(super) fn triggers(
    store: &Store,
    runtime: &dyn Runtime,
    relist_every: Duration,
    finished: mpsc::Receiver<Finished>,
    questions: mpsc::Receiver<Question>,
) -> BoxStream<'static, Trigger> {
    let mut relists = tokio::time::interval(relist_every);
    relists.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let merged = ReceiverStream::new(finished)
        .map(|finished| Trigger::Finished(Box::new(finished)))
        .merge(store.desired_changes().map(|()| Trigger::Desired))
        .merge(runtime.events().map(Trigger::Runtime))
        .merge(IntervalStream::new(relists).map(|_| Trigger::Relist))
        .merge(ReceiverStream::new(questions).map(Trigger::Asked));
    boxed(merged)
}

fn boxed(stream: impl Stream<Item = Trigger> + Send + 'static) -> BoxStream<'static, Trigger> {
    Box::pin(stream)
}
