//! The reference engine: the smallest program that honours Gamekeeper's engine contract completely, and that breaks
//! it in any way a test asks for.
//!
//! * [`contract`] answers the calls (`gamekeeper/v1`, or `plain/v0` on request); [`engine`] holds the one game and its
//!   phases; [`game`] is pure: what a turn does to the players.
//! * [`store`] keeps the state crash-safe, [`journal`] counts for the tests what was ever accepted and completed.
//! * [`attack`] tries what an engine must not be able to do.
//! * [`knobs`] says how to misbehave (every knob is documented there), [`burden`] uses up memory, threads, disk and logs.
//! * [`http`] and [`server`] are a plain HTTP/1.1 server on threads: tests need to send answers no framework would.
//!
//! Standard output carries one line for each thing done. Exit codes: 0 after SIGTERM or SIGINT, 2 for a wrong
//! environment, 3 for state that cannot be used, 4 when another engine holds the state, else what a knob says.

mod attack;
mod burden;
mod config;
mod contract;
mod engine;
mod game;
mod http;
mod journal;
mod knobs;
mod log;
mod server;
mod signals;
mod store;

use std::env;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use crate::config::Config;
use crate::engine::{Engine, OpenError};
use crate::knobs::sources::KnobSources;
use crate::log::say;

fn main() -> ExitCode {
    if env::args().nth(1).is_some_and(|argument| argument == attack::BOMB) {
        attack::be_part_of_bomb();
    }
    let (config, sources) = match Config::from_env().and_then(|c| KnobSources::load(&c).map(|s| (c, s))) {
        Ok(loaded) => loaded,
        Err(problem) => {
            say!("cannot start: {problem}");
            return ExitCode::from(2);
        }
    };
    say!(
        "version {}, contract {}, game {}, state {}",
        config.version,
        config.contract.name(),
        config.game_id,
        config.state_path.display()
    );
    let sources = Arc::new(sources);
    let knobs = sources.current();
    if let Err(problem) = signals::handle(&sources) {
        say!("cannot start: no signal handler: {problem}");
        return ExitCode::from(2);
    }
    if let Some(code) = knobs.exit_at_start
        && sources.take_turn("exit-at-start", knobs.exit_at_start_times)
    {
        say!("exiting at start with {code}, as told");
        return ExitCode::from(code);
    }
    sleep(Duration::from_millis(knobs.start_delay_ms));
    let port = config.port;
    let engine = match Engine::open(config, Arc::clone(&sources)) {
        Ok(engine) => Arc::new(engine),
        Err(problem) => {
            say!("cannot start: {problem}");
            return ExitCode::from(if matches!(problem, OpenError::Held) { 4 } else { 3 });
        }
    };
    burden::carry(&engine, &knobs);
    match TcpListener::bind(("0.0.0.0", port)) {
        Ok(listener) => {
            attack::begin(&engine, &knobs);
            server::serve(&listener, &engine);
        }
        Err(problem) => say!("cannot listen on port {port}: {problem}"),
    }
    ExitCode::from(2)
}
