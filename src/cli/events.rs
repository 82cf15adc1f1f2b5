//! `gamekeeper events`: what happened lately.

use clap::Args;
use jiff::Timestamp;

use super::client::{Client, Object, Whereabouts};
use super::failure::Failure;
use super::get;
use super::output::{ChangeFormat, as_list, remark, say, say_json, say_yaml};
use super::table::{of_rows, or_none, short_span};
use super::target::{GameTarget, NamespaceOption};
use crate::game::controller::{KIND, NAME};

/// Shows what happened lately, the newest last
///
/// Of one game, of the controller itself (--controller), or of everything in a namespace. What
/// happened several times is counted, not repeated. Of each object the latest hundred are kept.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper events
  gamekeeper events andromeda
  gamekeeper events --controller
  gamekeeper events -A --limit 200 -o json")]
pub(crate) struct EventsArgs {
    /// The game: NAME or game/NAME
    #[arg(value_name = "GAME", conflicts_with_all = ["controller", "all_namespaces"])]
    game: Option<GameTarget>,
    /// Only what is about the whole controller
    #[arg(long)]
    controller: bool,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// Those of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// At most so many, the latest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// In which form [default: a table]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// Runs the command.
pub(crate) async fn run(args: EventsArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let namespace = args.namespace.meant(&client);
    let about = |kind: &str, name: &str| format!("involvedObject.kind={kind},involvedObject.name={name}");
    let selector = match &args.game {
        Some(GameTarget(target)) => Some(about(target.kind.manifest(), &target.name)),
        None => args.controller.then(|| about(KIND, NAME)),
    };
    let within = (!args.all_namespaces && !args.controller).then_some(namespace.as_str());
    let found = client.latest_events(within, selector, usize::from(args.limit)).await?;
    if let (true, Some(GameTarget(target))) = (found.is_empty(), &args.game) {
        // History outlives the game, so only a game that has none need be there.
        get::one(&client, target, &namespace).await?;
    }
    match args.output {
        Some(ChangeFormat::Json) => say_json(&as_list(found, false)),
        Some(ChangeFormat::Yaml) => say_yaml(&as_list(found, false)),
        Some(ChangeFormat::Name) => found.iter().try_for_each(|event| say(event.name())),
        None if found.is_empty() => {
            remark("nothing happened lately");
            Ok(())
        }
        None => say(&table(&found, Timestamp::now(), true)),
    }
}

/// The events as a table, with what each is about where that is not clear.
pub(super) fn table(events: &[Object], now: Timestamp, with_object: bool) -> String {
    let row = |event: &Object| {
        let last = event
            .time("/lastTimestamp")
            .or(event.time("/eventTime"))
            .or(event.time("/metadata/creationTimestamp"));
        let age = last.map(|last| short_span(now.duration_since(last)));
        let count = event.number("/count").unwrap_or(1);
        let mut row = vec![
            or_none(event.text("/type")),
            or_none(event.text("/reason")),
            or_none(age.map(|age| if count > 1 { format!("{age} (x{count})") } else { age }).as_deref()),
        ];
        if with_object {
            let kind = event.text("/involvedObject/kind").unwrap_or("?").to_ascii_lowercase();
            row.push(format!("{kind}/{}", event.text("/involvedObject/name").unwrap_or("?")));
        }
        row.push(or_none(event.text("/message")));
        row
    };
    let mut header = vec!["TYPE", "REASON", "AGE"];
    header.extend(with_object.then_some("OBJECT"));
    header.push("MESSAGE");
    of_rows(header, events.iter().map(row))
}
