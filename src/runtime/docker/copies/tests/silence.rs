//! The silence of a disk: work that stands still for others is not silent, and work that hangs is
//! however often it was to stand still.

use std::time::{Duration, Instant};

use super::super::watch::{Waiting, attend};
use super::*;

const SILENCE: Duration = Duration::from_secs(1);

fn nobody_asks() -> (PausedGames, Watch, Waiting) {
    let paused = PausedGames::default();
    let (watch, waiting) = Watch::new();
    (paused.clone(), watch.pausing_with(paused, game()), waiting)
}

#[tokio::test]
async fn a_copy_that_has_to_stand_still_for_longer_than_a_disk_may_be_silent_goes_on_afterwards() {
    let (paused, watch, waiting) = nobody_asks();
    let work = async {
        tokio::time::sleep(SILENCE / 4).await;
        // In the middle of it, after the wait for it began.
        paused.pause(game(), true);
        let (copier, standing) = (watch.clone(), tokio::task::spawn_blocking(move || watch.at(|_| {})));
        tokio::time::sleep(3 * SILENCE).await;
        assert!(!standing.is_finished());
        paused.pause(game(), false);
        standing.await.expect("no panic").expect("somebody waits");
        drop(copier);
        "copied"
    };
    let done = attend(work, waiting, paused.of(game()), SILENCE, &|_| {}).await;
    assert_eq!(done, Some("copied"));
}

/// Far more than a disk has to answer for before that is told.
fn with_many_names(world: &World) {
    for name in 0..2_500 {
        fs::write(world.state().join(name.to_string()), "").expect("a file");
    }
}

type Look = fn(&OwnedFd, &Watch) -> Result<survey::Survey, CopyError>;

#[test]
fn a_state_of_many_names_is_looked_through_without_silence_and_not_for_nobody() {
    let world = World::in_memory();
    with_many_names(&world);
    let top = OwnedFd::from(fs::File::open(world.state()).expect("a directory"));
    for look in [survey::survey as Look, survey::survey_as_copied] {
        let (watch, waiting) = Watch::new();
        assert_eq!(look(&top, &watch).expect("a survey").files, 2_500);
        assert!(waiting.progress.has_changed().expect("somebody tells"), "the disk answered all the time");
        drop(waiting);
        assert!(matches!(look(&top, &watch), Err(CopyError::Cancelled)));
    }
    let (watch, waiting) = Watch::new();
    world.root.check_room_for_patch(game(), &watch).expect("there is room");
    assert!(waiting.progress.has_changed().expect("somebody tells"));
    drop(waiting);
    assert!(matches!(world.root.check_room_for_patch(game(), &watch), Err(CopyError::Cancelled)));
}

#[tokio::test]
async fn a_disk_that_hangs_right_after_a_pause_is_noticed() {
    for begins_paused in [true, false] {
        let (paused, _watch, waiting) = nobody_asks();
        paused.pause(game(), begins_paused);
        let goes_on = async {
            tokio::time::sleep(SILENCE / 4).await;
            paused.pause(game(), true);
            tokio::time::sleep(2 * SILENCE).await;
            paused.pause(game(), false);
            Instant::now()
        };
        let hangs = attend(std::future::pending::<()>(), waiting, paused.of(game()), SILENCE, &|_| {});
        let noticed = async {
            let done = tokio::time::timeout(20 * SILENCE, hangs).await;
            (done.expect("nobody noticed"), Instant::now())
        };
        let (went_on, (done, at)) = tokio::join!(goes_on, noticed);
        assert!(done.is_none() && at > went_on, "{begins_paused}: noticed while it had to stand still");
    }
}

#[tokio::test]
async fn a_disk_that_hangs_is_noticed_however_often_its_copy_gives_its_place_away() {
    let (paused, _watch, waiting) = nobody_asks();
    let turns = async {
        loop {
            tokio::time::sleep(SILENCE / 8).await;
            paused.pause(game(), true);
            tokio::time::sleep(SILENCE / 8).await;
            paused.pause(game(), false);
        }
    };
    let hangs = attend(std::future::pending::<()>(), waiting, paused.of(game()), SILENCE, &|_| {});
    tokio::select! {
        () = turns => unreachable!(),
        done = hangs => assert_eq!(done, None),
        () = tokio::time::sleep(40 * SILENCE) => panic!("nobody noticed"),
    }
}
