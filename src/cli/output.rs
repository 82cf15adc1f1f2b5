//! What commands print.

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::{Value, json};

use super::client::Object;
use super::failure::{Exit, Failure};
use crate::game::manifest::to_yaml;

/// In which form objects are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table with more columns
    Wide,
    /// JSON, with everything
    Json,
    /// YAML, with everything
    Yaml,
    /// KIND/NAME, one a line
    Name,
}

/// In which form a change is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChangeFormat {
    /// The object as JSON
    Json,
    /// The object as YAML
    Yaml,
    /// KIND/NAME alone
    Name,
}

/// Prints a line (or several) on standard output.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Tells people something that is no result, on standard error.
pub(crate) fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints any value as JSON.
pub(crate) fn say_json(value: &Value) -> Result<(), Failure> {
    say(&format!("{value:#}"))
}

/// Prints any value as YAML.
pub(crate) fn say_yaml(value: &Value) -> Result<(), Failure> {
    say(&to_yaml(value).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?)
}

/// One object as itself, several (or none) as a list, as kubectl has it.
pub(crate) fn as_list(objects: Vec<Object>, alone: bool) -> Value {
    let mut items: Vec<Value> = objects.into_iter().map(|object| object.0).collect();
    match items.pop() {
        Some(only) if alone && items.is_empty() => only,
        last => {
            items.extend(last);
            json!({ "apiVersion": "v1", "kind": "List", "items": items })
        }
    }
}

/// Prints that an object was changed, and what it is now.
pub(crate) fn say_change(
    format: Option<ChangeFormat>,
    what: &str,
    done: &str,
    object: &Object,
) -> Result<(), Failure> {
    match format {
        Some(ChangeFormat::Json) => say_json(&object.0),
        Some(ChangeFormat::Yaml) => say(&format!("---\n{}", to_yaml(&object.0).unwrap_or_default())),
        Some(ChangeFormat::Name) => say(what),
        None => say(&format!("{what} {done}")),
    }
}

/// Text from elsewhere, made safe to show: no character of it steers the terminal.
pub(crate) fn clean(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\t' { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_is_itself_and_several_are_a_list() {
        let object = |n| Object(json!({ "n": n }));
        assert_eq!(as_list(vec![object(1)], true), json!({ "n": 1 }));
        assert_eq!(as_list(vec![object(1)], false)["items"], json!([{ "n": 1 }]));
        assert_eq!(as_list(vec![object(1), object(2)], true)["items"], json!([{ "n": 1 }, { "n": 2 }]));
        assert_eq!(as_list(vec![], true)["items"], json!([]));
    }

    #[test]
    fn what_engines_write_does_not_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\tc"), "a\\u{1b}[31mb\tc");
    }
}
