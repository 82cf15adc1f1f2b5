//! `gamekeeper patch`: another engine version for games, one or a whole fleet.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use clap::Args;
use serde_json::json;

use super::{Common, Wish, one_more, request};
use crate::cli::client::{Client, Kind, Object, Whereabouts};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{clean, remark};
use crate::cli::wait::{self, Awaited, State, Verdict};
use crate::game::EngineVersion;
use crate::game::version::VersionWish;

/// So many lines of a failed engine's log are told.
const LOG_LINES: usize = 10;

/// Moves games to another engine version, with their state
///
/// The old engine goes on until the new image is there and no turn is in flight; then the state is
/// copied and the new engine takes over. If it does not get healthy at the same turn, or dies on its
/// first turn, the copy and the old engine are put back, and it is not tried again by itself. Only a few
/// games are patched at a time (`max-disruptions`); the others go on turning until it is their turn.
///
/// A game with state moves within one major.minor number, in either direction, unless
/// --allow-incompatible says that the version can read it. `latest` is the newest enabled version of the
/// game's own major.minor, or the newest that fits its requirement. A requirement (~1.4, 1.4.x) stays in
/// the spec, and is resolved to the newest enabled version now.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper patch andromeda --to 1.4.3 --wait
  gamekeeper patch -l season=7 --to 1.4.3 --wait --timeout 1h
  gamekeeper patch --all --to latest --dry-run
  gamekeeper patch andromeda --to '~1.4'
  gamekeeper patch andromeda --to 1.5.0 --allow-incompatible
  gamekeeper patch andromeda --retry --wait

With --wait it tells of each game why it waits and how far it is, and ends when all are done or failed;
exit code 1 if one failed.")]
pub(crate) struct PatchArgs {
    #[command(flatten)]
    common: Common,
    /// A version, a requirement such as ~1.4, or latest
    #[arg(long, value_name = "VERSION", required_unless_present = "retry")]
    to: Option<Aim>,
    /// Try again what failed
    #[arg(long)]
    retry: bool,
    /// The version can read the state of another major.minor, or as another user
    #[arg(long, requires = "to")]
    allow_incompatible: bool,
}

/// What games are to be moved to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Aim {
    Latest,
    To { text: String, wish: VersionWish },
}

impl FromStr for Aim {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        let wish = text.parse().map_err(|error| format!("{error}; or write latest"))?;
        Ok(Self::To { text: text.to_owned(), wish })
    }
}

/// The engine versions that the server knows.
struct Versions(Vec<Known>);

struct Known {
    version: EngineVersion,
    enabled: bool,
    /// Why nobody is moved to it, if so.
    halted: Option<String>,
}

impl Versions {
    async fn ask(client: &Client) -> Result<Self, Failure> {
        let listed = client.list(Kind::EngineVersion, None, None).await?;
        Ok(Self(listed.iter().filter_map(Known::read).collect()))
    }

    /// What a wish means now.
    fn resolve(&self, wish: &VersionWish) -> Result<&EngineVersion, Failure> {
        let fits = |known: &&Known| wish.accepts(&known.version);
        let newest = self.0.iter().filter(fits).filter(|known| known.enabled);
        if let Some(newest) = newest.map(|known| &known.version).max() {
            return Ok(newest);
        }
        let known = self.0.iter().find(fits);
        Err(match (wish, known) {
            (VersionWish::Exactly(version), Some(_)) => {
                Failure::new(Exit::Conflict, format!("engine version {version} is disabled"))
                    .hint(format!("`gamekeeper versions enable {version}`"))
            }
            (VersionWish::Exactly(version), None) => {
                Failure::new(Exit::NotFound, format!("engine version {version} is not registered"))
                    .hint("`gamekeeper versions list` shows what there is; `gamekeeper apply` registers one")
            }
            (VersionWish::Newest(fits), _) => {
                Failure::new(Exit::NotFound, format!("no enabled engine version fits {fits}"))
                    .hint("`gamekeeper versions list` shows what there is")
            }
        })
    }

    fn halt(&self, version: &EngineVersion) -> Option<&str> {
        self.0.iter().find(|known| known.version == *version)?.halted.as_deref()
    }
}

impl Known {
    fn read(object: &Object) -> Option<Self> {
        let halted = object.flag("/status/halted").unwrap_or_default();
        let why = object.text("/status/message").unwrap_or_default();
        Some(Self {
            version: object.name().parse().ok()?,
            enabled: object.flag("/spec/enabled").unwrap_or_default(),
            halted: halted.then(|| clean(why)),
        })
    }
}

/// Runs `patch`.
pub(crate) async fn patch(args: PatchArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let versions = Versions::ask(&client).await?;
    if let Some(Aim::To { wish, .. }) = &args.to {
        // Told once, and not of each game.
        versions.resolve(wish)?;
    }
    let games = args.common.games.find(&client).await?;
    let wanted = |game: &Object| move_to(game, &args, &versions);
    let (awaited, mut tally) = request(&client, &args.common, games, wanted).await?;
    let mut aims = HashMap::new();
    for awaited in &awaited {
        let wish = awaited.seen().and_then(asked);
        if let Some(version) = wish.and_then(|wish| versions.resolve(&wish).ok()) {
            aims.insert(awaited.key(), version.clone());
        }
    }
    for version in aims.values().collect::<BTreeSet<_>>() {
        if let Some(why) = versions.halt(version) {
            remark(&format!(
                "changes to engine version {version} are halted: {why}\n  `gamekeeper versions resume {version}` lets them go on"
            ));
        }
    }
    if args.common.wait.wait {
        let followed: Vec<_> =
            awaited.into_iter().filter(|awaited| aims.contains_key(&awaited.key())).collect();
        let judge = |awaited: &Awaited, now: Option<&Object>| match (now, aims.get(&awaited.key())) {
            (Some(now), Some(aim)) => Ok(verdict(awaited, now, aim)),
            _ => Err(wait::gone(&awaited.target)),
        };
        let loud = args.common.output.is_none();
        let ended = wait::follow(&client, followed, "the patch", &args.common.wait, loud, judge, &sum).await;
        tally.note(ended)?;
    }
    tally.end()
}

/// What a game's spec asks for.
fn asked(game: &Object) -> Option<VersionWish> {
    game.text("/spec/engineVersion")?.parse().ok()
}

/// What of the spec to change; nothing if the game is where it should be, or on its way.
fn move_to(game: &Object, args: &PatchArgs, versions: &Versions) -> Result<Option<Wish>, Failure> {
    let asked = asked(game);
    let has: Option<EngineVersion> =
        game.text("/status/engineVersion").and_then(|version| version.parse().ok());
    let mut spec = json!({});
    let (wish, text) = match (&args.to, &asked) {
        (Some(Aim::To { text, wish }), _) => (wish.clone(), Some(text.clone())),
        (Some(Aim::Latest), Some(wish @ VersionWish::Newest(_))) | (None, Some(wish)) => (wish.clone(), None),
        (Some(Aim::Latest), _) => {
            let exact = match &asked {
                Some(VersionWish::Exactly(version)) => Some(version),
                _ => None,
            };
            let now = has.as_ref().or(exact).ok_or_else(|| {
                Failure::usage("it has no engine version yet, so none is its latest; say which with --to")
            })?;
            let newest = versions.resolve(&now.newest_compatible())?;
            // What was disabled or is a pre-release may be newer; nobody is moved back by `latest`.
            if newest < now && asked.as_ref().is_some_and(|asked| asked.accepts(now)) {
                return Ok(None);
            }
            let newest = newest.max(now).clone();
            (VersionWish::Exactly(newest.clone()), Some(newest.to_string()))
        }
        (None, None) => return Err(Failure::usage("it asks for no engine version; say which with --to")),
    };
    let aim = versions.resolve(&wish)?;
    may_move(game, has.as_ref(), aim, args.allow_incompatible)?;
    let is_there = has.as_ref() == Some(aim);
    if let Some(text) = text.filter(|_| asked.as_ref() != Some(&wish)) {
        spec["engineVersion"] = text.into();
    }
    // A requirement is resolved anew only when somebody asks.
    let anew = matches!(wish, VersionWish::Newest(_)) && has.is_some();
    if (anew || args.retry) && !is_there {
        spec["patchGeneration"] = one_more(game, "patchGeneration")?.into();
    }
    if args.allow_incompatible && game.text("/spec/allowIncompatibleVersion") != Some(&aim.to_string()) {
        spec["allowIncompatibleVersion"] = aim.to_string().into();
    }
    if spec.as_object().is_some_and(serde_json::Map::is_empty) {
        if let Some(failed) = failed(game, aim) {
            remark(&format!("game/{}: {failed}\n  --retry tries it again", game.name()));
        }
        return Ok(None);
    }
    let done = match (args.to.is_none(), is_there) {
        (true, _) => format!("another attempt at {aim} requested"),
        (false, true) => format!("asks for {wish}, and has {aim}"),
        (false, false) => format!("patch to {aim} requested"),
    };
    Ok(Some(Wish::new(done, spec)))
}

/// The server would refuse it, and the old engine go on; here it is said at once.
fn may_move(
    game: &Object,
    has: Option<&EngineVersion>,
    aim: &EngineVersion,
    allowed: bool,
) -> Result<(), Failure> {
    let said = game.text("/spec/allowIncompatibleVersion") == Some(&aim.to_string());
    let has_state = game.time("/status/initIntentAt").is_some();
    match has.filter(|has| has_state && !has.is_compatible_with(aim)) {
        Some(has) if !allowed && !said => Err(Failure::usage(format!(
            "it has state of engine version {has}, and {aim} has another major or minor number"
        ))
        .hint(format!("if {aim} can read that state: --allow-incompatible"))),
        _ => Ok(()),
    }
}

/// How the last change to this version failed, if it did.
fn failed(game: &Object, aim: &EngineVersion) -> Option<String> {
    let is_it = game.text("/status/failedPatch/version") == Some(&aim.to_string());
    let part = |part| clean(game.text(&format!("/status/failedPatch/{part}")).unwrap_or_default());
    is_it.then(|| format!("the patch to {aim} failed ({}): {}", part("reason"), part("message")))
}

/// How far a game is on its way to a version.
fn verdict(awaited: &Awaited, game: &Object, aim: &EngineVersion) -> Verdict {
    let name = awaited.shown();
    let text = |pointer| game.text(pointer).unwrap_or_default();
    let (phase, reason, message) =
        (text("/status/phase"), text("/status/reason"), clean(text("/status/message")));
    let waits = |what: &str, why: &str, active| {
        // What merely counts on is not told anew.
        let step = format!("{what}: {}", why.chars().filter(|c| !c.is_ascii_digit()).collect::<String>());
        Verdict::Waits(State { name: name.clone(), step, detail: format!("{what}: {why}"), active })
    };
    let met = |told: String| Verdict::Met(format!("{name} {told}"));
    let missed = |told: String, hint: String| {
        Verdict::Missed(Failure::new(Exit::Failed, told).of(&awaited.target).hint(hint))
    };
    let explain = format!("`gamekeeper explain {name}` says what to do");
    let has_aim = text("/status/engineVersion") == aim.to_string();
    if game.number("/status/observedGeneration").is_none_or(|seen| seen < awaited.generation()) {
        return waits("pending", "not looked at yet", false);
    }
    if game.0.pointer("/status/putBack").is_some() {
        return waits("rolling back", &message, true);
    }
    if let Some(told) = failed(game, aim) {
        if matches!(phase, "Patching" | "Starting") {
            // What ran before is on its way up again.
            return waits("rolling back", &message, true);
        }
        let log: Vec<_> = text("/status/failedPatch/log").lines().map(clean).collect();
        let last = log[log.len().saturating_sub(LOG_LINES)..].iter().map(|line| format!("| {line}"));
        let failure = Failure::new(Exit::Failed, told).of(&awaited.target).notes(last);
        return Verdict::Missed(failure.hint(format!("`gamekeeper patch {name} --retry` tries it again")));
    }
    if let Some(refused) = game.condition("SpecValid").filter(|valid| valid.text("/status") == Some("False"))
    {
        let why = clean(refused.text("/message").unwrap_or_default());
        let code = clean(refused.text("/reason").unwrap_or_default());
        return missed(format!("refused ({code}): {why}"), explain);
    }
    if reason == "PatchHalted" || matches!(phase, "Blocked" | "Invalid") {
        return missed(format!("{phase} ({}): {message}", clean(reason)), explain);
    }
    match (game.text("/status/patch/stage"), phase) {
        (Some("Probation"), _) if has_aim => {
            met(format!("patched to {aim}, on probation until its first turn succeeded"))
        }
        (Some("Leaving"), _) => waits("patching", &format!("the old engine goes; {message}"), true),
        (Some("Trying"), _) => waits("patching", &format!("the new engine starts; {message}"), true),
        (_, "Running" | "Finished") if has_aim => met(format!("has {aim}")),
        (_, "Stopped") if text("/spec/desiredStatus") == "Stopped" => {
            met(format!("is stopped, and has {aim} when it is started"))
        }
        _ if has_aim => waits("patching", &message, true),
        _ => match game.text("/status/patchDelay/message") {
            Some(why) => {
                let next = text("/status/patchDelay/nextAttemptAt");
                waits("pending", &format!("{}; tried again at {next}", clean(why)), false)
            }
            None => waits("pending", &message, false),
        },
    }
}

/// How a fleet is on its way.
fn sum(states: &[State], done: usize, failed: usize) -> String {
    let all = states.len() + done + failed;
    let active = states.iter().filter(|state| state.active).count();
    let pending = states.len() - active;
    let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
    match all {
        0 | 1 => String::new(),
        _ => format!("{done} of {all} done{failed}, {active} on their way, {pending} pending"),
    }
}

#[cfg(test)]
mod tests;
