//! The cases by which structured-merge-diff, the implementation that Kubernetes uses, says what
//! server-side apply does (its directory `merge`), under the names that they have there. Where it also
//! lists a new object itself (`.`) beside the fields that came with it, only the fields are listed here.
//!
//! | its file | here |
//! |---|---|
//! | `leaf_test` | all but those of several versions of an object |
//! | `key_test`, `multiple_appliers_test` (lists by keys, unsetting of fields, nested types) | all that are about lists by keys; items have fields where they have sets there |
//! | `nested_test` | structs, maps of maps, lists of maps |
//! | `deduced_test` | what is about lists without a schema, which are owned as a whole |
//! | `nested_test`: `listOfLists_*`, `mapOfLists_*`; `set_test` | left out: no list of ours is a set; one without keys is owned as a whole. Entries of sets (`v:`) that others send are kept as they are |
//! | `multiple_appliers_recursive_map*`, `multiple_appliers_test` (atomic maps), `field_level_overrides_test` | left out: no map of ours is owned as a whole, and none apart from its entries; a field that is null is as one that is absent, and refused where a value is needed |
//! | `schema_change_test`, `obsolete_versions_test`, `*_real_conversion`, `*FieldRenameConversions` | left out: there is one version of each kind, and its lists and maps were never owned otherwise |
//! | `default_keys_test` | left out: the key of a player has no default |
//! | `duplicates_test`, `preserve_unknown_test` | left out: keys that are there twice and fields that nobody knows are refused before anything is merged |
//! | `ignore_test`, `wipe_fields_test` | left out: the status has no owner here, and a write cannot reach it |
//! | `extract_apply_test`, `real_test`, `union_test` | left out: they are about Go's types, about Kubernetes' own kinds, and about unions, of which there are none |

use super::*;

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
