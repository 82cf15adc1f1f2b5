//! `gamekeeper kubeconfig`: what others need to speak to this server.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::client::{Client, Whereabouts};
use super::failure::{Exit, Failure};
use super::output::say;
use crate::game::Namespace;
use crate::game::manifest::{DEFAULT_NAMESPACE, to_yaml};

/// The name of cluster and context.
const CLUSTER: &str = "gamekeeper";
/// No token is longer.
const LONGEST_TOKEN: u64 = 4_096;

/// Prints a kubeconfig of the server: one file with its address, its authority, and a token
///
/// It holds the token that this command itself uses, which is the administrator's unless --kubeconfig
/// names another. For somebody else, make them a token of their own: `gamekeeper token create`. The
/// server has to be reached under the address that stands in it: see `gamekeeper run --help` for
/// --listen and --tls-names.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper kubeconfig > gamekeeper.kubeconfig
  kubectl --kubeconfig gamekeeper.kubeconfig get games
  gamekeeper kubeconfig --server https://games.example.org:7443 --token - < token

For a colleague, with a token of their own:
  gamekeeper token create ann --role viewer -o kubeconfig > ann.kubeconfig")]
pub(crate) struct KubeconfigArgs {
    /// Where the server is for whoever uses it: https://HOST:PORT [default: as for this command]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Another token, read from standard input: `-` [default: the one that this command uses]
    #[arg(long, value_name = "-", value_parser = ["-"])]
    token: Option<String>,
    /// What the user is called in it
    #[arg(long, value_name = "NAME", default_value = "gamekeeper")]
    user: String,
    /// The namespace that is meant when none is named [default: as for this command]
    #[arg(short, long, value_name = "NS")]
    namespace: Option<Namespace>,
}

/// Runs the command.
pub(crate) fn run(args: &KubeconfigArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    let token = match &args.token {
        Some(_) => read_token()?,
        None => client.token().clone(),
    };
    let namespace = args.namespace.as_ref().map(Namespace::as_str).or(client.namespace());
    say(&of(&client, args.server.as_deref(), &args.user, namespace, &token)?)
}

/// A kubeconfig of the server that this client speaks to, for whoever has this token.
pub(crate) fn of(
    client: &Client,
    server: Option<&str>,
    user: &str,
    namespace: Option<&str>,
    token: &SecretString,
) -> Result<String, Failure> {
    let server = server.unwrap_or(client.server());
    let url = reqwest::Url::parse(server).ok().filter(|url| url.scheme() == "https" && url.has_host());
    if url.is_none() {
        return Err(Failure::usage("--server: write https://HOST:PORT"));
    }
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": CLUSTER, "cluster": {
            "server": server,
            "certificate-authority-data": STANDARD.encode(client.authority()),
        } }],
        "users": [{ "name": user, "user": { "token": token.expose_secret() } }],
        "contexts": [{ "name": CLUSTER, "context": {
            "cluster": CLUSTER,
            "user": user,
            "namespace": namespace.unwrap_or(DEFAULT_NAMESPACE),
        } }],
        "current-context": CLUSTER,
    });
    to_yaml(&config).map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}

fn read_token() -> Result<SecretString, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().take(LONGEST_TOKEN).read_to_string(&mut text);
    read.map_err(|error| Failure::usage(format!("the token cannot be read from standard input: {error}")))?;
    let token = text.trim();
    if token.is_empty() || token.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Failure::usage("--token -: standard input holds no token"));
    }
    Ok(token.to_owned().into())
}
