//! Ownership, as others say it is ([`published`], [`nested`]), as we do ([`ours`]), and as it holds of
//! any manifests ([`properties`]).

mod nested;
mod ours;
mod properties;
mod published;

use super::*;

/// `list` and `listOfMaps` are kept by `name`.
static SHAPE: Shape = Shape::Fields(&[
    ("list", Shape::Keyed("name", &Shape::Plain)),
    ("listOfMaps", Shape::Keyed("name", &Shape::Plain)),
]);

struct World {
    object: Value,
    managers: Vec<Manager>,
}

fn yaml(text: &str) -> Value {
    let read: Value = serde_yaml::from_str(text).unwrap();
    if read.is_null() { json!({}) } else { read }
}

impl World {
    fn new() -> Self {
        Self { object: json!({}), managers: Vec::new() }
    }

    fn try_apply(&mut self, manager: &str, config: &str, force: bool) -> Result<(), Vec<String>> {
        let id = ManagerId::new(manager, Operation::Apply);
        let managers = self.managers.clone();
        match apply(&SHAPE, &self.object, &yaml(config), managers, &id, force, None) {
            Ok((object, managers)) => {
                self.object = object;
                self.managers = managers;
                Ok(())
            }
            Err(conflicts) => {
                Err(conflicts.into_iter().map(|c| format!("{} {}", c.manager, c.field)).collect())
            }
        }
    }

    fn apply(mut self, manager: &str, config: &str) -> Self {
        self.try_apply(manager, config, false).unwrap();
        self
    }

    fn force(mut self, manager: &str, config: &str) -> Self {
        self.try_apply(manager, config, true).unwrap();
        self
    }

    /// Applying this is refused, for these fields of this manager.
    fn conflict(mut self, manager: &str, config: &str, with: &str, fields: &[&str]) -> Self {
        let conflicts = self.try_apply(manager, config, false).unwrap_err();
        let expected: Vec<String> =
            fields.iter().map(|field| format!("\"{with}\" using gamekeeper.dev/v1 {field}")).collect();
        assert_eq!(conflicts, expected);
        self
    }

    fn update(mut self, manager: &str, object: &str) -> Self {
        let id = ManagerId::new(manager, Operation::Update);
        let new = yaml(object);
        self.managers = update(&SHAPE, &self.object, &new, self.managers, &id, None, None);
        self.object = new;
        self
    }

    /// The object, and who owns what of it.
    fn is(&self, object: &str, owners: &[(&str, &[&str])]) {
        assert_eq!(self.object, yaml(object));
        let owned: Vec<(&str, Vec<String>)> = self
            .managers
            .iter()
            .map(|manager| {
                (manager.id.name.as_str(), manager.fields.0.iter().map(|path| show(path)).collect())
            })
            .collect();
        let mut expected: Vec<(&str, Vec<String>)> = owners
            .iter()
            .map(|(name, paths)| (*name, paths.iter().map(ToString::to_string).collect()))
            .collect();
        expected.sort();
        let mut owned = owned;
        owned.sort();
        owned.iter_mut().chain(expected.iter_mut()).for_each(|(_, paths)| paths.sort());
        assert_eq!(owned, expected);
    }
}
