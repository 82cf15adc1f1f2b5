//! A server that is spoken to by TLS.

use std::error::Error;
use std::path::PathBuf;

use gamekeeper::store::{DEFAULT_SCHEMA, Migrations, Place, Store};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::cluster::Cluster;
use crate::database::Database;
use crate::world::World;

/// A server with a certificate for `localhost`, the authority that signed it, and one that did not.
struct Secured {
    cluster: Cluster,
    port: u16,
    files: TempDir,
}

impl Secured {
    fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            let path = files.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let authority = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            write(name, params.self_signed(&key).unwrap().pem());
            Issuer::new(params, key)
        };
        let signs = authority("ca.pem");
        authority("other.pem");
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &signs).unwrap();
        let (certificate, key) =
            (write("server.crt", certificate.pem()), write("server.key", key.serialize_pem()));
        let cluster = Cluster::start();
        let port = cluster.speaks_tls(&certificate, &key);
        Self { cluster, port, files }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn url(&self, host: &str, mode: &str, root: Option<&str>) -> String {
        let root = root.map(|root| format!("&sslrootcert={}", self.file(root).display()));
        let root = root.unwrap_or_default();
        format!("postgres://postgres@{host}:{}/postgres?sslmode={mode}{root}", self.port)
    }
}

/// Opens it, or says why not, with everything that led to it.
async fn opened(url: &str) -> Result<(), String> {
    let place = Place::new(url, DEFAULT_SCHEMA, Migrations::Auto).unwrap();
    let store = Store::open(&place).await.map_err(|error| told(&error))?;
    store.instance().await.map_err(|error| told(&error))?;
    store.close().await.map_err(|error| told(&error))
}

fn told(error: &dyn Error) -> String {
    let causes = error.source().map(|cause| format!(": {}", told(cause)));
    format!("{error}{}", causes.unwrap_or_default())
}

#[tokio::test]
async fn a_server_that_wants_tls_is_reached_or_the_refusal_says_what_to_do() {
    let server = Secured::start();
    let not_trusted = "not signed by who is trusted here";
    for (host, mode, root, refusal) in [
        ("localhost", "disable", None, Some("say sslmode=verify-full")),
        ("localhost", "allow", None, None),
        ("localhost", "prefer", None, None),
        ("localhost", "require", None, None),
        ("127.0.0.1", "require", None, None),
        // Whoever names an authority wants it to have signed.
        ("localhost", "require", Some("other.pem"), Some(not_trusted)),
        ("localhost", "verify-ca", Some("ca.pem"), None),
        ("127.0.0.1", "verify-ca", Some("ca.pem"), None),
        ("localhost", "verify-ca", Some("other.pem"), Some(not_trusted)),
        ("localhost", "verify-ca", None, Some(not_trusted)),
        ("localhost", "verify-full", Some("ca.pem"), None),
        ("localhost", "verify-full", Some("other.pem"), Some(not_trusted)),
        ("localhost", "verify-full", None, Some(not_trusted)),
        ("127.0.0.1", "verify-full", Some("ca.pem"), Some("is for other names: connect by one of them")),
        ("localhost", "verify-full", Some("gone.pem"), Some("files of sslrootcert")),
    ] {
        let url = server.url(host, mode, root);
        match (opened(&url).await, refusal) {
            (Ok(()), None) => {}
            (Err(told), Some(advice)) => assert!(told.contains(advice), "{url}: {told}"),
            (other, _) => panic!("{url}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn refusals_that_are_not_about_tls_say_what_to_do_too() {
    let cluster = Cluster::start();
    let made = cluster.psql(&["-c", "CREATE ROLE nobody LOGIN"]);
    assert!(made.status.success(), "{made:?}");
    let url = |rest: &str| format!("postgres:///{rest}&host={}", cluster.socket().display());
    for (url, advice) in [
        (url("postgres?user=postgres&sslmode=require"), "the server offers no TLS"),
        (url("none?user=postgres"), "createdb"),
        (url("postgres?user=nobody"), "CREATE in the database"),
        ("postgres://postgres@127.0.0.1:1/postgres".to_owned(), "check that the server runs"),
    ] {
        let told = opened(&url).await.unwrap_err();
        assert!(told.contains(advice), "{url}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connection_is_encrypted_the_one_that_listens_too() {
    let server = Secured::start();
    let database = Database::on(&server.url("localhost", "verify-full", Some("ca.pem")));
    let mut world = World::on(database).with(&["--relist-interval", "10m"]);
    world.start();
    let ours = "FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE application_name = 'gamekeeper'";
    let listens = format!("SELECT count(*) {ours} AND query ILIKE 'LISTEN%' AND ssl");
    world.eventually("it listens by TLS", async || world.count(&listens).await >= 1).await;
    assert_eq!(world.count(&format!("SELECT count(*) {ours} AND NOT ssl")).await, 0);
    // It hears, and hears again after all of them were cut.
    for name in ["heard", "heard-again"] {
        let game = world.game(name, "no-such").await;
        world.until(&game, "seen", |status| status.phase == "invalid").await;
        world.count(&format!("SELECT count(pg_terminate_backend(pid)) {ours}")).await;
    }
    world.eventually("it listens again", async || world.count(&listens).await >= 1).await;
    assert_eq!(world.count(&format!("SELECT count(*) {ours} AND NOT ssl")).await, 0);
    assert_eq!(world.stop_keeper(), Some(0));
    drop(server.cluster);
}
