//! Counts for a monitoring system, in Prometheus' text format (version 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::flow::{Duplex, Event, What};
use crate::units::Time;

/// Values of one label that are kept apart; the rest is counted as one.
const LABELS_MAX: usize = 64;
/// What the rest is called.
const OTHERS: &str = "others";
/// Upper bounds of the reply's latency, seconds: around the goal of under a second.
const LATENCY_S: [f64; 9] = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0];

/// What is counted.
#[derive(Debug, Default)]
pub struct Metrics {
    turns: u64,
    cuts: [u64; 2],
    replies_lost: u64,
    connections: BTreeMap<String, u64>,
    connections_lost: u64,
    is_day_spent: bool,
    troubles: BTreeMap<String, u64>,
    calls: BTreeMap<(String, &'static str), u64>,
    call_times: BTreeMap<String, (f64, u64)>,
    tokens: u64,
    microusd: u64,
    day_microusd: u64,
    xruns: BTreeMap<String, u64>,
    concealed: u64,
    echo: Option<(Duplex, f32)>,
    stills: (u64, u64),
    latency: [u64; LATENCY_S.len()],
    latency_sum_s: f64,
    latency_count: u64,
    window_closed_at: Option<Time>,
}

/// What is known beside events.
#[derive(Clone, Copy, Debug)]
pub struct Gauges {
    /// Since when the program runs, seconds.
    pub up_s: f64,
    /// Whether nothing vital is out of order.
    pub is_healthy: bool,
    /// People who look on.
    pub viewers: usize,
    /// Events that did not find their way here.
    pub missed: u64,
}

impl Metrics {
    /// Takes what happened.
    pub fn handle(&mut self, event: &Event) {
        match &event.what {
            What::TurnOver { .. } => self.turns += 1,
            What::ReplyCut { by_user, .. } => self.cuts[usize::from(!by_user)] += 1,
            What::ReplyLost { .. } => self.replies_lost += 1,
            What::ReplyConcealed { .. } => self.concealed += 1,
            What::LinkReady { start, .. } => {
                self.is_day_spent = false;
                count(&mut self.connections, &format!("{start:?}").to_lowercase());
            }
            What::DaySpent { .. } => self.is_day_spent = true,
            What::LinkDown { .. } => self.connections_lost += 1,
            What::Trouble { part, .. } => count(&mut self.troubles, part),
            What::Xrun { part } => count(&mut self.xruns, part),
            What::ToolAnswered { name, result, took_ms, .. } => {
                self.call(name, if result.is_ok() { "done" } else { "failed" });
                let key = label(&self.call_times, name);
                let (sum_s, calls) = self.call_times.entry(key).or_default();
                (*sum_s, *calls) = (*sum_s + *took_ms as f64 / 1000.0, *calls + 1);
            }
            What::ToolLost { name, .. } => self.call(name, "lost"),
            What::ToolCancelled { .. } => self.call("", "cancelled"),
            What::Usage { turn, turn_microusd, day_microusd, .. } => {
                self.tokens += turn.total;
                self.microusd += turn_microusd;
                self.day_microusd = *day_microusd;
            }
            What::EchoState { duplex, erle_db } => self.echo = Some((*duplex, *erle_db)),
            What::StillSent { bytes, .. } => self.stills = (self.stills.0 + 1, self.stills.1 + *bytes as u64),
            What::WindowClosed { .. } => self.window_closed_at = Some(event.at),
            What::GateOpened { .. } => self.window_closed_at = None,
            What::ReplyHeard { .. } => {
                if let Some(closed_at) = self.window_closed_at.take() {
                    self.latency(event.at.since(closed_at).as_secs_f64());
                }
            }
            _ => {}
        }
    }

    fn call(&mut self, name: &str, outcome: &'static str) {
        let is_known = self.calls.contains_key(&(name.to_string(), outcome));
        let name = if is_known || self.calls.len() < LABELS_MAX { name } else { OTHERS };
        *self.calls.entry((name.to_string(), outcome)).or_default() += 1;
    }

    fn latency(&mut self, s: f64) {
        for (bound_s, count) in LATENCY_S.iter().zip(&mut self.latency) {
            *count += u64::from(s <= *bound_s);
        }
        self.latency_sum_s += s;
        self.latency_count += 1;
    }

    /// All of it as text.
    pub fn text(&self, gauges: &Gauges) -> String {
        let mut page = Page(String::new());
        page.family("mynah_build_info", "gauge", "The program that runs.");
        page.line("mynah_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        page.one("mynah_up_seconds", "gauge", "For how long it runs.", gauges.up_s);
        page.one("mynah_healthy", "gauge", "1 where nothing vital is out of order.", f64::from(gauges.is_healthy));
        page.one("mynah_viewers", "gauge", "Viewers of the panel.", gauges.viewers as f64);
        page.one(
            "mynah_events_missed_total",
            "counter",
            "Events that the panel was too slow for.",
            gauges.missed as f64,
        );
        self.conversation(&mut page);
        self.tools(&mut page);
        self.sound(&mut page);
        page.one("mynah_tokens_total", "counter", "Tokens since the start.", self.tokens as f64);
        page.one("mynah_cost_usd_total", "counter", "Estimated cost since the start, US dollars.", usd(self.microusd));
        page.one("mynah_day_cost_usd", "gauge", "Estimated cost of the day, US dollars.", usd(self.day_microusd));
        page.one("mynah_stills_sent_total", "counter", "Pictures that went to the service.", self.stills.0 as f64);
        page.one("mynah_still_bytes_total", "counter", "Their bytes.", self.stills.1 as f64);
        page.0
    }

    fn conversation(&self, page: &mut Page) {
        page.one("mynah_turns_total", "counter", "Turns of the model that are over.", self.turns as f64);
        page.family("mynah_replies_cut_total", "counter", "Replies that were cut, by whom.");
        for (by, cuts) in ["user", "service"].into_iter().zip(self.cuts) {
            page.line("mynah_replies_cut_total", &[("by", by)], cuts as f64);
        }
        page.one(
            "mynah_replies_lost_total",
            "counter",
            "Replies that broke off or did not come.",
            self.replies_lost as f64,
        );
        let (name, help) =
            ("mynah_reply_latency_seconds", "From the end of what was said to the first sound of the reply.");
        page.family(name, "histogram", help);
        for (bound_s, count) in LATENCY_S.iter().zip(self.latency) {
            page.line("mynah_reply_latency_seconds_bucket", &[("le", &bound_s.to_string())], count as f64);
        }
        page.line("mynah_reply_latency_seconds_bucket", &[("le", "+Inf")], self.latency_count as f64);
        page.line("mynah_reply_latency_seconds_sum", &[], self.latency_sum_s);
        page.line("mynah_reply_latency_seconds_count", &[], self.latency_count as f64);
        page.many(
            "mynah_connections_total",
            "Connections that were made, by how they began.",
            "start",
            &self.connections,
        );
        page.one(
            "mynah_connections_lost_total",
            "counter",
            "Connections lost, or not made.",
            self.connections_lost as f64,
        );
        page.one(
            "mynah_day_spent",
            "gauge",
            "1 while the day's limit is used up and no connection is made.",
            f64::from(self.is_day_spent),
        );
        page.many("mynah_troubles_total", "Troubles, by part.", "part", &self.troubles);
    }

    fn tools(&self, page: &mut Page) {
        page.family("mynah_tool_calls_total", "counter", "Tool calls of the model that ended, by tool and outcome.");
        for ((tool, outcome), calls) in &self.calls {
            page.line("mynah_tool_calls_total", &[("tool", tool), ("outcome", outcome)], *calls as f64);
        }
        page.family("mynah_tool_seconds", "summary", "How long tool calls took.");
        for (tool, (sum_s, calls)) in &self.call_times {
            page.line("mynah_tool_seconds_sum", &[("tool", tool)], *sum_s);
            page.line("mynah_tool_seconds_count", &[("tool", tool)], *calls as f64);
        }
    }

    fn sound(&self, page: &mut Page) {
        page.many("mynah_xruns_total", "Overruns and underruns of sound devices.", "part", &self.xruns);
        page.one("mynah_conceals_total", "counter", "Gaps in replies that the network left.", self.concealed as f64);
        if let Some((duplex, erle_db)) = self.echo {
            page.one("mynah_erle_db", "gauge", "Echo return loss enhancement, measured last.", erle_db.into());
            let is_full = f64::from(duplex == Duplex::Full);
            page.one("mynah_full_duplex", "gauge", "1 where a voice may cut a reply.", is_full);
        }
    }
}

/// The label's value: its own while there are few, one for all others.
fn label<V>(known: &BTreeMap<String, V>, value: &str) -> String {
    if known.contains_key(value) || known.len() < LABELS_MAX { value.to_string() } else { OTHERS.to_string() }
}

fn count(known: &mut BTreeMap<String, u64>, value: &str) {
    let key = label(known, value);
    *known.entry(key).or_default() += 1;
}

fn usd(microusd: u64) -> f64 {
    microusd as f64 / 1e6
}

/// The text that grows.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help);
        self.line(name, &[], value);
    }

    fn many(&mut self, name: &str, help: &str, label: &str, counts: &BTreeMap<String, u64>) {
        self.family(name, "counter", help);
        for (value, count) in counts {
            self.line(name, &[(label, value)], *count as f64);
        }
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let open = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }
}

#[cfg(test)]
mod tests;
