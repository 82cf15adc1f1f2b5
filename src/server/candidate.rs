//! How a process comes to lead, and for how long it does.
//!
//! On SQLite whoever holds the lock on the database leads. On PostgreSQL a candidate takes the lease
//! once it has ended, if it sees what the games stand on; and leads until it could not renew it for
//! so long that it might end, or another database answers than the one that it took it in: what it knows,
//! and what it was eligible by, was the other one's.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::controller::{self, Leading, Moment, Standing};
use crate::game::controller::{ControllerStatus, DOCKER_WAY_OUT, FreezeReason};
use crate::runtime::Runtime;
use crate::store::{HeldLease, LEASE, Store, StoreError, Taken};

/// A leader that was not able to renew its lease for so long decides nothing more. The rest of the
/// lease is for what it has in flight.
const RENEWAL_DEADLINE: Duration = Duration::from_secs(10);

/// Between two renewals, and between two looks of a candidate.
const RETRY: Duration = Duration::from_secs(2);

/// A leadership of this process.
#[derive(Debug, Clone)]
pub(super) struct Tenure {
    pub(super) lease: HeldLease,
    pub(super) leading: Leading,
    /// The number of times that the database had been replaced when the candidate began to look at it.
    replacements: u64,
}

/// Waits until this process leads; none if it is told to end before. Meanwhile it says how it stands.
pub(super) async fn come_to_lead(
    store: &Store,
    runtime: &dyn Runtime,
    holder: &str,
    status: &watch::Sender<ControllerStatus>,
    shutdown: &CancellationToken,
) -> Result<Option<Tenure>, StoreError> {
    if !store.lead_is_leased() {
        let (lease, replacements) = (store.take_lead(holder).await?, store.replacements());
        return Ok(Some(Tenure { lease, leading: Leading::for_ever(), replacements }));
    }
    let mut given_up = store.lead_given_up();
    let mut said = Obstacles::default();
    loop {
        let wait = match candidate(store, runtime, holder, status, &mut said).await {
            Ok(Ok(tenure)) => return Ok(Some(tenure)),
            Ok(Err(wait)) => wait,
            Err(error) => {
                let why = crate::reconcile::apply::chain(&error);
                if status.borrow().database_down.is_none() {
                    tracing::warn!(error = why, "the lead cannot be asked for until the database answers");
                }
                status.send_modify(|status| status.database_down = Some(why));
                RETRY
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(wait) => {}
            () = given_up.wait() => {}
        }
    }
}

/// One attempt: the lead, or how long to wait for the next.
async fn candidate(
    store: &Store,
    runtime: &dyn Runtime,
    holder: &str,
    status: &watch::Sender<ControllerStatus>,
    said: &mut Obstacles,
) -> Result<Result<Tenure, Duration>, StoreError> {
    let replacements = store.replacements();
    let standing = controller::standing(store, runtime).await?;
    said.say(&standing);
    if !standing.is_eligible() {
        stand_by(status, &standing);
        return Ok(Err(RETRY));
    }
    let asked = Moment::now();
    match store.try_lead(holder).await? {
        Taken::Ours(lease) => {
            let leading = Leading::from(asked, RENEWAL_DEADLINE);
            Ok(Ok(Tenure { lease, leading, replacements }))
        }
        Taken::Held { holder, ends_in } => {
            tracing::debug!(holder, ends_in = ?ends_in, "another controller leads");
            stand_by(status, &standing);
            // At its end, not a look later; it is usually renewed before.
            Ok(Err(ends_in.clamp(Duration::from_millis(50), RETRY)))
        }
    }
}

/// What keeps this process from leading, as far as its log says so: each change of it once.
#[derive(Debug, Default)]
struct Obstacles {
    freezes: Vec<FreezeReason>,
    docker_down: bool,
}

impl Obstacles {
    fn say(&mut self, standing: &Standing) {
        let freezes: Vec<_> = standing.freezes.iter().map(|freeze| freeze.reason).collect();
        for freeze in standing.freezes.iter().filter(|freeze| !self.freezes.contains(&freeze.reason)) {
            tracing::warn!(
                reason = %freeze.reason,
                found = freeze.message,
                way_out = freeze.way_out,
                "this controller cannot take the lead"
            );
        }
        if let Some(error) = standing.docker_down.as_ref().filter(|_| !self.docker_down) {
            tracing::warn!(
                reason = "DockerDown",
                found = error,
                way_out = DOCKER_WAY_OUT,
                "this controller cannot take the lead"
            );
        }
        if standing.is_eligible() && (self.docker_down || !self.freezes.is_empty()) {
            tracing::info!("nothing keeps this controller from taking the lead any more");
        }
        *self = Self { freezes, docker_down: standing.docker_down.is_some() };
    }
}

fn stand_by(status: &watch::Sender<ControllerStatus>, standing: &Standing) {
    let now = ControllerStatus {
        stands_by: true,
        freezes: standing.freezes.clone(),
        docker_down: standing.docker_down.clone(),
        ground: standing.ground.clone(),
        ..ControllerStatus::default()
    };
    status.send_if_modified(|status| std::mem::replace(status, now.clone()) != now);
}

/// Renews the lead; returns once it is lost, or given up for another database. If it was lost for want of an
/// answer, that is said at once and until there is one: whoever does nothing else with the database would not know.
pub(super) async fn keep(store: &Store, tenure: &Tenure, status: &watch::Sender<ControllerStatus>) {
    let Tenure { lease, leading, replacements } = tenure;
    if !store.lead_is_leased() {
        return std::future::pending().await;
    }
    let mut unanswered = None;
    loop {
        tokio::time::sleep(RETRY.min(leading.left())).await;
        let asked = Moment::now();
        match tokio::time::timeout(leading.left(), store.renew_lead(*lease)).await {
            // Suspended meanwhile, it may have been lost and the answer be old.
            Ok(Ok(true)) if leading.holds() => {
                unanswered = None;
                leading.renewed(asked, RENEWAL_DEADLINE);
            }
            Ok(Ok(_)) => {
                unanswered = None;
                break;
            }
            Ok(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    left = ?leading.left(),
                    "the lead could not be renewed"
                );
                unanswered = Some(crate::reconcile::apply::chain(&error));
            }
            Err(_) => unanswered = unanswered.or_else(|| Some("no answer in time".to_owned())),
        }
        // A copy of the database has the lease as well, and lets it be renewed.
        if !leading.holds() || store.replacements() != *replacements {
            break;
        }
    }
    leading.end();
    if let Some(why) = unanswered {
        status.send_modify(|status| status.database_down = Some(why));
    }
    tracing::error!(epoch = lease.epoch.0, lease = ?LEASE, "the lead is lost; nothing more is decided here");
}
