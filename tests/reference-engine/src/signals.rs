//! SIGTERM and SIGINT end the process at once: the state is whole at every moment, so there is nothing to wait for.
//!
//! As process 1 of a container there is no default action for them, so without this only SIGKILL would stop it.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::engine;
use crate::knobs::sources::KnobSources;
use crate::log::say;

pub(crate) fn handle(knobs: &Arc<KnobSources>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let knobs = Arc::clone(knobs);
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if knobs.current().ignore_sigterm {
                say!("signal {signal} ignored, as told");
                continue;
            }
            engine::note_stop();
            // Standard output may be a full pipe that nobody drains, and there may be no thread left to have: a stop
            // must fail for neither.
            let _ = thread::Builder::new().spawn(move || say!("signal {signal}: stopping"));
            thread::sleep(Duration::from_millis(10));
            std::process::exit(0);
        }
    })?;
    Ok(())
}
