//! Text from outside that is kept and shown: bounded where it is read, so that nothing later has to
//! wonder what is in it.

use std::fmt;
use std::str::FromStr;

/// Text of at most `MAX` characters, none of them a control character: neither U+0000, which
/// PostgreSQL takes nowhere, nor anything that steers a terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<const MAX: usize>(String);

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It is too long.
    #[error("has more than {0} characters")]
    TooLong(usize),
    /// It has a control character.
    #[error("has the control character U+{0:04X}")]
    Control(u32),
}

impl<const MAX: usize> Text<MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> FromStr for Text<MAX> {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        if text.chars().nth(MAX).is_some() {
            return Err(TextError::TooLong(MAX));
        }
        match text.chars().find(|c| c.is_control()) {
            Some(control) => Err(TextError::Control(control.into())),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_control_characters_are_bounded() {
        assert_eq!("Märs 🚀".parse::<Text<6>>().map(|text| text.to_string()), Ok("Märs 🚀".to_owned()));
        assert_eq!("x".repeat(7).parse::<Text<6>>(), Err(TextError::TooLong(6)));
        for (text, control) in [("a\0b", 0), ("\u{1b}[2J", 0x1b), ("a\nb", 0xa), ("\u{9f}", 0x9f)] {
            assert_eq!(text.parse::<Text<6>>(), Err(TextError::Control(control)));
        }
        assert_eq!(TextError::Control(0).to_string(), "has the control character U+0000");
    }
}
