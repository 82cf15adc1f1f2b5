//! The secrets that sign deliveries: read from a file, again when it changes, and never shown.
//!
//! As Standard Webhooks has it: HMAC-SHA-256 over id, time and body. With two secrets both
//! signatures are sent, so that the lobby can change over from one to the other at its leisure.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

/// The prefix of a secret in base64.
const PREFIX: &str = "whsec_";

/// What Standard Webhooks asks of a secret, in bytes.
const SHORTEST: usize = 24;

/// Far more than two secrets need.
const LARGEST_FILE: u64 = 4_096;

/// Why the secrets cannot be used. None of these shows any of the file.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("the lobby's secret {} cannot be read; check its owner and mode, or name another file by --lobby-secret-file", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// There is no secret in it, or more than two.
    #[error("{} has to hold one secret, or two while they are changed over, one a line; `echo whsec_$(openssl rand -base64 32)` makes one", path.display())]
    Lines {
        /// Which file.
        path: PathBuf,
    },
    /// A line is no secret.
    #[error("line {line} of {} is no secret: {why}; `echo whsec_$(openssl rand -base64 32)` makes one", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
}

/// One or two secrets.
pub struct Secrets(Vec<SecretSlice<u8>>);

impl Secrets {
    /// The value of `webhook-signature`: one signature for each secret.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let sign = |secret: &SecretSlice<u8>| {
            // HMAC takes a key of any length.
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret()).ok()?;
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
        };
        self.0.iter().filter_map(sign).collect::<Vec<_>>().join(" ")
    }

    fn parse(path: &Path, text: &str) -> Result<Self, SecretError> {
        let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
        let secrets = lines
            .map(|(at, line)| {
                secret(line).map_err(|why| SecretError::Line { path: path.to_owned(), line: at + 1, why })
            })
            .collect::<Result<Vec<_>, _>>()?;
        if !(1..=2).contains(&secrets.len()) {
            return Err(SecretError::Lines { path: path.to_owned() });
        }
        Ok(Self(secrets))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

fn secret(line: &str) -> Result<SecretSlice<u8>, &'static str> {
    let bytes = match line.strip_prefix(PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| "what follows whsec_ is not base64")?,
        None => line.as_bytes().to_vec(),
    };
    if bytes.len() < SHORTEST {
        return Err("it has less than 24 bytes");
    }
    Ok(SecretSlice::from(bytes))
}

/// What tells that a file is another one than it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    inode: u64,
    length: u64,
}

/// A file of secrets that is followed.
#[derive(Debug)]
pub struct SecretFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    secrets: Secrets,
}

impl SecretFile {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let stamp = stamp(path);
        let failed = |source| SecretError::Read { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(failed)?.len() > LARGEST_FILE {
            return Err(SecretError::Lines { path: path.to_owned() });
        }
        let text = secrecy::SecretString::from(std::fs::read_to_string(path).map_err(failed)?);
        let secrets = Secrets::parse(path, text.expose_secret())?;
        Ok(Self { path: path.to_owned(), stamp, secrets })
    }

    /// The secrets as the file has them now. While what is there cannot be used, those of before:
    /// a rotation is not always written in one go.
    pub fn current(&mut self) -> &Secrets {
        let now = stamp(&self.path);
        if now != self.stamp {
            self.stamp = now;
            match Self::read(&self.path) {
                Ok(read) => {
                    *self = read;
                    tracing::info!(secrets = self.secrets.0.len(), "the lobby's secrets were read again");
                }
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the lobby's new secrets cannot be used; those of before go on being used"
                ),
            }
        }
        &self.secrets
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok(), inode: metadata.ino(), length: metadata.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &str = "a-raw-secret-of-thirty-two-bytes";

    fn parsed(text: &str) -> Result<usize, String> {
        Secrets::parse(Path::new("/s"), text).map(|s| s.0.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_secret_or_two_and_what_is_wrong_is_not_shown() {
        let encoded = format!("whsec_{}", STANDARD.encode(RAW));
        assert_eq!(parsed(RAW), Ok(1));
        assert_eq!(parsed(&format!("\n {encoded} \n{RAW}\n\n")), Ok(2));
        for (text, what) in [
            ("", "one secret, or two"),
            (&*format!("{RAW}\n{RAW}\n{RAW}"), "one secret, or two"),
            ("whsec_not*base64-hunter2", "line 1 of /s is no secret: what follows"),
            (&format!("{RAW}\nhunter2"), "line 2 of /s is no secret: it has less than 24"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(what) && !error.contains("hunter2"), "{error}");
        }
        let secrets = Secrets::parse(Path::new("/s"), RAW).unwrap();
        assert_eq!(format!("{secrets:?}"), "Secrets(1)");
    }

    #[test]
    fn the_two_forms_of_a_secret_sign_alike() {
        // The example of the Standard Webhooks specification's reference implementations.
        let known = Secrets::parse(Path::new("/s"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = known.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let both =
            Secrets::parse(Path::new("/s"), &format!("{RAW}\nwhsec_{}", STANDARD.encode(RAW))).unwrap();
        let signed = both.sign("a", 1, b"x");
        let (one, other) = signed.split_once(' ').unwrap();
        assert_eq!(one, other);
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_a_broken_one_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, RAW).unwrap();
        let mut file = SecretFile::read(&path).unwrap();
        let first = file.current().sign("a", 1, b"x");
        std::fs::write(&path, "short").unwrap();
        assert_eq!(file.current().sign("a", 1, b"x"), first);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.current().sign("a", 1, b"x"), first);
        std::fs::write(&path, format!("another-{RAW}\n{RAW}")).unwrap();
        let second = file.current().sign("a", 1, b"x");
        assert!(second != first && second.ends_with(&first), "{second}");
    }
}
