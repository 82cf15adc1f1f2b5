//! Manifests from files, directories and standard input, read and validated before anything is sent.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::client::Kind;
use super::failure::{Exit, Failure};
use super::target::Target;
use crate::game::manifest::{
    DEFAULT_NAMESPACE, Located, MAX_FILE_BYTES, Manifest, ManifestErrors, Place, parse_documents,
    refuse_duplicates,
};

/// Which files are read.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FileOptions {
    /// A file, a directory (every *.yaml, *.yml and *.json below it, in order), or - for standard
    /// input; may be given several times
    #[arg(short, long = "filename", value_name = "FILE|DIR|-")]
    pub(crate) filename: Vec<PathBuf>,
}

/// A manifest as it was written, which validated.
#[derive(Debug)]
pub(crate) struct Document {
    /// Which object it is of.
    pub(crate) target: Target,
    /// The object's namespace; the default one where the kind has none.
    pub(crate) namespace: String,
    /// What was written: what is absent here, nobody wrote.
    pub(crate) written: Value,
    /// Where it begins.
    pub(crate) place: Place,
}

/// Reads all manifests, engine versions first, otherwise in the order in which they were written.
pub(crate) fn read(options: &FileOptions, namespace: Option<&str>) -> Result<Vec<Document>, Failure> {
    let mut documents = Vec::new();
    let mut errors = Vec::new();
    let mut located = Vec::new();
    for (name, text) in texts(&options.filename)? {
        match parse_documents(&name, &text) {
            Ok(manifests) => {
                documents.extend(as_written(&text));
                located.extend(manifests);
            }
            Err(ManifestErrors(found)) => errors.extend(found),
        }
    }
    for manifest in &mut located {
        errors.extend(put_into(manifest, namespace));
    }
    errors.extend(refuse_duplicates(&located).err().into_iter().flat_map(|ManifestErrors(found)| found));
    if !errors.is_empty() {
        return Err(refused(&ManifestErrors(errors)));
    }
    if documents.len() != located.len() {
        return Err(Failure::new(Exit::Failed, "the manifests were read in two ways that do not agree"));
    }
    if located.is_empty() {
        let hint = "a manifest has apiVersion, kind, metadata and spec; `gamekeeper schema` tells more";
        return Err(Failure::usage("there is no manifest in what was given").hint(hint));
    }
    let mut documents: Vec<Document> =
        located.into_iter().zip(documents).map(|(manifest, written)| document(manifest, written)).collect();
    documents.sort_by_key(|document| document.target.kind);
    Ok(documents)
}

fn document(Located { value, place }: Located<Manifest>, written: Value) -> Document {
    let kind = match value {
        Manifest::Game(_) => Kind::Game,
        Manifest::EngineVersion(_) => Kind::EngineVersion,
    };
    let meta = value.metadata();
    Document {
        target: Target { kind, name: meta.name.clone() },
        namespace: meta.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.into()),
        written,
        place,
    }
}

/// Gives a game that names no namespace the one that is meant.
fn put_into(
    manifest: &mut Located<Manifest>,
    namespace: Option<&str>,
) -> Option<crate::game::manifest::ManifestError> {
    let Manifest::Game(game) = &mut manifest.value else { return None };
    let own = game.metadata.namespace.take().filter(|own| !own.is_empty());
    let refusal = match (&own, namespace) {
        (Some(own), Some(named)) if own != named => Some(crate::game::manifest::ManifestError {
            place: manifest.place.clone(),
            field: "metadata.namespace".into(),
            message: format!("is `{own}`, but --namespace says `{named}`; leave one of them out"),
        }),
        _ => None,
    };
    game.metadata.namespace = own.or(namespace.map(str::to_owned));
    refusal
}

/// The documents of a text that was validated, as they were written.
fn as_written(text: &str) -> Vec<Value> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_yaml::Deserializer::from_str(text)
        .map_while(|document| Value::deserialize(document).ok())
        .filter(|value| !value.is_null())
        .collect()
}

fn refused(errors: &ManifestErrors) -> Failure {
    let shown = if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        errors.render(&miette::GraphicalTheme::unicode())
    } else {
        errors.to_string()
    };
    let what = if errors.0.len() == 1 { "a manifest is wrong" } else { "manifests are wrong" };
    Failure::usage(format!("{what}; nothing was sent\n{}", shown.trim_end()))
}

/// Each file's name and text.
fn texts(given: &[PathBuf]) -> Result<Vec<(String, String)>, Failure> {
    if given.iter().filter(|path| path.as_os_str() == "-").count() > 1 {
        return Err(Failure::usage("standard input can be read only once; leave out the second `-f -`"));
    }
    let mut texts = Vec::new();
    for path in given {
        if path.as_os_str() == "-" {
            texts.push(("standard input".into(), text(path, std::io::stdin().lock())?));
            continue;
        }
        let about = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if about.is_dir() {
            let mut files = Vec::new();
            below(path, &mut files).map_err(|error| unreadable(path, &error))?;
            if files.is_empty() {
                let message = format!("there is no *.yaml, *.yml or *.json file below {}", path.display());
                return Err(Failure::usage(message));
            }
            for file in files {
                texts.push(open(&file)?);
            }
        } else {
            texts.push(open(path)?);
        }
    }
    Ok(texts)
}

fn open(path: &Path) -> Result<(String, String), Failure> {
    let file = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    Ok((path.display().to_string(), text(path, file)?))
}

fn text(path: &Path, from: impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    // One byte more than is allowed tells that there is more; whoever parses it refuses it then.
    let most = MAX_FILE_BYTES as u64 + 1;
    from.take(most).read_to_string(&mut text).map_err(|error| unreadable(path, &error))?;
    Ok(text)
}

/// The manifest files below a directory, sorted by path; links to directories are not followed.
fn below(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let manifest =
            path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known));
        if entry.file_type()?.is_dir() {
            below(&path, files)?;
        } else if manifest && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let name = if path.as_os_str() == "-" { "standard input".into() } else { path.display().to_string() };
    let failure = Failure::usage(format!("{name} cannot be read: {error}; nothing was sent"));
    match error.kind() {
        std::io::ErrorKind::InvalidData => failure.hint("manifests are text in UTF-8"),
        _ => failure,
    }
}
