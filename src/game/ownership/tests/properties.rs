//! What holds of any manifests.

use proptest::prelude::*;

use super::*;

/// Manifests of a few fields, so that they meet; without nulls, which say nothing.
fn manifest() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (0..3).prop_map(Value::from),
        proptest::collection::vec(0..3, 1..3).prop_map(Value::from),
    ];
    let inner = proptest::collection::btree_map("[ab]", leaf.clone(), 1..3);
    let item = ("[xy]", proptest::option::of(0..3)).prop_map(|(name, value): (String, Option<i32>)| {
        let mut item = json!({ "name": name });
        if let Some(value) = value {
            item["value"] = value.into();
        }
        item
    });
    let list = proptest::collection::vec(item, 1..4).prop_map(|mut items| {
        items.sort_by_key(|item| item["name"].to_string());
        items.dedup_by_key(|item| item["name"].clone());
        items
    });
    use proptest::option::of;
    (of(inner), of(list), of(leaf)).prop_map(|(inner, list, leaf)| {
        let mut manifest = json!({});
        let mut put = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                manifest[field] = value;
            }
        };
        put("struct", inner.map(|inner| json!(inner)));
        put("list", list.map(Value::from));
        put("leaf", leaf);
        manifest
    })
}

/// Who does what, in which order.
fn story() -> impl Strategy<Value = Vec<(bool, usize, Value)>> {
    proptest::collection::vec((any::<bool>(), 0..3_usize, manifest()), 1..8)
}

const NAMES: [&str; 3] = ["one", "two", "three"];

fn told(story: &[(bool, usize, Value)]) -> World {
    story.iter().fold(World::new(), |world, (applies, who, manifest)| {
        let text = manifest.to_string();
        if *applies { world.force(NAMES[*who], &text) } else { world.update(NAMES[*who], &text) }
    })
}

proptest! {
    #[test]
    fn what_is_applied_by_force_is_there_and_applying_it_again_changes_nothing(
        story in story(), last in manifest(),
    ) {
        let world = told(&story).force("one", &last.to_string());
        prop_assert_eq!(merge(&SHAPE, &world.object, &last), world.object.clone());
        let (object, managers) = (world.object.clone(), world.managers.clone());
        let again = world.apply("one", &last.to_string());
        prop_assert_eq!((again.object, again.managers), (object, managers));
    }

    #[test]
    fn who_takes_everything_back_leaves_nothing_that_was_applied_alone(story in story()) {
        let applied: Vec<_> = story.iter().filter(|(applies, ..)| *applies).cloned().collect();
        let mut world = told(&applied);
        for name in NAMES {
            world = world.apply(name, "");
        }
        prop_assert!(set_of(&SHAPE, &world.object).is_empty(), "{}", world.object);
        prop_assert!(world.managers.is_empty());
    }

    #[test]
    fn nobody_loses_or_gains_by_the_wire_and_nothing_is_owned_that_is_not_there(story in story()) {
        let world = told(&story);
        for manager in &world.managers {
            prop_assert_eq!(&FieldSet::from_fields_v1(&manager.fields.to_fields_v1()), &manager.fields);
            let gone = manager.fields.without(&set_of(&SHAPE, &world.object));
            prop_assert!(gone.is_empty(), "{:?} of {:?} in {}", gone, manager.id, world.object);
        }
    }

    #[test]
    fn an_apply_without_force_changes_nothing_that_others_own(story in story(), last in manifest()) {
        let mut world = told(&story);
        let (before, managers) = (world.object.clone(), world.managers.clone());
        if world.try_apply("one", &last.to_string(), false).is_ok() {
            let comparison = compare(&SHAPE, &before, &world.object);
            let one = ManagerId::new("one", Operation::Apply);
            for manager in managers.iter().filter(|manager| manager.id != one) {
                prop_assert!(manager.fields.and(&comparison.modified).is_empty());
            }
        } else {
            prop_assert_eq!(world.object, before);
        }
    }
}
