//! The controllers, the database that they share, and what is done to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

use super::report::{Life, Record};
use super::way::{Way, Weather};
use crate::cluster::Cluster;
use crate::database::Database;
use crate::replica::Replica;
use crate::set_clock::SetClock;
use crate::world::World;

/// A process is measured first when it is so old.
const SETTLED: Duration = Duration::from_secs(20);

/// Whoever gets no answer from the database notices within this time: an answer is given up after twelve
/// seconds, and everybody has a question every few.
const FELT: Duration = Duration::from_secs(30);

/// In calm what is on record is told within this time.
const AGREED: Duration = Duration::from_secs(20);

const HOUR: i64 = 3_600;
const TEN_YEARS: i64 = 10 * 365 * 24 * HOUR;

/// One controller, with its own way to the database and its own wall clock.
pub(super) struct Member {
    name: &'static str,
    pub(super) way: Way,
    clock: SetClock,
    database: Database,
    pub(super) replica: Replica,
    born: Instant,
    first: Option<(u64, u64)>,
    last: (u64, u64),
}

impl Member {
    /// By TCP to this socket, where the same rows are.
    async fn new(world: &World, name: &'static str, upstream: &std::path::Path) -> Self {
        let (way, clock) = (Way::to(upstream).await, SetClock::right());
        let Database::Postgres { schema, .. } = &world.database else { unreachable!() };
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", way.address.port());
        let database = Database::Postgres { url, schema: schema.clone() };
        let replica = Replica::spawned(world, name, &database, &clock.environment());
        Self { name, way, clock, database, replica, born: Instant::now(), first: None, last: (0, 0) }
    }

    /// Its memory in KiB, and how many descriptors it has open.
    fn measured(&mut self) {
        let of = format!("/proc/{}", self.replica.id());
        let status = std::fs::read_to_string(format!("{of}/status")).unwrap_or_default();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = memory.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        let descriptors = std::fs::read_dir(format!("{of}/fd")).map_or(0, |names| names.count() as u64);
        let Some(memory) = memory else { return };
        if self.born.elapsed() >= SETTLED && self.first.is_none() {
            self.first = Some((memory, descriptors));
        }
        self.last = (memory, descriptors);
    }

    /// The command line, speaking to this one, with the same clock.
    pub(super) fn gk(&self, arguments: &[&str]) -> std::process::Output {
        self.replica.gk_by(arguments, &self.clock.environment())
    }

    fn life(&self) -> Life {
        let first = self.first.unwrap_or(self.last);
        Life { name: self.name, age: self.born.elapsed(), first, last: self.last }
    }
}

/// Both controllers, and what is under them.
pub(super) struct Fleet {
    pub(super) members: Vec<Member>,
    world: Arc<World>,
    cluster: Cluster,
    record: Arc<Record>,
    /// The longest that a blow lasts, in seconds.
    reach: u64,
}

impl Fleet {
    pub(super) async fn start(
        world: &Arc<World>,
        cluster: Cluster,
        record: &Arc<Record>,
        reach: u64,
    ) -> Self {
        pooled(&cluster);
        let by_the_pooler = cluster.dir().join("pooler/.s.PGSQL.6432");
        let first = Member::new(world, "behind PgBouncer", &by_the_pooler).await;
        // One makes the schema, the other one finds it.
        world
            .eventually("the first controller leads", async || {
                world.database.try_sql("SELECT 1 / (SELECT count(*) FROM leases)").await.is_ok()
            })
            .await;
        let second = Member::new(world, "beside it", &cluster.socket().join(".s.PGSQL.5432")).await;
        let (world, record) = (Arc::clone(world), Arc::clone(record));
        Self { members: vec![first, second], world, cluster, record, reach }
    }

    /// Whoever has ended, or was killed, begins again. Meanwhile the others are measured.
    pub(super) fn revive(&mut self) {
        for member in &mut self.members {
            if member.replica.has_ended() {
                self.record.life(member.life());
                let environment = member.clock.environment();
                member.replica = Replica::spawned(&self.world, member.name, &member.database, &environment);
                (member.born, member.first) = (Instant::now(), None);
            }
            member.measured();
        }
    }

    /// The last lives, for the report.
    pub(super) fn lives(&self) {
        self.members.iter().for_each(|member| self.record.life(member.life()));
    }

    /// Every clock is right again, every way is open.
    pub(super) fn calm(&self) {
        for member in &self.members {
            member.clock.ahead(0);
            member.way.set(Weather::default());
        }
    }

    pub(super) fn logs(&self) -> String {
        let last = |member: &Member| {
            let log = member.replica.log();
            let lines: Vec<&str> = log.lines().rev().take(60).collect();
            format!("--- {}\n{}\n", member.name, lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
        };
        self.members.iter().map(last).collect()
    }

    /// One blow, to its end.
    pub(super) async fn strike(&mut self, random: &mut StdRng) {
        let began = Instant::now();
        let at = random.random_range(0..self.members.len());
        let long = Duration::from_millis(random.random_range(1_000..=self.reach * 1_000));
        let (kind, whom) = self.blow(random, at, long).await;
        let whom = if whom { self.members[at].name } else { "" };
        self.record.blow(kind, whom, began, true);
        self.revive();
    }

    /// What it is, and whether it is done to one of them alone.
    async fn blow(&self, random: &mut StdRng, at: usize, long: Duration) -> (&'static str, bool) {
        let member = &self.members[at];
        let weathers = |up_silent, down_silent| Weather { up_silent, down_silent, delay: Duration::ZERO };
        match random.random_range(0..24) {
            0 | 1 => {
                member.replica.signal("-KILL");
                ("killed", true)
            }
            2 => {
                member.replica.signal("-TERM");
                ("told to end", true)
            }
            3..=5 => {
                // Sometimes longer than a lease.
                member.replica.signal("-STOP");
                tokio::time::sleep(long.min(Duration::from_secs(25))).await;
                member.replica.signal("-CONT");
                ("suspended", true)
            }
            6 | 7 => {
                let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gamekeeper'";
                let _ = self.world.database.try_sql(cut).await;
                ("backends terminated", false)
            }
            8 => {
                self.cluster.restart();
                ("PostgreSQL restarted", false)
            }
            9 => {
                self.cluster.kill_pooler();
                tokio::time::sleep(long.min(Duration::from_secs(10))).await;
                pooled(&self.cluster);
                ("PgBouncer killed", false)
            }
            10 | 11 => {
                member.way.cut();
                ("connections cut", true)
            }
            12 | 13 => {
                member.way.lose();
                ("connections lost", true)
            }
            14 | 15 => {
                self.weather(Some(at), weathers(true, true), long).await;
                ("one way silent", true)
            }
            16 => {
                self.weather(None, weathers(true, true), long).await;
                ("both ways silent", false)
            }
            17 => {
                self.weather(Some(at), weathers(true, false), long).await;
                ("requests silent", true)
            }
            18 => {
                self.weather(Some(at), weathers(false, true), long).await;
                ("answers silent", true)
            }
            19 => {
                let delay = Duration::from_millis(random.random_range(5..200));
                self.weather(None, Weather { delay, ..Weather::default() }, long).await;
                ("ways slow", false)
            }
            20..=22 => {
                let seconds =
                    *[-HOUR, -90, -30, 30, 70, HOUR].get(random.random_range(0..6)).expect("one of six");
                // As on one machine; and now and then one alone, as on two.
                let both = random.random_range(0..3) > 0;
                for (n, member) in self.members.iter().enumerate() {
                    if both || n == at {
                        member.clock.ahead(seconds);
                    }
                }
                ("clock set", !both)
            }
            _ => {
                self.members.iter().for_each(|member| member.clock.ahead(TEN_YEARS));
                tokio::time::sleep(long.min(Duration::from_secs(15))).await;
                self.members.iter().for_each(|member| member.clock.ahead(0));
                ("clock set by ten years", false)
            }
        }
    }

    async fn weather(&self, at: Option<usize>, weather: Weather, long: Duration) {
        let under = |n: &usize| at.is_none_or(|at| at == *n);
        for n in (0..self.members.len()).filter(under) {
            self.members[n].way.set(weather);
        }
        tokio::time::sleep(long).await;
        if (weather.up_silent || weather.down_silent) && long >= FELT {
            for n in (0..self.members.len()).filter(under) {
                self.is_honest(&self.members[n]).await;
            }
        }
        for n in (0..self.members.len()).filter(under) {
            self.members[n].way.set(Weather::default());
        }
    }

    /// Who has not reached the database for so long says so.
    async fn is_honest(&self, member: &Member) {
        match super::voices::ready(member).await {
            Some((false, why)) if why.contains("database") => {
                self.record.counted("said to be without database")
            }
            other => self.record.broken(format!("without a database {} said {other:?}", member.name)),
        }
    }

    /// Both are ready, and tell what is on record; within moments, as they follow it.
    pub(super) async fn agree(&mut self) {
        let began = Instant::now();
        let mut told = String::new();
        while began.elapsed() < AGREED {
            self.revive();
            told.clear();
            for member in &self.members {
                let ready = super::voices::ready(member).await;
                if !matches!(ready, Some((true, _))) {
                    told += &format!("{} says {ready:?}; ", member.name);
                }
                if let Err(why) = super::voices::agrees(member, &self.world).await {
                    told += &format!("{}: {why}; ", member.name);
                }
            }
            if told.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        self.record.broken(format!("the controllers do not agree with the record: {told}"));
    }

    /// How many connections each of them may ever have, and has now.
    pub(super) async fn connections(&self) -> HashMap<&'static str, i64> {
        let all = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gamekeeper'";
        HashMap::from([("connections of both at the end", self.world.count(all).await)])
    }
}

fn pooled(cluster: &Cluster) {
    // Those that were lost keep their places until it is found out.
    cluster.pooled("session", &["default_pool_size = 100", "max_client_conn = 300"]);
}
