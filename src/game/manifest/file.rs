//! Manifest files: several documents in a text, in YAML or JSON.
//!
//! Each document is read strictly ([`super::decode`]) and validated ([`super::validate()`]); whatever
//! is wrong is told with its place. Work is bounded by the size of the text, whatever is in it.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use serde::de::DeserializeSeed;
use serde_json::Value;

use super::decode::{Decoded, Finding, Segment, decode, read_path, show_path};
use super::error::{ManifestError, ManifestErrors, Place, Source};
use super::locate::{document_starts, locate};
use super::problem::{SpecProblem, shorten_to};
use super::survey::{Budget, Survey};
use super::validate::{DEFAULT_NAMESPACE, validate};
use super::wire::Manifest;

/// The largest file that is read.
pub const MAX_FILE_BYTES: usize = 4 << 20;
/// The most documents in one file.
pub const MAX_DOCUMENTS: usize = 1_000;

/// How many values a file may hold, aliases followed.
const MAX_NODES: usize = 500_000;
/// Deeper than any manifest, and than the parser's own limit of 128; beyond that, its time grows
/// with the square of the depth.
const MAX_DEPTH: usize = 256;
/// So many errors of one file are told; nobody reads more.
const MAX_ERRORS: usize = 50;
/// How many bytes are read again to find the places of errors: the places of many errors in a large
/// document cost its size each.
const MAX_SEARCH: usize = 4 << 20;

/// A value, and where it was read.
#[derive(Debug, Clone)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where its document begins.
    pub place: Place,
}

/// Reads and validates all manifests of a file. Empty documents are skipped.
///
/// # Errors
/// Everything that is wrong, with file, line, column and field; nothing of the file is to be used
/// then.
pub fn parse_documents(file_name: &str, text: &str) -> Result<Vec<Located<Manifest>>, ManifestErrors> {
    if text.len() > MAX_FILE_BYTES {
        let mebibytes = MAX_FILE_BYTES >> 20;
        return Err(whole_file(file_name, &format!("the file is larger than {mebibytes} MiB")));
    }
    if too_deep(text) {
        return Err(whole_file(file_name, "the file is nested too deeply"));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    File { source: Arc::new(Source::new(file_name, text.to_owned())), errors: Vec::new(), search: MAX_SEARCH }
        .read()
}

/// Reads and validates all manifests of several files, given as names and texts, and refuses two
/// of the same object.
///
/// # Errors
/// Everything that is wrong in any of them.
pub fn parse_files<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<Located<Manifest>>, ManifestErrors> {
    let mut manifests = Vec::new();
    let mut errors = Vec::new();
    for (name, text) in files {
        match parse_documents(name, text) {
            Ok(found) => manifests.extend(found),
            Err(ManifestErrors(found)) => errors.extend(found),
        }
    }
    if let Err(ManifestErrors(found)) = refuse_duplicates(&manifests) {
        errors.extend(found);
    }
    if errors.is_empty() { Ok(manifests) } else { Err(ManifestErrors(errors)) }
}

/// Reads one YAML (or JSON) document of any shape with the same limits, as a patch in YAML is sent.
///
/// # Errors
/// Why it cannot be read.
pub fn read_yaml(text: &str) -> Result<Value, SpecProblem> {
    one_yaml(text, &Budget::new(MAX_NODES))
}

/// The same, where of equal keys of a map the last one counts; with the paths of such keys.
///
/// # Errors
/// Why it cannot be read.
pub fn read_yaml_leniently(text: &str) -> Result<(Value, Vec<String>), SpecProblem> {
    let budget = Budget::lenient(MAX_NODES);
    one_yaml(text, &budget).map(|value| (value, budget.twice()))
}

fn one_yaml(text: &str, budget: &Budget) -> Result<Value, SpecProblem> {
    if text.len() > MAX_FILE_BYTES || too_deep(text) {
        return Err(SpecProblem::new("", "is too large, or nested too deeply"));
    }
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let first = match documents.next() {
        None => return Ok(Value::Null),
        Some(document) => Survey::new(budget).deserialize(document),
    };
    match (first, documents.next()) {
        (Ok(value), None) => Ok(value),
        (Ok(_), Some(_)) => Err(SpecProblem::new("", "has more than one document")),
        (Err(error), _) => Err(unreadable(budget, &error.to_string())),
    }
}

/// Reads one JSON document of any shape, with the same limits: equal keys of a map are refused too.
///
/// # Errors
/// Why it cannot be read.
pub fn read_json(text: &[u8]) -> Result<Value, SpecProblem> {
    one_json(text, &Budget::new(MAX_NODES))
}

/// The same, where of equal keys of a map the last one counts; with the paths of such keys.
///
/// # Errors
/// Why it cannot be read.
pub fn read_json_leniently(text: &[u8]) -> Result<(Value, Vec<String>), SpecProblem> {
    let budget = Budget::lenient(MAX_NODES);
    one_json(text, &budget).map(|value| (value, budget.twice()))
}

fn one_json(text: &[u8], budget: &Budget) -> Result<Value, SpecProblem> {
    let mut document = serde_json::Deserializer::from_slice(text);
    let read = Survey::new(budget).deserialize(&mut document);
    read.and_then(|value| document.end().map(|()| value))
        .map_err(|error| unreadable(budget, &error.to_string()))
}

fn unreadable(budget: &Budget, error: &str) -> SpecProblem {
    match budget.refusal() {
        Some(refusal) => SpecProblem::new(show_path(&refusal.path), refusal.message),
        None => SpecProblem::new("", shorten_to(error, 300)),
    }
}

/// Refuses two manifests of the same kind, namespace and name, naming both places.
///
/// # Errors
/// One for each manifest that had been there before.
pub fn refuse_duplicates(manifests: &[Located<Manifest>]) -> Result<(), ManifestErrors> {
    let mut seen = HashMap::new();
    let mut errors = Vec::new();
    for Located { value, place } in manifests {
        let meta = value.metadata();
        let namespace =
            meta.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or(DEFAULT_NAMESPACE);
        if let Some(first) = seen.insert((value.kind(), namespace, meta.name.as_str()), place) {
            errors.push(ManifestError {
                place: name_of(place),
                field: "metadata.name".into(),
                message: format!(
                    "{} `{}` is declared twice, first at {}",
                    value.kind(),
                    meta.name,
                    name_of(first),
                ),
            });
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(ManifestErrors(errors)) }
}

/// A file while it is read.
struct File {
    source: Arc<Source>,
    errors: Vec<ManifestError>,
    /// How many bytes may still be read again to find the places of errors.
    search: usize,
}

impl File {
    fn read(mut self) -> Result<Vec<Located<Manifest>>, ManifestErrors> {
        let source = Arc::clone(&self.source);
        let values = self.values();
        let starts = document_starts(source.text(), values.len());
        let mut manifests = Vec::new();
        for (index, value) in values.into_iter().enumerate().filter(|(_, value)| !value.is_null()) {
            let Some(start) = starts.get(index) else { break };
            let end = starts.get(index + 1).map_or(source.text().len(), |next| source.line_start(*next));
            let document = source.line_start(*start)..end.max(*start);
            match self.document(document.clone(), value) {
                ControlFlow::Continue(Some(value)) => {
                    manifests.push(Located { value, place: Place::new(&source, document, *start) });
                }
                ControlFlow::Continue(None) => {}
                ControlFlow::Break(()) => break,
            }
        }
        if self.errors.is_empty() { Ok(manifests) } else { Err(ManifestErrors(self.errors)) }
    }

    /// The documents as JSON, up to the first that cannot be read at all: what follows that one
    /// could not be told apart from what went wrong.
    fn values(&mut self) -> Vec<Value> {
        let source = Arc::clone(&self.source);
        let budget = Budget::new(MAX_NODES);
        let mut values = Vec::new();
        for document in serde_yaml::Deserializer::from_str(source.text()) {
            if values.len() == MAX_DOCUMENTS {
                self.error(0..0, 0, "", format!("the file has more than {MAX_DOCUMENTS} documents"));
                break;
            }
            match Survey::new(&budget).deserialize(document) {
                Ok(value) => values.push(value),
                Err(error) => {
                    let at = error.location().map_or(0, |location| location.index());
                    match budget.refusal() {
                        Some(refusal) => self.error(0..0, at, &show_path(&refusal.path), refusal.message),
                        None => self.error(0..0, at, "", syntax(&error)),
                    }
                    break;
                }
            }
        }
        values
    }

    /// A document's manifest, if nothing is wrong with it; breaks when enough was told.
    fn document(&mut self, document: Range<usize>, value: Value) -> ControlFlow<(), Option<Manifest>> {
        let Decoded { manifest, mut findings } = decode(value);
        let problems = manifest.as_ref().and_then(|manifest| validate(manifest).err()).unwrap_or_default();
        findings.extend(problems.into_iter().map(|SpecProblem { field, message, .. }| Finding {
            path: read_path(&field),
            at_key: false,
            message,
        }));
        for finding in &findings {
            let cost = document.len() + 1_000;
            if self.errors.len() == MAX_ERRORS || self.search < cost {
                self.error(
                    document.clone(),
                    document.start,
                    "",
                    "more is wrong here; it is not shown".into(),
                );
                return ControlFlow::Break(());
            }
            self.search -= cost;
            let offset = offset_of(&self.source, &document, &finding.path, finding.at_key);
            self.error(document.clone(), offset, &show_path(&finding.path), finding.message.clone());
        }
        ControlFlow::Continue(manifest.filter(|_| findings.is_empty()))
    }

    fn error(&mut self, document: Range<usize>, offset: usize, field: &str, message: String) {
        let place = Place::new(&self.source, document, offset);
        self.errors.push(ManifestError { place, field: field.to_owned(), message });
    }
}

fn name_of(place: &Place) -> Place {
    let offset = offset_of(&place.source, &place.document, &read_path("metadata.name"), false);
    Place::new(&place.source, place.document.clone(), offset)
}

fn offset_of(source: &Source, document: &Range<usize>, path: &[Segment], at_key: bool) -> usize {
    document.start + locate(&source.text()[document.clone()], path, at_key).unwrap_or(0)
}

fn whole_file(file_name: &str, message: &str) -> ManifestErrors {
    let source = Arc::new(Source::new(file_name, String::new()));
    let place = Place::new(&source, 0..0, 0);
    ManifestErrors(vec![ManifestError { place, field: String::new(), message: message.to_owned() }])
}

/// The parser's message, without the place that it repeats.
fn syntax(error: &serde_yaml::Error) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    format!("not valid YAML: {}", shorten_to(message, 300))
}

/// Whether more is open at once than in any manifest: brackets, or `- - - -` at the beginning of a
/// line. In quoted text they count as well, which does no harm: so many stand nowhere.
fn too_deep(text: &str) -> bool {
    let mut depth = 0usize;
    let brackets = text.bytes().any(|b| {
        match b {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    });
    let dashes =
        |line: &str| line.bytes().take_while(|b| b"-? \t".contains(b)).filter(|b| b"-?".contains(b)).count();
    brackets || text.lines().any(|line| line.len() > MAX_DEPTH && dashes(line) > MAX_DEPTH)
}
