//! Copies of a whole database: of the embedded one into a file, while it is in use; and from the
//! embedded one to PostgreSQL, once.

mod backup;
mod transfer;

pub use transfer::Counted;

use super::{LockError, OpenError};

/// Why there is no copy. Nothing half-made is left behind.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// This is not what databases of this kind are copied with.
    #[error("{0}")]
    Unsuitable(String),
    /// There is no database.
    #[error("there is no database at {0}")]
    Missing(super::Place),
    /// The file is there already, or cannot be written.
    #[error("the copy {path} cannot be written")]
    Write {
        /// Where.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A table could not be copied.
    #[error("the table {table} could not be copied; nothing was")]
    Table {
        /// Which.
        table: String,
        /// Why not.
        #[source]
        source: sea_orm::sqlx::Error,
    },
    /// The two do not have the same number of rows.
    #[error("{} rows of {table} were read and {} arrived; nothing was copied", counted.read, counted.arrived)]
    Lost {
        /// Of which table.
        table: String,
        /// How many.
        counted: Counted,
    },
    /// The source is in use.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// One of the two could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database failed.
    #[error("the database failed; nothing was copied")]
    Database(#[from] sea_orm::sqlx::Error),
}
