//! `gamekeeper get --watch`: what there is, and then each change.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use serde_json::Value;

use super::{Asked, GetArgs};
use crate::cli::client::{Client, ClientError, Object, Told, collection};
use crate::cli::failure::Failure;
use crate::cli::output::{Format, remark, say, say_json, say_yaml};
use crate::cli::table::Growing;

/// How soon a server that is away is asked again.
const AWAY: Duration = Duration::from_secs(1);

/// What was told of each object: the last, without the version, which another process counts otherwise.
type Known = HashMap<(String, String), Value>;

/// Runs the command until it is interrupted.
pub(super) async fn run(
    client: &Client,
    args: &GetArgs,
    asked: Asked,
    namespace: &str,
) -> Result<(), Failure> {
    let one = || Failure::usage("--watch follows one kind, or one object; name no more");
    let (kind, name) = match asked {
        Asked::Kinds(kinds) => (*kinds.first().filter(|_| kinds.len() == 1).ok_or_else(one)?, None),
        Asked::Targets(targets) => match <[_; 1]>::try_from(targets) {
            Ok([target]) => (target.kind, Some(target.name)),
            Err(_) => return Err(one()),
        },
    };
    let path = collection(kind, (!args.all_namespaces).then_some(namespace));
    let labels = args.selector.clone().map(|labels| ("labelSelector", labels));
    let named = name.map(|name| ("fieldSelector", format!("metadata.name={name}")));
    let selectors: Vec<_> = labels.into_iter().chain(named).collect();
    let (mut known, mut shown) = (None, Growing::new(args.columns(kind)));
    loop {
        match follow(client, &path, &selectors, &mut known, |objects| show(args, &mut shown, objects)).await {
            Ok(()) => {}
            // What was there may come back: it is being restarted, for example.
            Err(Ended::Watch(error)) if known.is_some() && error.is_absence() => {
                remark(&format!("{error}; it is asked again"));
                tokio::time::sleep(AWAY).await;
            }
            // Too much happened meanwhile: everything is told again that has changed.
            Err(Ended::Watch(ClientError::Refused(refusal))) if known.is_some() && refusal.code == 410 => {}
            Err(Ended::Watch(error)) => return Err(error.into()),
            Err(Ended::Output(failure)) => return Err(failure),
        }
    }
}

/// Why no more is told.
enum Ended {
    Watch(ClientError),
    Output(Failure),
}

/// Tells what is new until the watch ends.
async fn follow(
    client: &Client,
    path: &str,
    selectors: &[(&'static str, String)],
    known: &mut Option<Known>,
    mut tell: impl FnMut(&[Object]) -> Result<(), Failure>,
) -> Result<(), Ended> {
    let mut lines = Box::pin(client.watch(path, selectors).await.map_err(Ended::Watch)?);
    let (mut beginning, mut all) = (Some(Vec::new()), Known::new());
    while let Some(told) = lines.next().await {
        match (told.map_err(Ended::Watch)?, &mut beginning) {
            (Told::Is(object), Some(first)) => {
                let (key, value) = (key(&object), unversioned(&object));
                if known.as_ref().and_then(|known| known.get(&key)) != Some(&value) {
                    first.push(object);
                }
                all.insert(key, value);
            }
            (Told::All, first) => {
                tell(&first.take().unwrap_or_default()).map_err(Ended::Output)?;
                *known = Some(std::mem::take(&mut all));
            }
            (Told::Is(object), None) => {
                known.get_or_insert_default().insert(key(&object), unversioned(&object));
                tell(&[object]).map_err(Ended::Output)?;
            }
            (Told::Gone(object), _) => {
                known.get_or_insert_default().remove(&key(&object));
                tell(&[object]).map_err(Ended::Output)?;
            }
        }
    }
    Ok(())
}

fn key(object: &Object) -> (String, String) {
    (object.namespace().unwrap_or_default().to_owned(), object.name().to_owned())
}

fn unversioned(object: &Object) -> Value {
    let mut value = object.0.clone();
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("resourceVersion");
    }
    value
}

fn show(args: &GetArgs, shown: &mut Growing, objects: &[Object]) -> Result<(), Failure> {
    match args.output {
        Some(Format::Json) => objects.iter().try_for_each(|object| say_json(&object.0)),
        Some(Format::Yaml) => objects.iter().try_for_each(|object| {
            say("---")?;
            say_yaml(&object.0)
        }),
        Some(Format::Name) => objects.iter().try_for_each(|object| {
            let kind = object.kind().map_or("object", super::Kind::word);
            say(&format!("{kind}/{}", object.name()))
        }),
        Some(Format::Wide) | None => {
            shown.lines(objects, Timestamp::now()).iter().try_for_each(|line| say(line))
        }
    }
}
