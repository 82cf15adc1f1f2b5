//! Where in a YAML text a field stands.
//!
//! The document is read once more by the same parser, down to the wanted field, where reading is
//! made to fail: the parser's error then carries the place.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::decode::Segment;

/// The byte at which the field begins, in the first document of `text`. Of a field that
/// is not there, it is the nearest parent's.
pub(crate) fn locate(text: &str, path: &[Segment], at_key: bool) -> Option<usize> {
    let document = serde_yaml::Deserializer::from_str(text).next()?;
    failed_at(document, path, at_key)
}

/// The byte at which each document's content begins. They never go back: what is sliced by them
/// would panic.
pub(crate) fn document_starts(text: &str, documents: usize) -> Vec<usize> {
    serde_yaml::Deserializer::from_str(text)
        .take(documents)
        .scan(0, |last, document| {
            *last = failed_at(document, &[], false).unwrap_or(0).clamp(*last, text.len());
            Some(*last)
        })
        .collect()
}

fn failed_at(document: serde_yaml::Deserializer<'_>, path: &[Segment], at_key: bool) -> Option<usize> {
    let error = Probe { path, at_key }.deserialize(document).err()?;
    error.location().map(|location| location.index())
}

struct Probe<'a> {
    path: &'a [Segment],
    at_key: bool,
}

impl<'de> DeserializeSeed<'de> for Probe<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Probe<'_> {
    type Value = ();

    // Every scalar fails by this, wherever it stands: it is the field, or has no such field.
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("to stop here")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        if let Some((wanted, rest)) = self.path.split_first() {
            // A label's key may look like an index.
            let wanted = match wanted {
                Segment::Key(key) => key.clone(),
                Segment::Index(index) => index.to_string(),
            };
            let stop = self.at_key && rest.is_empty();
            while let Some(found) = entries.next_key_seed(KeyProbe { wanted: &wanted, stop })? {
                if found {
                    return entries.next_value_seed(Probe { path: rest, at_key: self.at_key });
                }
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Err(A::Error::custom("here"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        if let Some((Segment::Index(wanted), rest)) = self.path.split_first() {
            for _ in 0..*wanted {
                if elements.next_element::<IgnoredAny>()?.is_none() {
                    return Err(A::Error::custom("here"));
                }
            }
            elements.next_element_seed(Probe { path: rest, at_key: self.at_key })?;
        }
        Err(A::Error::custom("here"))
    }
}

struct KeyProbe<'a> {
    wanted: &'a str,
    stop: bool,
}

impl<'de> DeserializeSeed<'de> for KeyProbe<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyProbe<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        match key == self.wanted {
            true if self.stop => Err(E::custom("here")),
            found => Ok(found),
        }
    }
}
