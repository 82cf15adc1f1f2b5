//! `gamekeeper leader`: which process acts.

use clap::Args;
use serde_json::json;

use crate::cli::client::{Client, Whereabouts};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{ChangeFormat, clean, say, say_json, say_yaml};

/// Shows which controller leads, whichever of them is asked
///
/// Of several controllers on one PostgreSQL database one acts; the others serve the API and take
/// over when it ends. The epoch grows with every change of leader. Exits with 1 if nobody ever led.
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
    let (Some(holder), Some(epoch)) = (controller.text("/status/leader"), controller.number("/status/epoch"))
    else {
        return Err(Failure::new(Exit::Failed, "no controller has led this database yet"));
    };
    let leader = json!({ "holder": holder, "epoch": epoch });
    match args.output {
        Some(ChangeFormat::Json) => say_json(&leader),
        Some(ChangeFormat::Yaml) => say_yaml(&leader),
        Some(ChangeFormat::Name) => say(&clean(holder)),
        None => say(&format!("{} leads (epoch {epoch})", clean(holder))),
    }
}
