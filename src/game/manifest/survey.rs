//! The first reading of a YAML document: into JSON, with a budget.
//!
//! yaml_serde takes an unquoted number where text is wanted, keeps the last of two equal keys of a
//! map, and lets an alias repeat a large part of a document a million times. Here every scalar
//! keeps its type, equal keys are refused, and repetition is counted.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::decode::Segment;

/// What may still be read, and what was wrong with what was read.
pub(crate) struct Budget {
    /// Counted in nodes; a long text counts as several.
    left: Cell<usize>,
    refusal: RefCell<Option<Refusal>>,
    /// Equal keys of a map that were passed over; none where they are refused.
    twice: Option<RefCell<Vec<String>>>,
}

/// Why a document was refused, by us and not by the parser.
pub(crate) struct Refusal {
    pub(crate) path: Vec<Segment>,
    pub(crate) message: String,
}

impl Budget {
    /// A budget of so many nodes.
    pub(crate) fn new(nodes: usize) -> Self {
        Self { left: Cell::new(nodes), refusal: RefCell::default(), twice: None }
    }

    /// The same; of equal keys of a map, the last one counts.
    pub(crate) fn lenient(nodes: usize) -> Self {
        Self { twice: Some(RefCell::default()), ..Self::new(nodes) }
    }

    /// The paths of keys that were there again.
    pub(crate) fn twice(&self) -> Vec<String> {
        self.twice.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// What the last document was refused for.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusal.take()
    }
}

/// One value on the way down.
pub(crate) struct Survey<'a> {
    budget: &'a Budget,
    trail: Trail<'a>,
}

/// Where we are; kept on the stack.
enum Trail<'a> {
    Root,
    Key(&'a Trail<'a>, &'a str),
    Index(&'a Trail<'a>, usize),
}

impl Trail<'_> {
    fn path(&self) -> Vec<Segment> {
        match self {
            Self::Root => Vec::new(),
            Self::Key(parent, key) => {
                let mut path = parent.path();
                path.push(Segment::Key((*key).to_owned()));
                path
            }
            Self::Index(parent, index) => {
                let mut path = parent.path();
                path.push(Segment::Index(*index));
                path
            }
        }
    }
}

impl<'a> Survey<'a> {
    /// Begins at the root of a document.
    pub(crate) fn new(budget: &'a Budget) -> Self {
        Self { budget, trail: Trail::Root }
    }

    fn refuse<E: Error>(&self, message: &str) -> E {
        refuse(self.budget, &self.trail, message)
    }

    fn pay<E: Error>(&self, bytes: usize) -> Result<(), E> {
        let left = self.budget.left.get().checked_sub(1 + bytes / 32);
        match left {
            Some(left) => {
                self.budget.left.set(left);
                Ok(())
            }
            None => {
                self.budget.left.set(0);
                Err(self.refuse("there is too much here, or aliases repeat it too often"))
            }
        }
    }
}

fn refuse<E: Error>(budget: &Budget, trail: &Trail<'_>, message: &str) -> E {
    *budget.refusal.borrow_mut() = Some(Refusal { path: trail.path(), message: message.to_owned() });
    E::custom(message)
}

impl<'de> DeserializeSeed<'de> for Survey<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Survey<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a YAML tag")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.pay(0)?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.pay(0)?;
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.pay(0)?;
        Ok(value.into())
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Value, E> {
        Err(self.refuse("is too large a number"))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Value, E> {
        Err(self.refuse("is too large a number; an identity or a name has to be in quotes"))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.pay(0)?;
        match Number::from_f64(value) {
            Some(number) => Ok(Value::Number(number)),
            None => Err(self.refuse("is not a finite number")),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.pay(text.len())?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.pay(0)?;
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(self.refuse("YAML tags (`!…`) have no meaning here"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        self.pay(0)?;
        let mut list = Vec::new();
        while let Some(element) = elements
            .next_element_seed(Survey { budget: self.budget, trail: Trail::Index(&self.trail, list.len()) })?
        {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.pay(0)?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(Key { survey: &self, seen: &map })? {
            let trail = Trail::Key(&self.trail, &key);
            let value = entries.next_value_seed(Survey { budget: self.budget, trail })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// The key of a mapping; a second equal one is refused where it stands.
struct Key<'a> {
    survey: &'a Survey<'a>,
    seen: &'a Map<String, Value>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        // Whatever an unquoted key looks like, a key is text.
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        self.survey.pay(key.len())?;
        if self.seen.contains_key(key) {
            let trail = Trail::Key(&self.survey.trail, key);
            if let Some(twice) = &self.survey.budget.twice {
                twice.borrow_mut().push(super::decode::show_path(&trail.path()));
                return Ok(key.to_owned());
            }
            return Err(refuse(self.survey.budget, &trail, "is there twice"));
        }
        Ok(key.to_owned())
    }
}
