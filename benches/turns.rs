//! 2,000 games that are due in the same second: the real loop and a real SQLite file, with engines
//! that answer at once. When was each asked for its turn, when was all of it on record, and how much
//! memory did it take? `GAMEKEEPER_BENCH_GAMES` is another number of games.
#![allow(missing_docs, unreachable_pub, reason = "a benchmark")]

#[path = "../tests/support/crowd.rs"]
mod crowd;

use std::process::ExitCode;

use crowd::Crowd;
use gamekeeper::controller::Limits;
use jiff::Timestamp;

/// All are asked within this time, in seconds.
const LIMIT: f64 = 2.0;

#[tokio::main]
async fn main() -> ExitCode {
    let games = std::env::var("GAMEKEEPER_BENCH_GAMES").ok().and_then(|text| text.parse().ok());
    let games = games.unwrap_or(2_000);
    let began = Timestamp::now();
    let crowd = Crowd::running(games, Limits::default()).await;
    println!("{games} games run after {:.1} s; {}", since(began), memory());
    let slot = crowd.due_in(15).await;
    let lags = crowd.until_done(slot).await;
    let recorded = since(slot);
    let at = |part: f64| lags[((lags.len() - 1) as f64 * part) as usize];
    let (p50, p99, last) = (at(0.5), at(0.99), at(1.0));
    println!("{games} games due in the same second, in seconds after the slot:");
    println!("  asked for their turn  p50 {p50:.3}  p99 {p99:.3}  last {last:.3} (limit {LIMIT:.3})");
    println!("  all of it on record   {recorded:.3}");
    println!("  {}", memory());
    crowd.end().await;
    if last > LIMIT { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn since(then: Timestamp) -> f64 {
    Timestamp::now().duration_since(then).as_secs_f64()
}

/// How much memory this process has, and had at the most.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.trim_start_matches(name).trim().to_owned()
    };
    format!("memory {}, at the most {}", line("VmRSS:"), line("VmHWM:"))
}
