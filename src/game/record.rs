//! What the controller knows and has decided about one game: the row of `runtime_records`.

mod times;

pub use times::moved;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::backup::Copying;
use super::id::{ContainerId, ImageId, ImageRef};
use super::operation::OpenOperation;
use super::patch::{FailedPatch, Patch, PatchDelay, PutBack, PutBackStage};
use super::player::{Mapping, Standing};
use super::resources::Resources;
use super::spec::{Contract, Relaxation, Requests, RunAs, VersionEntry};
use super::status::{Condition, Phase};
use super::turn::OpenTurn;
use super::version::EngineVersion;

/// The declared inputs a container was built from; healing uses it, and only a difference here
/// needs a new container. Nothing that Gamekeeper derives or defaults belongs in it.
///
/// Containers carry it as a label, which another build may have written: what that one did not know
/// is what it is for an engine version that says nothing about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedSpec {
    /// The version it runs.
    #[serde(with = "as_text")]
    pub engine_version: EngineVersion,
    /// The reference its image was registered with.
    pub image: ImageRef,
    /// The port its engine listens on.
    #[serde(default = "port")]
    pub port: u16,
    /// What its engine speaks.
    #[serde(default)]
    pub contract: Contract,
    /// Which user its process is.
    #[serde(default)]
    pub run_as: RunAs,
    /// What hardening is relaxed.
    #[serde(default)]
    pub relaxations: Vec<Relaxation>,
    /// The version's limits and, over them, the game's.
    #[serde(default)]
    pub resources: Resources,
}

/// Where engines listen whose version says nothing else.
fn port() -> u16 {
    8080
}

impl AppliedSpec {
    /// The inputs that a version and, over its own limits, a game's declare.
    pub fn declared(version: &VersionEntry, resources: Resources) -> Self {
        Self {
            engine_version: version.version.clone(),
            image: version.image.clone(),
            port: version.port,
            contract: version.contract,
            run_as: version.run_as,
            relaxations: version.relaxations.clone(),
            resources: resources.or(version.resources),
        }
    }

    /// The declared input that differs so that a container built from these needs a new one to take
    /// its place; none if it may stay. Every declared input is asked: a new field has to say here
    /// what a difference in it means.
    pub fn drift_to(&self, wanted: &Self) -> Option<&'static str> {
        let Self { engine_version, image, port, contract, run_as, relaxations, resources } = wanted;
        [
            ("engineVersion", self.engine_version != *engine_version),
            ("image", self.image != *image),
            ("port", self.port != *port),
            ("contract", self.contract != *contract),
            ("runAs", self.run_as != *run_as),
            ("relaxations", self.relaxations != *relaxations),
            ("resources", self.resources != *resources),
        ]
        .into_iter()
        .find_map(|(input, differs)| differs.then_some(input))
    }
}

pub(super) mod as_text {
    use super::EngineVersion;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(version: &EngineVersion, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(version)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<EngineVersion, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

/// One life of one container: Docker reuses addresses at once, and a restarted container keeps its
/// id, so only both together say which process is meant. `started_at` is Docker's own text, compared
/// for equality and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Life {
    /// The container.
    pub container: ContainerId,
    /// Docker's `StartedAt`.
    pub started_at: String,
}

/// How a life ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Which life; none if the container vanished unseen.
    pub life: Option<Life>,
    /// The process's exit code, where known.
    pub code: Option<i64>,
    /// Docker says the kernel killed it for memory, or it looks so.
    pub out_of_memory: bool,
    /// One CamelCase word: `Exited`, `Removed`, `NeverHealthy`, `Unreachable`.
    pub reason: String,
    /// When the controller saw it.
    pub at: Timestamp,
}

/// A digest of the names in a state directory, to tell whether something came or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents(String);

impl Contents {
    /// What an empty directory has.
    pub const NOTHING: &str = "empty";

    /// Wraps a digest.
    pub fn new(digest: impl Into<String>) -> Self {
        Self(digest.into())
    }

    /// An empty directory.
    pub fn nothing() -> Self {
        Self::new(Self::NOTHING)
    }

    /// The digest.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where an engine is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// The container's host name on its network, with the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// Its address on its network, with the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The address and port published on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
}

/// Everything known about one game.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The headline.
    pub phase: Phase,
    /// One CamelCase word for the headline.
    pub reason: String,
    /// A sentence for the headline.
    pub message: String,
    /// The generation this status was computed from.
    pub observed_generation: i64,
    /// Requests that have been taken up.
    pub observed_requests: Requests,
    /// The memberships this status was computed from.
    pub observed_membership_revision: i64,
    /// The container that is the game's, as last seen.
    pub container: Option<ContainerId>,
    /// Its present life, once it was seen running.
    pub container_started_at: Option<String>,
    /// What its image is, for ever, until a change of version.
    pub image_id: Option<ImageId>,
    /// The declared inputs of its container.
    pub applied: Option<AppliedSpec>,
    /// Where the engine is reached by the controller, while it serves.
    pub endpoint: Option<String>,
    /// Every way to reach it, while it serves.
    pub endpoints: Option<Endpoints>,
    /// The state directory on the host.
    pub state_path: Option<String>,
    /// The network its container was put on.
    pub network: Option<String>,
    /// `healthy`, `unhealthy` or nothing known.
    pub engine_health: Option<String>,
    /// The turn the engine is at.
    pub current_turn: Option<i64>,
    /// Which history of the game this is.
    pub timeline: i64,
    /// A change of version under way.
    pub patch: Option<Patch>,
    /// Why the next one does not begin yet.
    pub patch_delay: Option<PatchDelay>,
    /// The one that failed last, until another is wanted.
    pub failed_patch: Option<FailedPatch>,
    /// A kept copy on its way back.
    pub put_back: Option<PutBack>,
    /// A copy of the state that is to be taken, on demand or before a turn.
    pub copying: Option<Copying>,
    /// Which player of the engine each user is, by user; there are none without an engine.
    pub players: Vec<Mapping>,
    /// How each user does, by user.
    pub standings: Vec<Standing>,
    /// When what the engine says was last kept.
    pub reported_at: Option<Timestamp>,
    /// The turn that is not done, if one was opened.
    pub turn: Option<OpenTurn>,
    /// Slots after the cursor that are known to have a turn in the ledger, ascending: no schedule
    /// fires them again.
    pub taken: Vec<Timestamp>,
    /// Slots that are on record as waiting, ascending; bounded like a decision's rows.
    pub deferred: Vec<Timestamp>,
    /// Slots up to here are decided.
    pub slot_cursor: Option<Timestamp>,
    /// The next slot.
    pub next_turn_at: Option<Timestamp>,
    /// Schedule and zone that the cursor belongs to.
    pub scheduled_by: Option<String>,
    /// A turn in flight has until then to end before the engine is stopped all the same.
    pub turn_wait_until: Option<Timestamp>,
    /// Initialisation has been decided; set before the request is sent.
    pub init_intent_at: Option<Timestamp>,
    /// What was in the state directory when initialisation was decided; none before that.
    pub init_baseline: Option<Contents>,
    /// The engine was seen to have the game.
    pub initialized_at: Option<Timestamp>,
    /// The pause was acknowledged.
    pub paused_at: Option<Timestamp>,
    /// The present run reached health.
    pub started_at: Option<Timestamp>,
    /// It was stopped.
    pub stopped_at: Option<Timestamp>,
    /// The engine said the game is over.
    pub finished_at: Option<Timestamp>,
    /// When the present attempt at starting began; its deadline counts from here.
    pub start_began_at: Option<Timestamp>,
    /// Healthy without a break since.
    pub healthy_since: Option<Timestamp>,
    /// Failed attempts in a row; decides the backoff.
    pub failures: u32,
    /// Healing restarts ever.
    pub restart_count: u32,
    /// No attempt before.
    pub next_attempt_at: Option<Timestamp>,
    /// How the last life ended.
    pub last_exit: Option<Exit>,
    /// The last lines of its log.
    pub last_log_lines: Option<String>,
    /// The container a restart takes away; set with the request's observation.
    pub restart_from: Option<ContainerId>,
    /// The container of which Docker said, at its last start, that a process may be alive, where the host
    /// could not be asked: nothing that Docker says of it later proves it dead. Until it is gone, or Docker
    /// has started it.
    pub may_be_alive: Option<ContainerId>,
    /// What it was blocked by when it last was, until it runs, is stopped or is invalid: other
    /// headlines may stand over it.
    pub blocked_by: Option<String>,
    /// What keeps the game from going on, in words; what passes in a moment is not listed.
    pub waiting_on: Vec<String>,
    /// Words for what is left until the game is as its spec says; see [`what_is_left`](super::settled::what_is_left).
    pub left_to_do: Vec<String>,
    /// The truths in detail.
    pub conditions: Vec<Condition>,
    /// The operation under way.
    pub operation: Option<OpenOperation>,
    /// When it was first seen that the game is to be deleted; grace and guard count from here.
    pub deletion_seen_at: Option<Timestamp>,
    /// The decision of the guard against mass deletion about the present deletion; none: it is not
    /// about this game.
    pub deletion_guard: Option<DeletionGuard>,
    /// The operators' latest confirmation of deletions when the guard first decided about this one. It
    /// was given for others: only a newer one speaks of this deletion.
    pub deletion_confirmed_before: Option<Timestamp>,
    /// The state is being removed since: from here on there is none that could be gone on with, whatever
    /// becomes of the row meanwhile.
    pub erasing_since: Option<Timestamp>,
    /// The deletion came to its end.
    pub deleted_at: Option<Timestamp>,
    /// What of it could not be read, and is not what it seems to be. Stays as it is where it is kept.
    pub unreadable: Vec<Unreadable>,
}

/// A column of a record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Which, in the database's word.
    pub column: &'static str,
    /// Why not.
    pub why: String,
}

impl Record {
    /// The record of a game first seen: requests that its row already carries are not outstanding.
    pub fn first_seen(requests: Requests) -> Self {
        Self {
            phase: Phase::Pending,
            reason: "Seen".into(),
            message: "The game was seen; nothing has been done yet.".into(),
            observed_generation: 0,
            observed_requests: requests,
            observed_membership_revision: 0,
            container: None,
            container_started_at: None,
            image_id: None,
            applied: None,
            endpoint: None,
            endpoints: None,
            state_path: None,
            network: None,
            engine_health: None,
            current_turn: None,
            timeline: 1,
            patch: None,
            patch_delay: None,
            failed_patch: None,
            put_back: None,
            copying: None,
            players: Vec::new(),
            standings: Vec::new(),
            reported_at: None,
            turn: None,
            taken: Vec::new(),
            deferred: Vec::new(),
            slot_cursor: None,
            next_turn_at: None,
            scheduled_by: None,
            turn_wait_until: None,
            init_intent_at: None,
            init_baseline: None,
            initialized_at: None,
            paused_at: None,
            started_at: None,
            stopped_at: None,
            finished_at: None,
            start_began_at: None,
            healthy_since: None,
            failures: 0,
            restart_count: 0,
            next_attempt_at: None,
            last_exit: None,
            last_log_lines: None,
            restart_from: None,
            may_be_alive: None,
            blocked_by: None,
            waiting_on: Vec::new(),
            left_to_do: super::settled::unseen(),
            conditions: Vec::new(),
            operation: None,
            deletion_seen_at: None,
            deletion_guard: None,
            deletion_confirmed_before: None,
            erasing_since: None,
            deleted_at: None,
            unreadable: Vec::new(),
        }
    }

    /// It is taken from its players, or is about to be: a change of version goes on that may be rolled back yet,
    /// or a copy is on its way into the place of the state. So many games at a time as have a place.
    pub fn is_disrupted(&self) -> bool {
        self.patch.as_ref().is_some_and(|patch| patch.committed_at.is_none()) || self.put_back.is_some()
    }

    /// The record that a deleted game ends with. A deletion ends everything that is open of its game:
    /// no turn, no waiting slot and no operation goes on in a later life of it. With its state gone,
    /// nothing that was known is left but which history it was the end of.
    pub fn ended(self, requests: Requests, generation: i64, state_is_gone: bool) -> Self {
        let left = if state_is_gone {
            Self {
                timeline: self.timeline,
                deletion_seen_at: self.deletion_seen_at,
                deletion_guard: self.deletion_guard,
                deletion_confirmed_before: self.deletion_confirmed_before,
                observed_generation: generation,
                ..Self::first_seen(requests)
            }
        } else {
            self
        };
        Self { turn: None, deferred: Vec::new(), operation: None, ..left }
    }

    /// The game is made again after its deletion: what its row asks for is not outstanding, and what was
    /// true of its former life is not true of this one. Kept is what speaks of a state that was kept: what
    /// it was built from, which turn of which history it is at, and what was being done to it. Its slots
    /// count from now: none fires of a time when there was no such game.
    ///
    /// Where nothing of the state is left, it is another history, in which every number comes again: a
    /// new timeline begins, and no row of the ledger is written over.
    pub fn made_again(&mut self, requests: Requests) {
        let new = Self::first_seen(requests);
        // Every field is asked: a new one has to say here whose it is.
        let Self {
            // The state's.
            image_id,
            applied,
            state_path,
            network,
            current_turn,
            timeline,
            patch,
            put_back,
            standings,
            reported_at,
            taken,
            init_intent_at,
            init_baseline,
            initialized_at,
            finished_at,
            unreadable,
            // The row's, whose numbers go on.
            observed_generation,
            observed_membership_revision,
            // The former life's.
            phase: _,
            reason: _,
            message: _,
            observed_requests: _,
            container: _,
            container_started_at: _,
            endpoint: _,
            endpoints: _,
            engine_health: _,
            patch_delay: _,
            failed_patch: _,
            copying: _,
            players: _,
            turn: _,
            deferred: _,
            slot_cursor: _,
            next_turn_at: _,
            scheduled_by: _,
            turn_wait_until: _,
            paused_at: _,
            started_at: _,
            stopped_at: _,
            start_began_at: _,
            healthy_since: _,
            failures: _,
            restart_count: _,
            next_attempt_at: _,
            last_exit: _,
            last_log_lines: _,
            restart_from: _,
            may_be_alive: _,
            blocked_by: _,
            waiting_on: _,
            left_to_do: _,
            conditions: _,
            operation: _,
            deletion_seen_at: _,
            deletion_guard: _,
            deletion_confirmed_before: _,
            erasing_since: _,
            deleted_at: _,
        } = std::mem::replace(self, new.clone());
        let has_state = init_intent_at.is_some() || initialized_at.is_some();
        *self = Self {
            image_id,
            applied,
            state_path,
            network,
            patch,
            put_back: put_back.filter(|back| back.stage == PutBackStage::Placing),
            standings,
            reported_at,
            init_intent_at,
            init_baseline,
            initialized_at,
            finished_at,
            unreadable,
            observed_generation,
            observed_membership_revision,
            ..new
        };
        if has_state {
            (self.timeline, self.current_turn, self.taken) = (timeline, current_turn, taken);
        } else {
            self.timeline = timeline + 1;
        }
    }

    /// Whether an open turn of the ledger, of this record's timeline, can be its open turn: the
    /// former life of a deleted game has none, and none is further ahead than the turn after the
    /// present one. (One that is not ahead is done; the next look at the engine says so, and it is
    /// never sent.)
    pub fn can_go_on_with(&self, turn: &OpenTurn) -> bool {
        self.deleted_at.is_none() && turn.number <= self.current_turn.unwrap_or_default().saturating_add(1)
    }

    /// The ways back that are on record: the one, and the one that is to take its place.
    pub fn put_backs(&self) -> impl Iterator<Item = &PutBack> {
        self.put_back.iter().flat_map(|back| std::iter::once(back).chain(back.instead.as_deref()))
    }

    /// The life that the record speaks of.
    pub fn life(&self) -> Option<Life> {
        Some(Life { container: self.container.clone()?, started_at: self.container_started_at.clone()? })
    }
}

/// The decision of the guard against mass deletion about one deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionGuard {
    /// It may go on, and counts against the deletions that may follow.
    Counted,
    /// It was counted, and its tear-down has begun: its engine may be gone, so that it is not held any
    /// more.
    Begun,
    /// It waits for an operator's confirmation, however long that takes.
    Held,
    /// An operator confirmed it.
    Confirmed,
}

impl DeletionGuard {
    /// The word in the database.
    pub fn as_row(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Begun => "begun",
            Self::Held => "held",
            Self::Confirmed => "confirmed",
        }
    }

    /// The decision that this word of the database stands for. An unknown word, of a later release, is
    /// the careful one.
    pub fn from_row(word: &str) -> Self {
        match word {
            "counted" => Self::Counted,
            "begun" => Self::Begun,
            "confirmed" => Self::Confirmed,
            _ => Self::Held,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::turn::{TurnCause, TurnState};

    fn open(number: i64) -> OpenTurn {
        OpenTurn {
            number,
            cause: TurnCause::Schedule,
            slot: None,
            attempts: 1,
            opened_at: Timestamp::UNIX_EPOCH,
            state: TurnState::Pending,
        }
    }

    /// A game at turn 3 of its first history, with turn 4 open.
    fn at_turn_three() -> Record {
        let began = Some(Timestamp::UNIX_EPOCH);
        Record {
            current_turn: Some(3),
            turn: Some(open(4)),
            deferred: vec![Timestamp::UNIX_EPOCH],
            init_intent_at: began,
            initialized_at: began,
            ..Record::first_seen(Requests::default())
        }
    }

    #[test]
    fn a_deletion_leaves_nothing_open_and_without_state_another_history_begins() {
        for (state_is_gone, timeline, turn) in [(true, 2, None), (false, 1, Some(3))] {
            let mut record = at_turn_three().ended(Requests::default(), 7, state_is_gone);
            record.deleted_at = Some(Timestamp::UNIX_EPOCH);
            assert!(record.turn.is_none() && record.deferred.is_empty() && record.operation.is_none());
            assert_eq!(record.timeline, 1, "the history that ended");
            record.made_again(Requests::default());
            assert_eq!((record.timeline, record.current_turn), (timeline, turn));
            assert_eq!(record.deleted_at, None);
        }
    }

    #[test]
    fn a_new_life_with_the_state_of_a_former_one_inherits_nothing_else() {
        let then = Some(Timestamp::UNIX_EPOCH);
        let former = Record {
            slot_cursor: then,
            next_turn_at: then,
            scheduled_by: Some("0 * * * * UTC".into()),
            paused_at: then,
            started_at: then,
            stopped_at: then,
            finished_at: then,
            failures: 7,
            next_attempt_at: then,
            restart_count: 3,
            blocked_by: Some("StateMissing".into()),
            waiting_on: vec!["a person".into()],
            taken: vec![Timestamp::UNIX_EPOCH],
            copying: Some(Copying::before_turn("b-1".parse().unwrap(), 4)),
            ..at_turn_three()
        };
        let mut record = former.ended(Requests::default(), 7, false);
        record.deleted_at = then;
        record.made_again(Requests { restart: 2, ..Requests::default() });
        let of_the_state = Record {
            current_turn: Some(3),
            init_intent_at: then,
            initialized_at: then,
            finished_at: then,
            taken: vec![Timestamp::UNIX_EPOCH],
            ..Record::first_seen(Requests { restart: 2, ..Requests::default() })
        };
        assert_eq!(record, of_the_state);
    }

    #[test]
    fn a_turn_goes_on_only_in_its_own_life_and_within_reach() {
        let mut record = at_turn_three();
        assert!(record.can_go_on_with(&open(3)) && record.can_go_on_with(&open(4)));
        assert!(!record.can_go_on_with(&open(5)));
        record.current_turn = None;
        assert!(record.can_go_on_with(&open(1)) && !record.can_go_on_with(&open(4)));
        record.deleted_at = Some(Timestamp::UNIX_EPOCH);
        assert!(!record.can_go_on_with(&open(1)));
    }

    #[test]
    fn inputs_that_another_build_wrote_are_read_with_less_and_with_more() {
        let known = serde_json::json!({ "engineVersion": "1.4.2", "image": "engine:1.4.2" });
        let read: AppliedSpec = serde_json::from_value(known.clone()).unwrap();
        assert_eq!((read.port, read.contract, read.run_as), (8080, Contract::GamekeeperV1, RunAs::Auto));
        assert_eq!((read.relaxations.len(), read.resources), (0, Resources::default()));
        // What is written out in full and then loses any one field is read all the same.
        let whole = serde_json::to_value(&read).unwrap();
        for field in whole.as_object().unwrap().keys().filter(|field| known.get(field).is_none()) {
            let mut less = whole.clone();
            less.as_object_mut().unwrap().remove(field);
            assert_eq!(serde_json::from_value::<AppliedSpec>(less).unwrap(), read, "{field}");
        }
        let mut more = whole.clone();
        more["resources"] = serde_json::json!({ "addedLater": 7 });
        more["addedLater"] = true.into();
        assert_eq!(serde_json::from_value::<AppliedSpec>(more).unwrap(), read);
        // A version or an image that is not there leaves nothing to go by.
        for field in ["engineVersion", "image"] {
            let mut less = whole.clone();
            less.as_object_mut().unwrap().remove(field);
            assert!(serde_json::from_value::<AppliedSpec>(less).is_err(), "{field}");
        }
    }
}
