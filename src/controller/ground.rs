//! What the games stand on, looked at with every relist; and what concerns all of them at once:
//! freezes, deletions that are held, containers without a game.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::game::GameId;
use crate::game::controller::{
    ControllerSpec, Freeze, FreezeReason, Ground, HeldDeletion, HeldDeletions, Instance, MountView, Orphan,
};
use crate::reconcile::apply::chain;
use crate::reconcile::deletions::{Count, Limits};
use crate::reconcile::ground::{Found, Verdict, by_hand, verdict};
use crate::runtime::{Listed, Runtime};
use crate::store::{Store, StoreError};

use super::Controller;
use super::entry::Entry;
use super::metrics::Metrics;
use super::work::Workshop;

/// What a look at the ground found, after what was to be bound was bound.
#[derive(Debug)]
pub(super) struct GroundLook {
    pub(super) freezes: Vec<Freeze>,
    pub(super) ground: Ground,
    pub(super) mount: MountView,
    /// The database is older than this leadership knows it to have been.
    pub(super) went_back: bool,
}

/// The furthest that the database had come, as far as one leadership knows: its memory is as new as that.
#[derive(Debug, Clone)]
pub(super) struct KnownHighWater {
    read: Arc<AtomicI64>,
    committed: watch::Receiver<i64>,
}

impl KnownHighWater {
    /// It begins with a counter that was read, and goes on with those that are committed.
    pub(super) fn new(high_water: i64, committed: watch::Receiver<i64>) -> Self {
        Self { read: Arc::new(AtomicI64::new(high_water)), committed }
    }

    fn furthest(&self) -> i64 {
        self.read.load(Ordering::Acquire).max(*self.committed.borrow())
    }
}

/// What concerns all games.
#[derive(Debug, Default)]
pub(super) struct Guards {
    /// The ground has been looked at: before that nothing begins.
    pub(super) looked: bool,
    pub(super) freezes: Vec<Freeze>,
    pub(super) spec: ControllerSpec,
    /// Deletions are held, and one event has said so.
    held: bool,
    /// The message of a deletion that is held. (How many there are is the controller's status; here it
    /// would make every one of them a new text for each that comes.)
    pub(super) why_held: String,
    orphans: Vec<Orphan>,
    /// Why the state root could not be compared with what Docker mounts, if one event has said so.
    uncompared: bool,
    /// Games that had no row when a container of theirs was last listed: one that is just being
    /// deleted is among them once, and no orphan. None before the first list.
    rowless: Option<HashSet<GameId>>,
}

impl Guards {
    /// Nothing is known yet; deletions beyond these limits will be held.
    pub(super) fn new(limits: &Limits) -> Self {
        Self { why_held: why_held(limits), ..Self::default() }
    }

    /// Why nothing may be touched, if so.
    pub(super) fn freeze(&self) -> Option<&Freeze> {
        self.freezes.first()
    }

    /// Another Docker Engine answers: what it says is about other games.
    pub(super) fn other_docker(&self) -> Option<&Freeze> {
        self.freeze_of(FreezeReason::OtherDocker)
    }

    fn freeze_of(&self, reason: FreezeReason) -> Option<&Freeze> {
        self.freezes.iter().find(|freeze| freeze.reason == reason)
    }

    /// All freezes after a look at the ground. The operators' wish is not the look's to say: they may have
    /// said something else since it began.
    fn found(&self, mut freezes: Vec<Freeze>, ground: &Ground, mount: &MountView) -> Vec<Freeze> {
        if ground.docker_engine_id.is_none() {
            // Nobody said who answers: what was known of that goes on holding.
            freezes.extend(self.other_docker().cloned());
        }
        if matches!(mount, MountView::NotAsked | MountView::Unknown(_)) {
            // The same: only the right directory lifts it.
            freezes.extend(self.freeze_of(FreezeReason::OtherStateRootInDocker).cloned());
        }
        freezes.extend(by_hand(&self.spec));
        freezes
    }

    /// All freezes from now on, as operators want this. The findings of the ground go on holding.
    fn wanted(&mut self, spec: ControllerSpec) -> Vec<Freeze> {
        let found = self.freezes.iter().filter(|freeze| freeze.reason != FreezeReason::FrozenByHand);
        let freezes = found.cloned().chain(by_hand(&spec)).collect();
        self.spec = spec;
        freezes
    }
}

impl Workshop {
    /// Looks at what the games stand on, and binds what is to be bound. `docker` is who answered, if
    /// that was asked.
    pub(super) async fn look_at_ground(&self, docker: Option<&str>) -> Result<GroundLook, StoreError> {
        let mut unreadable = None;
        // Before the database is read, which must be as far by then.
        let known = self.high_water.furthest();
        // What is bound is looked at once more; what then still is to be bound waits for the next look.
        for _ in 0..2 {
            // The state root first: what is noted there never runs ahead of a database read after it.
            let mut found =
                found(&self.store, &*self.runtime, docker.map(str::to_owned), unreadable.take()).await;
            let spec = self.store.controller_spec().await?;
            let instance = self.store.instance().await?;
            let went_back = self.went_back(&instance, known);
            let verdict = judge(&*self.runtime, &spec, &instance, &mut found, Duration::ZERO).await;
            let look =
                GroundLook { freezes: verdict.freezes, ground: found.ground, mount: found.mount, went_back };
            let Some(binding) = verdict.bind else { return Ok(look) };
            tracing::info!(?binding, "binding the database to what is found");
            // The sentinel first: what the database says of it must be true.
            if binding.state_root
                && let Err(error) = self.runtime.bind_state_root().await
            {
                unreadable = Some(chain(&error));
                continue;
            }
            self.store.bind(&binding).await?;
            // What has just been bound could not be compared with what Docker mounts.
            if look.freezes.is_empty() && look.mount != MountView::NotAsked {
                return Ok(look);
            }
        }
        let mut found = found(&self.store, &*self.runtime, docker.map(str::to_owned), unreadable).await;
        let (spec, instance) = (self.store.controller_spec().await?, self.store.instance().await?);
        let freezes = judge(&*self.runtime, &spec, &instance, &mut found, Duration::ZERO).await.freezes;
        let went_back = self.went_back(&instance, known);
        Ok(GroundLook { freezes, ground: found.ground, mount: found.mount, went_back })
    }

    fn went_back(&self, instance: &Instance, known: i64) -> bool {
        self.high_water.read.fetch_max(instance.high_water, Ordering::AcqRel);
        instance.high_water < known
    }
}

/// The verdict about what is found. Where nothing else speaks against it, the state root is compared with
/// what Docker mounts, too: that leaves a container behind, and so is asked of the right Docker Engine alone.
/// An answer that is not older than `compared_within` will do.
pub(super) async fn judge(
    runtime: &dyn Runtime,
    spec: &ControllerSpec,
    instance: &Instance,
    found: &mut Found,
    compared_within: Duration,
) -> Verdict {
    let first = verdict(spec, instance, found);
    let is_wrong = !first.freezes.is_empty();
    let is_new = first.bind.as_ref().is_some_and(|bind| bind.state_root || bind.docker_engine_id.is_some());
    let Some(docker) = found.ground.docker_engine_id.as_ref().filter(|_| !is_wrong && !is_new) else {
        return first;
    };
    found.mount = runtime.mount_view(docker, compared_within).await;
    verdict(spec, instance, found)
}

/// What is found, without what Docker mounts.
pub(super) async fn found(
    store: &Store,
    runtime: &dyn Runtime,
    docker_engine_id: Option<String>,
    unreadable: Option<String>,
) -> Found {
    let look = runtime.state_root().await;
    let unreadable = unreadable.or_else(|| look.as_ref().err().map(|error| chain(error)));
    let look = look.unwrap_or_default();
    // The note there may be a second late; this process knows what it saw and committed itself.
    let seen = Some(store.furthest_high_water()).filter(|seen| *seen > 0);
    Found {
        mount: MountView::NotAsked,
        ground: Ground { docker_engine_id, state_root: look.sentinel, high_water: look.high_water.max(seen) },
        unreadable,
        locked_by_another: look.locked_by_another,
        database_replaced: store.replaced(),
    }
}

impl Controller {
    /// Takes in what a look at the ground found. Freezing and thawing concern every game.
    pub(super) fn stand_on(&mut self, look: GroundLook) {
        let GroundLook { freezes, ground, mount, went_back: _ } = look;
        let first = !std::mem::replace(&mut self.guards.looked, true);
        let freezes = self.guards.found(freezes, &ground, &mount);
        self.note_comparison(&mount);
        self.freeze_for(freezes);
        if first {
            self.look_at_all();
        }
        self.say(|status| status.ground = ground);
        self.count_deletions();
    }

    /// One event when the state root cannot be compared with what Docker mounts. Games go on: nobody has said
    /// that it is another one.
    fn note_comparison(&mut self, mount: &MountView) {
        let MountView::Unknown(why) = mount else {
            self.guards.uncompared &= *mount == MountView::NotAsked;
            return;
        };
        if !std::mem::replace(&mut self.guards.uncompared, true) {
            tracing::warn!(error = why, "the state root cannot be compared with what Docker mounts");
            let message = format!(
                "It cannot be verified that Docker mounts this state root into engines: {why}. Games go on; `gamekeeper doctor` tries it, too."
            );
            self.tell_all(true, "StateRootNotVerified", &message);
        }
    }

    /// What operators want of the controller changed: their freeze holds at once, the rest is looked at.
    /// (It is read with desired state and nowhere else, by one look at a time: an older wish never takes the
    /// place of a newer one.)
    pub(super) fn want(&mut self, spec: ControllerSpec) {
        if spec == self.guards.spec {
            return;
        }
        let freezes = self.guards.wanted(spec);
        self.freeze_for(freezes);
        if self.looked {
            self.relist();
        }
    }

    fn freeze_for(&mut self, freezes: Vec<Freeze>) {
        if self.guards.freezes != freezes {
            for freeze in freezes.iter().filter(|freeze| !self.guards.freezes.contains(freeze)) {
                tracing::error!(reason = %freeze.reason, message = freeze.message, "frozen: nothing is touched");
                self.tell_all(
                    true,
                    &freeze.reason.to_string(),
                    &format!("{} {}", freeze.message, freeze.way_out),
                );
            }
            if freezes.is_empty() {
                tracing::info!("no longer frozen");
                self.tell_all(false, "Unfrozen", "The controller acts again.");
            }
            self.guards.freezes.clone_from(&freezes);
            // Whoever waits for a place, or has not begun yet, sees it too.
            self.brake.send_replace(freezes.first().cloned());
            self.look_at_all();
        }
        Metrics::show(&self.context.metrics.frozen, freezes.len());
        self.say(|status| status.freezes = freezes);
    }

    /// Counts the deletions that were asked for, and decides about each that is not decided yet: if they
    /// are too many, those that have not begun are held.
    pub(super) fn count_deletions(&mut self) {
        if !self.guards.looked || !self.looked {
            // Nothing begins yet, or what operators confirmed before is not known.
            return;
        }
        let now = self.clock.clock().now();
        let limits = self.context.policy.deletions.clone();
        let spec = &self.guards.spec;
        // Of each game ever deleted something would be remembered otherwise.
        let over = self.games.extract_if(|_, entry| entry.is_over(&limits, now)).map(|(game, _)| game);
        for game in over {
            tracing::debug!(game_id = %game, "a deleted game is let go of: its deletion counts for no other any more");
            self.queue.forget(game);
            self.context.runtime.keep_room(game, None);
        }
        let count = Count::of(self.games.values().map(|entry| entry.fate(spec, &limits, now)), &limits);
        let too_many = count.too_many(&limits);
        let mut decided = Vec::new();
        for (game, entry) in &mut self.games {
            let guard = entry.fate(spec, &limits, now).guard(too_many);
            if entry.is_going() && entry.decide_deletion(guard, spec.deletions_confirmed_at) {
                decided.push(*game);
            }
        }
        for game in decided {
            self.nudge(game);
        }
        let held = self.held_deletions(count);
        let before = std::mem::replace(&mut self.guards.held, !held.games.is_empty());
        if before != self.guards.held {
            let Count { asked, known } = count;
            let message = if self.guards.held {
                tracing::error!(asked, known, "so many deletions wait for an operator's word");
                format!(
                    "The deletion of {asked} of {known} games was asked for; what has not begun waits for `gamekeeper confirm-deletions`."
                )
            } else {
                "No deletion is held any more: all that were have been confirmed or withdrawn.".to_owned()
            };
            let reason =
                if self.guards.held { crate::reconcile::plan::DELETIONS_HELD } else { "DeletionsGoOn" };
            self.tell_all(self.guards.held, reason, &message);
        }
        Metrics::show(&self.context.metrics.held_deletions, held.games.len());
        if self.looked {
            self.say(|status| status.held_deletions = Some(held));
        }
    }

    /// A deletion that was first seen before this time counts for no other any more, once it is done.
    pub(super) fn deletions_count_since(&self, now: Timestamp) -> Timestamp {
        let window = SignedDuration::try_from(self.context.policy.deletions.window);
        now.checked_sub(window.unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn held_deletions(&self, Count { asked, known }: Count) -> HeldDeletions {
        let mut games: Vec<HeldDeletion> = self.games.values().filter_map(Entry::held_deletion).collect();
        if games.is_empty() {
            return HeldDeletions::default();
        }
        games.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        let Limits { window, share, least: _ } = self.context.policy.deletions;
        HeldDeletions { games, asked, known, window_seconds: window.as_secs(), share_percent: share }
    }

    /// Containers of ours that no row and no tombstone speaks of: reported, and left alone.
    pub(super) fn report_orphans(&mut self, containers: &[Listed]) {
        if !self.looked {
            return;
        }
        let has_game = |listed: &Listed| self.games.get(&listed.game).is_some_and(Entry::is_desired);
        let rowless: HashSet<GameId> =
            containers.iter().filter(|listed| !has_game(listed)).map(|listed| listed.game).collect();
        let before = self.guards.rowless.replace(rowless.clone());
        if before.is_none() && !rowless.is_empty() {
            // Nobody is told that there is none before it is known which they are.
            return self.relist();
        }
        let before = before.unwrap_or_default();
        let mut orphans: Vec<Orphan> = containers
            .iter()
            .filter(|listed| rowless.contains(&listed.game) && before.contains(&listed.game))
            .map(|listed| Orphan {
                game_id: listed.game,
                container_id: listed.id.clone(),
                name: listed.name.clone(),
                engine_version: listed.engine_version.clone(),
                state: listed.state.clone(),
            })
            .collect();
        orphans.sort_by_key(|orphan| orphan.game_id);
        let known: HashSet<GameId> = self.guards.orphans.iter().map(|known| known.game_id).collect();
        for new in orphans.iter().filter(|orphan| !known.contains(&orphan.game_id)) {
            tracing::warn!(game_id = %new.game_id, container = new.container_id.short(), "a container of ours has no game; it is left alone");
            let message = format!(
                "Container {} of game {} ({}) has neither a row nor a tombstone. It is left alone: `gamekeeper adopt {}` gives it its row back, `gamekeeper remove {}` takes the container away.",
                new.container_id.short(),
                new.game_id,
                new.name,
                new.game_id,
                new.game_id
            );
            self.tell_all(true, "OrphanContainer", &message);
        }
        Metrics::show(&self.context.metrics.orphans, orphans.len());
        self.guards.orphans.clone_from(&orphans);
        self.say(|status| status.orphans = Some(orphans));
    }

    fn look_at_all(&mut self) {
        let games: Vec<GameId> = self.games.keys().copied().collect();
        for game in games {
            self.nudge(game);
        }
    }

    /// One event for what concerns all games.
    pub(super) fn tell_all(&self, warning: bool, reason: &str, message: &str) {
        let store = self.workshop.store.clone();
        let (reason, message) = (reason.to_owned(), message.to_owned());
        self.workshop.tasks.spawn(async move {
            if let Err(error) = store.controller_event(warning, &reason, &message).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "an event could not be recorded");
            }
        });
    }
}

/// The message of a deletion that is held.
fn why_held(limits: &Limits) -> String {
    format!(
        "The deletion of more than {} % of the games was asked for within {:#}, which looks like a mistake. Nothing of this game is torn down until an operator says `gamekeeper confirm-deletions`, or its deletion is withdrawn.",
        limits.share,
        SignedDuration::try_from(limits.window).unwrap_or(SignedDuration::MAX)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(frozen: bool) -> ControllerSpec {
        ControllerSpec { frozen, ..ControllerSpec::default() }
    }

    /// A look that has found this, and was answered by Docker.
    fn look(guards: &mut Guards, found: Vec<Freeze>) -> Vec<FreezeReason> {
        let ground = Ground { docker_engine_id: Some("A".into()), ..Ground::default() };
        guards.freezes = guards.found(found, &ground, &MountView::Same);
        guards.freezes.iter().map(|freeze| freeze.reason).collect()
    }

    #[test]
    fn a_look_at_the_ground_that_began_before_a_freeze_does_not_lift_it() {
        let mut guards = Guards::new(&Limits::default());
        assert_eq!(look(&mut guards, Vec::new()), []);
        // The next look has begun, and read that nobody wants a freeze.
        guards.freezes = guards.wanted(spec(true));
        assert_eq!(look(&mut guards, Vec::new()), [FreezeReason::FrozenByHand]);
        guards.freezes = guards.wanted(spec(false));
        assert_eq!(look(&mut guards, Vec::new()), [], "nor does one from before a thaw bring it back");
    }

    #[test]
    fn what_operators_want_says_nothing_of_the_ground_and_the_other_way_round() {
        let gone = Freeze {
            reason: FreezeReason::StateRootMissing,
            message: "It is gone.".into(),
            way_out: String::new(),
        };
        let both = [FreezeReason::StateRootMissing, FreezeReason::FrozenByHand];
        let mut guards = Guards::new(&Limits::default());
        assert_eq!(look(&mut guards, vec![gone.clone()]), both[..1]);
        guards.freezes = guards.wanted(spec(true));
        assert_eq!(look(&mut guards, vec![gone]), both);
        guards.freezes = guards.wanted(spec(false));
        assert_eq!(guards.freeze().map(|freeze| freeze.reason), Some(FreezeReason::StateRootMissing));
    }
}
