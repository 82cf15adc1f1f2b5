//! Manifest files: several documents in a text, in YAML or JSON.
//!
//! Each document is read strictly ([`super::decode`]) and validated ([`super::validate()`]); whatever
//! is wrong is told with its place. Work is bounded by the size of the text, whatever is in it.

use std::collections::HashMap;
use std::sync::Arc;

use serde::de::DeserializeSeed;

use super::decode::{Decoded, Finding, decode, read_path, show_path};
use super::error::{ManifestError, ManifestErrors, Place, Source};
use super::locate::{document_starts, locate};
use super::problem::shorten_to;
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
    File { source: Arc::new(Source::new(file_name, text.to_owned())), errors: Vec::new() }.read()
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
                place: place_of(&place.source, place.document, "metadata.name"),
                field: "metadata.name".into(),
                message: format!(
                    "{} `{}` is declared twice, first at {}",
                    value.kind(),
                    meta.name,
                    place_of(&first.source, first.document, "metadata.name"),
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
}

impl File {
    fn read(mut self) -> Result<Vec<Located<Manifest>>, ManifestErrors> {
        let source = Arc::clone(&self.source);
        let text = source.text();
        let budget = Budget::new(MAX_NODES);
        let mut documents = Vec::new();
        for (index, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
            if index == MAX_DOCUMENTS {
                self.error(0, 0, "", format!("the file has more than {MAX_DOCUMENTS} documents"));
                break;
            }
            match Survey::new(&budget).deserialize(document) {
                Ok(value) => documents.push(Some(value)),
                Err(error) => {
                    let at = error.location().map_or(0, |location| byte_of(text, location.index()));
                    match budget.refusal() {
                        Some(refusal) => self.error(at, at, &show_path(&refusal.path), refusal.message),
                        None => self.error(at, at, "", syntax(&error)),
                    }
                    // What follows could not be told apart from what went wrong.
                    break;
                }
            }
        }
        let starts = document_starts(text, documents.len());
        let mut manifests = Vec::new();
        for (value, start) in documents.into_iter().zip(starts) {
            let start = line_start(text, start.map_or(0, |index| byte_of(text, index)));
            if let Some(value) = value.filter(|value| !value.is_null())
                && self.errors.len() < MAX_ERRORS
            {
                manifests.extend(self.document(start, value));
            }
        }
        if self.errors.is_empty() { Ok(manifests) } else { Err(ManifestErrors(self.errors)) }
    }

    fn document(&mut self, start: usize, value: serde_json::Value) -> Option<Located<Manifest>> {
        let Decoded { manifest, findings } = decode(value);
        for finding in &findings {
            self.finding(start, finding);
        }
        let manifest = manifest?;
        for problem in validate(&manifest).err().unwrap_or_default() {
            let path = read_path(&problem.field);
            self.finding(start, &Finding { path, at_key: false, message: problem.message });
        }
        let place = place_of(&self.source, start, "");
        self.errors.is_empty().then_some(Located { value: manifest, place })
    }

    fn finding(&mut self, document: usize, finding: &Finding) {
        if self.errors.len() == MAX_ERRORS {
            return;
        }
        let text = &self.source.text()[document..];
        let offset = locate(text, &finding.path, finding.at_key).map_or(0, |index| byte_of(text, index));
        self.error(document, document + offset, &show_path(&finding.path), finding.message.clone());
    }

    fn error(&mut self, document: usize, offset: usize, field: &str, message: String) {
        let place = Place::new(&self.source, document, offset);
        self.errors.push(ManifestError { place, field: field.to_owned(), message });
    }
}

fn place_of(source: &Arc<Source>, document: usize, field: &str) -> Place {
    let text = &source.text()[document..];
    let offset = locate(text, &read_path(field), false).map_or(0, |index| byte_of(text, index));
    Place::new(source, document, document + offset)
}

fn whole_file(file_name: &str, message: &str) -> ManifestErrors {
    let source = Arc::new(Source::new(file_name, String::new()));
    let place = Place::new(&source, 0, 0);
    ManifestErrors(vec![ManifestError { place, field: String::new(), message: message.to_owned() }])
}

/// The parser's message, without the place that it repeats.
fn syntax(error: &serde_yaml::Error) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    format!("not valid YAML: {}", shorten_to(message, 300))
}

/// The parser counts characters.
fn byte_of(text: &str, index: usize) -> usize {
    text.char_indices().nth(index).map_or(text.len(), |(byte, _)| byte)
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// Whether more brackets are open at once than any manifest has. Brackets in quoted text count as
/// well, which does no harm: so many stand nowhere.
fn too_deep(text: &str) -> bool {
    let mut depth = 0usize;
    text.bytes().any(|b| {
        match b {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    })
}
