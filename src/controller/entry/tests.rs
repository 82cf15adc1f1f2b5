use crate::game::container::{Container, ContainerState, Owner};
use std::collections::HashMap;

use crate::game::record::{AppliedSpec, Endpoints, moved};
use crate::game::{GameId, ImageId};

use super::*;

fn running_at(endpoint: &str) -> Container {
    Container {
        id: ContainerId::new("c1"),
        owner: Owner::Game(GameId(uuid::Uuid::from_u128(7))),
        state: ContainerState::Running { started_at: "life-1".into() },
        image_id: ImageId::new("sha256:1"),
        network_id: None,
        endpoints: Endpoints::default(),
        reachable_at: Some(endpoint.to_owned()),
        epoch: Some(1),
        applied: None,
        token: None,
        unlike: None,
    }
}

/// A game that is to be deleted, whose record is as it is on disk.
fn going() -> Entry {
    let mut entry = Entry::known(Record::first_seen(Default::default()));
    let desired = Desired {
        deletion: Some(crate::game::spec::Deletion::Requested),
        ..crate::reconcile::plan::tests::world::desired()
    };
    entry.declare(desired, RowVersion::Row(1), WallClock::default());
    entry
}

#[test]
fn what_was_decided_about_a_deletion_is_written_whatever_the_round_plans() {
    let mut entry = going();
    assert!(entry.unwritten, "since when it is to be deleted");
    // A round has written it.
    entry.unwritten = false;
    assert!(entry.decide_deletion(Some(DeletionGuard::Held), None));
    assert!(entry.unwritten, "a restart must not forget that it is held");
    entry.unwritten = false;
    assert!(!entry.decide_deletion(Some(DeletionGuard::Held), None) && !entry.unwritten);
}

#[test]
fn a_confirmation_that_was_there_before_the_decision_speaks_of_no_later_deletion() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let limits = crate::reconcile::deletions::Limits::default();
    let mut spec = crate::game::controller::ControllerSpec {
        deletions_confirmed_at: Some(at("2026-11-01T12:00:00Z")),
        ..Default::default()
    };
    // The clock went back an hour since the word was given.
    let mut entry = going();
    entry.record.as_mut().unwrap().deletion_seen_at = Some(at("2026-11-01T11:10:00Z"));
    entry.decide_deletion(Some(DeletionGuard::Held), spec.deletions_confirmed_at);
    let later = at("2026-11-01T13:00:00Z");
    assert_eq!(entry.fate(&spec, &limits, later).guard(false), Some(DeletionGuard::Held));
    // A new word speaks of it, earlier though it is by the clock as it is set now.
    spec.deletions_confirmed_at = Some(at("2026-11-01T11:10:00Z"));
    assert_eq!(entry.fate(&spec, &limits, later).guard(false), Some(DeletionGuard::Confirmed));
}

#[test]
fn an_address_is_believed_until_something_is_heard_of_its_container() {
    let mut desired = crate::reconcile::plan::tests::world::desired();
    desired.requests = Default::default();
    let applied = AppliedSpec {
        engine_version: "1.4.2".parse().unwrap(),
        image: ImageRef::new("engine:1.4.2"),
        port: 8080,
        contract: Default::default(),
        run_as: Default::default(),
        relaxations: Vec::new(),
        resources: Default::default(),
    };
    let record = Record { applied: Some(applied), ..Record::first_seen(Default::default()) };
    let mut entry = Entry::known(record);
    entry.desired = Some(Arc::new(desired));
    let here = || "10.0.0.2:8080".to_owned();
    entry.facts.container = Some(Some(running_at(&here())));
    entry.facts.alive = Some(running_at(&here()));
    assert!(entry.has_container(&ContainerId::new("c1")) && !entry.has_container(&ContainerId::new("c2")));
    let (_, believed) = entry.target(here()).expect("it is there");
    assert!(believed.holds() && entry.target("10.0.0.3:8080".into()).is_none());
    // It is heard of while a round goes on, or a call waits for its place.
    entry.in_round = true;
    let clock = WallClock::default();
    entry.tell(News::ContainerStale, clock);
    assert!(!believed.holds(), "what waits is not sent");
    entry.facts.learn(News::ContainerStale, clock);
    assert!(entry.target(here()).is_none(), "nor is anything else, before the container was looked at");
    // While Docker is silent there is nobody to ask.
    entry.facts.silent = Some(Silence::of_all("no answer".into(), Timestamp::UNIX_EPOCH));
    assert!(entry.target(here()).is_some_and(|(_, believed)| believed.holds()));
    entry.facts.silent = None;
    entry.facts.container = Some(Some(running_at("10.0.0.4:8080")));
    assert!(entry.target(here()).is_none(), "another has it now");
    // Another engine than the one that was meant says that the container may have moved.
    let life = entry.facts.container.clone().flatten().and_then(|container| container.life()).unwrap();
    let answer = crate::game::engine::Answer::WrongEngine("401".into());
    entry.facts.learn(News::Said(life, Moment::now(), answer), clock);
    assert_eq!(entry.facts.container, None);
}

#[test]
fn a_clock_that_is_set_makes_no_grace_shorter() {
    let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
    let record = Record {
        deletion_seen_at: Some(at(0)),
        next_attempt_at: Some(at(8)),
        ..Record::first_seen(Default::default())
    };
    let mut entry = Entry::known(record);
    let seen = |entry: &Entry| entry.record.as_ref().and_then(|record| record.deletion_seen_at);
    entry.shift_clock(SignedDuration::from_secs(70), true);
    assert_eq!(seen(&entry), Some(at(70)));
    assert_eq!(entry.record.as_ref().and_then(|record| record.next_attempt_at), Some(at(78)));
    entry.shift_clock(SignedDuration::from_secs(-100), true);
    assert_eq!(seen(&entry), Some(at(-30)));
    assert!(entry.unwritten, "what was moved is put on record");
}

#[test]
fn a_game_whose_deletion_was_recorded_without_an_answer_begins_anew_when_it_is_made_again() {
    let written =
        Record { deleted_at: Some(Timestamp::UNIX_EPOCH), ..Record::first_seen(Default::default()) };
    for row_is_seen_to_go in [false, true] {
        let mut entry = going();
        entry.record.as_mut().unwrap().paused_at = Some(Timestamp::UNIX_EPOCH);
        let before = Moment::now();
        entry.end_unknown = Some(Moment::now());
        if row_is_seen_to_go {
            entry.row_is_gone();
        }
        assert!(entry.may_have_ended());
        assert!(!entry.learns_its_end(before, None) && entry.may_have_ended(), "that look is older");
        assert!(entry.learns_its_end(Moment::now(), Some(written.clone())) && !entry.may_have_ended());
        entry.declare(to_go(None), RowVersion::Row(1), WallClock::default());
        let record = entry.record.as_ref().unwrap();
        assert_eq!((record.deleted_at, record.paused_at), (None, None), "that was the former life's");
    }
    // It was not written: the game is what it was.
    let mut entry = going();
    entry.record.as_mut().unwrap().paused_at = Some(Timestamp::UNIX_EPOCH);
    entry.end_unknown = Some(Moment::now());
    assert!(!entry.learns_its_end(Moment::now(), None) && !entry.may_have_ended());
    assert!(entry.record.as_ref().unwrap().paused_at.is_some());
}

#[test]
fn a_look_that_began_before_a_row_went_does_not_bring_it_back() {
    let mut entry = going();
    let (began, before) = (Moment::now(), entry.has_ended_since(Moment::now()));
    entry.row_is_gone();
    assert!(!before && entry.has_ended_since(began) && !entry.has_ended_since(Moment::now()));
    // It goes on knowing, whatever becomes of it.
    entry.row_is_gone();
    assert!(entry.has_ended_since(began));
}

/// A round that began at this time and brings its record back as it was.
fn round_of(entry: &mut Entry, clock: WallClock) -> Output {
    let desired = Arc::new(crate::reconcile::plan::tests::world::desired());
    let (failures, guards) = (Failures::new(HashMap::new(), 3), Guards::default());
    let around = Around {
        start_slot: false,
        disruption_place: false,
        copying: None,
        failures: &failures,
        pulling: None,
        docker_down: None,
        docker_engine_id: None,
        guards: &guards,
        clock,
    };
    let input = entry.input(desired, around);
    entry.in_round = true;
    Output::new(input)
}

fn to_go(deletion: Option<crate::game::spec::Deletion>) -> Desired {
    Desired { deletion, ..crate::reconcile::plan::tests::world::desired() }
}

#[test]
fn a_row_that_goes_comes_and_goes_within_one_round_has_its_whole_grace() {
    let clock = WallClock::default();
    let gone = || to_go(Some(crate::game::spec::Deletion::RowGone));
    let mut entry = Entry::known(Record::first_seen(Default::default()));
    entry.declare(gone(), RowVersion::Row(1), clock);
    entry.decide_deletion(Some(DeletionGuard::Counted), None);
    // It was seen most of its grace ago.
    let earlier = moved(clock.now(), SignedDuration::from_secs(-59));
    entry.record.as_mut().unwrap().deletion_seen_at = Some(earlier);
    let mut output = round_of(&mut entry, clock);
    entry.declare(to_go(None), RowVersion::Row(2), clock);
    entry.declare(gone(), RowVersion::Row(3), clock);
    entry.decide_deletion(Some(DeletionGuard::Counted), None);
    // The round began the deletion that it knew.
    output.record.deletion_guard = Some(DeletionGuard::Begun);
    entry.end_round(output, clock);
    let record = entry.record.as_ref().unwrap();
    assert!(record.deletion_seen_at.is_some_and(|seen| seen > earlier), "{:?}", record.deletion_seen_at);
    assert_eq!(record.deletion_guard, Some(DeletionGuard::Counted), "the later one has not begun");
    assert!(entry.unwritten, "and that is put on record");
}

#[test]
fn a_deletion_that_a_round_has_begun_is_held_by_no_later_decision() {
    let (before, after, step) = set_by(3_600);
    for set in [false, true] {
        let mut entry = going();
        entry.decide_deletion(Some(DeletionGuard::Counted), None);
        let mut output = round_of(&mut entry, before);
        output.record.deletion_guard = Some(DeletionGuard::Begun);
        entry.decide_deletion(Some(DeletionGuard::Held), None);
        if set {
            entry.shift_clock(step, true);
        }
        entry.end_round(output, if set { after } else { before });
        let guard = entry.record.as_ref().and_then(|record| record.deletion_guard);
        assert_eq!(guard, Some(DeletionGuard::Begun), "its engine may be gone already");
    }
}

/// The clock as it was set before and after it was set by so much.
fn set_by(seconds: i64) -> (WallClock, WallClock, SignedDuration) {
    let step = SignedDuration::from_secs(seconds);
    let before = WallClock::default();
    (before, before.set_by(step), step)
}

#[test]
fn a_clock_that_is_set_during_a_round_is_followed_when_it_ends() {
    for seconds in [-3_600, 3_600] {
        let (before, after, step) = set_by(seconds);
        let mut entry = Entry::known(Record {
            healthy_since: Some(before.now()),
            ..Record::first_seen(Default::default())
        });
        let healthy_since = entry.record.as_ref().and_then(|record| record.healthy_since).unwrap();
        let mut output = round_of(&mut entry, before);
        entry.shift_clock(step, true);
        // The times that it takes meanwhile are of the clock that it began with.
        output.record.start_began_at = Some(output.clock.now());
        output.look_again = Some(output.clock.now() + Duration::from_secs(8));
        let ended = entry.end_round(output, after);
        let record = entry.record.as_ref().unwrap();
        assert_eq!(record.healthy_since, Some(moved(healthy_since, step)));
        let age = after.now().duration_since(record.start_began_at.unwrap());
        assert!(age.unsigned_abs() < Duration::from_secs(2), "{age}");
        let pause = ended.look_again.unwrap();
        assert!((6..=8).contains(&pause.as_secs()), "{pause:?}");
        assert!(entry.unwritten, "the record is of the clock before");
    }
}

#[test]
fn a_row_that_vanishes_in_a_round_in_which_the_clock_is_set_has_its_whole_grace() {
    for seconds in [-3_600, 3_600] {
        let (before, after, step) = set_by(seconds);
        let mut entry = Entry::known(Record::first_seen(Default::default()));
        let output = round_of(&mut entry, before);
        entry.shift_clock(step, true);
        let gone = Desired {
            deletion: Some(crate::game::spec::Deletion::RowGone),
            ..crate::reconcile::plan::tests::world::desired()
        };
        entry.declare(gone, RowVersion::Row(2), after);
        entry.end_round(output, after);
        let seen = entry.record.as_ref().and_then(|record| record.deletion_seen_at).unwrap();
        let age = after.now().duration_since(seen);
        assert!(age.unsigned_abs() < Duration::from_secs(2), "{age}");
    }
}

#[test]
fn what_an_engine_said_is_as_old_as_it_is_however_the_clock_is_set_before_it_is_learned() {
    let (_, after, _) = set_by(3_600);
    let mut facts = Facts::default();
    let life = crate::game::record::Life { container: ContainerId::new("c1"), started_at: "life-1".into() };
    let answer = crate::game::engine::Answer::NotInitialised;
    facts.learn(News::Said(life, Moment::now(), answer), after);
    let crate::reconcile::EngineView::Said { at, .. } = facts.engine else { panic!("it said something") };
    assert!(after.now().duration_since(at).unsigned_abs() < Duration::from_secs(2));
}
