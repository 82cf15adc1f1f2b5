//! Strategic merge patches, as kubectl makes them of kinds that it knows: maps are merged, and the
//! items of lists that have names are merged by them.

use serde_json::Value;

/// The object with this patch; or a directive in it that is not known here.
pub(super) fn merge(object: &mut Value, patch: &Value) -> Result<(), String> {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return Ok(());
    };
    if !object.is_object() {
        *object = Value::Object(serde_json::Map::new());
    }
    let Some(fields) = object.as_object_mut() else { return Ok(()) };
    for (name, value) in patch {
        // The order of items is nobody's wish here.
        if name.starts_with("$setElementOrder/") || name == "$retainKeys" {
            continue;
        }
        if name.starts_with('$') {
            return Err(name.clone());
        }
        match value {
            Value::Null => drop(fields.shift_remove(name)),
            Value::Array(items) => {
                let before = fields.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new()));
                list(before, items)?;
            }
            value => merge(fields.entry(name.clone()).or_insert(Value::Null), value)?,
        }
    }
    Ok(())
}

fn list(before: &mut Value, items: &[Value]) -> Result<(), String> {
    let named = items.iter().all(|item| item["name"].is_string()) && !items.is_empty();
    let (true, Some(kept)) = (named, before.as_array_mut()) else {
        *before = Value::Array(items.to_vec());
        return Ok(());
    };
    for item in items {
        match kept.iter_mut().find(|known| known["name"] == item["name"]) {
            Some(known) => merge(known, item)?,
            None => {
                let mut new = Value::Null;
                merge(&mut new, item)?;
                kept.push(new);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_are_merged_and_items_with_names_are_merged_by_them() {
        let mut object = json!({ "a": { "b": 1, "c": 2 }, "list": [{ "name": "x", "v": 1 }, { "name": "y" }], "plain": [1] });
        let patch = json!({
            "a": { "c": null, "d": 3 },
            "list": [{ "name": "x", "w": 2 }, { "name": "z" }],
            "plain": [2],
            "$setElementOrder/list": [{ "name": "z" }],
        });
        merge(&mut object, &patch).unwrap();
        let expected = json!({
            "a": { "b": 1, "d": 3 },
            "list": [{ "name": "x", "v": 1, "w": 2 }, { "name": "y" }, { "name": "z" }],
            "plain": [2],
        });
        assert_eq!(object, expected);
        let wrong = merge(&mut object, &json!({ "a": { "$patch": "delete" } }));
        assert_eq!(wrong, Err("$patch".into()));
    }
}
