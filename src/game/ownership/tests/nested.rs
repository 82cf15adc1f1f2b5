//! The published cases of things in things; see [`super::published`].

use super::*;

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

#[test]
#[allow(non_snake_case, reason = "the name that the case has there")]
fn mapOfMaps_change_value() {
    World::new()
        .apply("default", "mapOfMaps: {a: {b: x, c: y}}")
        .apply("default", "mapOfMaps: {a: {a: x, c: z}}")
        .is("mapOfMaps: {a: {c: z, a: x}}", &[("default", &[".mapOfMaps.a.a", ".mapOfMaps.a.c"])]);
}

#[test]
#[allow(non_snake_case, reason = "the name that the case has there")]
fn mapOfMaps_change_key_and_value() {
    World::new()
        .apply("default", "mapOfMaps: {a: {b: x, c: y}}")
        .apply("default", "mapOfMaps: {b: {a: x, c: z}}")
        .is("mapOfMaps: {b: {a: x, c: z}}", &[("default", &[".mapOfMaps.b.a", ".mapOfMaps.b.c"])]);
}

#[test]
#[allow(non_snake_case, reason = "the name that the case has there")]
fn mapOfMapsRecursive_change_middle_key() {
    World::new()
        .apply("default", "mapOfMapsRecursive: {a: {b: {c: null}}}")
        .apply("default", "mapOfMapsRecursive: {a: {d: {c: null}}}")
        .is("mapOfMapsRecursive: {a: {d: {c: null}}}", &[("default", &[".mapOfMapsRecursive.a.d.c"])]);
}

#[test]
fn remove_one_keep_one_with_two_sub_items() {
    World::new()
        .apply("apply-one", "listOfMaps: [{name: a}, {name: b, value: {c: x}}]")
        .apply("apply-two", "listOfMaps: [{name: b, value: {d: y}}]")
        .apply("apply-one", "listOfMaps: [{name: a}]")
        .is(
            "listOfMaps: [{name: a}, {name: b, value: {d: y}}]",
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
            ],
        );
}

#[test]
fn remove_one_keep_one_with_sub_item() {
    World::new()
        .apply("apply-one", "listOfMaps: [{name: a}, {name: b, value: {c: x}}]")
        .apply("apply-two", "listOfMaps: [{name: b, value: {d: y}}]")
        .apply("apply-one", "listOfMaps: [{name: a}]")
        .is(
            "listOfMaps: [{name: a}, {name: b, value: {d: y}}]",
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
            ],
        );
}

#[test]
fn remove_one_with_managed_subitem_keep_one() {
    World::new()
        .apply("apply-one", "listOfMaps: [{name: a}, {name: b, value: {c: x}}]")
        .apply("apply-two", "listOfMaps: [{name: a, value: {b: y}}]")
        .update("controller", "listOfMaps: [{name: a, value: {b: y}}, {name: b, value: {c: x, d: z}}]")
        .apply("apply-one", "listOfMaps: [{name: a}]")
        .is(
            "listOfMaps: [{name: a, value: {b: y}}]",
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
