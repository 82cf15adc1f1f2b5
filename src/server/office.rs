//! The office of the leader: this process stands by until it leads, acts while it does, and stands by
//! again if it loses the lead.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::candidate::{Tenure, come_to_lead, keep};
use super::ground;
use super::lobby::Lobby;
use crate::config::Config;
use crate::controller::{self, Asker, Limits, Metrics, Parts, RunError};
use crate::engine::{Deadlines, EngineClient};
use crate::game::controller::ControllerStatus;
use crate::runtime::docker::DockerRuntime;
use crate::store::Store;

/// A leader that is told to end lets go of the lead after so long, whatever is still in flight: that
/// is at most one request of each game, which does no harm.
const HAND_OVER: Duration = Duration::from_secs(2);

/// How long rounds that hang in Docker may keep the recorder open.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// What every leadership of this process is made from.
pub(super) struct Office {
    pub(super) config: Config,
    pub(super) store: Store,
    pub(super) runtime: Arc<DockerRuntime>,
    pub(super) lobby: Lobby,
    pub(super) metrics: Metrics,
    pub(super) status: watch::Sender<ControllerStatus>,
    pub(super) asker: Asker,
}

impl Office {
    /// Leads whenever it can, until it is told to end.
    ///
    /// # Errors
    /// What ended the controller where nobody else could lead.
    pub(super) async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let holder = ground::holder();
        while !shutdown.is_cancelled() {
            let store = self.store.clone().for_the_controller();
            let tenure = come_to_lead(&store, &*self.runtime, &holder, &self.status, &shutdown).await?;
            let Some(tenure) = tenure else { break };
            match self.lead(tenure, &shutdown).await? {
                Err(error) if !self.store.lead_is_leased() && !matches!(error, RunError::DatabaseOlder) => {
                    return Err(error.into());
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the leadership ended");
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// One leadership, to its end.
    async fn lead(
        &self,
        tenure: Tenure,
        shutdown: &CancellationToken,
    ) -> Result<Result<(), RunError>, tokio::task::JoinError> {
        let Tenure { lease, leading, .. } = tenure.clone();
        let term = shutdown.child_token();
        let store = self.store.clone().leading(lease);
        let (recorder, writer) = store.recorder(lease);
        tracing::info!(epoch = lease.epoch.0, "leading");
        self.status.send_replace(ControllerStatus::default());
        tokio::spawn(ground::keep_high_water(self.runtime.clone(), recorder.high_water()));
        tokio::spawn(ground::forget_the_past(store.clone(), self.config.history, term.clone()));
        let telling = self.lobby.start(&store, &term);
        let parts = self.parts(store.for_the_controller(), recorder, tenure.clone());
        let questions = self.asker.to_another();
        let run = controller::run(parts, questions, self.status.clone(), term.clone());
        let mut controlling = tokio::spawn(run);

        let mut ended = tokio::select! {
            ended = &mut controlling => Some(ended),
            () = keep(&self.store, &tenure, &self.status) => None,
            () = shutdown.cancelled() => None,
        };
        term.cancel();
        if ended.is_none() {
            ended = tokio::time::timeout(HAND_OVER, &mut controlling).await.ok();
        }
        if ended.is_some() && tokio::time::timeout(LAST_WRITES, writer).await.is_err() {
            tracing::warn!("some rounds did not end in time; their games are looked at again");
        }
        // From here on nothing more is decided or done in this epoch.
        leading.end();
        // The next leader knows what was committed here by this alone.
        ground::note_high_water(&*self.runtime, self.store.furthest_high_water()).await;
        if self.store.lead_is_leased()
            && let Err(error) = self.store.give_up_lead(lease).await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the lead could not be given up; it ends by itself"
            );
        }
        // It ends soon by itself, whatever the lobby does.
        telling.await?;
        match ended {
            Some(ended) => ended,
            None => controlling.await,
        }
    }

    fn parts(&self, store: Store, recorder: crate::store::Recorder, tenure: Tenure) -> Parts {
        let config = &self.config;
        Parts {
            store,
            recorder,
            epoch: tenure.lease.epoch,
            leading: tenure.leading,
            runtime: self.runtime.clone(),
            engines: EngineClient::new(Deadlines { turn: config.turn_deadline, ..Deadlines::default() }),
            policy: config.policy(),
            limits: Limits {
                starts: config.max_starts,
                pulls: config.max_pulls,
                disruptions: config.max_disruptions,
                patch_failures: config.max_failures,
                engine_calls: config.max_engine_calls,
                turns: config.max_turns,
                ..Limits::default()
            },
            keep: config.keep_copies,
            relist_every: config.relist_interval,
            metrics: self.metrics.clone(),
        }
    }
}
