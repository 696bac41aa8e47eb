//! The report as one page that needs nothing else: pictures are in it, no script is, and every word is escaped.

use std::fmt::Write as _;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Report, StepRow, plain, timeline};
use crate::job::record::Party;

const STYLE: &str = include_str!("style.css");
/// For a program that prints it: paper, page numbers, and what is for the files begins a new page.
const PRINT: &str =
    "@page{size:A4;margin:16mm 15mm 18mm;@bottom-right{content:counter(page) \" / \" counter(pages);font-size:8pt}}
h2.files{break-before:page}";

/// Who reads the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A browser.
    Screen,
    /// A program that makes a PDF of it.
    Paper,
}

/// A picture's bytes by its file's name, none where it cannot be had.
pub type Album<'a> = &'a dyn Fn(&str) -> Option<Vec<u8>>;

/// Writes the page; `made_at` stands at its end. A job may have more pictures than a small board has memory: they go out one
/// by one.
///
/// # Errors
/// What `out` says.
pub fn page(
    report: &Report,
    medium: Medium,
    made_at: &str,
    album: Album<'_>,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mut html = String::with_capacity(64 * 1024);
    head(&mut html, report, medium);
    out.write_all(html.as_bytes())?;
    pictures(report, album, out)?;
    html.clear();
    line(&mut html, report);
    if medium == Medium::Paper {
        html += "<div class=\"signatures\"><div>Technician, date</div><div>Customer, date</div></div>\n";
    }
    talk(&mut html, report);
    actions(&mut html, report);
    troubles(&mut html, report);
    let _ = write!(
        html,
        "</main>\n<footer>Job {} · written while it was done, by mynah · report made {}</footer>\n</body>\n</html>\n",
        escape(&report.job),
        escape(made_at)
    );
    out.write_all(html.as_bytes())
}

/// What stands before the pictures.
fn head(html: &mut String, report: &Report, medium: Medium) {
    let heading = escape(report.heading());
    let print = if medium == Medium::Paper { PRINT } else { "" };
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>{heading} – {}</title>\n<style>\n{STYLE}{print}\n\
         </style>\n</head>\n<body>\n<header>\n<p class=\"kind\">Job report</p>\n<h1 dir=\"auto\">{heading}</h1>\n",
        escape(report.began.date())
    );
    let under = report.procedure.as_deref().filter(|procedure| *procedure != report.heading());
    let _ = writeln!(html, "<p class=\"under\" dir=\"auto\">{}</p>", escape(under.unwrap_or_default()));
    facts(html, report);
    warnings(html, report);
    *html += "</header>\n<main>\n";
    steps(html, report);
    readings(html, report);
    notes(html, report);
}

/// Text that means only itself in a page. What would hide or turn around other text is shown as a mark.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            '\n' | '\t' => safe.push(letter),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => safe.push('\u{fffd}'),
            control if control.is_control() => safe.push(' '),
            plain => safe.push(plain),
        }
    }
    safe
}

fn fact(html: &mut String, name: &str, value: &str) {
    let _ = writeln!(html, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(value));
}

fn facts(html: &mut String, report: &Report) {
    let (done, skipped, _) = report.step_counts();
    *html += "<dl class=\"facts\">\n";
    fact(html, "Date", report.began.date());
    let hm = |time: &str| time.get(..5).unwrap_or(time).to_string();
    fact(html, "Time", &format!("{} – {}", hm(report.began.time()), hm(report.last.time())));
    fact(html, "Length", &report.length());
    fact(html, "State", report.state());
    if !report.steps.is_empty() {
        let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        fact(html, "Steps", &format!("{done} of {} done{skipped}", report.steps.len()));
    }
    if !report.readings.is_empty() {
        let out = report.readings.iter().filter(|reading| reading.is_out_of_range).count();
        let out = if out > 0 { format!(", {out} out of range") } else { String::new() };
        fact(html, "Readings", &format!("{}{out}", report.readings.len()));
    }
    fact(html, "Notes", &report.notes.len().to_string());
    fact(html, "Pictures", &report.stills.len().to_string());
    *html += "</dl>\n";
}

fn warnings(html: &mut String, report: &Report) {
    let (_, _, open) = report.step_counts();
    if open > 0 && report.ended.is_some() {
        let is = if open == 1 { "step is" } else { "steps are" };
        let _ = writeln!(html, "<p class=\"warning\">The job ended while {open} {is} open.</p>");
    }
    if report.missing > 0 {
        let _ = writeln!(
            html,
            "<p class=\"warning\">{} lines of this job are missing: the power was cut, or the disk took none.</p>",
            report.missing
        );
    }
}

fn steps(html: &mut String, report: &Report) {
    if report.steps.is_empty() {
        return;
    }
    *html += "<section>\n<h2>Procedure</h2>\n<ol class=\"steps\">\n";
    for row in &report.steps {
        step(html, report, row);
    }
    *html += "</ol>\n</section>\n";
}

fn step(html: &mut String, report: &Report, row: &StepRow) {
    let state = row.state();
    let _ = write!(
        html,
        "<li class=\"{state}\"><span class=\"number\" aria-hidden=\"true\">{}</span><div><p class=\"what\" dir=\"auto\">{}</p>",
        row.number,
        escape(&row.step.text)
    );
    if let Some(check) = &row.step.check {
        let _ = write!(html, "<p class=\"more\" dir=\"auto\">{}</p>", escape(check));
    }
    for reading in row.readings.iter().filter_map(|index| report.readings.get(*index)) {
        let mark = if reading.is_out_of_range { " <span class=\"tag bad\">out of range</span>" } else { "" };
        let _ = write!(
            html,
            "<p class=\"more said\">{}: <strong>{}</strong>{mark}</p>",
            escape(&reading.name),
            escape(&reading.value)
        );
    }
    if let Some(comment) = &row.comment {
        let _ = write!(html, "<p class=\"more said words\" dir=\"auto\">“{}”</p>", escape(comment));
    }
    if !row.stills.is_empty() {
        let links: Vec<String> =
            row.stills.iter().map(|n| format!("<a href=\"#picture-{n}\">Picture {n}</a>")).collect();
        let _ = write!(html, "<p class=\"more\">{}</p>", links.join(", "));
    }
    let time = row.ticked.as_ref().map_or(String::new(), |when| escape(when.time()));
    let _ = writeln!(
        html,
        "</div><div class=\"right\"><span class=\"tag {state}\">{state}</span><br><span class=\"time\">{time}</span></div></li>"
    );
}

fn readings(html: &mut String, report: &Report) {
    if report.readings.is_empty() {
        return;
    }
    *html += "<section>\n<h2>Readings</h2>\n<div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\">Time</th><th \
              scope=\"col\">What</th><th scope=\"col\">Value</th><th scope=\"col\">Should be</th><th scope=\"col\">Result</th>\
              <th scope=\"col\">Comment</th></tr></thead>\n<tbody>\n";
    for reading in &report.readings {
        let (class, mark) = match (&reading.wanted, reading.is_out_of_range) {
            (_, true) => ("out", "<span class=\"tag bad\">out of range</span>"),
            (Some(_), false) => ("", "<span class=\"tag ok\">in range</span>"),
            (None, false) => ("", ""),
        };
        let _ = writeln!(
            html,
            "<tr class=\"{class}\"><td class=\"time\">{}</td><td dir=\"auto\">{}</td><td class=\"value\">{}</td><td>{}</td>\
             <td>{mark}</td><td dir=\"auto\">{}</td></tr>",
            escape(reading.when.time()),
            escape(&reading.name),
            escape(&reading.value),
            escape(reading.wanted.as_deref().unwrap_or_default()),
            escape(reading.comment.as_deref().unwrap_or_default())
        );
    }
    *html += "</tbody>\n</table></div>\n</section>\n";
}

fn notes(html: &mut String, report: &Report) {
    if report.notes.is_empty() {
        return;
    }
    *html += "<section>\n<h2>Notes</h2>\n<ul class=\"notes\">\n";
    for (when, text) in &report.notes {
        let _ = writeln!(
            html,
            "<li><span class=\"time\">{}</span><div class=\"words\" dir=\"auto\">{}</div></li>",
            escape(when.time()),
            escape(text)
        );
    }
    *html += "</ul>\n</section>\n";
}

fn pictures(report: &Report, album: Album<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    if report.stills.is_empty() {
        return Ok(());
    }
    out.write_all(b"<section>\n<h2>Pictures</h2>\n<div class=\"pictures\">\n")?;
    for (still, number) in report.stills.iter().zip(1..) {
        let time = escape(still.when.time());
        let step = still.step.map_or(String::new(), |step| format!(" · step {step}"));
        let mut html = format!("<figure id=\"picture-{number}\">");
        match still.file.as_deref().and_then(album).filter(|bytes| bytes.starts_with(&[0xff, 0xd8])) {
            Some(bytes) => {
                let (width, height) = still.size;
                let _ = write!(
                    html,
                    "<img alt=\"Picture {number}, taken at {time}{step}\" width=\"{width}\" height=\"{height}\" \
                     src=\"data:image/jpeg;base64,{}\">",
                    STANDARD.encode(bytes)
                );
            }
            None => html += "<div class=\"missing\">The picture was not kept.</div>",
        }
        let caption = still.caption.as_ref().map_or(String::new(), |said| format!("<br>“{}”", escape(said)));
        let _ = writeln!(
            html,
            "<figcaption dir=\"auto\"><strong>Picture {number}</strong>{step} <span class=\"time\">{time}</span>{caption}\
             </figcaption></figure>"
        );
        out.write_all(html.as_bytes())?;
    }
    out.write_all(b"</div>\n</section>\n")
}

fn line(html: &mut String, report: &Report) {
    let svg = timeline::svg(report);
    if !svg.is_empty() {
        let _ =
            write!(html, "<section>\n<h2>Time line</h2>\n<div class=\"wide\" tabindex=\"0\">{svg}</div></section>\n");
    }
}

fn talk(html: &mut String, report: &Report) {
    if report.said.is_empty() {
        return;
    }
    *html += "<section>\n<h2 class=\"files\">Conversation</h2>\n<div class=\"talk\">\n";
    for said in &report.said {
        let (class, who) = match said.by {
            Party::User => ("user", "Technician"),
            Party::Model => ("model", "Assistant"),
        };
        let cut = if said.is_cut { " <span class=\"cut\">(interrupted)</span>" } else { "" };
        let _ = writeln!(
            html,
            "<span class=\"time\">{}</span><span class=\"who\">{who}</span><span class=\"words said-{class}\" \
             dir=\"auto\">{}{cut}</span>",
            escape(said.when.time()),
            escape(said.text.trim())
        );
    }
    *html += "</div>\n</section>\n";
}

fn actions(html: &mut String, report: &Report) {
    if report.calls.is_empty() {
        return;
    }
    *html += "<section>\n<h2>Actions of the device</h2>\n<div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\">Time</th>\
              <th scope=\"col\">Action</th><th scope=\"col\">With</th><th scope=\"col\">Result</th><th \
              scope=\"col\">Took</th></tr></thead>\n<tbody>\n";
    for call in &report.calls {
        let result = match &call.result {
            None => "<span class=\"tag none\">no answer on record</span>".to_string(),
            Some(Ok(value)) => escape(&plain(value)),
            Some(Err(why)) => format!("<span class=\"tag bad\">failed</span> {}", escape(why)),
        };
        let _ = writeln!(
            html,
            "<tr><td class=\"time\">{}</td><td><code>{}</code></td><td>{}</td><td>{result}</td><td class=\"time\">{}</td></tr>",
            escape(call.when.time()),
            escape(&call.name),
            escape(&plain(&call.args)),
            took(call.took_ms)
        );
    }
    *html += "</tbody>\n</table></div>\n</section>\n";
}

/// Milliseconds as a reader wants them.
fn took(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { format!("{:.1} s", ms as f64 / 1000.0) }
}

fn troubles(html: &mut String, report: &Report) {
    if report.troubles.is_empty() {
        return;
    }
    *html += "<section>\n<h2>The device</h2>\n<table>\n<tbody>\n";
    for (when, text) in &report.troubles {
        let _ = writeln!(html, "<tr><td class=\"time\">{}</td><td>{}</td></tr>", escape(when.time()), escape(text));
    }
    *html += "</tbody>\n</table>\n</section>\n";
}
