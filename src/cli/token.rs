//! `gamekeeper token`: who may ask the server.

use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::client::{Client, Object, Whereabouts, Writing};
use super::failure::{Exit, Failure, Tally};
use super::kubeconfig;
use super::output::{ChangeFormat, Format, as_list, remark, say, say_json, say_yaml};
use super::table::{of_rows, or_none, short_span};
use crate::game::access::Role;
use crate::game::{Name, Namespace};

/// Makes, lists and revokes tokens: who else may ask the server
///
/// A token is shown once, when it is made; the server keeps its digest alone. It is good on every
/// server of the same database, and refused everywhere within a second once it is revoked; watches that
/// it has open end then. The token in the data directory's kubeconfig is not among them.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper token create ci --role operator --expires 90d
  gamekeeper token create ann --role viewer --namespace season-7 -o kubeconfig > ann.kubeconfig
  gamekeeper token list
  gamekeeper token revoke ci")]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Create(CreateArgs),
    /// Shows every token: whose it is, what it is good for, and how long
    List {
        /// In which form [default: a table]
        #[arg(short, long, value_name = "FORMAT")]
        output: Option<Format>,
    },
    Revoke(RevokeArgs),
}

/// Makes a token, and prints it: nothing shows it again
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  gamekeeper token create ci --role operator
  gamekeeper token create lobby --role lobby --expires never
  gamekeeper token create ann --role viewer --namespace season-7 -o kubeconfig > ann.kubeconfig

Roles:
  viewer    reads
  lobby     reads, and writes games
  operator  reads and writes everything but tokens
  admin     everything")]
struct CreateArgs {
    /// Whose it is, as the audit will have it: a-z, 0-9 and `-`
    name: Name,
    /// What it is good for
    #[arg(long, value_name = "ROLE", value_parser = role())]
    role: Role,
    /// Only in this namespace; may be given several times [default: everywhere]
    #[arg(short, long = "namespace", value_name = "NS")]
    namespaces: Vec<Namespace>,
    /// How long it is good: 12h, 90d, or never
    #[arg(long, value_name = "TIME", default_value = "90d")]
    expires: Expiry,
    /// Have the server check everything, and make none
    #[arg(long)]
    dry_run: bool,
    /// Print a kubeconfig for it, or the object [default: the token alone]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<CreateFormat>,
}

/// Takes tokens away: they are refused from then on
#[derive(Debug, Args)]
struct RevokeArgs {
    /// Whose
    #[arg(value_name = "NAME", required = true)]
    names: Vec<Name>,
    /// Have the server check everything, and revoke none
    #[arg(long)]
    dry_run: bool,
    /// Print the server's answer, or the names alone
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<ChangeFormat>,
}

/// In which form a new token is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CreateFormat {
    /// A kubeconfig that whoever gets it can use as it is
    Kubeconfig,
    /// The object as JSON
    Json,
    /// The object as YAML
    Yaml,
}

/// How long a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Never,
    After(SignedDuration),
}

/// Longer than anybody should trust a token, short of for ever.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 3_650);

impl FromStr for Expiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const HINT: &str = "write a time as in `12h`, `90d`, `1d12h`, or `never`";
        if text == "never" {
            return Ok(Self::Never);
        }
        // A day is 24 hours here.
        let (days, rest) = match text.split_once('d') {
            Some((days, rest)) if days.bytes().all(|b| b.is_ascii_digit()) => (days, rest),
            _ => ("0", text),
        };
        let hours = days.parse::<i32>().ok().and_then(|days| days.checked_mul(24)).ok_or(HINT)?;
        let days = SignedDuration::from_hours(hours.into());
        let rest = if rest.is_empty() { Some(SignedDuration::ZERO) } else { rest.parse().ok() };
        match rest.filter(|rest| !rest.is_negative()).and_then(|rest| rest.checked_add(days)) {
            Some(span) if span.is_zero() => Err(format!("has to be more than zero; {HINT}")),
            Some(span) if span > LONGEST => Err("has to be at most 3650d, or `never`".into()),
            Some(span) => Ok(Self::After(span)),
            None => Err(format!("not a time; {HINT}")),
        }
    }
}

fn role() -> impl clap::builder::TypedValueParser<Value = Role> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(Role::ALL.map(Role::word)).try_map(|word| word.parse::<Role>())
}

/// Runs the command.
pub(crate) async fn run(args: TokenArgs, place: &Whereabouts) -> Result<(), Failure> {
    let client = Client::new(place)?;
    match args.verb {
        Verb::Create(args) => create(&client, args).await,
        Verb::List { output } => list(&client, output).await,
        Verb::Revoke(args) => revoke(&client, args).await,
    }
}

async fn create(client: &Client, args: CreateArgs) -> Result<(), Failure> {
    let CreateArgs { name, role, namespaces, expires, dry_run, output } = args;
    let mut spec = json!({ "role": role.word(), "namespaces": namespaces });
    if let Expiry::After(span) = expires {
        spec["expiresAt"] = json!(Timestamp::now() + span);
    }
    let body = json!({
        "apiVersion": crate::game::manifest::API_VERSION,
        "kind": "AccessToken",
        "metadata": { "name": name },
        "spec": spec,
    });
    let made = client.create_token(&body, Writing { from_manifest: false, dry_run }).await?;
    let Some(token) = made.text("/status/token").map(|token| SecretString::from(token.to_owned())) else {
        if dry_run {
            return say(&format!("accesstoken/{name} created (dry run)"));
        }
        return Err(Failure::new(Exit::Failed, "the server made a token and did not say which"));
    };
    let ends = made.text("/spec/expiresAt").map_or("never expires".into(), |end| format!("expires at {end}"));
    remark(&format!("accesstoken/{name} created; it {ends}, and is shown this once"));
    match output {
        None => say(token.expose_secret()),
        Some(CreateFormat::Json) => say_json(&made.0),
        Some(CreateFormat::Yaml) => say_yaml(&made.0),
        Some(CreateFormat::Kubeconfig) => {
            let namespace = namespaces.first().map(Namespace::as_str);
            say(&kubeconfig::of(client, None, name.as_str(), namespace, &token)?)
        }
    }
}

async fn list(client: &Client, output: Option<Format>) -> Result<(), Failure> {
    let found = client.tokens().await?;
    match output {
        Some(Format::Json) => say_json(&as_list(found, false)),
        Some(Format::Yaml) => say_yaml(&as_list(found, false)),
        Some(Format::Name) => {
            found.iter().try_for_each(|token| say(&format!("accesstoken/{}", token.name())))
        }
        Some(Format::Wide) | None if found.is_empty() => {
            remark(
                "there is no token but the one in the server's data directory; `gamekeeper token create` makes one",
            );
            Ok(())
        }
        Some(Format::Wide) | None => {
            let now = Timestamp::now();
            let header = vec!["NAME", "ROLE", "NAMESPACES", "CREATED-BY", "EXPIRES", "AGE"];
            say(&of_rows(header, found.iter().map(|token| row(token, now))))
        }
    }
}

fn row(token: &Object, now: Timestamp) -> Vec<String> {
    let namespaces: Vec<&str> =
        token.list("/spec/namespaces").iter().filter_map(|name| name.as_str()).collect();
    let span = |time: Timestamp| short_span(time.duration_since(now).abs());
    vec![
        token.name().to_owned(),
        or_none(token.text("/spec/role")),
        if namespaces.is_empty() { "<all>".into() } else { namespaces.join(",") },
        or_none(token.text("/status/createdBy")),
        match token.time("/spec/expiresAt") {
            Some(end) if end <= now => "<expired>".into(),
            Some(end) => span(end),
            None => "<never>".into(),
        },
        token.time("/metadata/creationTimestamp").map_or_else(|| or_none(None), span),
    ]
}

async fn revoke(client: &Client, args: RevokeArgs) -> Result<(), Failure> {
    let mut tally = Tally::default();
    for name in &args.names {
        let what = format!("accesstoken/{name}");
        let how = Writing { from_manifest: false, dry_run: args.dry_run };
        let told =
            client.revoke_token(name.as_str(), how).await.map_err(|error| Failure::from(error).of(&what));
        let done = if args.dry_run { "revoked (dry run)" } else { "revoked" };
        let told = told.and_then(|answer| super::output::say_change(args.output, &what, done, &answer));
        tally.note(told)?;
    }
    tally.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_days_or_as_elsewhere() {
        let hours = |hours| Ok(Expiry::After(SignedDuration::from_hours(hours)));
        assert_eq!("90d".parse(), hours(90 * 24));
        assert_eq!("12h".parse(), hours(12));
        assert_eq!("1d12h".parse(), hours(36));
        assert_eq!("never".parse(), Ok(Expiry::Never));
        for wrong in ["", "0d", "d", "90", "-3h", "1d-2h", "3651d", "99999999999d", "xd", "d5"] {
            assert!(wrong.parse::<Expiry>().is_err(), "{wrong}");
        }
    }
}
