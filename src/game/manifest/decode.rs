//! From untyped JSON to the raw shape: every unknown field and wrong type is told, not only the
//! first, with its path.
//!
//! What is wrong is taken out and the rest is read again, so that one slip does not hide the next.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::{SpecProblem, shorten, shorten_to};
use super::wire::{API_VERSION, ENGINE_VERSION_KIND, GAME_KIND, Manifest};

/// So many problems of one manifest are told; nobody reads more.
const MAX_PROBLEMS: usize = 50;

/// What becomes of fields that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownFields {
    /// They are problems, as in a file or with `fieldValidation=Strict`.
    Refuse,
    /// They are left out and told as warnings, as with `fieldValidation=Warn` or `Ignore`.
    Drop,
}

/// Metadata that Kubernetes' clients send and that means nothing here.
const IGNORED_METADATA: [&str; 5] =
    ["ownerReferences", "generateName", "selfLink", "deletionGracePeriodSeconds", "clusterName"];

/// Reads the body of an API request. Metadata that Kubernetes' clients send along and that means
/// nothing here (`ownerReferences` …) is ignored silently.
///
/// Nothing is validated yet: see [`super::validate()`].
///
/// # Errors
/// Everything that has no place in the raw shape, with the path of each field.
pub fn from_json(
    mut body: Value,
    unknown: UnknownFields,
) -> Result<(Manifest, Vec<SpecProblem>), Vec<SpecProblem>> {
    if let Some(Value::Object(metadata)) = body.get_mut("metadata") {
        metadata.retain(|field, _| !IGNORED_METADATA.contains(&field.as_str()));
    }
    let Decoded { manifest, findings } = decode(body);
    let (dropped, wrong): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| finding.at_key && unknown == UnknownFields::Drop);
    let problems = |findings: Vec<Finding>| findings.iter().map(Finding::problem).collect::<Vec<_>>();
    match manifest {
        Some(manifest) if wrong.is_empty() => Ok((manifest, problems(dropped))),
        _ => Err(problems(wrong)),
    }
}

/// What came of reading: a manifest (less what was wrong), unless too much was.
pub(crate) struct Decoded {
    pub(crate) manifest: Option<Manifest>,
    pub(crate) findings: Vec<Finding>,
}

/// A problem, with its path in pieces.
pub(crate) struct Finding {
    pub(crate) path: Vec<Segment>,
    /// The key is wrong, not its value.
    pub(crate) at_key: bool,
    pub(crate) message: String,
}

/// A step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

impl Finding {
    fn new(path: Vec<Segment>, message: impl Into<String>) -> Self {
        Self { path, at_key: false, message: message.into() }
    }

    pub(crate) fn problem(&self) -> SpecProblem {
        SpecProblem::new(show_path(&self.path), &self.message)
    }
}

/// `spec.players[0].userId`; keys that are no plain words stand in brackets too.
pub(crate) fn show_path(path: &[Segment]) -> String {
    let mut shown = String::new();
    for segment in path {
        match segment {
            Segment::Index(index) => shown.push_str(&format!("[{index}]")),
            Segment::Key(key) => {
                let plain =
                    !key.is_empty() && key.len() <= 63 && key.bytes().all(|b| b.is_ascii_alphanumeric());
                match (plain, shown.is_empty()) {
                    (true, true) => shown.push_str(key),
                    (true, false) => shown.push_str(&format!(".{key}")),
                    (false, _) => shown.push_str(&format!("[{}]", shorten(key))),
                }
            }
        }
    }
    shown
}

/// The opposite of [`show_path`], for the paths that validation makes.
pub(crate) fn read_path(shown: &str) -> Vec<Segment> {
    let mut path = Vec::new();
    let mut rest = shown;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').unwrap_or(inner.len());
            let text = &inner[..end];
            path.push(text.parse().map_or_else(|_| Segment::Key(text.to_owned()), Segment::Index));
            rest = inner.get(end + 1..).unwrap_or_default();
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            path.push(Segment::Key(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    path
}

/// Reads a manifest of either kind.
pub(crate) fn decode(body: Value) -> Decoded {
    let refuse = |finding| Decoded { manifest: None, findings: vec![finding] };
    let Value::Object(fields) = &body else {
        let what = "is not a manifest: write a mapping with apiVersion, kind, metadata and spec";
        return refuse(Finding::new(Vec::new(), what));
    };
    let key = |name: &str| vec![Segment::Key(name.into())];
    let text = |name: &str, known: &str| match fields.get(name) {
        None => Err(Finding::new(Vec::new(), format!("`{name}` is missing; write {known}"))),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(Finding::new(key(name), format!("has to be text: write {known}"))),
    };
    let kinds = format!("{GAME_KIND} or {ENGINE_VERSION_KIND}");
    let kind = match text("kind", &kinds) {
        Ok(kind) => kind,
        Err(finding) => return refuse(finding),
    };
    match text("apiVersion", API_VERSION) {
        Ok(version) if version == API_VERSION => {}
        Ok(version) => {
            let message = format!("`{}` is not known; write {API_VERSION}", shorten(&version));
            return refuse(Finding::new(key("apiVersion"), message));
        }
        Err(finding) => return refuse(finding),
    }
    match kind.as_str() {
        GAME_KIND => read(body, |game| Manifest::Game(Box::new(game))),
        ENGINE_VERSION_KIND => read(body, |version| Manifest::EngineVersion(Box::new(version))),
        _ => {
            let near = nearest(&kind, [GAME_KIND, ENGINE_VERSION_KIND].into_iter());
            let message = format!("`{}` is not a kind; {}write {kinds}", shorten(&kind), did_you_mean(near));
            refuse(Finding::new(key("kind"), message))
        }
    }
}

fn read<T: DeserializeOwned>(mut body: Value, wrap: impl Fn(T) -> Manifest) -> Decoded {
    let mut findings: Vec<Finding> = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&body) {
            Ok(manifest) => return Decoded { manifest: Some(wrap(manifest)), findings },
            Err(error) => error,
        };
        let finding = explain(&error);
        // Something required was taken out as wrong: that was told already.
        if findings.iter().any(|told| told.path == finding.path) {
            return Decoded { manifest: None, findings };
        }
        let goes_on = findings.len() + 1 < MAX_PROBLEMS && take_out(&mut body, &finding.path);
        findings.push(finding);
        if !goes_on {
            return Decoded { manifest: None, findings };
        }
    }
}

/// Removes the field at the end of the path; an element of a list stays, or the others would move.
fn take_out(body: &mut Value, path: &[Segment]) -> bool {
    let Some((Segment::Key(last), parents)) = path.split_last() else { return false };
    let parent = parents.iter().try_fold(body, |value, segment| match segment {
        Segment::Key(key) => value.get_mut(key.as_str()),
        Segment::Index(index) => value.get_mut(index),
    });
    parent.and_then(Value::as_object_mut).is_some_and(|fields| fields.shift_remove(last.as_str()).is_some())
}

/// Turns serde's error into a finding.
fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> Finding {
    use serde_path_to_error::Segment as Step;

    let mut path: Vec<Segment> = error
        .path()
        .iter()
        .filter_map(|step| match step {
            Step::Seq { index } => Some(Segment::Index(*index)),
            Step::Map { key } => Some(Segment::Key(key.clone())),
            Step::Enum { .. } | Step::Unknown => None,
        })
        .collect();
    let message = error.inner().to_string();
    if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        path.push(Segment::Key(field.to_owned()));
        return Finding::new(path, "is missing");
    }
    if message.starts_with("unknown field `") {
        let known = expected(&message);
        let name = match path.last() {
            Some(Segment::Key(key)) => key.clone(),
            _ => String::new(),
        };
        let near = nearest(&name, known.iter().copied());
        let message = format!(
            "unknown field `{}`; {}known here: {}",
            shorten(&name),
            did_you_mean(near),
            known.join(", ")
        );
        return Finding { path, at_key: true, message };
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let known = expected(&message);
        let end = rest.rfind("`, expected ").unwrap_or(rest.len());
        let near = nearest(&rest[..end], known.iter().copied());
        let shown = shorten(&rest[..end]);
        return Finding::new(
            path,
            format!("`{shown}` is none of {}{}", known.join(", "), {
                near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
            }),
        );
    }
    let wants_text =
        message.ends_with("expected a string") && !message.contains("map,") && !message.contains("sequence,");
    let hint = if wants_text { "; write it in quotes" } else { "" };
    Finding::new(path, format!("{}{hint}", shorten_to(&message, 300)))
}

/// The names that serde lists at the end of its message; they are ours, so they hold no backtick.
fn expected(message: &str) -> Vec<&str> {
    let list = message.rsplit_once(", expected ").map_or("", |(_, list)| list);
    list.split('`').skip(1).step_by(2).collect()
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > 64 {
        return None;
    }
    let lower = name.to_lowercase();
    known
        .map(|known| (strsim::damerau_levenshtein(&lower, &known.to_lowercase()), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default()
}
