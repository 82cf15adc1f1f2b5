//! The stream of events, meddled with line by line.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::Shared;
use super::forward::{Body, Error};
use super::rule::TrapState;

/// What has been gathered is told after such a time, though it is not as many as were to be.
const GATHERED: Duration = Duration::from_secs(3);

/// What is done with events.
#[derive(Debug, Clone, Copy)]
pub enum Meddling {
    /// Those of which it holds are lost.
    Drop(fn(&Value) -> bool),
    /// The stream stays open, and nothing comes any more. Acts on each event that is lost.
    Stall,
    /// Streams end as soon as they are there.
    End,
    /// Each is told so many times.
    Repeat(usize),
    /// So many are gathered, and told in the reverse order. Acts on each event told too early.
    Reorder(usize),
}

/// Docker's stream, as the client gets it.
pub(super) fn meddled(shared: Arc<Shared>, body: Incoming) -> Body {
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(pump(shared, body, sender));
    let frames = ReceiverStream::new(receiver).map(|bytes| Ok::<_, Error>(Frame::data(bytes)));
    BodyExt::boxed_unsync(StreamBody::new(frames))
}

/// Ends when Docker's stream, the client's, or the meddler's patience does.
async fn pump(shared: Arc<Shared>, mut body: Incoming, client: mpsc::Sender<Bytes>) {
    let mut orders = shared.events.subscribe();
    let (mut rest, mut gathered) = (Vec::new(), Vec::<Vec<u8>>::new());
    loop {
        let order = orders.borrow_and_update().clone();
        if let Some((Meddling::End, trap)) = &order {
            return trap.spring();
        }
        let frame = tokio::select! {
            frame = body.frame() => frame,
            changed = orders.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            () = tokio::time::sleep(GATHERED), if !gathered.is_empty() => {
                gathered.reverse();
                let together: Vec<u8> = std::mem::take(&mut gathered).concat();
                if client.send(together.into()).await.is_err() {
                    return;
                }
                continue;
            }
            () = client.closed() => return,
        };
        let Some(Ok(frame)) = frame else { return };
        rest.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let passed = match &order {
                None => line,
                Some((Meddling::Reorder(together), trap)) => {
                    if !gathered.is_empty() {
                        trap.spring();
                    }
                    gathered.push(line);
                    if gathered.len() < *together {
                        continue;
                    }
                    gathered.reverse();
                    std::mem::take(&mut gathered).concat()
                }
                Some((meddling, trap)) => changed(*meddling, trap, line),
            };
            if !passed.is_empty() && client.send(passed.into()).await.is_err() {
                return;
            }
        }
    }
}

fn changed(meddling: Meddling, trap: &TrapState, line: Vec<u8>) -> Vec<u8> {
    match meddling {
        Meddling::Drop(lost) => {
            let event: Value = serde_json::from_slice(&line).unwrap_or_default();
            if !lost(&event) {
                return line;
            }
            trap.spring();
            Vec::new()
        }
        Meddling::Stall => {
            trap.spring();
            Vec::new()
        }
        Meddling::Repeat(times) => {
            trap.spring();
            line.repeat(times)
        }
        Meddling::End | Meddling::Reorder(_) => line,
    }
}
