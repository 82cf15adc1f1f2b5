use serde_json::json;

use super::*;

const WIDE: Bounds = Bounds { changes: 100, bytes: 1 << 20 };
const START: u64 = 1_000;

fn draft(name: &str, text: &str, row_version: i64) -> Draft {
    let object = json!({ "kind": "Game", "metadata": { "name": name }, "spec": text });
    let mut draft = Draft::new(Key::new("default", name), &object).unwrap();
    (draft.uid, draft.row_version) = (format!("uid-{name}"), row_version);
    draft
}

fn put(name: &str, text: &str) -> Edit {
    Edit::Put(draft(name, text, 1))
}

/// As `+a`, `~a` or `-a` with the version's distance from the start.
fn told(state: &State, after: u64) -> Result<Vec<String>, Unknown> {
    let word = |change: &Arc<Change>| match (&change.before, &change.after) {
        (None, Some(after)) => format!("+{}@{}", after.key().name, change.version - START),
        (Some(_), Some(after)) => format!("~{}@{}", after.key().name, change.version - START),
        (Some(before), None) => format!("-{}@{}", before.key().name, change.version - START),
        (None, None) => "?".into(),
    };
    Ok(state.after(Kind::Game, after, 100)?.iter().map(word).collect())
}

#[test]
fn changes_are_told_in_their_order_and_from_any_point() {
    let mut state = State::new(START, WIDE);
    state.load(Kind::Game, vec![draft("a", "1", 1)]);
    assert_eq!((state.head(), told(&state, START)), (START, Ok(vec![])), "what was there is no change");
    state.apply(Kind::Game, [put("b", "1"), put("a", "2")]);
    state.apply(Kind::Game, [Edit::Remove(Key::new("default", "a")), Edit::Remove(Key::new("default", "x"))]);
    assert_eq!(told(&state, START).unwrap(), ["+b@1", "~a@2", "-a@3"]);
    assert_eq!(told(&state, START + 2).unwrap(), ["-a@3"]);
    assert_eq!(state.after(Kind::Game, START, 1).unwrap().len(), 1);
    assert_eq!(told(&state, START + 4), Err(Unknown::Ahead));
    assert_eq!(told(&state, START - 1), Err(Unknown::TooOld));
}

#[test]
fn what_is_the_same_moves_nothing() {
    let mut state = State::new(START, WIDE);
    state.apply(Kind::Game, [put("a", "1")]);
    state.apply(Kind::Game, [put("a", "1"), Edit::Put(draft("a", "1", 7))]);
    assert_eq!((state.head(), told(&state, START).unwrap()), (START + 1, vec!["+a@1".to_owned()]));
    // A row that was written without a visible effect has moved on all the same.
    assert_eq!(state.row_version(Kind::Game, &Key::new("default", "a"), START + 1), Ok(Some(7)));
}

#[test]
fn another_object_of_the_same_name_is_one_that_went_and_one_that_came() {
    let mut state = State::new(START, WIDE);
    state.apply(Kind::Game, [put("a", "1")]);
    let mut other = draft("a", "1", 1);
    other.uid = "another".into();
    state.apply(Kind::Game, [Edit::Put(other)]);
    assert_eq!(told(&state, START).unwrap(), ["+a@1", "-a@2", "+a@3"]);
    // Its row is at the same version, and none that was meant before.
    let key = Key::new("default", "a");
    assert_eq!(state.row_version(Kind::Game, &key, START + 1), Ok(None));
    assert_eq!(state.row_version(Kind::Game, &key, START + 3), Ok(Some(1)));
}

#[test]
fn a_snapshot_stays_what_it_was() {
    let mut state = State::new(START, WIDE);
    state.apply(Kind::Game, [put("a", "1"), put("b", "1")]);
    let before = state.snapshot(Kind::Game);
    state.apply(Kind::Game, [put("a", "2"), Edit::Remove(Key::new("default", "b")), put("c", "1")]);
    let names = |snapshot: &Snapshot| {
        snapshot.objects.keys().map(|key| key.name.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!((names(&before), before.version), ("a b".into(), START + 2));
    assert_eq!(names(&state.snapshot(Kind::Game)), "a c");
    assert_eq!(before.objects[&Key::new("default", "a")].shown().value()["spec"], "1");
}

#[test]
fn the_past_is_bounded_by_number_and_by_bytes_for_each_kind_alone() {
    let mut state = State::new(START, Bounds { changes: 3, bytes: 1 << 20 });
    state.apply(Kind::Event, [put("e", "1")]);
    state.apply(Kind::Game, (0..5).map(|text| put("a", &text.to_string())));
    assert_eq!(told(&state, START + 1), Err(Unknown::TooOld));
    assert_eq!(told(&state, START + 3).unwrap(), ["~a@4", "~a@5", "~a@6"]);
    assert_eq!(state.after(Kind::Event, START, 9).unwrap().len(), 1, "another kind's past is its own");

    let mut state = State::new(START, Bounds { changes: 100, bytes: 10_000 });
    state.apply(Kind::Game, (0..50).map(|text| put("a", &format!("{text}{}", "x".repeat(1_000)))));
    let kept = state.topics[0].past.len();
    assert!((1..=10).contains(&kept) && state.topics[0].bytes <= 10_000, "{kept}");
}

#[test]
fn a_version_tells_which_row_was_meant() {
    let mut state = State::new(START, WIDE);
    let key = Key::new("default", "a");
    state.load(Kind::Game, vec![draft("a", "1", 4)]);
    state.apply(Kind::Game, [Edit::Put(draft("a", "status", 4)), Edit::Put(draft("a", "spec", 5))]);
    state.apply(Kind::Game, [put("b", "1")]);
    let at = |distance: u64| state.row_version(Kind::Game, &key, START + distance);
    assert_eq!([at(0), at(1), at(2), at(3)], [Ok(Some(4)), Ok(Some(4)), Ok(Some(5)), Ok(Some(5))]);
    assert_eq!(at(4), Err(Unknown::Ahead));
    assert_eq!(state.row_version(Kind::Game, &Key::new("default", "b"), START + 2), Ok(None));
    assert_eq!(state.row_version(Kind::Game, &key, 7), Err(Unknown::TooOld));
}
