//! Figures: what ten thousand games and two hundred watches cost. They are printed; what is asserted
//! leaves room for a busy machine.

use std::time::{Duration, Instant};

use gamekeeper::api::HubLimits;

use crate::stream::Watch;
use crate::watching::made;
use crate::world::{GAMES, World};

const GAMES_THERE: usize = 10_000;
const WATCHES: usize = 200;
const CHANGED: usize = 1_000;
const LISTS: usize = 30;

/// What this process has of the memory, its clients included.
fn mebibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}

async fn timed(world: &World, query: &str) -> (Duration, Duration, usize) {
    let mut took = Vec::with_capacity(LISTS);
    let mut bytes = 0;
    for _ in 0..LISTS {
        let began = Instant::now();
        let response = world.request(reqwest::Method::GET, &format!("{GAMES}?{query}")).send().await.unwrap();
        bytes = response.bytes().await.unwrap().len();
        took.push(began.elapsed());
    }
    took.sort_unstable();
    (took[LISTS / 2], took[LISTS * 99 / 100], bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_games_are_listed_and_two_hundred_watches_see_every_change_in_order() {
    let limits = HubLimits { watches: 1_000, ..HubLimits::default() };
    let world = World::with_limits(limits).await;
    let before = mebibytes();
    for batch in 0..GAMES_THERE / 1_000 {
        world.sql(&made(&format!("b{batch}"), 1_000)).await;
    }
    let began = Instant::now();
    let list = world.get(&format!("{GAMES}?limit=1")).await.ok(200);
    assert_eq!(list["metadata"]["remainingItemCount"], GAMES_THERE - 1);
    eprintln!("{GAMES_THERE} games: read in {:?}, {} MiB more", began.elapsed(), mebibytes() - before);
    for query in [
        "",
        "resourceVersion=0",
        "limit=500",
        "labelSelector=batch%3Db7",
        "fieldSelector=metadata.name%3Db3-7",
    ] {
        let (p50, p99, bytes) = timed(&world, query).await;
        eprintln!("list ?{query}: p50 {p50:?}, p99 {p99:?}, {bytes} bytes");
        assert!(p99 < Duration::from_secs(10));
    }

    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!("{GAMES}?watch=true&resourceVersion={version}");
    let quiet = mebibytes();
    let mut watches = Vec::with_capacity(WATCHES);
    for _ in 0..WATCHES {
        watches.push(Watch::open(&world, &path).await);
    }
    let opened = mebibytes();
    let began = Instant::now();
    let watchers = watches.into_iter().map(|mut watch| {
        tokio::spawn(async move {
            let (mut last, mut names) = (0, Vec::with_capacity(CHANGED));
            while names.len() < CHANGED {
                let line = watch.read().await.expect("the watch goes on");
                assert!(line.kind == "MODIFIED" && line.version() > last, "{line:#?}");
                last = line.version();
                names.push(line.name().to_owned());
            }
            names
        })
    });
    let watchers: Vec<_> = watchers.collect();
    for ten in 0..10 {
        // The last digits of a name: a hundred games at a time.
        world
            .sql(&format!(
                "UPDATE games SET display_name = 'changed' WHERE name LIKE 'b0-{ten}%' OR name = 'b0-{ten}'"
            ))
            .await;
    }
    let written = began.elapsed();
    let mut seen = Vec::with_capacity(WATCHES);
    for watcher in watchers {
        seen.push(
            tokio::time::timeout(Duration::from_secs(120), watcher).await.expect("all is seen").unwrap(),
        );
    }
    let took = began.elapsed();
    assert!(seen.iter().all(|names| *names == seen[0]), "everybody sees the same order");
    eprintln!(
        "{WATCHES} watches, {CHANGED} changes: written in {written:?}, seen by all after {took:?}; {} MiB for the watches \
         (both ends), {} MiB more afterwards",
        opened - quiet,
        mebibytes().saturating_sub(opened),
    );
    world.end().await;
}
