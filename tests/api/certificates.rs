//! Client certificates: who stands in one, what they may do, and what becomes of a bad one.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use reqwest::{Client, Identity, Method};
use serde_json::Value;

use crate::kubectl::Kubectl;
use crate::tokens::TOKENS;
use crate::world::{Answer, GAMES, VERSIONS, World, game, read, version};

/// An authority for clients.
struct Authority {
    params: CertificateParams,
    certificate: Certificate,
    key: KeyPair,
}

/// A certificate of a client, with its key, in PEM.
struct Shown {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "clients");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { params, certificate, key }
    }

    fn signs(&self, name: &str, organisations: &[&str], until: i32) -> Shown {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        for (at, organisation) in organisations.iter().enumerate() {
            // rcgen has one of each type; the same attribute under its number is another type to it.
            let kind =
                if at == 0 { DnType::OrganizationName } else { DnType::CustomDnType(vec![2, 5, 4, 10]) };
            params.distinguished_name.push(kind, *organisation);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        Shown { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Shown {
    fn client(&self, world: &World) -> Client {
        let ca = std::fs::read(world.directory.path().join("tls/ca.crt")).unwrap();
        let identity = Identity::from_pem(format!("{}{}", self.certificate, self.key).as_bytes()).unwrap();
        let builder = Client::builder().tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()]);
        builder.identity(identity).no_proxy().build().unwrap()
    }
}

async fn ask(world: &World, client: &Client, method: Method, path: &str, body: Option<&Value>) -> Answer {
    let mut request = client.request(method, format!("https://{}{path}", world.address));
    if let Some(body) = body {
        request = request.json(body);
    }
    read(request.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_who_it_is_and_what_they_may_do() {
    let authority = Authority::new();
    let world = World::with_client_ca(&authority.certificate.pem()).await;
    let (game, version) = (game("a"), version("1.4.2"));
    let operator = authority.signs("ann", &["gamekeeper:operator"], 2100).client(&world);
    ask(&world, &operator, Method::POST, GAMES, Some(&game)).await.ok(201);
    ask(&world, &operator, Method::GET, TOKENS, None).await.refused(403, "Forbidden");
    let id = world.store.game("default", "a").await.unwrap().unwrap().id;
    assert_eq!(world.store.desired(&[id]).await.unwrap()[0].0.requested_by, "ann");

    let several = ["staff", "gamekeeper:viewer", "gamekeeper:lobby:s7"];
    let several = authority.signs("bob", &several, 2100).client(&world);
    // rcgen keeps two of them apart and no more: the last organisation counts beside the first.
    let own = GAMES.replace("default", "s7");
    ask(&world, &several, Method::POST, &own, Some(&game)).await.ok(201);
    let refused = ask(&world, &several, Method::POST, GAMES, Some(&game)).await.refused(403, "Forbidden");
    assert!(refused["message"].as_str().unwrap().contains("this certificate is good for the namespace s7"));
    ask(&world, &several, Method::POST, VERSIONS, Some(&version)).await.refused(403, "Forbidden");

    for organisations in [&[][..], &["system:masters"], &["gamekeeper:root"]] {
        let client = authority.signs("eve", organisations, 2100).client(&world);
        let refused = ask(&world, &client, Method::GET, GAMES, None).await.refused(403, "Forbidden");
        assert!(refused["message"].as_str().unwrap().contains("organisation"), "{refused:#}");
        // A token is good all the same.
        let request = client.get(format!("https://{}{GAMES}", world.address)).bearer_auth(&world.token);
        read(request.send().await.unwrap()).await.ok(200);
    }
    world.get(GAMES).await.ok(200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_good_ends_in_the_handshake() {
    let authority = Authority::new();
    let world = World::with_client_ca(&authority.certificate.pem()).await;
    let other = Authority::new();
    for bad in
        [other.signs("ann", &["gamekeeper:admin"], 2100), authority.signs("ann", &["gamekeeper:admin"], 2021)]
    {
        let sent = bad.client(&world).get(format!("https://{}{GAMES}", world.address)).send().await;
        assert!(sent.is_err(), "{sent:?}");
    }
    // Without an authority a certificate is never asked for.
    let without = World::new().await;
    let client = authority.signs("ann", &["gamekeeper:admin"], 2100).client(&without);
    ask(&without, &client, Method::GET, GAMES, None).await.refused(401, "Unauthorized");
    without.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_comes_in_with_a_certificate() {
    let authority = Authority::new();
    let world = World::with_client_ca(&authority.certificate.pem()).await;
    let shown = authority.signs("ann", &["gamekeeper:viewer:default"], 2100);
    for kubectl in Kubectl::all(&world) {
        let ann = kubectl.with_certificate(&shown.certificate, &shown.key);
        ann.ok(&["get", "games"]).await;
        assert!(ann.fails(&["get", "games", "-A"]).await.contains("this certificate is good for"));
        assert!(ann.fails(&["delete", "game", "a"]).await.contains("ann may not delete"));
    }
    world.end().await;
}
