//! `gamekeeper wait`, and `--wait` of the commands that change something.

mod progress;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::{ArgGroup, Args};
use tokio::time::Instant;

use super::client::{Client, Kind, Mirror, Object, Place, Whereabouts, collection};
use super::failure::{Exit, Failure, Tally};
use super::output::{clean, remark, say};
use super::target::{NamespaceOption, Target};
use progress::Progress;
pub(crate) use progress::State;
pub(crate) use wanted::Wanted;

/// How soon a server that is away is asked again.
const AWAY: Duration = Duration::from_millis(500);

/// Waits until something is true of games
///
/// Prints a line for each game of which it became true. When the time is up, it prints for the
/// others their phase, reason and message, and exits with 5. A game that does not exist (any more)
/// is not waited for: 3, except with --for=delete, where it is what was waited for.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["targets", "all", "selector"]))]
#[command(after_long_help = "Examples:
  gamekeeper wait game/andromeda --for=condition=Ready
  gamekeeper wait --all --for=condition=Ready --timeout 2m
  gamekeeper wait andromeda --for=phase=Stopped
  gamekeeper wait andromeda --for=condition=EngineHealthy=False
  gamekeeper wait andromeda --for=delete --timeout 30s")]
pub(crate) struct WaitArgs {
    /// The games: NAME or game/NAME; with --for=delete also engineversion/VERSION
    #[arg(value_name = "GAME")]
    targets: Vec<Target>,
    /// All games that there are now
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// All games with these labels: season=7,team!=a
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "targets")]
    selector: Option<String>,
    /// The games of all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["namespace", "targets"])]
    all_namespaces: bool,
    #[command(flatten)]
    namespace: NamespaceOption,
    /// condition=NAME[=True|False|Unknown], phase=NAME or delete
    #[arg(long = "for", value_name = "WHAT", default_value = "condition=Ready")]
    wanted: Wanted,
    /// How long; 0s looks once
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    timeout: Duration,
}

/// Waiting after a change.
#[derive(Debug, Clone, Args)]
pub(crate) struct WaitOptions {
    /// Wait until it came true
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time, requires = "wait")]
    pub(crate) timeout: Duration,
}

fn time(text: &str) -> Result<Duration, String> {
    let hint = "write a number with a unit, as in 60s or 5m";
    let span: jiff::SignedDuration = text.parse().map_err(|_| format!("not a duration; {hint}"))?;
    Duration::try_from(span).map_err(|_| format!("cannot be negative; {hint}"))
}

/// Something that is waited for.
#[derive(Debug, Clone)]
pub(crate) struct Awaited {
    /// Which object.
    pub(crate) target: Target,
    namespace: String,
    /// The generation that was made, where one was.
    generation: i64,
    /// As it was seen last.
    seen: Option<Object>,
}

impl Awaited {
    /// An object as a change left it.
    pub(crate) fn new(target: Target, namespace: &str, object: &Object) -> Self {
        Self {
            target,
            namespace: namespace.to_owned(),
            generation: object.generation(),
            seen: Some(object.clone()),
        }
    }

    /// What tells it from all others.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.target)
    }

    /// As it was seen last.
    pub(crate) fn seen(&self) -> Option<&Object> {
        self.seen.as_ref()
    }

    /// The generation that was made, where one was.
    pub(crate) fn generation(&self) -> i64 {
        self.generation
    }

    fn find<'a>(&self, mirror: &'a Mirror) -> Option<&'a Object> {
        let namespace = if self.target.kind == Kind::Game { self.namespace.as_str() } else { "" };
        let paths = [collection(self.target.kind, Some(namespace)), collection(self.target.kind, None)];
        paths.iter().find_map(|path| mirror.get(path, namespace, &self.target.name))
    }

    /// Its name, for people.
    pub(crate) fn shown(&self) -> String {
        self.target.to_string()
    }

    /// Its phase, why it is so, and what it waits for.
    fn state(&self) -> String {
        let Some(object) = &self.seen else { return "not seen yet".into() };
        let phase =
            if object.is_going() { "Deleting" } else { object.text("/status/phase").unwrap_or("Pending") };
        let because = object.text("/status/reason").map(|reason| format!(" ({reason})")).unwrap_or_default();
        let message =
            object.text("/status/message").map(|message| format!(": {message}")).unwrap_or_default();
        let waits: Vec<&str> =
            object.list("/status/waitingOn").iter().filter_map(serde_json::Value::as_str).collect();
        let waits =
            if waits.is_empty() { String::new() } else { format!(" Waiting on: {}.", waits.join(", ")) };
        clean(&format!("{phase}{because}{message}{waits}"))
    }
}

/// Runs the command.
pub(crate) async fn run(args: WaitArgs, place: &Whereabouts) -> Result<(), Failure> {
    if let Some(target) =
        args.targets.iter().find(|target| target.kind != Kind::Game && args.wanted != Wanted::Deleted)
    {
        return Err(Failure::usage(format!(
            "{target} has no status to wait for; only --for=delete works with it"
        )));
    }
    let client = Client::new(place)?;
    let namespace = args.namespace.meant(&client);
    let awaited: Vec<Awaited> = if args.targets.is_empty() {
        let within = (!args.all_namespaces).then_some(namespace.as_str());
        let games = client.list(Kind::Game, within, args.selector.as_deref()).await?;
        let awaited = |game: &Object| {
            let target = Target { kind: Kind::Game, name: game.name().to_owned() };
            Awaited::new(target, game.namespace().unwrap_or(&namespace), game)
        };
        games.iter().map(awaited).collect()
    } else {
        let mut targets = args.targets;
        let mut known = std::collections::HashSet::new();
        targets.retain(|target| known.insert(target.clone()));
        let awaited = |target| Awaited { target, namespace: namespace.clone(), generation: 0, seen: None };
        targets.into_iter().map(awaited).collect()
    };
    if awaited.is_empty() {
        remark("no games found");
        return Ok(());
    }
    let options = WaitOptions { wait: true, timeout: args.timeout };
    // Somebody may be about to mend what keeps it.
    wait(&client, awaited, (&args.wanted, Patience::Endless), &options, true).await
}

/// The patience with something that does not come true by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// It is waited for.
    Endless,
    /// Not after a change: whoever asked for it is told what keeps it.
    UntilSeen,
}

/// What becomes of one that is waited for.
pub(crate) enum Verdict {
    /// It is waited for.
    Waits(State),
    /// It is as was wanted; a line that says so.
    Met(String),
    /// It never will be.
    Missed(Failure),
}

/// How many are how, for people; nothing where that says no more than each of them does.
pub(crate) type Sum<'a> = dyn Fn(&[State], usize, usize) -> String + 'a;

/// Waits after a change until it came true of all of them, or is seen to come true of one no more without a
/// person; with `loud`, prints a line for each.
pub(crate) async fn until(
    client: &Client,
    awaited: Vec<Awaited>,
    wanted: &Wanted,
    options: &WaitOptions,
    loud: bool,
) -> Result<(), Failure> {
    wait(client, awaited, (wanted, Patience::UntilSeen), options, loud).await
}

async fn wait(
    client: &Client,
    awaited: Vec<Awaited>,
    (wanted, patience): (&Wanted, Patience),
    options: &WaitOptions,
    loud: bool,
) -> Result<(), Failure> {
    let judge = |awaited: &Awaited, now: Option<&Object>| {
        let met = match now {
            Some(now) if *wanted == Wanted::Deleted => {
                let uid = |object: &Object| object.text("/metadata/uid").map(str::to_owned);
                awaited.seen.as_ref().is_some_and(|before| uid(before) != uid(now))
            }
            Some(now) => wanted.holds(now, awaited.generation),
            None if *wanted == Wanted::Deleted => true,
            None => return Err(gone(&awaited.target)),
        };
        if *wanted == Wanted::Deleted
            && !met
            && let Some(why) = now.and_then(Object::held_deletion)
        {
            return Ok(Verdict::Missed(held(&awaited.target, why)));
        }
        if patience == Patience::UntilSeen
            && !met
            && let Some(now) = now.filter(|now| wanted.is_out_of_reach(now, awaited.generation))
        {
            return Ok(Verdict::Missed(stuck(&awaited.target, now)));
        }
        let what = if *wanted == Wanted::Deleted { "deleted" } else { "condition met" };
        let state = Awaited { seen: now.cloned(), ..awaited.clone() }.state();
        Ok(if met {
            Verdict::Met(format!("{} {what}", awaited.shown()))
        } else {
            Verdict::Waits(State { name: awaited.shown(), step: state.clone(), detail: state, active: true })
        })
    };
    follow(client, awaited, &wanted.to_string(), options, loud, judge, &|_, _, _| String::new()).await
}

/// Looks at all of them, and again at each change, until each is met or missed. What is missed is
/// told at once, and the others are waited for all the same; an error of `judge` itself ends
/// everything.
pub(crate) async fn follow(
    client: &Client,
    awaited: Vec<Awaited>,
    wanted: &str,
    options: &WaitOptions,
    loud: bool,
    judge: impl Fn(&Awaited, Option<&Object>) -> Result<Verdict, Failure>,
    sum: &Sum<'_>,
) -> Result<(), Failure> {
    let deadline = Instant::now().checked_add(options.timeout);
    let mut watching = Watching::new(client, places(&awaited), deadline);
    let mut progress = Progress::new(awaited.len());
    let (all, mut waiting) = (awaited.len(), awaited);
    let (mut tally, mut missed, mut states) = (Tally::default(), 0, Vec::new());
    while !waiting.is_empty() {
        let seen = watching.look().await?;
        if let Some(mirror) = seen {
            states.clear();
            let mut still = Vec::new();
            for mut awaited in std::mem::take(&mut waiting) {
                let now = awaited.find(mirror);
                match judge(&awaited, now)? {
                    Verdict::Waits(state) => {
                        awaited.seen = now.cloned().or(awaited.seen);
                        states.push(state);
                        still.push(awaited);
                    }
                    Verdict::Met(told) => {
                        progress.beside(|| if loud { say(&told) } else { Ok(()) })?;
                    }
                    Verdict::Missed(failure) => {
                        missed += 1;
                        progress.beside(|| tally.note(Err(failure)))?;
                    }
                }
            }
            waiting = still;
        }
        let met = all - waiting.len() - missed;
        progress.show(all - waiting.len(), &sum(&states, met, missed), states.clone());
        if !waiting.is_empty() && !watching.change().await {
            drop(progress);
            return Err(timed_out(&waiting, wanted, options.timeout, watching.absence));
        }
    }
    drop(progress);
    tally.end()
}

/// Where they are: one question for many, so that what a wait costs the server does not grow with
/// the games.
fn places(awaited: &[Awaited]) -> Vec<Place> {
    let mut names: BTreeMap<Kind, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for awaited in awaited {
        names.entry(awaited.target.kind).or_default().insert((&awaited.namespace, &awaited.target.name));
    }
    let place = |(kind, names): (Kind, BTreeSet<(&str, &str)>)| {
        let only = names.first().filter(|_| names.len() == 1);
        let namespaces: BTreeSet<&str> = names.iter().map(|(namespace, _)| *namespace).collect();
        // Games of several namespaces are waited for only by those who may see all of them.
        let namespace = namespaces.first().filter(|_| namespaces.len() == 1);
        Place {
            path: collection(kind, namespace.copied()),
            selectors: only
                .map(|(_, name)| ("fieldSelector", format!("metadata.name={name}")))
                .into_iter()
                .collect(),
        }
    };
    names.into_iter().map(place).collect()
}

/// Looks that are told by the server when there is something new to see, until the time is up.
pub(crate) struct Watching {
    mirror: Mirror,
    deadline: Option<Instant>,
    /// The server was there once. It may come back: it is being restarted, for example.
    asked: bool,
    /// Why it cannot be asked now.
    pub(crate) absence: Option<String>,
}

impl Watching {
    pub(crate) fn new(client: &Client, places: Vec<Place>, deadline: Option<Instant>) -> Self {
        Self { mirror: Mirror::new(client, places), deadline, asked: false, absence: None }
    }

    /// What there is now; nothing while the server is away.
    pub(crate) async fn look(&mut self) -> Result<Option<&Mirror>, Failure> {
        match self.mirror.fill().await {
            Ok(()) => {
                (self.asked, self.absence) = (true, None);
                Ok(Some(&self.mirror))
            }
            Err(error) if self.asked && error.is_absence() => {
                self.absence = Some(error.to_string());
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until there may be something new to see. False once the time is up.
    pub(crate) async fn change(&mut self) -> bool {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        let away = self.absence.is_some();
        let news = async {
            if away {
                tokio::time::sleep(AWAY).await;
            } else {
                self.mirror.changed().await;
            }
        };
        match self.deadline {
            // One last look when the time is up.
            Some(deadline) => drop(tokio::time::timeout_at(deadline, news).await),
            None => news.await,
        }
        true
    }
}

/// It was to be waited for, and is not there.
pub(crate) fn gone(target: &Target) -> Failure {
    Failure::new(Exit::NotFound, format!("{target} is not there"))
        .hint("`gamekeeper get games -A` shows what there is; to wait for its end, use --for=delete")
}

/// The failure of a wait that a person has to end, by doing something or by asking for something else.
pub(crate) fn stuck(target: &Target, object: &Object) -> Failure {
    let text = |at: &str| clean(object.text(at).unwrap_or_default());
    let refused = object.condition("SpecValid").filter(|valid| valid.text("/status") == Some("False"));
    let phase = text("/status/phase");
    let why = match refused.filter(|_| phase != "Blocked") {
        Some(refused) => format!(
            "its spec is refused ({}): {}",
            clean(refused.text("/reason").unwrap_or_default()),
            clean(refused.text("/message").unwrap_or_default())
        ),
        None => format!("{phase} ({}): {}", text("/status/reason"), text("/status/message")),
    };
    Failure::new(Exit::Failed, why)
        .of(target)
        .hint(format!("`gamekeeper explain {target}` says what to do; what was asked for stays asked for"))
}

/// A deletion that waits for an operator, whatever time passes.
fn held(target: &Target, why: &str) -> Failure {
    Failure::new(Exit::Failed, format!("{target} is not deleted: {}", clean(why)))
        .hint("`gamekeeper confirm-deletions` lists what is held and asks")
}

fn timed_out(waiting: &[Awaited], wanted: &str, after: Duration, absence: Option<String>) -> Failure {
    let after = jiff::SignedDuration::try_from(after).map_or("too long".into(), |after| format!("{after:#}"));
    let message = format!("timed out after {after} waiting for {wanted}");
    let states = waiting.iter().map(|awaited| format!("{}: {}", awaited.shown(), awaited.state()));
    let failure = Failure::new(Exit::TimedOut, message).notes(absence.into_iter().chain(states));
    match waiting.first().filter(|awaited| awaited.target.kind == Kind::Game) {
        Some(first) => failure.hint(format!("`gamekeeper describe {}` shows what happened", first.shown())),
        None => failure,
    }
}
