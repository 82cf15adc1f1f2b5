//! `gamekeeper backup`: a copy of a game's state, now.

use clap::Args;
use serde_json::json;

use super::{Common, LATEST, Wish, one_more, refusal, request};
use crate::cli::client::{Client, Object, Whereabouts};
use crate::cli::failure::{Exit, Failure, Tally};
use crate::cli::output::{clean, say};
use crate::cli::target::Located;
use crate::cli::wait::{self, Wanted};
use crate::game::operation::OperationKind;

/// Takes a copy of a game's state, and keeps it
///
/// Of a running game it is taken between two turns, while the engine goes on; of a stopped one at once;
/// of one that keeps crashing when no process runs. A change of version or a restore comes first. With
/// --wait the copy's name is printed, which `gamekeeper restore` takes. Of the copies on demand as many
/// are kept as the server's --keep-backups says.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper backup andromeda
  gamekeeper backup andromeda --wait
  gamekeeper backup -l season=7 --wait --timeout 10m
  gamekeeper backups andromeda

To have one taken before each turn, apply a manifest with `backupBeforeTurn: true` in its spec.")]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    common: Common,
}

/// Runs the command.
pub(crate) async fn backup(args: BackupArgs, place: &Whereabouts) -> Result<(), Failure> {
    let BackupArgs { common } = args;
    let client = Client::new(place)?;
    let games = common.games.find(&client).await?;
    let wish = |game: &Object| {
        let more = one_more(game, "backupGeneration")?;
        Ok(Some(Wish::new("copy requested", json!({ "backupGeneration": more }))))
    };
    let (awaited, mut tally) = request(&client, &common, games.clone(), wish).await?;
    if !common.wait.wait || tally.failed() {
        return tally.end();
    }
    let asked: Vec<(Located, Object)> = games
        .into_iter()
        .zip(&awaited)
        .filter_map(|(game, awaited)| Some((game, awaited.seen()?.clone())))
        .collect();
    wait::until(&client, awaited, &Wanted::BackedUp, &common.wait, false).await?;
    for (game, asked) in &asked {
        tell(&client, game, asked, common.output.is_none(), &mut tally).await?;
    }
    tally.end()
}

/// What became of the request: the copy's name, or why there is none.
async fn tell(
    client: &Client,
    game: &Located,
    asked: &Object,
    loud: bool,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let number = asked.number("/spec/backupGeneration").unwrap_or_default();
    if let Some(why) = refusal(client, game, OperationKind::Backup, asked.generation()).await? {
        let hint = format!("`gamekeeper ops {}` shows what happened", game.target);
        let message = format!("not copied: {}", clean(&why));
        return tally.note(Err(Failure::new(Exit::Failed, message).of(&game.target).hint(hint)));
    }
    // Newest first: whoever asked later has asked for this one, too.
    let copies = client.backups(game.address(), LATEST).await?;
    let copy = copies.iter().find(|copy| answers(copy.name()).is_some_and(|at| at >= number));
    let name = copy.map_or(String::new(), |copy| format!(" as {}", copy.name()));
    let told = if loud { say(&format!("{} copied{name}", game.target)) } else { Ok(()) };
    tally.note(told)
}

/// Which request a copy answers, by its name: `20261123T180000000Z-6f1c0a52-demand-3`.
fn answers(name: &str) -> Option<i64> {
    let (_, number) = name.rsplit_once("-demand-")?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::answers;

    #[test]
    fn a_copy_says_by_its_name_which_request_it_answers() {
        assert_eq!(answers("20261123T180000000Z-6f1c0a52-demand-3"), Some(3));
        assert_eq!(answers("20261123T180000000Z-6f1c0a52-before-turn-3"), None);
        assert_eq!(answers("20261123T180000000Z-6f1c0a52-before-1.4.3"), None);
    }
}
