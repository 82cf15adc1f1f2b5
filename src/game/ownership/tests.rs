//! The cases by which structured-merge-diff, the implementation that Kubernetes uses, says what
//! server-side apply does, under the names that they have there. Left out is what is not here: more
//! than one version of an object, lists that are sets, maps whose entries are owned as such, atomic
//! maps, and schemas that change. Where Kubernetes also lists a new object itself (`.`) beside the
//! fields that came with it, only the fields are listed here.

use super::*;

/// `list` and `players` are kept by `name` and `userId`.
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

#[test]
fn apply_twice() {
    World::new()
        .apply("default", "{numeric: 1, string: string}")
        .apply("default", "{numeric: 2, string: string, bool: false}")
        .is("{numeric: 2, string: string, bool: false}", &[("default", &[".numeric", ".string", ".bool"])]);
}

#[test]
fn apply_update_apply_no_conflict() {
    World::new()
        .apply("default", "{numeric: 1, string: string}")
        .update("controller", "{numeric: 1, string: string, bool: true}")
        .apply("default", "{numeric: 2, string: string}")
        .is(
            "{numeric: 2, string: string, bool: true}",
            &[("default", &[".numeric", ".string"]), ("controller", &[".bool"])],
        );
}

#[test]
fn apply_update_apply_with_conflict() {
    World::new()
        .apply("default", "{numeric: 1, string: string}")
        .update("controller", "{numeric: 1, string: controller string, bool: true}")
        .conflict("default", "{numeric: 2, string: user string}", "controller", &[".string"])
        .force("default", "{numeric: 2, string: user string}")
        .is(
            "{numeric: 2, string: user string, bool: true}",
            &[("default", &[".numeric", ".string"]), ("controller", &[".bool"])],
        );
}

#[test]
fn apply_twice_remove() {
    World::new()
        .apply("default", "{numeric: 1, string: string, bool: false}")
        .apply("default", "{string: new string}")
        .is("{string: new string}", &[("default", &[".string"])]);
}

#[test]
fn update_apply_omits() {
    World::new()
        .apply("default", "{numeric: 2}")
        .update("controller", "{numeric: 1}")
        .apply("default", "")
        .is("{numeric: 1}", &[("controller", &[".numeric"])]);
}

#[test]
fn update_remove_empty_set() {
    World::new()
        .apply("default", "{string: string}")
        .update("controller", "{string: new string}")
        .is("{string: new string}", &[("controller", &[".string"])]);
}

#[test]
fn apply_remove_empty_set() {
    World::new().apply("default", "{string: string}").apply("default", "").is("", &[]);
}

#[test]
fn removing_obsolete_applied_structs() {
    World::new()
        .apply("default", "list: [{name: a, value: 1}]")
        .apply("default", "list: [{name: b, value: 2}]")
        .is(
            "list: [{name: b, value: 2}]",
            &[("default", &[".list[name=\"b\"]", ".list[name=\"b\"].name", ".list[name=\"b\"].value"])],
        );
}

#[test]
fn remove_one() {
    World::new()
        .apply("apply-one", "list: [{name: a}, {name: b}]")
        .apply("apply-two", "list: [{name: c}]")
        .apply("apply-one", "list: [{name: a}]")
        .is(
            "list: [{name: a}, {name: c}]",
            &[
                ("apply-one", &[".list[name=\"a\"]", ".list[name=\"a\"].name"]),
                ("apply-two", &[".list[name=\"c\"]", ".list[name=\"c\"].name"]),
            ],
        );
}

#[test]
fn same_value_no_conflict() {
    let all: &[&str] = &[".list[name=\"a\"]", ".list[name=\"a\"].name", ".list[name=\"a\"].value"];
    World::new()
        .apply("apply-one", "list: [{name: a, value: 0}]")
        .apply("apply-two", "list: [{name: a, value: 0}]")
        .is("list: [{name: a, value: 0}]", &[("apply-one", all), ("apply-two", all)]);
}

#[test]
fn change_value_yes_conflict() {
    let all: &[&str] = &[".list[name=\"a\"]", ".list[name=\"a\"].name", ".list[name=\"a\"].value"];
    World::new()
        .apply("apply-one", "list: [{name: a, value: 0}]")
        .conflict("apply-two", "list: [{name: a, value: 1}]", "apply-one", &[".list[name=\"a\"].value"])
        .is("list: [{name: a, value: 0}]", &[("apply-one", all)]);
}

#[test]
fn remove_one_keep_one() {
    World::new()
        .apply("apply-one", "list: [{name: a}, {name: b}, {name: c}]")
        .apply("apply-two", "list: [{name: c}, {name: d}]")
        .apply("apply-one", "list: [{name: a}]")
        .is(
            "list: [{name: a}, {name: c}, {name: d}]",
            &[
                ("apply-one", &[".list[name=\"a\"]", ".list[name=\"a\"].name"]),
                (
                    "apply-two",
                    &[
                        ".list[name=\"c\"]",
                        ".list[name=\"c\"].name",
                        ".list[name=\"d\"]",
                        ".list[name=\"d\"].name",
                    ],
                ),
            ],
        );
}

#[test]
fn unset_scalar_sole_owner() {
    World::new()
        .apply("apply-one", "struct: {name: a, scalarField: a}")
        .apply("apply-one", "struct: {name: a}")
        .is("struct: {name: a}", &[("apply-one", &[".struct.name"])]);
}

#[test]
fn unset_scalar_shared_with_applier() {
    World::new()
        .apply("apply-one", "struct: {name: a, scalarField: a}")
        .apply("apply-two", "struct: {scalarField: a}")
        .apply("apply-one", "struct: {name: a}")
        .is(
            "struct: {name: a, scalarField: a}",
            &[("apply-one", &[".struct.name"]), ("apply-two", &[".struct.scalarField"])],
        );
}

#[test]
fn unset_scalar_shared_with_updater() {
    World::new()
        .update("updater", "struct: {name: a, scalarField: a}")
        .apply("applier", "struct: {name: a, scalarField: a}")
        .apply("applier", "struct: {name: a}")
        .is(
            "struct: {name: a, scalarField: a}",
            &[("applier", &[".struct.name"]), ("updater", &[".struct.name", ".struct.scalarField"])],
        );
}

#[test]
fn updater_claims_field() {
    World::new()
        .apply("applier", "struct: {name: a, scalarField: a}")
        .update("updater", "struct: {name: a, scalarField: b}")
        .is(
            "struct: {name: a, scalarField: b}",
            &[("applier", &[".struct.name"]), ("updater", &[".struct.scalarField"])],
        );
}

#[test]
fn unset_complex_sole_owner() {
    World::new()
        .apply("apply-one", "struct: {name: a, complexField: {name: b}}")
        .apply("apply-one", "struct: {name: a}")
        .is("struct: {name: a}", &[("apply-one", &[".struct.name"])]);
}

#[test]
fn unset_complex_shared_with_applier() {
    World::new()
        .apply("apply-one", "struct: {name: a, complexField: {name: b}}")
        .apply("apply-two", "struct: {complexField: {name: b}}")
        .apply("apply-one", "struct: {name: a}")
        .is(
            "struct: {name: a, complexField: {name: b}}",
            &[("apply-one", &[".struct.name"]), ("apply-two", &[".struct.complexField.name"])],
        );
}

#[test]
#[allow(non_snake_case, reason = "the name that the case has there")]
fn listOfMaps_change_value() {
    World::new()
        .apply("default", "listOfMaps: [{name: a, value: {b: x, c: y}}]")
        .apply("default", "listOfMaps: [{name: a, value: {a: x, c: z}}]")
        .is(
            "listOfMaps: [{name: a, value: {a: x, c: z}}]",
            &[(
                "default",
                &[
                    ".listOfMaps[name=\"a\"]",
                    ".listOfMaps[name=\"a\"].name",
                    ".listOfMaps[name=\"a\"].value.a",
                    ".listOfMaps[name=\"a\"].value.c",
                ],
            )],
        );
}

#[test]
#[allow(non_snake_case, reason = "the name that the case has there")]
fn listOfMaps_change_key_and_value() {
    World::new()
        .apply("default", "listOfMaps: [{name: a, value: {b: x, c: y}}]")
        .apply("default", "listOfMaps: [{name: b, value: {a: x, c: z}}]")
        .is(
            "listOfMaps: [{name: b, value: {a: x, c: z}}]",
            &[(
                "default",
                &[
                    ".listOfMaps[name=\"b\"]",
                    ".listOfMaps[name=\"b\"].name",
                    ".listOfMaps[name=\"b\"].value.a",
                    ".listOfMaps[name=\"b\"].value.c",
                ],
            )],
        );
}

#[test]
fn remove_one_with_dangling_subitem_keep_one() {
    World::new()
        .apply("apply-one", "listOfMaps: [{name: a}, {name: b, value: {c: 1}}]")
        .apply("apply-two", "listOfMaps: [{name: a, value: {b: 1}}]")
        .update("controller", "listOfMaps: [{name: a, value: {b: 1}}, {name: b, value: {c: 1, d: 1}}]")
        .apply("apply-one", "listOfMaps: [{name: a}]")
        .is(
            "listOfMaps: [{name: a, value: {b: 1}}]",
            &[
                ("apply-one", &[".listOfMaps[name=\"a\"]", ".listOfMaps[name=\"a\"].name"]),
                (
                    "apply-two",
                    &[
                        ".listOfMaps[name=\"a\"]",
                        ".listOfMaps[name=\"a\"].name",
                        ".listOfMaps[name=\"a\"].value.b",
                    ],
                ),
            ],
        );
}

#[test]
fn remove_one_keep_one_with_dangling_subitem() {
    World::new()
        .apply("apply-one", "listOfMaps: [{name: a}, {name: b, value: {c: 1}}]")
        .apply("apply-two", "listOfMaps: [{name: b, value: {d: 1}}]")
        .update("controller", "listOfMaps: [{name: a}, {name: b, value: {c: 1, d: 1, e: 1}}]")
        .apply("apply-one", "listOfMaps: [{name: a}]")
        .is(
            "listOfMaps: [{name: a}, {name: b, value: {d: 1, e: 1}}]",
            &[
                ("apply-one", &[".listOfMaps[name=\"a\"]", ".listOfMaps[name=\"a\"].name"]),
                (
                    "apply-two",
                    &[
                        ".listOfMaps[name=\"b\"]",
                        ".listOfMaps[name=\"b\"].name",
                        ".listOfMaps[name=\"b\"].value.d",
                    ],
                ),
                ("controller", &[".listOfMaps[name=\"b\"].value.e"]),
            ],
        );
}

#[test]
fn struct_apply_remove_all() {
    World::new().apply("default", "struct: {name: a, value: 1}").apply("default", "").is("", &[]);
}

#[test]
fn struct_apply_remove_dangling() {
    World::new()
        .apply("default", "struct: {name: a}")
        .apply("default", "struct: {}")
        .is("struct: {}", &[("default", &[".struct"])]);
}

#[test]
fn struct_apply_update_remove_all() {
    World::new()
        .apply("default", "struct: {name: a}")
        .update("controller", "struct: {name: a, value: 1}")
        .apply("default", "")
        .is("struct: {value: 1}", &[("controller", &[".struct.value"])]);
}

#[test]
fn struct_apply_update_dict_dangling() {
    World::new()
        .apply("default", "struct: {name: a}")
        .update("controller", "struct: {name: a, value: 1}")
        .apply("default", "struct: {}")
        .is("struct: {value: 1}", &[("default", &[".struct"]), ("controller", &[".struct.value"])]);
}

#[test]
fn struct_apply_update_dict_null() {
    World::new()
        .apply("default", "struct: {name: a}")
        .update("controller", "struct: {name: a, value: 1}")
        .apply("default", "struct: null")
        .is("struct: {value: 1}", &[("default", &[".struct"]), ("controller", &[".struct.value"])]);
}

#[test]
fn struct_apply_update_took_over() {
    World::new()
        .apply("default", "struct: {name: a}")
        .update("controller", "struct: {name: b, value: 1}")
        .apply("default", "struct: null")
        .is(
            "struct: {name: b, value: 1}",
            &[("default", &[".struct"]), ("controller", &[".struct.name", ".struct.value"])],
        );
}

#[test]
fn apply_twice_list_is_atomic() {
    World::new()
        .apply("default", "plain: [a, c]")
        .apply("default", "plain: [a, d, c, b]")
        .is("plain: [a, d, c, b]", &[("default", &[".plain"])]);
}

#[test]
fn apply_update_apply_list() {
    World::new()
        .apply("default", "plain: [a, c]")
        .update("controller", "plain: [a, b, c, d]")
        .force("default", "plain: [a, b, c]")
        .is("plain: [a, b, c]", &[("default", &[".plain"])]);
}

#[test]
fn apply_update_apply_nested() {
    let mine = "{a: 2, b: {c: {d: 2, e: [3, 2, 1], f: [{name: n, value: 1}]}}}";
    World::new()
        .apply("default", "{a: 1, b: {c: {d: 2, e: [1, 2, 3], f: [{name: n, value: 1}]}}}")
        .update("controller", "{a: 1, b: {c: {d: 3, e: [1, 2, 3, 4], f: [{name: n, value: 2}]}}, g: 5}")
        .conflict("default", mine, "controller", &[".b.c.d", ".b.c.e", ".b.c.f"])
        .force("default", mine)
        .is(
            "{a: 2, b: {c: {d: 2, e: [3, 2, 1], f: [{name: n, value: 1}]}}, g: 5}",
            &[("default", &[".a", ".b.c.d", ".b.c.e", ".b.c.f"]), ("controller", &[".g"])],
        );
}

// What is our own.

#[test]
fn fields_go_over_the_wire_and_come_back() {
    let object = yaml("{list: [{name: a, value: {x: 1}}], struct: {}, plain: [1], s: {t: 1}}");
    let set = set_of(&SHAPE, &object);
    let wire = set.to_fields_v1();
    assert_eq!(
        wire,
        json!({
            "f:list": { "k:{\"name\":\"a\"}": { ".": {}, "f:name": {}, "f:value": { "f:x": {} } } },
            "f:plain": {}, "f:s": { "f:t": {} }, "f:struct": {},
        })
    );
    assert_eq!(FieldSet::from_fields_v1(&wire), set);
    // As others write the keys of an item.
    let spaced = json!({ "f:list": { "k:{ \"name\": \"a\" }": { ".": {} } }, "f:tags": { "v:\"x\"": {} } });
    let read = FieldSet::from_fields_v1(&spaced);
    assert!(read.0.contains(&vec![Step::Field("list".into()), Step::item("name", &json!("a"))]));
    assert_eq!(FieldSet::from_fields_v1(&read.to_fields_v1()), read);
}

#[test]
fn a_list_whose_keys_are_missing_or_twice_is_owned_as_a_whole() {
    for list in ["list: [{value: 1}]", "list: [{name: a}, {name: a}]", "list: [1]"] {
        let paths: Vec<String> = set_of(&SHAPE, &yaml(list)).0.iter().map(|path| show(path)).collect();
        assert_eq!(paths, [".list"]);
    }
}

#[test]
fn what_changed_behind_our_back_is_sqls() {
    let applier = ManagerId::new("me", Operation::Apply);
    let there = json!({ "spec": { "desiredStatus": "Running", "paused": false } });
    let (_, managers) =
        apply(shape_of("Game"), &json!({}), &there, Vec::new(), &applier, false, None).unwrap();
    let kept = Managed::default().next(managers, there.clone());
    assert_eq!(kept.revision, 1);
    let read = Managed::from_column(&kept.to_column());
    assert_eq!(read, kept);
    assert_eq!(read.clone().of("Game", &there), kept, "nothing changed");
    let mut changed = there;
    changed["spec"]["paused"] = json!(true);
    let now = read.of("Game", &changed);
    let owned: Vec<_> = now
        .managers
        .iter()
        .map(|manager| {
            (manager.id.name.as_str(), manager.fields.0.iter().map(|path| show(path)).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(
        owned,
        [("me", vec![".spec.desiredStatus".to_owned()]), ("sql", vec![".spec.paused".to_owned()])]
    );
}

#[test]
fn of_a_row_written_by_hand_sql_owns_what_differs_from_the_defaults() {
    let (mut spec, _) = GameColumns { paused: true, ..GameColumns::default() }.to_spec();
    spec.players = Some(Vec::new());
    let managed = Managed::from_column(&json!({})).of("Game", &ownable(&json!({ "spec": spec })));
    let owned: Vec<String> = managed.managers[0].fields.0.iter().map(|path| show(path)).collect();
    assert_eq!(managed.managers.len(), 1);
    assert_eq!(owned, [".spec.desiredStatus", ".spec.paused"]);
}

#[test]
fn the_time_of_an_entry_moves_with_its_fields_alone() {
    let at = |second| Timestamp::from_second(second).ok();
    let id = ManagerId::new("me", Operation::Apply);
    let go = |object: &Value, config: &str, managers, second| {
        apply(&SHAPE, object, &yaml(config), managers, &id, false, at(second)).unwrap()
    };
    let (object, managers) = go(&json!({}), "{a: 1}", Vec::new(), 1);
    let (object, managers) = go(&object, "{a: 2}", managers, 2);
    assert_eq!(managers[0].time.as_deref(), Some("1970-01-01T00:00:01Z"));
    let (_, managers) = go(&object, "{a: 2, b: 1}", managers, 3);
    assert_eq!(managers[0].time.as_deref(), Some("1970-01-01T00:00:03Z"));
}

// What holds of any manifests.

use proptest::prelude::*;

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
