//! Labels and annotations, held to Kubernetes' syntax so that its clients and selectors work.

use std::collections::BTreeMap;

use super::problem::{SpecProblem, shorten};

/// Kubernetes' own limit of all annotations of an object together.
const MAX_ANNOTATIONS: usize = 256 << 10;
/// More labels than anybody needs.
const MAX_LABELS: usize = 256;
/// What the database takes of all labels together, written as JSON, in bytes.
const MAX_LABELS_STORED: usize = 16 << 10;

/// Checks keys and values of `metadata.labels`.
pub(crate) fn check_labels(labels: &BTreeMap<String, String>, problems: &mut Vec<SpecProblem>) {
    if labels.len() > MAX_LABELS {
        problems.push(SpecProblem::new("metadata.labels", format!("has more than {MAX_LABELS} labels")));
        return;
    }
    if stored(labels) > MAX_LABELS_STORED {
        problems.push(SpecProblem::new("metadata.labels", "has more than 16 KiB together"));
        return;
    }
    for (key, value) in labels {
        check_key("metadata.labels", key, problems);
        if !value.is_empty() && !is_word(value) {
            problems.push(SpecProblem::new(
                at("metadata.labels", key),
                format!("`{}` is not a label's value: {WORD}", shorten(value)),
            ));
        }
    }
}

/// Checks the keys of `metadata.annotations`, and how much there is.
pub(crate) fn check_annotations(annotations: &BTreeMap<String, String>, problems: &mut Vec<SpecProblem>) {
    if stored(annotations) > MAX_ANNOTATIONS {
        problems.push(SpecProblem::new("metadata.annotations", "has more than 256 KiB together"));
        return;
    }
    for key in annotations.iter().filter(|(_, value)| value.contains('\0')).map(|(key, _)| key) {
        let message = "has a U+0000, which no database of ours takes";
        problems.push(SpecProblem::new(at("metadata.annotations", key), message));
    }
    for key in annotations.keys() {
        check_key("metadata.annotations", key, problems);
    }
}

/// How long they are as the database writes them, in bytes: `{"key": "value", …}`.
fn stored(texts: &BTreeMap<String, String>) -> usize {
    let json = |text: &str| serde_json::to_string(text).map_or(usize::MAX, |json| json.len());
    let entry = |(key, value): (&String, &String)| json(key).saturating_add(json(value)).saturating_add(4);
    texts.iter().map(entry).fold(2, usize::saturating_add)
}

const WORD: &str =
    "use 1 to 63 of A-Z, a-z, 0-9, `-`, `_` and `.`, beginning and ending with a letter or digit";

fn check_key(field: &str, key: &str, problems: &mut Vec<SpecProblem>) {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if !is_word(name) || prefix.is_some_and(|prefix| !is_domain(prefix)) {
        problems.push(SpecProblem::new(
            at(field, key),
            format!("`{}` is not a key: {WORD}; a domain and `/` may stand before it", shorten(key)),
        ));
    }
}

fn at(field: &str, key: &str) -> String {
    format!("{field}[{}]", shorten(key))
}

fn is_word(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && text.starts_with(ends)
        && text.ends_with(ends)
}

fn is_domain(text: &str) -> bool {
    (1..=253).contains(&text.len()) && text.split('.').all(|label| label.parse::<crate::game::Name>().is_ok())
}
