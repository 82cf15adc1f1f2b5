//! `gamekeeper leader`: which process acts.

use clap::Args;
use serde_json::json;

use super::obstacles::{Obstacle, obstacles};
use crate::cli::client::{Client, Object, Whereabouts};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{ChangeFormat, clean, remark, say, say_json, say_yaml};

/// Shows which controller leads, whichever of them is asked
///
/// Of several controllers on one PostgreSQL database one acts; the others serve the API and take
/// over when it ends. The epoch grows with every change of leader. What would keep the controller that
/// is asked from leading is told too. Exits with 1 if nobody leads.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper leader
  gamekeeper leader -o json")]
pub(crate) struct LeaderArgs {
    /// In which form [default: for people]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// Runs the command.
pub(crate) async fn run(args: LeaderArgs, place: &Whereabouts) -> Result<(), Failure> {
    let controller = Client::new(place)?.controller().await?;
    for Obstacle { what, way_out } in obstacles(&controller) {
        remark(&format!(
            "the controller that was asked touches nothing: {}\n    -> {}",
            clean(&what),
            clean(&way_out)
        ));
    }
    let Some(leader) = Leader::of(&controller) else {
        return Err(Failure::new(Exit::Failed, "no controller has led this database yet"));
    };
    let Leader { holder, epoch, holds } = &leader;
    let shown = json!({ "holder": holder, "epoch": epoch, "holds": holds });
    match args.output {
        Some(ChangeFormat::Json) => say_json(&shown)?,
        Some(ChangeFormat::Yaml) => say_yaml(&shown)?,
        Some(ChangeFormat::Name) if *holds => say(&clean(holder))?,
        None if *holds => say(&leader.words())?,
        Some(ChangeFormat::Name) | None => {}
    }
    if *holds { Ok(()) } else { Err(Failure::new(Exit::Failed, leader.words())) }
}

/// Who leads, or did last.
pub(crate) struct Leader<'a> {
    pub(crate) holder: &'a str,
    pub(crate) epoch: i64,
    /// It still does.
    pub(crate) holds: bool,
}

impl<'a> Leader<'a> {
    /// As the server shows it; none if nobody ever led.
    pub(crate) fn of(controller: &'a Object) -> Option<Self> {
        Some(Self {
            holder: controller.text("/status/leader")?,
            epoch: controller.number("/status/epoch")?,
            holds: controller.0.pointer("/status/leaseHolds").and_then(serde_json::Value::as_bool)
                != Some(false),
        })
    }

    /// Who leads, in a sentence.
    pub(crate) fn words(&self) -> String {
        let Self { holder, epoch, holds } = self;
        let holder = clean(holder);
        if *holds {
            format!("{holder} leads (epoch {epoch})")
        } else {
            format!("nobody leads now; {holder} did last (epoch {epoch})")
        }
    }
}
