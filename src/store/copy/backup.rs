//! A copy of the embedded database as it is at one moment, taken while it is in use.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use sea_orm::sqlx;

use super::super::place::At;
use super::super::{Place, Store, open};
use super::CopyError;

impl Store {
    /// Copies the embedded database into a new file, which is whole or not there. A server may write
    /// meanwhile; the copy is of the moment at which it began.
    ///
    /// # Errors
    /// It is no embedded database, is not there, or the file cannot be made.
    pub async fn back_up(place: &Place, to: &Path) -> Result<u64, CopyError> {
        let At::Sqlite(path) = &place.at else {
            let advice =
                format!("{place} is not the embedded database; back it up with PostgreSQL's own pg_dump");
            return Err(CopyError::Unsuitable(advice));
        };
        let Some(store) = open::sqlite_to_look_at(place, path).await? else {
            return Err(CopyError::Missing(place.clone()));
        };
        let failed = |source| CopyError::Write { path: to.to_owned(), source };
        // Never over a file that is there, and never readable by others.
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
        made.set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
        drop(made);
        let copied = sqlx::query("VACUUM INTO ?")
            .bind(to.to_string_lossy().into_owned())
            .execute(&store.db.sqlite().map_err(open::OpenError::from)?)
            .await;
        let flushed = copied.map_err(CopyError::from).and_then(|_| {
            let file = File::open(to).map_err(failed)?;
            file.sync_all().map_err(failed)?;
            Ok(file.metadata().map_err(failed)?.len())
        });
        if flushed.is_err() {
            let _ = std::fs::remove_file(to);
        }
        flushed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_copy_taken_while_others_write_is_a_whole_database() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let place: Place = format!("sqlite:{}", at("a.db").display()).parse().unwrap();
        let store = Store::open(&place).await.unwrap();
        let pool = store.db.sqlite().unwrap();
        let writing = tokio::spawn(async move {
            for n in 0..200 {
                let id = uuid::Uuid::from_u128(n);
                let row = sqlx::query("INSERT INTO games (game_id, desired_status) VALUES (?, 'stopped')");
                row.bind(id.to_string()).execute(&pool).await.unwrap();
            }
        });
        let size = Store::back_up(&place, &at("copy.db")).await.unwrap();
        writing.await.unwrap();
        let metadata = std::fs::metadata(at("copy.db")).unwrap();
        assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (size, 0o600));
        let copy =
            Store::open(&format!("sqlite:{}", at("copy.db").display()).parse().unwrap()).await.unwrap();
        assert_eq!(copy.instance().await.unwrap().id, store.instance().await.unwrap().id);
        let (games, index) = (copy.games(None).await.unwrap(), copy.desired_index().await.unwrap());
        assert_eq!(games.len(), index.len());
        // What is there is not overwritten, and what failed leaves nothing.
        assert!(matches!(Store::back_up(&place, &at("copy.db")).await, Err(CopyError::Write { .. })));
        let missing: Place = format!("sqlite:{}", at("none.db").display()).parse().unwrap();
        assert!(matches!(Store::back_up(&missing, &at("x.db")).await, Err(CopyError::Missing(_))));
        assert!(!at("x.db").exists());
    }
}
