//! Selectors: which objects of a list are wanted.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::ApiError;
use super::request::{flag, number};
use super::wire::camel;
use crate::game::GameId;
use crate::store::GameFilter;

/// The parameters that every list takes, and every watch.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListParameters {
    label_selector: Option<String>,
    field_selector: Option<String>,
    watch: Option<String>,
    #[serde(rename = "continue")]
    continued: Option<String>,
    limit: Option<String>,
    /// Our own: of things that happened, only so many of those that happened last.
    latest: Option<String>,
    resource_version: Option<String>,
    resource_version_match: Option<String>,
    timeout_seconds: Option<String>,
    allow_watch_bookmarks: Option<String>,
    send_initial_events: Option<String>,
}

/// How a version that is asked for is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VersionMatch {
    /// This one or a later one.
    NotOlderThan,
    /// This one.
    Exact,
}

fn stated(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|value| !value.is_empty())
}

impl ListParameters {
    /// What is wanted of something that cannot be watched; or why that is not possible.
    pub(super) fn selection(&self, fields: &[&str]) -> Result<Selection, ApiError> {
        if self.watches() {
            return Err(ApiError::NotWatchable);
        }
        // There is one version of what happened, and a version that makes no sense is refused all the same.
        self.version()?;
        self.selectors(fields)
    }

    /// What is wanted.
    pub(super) fn selectors(&self, fields: &[&str]) -> Result<Selection, ApiError> {
        Ok(Selection {
            labels: labels(self.label_selector.as_deref().unwrap_or_default())?,
            fields: parse_fields(self.field_selector.as_deref().unwrap_or_default(), fields)?,
        })
    }

    /// Whether changes are wanted.
    pub(super) fn watches(&self) -> bool {
        flag(self.watch.as_deref())
    }

    /// What belongs to a watch has no place in a list.
    pub(super) fn refuse_watching_alone(&self) -> Result<(), ApiError> {
        match stated(self.send_initial_events.as_ref()) {
            Some(_) => Err(ApiError::BadRequest("sendInitialEvents goes with watch=true".into())),
            None => Ok(()),
        }
    }

    /// From where a list goes on.
    pub(super) fn continued(&self) -> Option<&str> {
        stated(self.continued.as_ref())
    }

    /// How many are told: as many as the client wants, or as usual, and never more than that.
    pub(super) fn limit(&self, usual: u64, most: u64) -> Result<u64, ApiError> {
        let asked = number("limit", self.limit.as_deref())?.filter(|limit| *limit > 0);
        Ok(asked.unwrap_or(usual).min(most))
    }

    /// How many of the latest are wanted; none means all.
    pub(super) fn latest(&self) -> Result<Option<usize>, ApiError> {
        let asked = number("latest", self.latest.as_deref())?;
        Ok(asked.map(|latest| usize::try_from(latest).unwrap_or(usize::MAX)))
    }

    /// How many are on a page; none means all.
    pub(super) fn page(&self) -> Result<Option<usize>, ApiError> {
        let asked = number("limit", self.limit.as_deref())?.filter(|limit| *limit > 0);
        Ok(asked.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)))
    }

    /// The version that is asked for, and how.
    pub(super) fn version(&self) -> Result<(Option<u64>, Option<VersionMatch>), ApiError> {
        let matched = match stated(self.resource_version_match.as_ref()) {
            None => None,
            Some("NotOlderThan") => Some(VersionMatch::NotOlderThan),
            Some("Exact") => Some(VersionMatch::Exact),
            Some(_) => {
                return Err(ApiError::BadRequest("resourceVersionMatch is NotOlderThan or Exact".into()));
            }
        };
        Ok((number("resourceVersion", self.resource_version.as_deref())?, matched))
    }

    /// How long a watch is to be open.
    pub(super) fn timeout_seconds(&self) -> Result<Option<u64>, ApiError> {
        Ok(number("timeoutSeconds", self.timeout_seconds.as_deref())?.filter(|seconds| *seconds > 0))
    }

    /// Whether a client knows what a bookmark is.
    pub(super) fn wants_bookmarks(&self) -> bool {
        flag(self.allow_watch_bookmarks.as_deref())
    }

    /// Whether a watch is to begin with what there is, if that was said.
    pub(super) fn sends_initial_events(&self) -> Option<bool> {
        stated(self.send_initial_events.as_ref()).map(|value| flag(Some(value)))
    }
}

/// Which objects are wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    labels: Vec<Requirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldRequirement {
    field: String,
    value: String,
    equal: bool,
}

impl Selection {
    /// Whether nothing is selected, and so everything is wanted.
    pub(super) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object with these labels and fields is wanted.
    pub(super) fn wants<'a>(
        &self,
        labels: &BTreeMap<String, String>,
        field: impl Fn(&str) -> Option<&'a str>,
    ) -> bool {
        let fields = |wanted: &FieldRequirement| {
            (field(&wanted.field).unwrap_or_default() == wanted.value) == wanted.equal
        };
        self.admits_labels(|key| labels.get(key).map(String::as_str)) && self.fields.iter().all(fields)
    }

    /// Whether an object may be wanted that has these labels.
    pub(super) fn admits_labels<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let is_one = |value: &str, values: &[String]| values.iter().any(|one| one == value);
        self.labels.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => label(key).is_some_and(|value| is_one(value, values)),
            Requirement::NotIn(key, values) => label(key).is_none_or(|value| !is_one(value, values)),
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Absent(key) => label(key).is_none(),
        })
    }

    /// What is left to be looked at once these fields were.
    pub(super) fn without(&self, fields: &[&str]) -> Self {
        let left = self.fields.iter().filter(|wanted| !fields.contains(&wanted.field.as_str()));
        Self { labels: self.labels.clone(), fields: left.cloned().collect() }
    }

    /// Whether an object may be wanted that has this value in a field.
    pub(super) fn admits(&self, field: &str, value: &str) -> bool {
        let mut asked = self.fields.iter().filter(|wanted| wanted.field == field);
        asked.all(|wanted| (wanted.value == value) == wanted.equal)
    }

    /// Whether one value is asked for of this field.
    pub(super) fn names(&self, field: &str) -> bool {
        self.fields.iter().any(|wanted| wanted.field == field && wanted.equal)
    }

    /// The game that `spec.gameId` asks for.
    pub(super) fn game_id(&self) -> Result<Option<GameId>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|error: crate::game::id::InvalidId| {
                ApiError::BadRequest(format!("spec.gameId: {error}"))
            })
        };
        self.required("spec.gameId")?.map(parse).transpose()
    }

    /// The games that the path's namespace, `metadata.namespace`, `spec.game` and `spec.gameId` ask for.
    pub(super) fn games(&self, namespace: Option<String>) -> Result<GameFilter, ApiError> {
        Ok(GameFilter {
            namespace: namespace.or(self.required("metadata.namespace")?.map(str::to_owned)),
            name: self.required("spec.game")?.map(str::to_owned),
            game: self.game_id()?,
        })
    }

    /// A whole number that a field has to have.
    pub(super) fn whole(&self, field: &str) -> Result<Option<i64>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|_| ApiError::BadRequest(format!("{field} has to be a whole number")))
        };
        self.required(field)?.map(parse).transpose()
    }

    /// One of the words that a field can have, as the database has it: `RolledBack` is `rolled_back`.
    pub(super) fn word(&self, field: &str, known: &[&str]) -> Result<Option<String>, ApiError> {
        let Some(wanted) = self.required(field)? else { return Ok(None) };
        let found = known.iter().find(|word| camel(word) == wanted);
        let words = || known.iter().map(|word| camel(word)).collect::<Vec<_>>().join(", ");
        let found = found.ok_or_else(|| ApiError::BadRequest(format!("{field} is one of {}", words())))?;
        Ok(Some((*found).to_owned()))
    }

    /// The value that a field has to have, for a query that looks for it.
    pub(super) fn required(&self, field: &str) -> Result<Option<&str>, ApiError> {
        let mut required = None;
        for wanted in self.fields.iter().filter(|wanted| wanted.field == field) {
            if !wanted.equal || required.is_some_and(|before| before != wanted.value) {
                return Err(ApiError::BadRequest(format!(
                    "{field} can only be selected by one value with `=`"
                )));
            }
            required = Some(wanted.value.as_str());
        }
        Ok(required)
    }
}

fn labels(text: &str) -> Result<Vec<Requirement>, ApiError> {
    split_outside_parentheses(text).into_iter().map(requirement).collect()
}

/// Commas separate requirements, and the values of a set.
fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    if text.trim().is_empty() { Vec::new() } else { parts }
}

fn requirement(text: &str) -> Result<Requirement, ApiError> {
    let wrong = || {
        ApiError::BadRequest(format!(
            "`{}` is not a label selector; write key=value, key!=value, key in (a,b), key notin (a,b), key or !key",
            text.chars().take(100).collect::<String>().escape_debug()
        ))
    };
    let text = text.trim();
    let key = |text: &str| {
        let text = text.trim();
        let plain = !text.is_empty()
            && text.len() <= 317
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
        plain.then(|| text.to_owned()).ok_or_else(wrong)
    };
    if let Some(absent) = text.strip_prefix('!') {
        return Ok(Requirement::Absent(key(absent)?));
    }
    if let Some((before, set)) = text.split_once('(') {
        let values = set
            .strip_suffix(')')
            .ok_or_else(wrong)?
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect();
        let mut words = before.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(name), Some("in"), None) => Ok(Requirement::In(key(name)?, values)),
            (Some(name), Some("notin"), None) => Ok(Requirement::NotIn(key(name)?, values)),
            _ => Err(wrong()),
        };
    }
    if let Some((name, value)) = text.split_once("!=") {
        return Ok(Requirement::NotIn(key(name)?, vec![value.trim().to_owned()]));
    }
    if let Some((name, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Requirement::In(key(name)?, vec![value.trim().to_owned()]));
    }
    Ok(Requirement::Exists(key(text)?))
}

fn parse_fields(text: &str, known: &[&str]) -> Result<Vec<FieldRequirement>, ApiError> {
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    let parse = |part: &str| {
        let (field, value, equal) = if let Some((field, value)) = part.split_once("!=") {
            (field, value, false)
        } else if let Some((field, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            (field, value, true)
        } else {
            return Err(ApiError::BadRequest(
                "a field selector is written field=value or field!=value".into(),
            ));
        };
        let field = field.trim();
        if !known.contains(&field) {
            return Err(ApiError::BadRequest(format!(
                "field label not supported: `{}`; known here: {}",
                field.chars().take(100).collect::<String>().escape_debug(),
                known.join(", ")
            )));
        }
        Ok(FieldRequirement { field: field.into(), value: value.trim().into(), equal })
    };
    parts.map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(selector: &str, have: &[(&str, &str)]) -> bool {
        let selection = Selection { labels: labels(selector).unwrap(), fields: Vec::new() };
        selection.wants(&have.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(), |_| None)
    }

    #[test]
    fn label_selectors_mean_what_kubernetes_means() {
        let have = [("season", "7"), ("tier", "gold")];
        for yes in [
            "",
            "season=7",
            "season==7",
            "season!=8",
            "other!=8",
            "season",
            "!other",
            "season in (6,7)",
            "season notin (8, 9),tier in (gold)",
            "season=7,tier=gold",
            "other notin (a)",
        ] {
            assert!(wants(yes, &have), "{yes}");
        }
        for no in [
            "season=8",
            "season!=7",
            "other",
            "!season",
            "season in (1,2)",
            "other in (a)",
            "season=7,tier=x",
        ] {
            assert!(!wants(no, &have), "{no}");
        }
        for wrong in ["=a", "a in", "a in (b", "a of (b)", "a b", ",", "a in (b) c", "ä=1"] {
            assert!(labels(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn field_selectors_know_their_fields() {
        let parse = |text| parse_fields(text, &["metadata.name"]);
        assert!(parse("metadata.name=a,metadata.name!=b").is_ok() && parse("").is_ok());
        assert!(parse("status.phase=Running").is_err() && parse("metadata.name").is_err());
    }
}
