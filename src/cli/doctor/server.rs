//! The server: that it answers and is ready; or that nothing is in the way of starting it.

use std::net::{SocketAddr, TcpListener};

use super::{Finding, chain};
use crate::cli::client::{Client, ClientError, Object, Whereabouts};
use crate::cli::controller::leader::Leader;
use crate::cli::controller::obstacles::{Obstacle, obstacles};
use crate::config::Config;

/// The server's kubeconfig, whether it answers, and whether it could listen if it does not.
pub(super) async fn server(config: &Config, place: &Whereabouts) -> Vec<(&'static str, Finding)> {
    let client = match Client::new(place) {
        Ok(client) => client,
        Err(error @ (ClientError::NoKubeconfig(_) | ClientError::NoPlace)) => {
            let absent =
                Finding::Warn(error.to_string(), "`gamekeeper run` writes it at its first start".into());
            return vec![("kubeconfig", absent), ("port", port(config.listen))];
        }
        Err(error) => {
            let advice = "use the kubeconfig that `gamekeeper run` wrote in its data directory, as its owner";
            return vec![("kubeconfig", Finding::Fail(chain(&error), advice.into()))];
        }
    };
    let found = Finding::Ok(place.file().map(|file| file.display().to_string()).unwrap_or_default());
    let mut findings = vec![("kubeconfig", found)];
    match client.ready().await {
        Ok((true, _)) => findings.push(("server", Finding::Ok(format!("{} is ready", client.server())))),
        Ok((false, why)) => {
            let why: Vec<_> = why.lines().filter(|line| !line.starts_with("[+]")).map(str::trim).collect();
            let told = format!("{} is not ready: {}", client.server(), why.join(" "));
            findings.push(("server", Finding::Fail(told, "its log says more".into())));
        }
        Err(error @ ClientError::NotRunning { .. }) => {
            let advice = "start it with `gamekeeper run`, unless it is meant to be down";
            findings.push(("server", Finding::Warn(error.to_string(), advice.into())));
            findings.push(("port", port(config.listen)));
        }
        Err(error) => {
            let advice = match &error {
                ClientError::Certificate { .. } => {
                    "stop what listens there, or use that server's own kubeconfig"
                }
                ClientError::Refused(_) => "use the kubeconfig that this server wrote in its data directory",
                _ => "its log may say more",
            };
            findings.push(("server", Finding::Fail(error.to_string(), advice.into())));
        }
    }
    if let Ok(controller) = client.controller().await {
        findings.extend(lead(&controller).into_iter().map(|finding| ("lead", finding)));
        // A server that does not say its games has been told of above.
        let games = super::games::games(&client).await.unwrap_or_default();
        findings.extend(games.into_iter().map(|finding| ("games", finding)));
    }
    findings
}

/// Who leads, and what keeps this server from it.
fn lead(controller: &Object) -> Vec<Finding> {
    let obstacles = obstacles(controller).into_iter();
    let mut findings: Vec<_> =
        obstacles.map(|Obstacle { what, way_out }| Finding::Fail(what, way_out)).collect();
    match Leader::of(controller) {
        Some(leader) if leader.holds => findings.push(Finding::Ok(leader.words())),
        last => {
            let told = last.map_or_else(|| "nobody has led this database yet".into(), |last| last.words());
            let advice = "games are left alone until somebody does; one that sees the Docker Engine and the state root takes the lead by itself";
            findings.push(Finding::Fail(told, advice.into()));
        }
    }
    findings
}

/// Whether a server could listen there.
fn port(listen: SocketAddr) -> Finding {
    match TcpListener::bind(listen) {
        Ok(_) => Finding::Ok(format!("{listen} is free")),
        Err(error) => Finding::Fail(
            format!("a server could not listen on {listen}: {error}"),
            "stop what listens there, or use another address by --listen".into(),
        ),
    }
}
