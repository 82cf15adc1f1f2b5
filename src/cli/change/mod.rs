//! The commands that change something of games by a word: each is a change of desired state.

pub(crate) mod copying;
pub(crate) mod patching;
pub(crate) mod restoring;
pub(crate) mod running;
pub(crate) mod turns;

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, Object, Whereabouts, Writing};
use super::failure::{Exit, Failure, Tally};
use super::output::{ChangeFormat, clean, say_change};
use super::target::{Games, Located};
use super::wait::{self, Awaited, WaitOptions, Wanted};
use crate::game::operation::OperationKind;

/// So often a change is tried again when somebody else was faster.
const ATTEMPTS: usize = 10;

/// What all of them take.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    games: Games,
    /// Have the server check everything, and change nothing
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Print the games, or their names alone
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
    #[command(flatten)]
    wait: WaitOptions,
}

/// What a game's spec is to say, and how that is told.
#[derive(Debug, PartialEq)]
struct Wish {
    spec: Value,
    done: String,
}

impl Wish {
    fn new(done: impl Into<String>, spec: Value) -> Self {
        Self { spec, done: done.into() }
    }
}

/// Changes every game that is meant, and waits for all of them if that is asked for.
async fn change(
    args: Common,
    place: &Whereabouts,
    wish: impl Fn(&Object) -> Result<Option<Wish>, Failure>,
    wanted: &Wanted,
) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let games = args.games.find(&client).await?;
    let (awaited, tally) = request(&client, &args, games, wish).await?;
    if args.wait.wait && !tally.failed() {
        wait::until(&client, awaited, wanted, &args.wait, args.output.is_none()).await?;
    }
    tally.end()
}

/// Among so many of a game's latest operations of a kind the one that was asked for is looked for.
const LATEST: usize = 50;

/// The controller's reason to refuse the newest request of this kind since this generation, or its failure,
/// if any.
async fn refusal(
    client: &Client,
    game: &Located,
    kind: OperationKind,
    since: i64,
) -> Result<Option<String>, Failure> {
    let newest_first = client.operations(game.address(), None, Some(kind), LATEST).await?;
    let newest = newest_first
        .iter()
        .find(|operation| operation.number("/spec/generation").is_some_and(|served| served >= since));
    let failed = newest.filter(|operation| operation.text("/status/errorCode").is_some());
    Ok(failed.map(|operation| operation.text("/status/errorMessage").unwrap_or("it failed").to_owned()))
}

/// The same as a failure of the command.
async fn refused(
    client: &Client,
    game: &Located,
    kind: OperationKind,
    since: i64,
    not_done: &str,
) -> Result<(), Failure> {
    match refusal(client, game, kind, since).await? {
        Some(why) => Err(Failure::new(Exit::Failed, format!("{not_done}: {}", clean(&why)))
            .of(&game.target)
            .hint(format!("`gamekeeper explain {}` says what to do", game.target))),
        None => Ok(()),
    }
}

/// Changes every one of these games, and says so.
async fn request(
    client: &Client,
    args: &Common,
    games: Vec<Located>,
    wish: impl Fn(&Object) -> Result<Option<Wish>, Failure>,
) -> Result<(Vec<Awaited>, Tally), Failure> {
    let mut tally = Tally::default();
    let mut awaited = Vec::new();
    for located in games {
        let told = one(client, &located, args.dry_run, &wish).await.and_then(|(done, game)| {
            let tried = if args.dry_run { " (dry run)" } else { "" };
            let done = format!("{}{}{tried}", done.as_deref().unwrap_or("unchanged"), generation(&game));
            say_change(args.output, &located.target.to_string(), &done, &game)?;
            awaited.push(Awaited::new(located.target, &located.namespace, &game));
            Ok(())
        });
        tally.note(told)?;
    }
    Ok((awaited, tally))
}

/// Changes one game; what was done, if anything was, and the game as it is then.
async fn one(
    client: &Client,
    located: &Located,
    dry_run: bool,
    wish: impl Fn(&Object) -> Result<Option<Wish>, Failure>,
) -> Result<(Option<String>, Object), Failure> {
    let address = located.address();
    let mut attempt = 1;
    loop {
        let game = client.get(address).await?;
        let wish = wish(&game).map_err(|failure| failure.of(&located.target))?;
        let Some(Wish { spec, done }) = wish else { return Ok((None, game)) };
        // With the version that was read, so that two requests at once are two.
        let patch = json!({ "metadata": { "resourceVersion": game.resource_version() }, "spec": spec });
        match client.patch(address, &patch, Writing { from_manifest: false, dry_run }).await {
            Ok(game) => return Ok((Some(done), game)),
            // A game that is going will not change any more, however often one asks.
            Err(error) if error.is_conflict() && attempt < ATTEMPTS && !game.is_going() => attempt += 1,
            Err(error) => return Err(Failure::from(error).of(&located.target)),
        }
    }
}

/// One more than a request's counter says.
fn one_more(game: &Object, counter: &str) -> Result<i64, Failure> {
    let asked = game.number(&format!("/spec/{counter}")).unwrap_or_default();
    asked.checked_add(1).ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            format!("its {counter} is at its end: nothing more can be asked for by it"),
        )
    })
}

/// The generation that a change made, for people; engine versions may have none.
pub(crate) fn generation(object: &Object) -> String {
    match object.generation() {
        0 => String::new(),
        generation => format!(" (generation {generation})"),
    }
}
