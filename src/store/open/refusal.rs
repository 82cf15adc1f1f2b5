//! What to do about a PostgreSQL server that cannot be connected to.

use std::error::Error;

use rustls::{CertificateError, Error as TlsError};
use sea_orm::sqlx;

use super::super::session::SessionError;

/// What to do, in words that follow what happened.
pub(super) fn advice(error: &(dyn Error + 'static)) -> String {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(advice) = of(error) {
            return advice;
        }
        cause = error.source();
    }
    "check that the server runs, and the URL's host, user, password and database".into()
}

fn of(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<TlsError>() {
        return Some(of_handshake(error));
    }
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        // What it wraps is not always its source.
        let within = error.get_ref().and_then(|within| within.downcast_ref::<TlsError>());
        return within.map(of_handshake).or_else(|| of_file(error));
    }
    if let Some(error) = error.downcast_ref::<SessionError>() {
        return Some(error.advice().into());
    }
    match error.downcast_ref::<sqlx::Error>()? {
        sqlx::Error::Database(said) => of_server(said.code()?.as_ref(), said.message()),
        sqlx::Error::Tls(why) if why.to_string().contains("does not support TLS") => Some(
            "the server offers no TLS here: switch it on there (ssl = on; a unix socket has none), or say sslmode=disable if nobody can listen in on the way to it".into(),
        ),
        _ => None,
    }
}

/// A file that the URL names.
fn of_file(error: &std::io::Error) -> Option<String> {
    let file = matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied);
    file.then(|| {
        "check that the server runs, that the socket's directory is right, and that the files of sslrootcert, sslcert and sslkey are there and may be read".into()
    })
}

fn of_handshake(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            "the server's certificate is for other names: connect by one of them, or have it made out to this one too (sslmode=verify-ca does not look at the name)"
        }
        TlsError::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the server's certificate has expired: renew it there, and look at both clocks",
        TlsError::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "the server's certificate is not valid yet: look at both clocks",
        TlsError::InvalidCertificate(_) => {
            "the server's certificate is not signed by who is trusted here: name the certificate of the authority that signed it by sslrootcert=FILE, and if it is that already, find out who answers there"
        }
        _ => {
            "no secure connection came about: check the server's log, its certificate, and sslcert and sslkey of the URL"
        }
    }
    .into()
}

fn of_server(code: &str, message: &str) -> Option<String> {
    let advice = match code {
        "28000" if message.contains("no encryption") => {
            "the server takes no unencrypted connections of this user from here: say sslmode=verify-full and sslrootcert=FILE"
        }
        "28000" if message.contains("pg_hba.conf") => {
            "the server does not let this user in from here: allow it in its pg_hba.conf, and reload it"
        }
        "28000" | "28P01" => {
            "check the user, and the password in GAMEKEEPER_DATABASE_URL, PGPASSWORD or ~/.pgpass"
        }
        "3D000" => "make the database (createdb), or name another one in the URL",
        "42501" => "give the role what it needs: CREATE in the database, or a schema that it owns",
        // PgBouncer's own words.
        "08P01" if message.contains("pooling mode") => SessionError::Shared(0).advice(),
        "08P01" if message.contains("startup parameter") => {
            "a pooler refuses what is asked for at the start of a connection: name it in PgBouncer's ignore_startup_parameters (what is needed is asked for once more after that), or connect to the server itself"
        }
        "53300" => "the server has no place for more connections: each gamekeeper needs 13",
        _ => return None,
    };
    Some(advice.into())
}
