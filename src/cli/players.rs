//! `gamekeeper players`: who plays as which player of the engine, and how they do.

use clap::Args;

use super::client::{Client, Object, Whereabouts};
use super::failure::Failure;
use super::get;
use super::output::{ChangeFormat, as_list, remark, say, say_json, say_yaml};
use super::table::{number, of_rows, or_none};
use super::target::{GameTarget, NamespaceOption};

/// Shows who plays in a game, and how they do
///
/// ACTIVE is what the lobby says now; who was removed stays in the list. The engine's ids are known
/// while there is an engine; what it reported of planets and population outlives it.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper players andromeda
  gamekeeper players game/andromeda -o json")]
pub(crate) struct PlayersArgs {
    /// The game: NAME or game/NAME, whether or not it is still there
    #[arg(value_name = "GAME")]
    game: GameTarget,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// In which form [default: a table]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// Runs the command.
pub(crate) async fn run(args: PlayersArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let namespace = args.namespace.meant(&client);
    let GameTarget(target) = &args.game;
    let found = client.players(target.address(&namespace)).await?;
    if found.is_empty() {
        get::one(&client, target, &namespace).await?;
    }
    match args.output {
        Some(ChangeFormat::Json) => say_json(&as_list(found, false)),
        Some(ChangeFormat::Yaml) => say_yaml(&as_list(found, false)),
        Some(ChangeFormat::Name) => found.iter().try_for_each(|player| say(player.name())),
        None if found.is_empty() => {
            remark(&format!("nobody plays in {target}"));
            Ok(())
        }
        None => say(&table(&found)),
    }
}

fn table(players: &[Object]) -> String {
    let header = vec![
        "USER",
        "RACE",
        "ENGINE-ID",
        "ACTIVE",
        "TURN",
        "PLANETS",
        "POPULATION",
        "HIGHEST-PLANETS",
        "HIGHEST-POPULATION",
    ];
    let row = |player: &Object| {
        let text = |pointer| or_none(player.text(pointer));
        let stat = |name: &str| number(player.number(&format!("/status/stats/{name}")));
        let active = if player.flag("/status/active").unwrap_or_default() { "yes" } else { "no" };
        let mut row = vec![
            text("/spec/userId"),
            text("/spec/raceName"),
            text("/status/enginePlayerId"),
            active.to_owned(),
        ];
        row.extend(["turn", "planets", "population", "highestPlanets", "highestPopulation"].map(stat));
        row
    };
    of_rows(header, players.iter().map(row))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_player_is_shown_with_how_it_goes() {
        let players = [
            Object(json!({
                "spec": { "userId": "u-1", "raceName": "Terrans" },
                "status": { "active": true, "enginePlayerId": "p-1", "stats": {
                    "turn": 4, "planets": 3, "population": 120, "highestPlanets": 5, "highestPopulation": 140,
                } },
            })),
            Object(
                json!({ "spec": { "userId": "u-2", "raceName": "Mar\u{1b}tians" }, "status": { "active": false } }),
            ),
        ];
        assert_eq!(
            table(&players),
            "USER   RACE             ENGINE-ID   ACTIVE   TURN   PLANETS   POPULATION   HIGHEST-PLANETS   HIGHEST-POPULATION\n\
             u-1    Terrans          p-1         yes      4      3         120          5                 140\n\
             u-2    Mar\\u{1b}tians   -           no       -      -         -            -                 -\n"
        );
    }
}
