//! JSON patches: steps, one after the other, on any object that is patched here.

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

/// The largest number of steps.
const MOST_STEPS: usize = 10_000;

/// Makes the steps on the object. What `copy` repeats is counted, so that a short patch makes no large object.
///
/// # Errors
/// In words that go on from "the patch", if a step does not fit or the patch is too large; the object may
/// have been changed by then.
pub(super) fn apply(object: &mut Value, patch: &Patch) -> Result<(), String> {
    if patch.0.len() > MOST_STEPS {
        return Err(format!("has more than {MOST_STEPS} steps"));
    }
    let mut copied = 0;
    for step in &patch.0 {
        if let PatchOperation::Copy(copy) = step {
            copied += object.pointer(copy.from.as_str()).map_or(0, |value| value.to_string().len());
            if copied > super::body::MAX_BYTES {
                return Err("copies too much".into());
            }
        }
        json_patch::patch(object, std::slice::from_ref(step))
            .map_err(|error| format!("does not fit: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_that_doubles_what_is_there_again_and_again_is_refused() {
        let mut object = json!({ "a": "0123456789" });
        let steps: Vec<Value> =
            (0..40).map(|n| json!({ "op": "copy", "from": "", "path": format!("/b{n}") })).collect();
        let patch: Patch = serde_json::from_value(json!(steps)).unwrap();
        assert_eq!(apply(&mut object, &patch), Err("copies too much".to_owned()));
        let step = json!({ "op": "test", "path": "/a", "value": "0" });
        let patch: Patch = serde_json::from_value(json!([step])).unwrap();
        assert!(apply(&mut json!({ "a": "1" }), &patch).unwrap_err().starts_with("does not fit: "));
        let many: Patch = serde_json::from_value(json!(vec![step; MOST_STEPS + 1])).unwrap();
        assert_eq!(apply(&mut json!({ "a": "0" }), &many), Err("has more than 10000 steps".to_owned()));
    }
}
