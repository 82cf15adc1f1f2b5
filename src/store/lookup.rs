//! Which game is meant: by id, by name, or all in a namespace. History outlives its game, so names
//! are looked for among the games that are known too, not only among those that are there.

use std::collections::HashMap;

use sea_orm::sea_query::{Condition, SelectStatement};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use crate::game::GameId;

use super::db_uuid::DbUuid;
use super::entity::{games, runtime_records};
use super::outbox::names;
use super::{Store, StoreError};

/// Of which games something is wanted; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GameFilter {
    /// Those in this namespace.
    pub namespace: Option<String>,
    /// With a namespace: the game that has this name, or had it last. Else all that have or had it.
    pub name: Option<String>,
    /// This one.
    pub game: Option<GameId>,
}

/// Whose rows are wanted.
pub(super) enum Games {
    All,
    One(GameId),
    Among(Box<[SelectStatement; 2]>),
}

impl Games {
    /// The condition on a table's column of game ids.
    pub(super) fn condition(&self, column: impl ColumnTrait) -> Condition {
        match self {
            Self::All => Condition::all(),
            Self::One(game) => Condition::all().add(column.eq(DbUuid(game.0))),
            Self::Among(known) => {
                let [declared, remembered] = known.as_ref().clone();
                Condition::any().add(column.in_subquery(declared)).add(column.in_subquery(remembered))
            }
        }
    }
}

impl Store {
    /// The game that has this name in this namespace or, if none has it, the one that had it last.
    /// An id is a name too, of the game that has it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn latest_game(&self, namespace: &str, text: &str) -> Result<Option<GameId>, StoreError> {
        if let Some(game) = self.known_game(namespace, text).await? {
            return Ok(Some(game));
        }
        use runtime_records::Column as C;
        let query = runtime_records::Entity::find()
            .select_only()
            .column(C::GameId)
            .filter(C::Namespace.eq(namespace))
            .filter(match text.parse::<GameId>() {
                Ok(game) => Condition::any().add(C::GameId.eq(DbUuid(game.0))).add(C::Name.eq(text)),
                Err(_) => Condition::all().add(C::Name.eq(text)),
            })
            .order_by_desc(C::UpdatedAt);
        let found: Option<DbUuid> = query.into_tuple().one(&self.db).await?;
        Ok(found.map(|id| GameId(id.0)))
    }

    /// The namespaces and names of these games, of those that nobody has looked at yet too.
    pub(super) async fn names_of(
        &self,
        ids: impl IntoIterator<Item = DbUuid> + Clone,
    ) -> Result<HashMap<DbUuid, (String, String)>, StoreError> {
        use games::Column as G;
        let declared: Vec<(DbUuid, String, Option<String>)> = games::Entity::find()
            .select_only()
            .columns([G::GameId, G::Namespace, G::Name])
            .filter(G::GameId.is_in(ids.clone()))
            .into_tuple()
            .all(&self.db)
            .await?;
        let mut names = names(&self.db, ids).await?;
        names.extend(declared.into_iter().map(|(id, namespace, name)| {
            (id, (namespace, name.filter(|name| !name.is_empty()).unwrap_or_else(|| id.to_string())))
        }));
        Ok(names)
    }

    pub(super) async fn games_of(&self, filter: &GameFilter) -> Result<Games, StoreError> {
        let GameFilter { namespace, name, game } = filter;
        if let (None, Some(namespace), Some(name)) = (game, namespace, name)
            && let Some(game) = self.latest_game(namespace, name).await?
        {
            return Ok(Games::One(game));
        }
        if let (Some(game), None, None) = (game, namespace, name) {
            return Ok(Games::One(*game));
        }
        if namespace.is_none() && name.is_none() {
            return Ok(Games::All);
        }
        let mut declared = games::Entity::find().select_only().column(games::Column::GameId);
        let mut remembered =
            runtime_records::Entity::find().select_only().column(runtime_records::Column::GameId);
        if let Some(namespace) = namespace {
            declared = declared.filter(games::Column::Namespace.eq(namespace));
            remembered = remembered.filter(runtime_records::Column::Namespace.eq(namespace));
        }
        if let Some(name) = name {
            declared = declared.filter(games::Column::Name.eq(name));
            remembered = remembered.filter(runtime_records::Column::Name.eq(name));
        }
        if let Some(game) = game {
            declared = declared.filter(games::Column::GameId.eq(DbUuid(game.0)));
            remembered = remembered.filter(runtime_records::Column::GameId.eq(DbUuid(game.0)));
        }
        Ok(Games::Among(Box::new([declared.into_query(), remembered.into_query()])))
    }
}
