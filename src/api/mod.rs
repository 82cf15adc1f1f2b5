//! The API: Kubernetes on the wire, over HTTPS, for `kubectl`, client libraries and our own command
//! line.
//!
//! Handlers read the store and write desired state; they never ask Docker to change anything, and of
//! the runtime they use only what looks. Only this module names wire types ([`wire`]), and every
//! error leaves as a `Status` ([`error`]). What every request passes is [`front`]'s business, where
//! each path leads is [`routes`]'; what is listed and watched is held by [`hub`], and given the form that
//! a client wants by [`negotiate`].

mod access;
mod asking;
pub mod auth;
mod backups;
mod body;
mod change;
mod controllers;
mod definitions;
mod deployments;
mod discovery;
pub mod error;
mod events;
mod files;
mod front;
mod games;
pub mod health;
mod hub;
pub mod kubeconfig;
mod listen;
mod logs;
mod moment;
mod namespaces;
mod negotiate;
mod operations;
mod outbox;
mod past;
mod places;
mod players;
mod pods;
mod preview;
mod rate;
mod refusal;
mod request;
mod reviews;
mod routes;
mod scale;
mod select;
mod since;
mod steps;
mod strategic;
pub mod tls;
mod turns;
mod unread;
mod versions;
mod view_change;
pub mod wire;
mod write;

use std::net::IpAddr;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

pub use auth::Tokens;
pub use health::Readiness;
pub use hub::HubLimits;
pub use listen::{ServeError, serve, serve_metrics};
pub use tls::{Tls, TlsSettings};

use crate::controller::Asker;
use crate::game::controller::ControllerStatus;
use crate::runtime::Runtime;
use crate::store::Store;

/// What the API stands on.
#[derive(Clone)]
pub struct Api {
    /// Where desired state is written, and everything is read.
    pub store: Store,
    /// Where logs come from.
    pub runtime: Arc<dyn Runtime>,
    /// Whether the controller does its work.
    pub ready: watch::Receiver<Readiness>,
    /// How the whole controller is.
    pub controller: watch::Receiver<ControllerStatus>,
    /// What it would do, and why.
    pub asker: Asker,
    /// Changes to a version that failed on so many games are halted.
    pub max_failures: u32,
    /// The metrics of the whole process.
    pub registry: Arc<Registry>,
    /// Who may ask this server, beside those of the database.
    pub tokens: Tokens,
    /// What may be held for those who list and watch.
    pub hub: HubLimits,
    /// How much anybody may ask.
    pub limits: Limits,
}

/// How much anybody may ask.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests a second of one caller; [`BURST`] times as many may come at once.
    pub requests: u32,
    /// Requests a second from one address whose caller is nobody, that are told so.
    pub failures: u32,
    /// Connections on which nobody was let in yet.
    pub strangers: usize,
    /// Connections of one caller.
    pub connections_of_one: usize,
    /// Connections of all callers.
    pub connections: usize,
}

/// client-go alone sends 300 requests at once.
const BURST: u32 = 4;

impl Default for Limits {
    fn default() -> Self {
        Self { requests: 500, failures: 20, strangers: 256, connections_of_one: 256, connections: 512 }
    }
}

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    api: Arc<Api>,
    /// Bounds how many bodies are held.
    bodies: Arc<Semaphore>,
    /// Bounds how many logs are read.
    logs: Arc<Semaphore>,
    /// Bounds how many lists of copies are read from the disk.
    backups: Arc<Semaphore>,
    /// Who may ask.
    known: Arc<auth::known::Known>,
    /// How fast each caller asks.
    requests: Arc<rate::Rate<auth::caller::CallerKey>>,
    /// How fast nobody asks, from where.
    failures: Arc<rate::Rate<IpAddr>>,
    /// What is listed and watched.
    hub: Arc<hub::Hub>,
    /// Ends what would never end by itself.
    shutdown: CancellationToken,
}

impl Shared {
    fn new(api: Api, shutdown: CancellationToken) -> Self {
        let ready_since = since::follow(api.controller.clone(), shutdown.clone());
        let Limits { requests, failures, .. } = api.limits;
        let api = Arc::new(api);
        let hub = Arc::new(hub::Hub::new(api.clone(), ready_since));
        tokio::spawn(hub.clone().follow(shutdown.clone()));
        let known = Arc::new(auth::known::Known::new(api.tokens.clone(), api.store.clone()));
        tokio::spawn(known.clone().follow(shutdown.clone()));
        Self {
            api,
            known,
            requests: Arc::new(rate::Rate::new(requests, requests.saturating_mul(BURST))),
            failures: Arc::new(rate::Rate::new(failures, failures.saturating_mul(BURST))),
            hub,
            bodies: Arc::new(Semaphore::new(body::AT_ONCE)),
            logs: Arc::new(Semaphore::new(logs::AT_ONCE)),
            backups: Arc::new(Semaphore::new(backups::AT_ONCE)),
            shutdown,
        }
    }
}
