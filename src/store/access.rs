//! Tokens: who may ask the API. Kept as digests, so that the database gives nobody access.

use futures::Stream;
use jiff::{SignedDuration, Timestamp};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, Statement,
};
use serde_json::json;
use uuid::Uuid;

use crate::game::access::{AccessToken, Grant, NewToken};

use super::again::again;
use super::convert::{from_db, to_db};
use super::db_uuid::DbUuid;
use super::desired::{Author, Conflict, Preconditions, WriteError};
use super::entity::access_tokens;
use super::feed;
use super::open::missing;
use super::{Store, StoreError};

/// So many there may be. Every server holds all of them.
pub const MOST_TOKENS: u64 = 1_000;
/// How long a token that has expired is still shown, at least.
const SHOWN_EXPIRED: SignedDuration = SignedDuration::from_hours(7 * 24);

impl Store {
    /// Every token, by name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn access_tokens(&self) -> Result<Vec<AccessToken>, StoreError> {
        let rows =
            access_tokens::Entity::find().order_by_asc(access_tokens::Column::Name).all(&self.db).await?;
        // A row that cannot be read gives nobody access.
        Ok(rows.into_iter().filter_map(from_row).collect())
    }

    /// Moves whenever a token comes or goes.
    ///
    /// # Errors
    /// The database failed.
    pub async fn access_seq(&self) -> Result<i64, StoreError> {
        let backend = self.db.get_database_backend();
        let asked = Statement::from_string(backend, "SELECT seq FROM access_feed");
        let row = self.db.query_one_raw(asked).await?.ok_or_else(missing("access_feed"))?;
        Ok(row.try_get_by_index(0)?)
    }

    /// Ends whenever tokens may have come or gone; on SQLite, which cannot tell, never.
    pub fn access_changes(&self) -> impl Stream<Item = ()> + Send + 'static {
        feed::access_changes(self)
    }

    /// Keeps a token of which only its digest is known here. What expired long ago makes room.
    ///
    /// # Errors
    /// The name is taken, there are too many, or the database failed.
    pub async fn create_token(
        &self,
        token: &NewToken,
        digest: [u8; 32],
        author: &Author,
    ) -> Result<AccessToken, WriteError> {
        let (id, now) = (Uuid::new_v4(), Timestamp::now());
        let row = access_tokens::ActiveModel {
            token_id: Set(DbUuid(id)),
            name: Set(token.name.as_str().to_owned()),
            role: Set(token.grant.role.word().to_owned()),
            namespaces: Set(json!(token.grant.namespaces)),
            sha256: Set(to_hex(&digest)),
            created_by: Set(author.requested_by.clone()),
            request_id: Set(author.request_id.clone()),
            created_at: Set(to_db(now)),
            expires_at: Set(token.expires_at.map(to_db)),
        };
        again(|| async {
            let transaction = self.db.begin_writing().await?;
            // From here on nobody else makes one.
            let made = row.clone().insert(&transaction).await?;
            access_tokens::Entity::delete_many()
                .filter(access_tokens::Column::ExpiresAt.lt(to_db(now - SHOWN_EXPIRED)))
                .exec(&transaction)
                .await?;
            if access_tokens::Entity::find().count(&transaction).await? > MOST_TOKENS {
                return Err(WriteError::Refused(format!(
                    "metadata.name: there are {MOST_TOKENS} tokens already; revoke those that nobody uses"
                )));
            }
            transaction.commit().await?;
            from_row(made).ok_or(WriteError::NotFound)
        })
        .await
    }

    /// Takes a token away.
    ///
    /// # Errors
    /// There is none of this name, it is another one, or the database failed.
    pub async fn delete_token(&self, name: &str, preconditions: &Preconditions) -> Result<Uuid, WriteError> {
        again(|| async {
            let transaction = self.db.begin_writing().await?;
            let row = access_tokens::Entity::find()
                .filter(access_tokens::Column::Name.eq(name))
                .one(&transaction)
                .await?
                .ok_or(WriteError::NotFound)?;
            if preconditions.uid.as_ref().is_some_and(|uid| *uid != row.token_id.to_string()) {
                return Err(WriteError::Conflict(Conflict::Replaced));
            }
            access_tokens::Entity::delete_by_id(row.token_id).exec(&transaction).await?;
            transaction.commit().await?;
            Ok(row.token_id.0)
        })
        .await
    }
}

fn from_row(row: access_tokens::Model) -> Option<AccessToken> {
    let namespaces = row.namespaces.as_array()?.iter().map(|name| name.as_str()?.parse().ok());
    Some(AccessToken {
        id: row.token_id.0,
        token: NewToken {
            name: row.name.parse().ok()?,
            // One that cannot be read must not widen what is left of it.
            grant: Grant { role: row.role.parse().ok()?, namespaces: namespaces.collect::<Option<_>>()? },
            expires_at: row.expires_at.map(from_db),
        },
        digest: from_hex(&row.sha256)?,
        created_by: row.created_by,
        created_at: from_db(row.created_at),
    })
}

/// As rows and the file of tokens have a digest.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digest of 64 hexadecimal digits.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(0..) {
        *byte = u8::from_str_radix(text.get(pair * 2..pair * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}
