use std::sync::mpsc;
use std::time::Duration;

use super::*;

/// Far longer than anything here takes that does not hang.
const LONG: Duration = Duration::from_secs(20);

fn game(number: u128) -> GameId {
    GameId(uuid::Uuid::from_u128(number))
}

/// Work that hangs until this is dropped.
struct Hanging {
    until: Arc<Mutex<mpsc::Receiver<()>>>,
    _holds: mpsc::Sender<()>,
}

impl Hanging {
    fn new() -> Self {
        let (holds, until) = mpsc::channel();
        Self { until: Arc::new(Mutex::new(until)), _holds: holds }
    }

    /// Gives up on so many calls of different games that hang.
    async fn given_up(&self, disk: &Arc<Disk>, lane: Lane, games: std::ops::Range<u128>) {
        let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let begins = games.clone().count().min(lane.threads());
        let calls = games.map(|number| {
            let (disk, until, began) = (disk.clone(), self.until.clone(), began.clone());
            tokio::spawn(async move {
                let hang = move || {
                    let _ = began.send(());
                    let _ = until.lock().map(|until| until.recv());
                };
                disk.run(lane, Some(game(number)), hang).await
            })
        });
        let calls: Vec<_> = calls.collect();
        for _ in 0..begins {
            begun.recv().await.expect("it hangs");
        }
        calls.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

async fn is_served(disk: &Disk, lane: Lane, number: u128) -> bool {
    let run = disk.run(lane, Some(game(number)), || 7);
    tokio::time::timeout(LONG, run).await.is_ok_and(|done| done.is_ok_and(|done| done == 7))
}

#[tokio::test]
async fn removals_and_copies_that_hang_leave_looks_and_the_ground_their_threads() {
    let disk = Arc::new(Disk::default());
    let hanging = Hanging::new();
    for lane in [Lane::Removal, Lane::Prune, Lane::Copy, Lane::PutBack, Lane::Survey, Lane::Promise] {
        hanging.given_up(&disk, lane, 0..600).await;
    }
    let ground = tokio::time::timeout(LONG, disk.run(Lane::Ground, None, || 7)).await;
    assert_eq!(ground.expect("a thread").expect("no panic"), 7);
    assert!(is_served(&disk, Lane::Look, 1).await, "a look at a game whose removal hangs");
    // Others need a thread, too, the database among them.
    let other = tokio::time::timeout(LONG, tokio::task::spawn_blocking(|| 7)).await;
    assert_eq!(other.expect("a thread").expect("no panic"), 7);
    drop(hanging);
}

#[tokio::test]
async fn one_game_whose_disk_hangs_takes_no_thread_from_others() {
    let disk = Arc::new(Disk::default());
    let hanging = Hanging::new();
    // As often as it is tried again.
    for _ in 0..MOST_OF_ONE_GAME {
        hanging.given_up(&disk, Lane::Look, 1..2).await;
    }
    for _ in 0..2 * Lane::Look.threads() {
        let again = disk.run(Lane::Look, Some(game(1)), || panic!("it had no place"));
        assert!(tokio::time::timeout(Duration::from_millis(1), again).await.is_err());
    }
    assert!(is_served(&disk, Lane::Look, 2).await);
    drop(hanging);
    assert!(is_served(&disk, Lane::Look, 1).await, "and its own, once that is over");
    assert!(disk.games.lock().expect("no panic").len() <= 2, "what is not used is forgotten");
}
