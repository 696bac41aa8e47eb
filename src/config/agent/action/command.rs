//! `action = { command = ["/usr/bin/systemctl", "restart", "{unit}"], … }`: a program of this machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::super::key::{Choice, Key, Need, Path, Whole};
use super::super::super::problem::shown;
use super::super::super::read::{Reader, Section, Sheet};
use super::super::super::several::{Pairs, Texts};
use super::super::Action;
use super::super::template::{Template, templates};
use super::{Around, open};

/// What a program's output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Text.
    Text,
    /// One JSON value.
    Json,
}

/// Which exit codes mean that it worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Success {
    /// Only 0.
    Zero,
    /// Every code: the model is told it, and what it means is in the tool's description.
    Any,
}

/// What becomes of an argument that begins with `-` where it would stand at an element's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dashes {
    /// The call is refused: the program would take it for an option.
    Refused,
    /// It is passed on: the program has no options there.
    Allowed,
}

/// A program with places in its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandAction {
    /// The program's absolute path.
    pub program: PathBuf,
    /// Its arguments; each stays one argument whatever is filled in.
    pub arguments: Vec<Template>,
    /// What it prints.
    pub output: Output,
    /// Prints more, and it is stopped, bytes.
    pub output_bytes_max: u32,
    /// Where it runs.
    pub folder: PathBuf,
    /// Environment variables beside the few that are passed on.
    pub environment: BTreeMap<String, Template>,
    /// Which exit codes mean that it worked.
    pub success: Success,
    /// Whether arguments may begin with `-`.
    pub dashes: Dashes,
}

const COMMAND: Key<Texts> = Key {
    name: "command",
    kind: Texts { what: "the program's path or an argument", chars_max: 1024, count_max: 64, check: no_nul },
    need: Need::Required,
    doc: "The program's absolute path and its arguments, in which `{argument}` may stand. No shell reads them.",
};
const OUTPUT: Key<Choice<Output>> = Key {
    name: "output",
    kind: Choice { options: &[("text", Output::Text), ("json", Output::Json)], default: Output::Text },
    need: Need::Defaults,
    doc: "What it prints: text, or one JSON value.",
};
const OUTPUT_BYTES_MAX: Key<Whole> = Key {
    name: "output_bytes_max",
    // The model gets 16 KiB of a result at most; half of that is a long text already.
    kind: Whole { unit: "bytes", min: 1, max: 16_384, step: 1, default: 8192 },
    need: Need::Defaults,
    doc: "Prints more, and it is stopped.",
};
const FOLDER: Key<Path> = Key {
    name: "folder",
    kind: Path { what: "a folder, from `/` on" },
    need: Need::Optional,
    doc: "Where it runs; `/` where absent.",
};
const ENVIRONMENT: Key<Pairs> = Key {
    name: "environment",
    kind: Pairs {
        name_what: "an environment variable's name",
        what: "its value",
        chars_max: 1024,
        count_max: 32,
        check_name: variable_name,
        check: no_nul,
    },
    need: Need::Optional,
    doc: "Environment variables; `{argument}` and `{secret.name}` may stand in their values.",
};
const SUCCESS: Key<Choice<Success>> = Key {
    name: "success",
    kind: Choice { options: &[("zero", Success::Zero), ("any", Success::Any)], default: Success::Zero },
    need: Need::Defaults,
    doc: "Which exit codes mean that it worked: only 0, or any, which the model is then told.",
};
const DASHES: Key<Choice<Dashes>> = Key {
    name: "dashes",
    kind: Choice { options: &[("refused", Dashes::Refused), ("allowed", Dashes::Allowed)], default: Dashes::Refused },
    need: Need::Defaults,
    doc: "Whether what is filled in at an element's beginning may begin with `-`; behind an element `--` it always may.",
};

/// `action = { command = […], … }`.
pub const RUN: Sheet = Sheet {
    name: "tools.action",
    keys: &[&COMMAND, &OUTPUT, &OUTPUT_BYTES_MAX, &FOLDER, &ENVIRONMENT, &SUCCESS, &DASHES],
    tables: &[],
};

pub(super) fn read(reader: &mut Reader<'_>, place: &Section<'_>, around: &Around<'_>) -> Option<Action> {
    let section = open(reader, place, &RUN);
    let command = read_command(reader, &section, around);
    let environment = read_environment(reader, &section, around);
    let folder = reader.find(&section, &FOLDER).unwrap_or_else(|| PathBuf::from("/"));
    if !folder.is_absolute() {
        reader.object(&section, FOLDER.name, "must be the whole path, from `/` on".into());
    }
    let output = reader.get(&section, &OUTPUT);
    let output_bytes_max = reader.get(&section, &OUTPUT_BYTES_MAX);
    let (success, dashes) = (reader.get(&section, &SUCCESS), reader.get(&section, &DASHES));
    let (program, arguments) = command?;
    Some(Action::Command(CommandAction {
        program,
        arguments,
        output,
        output_bytes_max,
        folder,
        environment,
        success,
        dashes,
    }))
}

/// The program and its arguments; none where they are wrong, which was noted.
fn read_command(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    around: &Around<'_>,
) -> Option<(PathBuf, Vec<Template>)> {
    let words = reader.find(section, &COMMAND)?;
    let parsed: Result<Vec<Template>, String> = words
        .iter()
        .map(|word| Template::parse(word).map_err(|why| format!("holds \"{}\", which {why}", shown(word))))
        .collect();
    let templates = match parsed {
        Ok(templates) => templates,
        Err(why) => {
            reader.object(section, COMMAND.name, why);
            return None;
        }
    };
    let Some((program, arguments)) = templates.split_first() else {
        reader.object(section, COMMAND.name, "is empty; it must be the program's path and its arguments".into());
        return None;
    };
    let has_places = program.arguments().chain(program.secrets()).next().is_some();
    let program = PathBuf::from(program.fill(|_| Ok::<_, String>(String::new())).unwrap_or_default());
    if has_places || !program.is_absolute() {
        let why =
            "must begin with the program's whole path, from `/` on and without places, so that no call chooses it";
        reader.object(section, COMMAND.name, why.into());
        return None;
    }
    for argument in arguments {
        around.check_places(reader, section, COMMAND.name, argument);
        around.check_scalars(reader, section, COMMAND.name, argument);
        if let Some(name) = argument.secrets().next() {
            let message = format!(
                "has the place `{{secret.{name}}}`, but everybody on the machine sees a program's arguments; put it into `environment`"
            );
            reader.object(section, COMMAND.name, message);
        }
    }
    Some((program, arguments.to_vec()))
}

fn read_environment(reader: &mut Reader<'_>, section: &Section<'_>, around: &Around<'_>) -> BTreeMap<String, Template> {
    match templates(reader.find(section, &ENVIRONMENT).unwrap_or_default()) {
        Ok(environment) => {
            for template in environment.values() {
                around.check_places(reader, section, ENVIRONMENT.name, template);
                around.check_scalars(reader, section, ENVIRONMENT.name, template);
            }
            environment
        }
        Err(why) => {
            reader.object(section, ENVIRONMENT.name, why);
            BTreeMap::new()
        }
    }
}

fn no_nul(text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("holds a NUL, which no program can be given".into());
    }
    Ok(())
}

fn variable_name(name: &str) -> Result<(), String> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.chars().all(is_letter) && !name.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(());
    }
    Err("is no environment variable's name: letters, digits and `_`, no digit first".into())
}
