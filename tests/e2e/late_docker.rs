//! Docker, the disk or the database is slow, or stops in the middle: nobody else waits for that, and what was seen
//! before takes the place of nothing that is so since.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gamekeeper::controller::Limits;
use gamekeeper::game::container::Rival;
use gamekeeper::game::{Backup, BackupReason, GameId};

use crate::crowd::world::{Crowd, Docker};

/// Waits until this is so.
async fn eventually(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < Duration::from_secs(30), "not so: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Has this game's container looked at, and gives how long that took to begin.
async fn look(docker: &Docker, game: GameId) -> Duration {
    let (began, before) = (Instant::now(), docker.times_asked(&[game]));
    docker.tell(game);
    eventually("it is looked at", async || docker.times_asked(&[game]) > before).await;
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_about_which_docker_hangs_keep_no_other_game_waiting() {
    let docker = Arc::<Docker>::default();
    let limits = Limits { rounds: 4, ..Limits::default() };
    let crowd = Crowd::on(docker.clone(), 16, limits, Duration::from_secs(60)).await;
    let (hung, well) = crowd.games.split_at(12);
    docker.hung.lock().unwrap().extend(hung);
    let before = docker.times_asked(hung);
    for game in hung {
        docker.tell(*game);
    }
    // All places are taken by those of which nobody knows yet that they hang. What is known is enough for a turn.
    eventually("the first are asked about", async || docker.times_asked(hung) >= before + 4).await;
    let forced = Instant::now();
    crowd.sql(&format!("UPDATE games SET force_turn_generation = 1 WHERE game_id = '{}'", well[0])).await;
    eventually("a turn", async || crowd.count("SELECT count(*) FROM turns WHERE state = 'done'").await == 1)
        .await;
    assert!(forced.elapsed() < Duration::from_secs(30), "{:?}", forced.elapsed());
    eventually("all were asked about", async || docker.times_asked(hung) >= before + 12).await;
    tokio::time::sleep(Docker::DEADLINE).await;
    // From now on they are known to hang.
    let began = Instant::now();
    let (mut waited, known) = (Vec::new(), docker.times_asked(hung));
    while began.elapsed() < Duration::from_secs(15) {
        for game in well {
            waited.push(look(&docker, *game).await);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // One place of four: at most one call at a time.
    let (again, most) = (docker.times_asked(hung) - known, began.elapsed().as_secs() / 3 + 2);
    assert!((1..=most).contains(&(again as u64)), "asked {again} times, and {most} at the most");
    waited.sort();
    let (most_waits, longest) = (waited[waited.len() * 9 / 10], waited[waited.len() - 1]);
    println!(
        "looked {} times, nine of ten within {most_waits:?}, the longest wait {longest:?}",
        waited.len()
    );
    assert!(most_waits < Docker::DEADLINE / 3, "{most_waits:?}");
    // An event about one of them is a reason to ask at once, and Docker is believed again.
    docker.hung.lock().unwrap().clear();
    let unknown = "SELECT count(*) FROM runtime_records WHERE status = 'running'";
    for game in hung {
        docker.tell(*game);
    }
    crowd.until("all run again", unknown).await;
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_that_is_asked_for_while_docker_is_slow_is_not_lifted_by_the_look_that_was_under_way() {
    let docker = Arc::<Docker>::default();
    let crowd = Crowd::on(docker.clone(), 3, Limits::default(), Duration::from_secs(1)).await;
    docker.lists.send_replace(false);
    let lists = docker.lists_begun.load(Ordering::SeqCst);
    eventually("a list begins", async || docker.lists_begun.load(Ordering::SeqCst) > lists).await;
    // It has read that nobody wants a freeze.
    crowd.sql("UPDATE controller_spec SET frozen = 1, frozen_because = 'a test'").await;
    let frozen = "SELECT count(*) FROM runtime_records WHERE reason = 'FrozenByHand'";
    crowd.until("all are frozen", frozen).await;
    let lists = docker.lists_begun.load(Ordering::SeqCst);
    docker.lists.send_replace(true);
    eventually("two more", async || docker.lists_begun.load(Ordering::SeqCst) > lists + 2).await;
    let told = "SELECT count(*) FROM events WHERE reason = 'Unfrozen'";
    assert_eq!((crowd.count(told).await, crowd.count(frozen).await), (0, 3));
    crowd.sql("UPDATE controller_spec SET frozen = 0").await;
    crowd.until("they go on", "SELECT count(*) FROM runtime_records WHERE reason = 'Running'").await;
    assert_eq!(crowd.count(told).await, 1);
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_hang_keep_nobody_from_asking_about_containers() {
    let docker = Arc::<Docker>::default();
    let limits = Limits { rounds: 4, ..Limits::default() };
    let crowd = Crowd::on(docker.clone(), 16, limits, Duration::from_secs(60)).await;
    let (ended, well) = crowd.games.split_at(12);
    docker.logs_hang.send_replace(true);
    let before = docker.times_asked(ended);
    for game in ended {
        crowd.fates.dies(*game);
    }
    eventually("the first are asked about", async || docker.times_asked(ended) >= before + 4).await;
    for game in well {
        let waited = look(&docker, *game).await;
        assert!(waited < Duration::from_secs(30), "{waited:?}");
    }
    // They are healed, and what stands in place of the log says so.
    eventually("all are healed", async || ended.iter().all(|game| crowd.fates.started(*game) > 0)).await;
    let told = "SELECT count(*) FROM runtime_records WHERE last_log_lines LIKE '(the log could not be read in time%'";
    crowd.until_so_many(12, "all say that the log is missing", told).await;
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_hangs_while_docker_answers_about_the_container_is_told() {
    let docker = Arc::<Docker>::default();
    let crowd = Crowd::on(docker.clone(), 2, Limits::default(), Duration::from_secs(60)).await;
    *docker.images_hang.lock().unwrap() = Some(Duration::from_millis(300));
    crowd.fates.vanishes(crowd.games[0]);
    docker.tell(crowd.games[0]);
    let told =
        "SELECT count(*) FROM runtime_records WHERE reason = 'DockerTooSlow' AND next_attempt_at IS NOT NULL";
    crowd.until_so_many(1, "it is told, and tried again later", told).await;
    let events = "SELECT count(*) FROM events WHERE reason = 'DockerTooSlow'";
    assert_eq!(crowd.count(events).await, 1);
    crowd.end().await;
}

/// The ends of the crowd's restores and restarts, as they are on record.
fn ended(op: &str, code: &str) -> String {
    format!(
        "SELECT count(*) FROM operation_log WHERE op = '{op}' AND status = 'failed' AND error_code = '{code}'"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_not_there_is_looked_for_by_the_next_restore() {
    let docker = Arc::<Docker>::default();
    let crowd = Crowd::on(docker.clone(), 1, Limits::default(), Duration::from_secs(60)).await;
    let restore = async |generation: u32| {
        crowd
            .sql(&format!(
                "UPDATE games SET restore_backup_id = 'archived', restore_generation = {generation}"
            ))
            .await;
    };
    restore(1).await;
    crowd.until_so_many(1, "it is refused", &ended("restore", "NoSuchBackup")).await;
    // Brought back from where it was archived.
    docker.backups.lock().unwrap().push(Backup {
        id: "archived".parse().unwrap(),
        game: crowd.games[0],
        taken_at: jiff::Timestamp::UNIX_EPOCH,
        reason: BackupReason::Demand,
        turn: Some(0),
        timeline: Some(1),
        build: None,
        files: 1,
        bytes: 1,
        left_out: 0,
        digest: String::new(),
    });
    restore(2).await;
    let over = "SELECT count(*) FROM operation_log WHERE op = 'restore' AND status = 'failed'";
    crowd.until_so_many(2, "it is found, and cannot be fetched here", over).await;
    assert_eq!(crowd.count(&ended("restore", "NoSuchBackup")).await, 1);
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_state_is_looked_for_again_after_a_decision_that_was_not_recorded() {
    let docker = Arc::<Docker>::default();
    let crowd = Crowd::on(docker.clone(), 1, Limits::default(), Duration::from_secs(60)).await;
    crowd
        .sql(
            "CREATE TRIGGER no_restart BEFORE UPDATE ON runtime_records WHEN NEW.reason = 'Replacing'
             BEGIN SELECT RAISE(ABORT, 'not this one'); END",
        )
        .await;
    crowd.sql("UPDATE games SET restart_generation = 1").await;
    // Nobody else has the state, and the restart is about to begin; what comes between is no reason to believe that
    // for ever.
    eventually("it is looked for", async || docker.rivals_asked.load(Ordering::SeqCst) == 1).await;
    *docker.rival.lock().unwrap() = Some(Rival::Container("sidecar has it mounted for writing".into()));
    crowd.until_so_many(1, "the restart is refused", &ended("restart", "DirectoryInUse")).await;
    // That the database refuses it is told, though each decision has its own look.
    *docker.rival.lock().unwrap() = None;
    crowd.sql("UPDATE games SET restart_generation = 2").await;
    crowd.until_so_many(1, "it is told", &ended("restart", "Blocked")).await;
    assert_eq!((crowd.fates.is_alive(crowd.games[0]), crowd.fates.started(crowd.games[0])), (true, 0));
    crowd.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_a_freeze_interrupts_is_gone_on_with_and_not_taken_for_done() {
    let docker = Arc::<Docker>::default();
    let crowd = Crowd::on(docker.clone(), 1, Limits::default(), Duration::from_millis(200)).await;
    let game = crowd.games[0];
    crowd.fates.disk_hangs(true);
    crowd
        .sql("UPDATE games SET deletion_policy = 'delete', deletion_requested_at = '2026-01-01T00:00:00Z'")
        .await;
    eventually("its state is being removed", async || crowd.fates.removing() == 1).await;
    // Everything is looked at while it goes on, more than once.
    let lists = docker.lists_begun.load(Ordering::SeqCst);
    eventually("lists", async || docker.lists_begun.load(Ordering::SeqCst) > lists + 3).await;
    // From now on no list comes in time to say that everything has to be looked at.
    docker.lists.send_replace(false);
    crowd.sql("UPDATE controller_spec SET frozen = 1, frozen_because = 'a test'").await;
    let frozen = "SELECT count(*) FROM runtime_records WHERE reason = 'FrozenByHand'";
    crowd.until_so_many(1, "it is frozen", frozen).await;
    eventually("the removal stands still", async || crowd.fates.removing() == 0).await;
    crowd.sql("UPDATE controller_spec SET frozen = 0").await;
    let games = "SELECT count(*) FROM games";
    eventually("it goes on", async || crowd.fates.removing() == 1 || crowd.count(games).await == 0).await;
    assert_eq!((crowd.count(games).await, crowd.fates.is_half_removed(game)), (1, true));
    crowd.fates.disk_hangs(false);
    docker.lists.send_replace(true);
    crowd.until_so_many(0, "it is deleted", games).await;
    assert!(!crowd.fates.is_half_removed(game));
    crowd.end().await;
}
