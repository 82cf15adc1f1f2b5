//! What was done, what was seen, and how it is told at the end.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Something that was done to somebody, from when to when.
#[derive(Debug, Clone)]
struct Blow {
    kind: &'static str,
    whom: String,
    began: Instant,
    ended: Instant,
    /// The database, the way to it, the clock or the controllers: everybody may feel it.
    of_the_ground: bool,
}

/// A wish about a game that nobody locks, and when it was true.
#[derive(Debug, Clone, Copy)]
struct Probe {
    wished: Instant,
    done: Instant,
}

/// The life of one process.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) name: &'static str,
    pub(super) age: Duration,
    /// Resident memory in KiB and file descriptors: soon after its start, and at its end.
    pub(super) first: (u64, u64),
    pub(super) last: (u64, u64),
}

/// Everything that is known of the run; many write into it.
pub(super) struct Record {
    pub(super) seed: u64,
    pub(super) began: Instant,
    blows: Mutex<Vec<Blow>>,
    probes: Mutex<Vec<Probe>>,
    lives: Mutex<Vec<Life>>,
    counts: Mutex<BTreeMap<String, i64>>,
    broken: Mutex<Vec<String>>,
}

impl Record {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            began: Instant::now(),
            blows: Mutex::default(),
            probes: Mutex::default(),
            lives: Mutex::default(),
            counts: Mutex::default(),
            broken: Mutex::default(),
        }
    }

    pub(super) fn blow(&self, kind: &'static str, whom: &str, began: Instant, of_the_ground: bool) {
        let ended = Instant::now();
        self.blows.lock().unwrap().push(Blow { kind, whom: whom.to_owned(), began, ended, of_the_ground });
    }

    pub(super) fn probe(&self, wished: Instant) {
        self.probes.lock().unwrap().push(Probe { wished, done: Instant::now() });
    }

    pub(super) fn life(&self, life: Life) {
        self.lives.lock().unwrap().push(life);
    }

    pub(super) fn counted(&self, what: &str) {
        self.add(what, 1);
    }

    pub(super) fn add(&self, what: &str, number: usize) {
        let number = i64::try_from(number).unwrap();
        *self.counts.lock().unwrap().entry(what.to_owned()).or_default() += number;
    }

    pub(super) fn set(&self, what: &str, number: i64) {
        self.counts.lock().unwrap().insert(what.to_owned(), number);
    }

    /// A promise that does not hold, once.
    pub(super) fn broken(&self, what: String) {
        let mut broken = self.broken.lock().unwrap();
        if !broken.contains(&what) {
            eprintln!("{:>8.1?} BROKEN: {what}", self.began.elapsed());
            broken.push(what);
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        !self.broken.lock().unwrap().is_empty()
    }

    /// From the end of each blow to the first wish that came true after it.
    fn recovered(&self) -> Vec<(Duration, Blow)> {
        let (blows, probes) = (self.blows.lock().unwrap(), self.probes.lock().unwrap());
        let after = |blow: &Blow| {
            probes.iter().find(|probe| probe.wished >= blow.began && probe.done >= blow.ended).copied()
        };
        let took = blows.iter().filter_map(|blow| Some((after(blow)?.done - blow.ended, blow.clone())));
        took.collect()
    }

    fn recoveries(&self) -> BTreeMap<&'static str, Vec<Duration>> {
        let mut found = BTreeMap::<_, Vec<_>>::new();
        for (took, blow) in self.recovered() {
            found.entry(blow.kind).or_default().push(took);
        }
        for took in found.values_mut() {
            took.sort();
        }
        found
    }

    /// Those of the ground, of which one may want to know why.
    fn slowest(&self) -> Vec<(Duration, Blow)> {
        let mut found = self.recovered();
        found.retain(|(_, blow)| blow.of_the_ground);
        found.sort_by_key(|(took, _)| std::cmp::Reverse(*took));
        found.truncate(8);
        found
    }

    /// How long wishes took while nothing was wrong: wished after everything had recovered, true before the
    /// next blow.
    fn calm(&self) -> Vec<Duration> {
        let (blows, probes) = (self.blows.lock().unwrap(), self.probes.lock().unwrap());
        let ground: Vec<&Blow> = blows.iter().filter(|blow| blow.of_the_ground).collect();
        let mut took = Vec::new();
        let mut recovered = None;
        for probe in probes.iter() {
            let disturbed = ground.iter().any(|blow| blow.began <= probe.done && blow.ended >= probe.wished);
            let last = ground.iter().filter(|blow| blow.ended < probe.wished).map(|blow| blow.ended).max();
            if !disturbed && recovered == Some(last) {
                took.push(probe.done - probe.wished);
            }
            // What comes after the first that was wished after a blow is calm.
            recovered = (!disturbed).then_some(last);
        }
        took.sort();
        took
    }

    pub(super) fn longest_calm_wait(&self) -> Duration {
        self.calm().last().copied().unwrap_or_default()
    }

    pub(super) fn longest_recovery(&self) -> Duration {
        self.recoveries().values().flatten().max().copied().unwrap_or_default()
    }

    /// The most memory in KiB, and the most descriptors, that a process ended with.
    pub(super) fn largest(&self) -> (u64, u64) {
        let lives = self.lives.lock().unwrap();
        let most = |of: fn(&Life) -> u64| lives.iter().map(of).max().unwrap_or_default();
        (most(|life| life.last.0), most(|life| life.last.1))
    }

    /// The last blows, for whoever looks for why.
    pub(super) fn last_blows(&self) -> String {
        let mut blows = self.blows.lock().unwrap().clone();
        blows.sort_by_key(|blow| blow.began);
        let mut told = String::new();
        for Blow { kind, whom, began, ended, .. } in blows.iter().rev().take(25).rev() {
            let (from, to) = (*began - self.began, *ended - self.began);
            let _ = writeln!(told, "{from:>8.1?} to {to:>8.1?} {kind} {whom}");
        }
        told
    }

    /// Everything, as a table.
    pub(super) fn table(&self) -> String {
        let mut told = format!("seed {}, {:.0?}\n", self.seed, self.began.elapsed());
        let _ = writeln!(
            told,
            "\n{:<28}{:>6}{:>12}{:>12}{:>12}",
            "recovered after", "count", "median", "p99", "longest"
        );
        for (kind, took) in self.recoveries() {
            let [median, p99, longest] = quantiles(&took);
            let _ = writeln!(told, "{kind:<28}{:>6}{median:>12.2?}{p99:>12.2?}{longest:>12.2?}", took.len());
        }
        told.push_str("\nslowest:\n");
        for (took, blow) in self.slowest() {
            let (from, to) = (blow.began - self.began, blow.ended - self.began);
            let _ =
                writeln!(told, "  {took:>8.2?} after {} {} ({from:.1?} to {to:.1?})", blow.kind, blow.whom);
        }
        told.push('\n');
        let calm = self.calm();
        let [median, p99, longest] = quantiles(&calm);
        let _ = writeln!(
            told,
            "{:<28}{:>6}{median:>12.2?}{p99:>12.2?}{longest:>12.2?}",
            "a wish in calm",
            calm.len()
        );
        let _ = writeln!(told, "\n{:<28}{:>8}{:>22}{:>18}", "process", "age", "memory, KiB", "descriptors");
        let mut lives = self.lives.lock().unwrap().clone();
        lives.sort_by_key(|life| std::cmp::Reverse(life.age));
        for Life { name, age, first, last } in lives.iter().take(6) {
            let memory = format!("{} to {}", first.0, last.0);
            let descriptors = format!("{} to {}", first.1, last.1);
            let _ = writeln!(told, "{name:<28}{age:>8.0?}{memory:>22}{descriptors:>18}");
        }
        told.push('\n');
        for (what, number) in self.counts.lock().unwrap().iter() {
            let _ = writeln!(told, "{what:<40}{number:>8}");
        }
        let broken = self.broken.lock().unwrap();
        let _ = writeln!(told, "\nbroken promises: {}", broken.len());
        for what in broken.iter() {
            let _ = writeln!(told, "  {what}");
        }
        told
    }
}

/// The median, the 99th percentile, the longest; of sorted times.
fn quantiles(sorted: &[Duration]) -> [Duration; 3] {
    let at = |share: usize| sorted.get((sorted.len().saturating_sub(1)) * share / 100).copied();
    [50, 99, 100].map(|share| at(share).unwrap_or_default())
}
