//! The way to the service: clock, key, name, TCP and TLS, one setup.

use std::time::Duration;

use super::report::Check;
use crate::cli::load;
use crate::config::agent::{Agent, endpoint};
use crate::hw::clock;
use crate::live::credential::Secret;
use crate::live::diagnose::{Clock, clock_trouble};
use crate::live::run::Access;
use crate::live::run::probe::{self, Found, Wanted};
use crate::live::run::wall::wall;
use crate::live::setup::{Begin, Variant, setup};

/// A setup that takes so long makes the first answer of a conversation late, ms.
const SETUP_SLOW_MS: u128 = 3000;

/// All checks; the network is asked. `given` is the key, where it is not to be looked for.
pub fn service(agent: &Agent, given: Option<&str>) -> Vec<Check> {
    let (key, access) = key(agent, given);
    let mut checks = vec![time(wall()), key];
    let address = match endpoint::parse(&agent.endpoint) {
        Ok(address) => address,
        Err(why) => {
            checks.push(Check::bad("endpoint", "none", format!("`endpoint` {why}")));
            return checks;
        }
    };
    let (host, is_tls) = (address.host.clone(), address.is_tls);
    let found = load::extra_ca(agent).and_then(|extra_ca_pem| {
        let setup = setup(agent, &Variant::default(), Begin::Fresh);
        let setup_timeout = Duration::from_millis(agent.limits.setup_timeout_ms.into());
        Ok(probe::probe(Wanted { endpoint: address, access, extra_ca_pem, setup, setup_timeout })?)
    });
    match found {
        Ok(found) => checks.extend(way(found, &host, is_tls, agent)),
        Err(why) => checks.push(Check::bad("service", "cannot be asked", why.to_string())),
    }
    checks
}

fn time(now: Clock) -> Check {
    let written = clock::written(i64::try_from(now.unix_s).unwrap_or(0));
    match (clock_trouble(now), now.is_synchronised) {
        (Some(closing), _) => Check::bad("clock", written, closing.to_string()),
        (None, Some(false)) => Check::warn(
            "clock",
            format!("{written}, not synchronised"),
            "nobody sets it: without network time it runs away, and certificates fail one day (`timedatectl` tells how it \
             stands, `sudo timedatectl set-ntp true` switches it on)",
        ),
        (None, Some(true)) => Check::ok("clock", format!("{written}, synchronised")),
        (None, None) => Check::ok("clock", written),
    }
}

/// The key, or where tokens come from; and what a connection is to show.
fn key(agent: &Agent, given: Option<&str>) -> (Check, Option<Access>) {
    if let Some(url) = &agent.token_url {
        return (Check::ok("key", "none here: `token_url` names a broker"), Some(Access::Broker(url.clone())));
    }
    if let Some(key) = given {
        return (Check::ok("key", "there"), Some(Access::Key(Secret::new(key.to_string()))));
    }
    match load::own_key(agent) {
        Ok(key) => {
            let figure = match agent.key_file.as_ref().filter(|_| std::env::var_os("GEMINI_API_KEY").is_none()) {
                Some(file) => format!("in {}, for its owner only", file.display()),
                None => "there".to_string(),
            };
            (Check::ok("key", figure), Some(Access::Key(Secret::new(key))))
        }
        Err(trouble) => (Check::bad("key", "none", trouble.to_string()), None),
    }
}

fn way(found: Found, host: &str, is_tls: bool, agent: &Agent) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.push(match found.name {
        Ok((count, took)) => {
            let figure = format!("{host} has {count} {}", if count == 1 { "address" } else { "addresses" });
            Check::ok("name", figure).with("name_ms", took.as_secs_f64() * 1000.0)
        }
        Err(closing) => Check::bad("name", format!("{host} is not known"), closing.to_string()),
    });
    if let Some(reached) = found.reached {
        checks.push(match reached {
            Ok(took) => {
                let what = if is_tls { "TCP and TLS" } else { "TCP" };
                let took_ms = took.as_secs_f64() * 1000.0;
                Check::ok("connection", format!("{what} in {took_ms:.1} ms")).with("connection_ms", took_ms)
            }
            Err(closing) => Check::bad("connection", "none", closing.to_string()),
        });
    }
    if let Some(set_up) = found.setup {
        let model = &agent.model;
        checks.push(match set_up {
            Ok(took) if took.as_millis() > SETUP_SLOW_MS => Check::warn(
                "service",
                format!("{model} is ready after {} ms", took.as_millis()),
                "slow: the first answer of a conversation will be late; is the network bad? `[session] connection = \
                 \"keep_open\"` keeps a connection ready",
            )
            .with("setup_ms", took.as_secs_f64() * 1000.0),
            Ok(took) => Check::ok("service", format!("{model} is ready after {} ms", took.as_millis()))
                .with("setup_ms", took.as_secs_f64() * 1000.0),
            Err(why) => Check::bad("service", "refuses", why),
        });
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::report::Verdict;
    use crate::live::diagnose::EARLIEST_UNIX_S;

    #[test]
    fn a_clock_that_is_not_set_is_bad_and_one_that_nobody_sets_a_warning() {
        for (unix_s, is_synchronised, verdict) in [
            (0, Some(false), Verdict::Bad),
            (EARLIEST_UNIX_S + 1, Some(false), Verdict::Warn),
            (EARLIEST_UNIX_S + 1, Some(true), Verdict::Ok),
            (EARLIEST_UNIX_S + 1, None, Verdict::Ok),
        ] {
            assert_eq!(time(Clock { unix_s, is_synchronised }).verdict, verdict, "{unix_s} {is_synchronised:?}");
        }
    }
}
