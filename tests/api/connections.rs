//! What becomes of a connection whose request was answered before it was read.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::world::{GAMES, World};

/// So much later a body comes than its head, as the Python client and others send it.
const LATER: Duration = Duration::from_millis(200);

type Connection = StreamOwned<ClientConnection, TcpStream>;

fn connect(address: SocketAddr, ca_pem: &[u8]) -> Connection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(address.ip().to_string()).unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    StreamOwned::new(client, stream)
}

/// The head of an answer; none if there is no answer any more.
fn answer(connection: &mut Connection) -> Option<String> {
    let mut read = vec![0; 64 << 10];
    let length = connection.read(&mut read).ok().filter(|length| *length > 0)?;
    let text = String::from_utf8_lossy(&read[..length]).to_ascii_lowercase();
    Some(text.split("\r\n\r\n").next().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_before_its_body_came_costs_no_connection() {
    let world = World::new().await;
    let ca = std::fs::read(world.directory.path().join("tls/ca.crt")).unwrap();
    let (address, token) = (world.address, world.token.clone());
    let asked = tokio::task::spawn_blocking(move || {
        let one = format!("{GAMES}/andromeda");
        for (request, token, expected) in [
            (format!("PATCH {one}?fieldValidation=Maybe"), token.as_str(), "400"),
            ("POST /nope".to_owned(), &token, "404"),
            (format!("POST {one}"), &token, "405"),
            (format!("GET {GAMES}"), &token, "200"),
            (format!("POST {GAMES}"), "wrong", "401"),
        ] {
            let mut connection = connect(address, &ca);
            let head = |request: &str, token: &str, more: &str| {
                format!("{request} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
            };
            connection.write_all(head(&request, token, "Content-Length: 2\r\n").as_bytes()).unwrap();
            connection.flush().unwrap();
            std::thread::sleep(LATER);
            connection.write_all(b"{}").unwrap();
            let first = answer(&mut connection).expect("an answer");
            assert!(first.starts_with(&format!("http/1.1 {expected}")), "{request}: {first}");
            assert!(!first.contains("connection: close"), "{request}: {first}");
            connection.write_all(head("GET /version", token, "").as_bytes()).unwrap();
            let second = answer(&mut connection).expect("the connection is still good");
            assert!(second.starts_with("http/1.1 "), "{request}: {second}");
        }
        // What is too much to be read in passing is told to be the end of it.
        let mut connection = connect(address, &ca);
        let head = format!("POST /nope HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n");
        connection.write_all(format!("{head}Content-Length: 1000000\r\n\r\n{{").as_bytes()).unwrap();
        let told = answer(&mut connection).expect("an answer");
        assert!(told.starts_with("http/1.1 404") && told.contains("connection: close"), "{told}");
    });
    asked.await.unwrap();
    world.end().await;
}
