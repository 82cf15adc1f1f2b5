//! Every word that is shown as a reason stands in what operators read.

use std::path::{Path, PathBuf};

/// Words of the same form that are no reasons: names of facts, of steps' parts and of kinds.
const NO_REASONS: [&str; 12] = [
    "Container",
    "Controller",
    "Docker",
    "Engine",
    "Init",
    "NotAnswered",
    "Output",
    "Players",
    "Spec",
    "Status",
    "TimedOut",
    "WrongEngine",
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "tests") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// Words in quotes that begin each of their parts with a capital, as reasons do.
fn words(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_word = |text: &&str| {
        text.len() > 2
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.chars().all(|letter| letter.is_ascii_alphabetic())
            && text.chars().any(|letter| letter.is_ascii_lowercase())
    };
    // Between an opening quote and a closing one; a text's own quotes are escaped.
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| line.split('"').skip(1).step_by(2).filter(is_word)).map(str::to_owned).collect()
}

#[test]
fn every_reason_stands_in_the_operators_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/operating.md")).unwrap();
    let mut files = Vec::new();
    sources(&root.join("src/reconcile"), &mut files);
    files.extend(
        ["src/runtime/cause.rs", "src/controller/ground.rs", "src/controller/relist.rs"]
            .map(|file| root.join(file)),
    );
    let mut missing = Vec::new();
    let mut seen = 0;
    for file in &files {
        for word in words(&std::fs::read_to_string(file).unwrap()) {
            seen += 1;
            if !NO_REASONS.contains(&word.as_str()) && !page.contains(&format!("`{word}`")) {
                missing.push(format!("{word} ({})", file.display()));
            }
        }
    }
    assert!(seen > 100, "the sources are read: {seen}");
    assert!(missing.is_empty(), "docs/operating.md does not say what these mean: {missing:#?}");
}
