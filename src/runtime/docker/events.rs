//! What happens to this instance's containers, for ever.
//!
//! One task reads Docker's stream and does nothing else: Docker drops readers that are slow. What
//! the receiver does not take in time is dropped here instead, and one event for all games says so;
//! the same is said whenever the stream was interrupted. Read without bollard, whose closed
//! enumerations end the stream at the first word they do not know.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use http::{Method, Request};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_stream::wrappers::ReceiverStream;

use super::event::{self, Lines, Message};
use super::transport::Transport;
use crate::game::InstanceId;
use crate::runtime::RuntimeEvent;

/// How many events wait for the receiver.
const WAITING: usize = 1_024;

/// The pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long Docker may take to answer the subscription. Podman answers with the first event: to
/// silence, the subscription is tried again, from where it was.
const ANSWER_DEADLINE: Duration = Duration::from_secs(120);

/// After so much silence the stream is begun anew: a connection may be dead without a sign.
const LONGEST_SILENCE: Duration = Duration::from_secs(300);

pub(super) fn subscribe(
    transport: Arc<Transport>,
    instance: InstanceId,
    network: String,
) -> BoxStream<'static, RuntimeEvent> {
    let (sender, receiver): (_, Receiver<RuntimeEvent>) = mpsc::channel(WAITING);
    tokio::spawn(Subscription { transport, instance, network, sender, lost: None, last: None }.run());
    ReceiverStream::new(receiver).boxed()
}

struct Subscription {
    transport: Arc<Transport>,
    instance: InstanceId,
    /// The network that engines are put on.
    network: String,
    sender: Sender<RuntimeEvent>,
    /// Something was lost, and this word says why; the receiver has not been told yet.
    lost: Option<&'static str>,
    /// The time of the last event, in Docker's words.
    last: Option<String>,
}

impl Subscription {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut told = None;
        loop {
            let connected = tokio::select! {
                () = self.sender.closed() => return,
                connected = self.connect() => connected,
            };
            match connected {
                Ok(body) => {
                    pause = FIRST_PAUSE;
                    told = None;
                    self.lost = Some("connected");
                    if self.read(body).await.is_err() {
                        return;
                    }
                    tracing::debug!("Docker's events ended; subscribing again");
                }
                Err(error) => {
                    let why = Some(error.to_string());
                    if told != why {
                        tracing::warn!(%error, "cannot subscribe to Docker's events; the relist makes up for them");
                        told = why;
                    }
                }
            }
            tokio::select! {
                () = self.sender.closed() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn connect(&self) -> Result<Incoming, Box<dyn std::error::Error + Send + Sync>> {
        let request = Request::builder()
            .method(Method::GET)
            .uri(event::path(self.last.as_deref()))
            .body(Either::Left(Full::new(Bytes::new())))?;
        let answer = tokio::time::timeout(ANSWER_DEADLINE, self.transport.request(request)).await??;
        if answer.status().is_success() {
            Ok(answer.into_body())
        } else {
            Err(format!("Docker answered {}", answer.status()).into())
        }
    }

    /// Reads until the stream ends; an error means that nobody listens any more.
    async fn read(&mut self, mut body: Incoming) -> Result<(), ()> {
        let mut lines = Lines::default();
        loop {
            tokio::select! {
                biased;
                frame = tokio::time::timeout(LONGEST_SILENCE, body.frame()) => match frame {
                    Ok(Some(Ok(frame))) => {
                        let Ok(data) = frame.into_data() else { continue };
                        for message in lines.take(&data) {
                            self.pass_on(message);
                        }
                    }
                    Ok(Some(Err(_)) | None) | Err(_) => {
                        self.lost = Some("disconnected");
                        return self.tell_of_loss().await;
                    }
                },
                told = tell(&self.sender, self.lost.unwrap_or_default()), if self.lost.is_some() => {
                    self.lost = None;
                    told?;
                }
                () = self.sender.closed() => return Err(()),
            }
        }
    }

    fn pass_on(&mut self, message: Message) {
        if let Some(time) = message.time() {
            self.last = Some(time);
        }
        if let Some(event) = message.event(self.instance, &self.network)
            && self.sender.try_send(event).is_err()
        {
            self.lost = Some("overflow");
        }
    }

    async fn tell_of_loss(&mut self) -> Result<(), ()> {
        match self.lost.take() {
            Some(why) => tell(&self.sender, why).await,
            None => Ok(()),
        }
    }
}

/// An event for all games, as soon as there is room for it.
async fn tell(sender: &Sender<RuntimeEvent>, why: &'static str) -> Result<(), ()> {
    sender.send(RuntimeEvent { game: None, container: None, action: why.to_owned() }).await.map_err(drop)
}
