//! The `gamekeeper` program.

use std::process::ExitCode;

use clap::Parser;
use gamekeeper::cli::{self, Cli, failure::Exit};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
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
