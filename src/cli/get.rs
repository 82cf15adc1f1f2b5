//! `gamekeeper get`: what there is, as a table or in full.

mod watch;

use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;

use super::client::{Client, Kind, Object, Whereabouts};
use super::failure::{Exit, Failure, Tally};
use super::output::{Format, as_list, remark, say, say_json, say_yaml};
use super::table::Columns;
use super::target::{NamespaceOption, Target};

/// Shows games and engine versions
///
/// Without names, all of a kind; with `all`, both kinds.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper get
  gamekeeper get games -A -o wide
  gamekeeper get game/andromeda ev/1.4.2 -o yaml
  gamekeeper get games -l season=7 -o name
  gamekeeper get games -A --watch
  gamekeeper get engineversions")]
pub(crate) struct GetArgs {
    /// games (gm), engineversions (ev), all, or objects: KIND/NAME, NAME of a game, or KIND NAME…
    #[arg(value_name = "KIND|KIND/NAME")]
    what: Vec<String>,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// The games of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Only objects with these labels: season=7,team!=a
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Go on with a row for each change, until interrupted; of one kind, or of one object
    #[arg(short, long)]
    watch: bool,
    /// In which form [default: a table]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

/// What is asked for.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    /// Everything of these kinds.
    Kinds(Vec<Kind>),
    /// These objects.
    Targets(Vec<Target>),
}

/// Runs the command.
pub(crate) async fn run(args: GetArgs, place: &Whereabouts) -> Result<(), Failure> {
    let asked = asked(&args.what).map_err(Failure::usage)?;
    if matches!(asked, Asked::Targets(_)) && (args.selector.is_some() || args.all_namespaces) {
        return Err(Failure::usage(
            "names cannot be combined with --selector or --all-namespaces; leave one out",
        ));
    }
    let client = Client::new(place)?;
    let namespace = args.namespace.meant(&client);
    if args.watch {
        return watch::run(&client, &args, asked, &namespace).await;
    }
    let mut found: BTreeMap<Kind, Vec<Object>> = BTreeMap::new();
    let mut tally = Tally::default();
    let mut alone = false;
    match asked {
        Asked::Kinds(kinds) => {
            let within = (!args.all_namespaces).then_some(namespace.as_str());
            for kind in kinds {
                found.insert(kind, client.list(kind, within, args.selector.as_deref()).await?);
            }
        }
        Asked::Targets(targets) => {
            alone = targets.len() == 1;
            for target in targets {
                let got = client.get(target.address(&namespace)).await.map_err(Failure::from);
                tally.note(got.map(|object| found.entry(target.kind).or_default().push(object)))?;
            }
        }
    }
    show(&args, found, alone, &namespace, tally.failed())?;
    tally.end()
}

impl GetArgs {
    fn columns(&self, kind: Kind) -> Columns {
        let wide = matches!(self.output, Some(Format::Wide));
        Columns { kind, wide, with_namespace: self.all_namespaces }
    }
}

fn show(
    args: &GetArgs,
    found: BTreeMap<Kind, Vec<Object>>,
    alone: bool,
    namespace: &str,
    failed: bool,
) -> Result<(), Failure> {
    let empty = found.values().all(Vec::is_empty);
    match args.output {
        // Of one object that is not there, there is nothing to print.
        Some(Format::Json | Format::Yaml) if failed && empty => Ok(()),
        Some(Format::Json) => say_json(&as_list(found.into_values().flatten().collect(), alone)),
        Some(Format::Yaml) => say_yaml(&as_list(found.into_values().flatten().collect(), alone)),
        Some(Format::Name) => found.iter().try_for_each(|(kind, objects)| {
            objects.iter().try_for_each(|object| say(&format!("{}/{}", kind.word(), object.name())))
        }),
        Some(Format::Wide) | None => {
            if empty && !failed {
                let place =
                    if args.all_namespaces { "".into() } else { format!(" in namespace {namespace}") };
                remark(&format!("nothing found{place}"));
            }
            let now = Timestamp::now();
            let tables = found
                .iter()
                .filter(|(_, objects)| !objects.is_empty())
                .map(|(kind, objects)| args.columns(*kind).table(objects, now));
            let tables: Vec<_> = tables.collect();
            if tables.is_empty() { Ok(()) } else { say(&tables.join("\n")) }
        }
    }
}

/// Reads `games`, `KIND NAME…` or `KIND/NAME…`.
pub(super) fn asked(what: &[String]) -> Result<Asked, String> {
    let Some((first, names)) = what.split_first() else { return Ok(Asked::Kinds(vec![Kind::Game])) };
    if first.eq_ignore_ascii_case("all") && names.is_empty() {
        return Ok(Asked::Kinds(Kind::ALL.to_vec()));
    }
    match Kind::from_word(first) {
        Some(kind) if names.is_empty() => Ok(Asked::Kinds(vec![kind])),
        Some(kind) => {
            names.iter().map(|name| Target::new(kind, name)).collect::<Result<_, _>>().map(Asked::Targets)
        }
        None => what.iter().map(|name| name.parse()).collect::<Result<_, _>>().map(Asked::Targets),
    }
}

/// Finds one object, or says that it is not there.
pub(crate) async fn one(client: &Client, target: &Target, namespace: &str) -> Result<Object, Failure> {
    client.find(target.address(namespace)).await?.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("{target} is not there"))
            .hint(format!("`gamekeeper get {} -A` shows what there is", target.kind.plural()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_names_are_told_apart() {
        let of = |words: &[&str]| asked(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        let target = |text: &str| text.parse::<Target>().unwrap();
        assert_eq!(of(&[]), Ok(Asked::Kinds(vec![Kind::Game])));
        assert_eq!(of(&["ev"]), Ok(Asked::Kinds(vec![Kind::EngineVersion])));
        assert_eq!(of(&["all"]), Ok(Asked::Kinds(Kind::ALL.to_vec())));
        assert_eq!(of(&["games", "a", "b"]), Ok(Asked::Targets(vec![target("a"), target("b")])));
        assert_eq!(of(&["a", "ev/1.4.2"]), Ok(Asked::Targets(vec![target("a"), target("ev/1.4.2")])));
        assert!(of(&["ev", "latest"]).is_err());
        assert!(of(&["pods/x"]).is_err());
    }
}
