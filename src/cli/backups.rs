//! `gamekeeper backups`: the kept copies of a game's state.

use clap::Args;

use super::client::{Client, Object, Whereabouts};
use super::failure::Failure;
use super::output::{ChangeFormat, as_list, remark, say, say_json, say_yaml};
use super::table::{number, of_rows, or_none};
use super::target::{GameTarget, NamespaceOption};

/// Shows the kept copies of a game's state, the newest last
///
/// A copy is taken before each change of engine version (Patch), before each turn if so configured
/// (Turn), and on demand (Demand). TURN and VERSION are those of the engine that had run on it.
/// `gamekeeper restore GAME ID` puts one back.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper backups andromeda
  gamekeeper backups game/andromeda -o json --limit 1")]
pub(crate) struct BackupsArgs {
    /// The game: NAME or game/NAME, whether or not it is still there
    #[arg(value_name = "GAME")]
    game: GameTarget,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// At most so many, the latest
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// In which form [default: a table]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// Runs the command.
pub(crate) async fn run(args: BackupsArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let namespace = args.namespace.meant(&client);
    let GameTarget(target) = &args.game;
    let mut found = client.backups(target.address(&namespace), usize::from(args.limit)).await?;
    found.reverse();
    match args.output {
        Some(ChangeFormat::Json) => say_json(&as_list(found, false)),
        Some(ChangeFormat::Yaml) => say_yaml(&as_list(found, false)),
        Some(ChangeFormat::Name) => found.iter().try_for_each(|copy| say(copy.name())),
        None if found.is_empty() => {
            remark(&format!("{target}: no copy is kept"));
            Ok(())
        }
        None => say(&table(&found)),
    }
}

fn table(copies: &[Object]) -> String {
    let row = |copy: &Object| {
        let text = |pointer| or_none(copy.text(pointer));
        vec![
            copy.name().to_owned(),
            text("/metadata/creationTimestamp"),
            number(copy.number("/spec/turn")),
            text("/spec/engineVersion"),
            text("/spec/reason"),
            copy.number("/status/bytes").map_or_else(|| or_none(None), size),
            number(copy.number("/status/files")),
        ]
    };
    of_rows(vec!["ID", "TAKEN", "TURN", "VERSION", "REASON", "SIZE", "FILES"], copies.iter().map(row))
}

/// A number of bytes in the largest unit of which there is one.
fn size(bytes: i64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1_024.0 {
            return if unit == "B" || size >= 10.0 {
                format!("{size:.0}{unit}")
            } else {
                format!("{size:.1}{unit}")
            };
        }
        size /= 1_024.0;
    }
    format!("{size:.1}TiB")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_copy_says_what_it_is_of_and_how_large() {
        let copy = Object(json!({
            "metadata": { "name": "20261123T180000000Z-before-1.4.3", "creationTimestamp": "2026-11-23T18:00:00Z" },
            "spec": { "reason": "Patch", "turn": 7, "engineVersion": "1.4.2" },
            "status": { "files": 12, "bytes": 1_572_864 },
        }));
        assert_eq!(
            table(&[copy]),
            "ID                                 TAKEN                  TURN   VERSION   REASON   SIZE     FILES\n\
             20261123T180000000Z-before-1.4.3   2026-11-23T18:00:00Z   7      1.4.2     Patch    1.5MiB   12\n"
        );
        for (bytes, shown) in
            [(0, "0B"), (1_023, "1023B"), (1_024, "1.0KiB"), (20_000, "20KiB"), (1 << 42, "4.0TiB")]
        {
            assert_eq!(size(bytes), shown);
        }
    }
}
