//! The `gamekeeper` program.

use std::process::ExitCode;

use clap::Parser;
use gamekeeper::cli::{self, Cli, failure::Exit};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(cli::execute(cli)));
    match done {
        Ok(()) => Exit::Ok.into(),
        Err(error) => cli::report(&error).into(),
    }
}
