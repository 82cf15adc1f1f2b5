//! What to do about a PostgreSQL server that cannot be connected to, by its SQLSTATE and the place in it
//! that says so. Its words are in its own language; how a text of PgBouncer's begins or ends is the
//! only evidence where it has one state for all.

use std::error::Error;

use rustls::{CertificateError, Error as TlsError};
use sea_orm::sqlx;
use sea_orm::sqlx::postgres::PgDatabaseError;

use super::super::session::SessionError;

/// What to do, in words that follow what happened.
pub(in crate::store) fn advice(error: &(dyn Error + 'static)) -> String {
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
        sqlx::Error::Database(said) => {
            let routine = said.try_downcast_ref::<PgDatabaseError>().and_then(PgDatabaseError::routine);
            of_server(said.code()?.as_ref(), routine, said.message())
        }
        // The driver's own word for it, before any handshake.
        sqlx::Error::Tls(why) if why.to_string() == "server does not support TLS" => Some(
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

/// By the SQLSTATE, the function of the server's that refuses, and the words.
fn of_server(code: &str, routine: Option<&str>, message: &str) -> Option<String> {
    let advice = match code {
        // Its end, after all names: PostgreSQL from 14 on, and before.
        "28000" if [", no encryption", ", SSL off"].iter().any(|end| message.ends_with(end)) => {
            "the server takes no unencrypted connections of this user from here: say sslmode=verify-full and sslrootcert=FILE, or allow it in its pg_hba.conf"
        }
        "28000" if routine == Some("ClientAuthentication") => {
            "the server does not let this user in from here: allow it in its pg_hba.conf, and reload it; if it takes encrypted connections alone, say sslmode=verify-full and sslrootcert=FILE"
        }
        "28000" | "28P01" => {
            "check the user, and the password in GAMEKEEPER_DATABASE_URL, PGPASSWORD or ~/.pgpass"
        }
        "3D000" => "make the database (createdb), or name another one in the URL",
        "42501" => "give the role what it needs: CREATE in the database, or a schema that it owns",
        // PgBouncer's own words.
        "08P01" if message.ends_with(" pooling mode") => SessionError::Shared(0).advice(),
        "08P01" if message.starts_with("unsupported startup parameter") => {
            "a pooler refuses what is asked for at the start of a connection: name it in PgBouncer's ignore_startup_parameters (what is needed is asked for once more after that), or connect to the server itself"
        }
        "53300" => "the server has no place for more connections: each gamekeeper needs 13",
        "53100" | "53200" => {
            "the server's disk or memory is full: make room there; it goes on by itself then"
        }
        "57P03" => "the server is starting up, or recovering: wait for it",
        "57P01" | "57P02" => "the server is going down: wait for it to come back",
        "25006" => {
            "the server takes no writes: it is a standby, or its transactions are read-only (default_transaction_read_only); connect to the primary"
        }
        _ => return None,
    };
    Some(advice.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_says_what_to_do_and_names_in_the_words_do_not() {
        let hba = Some("ClientAuthentication");
        for (code, routine, message, advice) in [
            (
                "28000",
                hba,
                "no pg_hba.conf entry for host \"::1\", user \"u\", database \"d\", no encryption",
                "sslmode=verify-full",
            ),
            (
                "28000",
                hba,
                "no pg_hba.conf entry for host \"::1\", user \"u\", database \"d\", SSL off",
                "unencrypted",
            ),
            ("28000", hba, "kein pg_hba.conf-Eintrag für Host »::1«", "pg_hba.conf"),
            (
                "28000",
                Some("InitializeSessionUserId"),
                "role \"pg_hba.conf, no encryption\" does not exist",
                "check the user",
            ),
            ("28P01", None, "password authentication failed for user \"u\"", "password"),
            ("3D000", None, "database \"pooling mode\" does not exist", "createdb"),
            ("53300", None, "sorry, too many clients already", "no place"),
            ("53100", None, "could not extend file", "make room"),
            ("57P03", None, "the database system is starting up", "wait"),
            ("57P01", None, "terminating connection", "wait"),
            ("25006", None, "cannot execute INSERT in a read-only transaction", "primary"),
            ("08P01", None, "unsupported startup parameter: options", "ignore_startup_parameters"),
            (
                "08P01",
                None,
                "unsupported startup parameter in options: search_path",
                "ignore_startup_parameters",
            ),
        ] {
            let told = of_server(code, routine, message).unwrap_or_default();
            assert!(told.contains(advice), "{message}: {told}");
        }
        assert_eq!(of_server("08P01", None, "no such database: startup parameter pooling mode x"), None);
        assert_eq!(of_server("XX000", None, "anything"), None);
    }
}
