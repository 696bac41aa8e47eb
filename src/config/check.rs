//! Whether an agent file and a board profile fit together.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::agent::action::pwm::{PwmAction, PwmDeed, limits};
use super::agent::policy::Policy;
use super::agent::{Action, Agent, ListenMode, Tool};
use super::board::pwm::PwmKind;
use super::board::{self, Board, Direction};
use super::problem::{LineIndex, Problem, nearest, shown};

/// The lines that mynah itself uses, and which way each goes.
const OWN_LINES: [(&str, Direction); 8] = [
    (board::TALK, Direction::Input),
    (board::VOLUME_UP, Direction::Input),
    (board::VOLUME_DOWN, Direction::Input),
    (board::MUTE, Direction::Input),
    (board::CONFIRM, Direction::Input),
    (board::LED, Direction::Output),
    (board::CAMERA_LED, Direction::Output),
    (board::SHUTTER, Direction::Input),
];

/// What the agent wants and the board does not have. Place and file are added by [`locate`].
pub fn check(agent: &Agent, board: &Board) -> Vec<Problem> {
    let mut problems = Vec::new();
    if agent.listen.mode == ListenMode::PushToTalk && !board.lines.contains_key(board::TALK) {
        let message = format!(
            "is \"push_to_talk\", but board `{}` has no line `talk`; add [lines.talk] to the profile or choose \"hands_free\"",
            board.name
        );
        problems.push(unplaced("listen.mode", message));
    }
    if agent.see.is_on() && board.camera.is_none() {
        let message = format!(
            "wants a camera, but board `{}` has none; add [camera] to the profile or choose \"off\"",
            board.name
        );
        problems.push(unplaced("see.mode", message));
    }
    for (name, wanted) in OWN_LINES {
        if board.lines.get(name).is_some_and(|line| line.direction != wanted) {
            let message = format!("of board `{}` must be an {}", board.name, word(wanted));
            // The profile's fault, not the agent file's: `locate` leaves it alone.
            problems
                .push(Problem { file: format!("board {}", board.name), ..unplaced(&format!("lines.{name}"), message) });
        }
    }
    for (index, tool) in agent.tools.iter().enumerate() {
        let is_driven = |line: &str| agent.tools.iter().any(|tool| driven_line(&tool.action) == Some(line));
        if let Some(message) = misfit(&tool.action, board, is_driven) {
            problems.push(unplaced(&format!("tools[{index}].action.line"), message));
        }
        problems.extend(interlocks(&format!("tools[{index}].policy"), &tool.policy, board));
    }
    for (index, server) in agent.mcp.iter().enumerate() {
        let of_all = interlocks(&format!("mcp[{index}].policy"), &server.policy, board);
        let is_new = |problem: &Problem| of_all.iter().all(|known| known.message != problem.message);
        for allowed in &server.allow {
            let at = format!("mcp[{index}].allow.{}.policy", shown(&allowed.tool));
            problems.extend(interlocks(&at, &allowed.policy, board).into_iter().filter(is_new));
        }
        problems.extend(of_all);
    }
    for (index, watch) in agent.watches.iter().enumerate() {
        if let Some(message) = watch.condition.line().and_then(|line| misread(line, board)) {
            problems.push(unplaced(
                &format!("watch[{index}].line"),
                message.replacen("has", "is", 1).replace("an interlock needs another line", "watch another line"),
            ));
        }
    }
    for (index, tool) in agent.tools.iter().enumerate() {
        if let Action::Pwm(action) = &tool.action
            && let Some((key, message)) = pwm_misfit(action, tool, board)
        {
            problems.push(unplaced(&format!("tools[{index}].action.{key}"), message));
        }
    }
    problems.extend(sensors(agent, board));
    if let Some(message) = agent.kiosk.presence.as_ref().and_then(|line| not_an_input(line, board)) {
        problems.push(unplaced("kiosk.presence", message));
    }
    problems
}

/// What is wrong with a line that is to be watched, if anything.
fn not_an_input(name: &str, board: &Board) -> Option<String> {
    let is_own = |name: &str| OWN_LINES.iter().any(|(own, _)| *own == name);
    let is_free = |name: &str, line: &board::Line| line.direction == Direction::Input && !is_own(name);
    let why = match board.lines.get(name) {
        Some(line) if is_free(name, line) => return None,
        Some(_) if is_own(name) => "which mynah itself uses",
        Some(_) => "which is an output",
        None => "which is no line of the board",
    };
    let free = board.lines.iter().filter(|(name, line)| is_free(name, line)).map(|(name, _)| name.as_str());
    let free: Vec<&str> = free.collect();
    let free = if free.is_empty() { "none".to_string() } else { free.join(", ") };
    Some(format!("is \"{name}\", {why}; other inputs of board `{}`: {free}", board.name))
}

/// What is wrong with the lines of a policy, which stands `at` this key.
fn interlocks(at: &str, policy: &Policy, board: &Board) -> Vec<Problem> {
    let keys = [("not_while", &policy.not_while), ("only_while", &policy.only_while)];
    let problems = keys.into_iter().flat_map(|(key, lines)| {
        let wrong = lines.iter().filter_map(|line| misread(line, board));
        wrong.map(move |message| unplaced(&format!("{at}.{key}"), message))
    });
    problems.collect()
}

/// What is wrong with a PWM action's output, if anything, and which key says it.
fn pwm_misfit(action: &PwmAction, tool: &Tool, board: &Board) -> Option<(&'static str, String)> {
    let name = &action.output;
    let Some(output) = board.pwm.get(name) else {
        let known: Vec<&str> = board.pwm.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
        let message = format!("is \"{name}\", which is not a PWM output of board `{}`, which has {known}", board.name);
        return Some(("output", message));
    };
    let wanted = match (&action.deed, &output.kind) {
        (PwmDeed::Dim { .. }, PwmKind::Dimmer { .. }) | (PwmDeed::Buzz { .. }, PwmKind::Buzzer) => return None,
        (PwmDeed::Turn { argument, .. }, PwmKind::Servo(servo)) => {
            let schema = &tool.parameters.as_ref()?["properties"][argument.as_str()];
            let (min, max) = limits(schema)?;
            let (least, most) = (servo.min_degrees, servo.max_degrees);
            let message = format!(
                "names \"{argument}\", which goes from {min} to {max}, but [pwm.{name}] of board `{}` only from {least} to {most}",
                board.name
            );
            return (min < least || max > most).then_some(("argument", message));
        }
        (PwmDeed::Dim { .. }, _) => "dimmer",
        (PwmDeed::Turn { .. }, _) => "servo",
        (PwmDeed::Buzz { .. }, _) => "buzzer",
    };
    Some(("output", format!("is \"{name}\", which is no {wanted} on board `{}`", board.name)))
}

/// The sensors that are wanted and that the board does not have.
fn sensors<'a>(agent: &'a Agent, board: &'a Board) -> impl Iterator<Item = Problem> + 'a {
    let read = agent.tools.iter().enumerate().filter_map(|(index, tool)| match &tool.action {
        Action::SensorRead(sensor) => Some((format!("tools[{index}].action.sensor"), sensor)),
        _ => None,
    });
    let watched = agent.watches.iter().enumerate();
    let watched =
        watched.filter_map(|(index, watch)| Some((format!("watch[{index}].sensor"), watch.condition.sensor()?)));
    read.chain(watched).filter(|(_, sensor)| !board.sensors.contains_key(*sensor)).map(|(key, sensor)| {
        let known: Vec<&str> = board.sensors.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
        unplaced(&key, format!("is \"{sensor}\", which is not a sensor of board `{}`, which has {known}", board.name))
    })
}

/// What is wrong with an action's line, if anything.
fn misfit(action: &Action, board: &Board, is_driven: impl Fn(&str) -> bool) -> Option<String> {
    let drives = driven_line(action).is_some();
    let name = match action {
        Action::GpioSet { line, .. }
        | Action::GpioPulse { line, .. }
        | Action::GpioBlink { line, .. }
        | Action::GpioWait { line, .. }
        | Action::GpioRead { line } => line,
        _ => return None,
    };
    let Some(line) = board.lines.get(name) else {
        let example =
            if board.name == board::GENERIC { "; `sudo mynah setup` asks what there is on this machine" } else { "" };
        return Some(format!("is \"{name}\", which is not {}{example}", lines_of(board, name)));
    };
    // They are held by mynah's own threads; a second holder finds them busy.
    if OWN_LINES.iter().any(|(own, _)| own == name) {
        return Some(format!("is \"{name}\", which mynah itself uses; tools need another line"));
    }
    if drives && line.direction == Direction::Input {
        return Some(format!("is \"{name}\", an input of board `{}`; only an output can be set or pulsed", board.name));
    }
    if matches!(action, Action::GpioWait { .. }) && line.direction == Direction::Output {
        return Some(format!("is \"{name}\", an output of board `{}`; only an input can be waited for", board.name));
    }
    if !drives && line.direction == Direction::Output && !is_driven(name) {
        return Some(format!("is \"{name}\", an output of board `{}` that no tool drives: it is never on", board.name));
    }
    None
}

/// What is wrong with a line that a policy looks at, if anything.
fn misread(name: &str, board: &Board) -> Option<String> {
    match board.lines.get(name) {
        None => Some(format!("has \"{name}\", which is not {}", lines_of(board, name))),
        Some(_) if OWN_LINES.iter().any(|(own, _)| *own == name) => {
            Some(format!("has \"{name}\", which mynah itself uses; an interlock needs another line"))
        }
        Some(_) => None,
    }
}

/// "a line of board `sim`, which has …", with a guess where a name is near.
fn lines_of(board: &Board, name: &str) -> String {
    let known: Vec<&str> = board.lines.keys().map(String::as_str).collect();
    let guess = nearest(name, known.iter().copied()).map(|guess| format!("; did you mean `{guess}`?"));
    let rest = guess.unwrap_or_else(|| match known.as_slice() {
        [] => ", which has none".to_string(),
        known => format!(", which has {}", known.join(", ")),
    });
    format!("a line of board `{}`{rest}", board.name)
}

fn driven_line(action: &Action) -> Option<&str> {
    match action {
        Action::GpioSet { line, .. } | Action::GpioPulse { line, .. } | Action::GpioBlink { line, .. } => Some(line),
        _ => None,
    }
}

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Input => "input",
        Direction::Output => "output",
    }
}

fn unplaced(key: &str, message: String) -> Problem {
    Problem { file: String::new(), line: 0, key: key.to_string(), message }
}

/// Gives problems of [`check`] their file, and their line where `text` has the key or a section around it; in line order.
pub fn locate(problems: &mut [Problem], text: &str, file: &str) {
    let lines = LineIndex::new(text);
    let (document, _) = DeTable::parse_recoverable(text);
    for problem in problems.iter_mut().filter(|problem| problem.file.is_empty()) {
        problem.file = file.to_string();
        problem.line = offset_of(&problem.key, document.get_ref()).map_or(0, |offset| lines.line_of(offset));
    }
    problems.sort_by_key(|problem| problem.line);
}

/// Where the deepest part of `key` that exists is written: `tools[1].action.line`, step by step.
fn offset_of(key: &str, document: &DeTable<'_>) -> Option<usize> {
    let mut table = Some(document);
    let mut found: Option<&Spanned<DeValue<'_>>> = None;
    for step in key.split('.') {
        let (name, index) = match step.strip_suffix(']').and_then(|step| step.split_once('[')) {
            Some((name, index)) => (name, index.parse::<usize>().ok()),
            None => (step, None),
        };
        let mut next = table.and_then(|table| table.get(name));
        if let Some(index) = index {
            next = next.and_then(|value| value.get_ref().as_array()).and_then(|list| list.get(index));
        }
        let Some(value) = next else { break };
        found = Some(value);
        table = value.get_ref().as_table();
    }
    found.map(|value| value.span().start)
}
