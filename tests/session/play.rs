//! Plays one script: inputs in, outputs compared, time moved deadline by deadline.

use std::time::Duration;

use mynah::config::agent::Agent;
use mynah::config::agent::see::SeeMode;
use mynah::flow::{GateEvent, LinkEvent, LinkOrder, LinkReport, SpeakerOrder, What};
use mynah::live::server::Reader;
use mynah::live::setup::{Variant, mark};
use mynah::session::memory::{Memory, Resumable};
use mynah::session::timers::Reason;
use mynah::session::{Input, Output, Session};
use mynah::units::Time;
use serde_json::Value;

use crate::notation::{self, Read};
use crate::rules::Rules;

/// An input with its expectations.
struct Step<'a> {
    line: usize,
    input: &'a str,
    /// Lines below it, with their numbers.
    expects: Vec<(usize, &'a str)>,
}

fn is_expectation(line: &str) -> bool {
    ["->", "!", "=", "after "].iter().any(|mark| line.starts_with(mark))
}

fn steps(text: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match steps.last_mut() {
            Some(step) if is_expectation(line) => step.expects.push((at + 1, line)),
            _ => steps.push(Step { line: at + 1, input: line, expects: Vec::new() }),
        }
    }
    steps
}

/// The world around one session.
struct World {
    agent: Agent,
    session: Option<Session>,
    now: Time,
    reader: Reader,
    rules: Rules,
    hops_spoken: u64,
    bytes_sent: u64,
    outputs: Vec<(Time, String)>,
    events: Vec<Value>,
    deadline: Option<(Time, Reason)>,
    /// The service answers pings, as any does that lives.
    answers_pings: bool,
    /// Orders that only keep the converter awake are shown.
    shows_wakes: bool,
}

impl World {
    fn new() -> World {
        World {
            agent: notation::agent(),
            session: None,
            now: Time::from_ms(1),
            reader: Reader::default(),
            rules: Rules::default(),
            hops_spoken: 0,
            bytes_sent: 0,
            outputs: Vec::new(),
            events: Vec::new(),
            deadline: None,
            answers_pings: true,
            shows_wakes: false,
        }
    }

    fn session(&mut self) -> &mut Session {
        let agent = &self.agent;
        self.session.get_or_insert_with(|| Session::new(agent, 7))
    }

    /// Plays an input line. Outputs and events since then are in `self`.
    fn play(&mut self, input: &str) -> Read<()> {
        self.outputs.clear();
        self.events.clear();
        let (kind, words) = input.split_once(' ').unwrap_or((input, ""));
        match kind {
            "given" if words == "ready" => {
                for line in ["start", "link connected", "server setup"] {
                    self.play(line)?;
                }
                self.outputs.clear();
                return Ok(());
            }
            "given" if words == "silence" => self.answers_pings = false,
            "given" if words == "wakes" => self.shows_wakes = true,
            "given" if words.starts_with("left ") => self.find_set(&words["left ".len()..])?,
            "given" if words == "worked" => {
                let proven = Some(mark(&self.agent, &Variant::default()));
                self.session().remember(Memory { proven, ..Memory::default() }, None);
            }
            "given" if words.starts_with("kept ") => self.remember(&words["kept ".len()..])?,
            "given" => return notation::given(&mut self.agent, words),
            "start" => self.step(Input::Start),
            "today" => self.step(Input::Today(words.parse().map_err(|_| format!("`{words}` is not a day"))?)),
            "wait" => self.wait(notation::duration(words)?),
            "gate" if words.starts_with("speech ") => self.speak(&words["speech ".len()..])?,
            "gate" => self.step(Input::Gate(notation::gate(words)?)),
            "speaker" => self.step(Input::Speaker(notation::speaker(words)?)),
            "mic" => self.step(Input::Mic(notation::mic(words)?)),
            "eyes" => {
                let shot = notation::shot(words, self.now)?;
                self.step(Input::Shot(shot));
            }
            "person" => self.step(Input::Control(notation::person(words)?)),
            "tools" => self.step(Input::Tools(words.split_whitespace().map(notation::server_tool).collect())),
            "tool" => self.step(Input::Tool(notation::tool_reply(words)?)),
            other => match other.split_once('@').map_or((other, None), |(kind, n)| (kind, Some(n))) {
                ("link", attempt) => self.link(attempt, words)?,
                ("server", attempt) => self.server(attempt, words)?,
                _ => Err(format!("`{input}` is not an input"))?,
            },
        }
        Ok(())
    }

    /// `HANDLE 30s`: what an earlier run of this very agent left that long ago.
    fn remember(&mut self, words: &str) -> Read<()> {
        let (handle, age) = words.split_once(' ').ok_or_else(|| format!("`{words}` is not `HANDLE AGE`"))?;
        let (age, is_fallback) = age.strip_suffix(" fallback").map_or((age, false), |age| (age, true));
        let setup = mark(&self.agent, &Variant { is_fallback, ..Variant::default() });
        let resumable = Some(Resumable { handle: handle.into(), setup });
        let age = notation::duration(age)?;
        self.session().remember(Memory { resumable, ..Memory::default() }, Some(age));
        Ok(())
    }

    /// `volume 40`, `muted`: what a person had set in an earlier run.
    fn find_set(&mut self, words: &str) -> Read<()> {
        let memory = match words.split_once(' ').unwrap_or((words, "")) {
            ("muted", "") => Memory { is_muted: true, ..Memory::default() },
            ("volume", percent) => Memory {
                volume_percent: Some(percent.parse().map_err(|_| format!("`{percent}` is not percent"))?),
                ..Memory::default()
            },
            _ => return Err(format!("`{words}` is not what a person sets")),
        };
        self.session().remember(memory, None);
        Ok(())
    }

    fn report(&mut self, attempt: Option<&str>, event: LinkEvent) -> Read<()> {
        let attempt = match attempt {
            Some(number) => number.parse().map_err(|_| format!("`{number}` is not the number of a connection"))?,
            None => self.session().attempt(),
        };
        self.step(Input::Link(LinkReport { attempt, event }));
        Ok(())
    }

    fn link(&mut self, attempt: Option<&str>, words: &str) -> Read<()> {
        let event = notation::link(words)?;
        if matches!(event, LinkEvent::Connected) {
            self.reader = Reader::default();
            self.bytes_sent += self.bytes_sent % 2;
        }
        self.report(attempt, event)
    }

    fn server(&mut self, attempt: Option<&str>, words: &str) -> Read<()> {
        let bytes = notation::server(words, &mut self.bytes_sent)?;
        // As the link's thread does.
        let event = match self.reader.read(&bytes) {
            Ok(message) => LinkEvent::Message(Box::new(message)),
            Err(garbage) => LinkEvent::Garbage(garbage.to_string()),
        };
        self.report(attempt, event)
    }

    /// `100ms`: all at once, as the gate sends a pre-roll; `100ms live`: each piece when it was spoken.
    fn speak(&mut self, words: &str) -> Read<()> {
        let (length, is_live) = match words.split_once(' ') {
            Some((length, "live")) => (length, true),
            Some(_) => return Err(format!("`{words}` is not a length of speech")),
            None => (words, false),
        };
        let hops = notation::duration(length)?.as_millis() as u64 / u64::from(mynah::audio::HOP_MS);
        let message_ms = self.agent.listen.message_ms;
        for piece in notation::speech(self.hops_spoken, hops, message_ms, self.now) {
            if is_live {
                let hops = piece.frames().len() / mynah::audio::HOP_FRAMES;
                self.wait(Duration::from_millis(hops as u64 * u64::from(mynah::audio::HOP_MS)));
            }
            self.step(Input::Gate(GateEvent::Speech(piece)));
        }
        self.hops_spoken += hops;
        Ok(())
    }

    /// Moves time, stopping at every deadline on the way.
    fn wait(&mut self, length: Duration) {
        let end = self.now + length;
        while let Some((at, _)) = self.deadline.filter(|(at, _)| *at <= end) {
            self.now = at;
            self.step(Input::Timeout);
        }
        self.now = end;
    }

    fn step(&mut self, input: Input) {
        let now = self.now;
        self.rules.input(&input);
        self.session().handle_input(input, now);
        self.deadline = loop {
            let output = self.session().poll_output();
            self.rules.output(&output);
            match &output {
                Output::Timeout(deadline) => break *deadline,
                Output::Event(what) => self.events.push(value_of(what)),
                Output::Link(LinkOrder::Ping) if self.answers_pings => {
                    let report = LinkReport { attempt: self.session().attempt(), event: LinkEvent::Alive };
                    self.session().handle_input(Input::Link(report), now);
                }
                Output::Speaker(SpeakerOrder::Wake) if !self.shows_wakes => {}
                other => {
                    let line = notation::line(other).expect("not an event and not the end");
                    self.outputs.push((now, line));
                }
            }
        };
        self.rules.drained(self.deadline.map(|(at, _)| at), now);
        if self.session().kept_ms() > mynah::flow::SPEECH_KEPT_MS {
            self.rules.broken("more speech is kept than the limit allows");
        }
    }
}

fn value_of(what: &What) -> Value {
    serde_json::to_value(what).expect("events can be written")
}

/// Plays a script. Answers what went wrong.
pub fn play(name: &str, text: &str) -> Option<String> {
    let mut world = World::new();
    for step in steps(text) {
        let begun = world.now;
        let failure = |line: usize, why: String| Some(format!("{name}:{line}: {}\n{why}", step.input));
        if let Err(why) = world.play(step.input) {
            return failure(step.line, why);
        }
        if let Some(why) = world.rules.take_broken() {
            return failure(step.line, format!("  breaks a rule: {why}"));
        }
        if let Some(why) = compare_outputs(&world, &step, begun) {
            return failure(step.line, why);
        }
        for (line, expected) in &step.expects {
            if let Err(why) = compare_rest(&mut world, expected) {
                return failure(step.line, format!("  line {line}: {why}"));
            }
        }
    }
    None
}

/// Outputs must be exactly those of the `->` lines; a line `after 500ms` says when the next ones come.
fn compare_outputs(world: &World, step: &Step, begun: Time) -> Option<String> {
    let mut expected: Vec<(Option<Duration>, String)> = Vec::new();
    let mut offset = None;
    for (_, line) in &step.expects {
        if let Some(words) = line.strip_prefix("after ") {
            match notation::duration(words) {
                Ok(length) => offset = Some(length),
                Err(why) => return Some(why),
            }
        } else if let Some(words) = line.strip_prefix("->") {
            let (words, times) = counted(words.trim());
            expected.extend(std::iter::repeat_n((offset, words.to_string()), times));
        }
    }
    let fits = expected.len() == world.outputs.len()
        && expected
            .iter()
            .zip(&world.outputs)
            .all(|((offset, wanted), (at, got))| wanted == got && offset.is_none_or(|offset| begun + offset == *at));
    (!fits).then(|| {
        let wanted = expected.iter().map(|(offset, words)| (offset.map(|o| begun + o), words.clone())).collect();
        let got = world.outputs.iter().map(|(at, words)| (Some(*at), words.clone())).collect();
        format!("  expected:\n{}  got:\n{}", folded(wanted, begun, "    "), folded(got, begun, "    "))
    })
}

/// `send audio 20ms x16` → the words and 16.
fn counted(words: &str) -> (&str, usize) {
    match words.rsplit_once(" x").and_then(|(words, times)| Some((words, times.parse().ok()?))) {
        Some((words, times)) => (words, times),
        None => (words, 1),
    }
}

/// More moments than these are left out of what is shown.
const MOMENTS_MAX: usize = 8;

/// Outputs as lines, with the moments at which they came unless those are too many to read.
fn folded(mut lines: Vec<(Option<Time>, String)>, begun: Time, indent: &str) -> String {
    let mut moments: Vec<Option<Time>> = lines.iter().map(|(at, _)| *at).collect();
    moments.dedup();
    if moments.len() > MOMENTS_MAX {
        lines.iter_mut().for_each(|(at, _)| *at = None);
    }
    let mut text = String::new();
    let mut at = Some(begun);
    let mut lines = lines.into_iter().peekable();
    while let Some(line) = lines.next() {
        let mut times = 1;
        while lines.next_if_eq(&line).is_some() {
            times += 1;
        }
        if line.0 != at && line.0.is_some() {
            at = line.0;
            let offset = at.map_or(Duration::ZERO, |at| at.since(begun));
            text += &format!("{indent}after {}\n", notation::written(offset));
        }
        let count = if times > 1 { format!(" x{times}") } else { String::new() };
        text += &format!("{indent}-> {}{count}\n", line.1);
    }
    if text.is_empty() { format!("{indent}(nothing)\n") } else { text }
}

/// Events (`!`, `!no`) and the state after the input (`=`).
fn compare_rest(world: &mut World, expected: &str) -> Read<()> {
    if let Some(words) = expected.strip_prefix("!no ") {
        let found = world.events.iter().find(|event| is_match(event, words));
        return found.map_or(Ok(()), |event| Err(format!("the event came: {event}")));
    }
    if let Some(words) = expected.strip_prefix('!') {
        let words = words.trim();
        let Some(at) = world.events.iter().position(|event| is_match(event, words)) else {
            let came: String = world.events.iter().map(|event| format!("\n    {event}")).collect();
            return Err(format!("no event `{words}`; events in this order:{came}"));
        };
        world.events.drain(..=at);
        return Ok(());
    }
    match expected.strip_prefix('=') {
        Some(words) => compare_state(world, words.trim()),
        None => Ok(()),
    }
}

fn compare_state(world: &mut World, words: &str) -> Read<()> {
    let got = match words.split_once(' ').map_or(words, |(first, _)| first) {
        "idle" | "busy" => if world.session().is_idle() { "idle" } else { "busy" }.to_string(),
        "kept" => format!("kept {}", notation::written(Duration::from_millis(world.session().kept_ms()))),
        "deadline" => {
            // Those that are always set say nothing of what goes on.
            let is_background = |reason: &Reason| matches!(reason, Reason::Quiet | Reason::Leave | Reason::Idle);
            let now = world.now;
            let next =
                world.session().deadlines().filter(|(_, reason)| !is_background(reason)).min_by_key(|(at, _)| *at);
            next.map_or("deadline none".into(), |(at, reason)| {
                format!("deadline {} {}", format!("{reason:?}").to_lowercase(), notation::written(at.since(now)))
            })
        }
        _ => return Err(format!("`{words}` is not a state (idle, busy, kept, deadline)")),
    };
    if got == words { Ok(()) } else { Err(format!("expected `{words}`, got `{got}`")) }
}

/// `reply_cut by_user=true text~"part of it"`: the name, and each field that is named.
fn is_match(event: &Value, words: &str) -> bool {
    let (name, mut rest) = words.split_once(' ').unwrap_or((words, ""));
    if event["event"] != name {
        return false;
    }
    while !rest.trim().is_empty() {
        rest = rest.trim_start();
        let Some(mark) = rest.find(['=', '~']) else { return false };
        let (key, value) = (&rest[..mark], &rest[mark + 1..]);
        let (value, after) = match value.strip_prefix('"') {
            Some(value) => value.split_once('"').unwrap_or((value, "")),
            None => value.split_once(' ').unwrap_or((value, "")),
        };
        let got = match &event[key] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let fits = if rest.as_bytes()[mark] == b'=' { got == value } else { got.contains(value) };
        if !fits {
            return false;
        }
        rest = after;
    }
    true
}

/// The script with its `->` lines as they came; everything else as it was.
pub fn bless(name: &str, text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut world = World::new();
    let mut blessed = String::new();
    let mut inputs = steps(text).into_iter().peekable();
    let first = inputs.peek().map_or(lines.len(), |s| s.line - 1);
    lines[..first].iter().for_each(|line| blessed += &format!("{line}\n"));
    while let Some(step) = inputs.next() {
        let begun = world.now;
        let is_given = step.input.starts_with("given");
        world.play(step.input).unwrap_or_else(|why| panic!("{name}:{}: {why}", step.line));
        blessed += &format!("{}\n", lines[step.line - 1]);
        if !is_given && !world.outputs.is_empty() {
            let got = world.outputs.iter().map(|(at, words)| (Some(*at), words.clone())).collect();
            blessed += &folded(got, begun, "");
        }
        let end = inputs.peek().map_or(lines.len(), |next| next.line - 1);
        for line in &lines[step.line..end] {
            let trimmed = line.trim();
            if !trimmed.starts_with("->") && !trimmed.starts_with("after ") {
                blessed += &format!("{line}\n");
            }
        }
    }
    blessed
}

/// A conversation in which only the rules count.
pub struct Game {
    world: World,
    is_gate_open: bool,
    has_spoken: bool,
}

impl Game {
    /// One with this model.
    pub fn new(model: &str, see: SeeMode) -> Game {
        let mut world = World::new();
        world.agent.see.mode = see;
        world.agent.model = model.into();
        Game { world, is_gate_open: false, has_spoken: false }
    }

    /// Plays a line, unless the gate or the link would never say it now.
    pub fn turn(&mut self, line: &str) -> Read<()> {
        let (is_asked, is_connected) = self.world.rules.connection();
        let is_possible = match line.split(' ').collect::<Vec<_>>()[..] {
            ["gate", "opened", ..] => !self.is_gate_open,
            ["gate", "speech", ..] => self.is_gate_open,
            // The gate opens only with speech in hand.
            ["gate", "closed", ..] => self.is_gate_open && self.has_spoken,
            ["link", "connected"] => is_asked && !is_connected,
            ["link", "down", ..] => is_asked,
            ["server", ..] => is_connected,
            ["tool", id, ..] => self.world.rules.working().any(|working| *working.0 == *id),
            _ => true,
        };
        if !is_possible {
            return Ok(());
        }
        self.world.play(line)?;
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["gate", "opened", ..] => (self.is_gate_open, self.has_spoken) = (true, false),
            ["gate", "speech", ..] => self.has_spoken = true,
            ["gate", "closed", ..] => self.is_gate_open = false,
            _ => {}
        }
        if self.world.outputs.iter().any(|(_, line)| line == "gate abort") && self.is_gate_open {
            // As the gate does: what it has in hand, and then the end.
            if !self.has_spoken {
                self.turn("gate speech 20ms")?;
            }
            self.turn("gate closed mistake")?;
        }
        match self.world.rules.take_broken() {
            Some(why) => Err(format!("`{line}` breaks a rule: {why}")),
            None => Ok(()),
        }
    }

    /// Lets everything end well: then the session must be idle.
    pub fn settle(&mut self) -> Read<()> {
        if self.is_gate_open && !self.has_spoken {
            self.turn("gate speech 20ms")?;
        }
        self.turn("gate closed released")?;
        // The longest pause is the quota's.
        self.turn("wait 400s")?;
        for _ in 0..3 {
            if !self.world.rules.is_ready() {
                self.turn("link connected")?;
                self.turn("server setup")?;
            }
            self.turn("wait 60s")?;
        }
        if let Some(epoch) = self.world.rules.to_drain() {
            self.turn(&format!("speaker drained {epoch} 1s"))?;
        }
        if !self.world.rules.is_ready() || self.world.session().is_idle() {
            return Ok(());
        }
        Err(format!("the session does not come to rest: {:?}", self.world.session()))
    }
}
