//! `gamekeeper status`: how the whole controller is, and what to do about it.

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;

use super::{SHOWN, held, held_deletions, orphans, rebind};
use crate::cli::client::{Client, Object, Whereabouts};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{ChangeFormat, clean, say, say_json, say_yaml};
use crate::cli::table::short_span;

/// Shows how the whole controller is, and the way out of what keeps it from acting
///
/// Why it is frozen if it is, which deletions it holds, which containers belong to no game, and what
/// its games stand on. Exits with 0 if it acts or another one does, and with 1 if it is frozen or has not looked at
/// everything yet.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper status
  gamekeeper status && gamekeeper apply -f games/
  gamekeeper status -o json")]
pub(crate) struct StatusArgs {
    /// In which form [default: for people]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// Runs the command.
pub(crate) async fn run(args: StatusArgs, place: &Whereabouts) -> Result<(), Failure> {
    let controller = Client::new(place)?.controller().await?;
    match args.output {
        Some(ChangeFormat::Json) => say_json(&controller.0)?,
        Some(ChangeFormat::Yaml) => say_yaml(&controller.0)?,
        Some(ChangeFormat::Name) => say(SHOWN)?,
        None => say(&text(&controller, Timestamp::now()))?,
    }
    let phase = controller.text("/status/phase");
    if matches!(phase, Some("Active" | "StandingBy")) { Ok(()) } else { Err(Failure::told(Exit::Failed)) }
}

fn text(controller: &Object, now: Timestamp) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{:<12} {}", format!("{name}:"), clean(&value));
    };
    let phase = controller.text("/status/phase").unwrap_or("Unknown");
    let since = controller
        .condition("Ready")
        .and_then(|ready| ready.time("/lastTransitionTime"))
        .map(|since| format!(" (for {})", short_span(now.duration_since(since))))
        .unwrap_or_default();
    line("Phase", format!("{phase}{since}"));
    line("Instance", controller.text("/status/instanceId").unwrap_or("-").to_owned());
    if let Some(epoch) = controller.number("/status/epoch") {
        line("Leader", format!("{} (epoch {epoch})", controller.text("/status/leader").unwrap_or("-")));
    }
    for (name, at) in [("Docker", "/status/dockerDown"), ("Database", "/status/databaseDown")] {
        if let Some(why) = controller.text(at) {
            line(name, format!("does not answer: {why}"));
        }
    }
    let freezes: Vec<Object> = controller.list("/status/freezes").iter().cloned().map(Object).collect();
    if !freezes.is_empty() {
        section(&mut text, "It touches nothing, because");
    }
    for freeze in &freezes {
        let of = |at: &str| clean(freeze.text(at).unwrap_or_default());
        let _ = writeln!(text, "  {}: {}\n    -> {}", of("/reason"), of("/message"), of("/wayOut"));
    }
    let (deletions, containers) = (held(controller), orphans::orphans(controller));
    if deletions.is_err() || containers.is_err() {
        text.push_str("\nHeld deletions and containers without a game are known to the controller that leads, once it has looked.\n");
    }
    let (deletions, containers) = (deletions.unwrap_or_default(), containers.unwrap_or_default());
    if !deletions.is_empty() {
        section(&mut text, "Deletions are held");
        indented(&mut text, &held_deletions(controller, &deletions, now));
        text.push_str("    -> `gamekeeper confirm-deletions` if they are meant; until then nothing happens to these games\n");
    }
    if !containers.is_empty() {
        section(&mut text, "Containers that belong to no game, and are left alone");
        indented(&mut text, &orphans::table(&containers));
        text.push_str(
            "    -> `gamekeeper adopt GAME_ID` gives one a row, `gamekeeper remove GAME_ID` removes it\n",
        );
    }
    section(&mut text, "What the games stand on");
    indented(&mut text, &rebind::ground(controller));
    text
}

fn section(text: &mut String, heading: &str) {
    let _ = writeln!(text, "\n{heading}:");
}

fn indented(text: &mut String, body: &str) {
    for line in body.lines() {
        let _ = writeln!(text, "{}", format!("  {line}").trim_end());
    }
}
