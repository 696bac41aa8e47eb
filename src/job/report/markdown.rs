//! The report as Markdown, with its pictures as files beside it.

use std::fmt::Write as _;

use super::{Report, plain};
use crate::job::record::Party;

/// The text. `link` answers where a picture's file is, none where it is not kept.
pub fn text(report: &Report, link: &dyn Fn(&str) -> Option<String>) -> String {
    let mut md = format!("# {}\n\n", escape(report.heading()));
    let (done, skipped, open) = report.step_counts();
    let _ = writeln!(
        md,
        "- Job: {}\n- Date: {}, {} to {} ({})\n- State: {}",
        escape(&report.job),
        report.began.date(),
        report.began.time(),
        report.last.time(),
        report.length(),
        report.state()
    );
    if !report.steps.is_empty() {
        let _ = writeln!(md, "- Steps: {done} done, {skipped} skipped, {open} open");
    }
    if report.missing > 0 {
        let _ = writeln!(md, "- **{} lines are missing**: the power was cut, or the disk took none", report.missing);
    }
    steps(&mut md, report);
    readings(&mut md, report);
    if !report.notes.is_empty() {
        md += "\n## Notes\n\n";
        for (when, text) in &report.notes {
            let _ = writeln!(md, "- {}: {}", when.time(), escape(text));
        }
    }
    pictures(&mut md, report, link);
    if !report.said.is_empty() {
        md += "\n## Conversation\n\n";
        for said in &report.said {
            let who = if said.by == Party::User { "Technician" } else { "Assistant" };
            let cut = if said.is_cut { " *(interrupted)*" } else { "" };
            let _ = writeln!(md, "- {} **{who}:** {}{cut}", said.when.time(), escape(said.text.trim()));
        }
    }
    calls(&mut md, report);
    if !report.troubles.is_empty() {
        md += "\n## The device\n\n";
        for (when, text) in &report.troubles {
            let _ = writeln!(md, "- {}: {}", when.time(), escape(text));
        }
    }
    md
}

/// Text that means only itself in Markdown, on one line.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '$' => safe.extend(['\\', letter]),
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '&' => safe += "&amp;",
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => safe.push('\u{fffd}'),
            control if control.is_control() => safe.push(' '),
            plain => safe.push(plain),
        }
    }
    safe
}

fn steps(md: &mut String, report: &Report) {
    if report.steps.is_empty() {
        return;
    }
    *md += "\n## Procedure\n\n";
    for row in &report.steps {
        let tick = if row.ticked.is_some() && !row.is_skipped { "x" } else { " " };
        let _ = write!(md, "- [{tick}] {}. {}", row.number, escape(&row.step.text));
        match &row.ticked {
            Some(when) if row.is_skipped => drop(write!(md, " – skipped, {}", when.time())),
            Some(when) => drop(write!(md, " – {}", when.time())),
            None => *md += " – open",
        }
        for reading in row.readings.iter().filter_map(|index| report.readings.get(*index)) {
            let mark = if reading.is_out_of_range { " **out of range**" } else { "" };
            let _ = write!(md, "; {}: {}{mark}", escape(&reading.name), escape(&reading.value));
        }
        for number in &row.stills {
            let _ = write!(md, "; picture {number}");
        }
        if let Some(comment) = &row.comment {
            let _ = write!(md, "; “{}”", escape(comment));
        }
        md.push('\n');
    }
}

fn readings(md: &mut String, report: &Report) {
    if report.readings.is_empty() {
        return;
    }
    *md += "\n## Readings\n\n| Time | What | Value | Should be | Result | Comment |\n|---|---|---|---|---|---|\n";
    for reading in &report.readings {
        let result = match (&reading.wanted, reading.is_out_of_range) {
            (_, true) => "**out of range**",
            (Some(_), false) => "in range",
            (None, false) => "",
        };
        let _ = writeln!(
            md,
            "| {} | {} | {} | {} | {result} | {} |",
            reading.when.time(),
            escape(&reading.name),
            escape(&reading.value),
            escape(reading.wanted.as_deref().unwrap_or_default()),
            escape(reading.comment.as_deref().unwrap_or_default())
        );
    }
}

fn pictures(md: &mut String, report: &Report, link: &dyn Fn(&str) -> Option<String>) {
    if report.stills.is_empty() {
        return;
    }
    *md += "\n## Pictures\n";
    for (still, number) in report.stills.iter().zip(1..) {
        let step = still.step.map_or(String::new(), |step| format!(", step {step}"));
        let caption = still.caption.as_ref().map_or(String::new(), |said| format!(": “{}”", escape(said)));
        let _ = writeln!(md, "\nPicture {number}, {}{step}{caption}\n", still.when.time());
        match still.file.as_deref().and_then(link) {
            Some(file) => drop(writeln!(md, "![Picture {number}](<{}>)", file.replace(['<', '>', '\n'], "_"))),
            None => *md += "The picture was not kept.\n",
        }
    }
}

fn calls(md: &mut String, report: &Report) {
    if report.calls.is_empty() {
        return;
    }
    *md += "\n## Actions of the device\n\n| Time | Action | With | Result | Took |\n|---|---|---|---|---|\n";
    for call in &report.calls {
        let result = match &call.result {
            None => "no answer on record".to_string(),
            Some(Ok(value)) => escape(&plain(value)),
            Some(Err(why)) => format!("**failed**: {}", escape(why)),
        };
        let (time, name, args) = (call.when.time(), escape(&call.name), escape(&plain(&call.args)));
        let _ = writeln!(md, "| {time} | {name} | {args} | {result} | {} ms |", call.took_ms);
    }
}
