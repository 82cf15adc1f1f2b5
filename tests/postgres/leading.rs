//! One leads, the others stand by.

use std::time::{Duration, Instant};

use gamekeeper::store::LEASE;

use crate::cluster::Cluster;
use crate::database::Database;
use crate::replica::Replica;
use crate::world::{World, container, docker, inspect};

/// How long the first deed of a new leader may take after the lease ended, on a busy machine.
const FIRST_DEED: Duration = Duration::from_secs(5);

async fn holder(world: &World) -> String {
    world.rows("SELECT holder FROM leases").await[0].get(0)
}

async fn epoch(world: &World) -> i64 {
    world.count("SELECT epoch FROM leases").await
}

/// Two controllers, of which the first leads, and a game that runs.
async fn two(cluster: &Cluster) -> (World, Replica, Replica, String) {
    let world = World::on(Database::on(&cluster.url()));
    let first = Replica::start(&world, "first");
    world.register("1.4.2", "gamekeeper/reference-engine:1.4.2").await;
    let second = Replica::start(&world, "second");
    assert!(!first.stands_by() && second.stands_by(), "{} {}", first.line, second.line);
    assert!(first.is_holder(&holder(&world).await));
    let game = world.running("shared").await;
    (world, first, second, game)
}

/// Its engine dies. Gives when.
fn dies(game: &str) -> Instant {
    docker(&["kill", &container(game)]);
    Instant::now()
}

async fn healed(world: &World, game: &str, restarts: i64) {
    world.until(game, "healed", |s| s.phase == "running" && s.restarts == restarts).await;
}

#[tokio::test]
async fn another_one_acts_within_the_lease_after_the_leader_was_killed() {
    let cluster = Cluster::start();
    let (world, first, second, game) = two(&cluster).await;
    first.signal("-KILL");
    let killed = dies(&game);
    healed(&world, &game, 1).await;
    let took = killed.elapsed();
    eprintln!("a killed leader's game was healed by the next one after {took:?}");
    assert!(took < LEASE + FIRST_DEED, "{took:?}");
    assert!(second.is_holder(&holder(&world).await));
    assert_eq!((epoch(&world).await, world.inits(&game)), (2, 1));
}

#[tokio::test]
async fn a_leader_that_is_told_to_end_hands_over_at_once() {
    let cluster = Cluster::start();
    let (world, first, second, game) = two(&cluster).await;
    let told = Instant::now();
    first.signal("-TERM");
    world.eventually("the other one leads", async || second.is_holder(&holder(&world).await)).await;
    let took = told.elapsed();
    eprintln!("handed over after {took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(first.end(), Some(0));
    dies(&game);
    healed(&world, &game, 1).await;
}

#[tokio::test]
async fn a_standby_serves_the_api_takes_writes_and_says_who_leads() {
    let cluster = Cluster::start();
    let (world, first, second, game) = two(&cluster).await;
    let leader = second.ok(&["leader"]);
    assert!(leader.contains(&holder(&world).await) && leader.contains("epoch 1"), "{leader}");
    assert_eq!(leader, first.ok(&["leader"]));
    let status = second.ok(&["status"]);
    assert!(status.contains("StandingBy"), "{status}");
    second.ok(&["restart", "shared", "--wait", "--timeout", "60s"]);
    assert!(second.ok(&["get", "games"]).contains("shared"));
    assert!(world.operations(&game).await.contains(&"restart succeeded".to_owned()));
    // What only the loop knows, only the leader tells.
    let asked = second.gk(&["explain", "shared"]);
    let told = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(!asked.status.success() && told.contains("gamekeeper leader"), "{told}");
    first.ok(&["explain", "shared"]);
}

#[tokio::test]
async fn a_standby_never_says_that_nothing_is_held_lost_or_frozen() {
    let cluster = Cluster::start();
    let (world, first, second, _game) = two(&cluster).await;
    let holder = holder(&world).await;
    for verb in [
        &["confirm-deletions", "--yes"][..],
        &["adopt"],
        &["unfreeze", "--wait"],
        &["freeze", "--because", "a move", "--wait"],
    ] {
        let ran = second.gk(verb);
        let told = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(!ran.status.success() && told.contains(&format!("{holder} leads")), "{verb:?} {told}");
        assert!(ran.stdout.is_empty(), "{verb:?} {ran:?}");
    }
    // The leader knows it, and does what is asked for anywhere.
    first.ok(&["confirm-deletions", "--yes"]);
    first.ok(&["adopt"]);
    second.ok(&["freeze", "--because", "a move"]);
    first.ok(&["freeze", "--because", "a move", "--wait"]);
    second.ok(&["unfreeze"]);
    first.ok(&["unfreeze", "--wait"]);
}

#[tokio::test]
async fn a_suspended_leader_decides_nothing_when_it_wakes_up() {
    let cluster = Cluster::start();
    let (world, first, second, game) = two(&cluster).await;
    first.signal("-STOP");
    dies(&game);
    healed(&world, &game, 1).await;
    assert!(second.is_holder(&holder(&world).await));
    let life = inspect(&game, "{{.Id}} {{.State.StartedAt}}");
    // While it sleeps more happens that it has not seen.
    second.ok(&["restart", "shared", "--wait", "--timeout", "60s"]);
    let now = inspect(&game, "{{.Id}} {{.State.StartedAt}}");
    assert_ne!(life, now);
    let operations = world.operations(&game).await;
    first.signal("-CONT");
    world
        .eventually("it knows that it does not lead", async || {
            first.log().contains("the lead is lost") && first.ok(&["status"]).contains("StandingBy")
        })
        .await;
    assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), now);
    assert_eq!(world.operations(&game).await, operations);
    assert!(second.is_holder(&holder(&world).await));
    assert_eq!((epoch(&world).await, world.inits(&game)), (2, 1));
    // And it can lead again.
    assert_eq!(second.end(), Some(0));
    dies(&game);
    healed(&world, &game, 2).await;
    assert!(first.is_holder(&holder(&world).await));
}

#[tokio::test]
async fn a_candidate_without_the_state_root_says_so_and_does_not_lead() {
    let cluster = Cluster::start();
    let (world, first, second, game) = two(&cluster).await;
    drop(second);
    let elsewhere = world.dir.path().join("elsewhere");
    let blind = Replica::start_on(&world, "blind", &elsewhere);
    let ready = blind.gk(&["status"]);
    let told = String::from_utf8_lossy(&ready.stdout).into_owned();
    assert!(!ready.status.success() && told.contains("StateRootMissing"), "{told}");
    let who = blind.gk(&["leader"]);
    let (who, why) = (String::from_utf8_lossy(&who.stdout), String::from_utf8_lossy(&who.stderr));
    assert!(who.contains("leads (epoch 1)") && why.contains("StateRootMissing"), "{who} {why}");
    assert_eq!(first.end(), Some(0));
    dies(&game);
    // Longer than any lease.
    tokio::time::sleep(LEASE + Duration::from_secs(3)).await;
    assert_eq!(epoch(&world).await, 1);
    assert_eq!(inspect(&game, "{{.State.Running}}"), "false");
    // Now that it is alone: what to do, wherever one looks, and in the log once.
    let leader = blind.gk(&["leader"]);
    let told = String::from_utf8_lossy(&leader.stderr).into_owned();
    assert!(!leader.status.success() && told.contains("nobody leads now"), "{told}");
    assert!(told.contains("StateRootMissing") && told.contains("-> "), "{told}");
    let doctor = blind.gk(&["doctor"]);
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(!doctor.status.success() && told.contains("FAIL  lead: StateRootMissing"), "{told}");
    assert!(told.contains("FAIL  lead: nobody leads now"), "{told}");
    let log = blind.log();
    let said: Vec<_> = log.lines().filter(|line| line.contains("cannot take the lead")).collect();
    assert!(said.len() == 1 && said[0].contains("WARN") && said[0].contains("way_out"), "{log}");
    let sighted = Replica::start(&world, "sighted");
    healed(&world, &game, 1).await;
    assert!(sighted.is_holder(&holder(&world).await));
}
