//! One line on standard output for each thing done.

/// Prints a line, and does not mind that nobody reads it: `println!` panics when the pipe is gone.
macro_rules! say {
    ($($what:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout().lock(), "engine: {}", format_args!($($what)*));
    }};
}
pub(crate) use say;
