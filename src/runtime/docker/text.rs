//! Text from outside, made fit to be shown: valid, bounded, without terminal control.

/// The longest message of Docker's that is passed on, in characters.
const LONGEST_MESSAGE: usize = 2_000;

/// A message on one line, bounded.
pub(super) fn one_line(message: &str) -> String {
    let mut shown = String::new();
    for character in message.trim().chars().take(LONGEST_MESSAGE) {
        match character {
            '\n' | '\r' | '\t' => shown.push(' '),
            control if control.is_control() => shown.extend(control.escape_default()),
            other => shown.push(other),
        }
    }
    shown
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        told.push_str(": ");
        told.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    one_line(&told)
}

/// Log text: lines and tabs stay, other control characters are escaped.
pub(super) fn log_text(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for character in String::from_utf8_lossy(bytes).chars() {
        match character {
            '\n' | '\t' => shown.push(character),
            '\r' => {}
            control if control.is_control() => shown.extend(control.escape_default()),
            other => shown.push(other),
        }
    }
    shown
}

/// Text as a part of a path or a query.
pub(super) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_control_is_escaped_and_broken_text_is_made_valid() {
        assert_eq!(log_text(b"a\tb\r\n\x1b[2J\xff\n"), "a\tb\n\\u{1b}[2J\u{fffd}\n");
        assert_eq!(one_line(" two\nlines\u{7} "), "two lines\\u{7}");
        assert_eq!(one_line(&"x".repeat(10_000)).len(), LONGEST_MESSAGE);
    }
}
