//! `[tools.policy]`: what must hold before a tool moves anything, and how long it may.

use std::fmt;

use serde_json::Value;

use super::super::board::line_name;
use super::super::key::{Choice, Key, Need, Text, Whole, one_line};
use super::super::read::{Reader, Section, Sheet};
use super::super::several::Texts;
use super::action::Around;
use super::{Action, Behavior, Switch};

/// Who calls a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// The model.
    Model,
    /// Somebody at the MQTT broker.
    Mqtt,
    /// Somebody at the panel.
    Panel,
    /// The owner, with `mynah tools call`; always allowed to call.
    Hand,
    /// mynah itself, to switch off what was on for too long; nothing keeps it from it.
    Mynah,
}

impl Caller {
    /// Those that the owner may allow to call.
    const NAMED: [Caller; 3] = [Caller::Model, Caller::Mqtt, Caller::Panel];

    /// The word for it in the configuration and in the audit log.
    pub fn word(self) -> &'static str {
        match self {
            Caller::Model => "model",
            Caller::Mqtt => "mqtt",
            Caller::Panel => "panel",
            Caller::Hand => "hand",
            Caller::Mynah => "mynah",
        }
    }
}

/// Who must say yes before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// Nobody.
    Off,
    /// A person, by a tap of the talk button, or of the line `confirm` where the board has one.
    Button,
    /// A person, by a word.
    Voice,
}

/// When calls of one turn run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One after the other, as the model made them.
    InTurn,
    /// At once, beside the others.
    Parallel,
}

/// What becomes of an output when the connection to the service is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenOffline {
    /// It stays as it is.
    Keep,
    /// It goes to its safe state.
    Rest,
}

/// Hours in which it is not done, local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// From this minute of the day, 0–1439 …
    pub from_minute: u16,
    /// … until before this one; it may be past midnight.
    pub to_minute: u16,
}

impl QuietHours {
    /// Whether a minute of the day is in them.
    pub fn has(self, minute: u16) -> bool {
        if self.from_minute <= self.to_minute {
            (self.from_minute..self.to_minute).contains(&minute)
        } else {
            minute >= self.from_minute || minute < self.to_minute
        }
    }

    /// Reads `22:00-06:30`.
    ///
    /// # Errors
    /// The end of a sentence that begins with the key.
    pub fn parse(text: &str) -> Result<QuietHours, String> {
        let minute = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        let both = text.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
        match both {
            Some((from_minute, to_minute)) if from_minute != to_minute => Ok(QuietHours { from_minute, to_minute }),
            _ => Err("must be two times of the day, such as \"22:00-06:30\"".to_string()),
        }
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, to] = [self.from_minute, self.to_minute].map(|minute| (minute / 60, minute % 60));
        write!(f, "{:02}:{:02} to {:02}:{:02}", from.0, from.1, to.0, to.1)
    }
}

/// `[tools.policy]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Who may call.
    pub callers: Vec<Caller>,
    /// From one call to the next at least, ms, 0–3600000.
    pub min_interval_ms: u32,
    /// Calls a minute at most, 1–600.
    pub per_minute: u32,
    /// Not in these hours.
    pub quiet_hours: Option<QuietHours>,
    /// Not while one of these lines is active (or cannot be read) …
    pub not_while: Vec<String>,
    /// … and only while each of these is.
    pub only_while: Vec<String>,
    /// The parameter that says on or off (BOOLEAN) or how much (0 for off); none where nothing stays on.
    pub on_argument: Option<String>,
    /// What it switches on is switched off after this, s, 1–86400; never where absent.
    pub max_on_s: Option<u32>,
    /// Who must say yes …
    pub confirm: Confirm,
    /// … within this, s, 3–120.
    pub confirm_within_s: u32,
    /// Whether it is only said what would be done.
    pub dry_run: Switch,
    /// When calls of one turn run.
    pub order: Order,
    /// What becomes of its output when the connection is lost.
    pub when_offline: WhenOffline,
}

impl Policy {
    /// What holds where the file says nothing: a call that nobody waits for does not hold others up.
    pub fn of(behavior: Behavior) -> Policy {
        let order = if behavior == Behavior::Blocking { Order::InTurn } else { Order::Parallel };
        Policy { order, ..Policy::default() }
    }

    /// The lines that say when it may be done.
    pub fn interlocks(&self) -> impl Iterator<Item = &str> {
        self.not_while.iter().chain(&self.only_while).map(String::as_str)
    }
}

impl Default for Policy {
    /// What holds where the file says nothing: the model may call, half a hundred times a minute, in turn.
    fn default() -> Policy {
        Policy {
            callers: vec![Caller::Model],
            min_interval_ms: 0,
            per_minute: PER_MINUTE.kind.default,
            quiet_hours: None,
            not_while: Vec::new(),
            only_while: Vec::new(),
            on_argument: None,
            max_on_s: None,
            confirm: Confirm::Off,
            confirm_within_s: CONFIRM_WITHIN_S.kind.default,
            dry_run: Switch::Off,
            order: Order::InTurn,
            when_offline: WhenOffline::Keep,
        }
    }
}

const CALLERS: Key<Texts> = Key {
    name: "callers",
    kind: Texts { what: "`model`, `mqtt` or `panel`", chars_max: 16, count_max: 3, check: caller_name },
    need: Need::Optional,
    doc: "Who may call: \"model\", \"mqtt\", \"panel\"; only the model where absent.",
};
const MIN_INTERVAL_MS: Key<Whole> = Key {
    name: "min_interval_ms",
    kind: Whole { unit: "ms", min: 0, max: 3_600_000, step: 1, default: 0 },
    need: Need::Defaults,
    doc: "From one call to the next at least.",
};
const PER_MINUTE: Key<Whole> = Key {
    name: "per_minute",
    kind: Whole { unit: "calls", min: 1, max: 600, step: 1, default: 50 }, // a person says less; a loop says more
    need: Need::Defaults,
    doc: "Calls a minute at most.",
};
const QUIET_HOURS: Key<Text> = Key {
    name: "quiet_hours",
    kind: Text { what: "two times of the day, such as \"22:00-06:30\"", chars_max: 16, check: hours, default: "" },
    need: Need::Optional,
    doc: "Not in these hours, local time: \"22:00-06:30\".",
};
const LINES: Texts = Texts { what: "a line of the board profile", chars_max: 32, count_max: 8, check: line_name };
const NOT_WHILE: Key<Texts> = Key {
    name: "not_while",
    kind: LINES,
    need: Need::Optional,
    doc: "Not while one of these lines is active or cannot be read; what is on is switched off then.",
};
const ONLY_WHILE: Key<Texts> =
    Key { name: "only_while", kind: LINES, need: Need::Optional, doc: "Only while each of these lines is active." };
const ON_ARGUMENT: Key<Text> = Key {
    name: "on_argument",
    kind: Text { what: "the name of a parameter", chars_max: 64, check: one_line, default: "" },
    need: Need::Optional,
    doc: "The required BOOLEAN, INTEGER or NUMBER parameter that says on, or how much; 0 and false are off.",
};
const MAX_ON_S: Key<Whole> = Key {
    name: "max_on_s",
    kind: Whole { unit: "s", min: 1, max: 86_400, step: 1, default: 600 },
    need: Need::Optional,
    doc: "What it switches on is switched off after this, also across a restart.",
};
const CONFIRM: Key<Choice<Confirm>> = Key {
    name: "confirm",
    kind: Choice {
        options: &[("off", Confirm::Off), ("button", Confirm::Button), ("voice", Confirm::Voice)],
        default: Confirm::Off,
    },
    need: Need::Defaults,
    doc: "Who must say yes before it is done: nobody, a tap of the button, or a spoken yes.",
};
const CONFIRM_WITHIN_S: Key<Whole> = Key {
    name: "confirm_within_s",
    kind: Whole { unit: "s", min: 3, max: 120, step: 1, default: 20 }, // the question is said in five, thought about in ten
    need: Need::Defaults,
    doc: "How long the yes is waited for.",
};
const DRY_RUN: Key<Choice<Switch>> = Key {
    name: "dry_run",
    kind: Choice { options: &[("on", Switch::On), ("off", Switch::Off)], default: Switch::Off },
    need: Need::Defaults,
    doc: "Only say what would be done.",
};
const ORDER: Key<Choice<Order>> = Key {
    name: "order",
    kind: Choice { options: &[("in_turn", Order::InTurn), ("parallel", Order::Parallel)], default: Order::InTurn },
    need: Need::Optional,
    doc: "Whether calls wait for each other; where absent, those do for which the model waits.",
};
const WHEN_OFFLINE: Key<Choice<WhenOffline>> = Key {
    name: "when_offline",
    kind: Choice { options: &[("keep", WhenOffline::Keep), ("rest", WhenOffline::Rest)], default: WhenOffline::Keep },
    need: Need::Defaults,
    doc: "What becomes of its output when the connection to the service is lost: nothing, or its safe state.",
};

/// `[tools.policy]`.
pub const POLICY: Sheet = Sheet {
    name: "tools.policy",
    keys: &[
        &CALLERS,
        &MIN_INTERVAL_MS,
        &PER_MINUTE,
        &QUIET_HOURS,
        &NOT_WHILE,
        &ONLY_WHILE,
        &ON_ARGUMENT,
        &MAX_ON_S,
        &CONFIRM,
        &CONFIRM_WITHIN_S,
        &DRY_RUN,
        &ORDER,
        &WHEN_OFFLINE,
    ],
    tables: &[],
};

/// The policy of a tool that does `action`, and for which the model waits or not.
pub(super) fn policy(
    reader: &mut Reader<'_>,
    tool: &Section<'_>,
    behavior: Behavior,
    action: &Action,
    around: &Around<'_>,
) -> Policy {
    let at = &reader.inner(tool, "policy", &POLICY);
    let mut policy = over(reader, at, Policy::of(behavior));
    policy.on_argument = policy.on_argument.or_else(|| action.on_argument().map(String::from));
    if matches!(action, Action::Pwm(action) if action.holds()) {
        if at.value(ON_ARGUMENT.name).is_some() {
            let message = "does not go with a servo: wherever it stands it is held, and off is to let go of it";
            reader.object(at, ON_ARGUMENT.name, message.into());
        }
        return policy;
    }
    check_on(reader, at, &policy);
    // Where the action names the parameter, what is wrong with it has been said there.
    if at.value(ON_ARGUMENT.name).is_some()
        && let (Some(argument), Ok(parameters)) = (&policy.on_argument, around.parameters)
        && let Err(why) = says_off(parameters.as_ref(), argument)
    {
        reader.object(at, ON_ARGUMENT.name, format!("names \"{argument}\", {why}"));
    }
    policy
}

/// The policy of all tools of a server, over which each may have one of its own.
pub(super) struct Shared {
    pub(super) policy: Policy,
    /// Where the file says so; else it depends on each tool.
    order: Option<Order>,
}

/// The policy of a server's tools; what names a parameter belongs to one of them.
pub(super) fn shared(reader: &mut Reader<'_>, server: &Section<'_>) -> Shared {
    let at = &reader.inner(server, "policy", &POLICY);
    let policy = over(reader, at, Policy::default());
    for key in [ON_ARGUMENT.name, MAX_ON_S.name] {
        if at.value(key).is_some() {
            let message = "belongs to one tool, as each has parameters of its own: write it into the tool's entry of \
                           `allow`, such as { policy = { on_argument = \"on\", max_on_s = 600 } }";
            reader.object(at, key, message.into());
        }
    }
    let order = at.value(ORDER.name).map(|_| policy.order);
    Shared { policy: Policy { on_argument: None, max_on_s: None, ..policy }, order }
}

/// The policy of one of a server's tools. Whether its `on_argument` is right is known when the server has listed it.
pub(super) fn of_one(reader: &mut Reader<'_>, tool: &Section<'_>, behavior: Behavior, shared: &Shared) -> Policy {
    let order = shared.order.unwrap_or(Policy::of(behavior).order);
    let at = &reader.inner(tool, "policy", &POLICY);
    let policy = over(reader, at, Policy { order, ..shared.policy.clone() });
    check_on(reader, at, &policy);
    policy
}

/// What the section says, and `base` where it says nothing.
fn over(reader: &mut Reader<'_>, at: &Section<'_>, base: Policy) -> Policy {
    let quiet_hours = reader.find(at, &QUIET_HOURS).and_then(|text| QuietHours::parse(&text).ok());
    let named = reader.find(at, &CALLERS);
    let callers = named.map(|names| names.iter().filter_map(|name| caller(name)).collect());
    Policy {
        callers: callers.unwrap_or(base.callers),
        min_interval_ms: reader.find(at, &MIN_INTERVAL_MS).unwrap_or(base.min_interval_ms),
        per_minute: reader.find(at, &PER_MINUTE).unwrap_or(base.per_minute),
        quiet_hours: quiet_hours.or(base.quiet_hours),
        not_while: reader.find(at, &NOT_WHILE).unwrap_or(base.not_while),
        only_while: reader.find(at, &ONLY_WHILE).unwrap_or(base.only_while),
        on_argument: reader.find(at, &ON_ARGUMENT).or(base.on_argument),
        max_on_s: reader.find(at, &MAX_ON_S).or(base.max_on_s),
        confirm: reader.find(at, &CONFIRM).unwrap_or(base.confirm),
        confirm_within_s: reader.find(at, &CONFIRM_WITHIN_S).unwrap_or(base.confirm_within_s),
        dry_run: reader.find(at, &DRY_RUN).unwrap_or(base.dry_run),
        order: reader.find(at, &ORDER).unwrap_or(base.order),
        when_offline: reader.find(at, &WHEN_OFFLINE).unwrap_or(base.when_offline),
    }
}

/// What is to be switched off must be known to be on.
fn check_on(reader: &mut Reader<'_>, at: &Section<'_>, policy: &Policy) {
    if policy.max_on_s.is_some() && policy.on_argument.is_none() {
        let message =
            "needs `on_argument`, the parameter that says on or off: without it nobody knows what to switch off";
        reader.object(at, MAX_ON_S.name, message.into());
    }
}

/// Whether a call with `argument` can say off: false, or 0.
///
/// # Errors
/// The rest of a sentence that begins with the parameter's name.
pub fn says_off(parameters: Option<&Value>, argument: &str) -> Result<(), String> {
    let rule = "which must be a required BOOLEAN, INTEGER or NUMBER parameter";
    let schema = parameters.map_or(&Value::Null, |parameters| &parameters["properties"][argument]);
    let required = parameters.and_then(|parameters| parameters["required"].as_array());
    let is_required = required.is_some_and(|required| required.iter().any(|known| known == argument));
    match schema["type"].as_str() {
        Some("BOOLEAN") if is_required => Ok(()),
        Some("INTEGER" | "NUMBER") if is_required => {
            let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
            if least.is_some_and(|least| least > 0.0) || most.is_some_and(|most| most < 0.0) {
                return Err("which cannot be 0, and so never says off".into());
            }
            Ok(())
        }
        _ => Err(rule.into()),
    }
}

fn caller(name: &str) -> Option<Caller> {
    Caller::NAMED.into_iter().find(|caller| caller.word() == name)
}

fn caller_name(name: &str) -> Result<(), String> {
    caller(name).map(|_| ()).ok_or_else(|| "is nobody; there are `model`, `mqtt` and `panel`".to_string())
}

fn hours(text: &str) -> Result<(), String> {
    QuietHours::parse(text).map(|_| ())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quiet_hours_may_go_past_midnight() {
        let night = QuietHours::parse("22:00-06:30").unwrap();
        let inside: Vec<bool> = [1319, 1320, 0, 389, 390, 720].into_iter().map(|minute| night.has(minute)).collect();
        assert_eq!(inside, [false, true, true, true, false, false]);
        let noon = QuietHours::parse("12:00 - 13:00").unwrap();
        assert_eq!([719, 720, 779, 780].map(|minute| noon.has(minute)), [false, true, true, false]);
        for text in ["22", "22:00", "24:00-06:00", "22:60-06:00", "6-7", "08:00-08:00", ""] {
            assert!(QuietHours::parse(text).is_err(), "{text}");
        }
        assert_eq!(night.to_string(), "22:00 to 06:30");
    }

    #[test]
    fn only_a_required_parameter_that_can_be_off_says_off() {
        let one = |schema: Value, required: Value| json!({ "type": "OBJECT", "properties": { "on": schema }, "required": required });
        for schema in [json!({"type": "BOOLEAN"}), json!({"type": "NUMBER", "minimum": 0}), json!({"type": "INTEGER"})]
        {
            assert_eq!(says_off(Some(&one(schema.clone(), json!(["on"]))), "on"), Ok(()));
            assert!(says_off(Some(&one(schema.clone(), json!([]))), "on").is_err_and(|why| why.contains("required")));
            assert!(says_off(Some(&one(schema, json!(["on"]))), "off").is_err());
        }
        for schema in [json!({"type": "INTEGER", "minimum": 1}), json!({"type": "NUMBER", "maximum": -0.5})] {
            assert!(says_off(Some(&one(schema, json!(["on"]))), "on").is_err_and(|why| why.contains("cannot be 0")));
        }
        assert!(says_off(Some(&one(json!({"type": "STRING"}), json!(["on"]))), "on").is_err());
        assert!(says_off(None, "on").is_err());
    }

    #[test]
    fn a_servers_tools_have_its_policy_but_for_what_each_says_itself() {
        let text = r#"
            [[mcp]]
            name = "house"
            command = ["/usr/bin/house"]
            policy = { callers = ["model", "mqtt"], per_minute = 5, quiet_hours = "22:00-06:00", confirm = "voice" }
            [mcp.allow]
            news = { behavior = "non_blocking" }
            set_lamp = { policy = { quiet_hours = "00:00-04:00", on_argument = "on", max_on_s = 60, confirm = "off" } }
        "#;
        let agent = super::super::parse(text, "test").unwrap();
        let [news, lamp] = agent.policies().collect::<Vec<_>>()[..] else { panic!("{agent:?}") };
        assert_eq!((news.order, lamp.order), (Order::Parallel, Order::InTurn), "as the model waits for them");
        assert_eq!((news.confirm, lamp.confirm), (Confirm::Voice, Confirm::Off));
        assert_eq!((&news.on_argument, news.max_on_s), (&None, None));
        assert_eq!((lamp.on_argument.as_deref(), lamp.max_on_s), (Some("on"), Some(60)));
        for policy in [news, lamp] {
            assert_eq!((policy.per_minute, policy.callers.len()), (5, 2));
        }
        let begin = |policy: &Policy| policy.quiet_hours.unwrap().from_minute;
        assert_eq!((begin(news), begin(lamp)), (22 * 60, 0));
    }
}
