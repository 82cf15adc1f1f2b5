//! Namespaces: each is there while a game is in it, and `default` always.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::object::{Draft, Key};
use super::sources::or_left_out;
use super::state::{Edit, Kind, State};
use crate::api::wire::Namespace;

/// There without any game: clients begin in it.
const ALWAYS: &str = "default";

/// When the first game of each namespace was made, of these.
type First = BTreeMap<Arc<str>, Option<Timestamp>>;

/// Those that these games are in.
pub(super) fn of(games: &[Draft]) -> Vec<Draft> {
    let mut first = First::from([(ALWAYS.into(), None)]);
    games.iter().for_each(|game| note(&mut first, game));
    first.iter().filter_map(|(name, first)| draft(name, *first)).collect()
}

/// Those in which games come or go.
pub(super) fn touched(edits: &[Edit]) -> First {
    let mut first = First::new();
    for edit in edits {
        match edit {
            Edit::Put(game) => note(&mut first, game),
            Edit::Remove(key) => drop(first.entry(key.namespace.clone()).or_default()),
        }
    }
    first
}

/// What that means for the namespaces, once it is done.
pub(super) fn edits(state: &State, touched: First) -> Vec<Edit> {
    let edit = |(name, first): (Arc<str>, Option<Timestamp>)| {
        let key = Key::new("", &name);
        let there = state.get(Kind::Namespace, &key).is_some();
        match state.has_any(Kind::Game, &name) || *name == *ALWAYS {
            true if !there => draft(&name, first).map(Edit::Put),
            false if there => Some(Edit::Remove(key)),
            true | false => None,
        }
    };
    touched.into_iter().filter_map(edit).collect()
}

fn note(first: &mut First, game: &Draft) {
    let known = first.entry(game.key.namespace.clone()).or_default();
    *known = [*known, game.created].into_iter().flatten().min();
}

fn draft(name: &str, first: Option<Timestamp>) -> Option<Draft> {
    let object = Namespace::new(name, first);
    let mut draft = or_left_out(Draft::new(Key::new("", name), &object))?;
    draft.fields = vec![("status.phase", object.status.phase.to_owned())];
    (draft.uid, draft.labels) = (object.metadata.uid, object.metadata.labels);
    Some(draft)
}
