//! Logs: to standard error, as text or JSON.

use std::io::IsTerminal;

use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::LogFormat;

/// Below `info` these write whole requests into the log, and with them the secrets of engines.
const TALKATIVE: [&str; 6] = ["bollard", "hyper", "hyper_util", "h2", "rustls", "sqlx"];

/// Sends the process's logs to standard error.
///
/// `level` is a level or a list of directives, checked by [`crate::config`]; what is wrong in it is
/// left out.
///
/// # Errors
/// When logs go somewhere already.
pub fn start(format: LogFormat, level: &str) -> Result<(), TryInitError> {
    tracing_subscriber::registry().with(layer(format, level)).try_init()
}

fn layer(format: LogFormat, level: &str) -> impl Layer<Registry> + Send + Sync + use<> {
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => written(std::io::stderr().is_terminal()),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
    };
    let discreet = filter_fn(|event| {
        let source = event.target().split("::").next().unwrap_or_default();
        *event.level() <= Level::INFO || !TALKATIVE.contains(&source)
    });
    layer.with_filter(discreet).with_filter(EnvFilter::builder().parse_lossy(level))
}

fn written<S>(colours: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a> + Send + Sync,
{
    fmt::layer().with_ansi(colours).with_writer(std::io::stderr).boxed()
}
