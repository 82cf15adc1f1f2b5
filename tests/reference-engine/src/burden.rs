//! Uses up memory, threads, disk and logs, as knobs say. What was taken is kept until the process ends.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::attack;
use crate::engine::Engine;
use crate::knobs::Knobs;
use crate::log::say;

const MEGABYTE: usize = 1 << 20;

static MEMORY: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
static THREADS: AtomicUsize = AtomicUsize::new(0);
static LOG_LINES_PER_SECOND: AtomicU64 = AtomicU64::new(0);
static BOMBED: AtomicBool = AtomicBool::new(false);

/// Takes what is wanted beyond what is already taken.
pub(crate) fn carry(engine: &Engine, knobs: &Knobs) {
    let mut memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    while memory.len() < knobs.allocate_mb {
        // Not zeroes, which the kernel hands out without backing them.
        memory.push(vec![0xa5; MEGABYTE]);
    }
    drop(memory);
    while THREADS.load(Ordering::Relaxed) < knobs.threads {
        THREADS.fetch_add(1, Ordering::Relaxed);
        let idle = || loop {
            thread::park();
        };
        if let Err(problem) = thread::Builder::new().stack_size(64 * 1024).spawn(idle) {
            say!("no further thread: {problem}");
            break;
        }
    }
    if LOG_LINES_PER_SECOND.swap(knobs.log_lines_per_second, Ordering::Relaxed) == 0
        && knobs.log_lines_per_second > 0
    {
        thread::spawn(chatter);
    }
    if knobs.fill_state_mb > 0
        && let Err(problem) = fill(engine, knobs.fill_state_mb)
    {
        say!("filling the state disk ended: {problem}");
    }
    if knobs.plant_symlinks {
        plant(engine);
    }
    if knobs.fork_bomb && !BOMBED.swap(true, Ordering::Relaxed) {
        attack::drop_bomb(engine);
    }
}

fn chatter() {
    let line = "x".repeat(91);
    loop {
        // In tenths of a second: a million lines need no million timers.
        let rate = LOG_LINES_PER_SECOND.load(Ordering::Relaxed);
        if rate == 0 {
            return;
        }
        for _ in 0..rate.div_ceil(10) {
            say!("{line}");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn fill(engine: &Engine, megabytes: u64) -> io::Result<()> {
    let mut file = File::create(engine.config.mount().join("fill.bin"))?;
    let chunk = vec![0xa5; MEGABYTE];
    for _ in 0..megabytes {
        file.write_all(&chunk)?;
    }
    Ok(())
}

fn plant(engine: &Engine) {
    let mount = engine.config.mount();
    for (name, target) in [("link-file", "/etc/passwd"), ("link-up", "../.."), ("link-root", "/")] {
        let _ = std::os::unix::fs::symlink(target, mount.join(name));
    }
}
