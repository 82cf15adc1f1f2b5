//! Client certificates: who stands in one, and what they may do.
//!
//! That a certificate was signed by the authority of `--client-ca` and is not out of date is verified
//! in the handshake. The common name says who it is; each organisation `gamekeeper:ROLE` or
//! `gamekeeper:ROLE:NAMESPACE` what they may do.

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::caller::{By, Caller};
use crate::game::access::{Grant, Role};

/// What an organisation that means something here begins with.
const PREFIX: &str = "gamekeeper:";
/// The longest name; the audit takes no longer one.
const LONGEST_NAME: usize = 128;

/// Whoever a certificate names; or why it is good for nothing here.
pub(in crate::api) type Certified = Result<Caller, String>;

/// Reads a certificate that was verified.
pub(in crate::api) fn read(der: &[u8]) -> Certified {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| "the client certificate cannot be read".to_owned())?;
    let subject = certificate.subject();
    let mut names = subject.iter_common_name().map(|name| name.as_str().unwrap_or_default());
    let name = match (names.next(), names.next()) {
        (Some(name), None)
            if (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.contains(char::is_control) =>
        {
            name
        }
        _ => {
            return Err(format!(
                "the client certificate has to have one common name (CN), of at most {LONGEST_NAME} printable characters"
            ));
        }
    };
    let organisations = subject.iter_organization().filter_map(|name| name.as_str().ok());
    let mut grants: Vec<Grant> = Vec::new();
    for organisation in organisations {
        let grant = granted_to(organisation).map_err(|why| {
            format!("the client certificate's organisation `{}`: {why}", shown(organisation))
        })?;
        let Some(grant) = grant else { continue };
        let same = grants.iter_mut().find(|held| {
            held.role == grant.role && held.namespaces.is_empty() == grant.namespaces.is_empty()
        });
        match same {
            Some(held) => held.namespaces.extend(grant.namespaces),
            None => grants.push(grant),
        }
    }
    if grants.is_empty() {
        return Err(format!(
            "the client certificate of {} says no role; its organisation (O) has to be gamekeeper:ROLE or \
             gamekeeper:ROLE:NAMESPACE, with one of the roles {}",
            name.escape_debug(),
            Role::ALL.map(Role::word).join(", ")
        ));
    }
    let ends = Timestamp::from_second(certificate.validity().not_after.timestamp());
    Ok(Caller {
        name: name.into(),
        by: By::Certificate,
        grants: grants.into(),
        ends: Some(ends.unwrap_or(Timestamp::MAX)),
        // Who takes it away takes the authority away, or waits for its end.
        revoked: CancellationToken::new(),
        behind: None,
    })
}

/// The grant of an organisation, or of a group by its name; none unless it is one of ours.
///
/// # Errors
/// It is one of ours, and cannot be read.
pub(super) fn granted_to(group: &str) -> Result<Option<Grant>, String> {
    group.strip_prefix(PREFIX).map(granted).transpose()
}

fn granted(text: &str) -> Result<Grant, String> {
    let (role, namespace) = match text.split_once(':') {
        Some((role, namespace)) => (role, Some(namespace)),
        None => (text, None),
    };
    let namespaces = namespace.map(str::parse).transpose();
    let namespaces = namespaces.map_err(|error: crate::game::id::InvalidId| error.to_string())?;
    Ok(Grant { role: role.parse()?, namespaces: namespaces.into_iter().collect() })
}

fn shown(text: &str) -> String {
    text.chars().take(91).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    /// One distinguished name has one entry of a kind here: several organisations are in tests/api.
    fn certified(name: &str, organisation: Option<&str>) -> Certified {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(organisation) = organisation {
            params.distinguished_name.push(DnType::OrganizationName, organisation);
        }
        read(params.self_signed(&KeyPair::generate().unwrap()).unwrap().der())
    }

    #[test]
    fn the_common_name_is_who_and_the_organisation_what_they_may_do() {
        let ann = certified("ann", Some("gamekeeper:operator:season-7")).unwrap();
        assert_eq!((&*ann.name, ann.grants.len()), ("ann", 1));
        assert_eq!(ann.grants[0].role, Role::Operator);
        assert_eq!(ann.grants[0].namespaces[0].as_str(), "season-7");
        assert!(ann.ends.is_some());
        assert!(certified("ann", Some("gamekeeper:viewer")).unwrap().grants[0].namespaces.is_empty());
    }

    #[test]
    fn what_says_nothing_that_is_understood_is_good_for_nothing() {
        let refused = |name: &str, organisation| certified(name, organisation).unwrap_err();
        assert!(refused("ann", None).contains("says no role"));
        assert!(refused("ann", Some("system:masters")).contains("gamekeeper:ROLE"));
        assert!(refused("ann", Some("gamekeeper:root")).contains("a role is one of"));
        assert!(refused("ann", Some("gamekeeper:viewer:")).contains("is not a valid name"));
        assert!(refused("ann", Some("gamekeeper:viewer:a:b")).contains("is not a valid name"));
        assert!(refused("", Some("gamekeeper:viewer")).contains("common name"));
        assert!(refused(&"x".repeat(129), Some("gamekeeper:viewer")).contains("common name"));
        assert!(read(b"nonsense").is_err());
    }
}
