//! From `apply` of 20 games to all of them Ready, beside creating and starting 20 such containers
//! straight on Docker's API at the best concurrency, in turns.
#![allow(missing_docs, unreachable_pub, reason = "a benchmark")]

#[allow(dead_code, reason = "each benchmark uses its part")]
mod support;

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Instant;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, EndpointSettings, NetworkingConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, StartContainerOptions,
};
use futures::StreamExt;
use support::{Keeper, api, docker, report, spread};

const GAMES: usize = 20;
const ROUNDS: usize = 3;
const CONCURRENCIES: [usize; 3] = [4, 8, 16];

#[tokio::main]
async fn main() -> ExitCode {
    let keeper = Keeper::start();
    let docker_api = api();
    // One game shows what such a container is made of, and warms everything.
    keeper.gk(&["apply", "-f", &keeper.manifest(&["sample".into()]), "--wait", "--timeout", "60s"]);
    let sample = docker_api
        .inspect_container(&keeper.container("sample"), None::<InspectContainerOptions>)
        .await
        .expect("the sample");

    let mut ours = Vec::new();
    let mut bare: HashMap<usize, Vec<f64>> = HashMap::new();
    for round in 0..ROUNDS {
        for concurrency in CONCURRENCIES {
            let took = straight(&keeper, &docker_api, &sample, concurrency).await;
            bare.entry(concurrency).or_default().push(took);
        }
        let names: Vec<String> = (0..GAMES).map(|n| format!("apply-{round}-{n}")).collect();
        let manifest = keeper.manifest(&names);
        let began = Instant::now();
        keeper.gk(&["apply", "-f", &manifest, "--wait", "--timeout", "180s"]);
        ours.push(began.elapsed().as_secs_f64());
        let games: Vec<String> = names.iter().map(|name| format!("game/{name}")).collect();
        let mut delete = vec!["delete", "--wait", "--timeout", "120s"];
        delete.extend(games.iter().map(String::as_str));
        keeper.gk(&delete);
    }
    let mut by_median: Vec<(usize, &Vec<f64>)> = bare.iter().map(|(by, samples)| (*by, samples)).collect();
    by_median.sort_by(|(_, a), (_, b)| spread(a).0.total_cmp(&spread(b).0));
    let (best, samples) = by_median[0];
    report(&format!("{GAMES} games applied to all Ready"), &ours, &format!("API by {best}"), samples, 1.25)
}

/// Creates and starts as many such containers, and removes them again outside the measured time.
async fn straight(
    keeper: &Keeper,
    api: &Docker,
    sample: &ContainerInspectResponse,
    concurrency: usize,
) -> f64 {
    let bodies: Vec<(String, ContainerCreateBody)> =
        (0..GAMES).map(|n| body(keeper, sample, concurrency, n)).collect();
    let names: Vec<String> = bodies.iter().map(|(name, _)| name.clone()).collect();
    let began = Instant::now();
    futures::stream::iter(bodies)
        .for_each_concurrent(concurrency, async |(name, body)| {
            let options = CreateContainerOptionsBuilder::new().name(&name).build();
            api.create_container(Some(options), body).await.expect("created");
            api.start_container(&name, None::<StartContainerOptions>).await.expect("started");
        })
        .await;
    let took = began.elapsed().as_secs_f64();
    for name in names {
        docker(&["rm", "-f", &name]);
    }
    took
}

fn body(
    keeper: &Keeper,
    sample: &ContainerInspectResponse,
    concurrency: usize,
    n: usize,
) -> (String, ContainerCreateBody) {
    let name = format!("gk-bench-{}-{concurrency}-{n}", std::process::id());
    let state = keeper.dir.path().join(&name);
    std::fs::create_dir_all(&state).expect("a directory");
    let config = sample.config.clone().expect("a config");
    let mut host_config = sample.host_config.clone().expect("a host config");
    for mount in host_config.mounts.iter_mut().flatten() {
        mount.source = Some(state.display().to_string());
    }
    let endpoints = HashMap::from([(keeper.network.clone(), EndpointSettings::default())]);
    let body = ContainerCreateBody {
        image: config.image,
        env: config.env,
        user: config.user,
        host_config: Some(host_config),
        networking_config: Some(NetworkingConfig { endpoints_config: Some(endpoints) }),
        ..ContainerCreateBody::default()
    };
    (name, body)
}
