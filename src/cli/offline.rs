//! Commands that need no server: `schema`, `completion`; and `version`, which asks one if it is there.

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use serde_json::json;

use super::client::{Client, ClientError, Object, Whereabouts};
use super::failure::Failure;
use super::output::{ChangeFormat, say, say_json, say_yaml};
use crate::game::manifest::{KINDS, json_schema};

/// Prints the JSON Schema of manifests
///
/// Made from the types that are parsed. Editors use it to complete and check manifests.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper schema > gamekeeper.schema.json
  gamekeeper schema game

In a manifest's first line, for editors that know the YAML language server:
  # yaml-language-server: $schema=./gamekeeper.schema.json")]
pub(crate) struct SchemaArgs {
    /// Game or EngineVersion [default: both]
    #[arg(value_name = "KIND")]
    kind: Option<String>,
}

/// Prints the script that completes commands in a shell
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  source <(gamekeeper completion bash)
  gamekeeper completion zsh > \"${fpath[1]}/_gamekeeper\"
  gamekeeper completion fish > ~/.config/fish/completions/gamekeeper.fish")]
pub(crate) struct CompletionArgs {
    /// Of which shell
    shell: Shell,
}

/// Prints the versions of this program and of the server, if there is one
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// Only this program's
    #[arg(long)]
    client: bool,
    /// As JSON or YAML
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// Runs `schema`.
pub(crate) fn schema(args: &SchemaArgs) -> Result<(), Failure> {
    let schema = json_schema(args.kind.as_deref()).ok_or_else(|| {
        let kind = args.kind.as_deref().unwrap_or_default().escape_debug().to_string();
        Failure::usage(format!("`{kind}` is not a kind; there are {}", KINDS.join(" and ")))
    })?;
    say_json(&schema)
}

/// Runs `completion`.
pub(crate) fn completion(args: &CompletionArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "gamekeeper", &mut script);
    say(&String::from_utf8_lossy(&script))
}

/// Runs `version`.
pub(crate) async fn version(args: VersionArgs, place: &Whereabouts) -> Result<(), Failure> {
    let own = env!("CARGO_PKG_VERSION");
    let server = if args.client { None } else { Some(ask(place).await) };
    let known = match &server {
        Some(Ok(server)) => server.text("/gitVersion").map(str::to_owned),
        _ => None,
    };
    let shown = json!({ "client": own, "server": known });
    match (args.output, server) {
        (Some(ChangeFormat::Json), _) => say_json(&shown),
        (Some(ChangeFormat::Yaml), _) => say_yaml(&shown),
        (Some(ChangeFormat::Name), _) | (None, None) => say(&format!("gamekeeper {own}")),
        (None, Some(server)) => {
            let server = match (known, server) {
                (Some(version), _) => version,
                (None, Ok(_)) => "unknown".into(),
                (None, Err(error)) => format!("not reached ({error})"),
            };
            say(&format!("gamekeeper {own}\nserver     {server}"))
        }
    }
}

async fn ask(place: &Whereabouts) -> Result<Object, ClientError> {
    Client::new(place)?.version().await
}
