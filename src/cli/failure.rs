//! How a command fails: with an exit code that scripts can use, a line that says what is wrong, and
//! one that says what to do.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// What a process says to whoever started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything is as was asked.
    Ok = 0,
    /// It failed.
    Failed = 1,
    /// The command line, a file or a manifest is wrong; nothing was changed by it.
    Usage = 2,
    /// What was asked for is not there.
    NotFound = 3,
    /// Somebody else changed it, or it is there already.
    Conflict = 4,
    /// It did not come true in time.
    TimedOut = 5,
    /// There is no server, or no answer.
    Unreachable = 6,
    /// The token, or the file system, does not allow it.
    NotAllowed = 7,
    /// It could not be compared: of `diff`, where 1 says that something differs.
    NotCompared = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    /// Empty when everything was told already, or nobody listens any more.
    message: String,
    notes: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// A failure with this exit code, and what is wrong.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), notes: Vec::new(), hint: None }
    }

    /// Something is wrong with what was asked.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A failure of which everything was told.
    pub fn told(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with another exit code.
    #[must_use]
    pub fn exiting(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// With the details, one a line.
    #[must_use]
    pub fn notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// With what it happened to before the message.
    #[must_use]
    pub fn of(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The details alone.
    pub fn details(&self) -> &[String] {
        &self.notes
    }

    /// What the process should exit with.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Tells it on standard error.
    pub fn tell(&self) {
        if !self.message.is_empty() {
            // Whoever closed standard error does not want to know.
            let _ = io::Write::write_all(&mut io::stderr().lock(), format!("{self}\n").as_bytes());
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        for note in &self.notes {
            write!(f, "\n  {note}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    /// Of standard output: a reader that has seen enough is no failure.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::told(Exit::Ok),
            _ => Self::new(Exit::Failed, format!("cannot write to standard output: {error}")),
        }
    }
}

/// Failures of one thing among several: told at once, and the others go on.
#[derive(Debug, Default)]
pub struct Tally {
    first: Option<Exit>,
}

impl Tally {
    /// Notes how it went with one of them. Nobody reading any more ends everything.
    pub fn note(&mut self, result: Result<(), Failure>) -> Result<(), Failure> {
        match result {
            Err(failure) if failure.exit == Exit::Ok => Err(failure),
            Err(failure) => {
                failure.tell();
                self.first.get_or_insert(failure.exit);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Whether something failed.
    pub fn failed(&self) -> bool {
        self.first.is_some()
    }

    /// The first of the failures, told already.
    pub fn end(self) -> Result<(), Failure> {
        self.first.map_or(Ok(()), |exit| Err(Failure::told(exit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::{ClientError, Refusal};

    #[test]
    fn the_server_s_refusals_have_exit_codes_of_their_own() {
        let of = |code| {
            Failure::from(ClientError::Refused(Box::new(Refusal { code, ..Refusal::default() }))).exit()
        };
        for (code, exit) in [(400, 2), (422, 2), (404, 3), (409, 4), (401, 7), (403, 7), (500, 1), (503, 1)] {
            assert_eq!(of(code) as u8, exit, "{code}");
        }
        let absent = ClientError::NotRunning { server: "x".into(), why: "y".into() };
        assert_eq!(Failure::from(absent).exit() as u8, 6);
        assert_eq!(Failure::from(ClientError::NoKubeconfig("/k".into())).exit() as u8, 6);
    }

    #[test]
    fn a_failure_says_what_is_wrong_and_what_to_do() {
        let failure = Failure::usage("no").notes(["spec.x: is odd".into()]).hint("make it even").of("game/a");
        assert_eq!(failure.to_string(), "error: game/a: no\n  spec.x: is odd\nhint: make it even");
    }

    #[test]
    fn the_first_of_several_failures_decides() {
        let mut tally = Tally::default();
        tally.note(Ok(())).unwrap();
        tally.note(Err(Failure::told(Exit::NotFound))).unwrap();
        tally.note(Err(Failure::told(Exit::Conflict))).unwrap();
        assert_eq!(tally.end().unwrap_err().exit(), Exit::NotFound);
        let gone = io::Error::from(io::ErrorKind::BrokenPipe).into();
        assert_eq!(Tally::default().note(Err(gone)).unwrap_err().exit(), Exit::Ok);
    }
}
