//! `mynah token`: mints an ephemeral token with the long-lived key, for a device that holds none.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;

use super::{exit, load};
use crate::config::agent::endpoint;
use crate::live::credential::Secret;
use crate::live::rfc3339;
use crate::live::run::mint::{self, MintTrouble};
use crate::live::run::wall::wall;
use crate::live::setup::{Begin, Variant, setup};
use crate::live::token::Wanted;

/// A token lives less than 20 h (live-protocol.md 1.3).
const MINUTES_MAX: i64 = 20 * 60 - 1;

const AFTER_HELP: &str = "\
The token is all that is printed on standard output, so a broker is a few lines. As a CGI script, say:

  #!/bin/sh
  printf 'Content-Type: application/json\\r\\n\\r\\n'
  exec mynah token --config /etc/mynah/kitchen.toml --json

The agent file of the device then names it, and the device needs no key:

  token_url = \"https://broker.example/cgi-bin/token\"

Who may ask is the broker's to decide: whoever gets the token may talk on this key's account until it expires. \
The model, the voice, the instruction and the tools are those of the agent file given here, whatever the device \
asks for.";

/// Arguments of `mynah token`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The agent file whose conversation the token is good for [default: /etc/mynah/mynah.toml, or built-in settings]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The service's address instead of the configured one (ws:// for this machine only)
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Conversations it opens, 0 for any number; going on with one after a drop does not count
    #[arg(long, value_name = "N", default_value_t = 1)]
    uses: u32,
    /// How long it is good for, to 1199 minutes
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=MINUTES_MAX))]
    minutes: u32,
    /// How soon a conversation must be opened with it, in seconds
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=MINUTES_MAX * 60))]
    open_within_s: u32,
    /// Print a JSON object with its name and its times instead of the name alone
    #[arg(long)]
    json: bool,
}

/// Mints one token and prints it.
///
/// # Errors
/// With the exit codes of [`exit`]; the key is in none of them.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    load::guard_memory();
    let path = load::config_path(args.config.as_deref());
    let mut agent = load::agent(path)?;
    if let Some(url) = &args.endpoint {
        agent.endpoint.clone_from(url);
    }
    let endpoint = endpoint::parse(&agent.endpoint).map_err(|why| exit::config(format!("--endpoint {why}")))?;
    let key = Secret::new(load::own_key(&agent)?);
    let extra_ca_pem = load::extra_ca(&agent)?;
    let now = wall().unix_s;
    let expires_unix_s = now + u64::from(args.minutes) * 60;
    let wanted = Wanted {
        uses: args.uses,
        expires_unix_s,
        opens_until_unix_s: expires_unix_s.min(now + u64::from(args.open_within_s)),
        setup: setup(&agent, &Variant::default(), Begin::Fresh),
    };
    let token = mint::mint(endpoint, extra_ca_pem.as_deref(), key, &wanted).map_err(end)?;
    let name = token.name.reveal();
    let printed = if args.json {
        let object = json!({
            "name": name,
            "expireTime": rfc3339::format(wanted.expires_unix_s),
            "newSessionExpireTime": rfc3339::format(wanted.opens_until_unix_s),
        });
        writeln!(out, "{object}")
    } else {
        writeln!(out, "{name}")
    };
    printed.context("the token cannot be printed")
}

fn end(trouble: MintTrouble) -> anyhow::Error {
    match trouble {
        MintTrouble::Refused(refusal) => exit::Exit { code: refusal.exit_code(), message: refusal.to_string() }.into(),
        other => anyhow::anyhow!("{other}"),
    }
}
