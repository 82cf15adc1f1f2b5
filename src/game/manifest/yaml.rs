//! Manifests written as YAML.

use serde::Serialize;

/// Any object as one YAML document, as `-o yaml` shows it.
///
/// # Errors
/// What serde says of a value that has no place in YAML; manifests always have one.
pub fn to_yaml<T: Serialize>(object: &T) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(object)
}

/// Several objects as one text of as many YAML documents.
///
/// # Errors
/// As [`to_yaml`].
pub fn to_yaml_documents<T: Serialize>(objects: &[T]) -> Result<String, serde_yaml::Error> {
    let documents = objects.iter().map(to_yaml).collect::<Result<Vec<_>, _>>()?;
    Ok(documents.join("---\n"))
}
