//! Logs: the last words of one life, and whole logs for people.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::query_parameters::{LogsOptions, LogsOptionsBuilder};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use jiff::Timestamp;

use super::error::classify;
use super::text::log_text;
use super::{DockerRuntime, labels};
use crate::game::ContainerId;
use crate::runtime::{LogOptions, Owner, RuntimeError};

/// The most that is kept of a log's end, in bytes.
const LONGEST_TAIL: usize = 16 << 10;

/// The most that is held while reading it: lines may be longer than what is kept of them.
const MOST_HELD: usize = 1 << 20;

/// Docker notes `StartedAt` after the process has begun, which may have written by then.
const HEAD_START: Duration = Duration::from_millis(250);

impl DockerRuntime {
    pub(super) async fn tail(&self, id: &ContainerId, lines: usize) -> Result<String, RuntimeError> {
        let began = self.own_container_began(id).await?;
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .since(began.map_or(0, |began| seconds(began.as_second() - 1)))
            .tail(&lines.to_string())
            .build();
        let deadline = self.settings.deadlines.look;
        let written = tokio::time::timeout(deadline, self.read_stamped(id, options, deadline))
            .await
            .map_err(|_| RuntimeError::TimedOut { call: "logs", after: deadline })??;
        Ok(last_words(&written, began, lines))
    }

    pub(super) async fn stream(
        &self,
        id: &ContainerId,
        wanted: &LogOptions,
    ) -> Result<BoxStream<'static, Result<Bytes, RuntimeError>>, RuntimeError> {
        self.own_container_began(id).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let since = wanted.since_seconds.map_or(0, |age| i64::try_from(now.saturating_sub(age)).unwrap_or(0));
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .follow(wanted.follow)
            .timestamps(wanted.timestamps)
            .since(seconds(since))
            .tail(&wanted.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()))
            .build();
        let deadline = self.settings.deadlines.look;
        let chunks = self.docker.logs(id.as_str(), Some(options));
        Ok(chunks
            .map(move |chunk| match chunk {
                Ok(chunk) => Ok(Bytes::from(log_text(&chunk.into_bytes()))),
                Err(error) => Err(classify("logs", deadline, error)),
            })
            .boxed())
    }

    /// When this life of a container of this instance began; none if it never did.
    async fn own_container_began(&self, id: &ContainerId) -> Result<Option<Timestamp>, RuntimeError> {
        let inspected = self.describe(id.as_str()).await?;
        let labels = inspected.config.and_then(|config| config.labels);
        if labels::owner(labels.as_ref(), self.settings.instance) == Owner::Foreign {
            return Err(RuntimeError::NotOurs(id.clone()));
        }
        let began = inspected.state.and_then(|state| state.started_at?.parse::<Timestamp>().ok());
        // Docker's way of saying never is the year 1.
        Ok(began.filter(|began| began.as_second() > 0))
    }

    async fn read_stamped(
        &self,
        id: &ContainerId,
        options: LogsOptions,
        deadline: Duration,
    ) -> Result<Vec<Line>, RuntimeError> {
        let mut chunks = Box::pin(self.docker.logs(id.as_str(), Some(options)));
        let (mut lines, mut held) = (VecDeque::new(), 0);
        while let Some(chunk) = chunks.next().await {
            let line = Line::read(&chunk.map_err(|error| classify("logs", deadline, error))?.into_bytes());
            held += line.text.len();
            lines.push_back(line);
            while held > MOST_HELD {
                held -= lines.pop_front().map_or(held, |line: Line| line.text.len());
            }
        }
        Ok(lines.into())
    }
}

/// A line with the time that Docker put before it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    at: Option<Timestamp>,
    text: Vec<u8>,
}

impl Line {
    fn read(bytes: &[u8]) -> Self {
        let blank = bytes.iter().position(|byte| *byte == b' ');
        let at = blank.and_then(|at| std::str::from_utf8(&bytes[..at]).ok()?.parse().ok());
        let text = match (at, blank) {
            (Some(_), Some(blank)) => &bytes[blank + 1..],
            _ => bytes,
        };
        Self { at, text: text.to_vec() }
    }
}

/// The end of what this life wrote: at most so many lines and bytes, valid text.
fn last_words(written: &[Line], began: Option<Timestamp>, lines: usize) -> String {
    let from = began.and_then(|began| began.checked_sub(HEAD_START).ok());
    let of_this_life: Vec<&Line> = written.iter().filter(|line| line.at >= from).collect();
    // On a busy host the head start may have been longer; an older life's words are better than none.
    let chosen = if of_this_life.is_empty() { written.iter().collect() } else { of_this_life };
    let mut text = String::new();
    for line in &chosen[chosen.len().saturating_sub(lines)..] {
        text.push_str(&log_text(&line.text));
    }
    let mut cut = text.len().saturating_sub(LONGEST_TAIL);
    while !text.is_char_boundary(cut) {
        cut += 1;
    }
    text.split_off(cut)
}

fn seconds(time: i64) -> i32 {
    i32::try_from(time).unwrap_or(0).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: &str, text: &str) -> Line {
        Line::read(format!("{at} {text}\n").as_bytes())
    }

    #[test]
    fn only_the_words_of_this_life_count_and_its_head_start_does() {
        let began: Timestamp = "2026-11-01T00:00:10.5Z".parse().expect("a time");
        let written = [
            line("2026-11-01T00:00:10.100000000Z", "last life"),
            line("2026-11-01T00:00:10.400000000Z", "early bird"),
            line("2026-11-01T00:00:11.000000000Z", "crash"),
        ];
        assert_eq!(last_words(&written, Some(began), 10), "early bird\ncrash\n");
        assert_eq!(last_words(&written, Some(began), 1), "crash\n");
        assert_eq!(last_words(&written[..1], Some(began), 1), "last life\n");
    }

    #[test]
    fn the_tail_is_bounded_and_valid() {
        let flood: Vec<Line> = (0..1_000).map(|_| line("2026-11-01T00:00:10Z", &"ä".repeat(100))).collect();
        let text = last_words(&flood, None, 1_000);
        assert!(text.len() <= LONGEST_TAIL && text.ends_with("ä\n"));
        assert_eq!(Line::read(b"no time \xff").text, b"no time \xff");
    }
}
