//! Where a database is, as people say it, and how its schema is brought up to date.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use sea_orm::sqlx::ConnectOptions;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use serde::Deserialize;

/// The schema of a PostgreSQL database that is used unless another one is named.
pub const DEFAULT_SCHEMA: &str = "gamekeeper";

/// PostgreSQL cuts identifiers at 63 bytes, and the channel of the schema's changes is a longer one.
const LONGEST_SCHEMA: usize = 48;

/// What libpq calls these parameters. Others are refused rather than silently ignored.
const PARAMETERS: [&str; 11] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
];

/// What is done about a schema that is not up to date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Migrations {
    /// It is migrated at the start
    #[default]
    Auto,
    /// The program refuses to start
    Check,
}

/// Why a database cannot be named so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlaceError(String);

/// Where a database is. Shown without secrets.
#[derive(Clone)]
pub struct Place {
    pub(super) at: At,
    pub(super) migrations: Migrations,
}

#[derive(Clone)]
pub(super) enum At {
    /// The path of the file.
    Sqlite(String),
    /// The server, and the schema in its database.
    Postgres { options: Box<PgConnectOptions>, schema: String },
}

impl Place {
    /// The database of this URL; on PostgreSQL, this schema of it.
    ///
    /// # Errors
    /// Whatever is wrong with either, and what would be right.
    pub fn new(url: &str, schema: &str, migrations: Migrations) -> Result<Self, PlaceError> {
        let wrong = |what: &str| Err(PlaceError(what.to_owned()));
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" | ":memory:" => wrong(
                    "the embedded database needs a file; write sqlite:PATH, as in sqlite:/var/lib/gamekeeper/gamekeeper.db",
                ),
                path if path.contains('?') => {
                    wrong("leave out what follows `?`; gamekeeper sets the database's options itself")
                }
                path => Ok(Self { at: At::Sqlite(path.to_owned()), migrations }),
            };
        }
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return wrong("not a database URL; write sqlite:PATH or postgres://USER@HOST/DATABASE");
        }
        check_schema(schema)?;
        check_parameters(url)?;
        let options = PgConnectOptions::from_str(url).map_err(|error| {
            PlaceError(format!(
                "{error}; write postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full, or postgres:///DATABASE?host=/var/run/postgresql"
            ))
        })?;
        let mode = effective(options.get_ssl_mode(), url);
        let options = options
            .ssl_mode(mode)
            .application_name("gamekeeper")
            // The server's default is as good, and PgBouncer refuses it.
            .extra_float_digits(None)
            .disable_statement_logging();
        Ok(Self { at: At::Postgres { options: Box::new(options), schema: schema.to_owned() }, migrations })
    }

    /// Whether it is the embedded database, and where its file is.
    pub fn sqlite_path(&self) -> Option<&std::path::Path> {
        match &self.at {
            At::Sqlite(path) => Some(path.as_ref()),
            At::Postgres { .. } => None,
        }
    }
}

/// What libpq makes of a mode, where the driver makes less of it.
fn effective(mode: PgSslMode, url: &str) -> PgSslMode {
    let parameters = url.split_once('?').map_or("", |(_, query)| query).split('&');
    let names_root = parameters.into_iter().any(|parameter| parameter.starts_with("sslrootcert="))
        || std::env::var_os("PGSSLROOTCERT").is_some();
    match mode {
        // Without encryption first, and with it if the server wants it; the driver would never try that.
        PgSslMode::Allow => PgSslMode::Prefer,
        // Whoever names the authority wants to know that it is the server.
        PgSslMode::Require if names_root => PgSslMode::VerifyCa,
        mode => mode,
    }
}

fn check_schema(schema: &str) -> Result<(), PlaceError> {
    let bytes = schema.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    let begins = bytes.first().is_some_and(|first| first.is_ascii_lowercase() || *first == b'_');
    if begins && bytes.iter().all(plain) && bytes.len() <= LONGEST_SCHEMA && !schema.starts_with("pg_") {
        return Ok(());
    }
    Err(PlaceError(format!(
        "`{}` cannot be the name of the schema; use up to {LONGEST_SCHEMA} lower-case letters, digits and `_`, not beginning with a digit or `pg_`",
        schema.escape_debug()
    )))
}

fn check_parameters(url: &str) -> Result<(), PlaceError> {
    let Some((_, query)) = url.split_once('?') else { return Ok(()) };
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
        if !PARAMETERS.contains(&name) {
            return Err(PlaceError(format!(
                "`{}` is no parameter that is known here; known are {}",
                name.escape_debug(),
                PARAMETERS.join(", ")
            )));
        }
    }
    Ok(())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            At::Sqlite(path) => write!(f, "sqlite:{path}"),
            At::Postgres { options, schema } => {
                let socket = options.get_socket().map(|socket| socket.display().to_string());
                let host = socket.unwrap_or_else(|| options.get_host().to_owned());
                let database = options.get_database().unwrap_or_else(|| options.get_username());
                write!(f, "postgres://{host}:{}/{database}, schema {schema}", options.get_port())
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    /// The URL alone: with the default schema, migrated at the start.
    fn from_str(url: &str) -> Result<Self, PlaceError> {
        Self::new(url, DEFAULT_SCHEMA, Migrations::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        url.parse::<Place>().map_or_else(|error| error.to_string(), |place| place.to_string())
    }

    #[test]
    fn places_are_shown_without_their_secrets() {
        for url in [
            "postgres://keeper:hunter2@db.example.com/games?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "postgres:///games?host=/var/run/postgresql&user=keeper&password=hunter2",
            "postgres://keeper@db/games?pasword=hunter2",
            "mysql://keeper:hunter2@db/games",
        ] {
            assert!(!shown(url).contains("hunter2"), "{}", shown(url));
        }
        assert!(shown("postgres:///games?host=/run/pg").starts_with("postgres:///run/pg:5432/games"));
    }

    #[test]
    fn what_is_misspelt_is_refused_and_not_ignored() {
        assert!(shown("postgres://db/games?ssl_mode=verify-full").contains("sslmode"));
        assert!(shown("postgres://db/games?sslmode=verify").contains("sslmode=verify-full"));
        for mode in ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] {
            assert!(
                shown(&format!("postgres://db/games?sslmode={mode}")).starts_with("postgres://"),
                "{mode}"
            );
        }
    }

    #[test]
    fn a_root_certificate_is_never_ignored() {
        let mode = |url: &str| match url.parse::<Place>().unwrap().at {
            At::Postgres { options, .. } => options.get_ssl_mode(),
            At::Sqlite(_) => unreachable!(),
        };
        let named = "postgres://db/games?sslrootcert=/etc/ca.pem&sslmode=require";
        assert!(matches!(mode(named), PgSslMode::VerifyCa));
        assert!(matches!(mode("postgres://db/games?sslmode=require"), PgSslMode::Require));
        assert!(matches!(mode("postgres://db/games?sslmode=allow"), PgSslMode::Prefer));
        assert!(matches!(mode("postgres://db/games?sslmode=disable"), PgSslMode::Disable));
    }

    #[test]
    fn a_schema_is_a_plain_name() {
        let with = |schema: &str| Place::new("postgres://db/games", schema, Migrations::Auto).is_ok();
        assert!(with("gamekeeper") && with("_7"));
        for schema in ["", "7a", "Upper", "a b", "a\"b", "a,b", "pg_x", &"a".repeat(49)] {
            assert!(!with(schema), "{schema}");
        }
    }
}
