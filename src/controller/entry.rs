//! What the loop keeps for one game.

use std::sync::Arc;

use jiff::Timestamp;

use crate::game::record::Record;
use crate::game::spec::Desired;
use crate::game::{ImageRef, Phase};
use crate::reconcile::apply::Background;
use crate::reconcile::{FailureClass, Step, Wait, Work};
use crate::store::recorder::RecordError;

use super::facts::{Facts, News};
use super::round::{Input, Output};

/// One game.
pub(super) struct Entry {
    desired: Option<Arc<Desired>>,
    row_version: i64,
    pub(super) record: Option<Record>,
    pub(super) facts: Facts,
    /// Work in its background, numbered: the end of an older one says nothing about it.
    work: Option<(u64, Work)>,
    works: u64,
    pub(super) in_round: bool,
    /// It became due while in a round.
    due_again: bool,
    /// What was learned while in a round.
    news: Vec<News>,
    /// Its row vanished while in a round.
    pub(super) gone: bool,
    /// It is part of the gauge of games by phase.
    pub(super) counted: bool,
    waits_for_person: bool,
}

/// What has to happen after a round.
pub(super) struct Ended {
    pub(super) begin: Vec<(Step, Background)>,
    pub(super) waits_for_pull: Option<ImageRef>,
    pub(super) look_again: Option<Timestamp>,
    pub(super) uses_start_slot: bool,
    pub(super) at_once: bool,
    pub(super) retry: bool,
    pub(super) newly_silent: bool,
    pub(super) deleted: bool,
    pub(super) deposed: bool,
}

impl Entry {
    /// A game of which there is a record.
    pub(super) fn known(record: Record) -> Self {
        Self { record: Some(record), ..Self::unknown() }
    }

    /// A game never seen before.
    pub(super) fn unknown() -> Self {
        Self {
            desired: None,
            row_version: 0,
            record: None,
            facts: Facts::default(),
            work: None,
            works: 0,
            in_round: false,
            due_again: false,
            news: Vec::new(),
            gone: false,
            counted: false,
            waits_for_person: false,
        }
    }

    /// Takes a new desired state.
    pub(super) fn declare(&mut self, desired: Desired, row_version: i64) {
        let requests = desired.requests;
        self.row_version = row_version;
        self.gone = false;
        match &mut self.record {
            // Made again after a deletion: what its row asks for is not outstanding.
            Some(record) if record.deleted_at.is_some() => {
                record.deleted_at = None;
                record.observed_requests = requests;
            }
            Some(_) => {}
            none => *none = Some(Record::first_seen(requests)),
        }
        self.desired = Some(Arc::new(desired));
    }

    /// At which row version, and with which engine version, its desired state was read.
    pub(super) fn seen_at(&self) -> Option<(i64, Option<String>)> {
        let desired = self.desired.as_ref()?;
        let wanted = desired.spec.as_ref().ok().and_then(|spec| spec.engine_version.as_ref());
        Some((self.row_version, wanted.map(ToString::to_string)))
    }

    pub(super) fn tell(&mut self, news: News) {
        if self.in_round {
            self.news.push(news);
        } else {
            self.facts.learn(news);
        }
    }

    /// Work begins in its background. Returns its number.
    pub(super) fn begin_work(&mut self, work: Work) -> u64 {
        self.works += 1;
        self.work = Some((self.works, work));
        self.works
    }

    /// Work came to its end. What a superseded one failed at is of no interest any more.
    pub(super) fn end_work(&mut self, number: u64, news: News) -> Option<News> {
        if self.work.as_ref().is_some_and(|(current, _)| *current == number) {
            self.work = None;
            return Some(news);
        }
        match news {
            News::Failed(_) => Some(News::ContainerStale),
            News::EngineStale(_) => Some(News::EngineStale(None)),
            News::Said(..) | News::ContainerStale | News::EverythingStale | News::Fetched(_) => Some(news),
        }
    }

    /// Nothing is desired of it any more; what is known of it stays.
    pub(super) fn row_is_gone(&mut self) {
        let (record, works) = (self.record.take(), self.works);
        *self = Self { record, works, ..Self::unknown() };
    }

    /// Whether its row is there.
    pub(super) fn is_desired(&self) -> bool {
        self.desired.is_some()
    }

    /// Since when Docker has said nothing about it.
    pub(super) fn silent_since(&self) -> Option<Timestamp> {
        self.facts.silent.as_ref().map(|(since, _)| *since)
    }

    /// A person has to act, and nothing tells when they have.
    pub(super) fn waits_for_person(&self) -> bool {
        self.waits_for_person
    }

    /// Its phase, for the gauge.
    pub(super) fn count(&mut self) -> Option<Phase> {
        self.counted = self.record.is_some();
        self.record.as_ref().map(|record| record.phase)
    }

    /// What its next round begins with; none if it has one, or nothing is desired of it.
    pub(super) fn begin_round(
        &mut self,
        start_slot: bool,
        pulling: Option<Work>,
        docker_down: Option<(Timestamp, String)>,
    ) -> Option<Input> {
        if self.in_round {
            self.due_again = true;
            return None;
        }
        let desired = self.desired.clone()?;
        let record = self.record.clone()?;
        self.in_round = true;
        let work = self.work.as_ref().map(|(_, work)| work.clone()).or(pulling);
        Some(Input { desired, record, facts: self.facts.clone(), work, start_slot, docker_down })
    }

    /// Takes in what a round leaves behind.
    pub(super) fn end_round(&mut self, output: Output) -> Ended {
        let Output {
            record,
            facts,
            begin,
            waiting_on,
            look_again,
            uses_start_slot,
            progressed,
            silent,
            deleted,
            not_recorded,
        } = output;
        self.in_round = false;
        self.record = Some(record);
        self.facts = facts;
        if waiting_on.contains(&Wait::Docker) {
            // It has to settle: the next look is at the thing itself.
            self.facts.container = None;
        }
        let news = std::mem::take(&mut self.news);
        let learned = !news.is_empty();
        for news in news {
            self.facts.learn(news);
        }
        if let Some(error) = &not_recorded {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "nothing was recorded, so nothing was done"
            );
        }
        self.waits_for_person = waiting_on.contains(&Wait::Person);
        let again = std::mem::take(&mut self.due_again) || learned || progressed;
        // A world that is not as thought is looked at again after a pause, or it would be hammered;
        // other failures are counted by the next round, which decides on the pause itself.
        let stale = self.facts.failure.as_ref().is_some_and(|failure| failure.class == FailureClass::Stale);
        let retry = not_recorded.is_some() || silent || stale;
        Ended {
            waits_for_pull: waiting_on.iter().find_map(|wait| match wait {
                Wait::Pull(image) => Some(image.clone()),
                _ => None,
            }),
            begin,
            look_again,
            uses_start_slot,
            at_once: again && !retry,
            retry,
            newly_silent: silent
                && self
                    .silent_since()
                    .is_none_or(|since| Timestamp::now().duration_since(since).as_secs() < 3),
            deleted,
            deposed: matches!(not_recorded, Some(RecordError::Deposed)),
        }
    }

    /// What an engine has to be told to be asked.
    pub(super) fn target(&self, endpoint: String) -> Option<crate::engine::Target> {
        let record = self.record.as_ref()?;
        let container = self.facts.container.as_ref()?.as_ref()?;
        Some(crate::engine::Target {
            game: self.desired.as_ref()?.id,
            endpoint,
            contract: record.applied.as_ref()?.contract,
            token: container.token.clone(),
        })
    }
}
