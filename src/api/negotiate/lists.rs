//! Lists in another form, object by object: of ten thousand objects one at a time is held as a tree.

use std::fmt;

use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};

use super::Form;
use crate::api::wire::{META, partial, row, table};

/// A list in this form; none if the answer is no list.
///
/// # Errors
/// The answer is no JSON.
pub(super) fn shaped(form: Form, answer: &[u8]) -> Result<Option<Vec<u8>>, serde_json::Error> {
    let shaper = Shaper { form, now: Timestamp::now(), kind: String::new(), metadata: json!({}), out: None };
    let mut answer = serde_json::Deserializer::from_slice(answer);
    let shaped = (&mut answer).deserialize_map(shaper)?;
    answer.end()?;
    Ok(shaped.map(|mut out| {
        out.extend_from_slice(b"]}");
        out
    }))
}

struct Shaper {
    form: Form,
    now: Timestamp,
    /// What stands before the objects, as every list of ours has it.
    kind: String,
    metadata: Value,
    /// Everything but its end, from the first object on.
    out: Option<Vec<u8>>,
}

impl Shaper {
    /// What stands before the first object.
    fn head(&self) -> Vec<u8> {
        let kind = self.object_kind();
        let mut head = match self.form {
            Form::Table(include) => {
                json!(table(kind, &[], self.metadata.clone(), include, self.now)).to_string()
            }
            Form::Full | Form::Metadata => json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": META,
                "metadata": self.metadata,
                "items": [],
            })
            .to_string(),
        };
        // Both end in an empty list.
        head.truncate(head.len().saturating_sub(2));
        head.into_bytes()
    }

    fn object_kind(&self) -> &str {
        self.kind.strip_suffix("List").unwrap_or(&self.kind)
    }

    fn write(&self, out: &mut Vec<u8>, object: &Value) -> Result<(), serde_json::Error> {
        match self.form {
            Form::Table(include) => {
                serde_json::to_writer(out, &row(self.object_kind(), object, include, self.now))
            }
            Form::Full | Form::Metadata => serde_json::to_writer(out, &partial(object)),
        }
    }
}

impl<'de> Visitor<'de> for Shaper {
    type Value = Option<Vec<u8>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Self::Value, A::Error> {
        while let Some(field) = fields.next_key::<String>()? {
            match field.as_str() {
                "kind" => self.kind = fields.next_value()?,
                "metadata" => self.metadata = fields.next_value()?,
                "items" => {
                    let out = fields.next_value_seed(Objects(&self))?;
                    self.out = Some(out);
                }
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(self.out)
    }
}

struct Objects<'a>(&'a Shaper);

impl<'de> DeserializeSeed<'de> for Objects<'_> {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, list: D) -> Result<Vec<u8>, D::Error> {
        list.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Objects<'_> {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the objects of a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut objects: A) -> Result<Vec<u8>, A::Error> {
        let mut out = self.0.head();
        let mut first = true;
        while let Some(object) = objects.next_element::<Value>()? {
            if !std::mem::replace(&mut first, false) {
                out.push(b',');
            }
            self.0.write(&mut out, &object).map_err(A::Error::custom)?;
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::IncludeObject;

    #[test]
    fn a_list_is_shaped_as_if_it_had_been_read_whole() {
        let game = |name: &str| {
            json!({
                "apiVersion": "gamekeeper.dev/v1",
                "kind": "Game",
                "metadata": { "name": name, "resourceVersion": "7" },
                "spec": { "desiredStatus": "Running" },
            })
        };
        for items in [vec![], vec![game("a")], vec![game("a"), game("b")]] {
            let list = json!({
                "apiVersion": "gamekeeper.dev/v1",
                "kind": "GameList",
                "metadata": { "resourceVersion": "9", "continue": "x" },
                "items": items,
            });
            for form in
                [Form::Table(IncludeObject::Metadata), Form::Table(IncludeObject::None), Form::Metadata]
            {
                let shaped = shaped(form, list.to_string().as_bytes()).unwrap().expect("a list");
                let read: Value = serde_json::from_slice(&shaped).unwrap();
                assert_eq!(read, form.of(list.clone()));
            }
        }
        assert_eq!(shaped(Form::Metadata, game("a").to_string().as_bytes()).unwrap(), None);
        assert!(shaped(Form::Metadata, b"[]").is_err());
    }
}
