//! The lines of a watch in another form: each as it passes, and nothing held but the line that is not
//! whole yet.

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Form;
use crate::api::wire::{META, metadata_of_one, partial, table};

/// The same watch in this form.
pub(super) fn shaped(form: Form, body: Body) -> Body {
    let lines = Shaper { form, rest: Vec::new(), columns_told: false };
    let next = |(mut body, mut lines): (BodyDataStream, Shaper)| async move {
        loop {
            let out = match body.next().await? {
                Ok(piece) => lines.take(&piece),
                Err(error) => return Some((Err(error), (body, lines))),
            };
            if !out.is_empty() {
                return Some((Ok(Bytes::from(out)), (body, lines)));
            }
        }
    };
    Body::from_stream(futures::stream::unfold((body.into_data_stream(), lines), next))
}

struct Shaper {
    form: Form,
    /// The beginning of a line.
    rest: Vec<u8>,
    /// The client has the columns: they stand in the first table alone.
    columns_told: bool,
}

impl Shaper {
    /// What is to be written for the lines that a piece ends.
    fn take(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.rest);
                self.write(&mut out, line);
            }
        }
        out
    }

    fn write(&mut self, out: &mut Vec<u8>, line: Vec<u8>) {
        match serde_json::from_slice::<Value>(&line) {
            Ok(mut event) if event["type"] != "ERROR" => {
                let bookmark = event["type"] == "BOOKMARK";
                let object = event["object"].take();
                event["object"] = self.of(object, bookmark);
                out.extend_from_slice(event.to_string().as_bytes());
                out.push(b'\n');
            }
            // A Status is one in every form.
            Ok(_) | Err(_) => out.extend_from_slice(&line),
        }
    }

    fn of(&mut self, object: Value, bookmark: bool) -> Value {
        match self.form {
            Form::Full => object,
            Form::Metadata => partial(&object),
            // It has no row: nobody should print it.
            Form::Table(_) if bookmark => json!({
                "kind": "Table",
                "apiVersion": META,
                "metadata": object["metadata"],
                "columnDefinitions": [],
                "rows": [],
            }),
            Form::Table(include) => {
                let kind = object["kind"].as_str().unwrap_or_default();
                let metadata = metadata_of_one(&object);
                let mut table =
                    table(kind, std::slice::from_ref(&object), metadata, include, Timestamp::now());
                if std::mem::replace(&mut self.columns_told, true) {
                    table.column_definitions.clear();
                }
                json!(table)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::IncludeObject;

    fn event(word: &str, version: &str) -> String {
        let object = json!({
            "kind": "Game",
            "metadata": { "name": "andromeda", "resourceVersion": version },
            "spec": { "desiredStatus": "Running" },
        });
        format!("{}\n", json!({ "type": word, "object": object }))
    }

    fn shaper(form: Form) -> Shaper {
        Shaper { form, rest: Vec::new(), columns_told: false }
    }

    fn read(out: &[u8]) -> Vec<Value> {
        out.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    #[test]
    fn a_line_becomes_a_table_of_one_row_wherever_it_is_cut() {
        let all = [event("ADDED", "7"), event("DELETED", "8")].concat();
        let whole = read(&shaper(Form::Table(IncludeObject::None)).take(all.as_bytes()));
        let mut bytewise = shaper(Form::Table(IncludeObject::None));
        let pieces: Vec<u8> = all.as_bytes().iter().flat_map(|byte| bytewise.take(&[*byte])).collect();
        assert_eq!(read(&pieces), whole);
        let [added, deleted] = whole.as_slice() else { panic!("{whole:?}") };
        assert_eq!((&added["type"], &deleted["type"]), (&json!("ADDED"), &json!("DELETED")));
        assert_eq!(added["object"]["columnDefinitions"][0]["name"], "Name");
        assert_eq!(deleted["object"]["columnDefinitions"], json!([]));
        for (line, version) in [(added, "7"), (deleted, "8")] {
            assert_eq!(line["object"]["kind"], "Table");
            assert_eq!(line["object"]["metadata"]["resourceVersion"], version);
            assert_eq!(line["object"]["rows"][0]["cells"][0], "andromeda");
        }
    }

    #[test]
    fn a_bookmark_keeps_what_it_says_and_an_error_is_a_status() {
        let metadata = json!({
            "resourceVersion": "9", "annotations": { "k8s.io/initial-events-end": "true" },
        });
        let bookmark = json!({ "type": "BOOKMARK", "object": { "kind": "Game", "metadata": metadata } });
        let error = json!({ "type": "ERROR", "object": { "kind": "Status", "code": 410 } });
        let lines = format!("{bookmark}\n{error}\n");
        for (form, kind) in
            [(Form::Table(IncludeObject::Object), "Table"), (Form::Metadata, "PartialObjectMetadata")]
        {
            let out = read(&shaper(form).take(lines.as_bytes()));
            assert_eq!(out[0]["object"]["kind"], kind);
            assert_eq!(out[0]["object"]["metadata"], metadata);
            assert_eq!(out[1], error);
        }
    }
}
