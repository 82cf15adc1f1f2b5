//! Questions before something that cannot be undone, or that accepts a loss.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;

use super::failure::{Exit, Failure};

/// Whether a question is asked.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Assent {
    /// Do not ask: yes
    #[arg(short, long)]
    pub(crate) yes: bool,
}

impl Assent {
    /// Asks on the terminal, unless it was answered already. Where nobody can be asked, the answer
    /// is no.
    pub(crate) fn to(self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let (input, mut output) = (io::stdin(), io::stderr());
        if !input.is_terminal() || !output.is_terminal() {
            return Err(Failure::usage(format!("there is no terminal to ask on: {question}"))
                .hint("read what is said above, then add --yes; --dry-run has the server check it"));
        }
        // Whoever closed standard error cannot answer either.
        let _ = write!(output, "{question} [y/N] ").and_then(|()| output.flush());
        let mut answer = String::new();
        let read = input.lock().read_line(&mut answer);
        if read.is_ok() && is_yes(&answer) {
            return Ok(());
        }
        Err(Failure::new(Exit::Failed, "not confirmed; nothing was changed"))
    }
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_one() {
        assert!(["y\n", " Yes \r\n", "YES"].into_iter().all(is_yes));
        assert!(!["", "\n", "n", "yeah", "yes please"].into_iter().any(is_yes));
    }
}
