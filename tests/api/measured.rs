//! Figures: what ten thousand games and two hundred watches cost. They are printed; what is asserted
//! leaves room for a busy machine.

use std::time::{Duration, Instant};

use gamekeeper::api::HubLimits;

use crate::stream::Watch;
use crate::watching::made;
use crate::world::{GAMES, World};

/// In a debug build beside other tests there is no time for more; `GAMEKEEPER_ROWS=10000` is for figures.
fn games_there() -> usize {
    std::env::var("GAMEKEEPER_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

const WATCHES: usize = 200;
/// Each changes the first thousand's games whose number begins with another digit.
fn writes() -> usize {
    if games_there() < 10_000 { 3 } else { 10 }
}
/// Zero is one number, and each other digit begins a hundred and eleven below a thousand.
fn changed() -> usize {
    1 + 111 * (writes() - 1)
}

/// As many lists as a debug build has time for, and as figures need.
const LISTS: usize = if cfg!(debug_assertions) { 10 } else { 100 };

const FULL: &str = "application/json";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const METADATA: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

/// What this process has of the memory, its clients included.
fn mebibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}

async fn timed(world: &World, query: &str, accept: &str) -> (Duration, Duration, usize) {
    let mut took = Vec::with_capacity(LISTS);
    let mut bytes = 0;
    for _ in 0..LISTS {
        let began = Instant::now();
        let request = world.request(reqwest::Method::GET, &format!("{GAMES}?{query}"));
        let response = request.header("accept", accept).send().await.unwrap();
        bytes = response.bytes().await.unwrap().len();
        took.push(began.elapsed());
    }
    took.sort_unstable();
    (took[LISTS / 2], took[LISTS * 99 / 100], bytes)
}

/// Opens the watches, changes games, and gives once every change was seen by everybody, in one order.
async fn watched(world: &World, form: &str, accept: &str) {
    let list = world.get(&format!("{GAMES}?limit=1")).await.ok(200);
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!("{GAMES}?watch=true&resourceVersion={version}");
    let quiet = mebibytes();
    let mut watches = Vec::with_capacity(WATCHES);
    for _ in 0..WATCHES {
        watches.push(Watch::accepting(world, &path, accept).await);
    }
    let opened = mebibytes();
    let began = Instant::now();
    let watchers = watches.into_iter().map(|mut watch| {
        tokio::spawn(async move {
            let (mut last, mut names) = (0, Vec::with_capacity(changed()));
            while names.len() < changed() {
                let line = watch.read().await.expect("the watch goes on");
                assert!(line.kind == "MODIFIED" && line.version() > last, "{line:#?}");
                last = line.version();
                let row = &line.object["rows"][0]["cells"][0];
                names.push(row.as_str().unwrap_or_else(|| line.name()).to_owned());
            }
            names
        })
    });
    let watchers: Vec<_> = watchers.collect();
    for digit in 0..writes() {
        world.sql(&format!("UPDATE games SET display_name = '{form}' WHERE name LIKE 'b0-{digit}%'")).await;
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
        "{WATCHES} watches in {form}, {} changes: written in {written:?}, seen by all after {took:?}; {} MiB \
         for the watches (both ends), {} MiB more afterwards",
        changed(),
        opened.saturating_sub(quiet),
        mebibytes().saturating_sub(opened),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_games_are_listed_and_two_hundred_watches_see_every_change_in_order() {
    let limits = HubLimits { watches: 1_000, ..HubLimits::default() };
    let world = World::with_limits(limits).await;
    let before = mebibytes();
    for batch in 0..games_there() / 1_000 {
        world.sql(&made(&format!("b{batch}"), 1_000)).await;
    }
    let began = Instant::now();
    let list = world.get(&format!("{GAMES}?limit=1")).await.ok(200);
    assert_eq!(list["metadata"]["remainingItemCount"], games_there() - 1);
    eprintln!("{} games: read in {:?}, {} MiB more", games_there(), began.elapsed(), mebibytes() - before);
    for (query, accept) in [
        ("", FULL),
        ("", TABLE),
        ("limit=500", FULL),
        ("limit=500", TABLE),
        ("resourceVersion=0", METADATA),
        ("labelSelector=batch%3Db7", TABLE),
        ("fieldSelector=metadata.name%3Db3-7", TABLE),
    ] {
        let (p50, p99, bytes) = timed(&world, query, accept).await;
        let form = accept.split(';').find_map(|part| part.strip_prefix("as=")).unwrap_or("whole objects");
        eprintln!("list ?{query} as {form}: p50 {p50:?}, p99 {p99:?}, {bytes} bytes; {} MiB", mebibytes());
        assert!(p99 < Duration::from_secs(10));
    }
    watched(&world, "whole objects", FULL).await;
    watched(&world, "tables", TABLE).await;
    world.end().await;
}
