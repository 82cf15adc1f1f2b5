//! What the controllers say of themselves, and of their games.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::fleet::Member;
use super::watch::asked;
use crate::world::World;

/// `/readyz` costs no question to anybody; what it waits for is its turn on a busy machine.
const PROMPT: Duration = Duration::from_secs(20);

/// What `/readyz` says: whether it is ready, and why not. None: there is no answer.
pub(super) async fn ready(member: &Member) -> Option<(bool, String)> {
    readiness(&member.replica.kubeconfig()).await
}

/// The same of the server that wrote this kubeconfig.
pub(crate) async fn readiness(kubeconfig: &Path) -> Option<(bool, String)> {
    let kubeconfig = std::fs::read_to_string(kubeconfig).ok()?;
    let server = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: "))?.to_owned();
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Its certificate is of its own clock.
    let client =
        reqwest::Client::builder().tls_danger_accept_invalid_certs(true).timeout(PROMPT).build().unwrap();
    let answer = client.get(format!("{server}/readyz")).send().await.ok()?;
    let ready = answer.status().is_success();
    Some((ready, answer.text().await.ok()?))
}

/// Whether this one tells of every game what is on record; else what differs.
pub(super) async fn agrees(member: &Member, world: &World) -> Result<(), String> {
    let listed = member.gk(&["get", "games", "-o", "json"]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let list: serde_json::Value = serde_json::from_str(&text)
        .map_err(|_| format!("no list, but {text:?} and {:?}", String::from_utf8_lossy(&listed.stderr)))?;
    let told: BTreeSet<(String, String)> = list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|game| (game["metadata"]["name"].to_string(), game["status"]["phase"].to_string()))
        .map(|(name, phase)| (name.replace('"', ""), phase.replace('"', "").to_lowercase()))
        .collect();
    let query = "SELECT g.name, replace(g.status, '_', '') FROM game_status AS g";
    let rows = asked(world, query).await.map_err(|error| error.to_string())?;
    let known: BTreeSet<_> = rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    if told == known { Ok(()) } else { Err(format!("it tells {told:?}, on record is {known:?}")) }
}
