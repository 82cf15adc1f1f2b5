//! How to misbehave. Nothing set means: behave.
//!
//! A knob is set, later ones winning, by
//! 1. the environment: `ENGINE_CRASH_ON_TURN=5` for `crashOnTurn` (an image can bake it in),
//! 2. a file `misbehave.json` in the mounted directory, the parent of the state path,
//! 3. a file `misbehave.json` in the state path,
//! 4. `PUT /api/v1/admin/misbehave` with the same JSON: replaces all of the above until the process ends;
//!    `DELETE` undoes that, `GET` shows what holds now.
//!
//! The files are read again at every request. An unknown knob or a wrong type is refused: exit code 2 at start, 400 for
//! the call, a log line for a file that changed. A turn is named by the number it leads to; 0 means every turn.
//! `…Times` bounds how often a knob acts over all processes (counted in `misbehave.<knob>` beside the mount's file);
//! without it, always.

pub(crate) mod sources;

use serde::{Deserialize, Serialize};

/// Before or after the new state is committed, or with its temporary file half written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Moment {
    #[default]
    Before,
    During,
    After,
}

/// What is wrong with the players reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum OddPlayers {
    /// Other ids than before, the same on each call.
    OtherIds,
    /// One race nobody asked for.
    Extra,
    /// The last race is not there.
    Missing,
    /// The first race is there twice.
    Duplicate,
    /// Ids that are no UUIDs.
    BadIds,
}

/// Every knob.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Knobs {
    /// All of it concerns this version alone; the others behave.
    pub(crate) only_version: Option<String>,

    // Start and stop.
    /// Milliseconds before the port is opened.
    pub(crate) start_delay_ms: u64,
    /// Exit at start with this code.
    pub(crate) exit_at_start: Option<u8>,
    pub(crate) exit_at_start_times: Option<u64>,
    /// SIGTERM and SIGINT do nothing.
    pub(crate) ignore_sigterm: bool,
    /// Make the state directory and a lock file in it at start, before there is a game.
    pub(crate) early_files: bool,
    /// Put symbolic links that lead out of the mount into the mounted directory.
    pub(crate) plant_symlinks: bool,

    // Health.
    /// `/healthz` answers 503.
    pub(crate) never_healthy: bool,
    /// `/healthz` never answers.
    pub(crate) hang_health: bool,

    // Init.
    /// 500: `before` without effect, `after` with it.
    pub(crate) fail_init: Option<Moment>,
    /// The process ends: `before` leaves a directory and a journal but no state, `during` half a file too.
    pub(crate) crash_init: Option<Moment>,
    pub(crate) crash_init_times: Option<u64>,
    /// Milliseconds between accepting and doing it.
    pub(crate) slow_init_ms: u64,

    // Turns.
    /// The process ends while it generates this turn.
    pub(crate) crash_on_turn: Option<u64>,
    /// When: `before` (default), `during` or `after` the commit. After: the answer is never sent.
    pub(crate) crash_when: Moment,
    /// The exit code (default 70); -1 aborts with a signal.
    pub(crate) crash_code: Option<i32>,
    pub(crate) crash_times: Option<u64>,
    /// Generating this turn takes `hangMs` more, or for ever; then it is committed all the same.
    pub(crate) hang_on_turn: Option<u64>,
    pub(crate) hang_ms: Option<u64>,
    pub(crate) hang_times: Option<u64>,
    /// Milliseconds that each turn takes.
    pub(crate) slow_turn_ms: u64,
    /// 500: `before` without effect, `after` with it.
    pub(crate) fail_turn: Option<Moment>,
    pub(crate) fail_turn_times: Option<u64>,
    /// The turn is done, the connection closed without an answer.
    pub(crate) drop_turn_answer: bool,
    /// The game is finished when it reaches this turn.
    pub(crate) finish_at_turn: Option<u64>,

    // What is said about the game.
    /// Status answers 500.
    pub(crate) status500: bool,
    /// Status never answers.
    pub(crate) hang_status: bool,
    /// Milliseconds before status answers.
    pub(crate) slow_status_ms: u64,
    /// Status answers 200 with something that is no JSON.
    pub(crate) garbage_status: bool,
    /// Status streams for ever.
    pub(crate) endless_status: bool,
    /// Status is sent one byte at a time, this many milliseconds apart.
    pub(crate) drip_status_ms: Option<u64>,
    /// An unknown field of this many bytes in the state.
    pub(crate) pad_status_bytes: usize,
    /// Status answers 302 with this location.
    pub(crate) redirect_status: Option<String>,
    /// Status answers 409 although there is a game.
    pub(crate) deny_game: bool,
    /// Every answer names this game.
    pub(crate) wrong_game_id: Option<String>,
    /// Every answer tells a turn this much lower.
    pub(crate) lower_turn_by: u64,
    /// What is wrong with the players in every answer.
    pub(crate) odd_players: Option<OddPlayers>,
    /// 401 whatever the token (the call that sets knobs excepted).
    pub(crate) refuse_token: bool,

    // Burdens.
    /// Megabytes of memory taken and touched.
    pub(crate) allocate_mb: usize,
    /// Threads started.
    pub(crate) threads: usize,
    /// Log lines a second, 100 bytes each.
    pub(crate) log_lines_per_second: u64,
    /// Megabytes written to `fill.bin` in the mounted directory.
    pub(crate) fill_state_mb: u64,

    // Attacks.
    /// At start, try what an engine must not be able to do, and report in `attack.json` in the mounted directory.
    pub(crate) attack: bool,
    /// Further paths to read and to write.
    pub(crate) attack_paths: Vec<String>,
    /// Further addresses (`address:port`) to connect to; to the first one many times.
    pub(crate) attack_addresses: Vec<String>,
    /// Processes to attach to and to signal.
    pub(crate) attack_pids: Vec<i32>,
    /// Make processes that make processes.
    pub(crate) fork_bomb: bool,
}

/// Does a knob that names turn `told` speak of `turn`?
pub(crate) fn names(told: Option<u64>, turn: u64) -> bool {
    told.is_some_and(|told| told == 0 || told == turn)
}
