//! The `gamekeeper` program.

use std::process::ExitCode;

use gamekeeper::cli::{self, Cli, failure::Exit};
use gamekeeper::runtime::docker::MOST_DISK_THREADS;

/// Blocking threads beside those that work on the state root's disk: for names that are resolved, files of
/// the configuration, the processes of the host. With the others as many as Tokio's default.
const OTHER_BLOCKING_THREADS: usize = 192;

fn main() -> ExitCode {
    let cli = Cli::read();
    let blocking = MOST_DISK_THREADS + OTHER_BLOCKING_THREADS;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(blocking).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return cli::report(&error.into()).into(),
    };
    let done = runtime.block_on(cli::execute(cli));
    // What still hangs in a disk or in Docker must not keep the process from ending.
    runtime.shutdown_background();
    match done {
        Ok(()) => Exit::Ok.into(),
        Err(error) => cli::report(&error).into(),
    }
}
