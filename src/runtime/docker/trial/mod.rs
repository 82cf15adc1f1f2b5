//! What the controller will do with Docker, tried: a container with the mount, user, network, log driver
//! and hardening of an engine's, which runs a small program ([`program`]) in place of an engine. Whatever is
//! made for it goes again, whoever ends it and when.

mod program;

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::{ContainerCreateBody, NetworkCreateRequest, SystemInfo};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptions, StartContainerOptions,
};
use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{Either, Full};
use jiff::Timestamp;

use super::error::{classify, if_there, within};
use super::settings::{EndpointMode, Settings};
use super::text::chain;
use super::{DockerRuntime, StateRoot, Watch, container, labels};
use crate::game::spec::RunAs;
use crate::game::{Epoch, GameId, ImageRef};
use crate::runtime::{ImageSelector, NewContainer, RuntimeError};

/// A trial may take so long, and clearing up after it.
const DEADLINE: Duration = Duration::from_secs(60);
const CLEARING: Duration = Duration::from_secs(20);

/// The program may run so long: it does next to nothing.
const RUNS: Duration = Duration::from_secs(15);

/// What a trial that was killed left is removed by another after so long, in seconds.
const IS_LEFT: i64 = 600;

/// What [`labels::ROLE`] says of its container, and the beginning of what is made for it.
const ROLE: &str = "doctor";

/// The image of the program.
const IMAGE: &str = "gamekeeper/doctor";

/// Directories of trials in a state root begin with this.
pub const SCRATCH: &str = ".gamekeeper-doctor-";

/// One thing that was tried.
#[derive(Debug)]
pub struct Tried {
    /// What it was, in two words.
    pub what: &'static str,
    /// What came of it.
    pub came_of_it: Outcome,
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// It works.
    Works(String),
    /// It works, and is worth a look; and what to do.
    Worth(String, String),
    /// It does not; and what to do.
    Fails(String, String),
}

/// Why a trial ended before its end.
struct Failed {
    what: &'static str,
    why: String,
    advice: String,
}

/// Where the state of the trial is, on both sides.
struct Place {
    scratch: PathBuf,
    settings: Settings,
    game: GameId,
    network: String,
    name: String,
}

impl Place {
    /// The file that the program makes, in the container.
    fn file(&self) -> String {
        format!("{}/trial", self.settings.mount_path.trim_end_matches('/'))
    }
}

impl DockerRuntime {
    /// Tries it with a directory of its own in the state root, until `interrupted`.
    pub async fn try_out(&self, scratch: &Path, interrupted: impl Future<Output = ()>) -> Vec<Tried> {
        let name = format!("gamekeeper-doctor-{}", uuid::Uuid::now_v7().simple());
        let mut tried = Vec::new();
        let ended = {
            let trial = tokio::time::timeout(DEADLINE, self.go_through(&name, scratch, &mut tried));
            tokio::select! {
                ended = trial => Some(ended),
                () = interrupted => None,
            }
        };
        let failed = match ended {
            Some(Ok(Ok(()))) => None,
            Some(Ok(Err(failed))) => Some(failed),
            Some(Err(_)) => Some(Failed {
                what: "an engine's container",
                why: format!("the trial took longer than {} s", DEADLINE.as_secs()),
                advice: "look at how busy Docker and its disk are; starts would take as long".into(),
            }),
            None => Some(Failed {
                what: "an engine's container",
                why: "interrupted".into(),
                advice: "what was made for the trial is removed".into(),
            }),
        };
        tried.extend(
            failed
                .map(|Failed { what, why, advice }| Tried { what, came_of_it: Outcome::Fails(why, advice) }),
        );
        let cleared = tokio::time::timeout(CLEARING, self.clear_up(&name)).await;
        let left = match cleared {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(chain(&error)),
            Err(_) => Some(format!("it took longer than {} s", CLEARING.as_secs())),
        };
        tried.extend(left.map(|why| Tried {
            what: "clearing up",
            came_of_it: Outcome::Fails(
                format!("what was made for the trial could not all be removed: {why}"),
                format!(
                    "remove it by hand: docker rm -f {name}; docker network rm {name}; docker rmi {IMAGE}"
                ),
            ),
        }));
        tried
    }

    async fn go_through(&self, name: &str, scratch: &Path, tried: &mut Vec<Tried>) -> Result<(), Failed> {
        let what = "docker's settings";
        let info = self.trial_call(what, "GET /info", "info", self.docker.info()).await?;
        tried.extend(settings_of(&info));
        self.remove_left(&info).await;

        let what = "an engine's network";
        let there = if_there(self.network_or_error().await)
            .map_err(|error| failed(what, "GET /networks/{name}", &error))?;
        let network = if there.is_some() { self.settings.network.clone() } else { name.to_owned() };
        if there.is_none() {
            let request = NetworkCreateRequest {
                name: network.clone(),
                driver: Some("bridge".into()),
                labels: Some(self.trial_labels()),
                ..NetworkCreateRequest::default()
            };
            self.trial_call(
                what,
                "POST /networks/create",
                "network create",
                self.docker.create_network(request),
            )
            .await?;
            tried.push(works(what, "one can be made".into()));
        }

        let what = "an engine's container";
        let architecture = info.architecture.clone().unwrap_or_default();
        let Some(archive) = program::archive(&architecture) else {
            tried.push(Tried {
                what,
                came_of_it: Outcome::Worth(
                    format!("nothing was tried: there is no program for {architecture}"),
                    "start a game and look at `gamekeeper explain`".into(),
                ),
            });
            return Ok(());
        };
        self.import(what, name, archive).await?;
        let place = self.place(what, name, scratch, network)?;
        let line = format!("{name}\n");
        let id = self.create_trial(what, &place, &line).await?;
        let start = self.docker.start_container(&id, None::<StartContainerOptions>);
        self.trial_call(what, "POST /containers/{id}/start", "start", start).await?;
        let code = self.its_end(what, &id).await?;
        tried.push(self.came_to(&place, &info, code)?);
        tried.extend(self.look_in(&id, &place).await);
        tried.push(self.read_log(&id, line.trim()).await);
        Ok(())
    }

    /// The directories of a trial: made as an engine's are, in a state root of its own.
    fn place(
        &self,
        what: &'static str,
        name: &str,
        scratch: &Path,
        network: String,
    ) -> Result<Place, Failed> {
        let game = GameId(uuid::Uuid::now_v7());
        let inner = scratch.file_name().map_or_else(PathBuf::new, PathBuf::from);
        let settings = Settings {
            state_root: scratch.to_owned(),
            state_root_on_host: Some(self.settings.state_root_on_host().join(inner)),
            network: network.clone(),
            ..self.settings.clone()
        };
        StateRoot::new(scratch.to_owned(), None).create(game, RunAs::Auto, &Watch::nobody()).map_err(
            |error| Failed {
                what,
                why: format!("a state directory cannot be made: {error}"),
                advice: "see the state root above".into(),
            },
        )?;
        Ok(Place { scratch: scratch.to_owned(), settings, game, network, name: name.to_owned() })
    }

    async fn create_trial(&self, what: &'static str, place: &Place, line: &str) -> Result<String, Failed> {
        let wanted = NewContainer {
            game: place.game,
            name: "doctor".parse().map_err(|_| unnamed(what))?,
            engine_version: "doctor".into(),
            inputs: "{}".into(),
            spec_hash: String::new(),
            epoch: Epoch(0),
            image: ImageSelector::Reference(ImageRef::new(format!("{IMAGE}:{}", place.name))),
            port: 8080,
            run_as: RunAs::Auto,
            relaxations: Vec::new(),
            resources: crate::game::Resources::default(),
            with_token: false,
        };
        let user = self.user(RunAs::Auto).await.map_err(|error| failed(what, "GET /info", &error))?;
        let placement = container::Placement {
            user: user.map(|user| user.to_string()),
            published: self.settings.endpoint_mode == EndpointMode::Published,
            token: None,
        };
        let file = place.file();
        let body = ContainerCreateBody {
            labels: Some(self.trial_labels()),
            cmd: Some(vec![program::PATH.into(), file, line.to_owned()]),
            ..container::body(&wanted, &place.settings, &placement)
        };
        let options = CreateContainerOptionsBuilder::new().name(&place.name).build();
        let create = self.docker.create_container(Some(options), body);
        let created = within("create", self.settings.deadlines.change, create).await;
        created.map(|created| created.id).map_err(|error| {
            let on_host = place.settings.state_root_on_host().display().to_string();
            if matches!(error, RuntimeError::MountSourceMissing { .. }) {
                return Failed {
                    what,
                    why: format!(
                        "Docker finds no directory at {on_host}, which was made at {}",
                        place.scratch.display()
                    ),
                    advice: "set --state-root-on-host to the path that the state root has on Docker's host"
                        .into(),
                };
            }
            failed(what, "POST /containers/create", &error)
        })
    }

    /// The exit code of the program.
    async fn its_end(&self, what: &'static str, id: &str) -> Result<i64, Failed> {
        let ended = tokio::time::timeout(RUNS, async {
            loop {
                let seen = self
                    .describe(id)
                    .await
                    .map_err(|error| failed(what, "GET /containers/{id}/json", &error))?;
                let state = seen.state.unwrap_or_default();
                if state.status == Some(bollard::models::ContainerStateStatusEnum::EXITED) {
                    return Ok(state.exit_code.unwrap_or(-1));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        ended.await.unwrap_or_else(|_| {
            Err(Failed {
                what,
                why: format!("a program that does next to nothing did not end within {} s", RUNS.as_secs()),
                advice: "look at how busy the host is".into(),
            })
        })
    }

    /// What the program did with the state directory, and whose it is here.
    fn came_to(&self, place: &Place, info: &SystemInfo, code: i64) -> Result<Tried, Failed> {
        let what = "an engine's container";
        let directory = place.scratch.join(place.game.to_string());
        let wanted = std::fs::metadata(&directory).map(|about| about.uid()).unwrap_or_default();
        let made = std::fs::metadata(directory.join("trial")).map(|about| about.uid());
        let remaps = has(info, "userns");
        let advice = if remaps {
            "Docker remaps users (userns-remap), so that an engine may not write to a directory of its user; turn that off in Docker's configuration"
        } else {
            "see that the file system of the state root lets Docker's containers write (SELinux, NFS with root squashed)"
        };
        match (code, made) {
            (0, Ok(uid)) if uid == wanted => Ok(works(
                what,
                format!("made in network {}, started, and its state written as user {uid}", place.network),
            )),
            (0, Ok(uid)) => Err(Failed {
                what,
                why: format!(
                    "what an engine writes belongs to user {uid} here, and its directory to {wanted}"
                ),
                advice: advice.into(),
            }),
            (0, Err(_)) => Err(Failed {
                what,
                why: format!(
                    "what was written to {} is not seen at {}",
                    place.settings.state_root_on_host().display(),
                    place.scratch.display()
                ),
                advice: "set --state-root-on-host to the path that the state root has on Docker's host"
                    .into(),
            }),
            (code, _) => {
                let errno = i32::try_from(code).ok().filter(|code| (1..=133).contains(code));
                let why = errno.map_or_else(
                    || format!("the program ended with {code}"),
                    |errno| {
                        format!(
                            "an engine could not write its state: {}",
                            std::io::Error::from_raw_os_error(errno)
                        )
                    },
                );
                Err(Failed { what, why, advice: advice.into() })
            }
        }
    }

    /// The look by which the controller compares the state root with what Docker mounts.
    async fn look_in(&self, id: &str, place: &Place) -> Option<Tried> {
        let file = place.file();
        let (told, advice) = match self.sees_file(id, &file).await {
            Ok(true) => return None,
            Ok(false) => (
                format!("HEAD /containers/{{id}}/archive: {file} is not found, which is there"),
                "whether Docker mounts the right state root cannot be verified; see that --state-root-on-host is right",
            ),
            Err(error) => (
                format!("HEAD /containers/{{id}}/archive: {}", chain(&error)),
                "let this call pass, or it cannot be verified that Docker mounts the right state root",
            ),
        };
        Some(Tried { what: "a look into a container", came_of_it: Outcome::Worth(told, advice.into()) })
    }

    async fn read_log(&self, id: &str, line: &str) -> Tried {
        let what = "an engine's log";
        let driver = &self.settings.log_driver;
        let advice = format!(
            "`gamekeeper logs` and the last lines of engines that died would be empty; --engine-log-driver json-file or local can be read (now: {driver})"
        );
        let options = LogsOptionsBuilder::new().stdout(true).tail("10").build();
        let read = async {
            let mut text = String::new();
            let mut chunks = Box::pin(self.docker.logs(id, Some(options)));
            while let Some(chunk) = chunks.next().await {
                text.push_str(&String::from_utf8_lossy(&chunk?.into_bytes()));
                if text.len() > 4_096 {
                    break;
                }
            }
            Ok(text)
        };
        let outcome = match within("logs", self.settings.deadlines.look, read).await {
            Ok(text) if text.contains(line) => {
                Outcome::Works(format!("a line was read back (driver {driver})"))
            }
            Ok(_) => Outcome::Worth("a line that was written cannot be read back".into(), advice),
            Err(error) => Outcome::Worth(format!("GET /containers/{{id}}/logs: {}", chain(&error)), advice),
        };
        Tried { what, came_of_it: outcome }
    }

    async fn import(&self, what: &'static str, tag: &str, archive: Vec<u8>) -> Result<(), Failed> {
        let options = CreateImageOptionsBuilder::new()
            .from_src("-")
            .repo(IMAGE)
            .tag(tag)
            .changes(vec![format!("LABEL {}={ROLE}", labels::ROLE)])
            .build();
        let body = Either::Left(Full::new(Bytes::from(archive)));
        let mut answers = Box::pin(self.docker.create_image(Some(options), Some(body), None));
        let call = "POST /images/create";
        while let Some(answer) = answers.next().await {
            answer.map_err(|error| failed(what, call, &classify("image import", DEADLINE, error)))?;
        }
        Ok(())
    }

    fn trial_labels(&self) -> HashMap<String, String> {
        HashMap::from([(labels::ROLE.to_owned(), ROLE.to_owned())])
    }

    async fn trial_call<T>(
        &self,
        what: &'static str,
        path: &'static str,
        call: &'static str,
        future: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, Failed> {
        within(call, self.settings.deadlines.change, future).await.map_err(|error| failed(what, path, &error))
    }

    /// Removes all that this trial may have made. A creation that was under way when it was interrupted may
    /// still come to its end, so what is not there yet is looked for again.
    async fn clear_up(&self, name: &str) -> Result<(), RuntimeError> {
        for attempt in 0..3 {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            let options = RemoveContainerOptionsBuilder::new().v(true).force(true).build();
            let removed = self.docker.remove_container(name, Some(options));
            let was_there = if_there(within("remove", CLEARING, removed).await)?.is_some();
            if_there(within("network remove", CLEARING, self.docker.remove_network(name)).await)?;
            let image = format!("{IMAGE}:{name}");
            let removed = self.docker.remove_image(&image, None::<RemoveImageOptions>, None);
            if_there(within("image remove", CLEARING, removed).await)?;
            if was_there {
                break;
            }
        }
        Ok(())
    }

    /// Containers of trials that were killed.
    async fn remove_left(&self, info: &SystemInfo) {
        let Some(now) = clock(info) else { return };
        let Ok(all) = self.containers("label", &format!("{}={ROLE}", labels::ROLE)).await else { return };
        for left in all {
            let old = left.created.is_some_and(|made| now.as_second() - made > IS_LEFT);
            if let (true, Some(id)) = (old, left.id) {
                let options = RemoveContainerOptionsBuilder::new().v(true).force(true).build();
                // It is of no use to anybody, and the next trial tries again.
                let _ = within("remove", CLEARING, self.docker.remove_container(&id, Some(options))).await;
            }
        }
    }
}

/// The settings of the daemon that matter to games.
fn settings_of(info: &SystemInfo) -> Vec<Tried> {
    let mut tried = Vec::new();
    if has(info, "userns") {
        tried.push(Tried {
            what: "docker's users",
            came_of_it: Outcome::Worth(
                "Docker remaps users (userns-remap)".into(),
                "an engine's user is another one on the host; whether it can write its state is tried below"
                    .into(),
            ),
        });
    }
    if has(info, "rootless") {
        tried.push(works("docker's users", "rootless: engines run as the user of the daemon".into()));
    }
    if let Some(now) = clock(info) {
        let ahead = now.duration_since(Timestamp::now());
        let what = "docker's clock";
        tried.push(if ahead.abs() > jiff::SignedDuration::from_secs(5) {
            let told = format!("it differs from this one by {} s", ahead.as_secs());
            let advice = "times in logs of engines will not fit; synchronise both clocks (NTP)";
            Tried { what, came_of_it: Outcome::Worth(told, advice.into()) }
        } else {
            works(what, "it agrees with this one".into())
        });
    }
    tried
}

fn has(info: &SystemInfo, option: &str) -> bool {
    let name = format!("name={option}");
    info.security_options.iter().flatten().any(|said| said.split(',').any(|part| part == name))
}

fn clock(info: &SystemInfo) -> Option<Timestamp> {
    info.system_time.as_ref()?.parse().ok()
}

fn works(what: &'static str, told: String) -> Tried {
    Tried { what, came_of_it: Outcome::Works(told) }
}

fn unnamed(what: &'static str) -> Failed {
    Failed { what, why: "the trial has no name".into(), advice: String::new() }
}

/// A call that failed, by method and path: who has a proxy before Docker has to allow it there.
fn failed(what: &'static str, call: &str, error: &RuntimeError) -> Failed {
    let advice = match error {
        RuntimeError::Refused(_) => {
            "Docker refuses what every engine needs, or a proxy before it does not let this call pass; allow it there"
        }
        RuntimeError::Unreachable(_) | RuntimeError::TimedOut { .. } => {
            "look at how busy Docker is; games are left as they are while it does not answer"
        }
        _ if call.starts_with("POST /networks") => {
            "if Docker has no addresses left, remove networks that nobody uses (docker network prune), or give it more by default-address-pools in its configuration"
        }
        _ => "no engine could be started; Docker's own log may say more",
    };
    Failed { what, why: format!("{call}: {}", chain(error)), advice: advice.into() }
}
