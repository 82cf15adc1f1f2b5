//! A thread for each connection, and a bound on how many there are.

use std::io::{self, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::contract;
use crate::engine::Engine;
use crate::http::{self, Incoming};
use crate::log::say;

/// Well below a container's usual limit of processes.
const MAX_CONNECTIONS: usize = 64;
/// Longer than clients keep idle connections, so that it is never the engine that closes one under a request.
const IDLE: Duration = Duration::from_secs(300);

static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);

/// Serves until the listener fails.
pub(crate) fn serve(listener: &TcpListener, engine: &Arc<Engine>) {
    engine.note_stops();
    match listener.local_addr() {
        Ok(address) => say!("listening on {address}"),
        Err(problem) => say!("listening: {problem}"),
    }
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            Err(problem) => {
                // Out of descriptors, most likely: not a reason to end.
                say!("no connection: {problem}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        if CONNECTIONS.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            CONNECTIONS.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let engine = Arc::clone(engine);
        let spawned = thread::Builder::new().stack_size(512 * 1024).spawn(move || {
            // A peer that goes away is no news.
            let _ = converse(&stream, &engine);
            CONNECTIONS.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(problem) = spawned {
            CONNECTIONS.fetch_sub(1, Ordering::Relaxed);
            say!("no thread for a connection: {problem}");
        }
    }
}

fn converse(stream: &TcpStream, engine: &Engine) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let mut from = BufReader::new(stream);
    let mut out = stream;
    loop {
        match http::read(&mut from)? {
            Incoming::End => return Ok(()),
            Incoming::Bad(answer) => {
                answer.send(&mut out, false)?;
                return Ok(());
            }
            Incoming::Request(request) => {
                let close = request.header("connection").is_some_and(|c| c.eq_ignore_ascii_case("close"));
                let answer = contract::answer(engine, &request);
                if !answer.send(&mut out, !close)? {
                    return Ok(());
                }
            }
        }
    }
}
