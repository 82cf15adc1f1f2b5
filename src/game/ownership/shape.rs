//! Which lists are kept by keys. All other lists are owned as a whole, and all objects by fields.

use crate::game::manifest::wire::GAME_KIND;

/// How a value is owned.
#[derive(Debug)]
pub enum Shape {
    /// Objects field by field, lists as a whole.
    Plain,
    /// The same, with fields of other shapes.
    Fields(&'static [(&'static str, Shape)]),
    /// A list whose items have this key, and no two the same.
    Keyed(&'static str, &'static Shape),
}

const PLAYERS: Shape = Shape::Keyed("userId", &Shape::Plain);
static GAME: Shape = Shape::Fields(&[("spec", Shape::Fields(&[("players", PLAYERS)]))]);
static PLAIN: Shape = Shape::Plain;

/// The shape of a kind.
pub fn shape_of(kind: &str) -> &'static Shape {
    if kind == GAME_KIND { &GAME } else { &PLAIN }
}

impl Shape {
    /// That of a field.
    pub(super) fn field(&self, name: &str) -> &Self {
        match self {
            Self::Fields(fields) => {
                fields.iter().find(|(field, _)| *field == name).map_or(&PLAIN, |(_, shape)| shape)
            }
            Self::Plain | Self::Keyed(..) => &PLAIN,
        }
    }
}
