//! What is our own.

use super::*;

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
