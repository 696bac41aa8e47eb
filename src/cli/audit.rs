//! `mynah log`: who called which tool, with what, and what came of it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::Value;

use super::state;
use crate::hw::journal::Journal;
use crate::tools::audit::{FILE, Outcome, Record};

/// Letters of arguments and results in a line.
const SHOWN_CHARS: usize = 80;

/// Arguments of `mynah log`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The daemon's state directory [default: this user's, then the service's, /var/lib/mynah]
    #[arg(long = "state", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The last so many calls; 0 for all
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    last: usize,
    /// Only calls of this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Only calls that were not done: refused, failed, stopped
    #[arg(long)]
    failed: bool,
    /// One JSON object a line, as they are kept
    #[arg(long)]
    json: bool,
}

impl Args {
    fn wants(&self, record: &Record) -> bool {
        let is_tool = self.tool.as_ref().is_none_or(|tool| *tool == record.tool);
        let is_failed = matches!(record.outcome, Outcome::Refused | Outcome::Failed | Outcome::Stopped);
        is_tool && (is_failed || !self.failed)
    }
}

/// Prints the log, the oldest first.
///
/// # Errors
/// There is none, or this user has no right to it.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let places = args.folder.clone().map_or_else(state::usual_places, |folder| vec![folder]);
    for place in &places {
        let (mut last, mut torn, mut seen) = (VecDeque::new(), 0_u64, false);
        let read = Journal::new(place.join(FILE), 0).read(|line| {
            seen = true;
            match serde_json::from_str::<Record>(line) {
                Ok(record) if args.wants(&record) => last.push_back((record, line.to_string())),
                Ok(_) => {}
                Err(_) => torn += 1,
            }
            if args.last > 0 && last.len() > args.last {
                last.pop_front();
            }
            Ok(())
        });
        match read {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                anyhow::bail!("{} cannot be read ({e}): try `sudo mynah log`", place.join(FILE).display())
            }
            read => read?,
        }
        if !seen {
            continue;
        }
        for (record, line) in &last {
            if args.json { writeln!(out, "{line}")? } else { writeln!(out, "{}", shown(record))? }
        }
        if torn > 0 {
            eprintln!("mynah: {torn} lines cannot be read: the power was cut while they were written");
        }
        return Ok(());
    }
    let named: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    anyhow::bail!(
        "no tool was called yet, or nothing is kept: there is no {FILE} in {} (--state names another)",
        named.join(" or ")
    )
}

/// A call as a line.
fn shown(record: &Record) -> String {
    let text = |value: &Option<Value>| value.as_ref().map_or_else(String::new, |value| short(&value.to_string()));
    let outcome = match record.outcome {
        Outcome::Done => "done",
        Outcome::Rehearsed => "rehearsed",
        Outcome::Asked => "asked",
        Outcome::Refused => "REFUSED",
        Outcome::Failed => "FAILED",
        Outcome::Stopped => "STOPPED",
    };
    let (tool, by, took) = (&record.tool, &record.by, record.took_ms);
    let line = format!(
        "{}  {tool:<20} {by:<6} {outcome:<9} {took:>6} ms  {} {}",
        record.at,
        text(&record.args),
        text(&record.result)
    );
    line.trim_end().to_string()
}

fn short(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    // What a model or a server wrote must not move the terminal's cursor.
    let plain: String = cut.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if plain.len() < text.len() { format!("{plain}…") } else { plain }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;
    use std::fs;

    fn record(tool: &str, outcome: Outcome) -> Record {
        Record {
            at: "2026-11-22 03:00:00 +0100".into(),
            unix_ms: 1,
            tool: tool.into(),
            by: "model".into(),
            id: None,
            args: Some(json!({"on": true})),
            outcome,
            result: Some(json!("x\u{1b}[2J".repeat(60))),
            took_ms: 12,
        }
    }

    #[test]
    fn the_last_calls_are_shown_and_a_torn_line_is_left_out() {
        let folder = std::env::temp_dir().join(format!("mynah-log-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let journal = Journal::new(folder.join(FILE), 1_000_000);
        for (tool, outcome) in
            [("a", Outcome::Done), ("b", Outcome::Failed), ("a", Outcome::Refused), ("c", Outcome::Done)]
        {
            journal.append(&serde_json::to_vec(&record(tool, outcome)).unwrap()).unwrap();
        }
        journal.append(b"{\"at\":").unwrap();
        let shown = |args: &dyn Fn(&mut Args)| {
            let mut given = Args { folder: Some(folder.clone()), last: 50, tool: None, failed: false, json: false };
            args(&mut given);
            let mut out = Vec::new();
            run(&given, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let all = shown(&|_| {});
        assert_eq!(all.lines().count(), 4);
        assert!(all.starts_with(
            "2026-11-22 03:00:00 +0100  a                    model  done          12 ms  {\"on\":true} \"x"
        ));
        assert!(!all.contains('\u{1b}'));
        assert_eq!(shown(&|args| args.last = 1).lines().count(), 1);
        assert_eq!(shown(&|args| args.tool = Some("a".into())).lines().count(), 2);
        let failed = shown(&|args| (args.failed, args.json) = (true, true));
        let tools: Vec<String> =
            failed.lines().map(|line| serde_json::from_str::<Record>(line).unwrap().tool).collect();
        assert_eq!(tools, ["b", "a"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
