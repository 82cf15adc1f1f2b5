//! Every event arrives at least once, each game's in order, whatever the lobby does.

use std::time::{Duration, Instant};

use gamekeeper::store::outbox::{OutboxChange, OutboxState};

use crate::receiver::in_order;
use crate::receiver::{Answer, Lobby};
use crate::world::{World, game, snapshot};

#[tokio::test(flavor = "multi_thread")]
async fn many_games_are_told_side_by_side_and_each_in_order() {
    let mut world = World::new().await;
    for number in 1..=30 {
        world.tells(game(number), 5).await;
    }
    world.deliver();
    world.told().await;
    for number in 1..=30 {
        world.tells(game(number), 3).await;
    }
    world.told().await;
    let last = in_order(&world.lobby.received());
    assert_eq!(last.len(), 30);
    assert!(last.values().all(|seq| *seq == 8), "{last:?}");
    // A lobby that takes everything is told everything once.
    assert_eq!(world.lobby.received().len(), 30 * 8);
    world.end_delivery().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lobby_that_is_away_is_told_when_it_comes_back() {
    let mut world = World::new().await;
    world.lobby.goes_away().await;
    world.deliver();
    for number in 1..=5 {
        world.tells(game(number), 10).await;
    }
    // Nothing else waits for a lobby that is away.
    let began = Instant::now();
    world.tells(game(6), 1).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    world.until("all games were tried", async || world.find(OutboxState::Retrying).await.len() == 6).await;
    let failing = world.find(OutboxState::Retrying).await;
    assert!(failing.iter().all(|event| event.seq == 1 && event.refusals == 0), "{failing:?}");
    assert!(failing[0].last_error.as_ref().unwrap().contains("refused"), "{:?}", failing[0]);
    world.lobby.comes_back().await;
    world.told().await;
    assert_eq!(in_order(&world.lobby.received()).values().sum::<i64>(), 51);
    assert_eq!(world.find(OutboxState::SetAside).await, []);
    world.end_delivery().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_slowness_and_broken_connections_lose_nothing() {
    let mut world = World::new().await;
    world.deadline = Duration::from_millis(300);
    let mut turn = 0;
    world.lobby.answers(move |_| {
        turn += 1;
        match turn % 7 {
            0 => Answer::Status(500),
            1 => Answer::Dies,
            2 => Answer::Slow(Duration::from_secs(2)),
            3 => Answer::Status(503),
            4 => Answer::Status(429),
            5 => Answer::Status(408),
            _ => Answer::Status(200),
        }
    });
    for number in 1..=4 {
        world.tells(game(number), 4).await;
    }
    world.deliver();
    world.told().await;
    let received = world.lobby.received();
    assert_eq!(in_order(&received).values().copied().collect::<Vec<_>>(), [4, 4, 4, 4]);
    assert!(received.len() > 50, "{}", received.len());
    assert_eq!(world.find(OutboxState::SetAside).await, []);
    world.end_delivery().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let mut world = World::new().await;
    let elsewhere = Lobby::new().await;
    let to = elsewhere.url();
    world.lobby.answers(move |_| Answer::Redirect(to.clone()));
    world.tells(game(1), 1).await;
    world.deliver();
    world.until("it was tried often", async || world.lobby.received().len() > 6).await;
    assert_eq!(elsewhere.received().len(), 0);
    let failing = world.find(OutboxState::Retrying).await;
    assert!(failing[0].last_error.as_ref().unwrap().contains("redirects are not followed"), "{failing:?}");
    world.lobby.answers(|_| Answer::Status(200));
    world.told().await;
    assert_eq!(elsewhere.received().len(), 0);
    world.end_delivery().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_counts_from_its_status() {
    let mut world = World::new().await;
    world.lobby.answers(|_| Answer::Endless);
    world.tells(game(1), 2).await;
    world.deliver();
    world.told().await;
    assert_eq!(world.lobby.received().len(), 2);
    world.end_delivery().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_set_aside_and_the_rest_of_its_game_goes_on() {
    let mut world = World::new().await;
    world.lobby.answers(|received| match (received.game().ends_with('1'), received.seq()) {
        (true, 3) => Answer::Status(422),
        (true, 5) => Answer::Status(410),
        _ => Answer::Status(204),
    });
    world.tells(game(1), 6).await;
    world.tells(game(2), 6).await;
    world.deliver();
    world.told().await;
    let received = world.lobby.received();
    let last = in_order(&received);
    assert!(last.values().all(|seq| *seq == 6), "{last:?}");
    let times = |seq| received.iter().filter(|e| e.game().ends_with('1') && e.seq() == seq).count();
    assert_eq!([1, 2, 3, 4, 5, 6].map(times), [1, 1, 4, 1, 4, 1]);
    let aside = world.find(OutboxState::SetAside).await;
    assert_eq!(aside.iter().map(|event| event.seq).collect::<Vec<_>>(), [3, 5]);
    assert_eq!(aside[0].last_error.as_deref(), Some("the lobby answered 422: so it is"));
    let told = world.store.events(game(1), 10).await.unwrap();
    assert_eq!(told.iter().filter(|event| event.reason == "OutboxSetAside").count(), 2, "{told:?}");

    // Somebody mends the lobby, and has it told again.
    world.lobby.answers(|_| Answer::Status(204));
    let asked = world.store.change_outbox(game(1), OutboxChange::Retry(Some(3)), "admin", false).await;
    assert_eq!(asked.unwrap(), 1);
    world.told().await;
    let again = world.lobby.received();
    assert_eq!(again.last().unwrap().id(), aside[0].event.to_string());
    assert_eq!(world.find(OutboxState::SetAside).await.len(), 1);
    world.end_delivery().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lobby_that_was_away_for_long_is_not_given_up_at_its_first_refusal() {
    let mut world = World::new().await;
    let mut times = 0;
    world.lobby.answers(move |_| {
        times += 1;
        match times {
            1..=9 => Answer::Status(502),
            10..=12 => Answer::Status(400),
            _ => Answer::Status(200),
        }
    });
    world.tells(game(1), 1).await;
    world.deliver();
    world.told().await;
    assert_eq!(world.find(OutboxState::SetAside).await, []);
    assert_eq!(world.lobby.received().len(), 13);
    world.end_delivery().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deliverer_that_is_killed_goes_on_under_the_same_ids() {
    let mut world = World::new().await;
    for number in 1..=3 {
        world.tells(game(number), 30).await;
    }
    for round in 1..=6 {
        // Killed in the middle of a request: sent, and not marked.
        world.lobby.answers(|_| Answer::Slow(Duration::from_millis(5)));
        world.deliver();
        world.until("some are told", async || world.lobby.received().len() >= round * 12).await;
        world.kill_delivery().await;
    }
    world.deliver();
    world.told().await;
    let received = world.lobby.received();
    assert_eq!(in_order(&received).values().copied().collect::<Vec<_>>(), [30, 30, 30]);
    world.end_delivery().await;
    // Told to end, nothing is under way any more.
    world.tells(game(1), 1).await;
    let before = world.lobby.received().len();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(world.lobby.received().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_and_not_marked_is_told_again_under_the_same_id() {
    let mut world = World::new().await;
    world.deadline = Duration::from_secs(60);
    world.lobby.answers(|_| Answer::Slow(Duration::from_secs(60)));
    world.tells(game(1), 2).await;
    world.deliver();
    world.until("the lobby has it", async || world.lobby.received().len() == 1).await;
    world.kill_delivery().await;
    assert_eq!(world.find(OutboxState::Pending).await.len(), 2, "nothing was marked");
    world.lobby.answers(|_| Answer::Status(204));
    world.deliver();
    world.told().await;
    let received = world.lobby.received();
    assert_eq!(received.iter().map(|event| event.seq()).collect::<Vec<_>>(), [1, 1, 2]);
    assert_eq!((received[0].id(), &received[0].text), (received[1].id(), &received[1].text));
    world.end_delivery().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deliverer_ends_soon_though_the_lobby_hangs() {
    let mut world = World::new().await;
    world.deadline = Duration::from_secs(60);
    world.lobby.answers(|_| Answer::Slow(Duration::from_secs(60)));
    world.tells(game(1), 1).await;
    world.deliver();
    world.until("it is asked", async || !world.lobby.received().is_empty()).await;
    let began = Instant::now();
    world.end_delivery().await;
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_tells_the_same_events_again_under_the_same_ids() {
    let mut world = World::new().await;
    world.tells(game(1), 5).await;
    world.tells(game(2), 5).await;
    world.deliver();
    world.told().await;
    let first = world.lobby.received();
    let ids = |received: &[crate::receiver::Received]| {
        let of_game = received.iter().filter(|event| event.game().ends_with('1') && event.seq() >= 3);
        of_game.map(|event| event.id().to_owned()).collect::<Vec<_>>()
    };
    let asked = world.store.change_outbox(game(1), OutboxChange::Replay(3), "admin", false).await;
    assert_eq!(asked.unwrap(), 3);
    world.told().await;
    let all = world.lobby.received();
    assert_eq!(all.len(), first.len() + 3);
    assert_eq!(ids(&all[first.len()..]), ids(&first));
    world.end_delivery().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hanging_game_waits_for_delays_no_other() {
    let mut world = World::new().await;
    world.deadline = Duration::from_secs(60);
    world.lobby.answers(|received| {
        if received.game().ends_with('1') {
            Answer::Slow(Duration::from_secs(60))
        } else {
            Answer::Status(200)
        }
    });
    world.tells(game(1), 1).await;
    world.deliver();
    world.until("it hangs", async || world.lobby.received().len() == 1).await;
    for number in [2, 3, 4] {
        world.records(game(number), vec![snapshot(1), snapshot(2)]).await;
    }
    world.until("the others are told", async || world.find(OutboxState::Delivered).await.len() == 6).await;
    world.kill_delivery().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_another_clock_took_is_no_longer_than_any_pause() {
    let mut world = World::new().await;
    world.tells(game(1), 1).await;
    world.tells(game(2), 1).await;
    for (number, minutes) in [(1, 6), (2, 40 * 24 * 60)] {
        let then = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
        let of = format!("WHERE CAST(game_id AS text) LIKE '%{number}'");
        world.database.sql(&format!("UPDATE lobby_outbox SET next_attempt_at = '{then}' {of}")).await;
    }
    world.deliver();
    world.told().await;
    world.end_delivery().await;
}
