//! The action `command`: the program's arguments, and what the model hears of how it ended.
//!
//! Each element of the configuration stays one argument; no shell reads it. What is filled in may not become an option
//! (`-` at the beginning) nor lead out of the folder that an element with a `/` in it names (`/`, `..`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{Failure, fill};
use crate::config::agent::action::command::{CommandAction, Dashes, Output, Success};
use crate::config::agent::template::{Piece, Template};

/// One argument or environment variable; the kernel takes 128 KiB, a call by voice has less to say.
const ARGUMENT_BYTES_MAX: usize = 4096;
/// What the model gets of what a program complained of: its last words.
pub const COMPLAINT_BYTES_MAX: usize = 512;

/// A program to run, without its secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandLine {
    /// The program's absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Environment variables; only secrets are still places.
    pub environment: BTreeMap<String, Template>,
    /// Where it runs.
    pub folder: PathBuf,
    /// What it prints.
    pub output: Output,
    /// Prints more, and it is stopped, bytes.
    pub output_bytes_max: usize,
    /// Which exit codes mean that it worked.
    pub success: Success,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it printed.
    pub printed: Vec<u8>,
    /// The last of what it complained of, at most [`COMPLAINT_BYTES_MAX`].
    pub complaint: Vec<u8>,
}

/// What `action` runs with `args`.
///
/// # Errors
/// A sentence for the model where an argument does not fit into its place.
pub fn line(action: &CommandAction, args: &Map<String, Value>) -> Result<CommandLine, String> {
    let mut arguments = Vec::with_capacity(action.arguments.len());
    let mut may_begin_with_dash = action.dashes == Dashes::Allowed;
    for template in &action.arguments {
        arguments.push(argument(template, args, may_begin_with_dash)?);
        may_begin_with_dash |= matches!(template.pieces(), [Piece::Text(text)] if text == "--");
    }
    let mut environment = BTreeMap::new();
    for (name, template) in &action.environment {
        environment.insert(name.clone(), template.bind(|name| fitting(args, name))?);
    }
    Ok(CommandLine {
        program: action.program.clone(),
        arguments,
        environment,
        folder: action.folder.clone(),
        output: action.output,
        output_bytes_max: usize::try_from(action.output_bytes_max).unwrap_or(usize::MAX),
        success: action.success,
    })
}

fn argument(template: &Template, args: &Map<String, Value>, may_begin_with_dash: bool) -> Result<String, String> {
    let is_path = template.pieces().iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains('/')));
    let filled = template.fill(|piece| match piece {
        Piece::Argument(name) => {
            let value = fitting(args, name)?;
            if is_path && value.contains('/') {
                return Err(format!("argument `{name}` is a part of a path here: it may not have a `/`"));
            }
            Ok(value)
        }
        Piece::Text(_) | Piece::Secret(_) => Ok(String::new()), // no secret was let into an argument
    })?;
    let ups = |path: &str| path.split('/').filter(|part| matches!(*part, "." | "..")).count();
    let as_written = template.fill(|_| Ok::<_, String>("x".into()))?;
    if is_path && ups(&filled) > ups(&as_written) {
        return Err("a part of a path may not be `.` or `..`".to_string());
    }
    if let Some(Piece::Argument(name)) = template.pieces().first()
        && filled.starts_with('-')
        && !may_begin_with_dash
    {
        return Err(format!("argument `{name}` may not begin with `-`"));
    }
    if filled.len() > ARGUMENT_BYTES_MAX {
        return Err(format!("the arguments are too long: {} bytes, at most {ARGUMENT_BYTES_MAX} fit", filled.len()));
    }
    Ok(filled)
}

/// An argument of the call that a program can be given.
fn fitting(args: &Map<String, Value>, name: &str) -> Result<String, String> {
    let text = fill::text(args, name)?;
    if text.contains('\0') {
        return Err(format!("argument `{name}` has a NUL in it, which no program can be given"));
    }
    if text.len() > ARGUMENT_BYTES_MAX {
        return Err(format!("argument `{name}` is too long: {} bytes, at most {ARGUMENT_BYTES_MAX} fit", text.len()));
    }
    Ok(text)
}

impl CommandLine {
    /// The program's name, for sentences.
    pub fn name(&self) -> String {
        self.program.file_name().unwrap_or(self.program.as_os_str()).to_string_lossy().into_owned()
    }

    /// What would be run, for a rehearsal; the environment is not told.
    pub fn describe(&self) -> String {
        format!("run {} with the arguments {:?}", self.program.display(), self.arguments)
    }

    /// What the model gets.
    ///
    /// # Errors
    /// [`Failure::Refused`] where the program says that it failed, or prints something else than it should.
    pub fn result(&self, ended: &Ended) -> Result<Value, Failure> {
        let (name, complaint) = (self.name(), said(&ended.complaint));
        let complaint = if complaint.is_empty() { complaint } else { format!(": {complaint}") };
        let Some(code) = ended.code else {
            let signal = ended.signal.map(|signal| format!(" {signal}")).unwrap_or_default();
            return Err(Failure::Refused(format!("`{name}` was ended by signal{signal}{complaint}")));
        };
        if code != 0 && self.success == Success::Zero {
            return Err(Failure::Refused(format!("`{name}` failed with code {code}{complaint}")));
        }
        if ended.printed.trim_ascii().is_empty() {
            return Ok(json!({"code": code, "text": "it ended and printed nothing"}));
        }
        match self.output {
            Output::Text => Ok(json!({"code": code, "text": said(&ended.printed)})),
            Output::Json => match serde_json::from_slice::<Value>(&ended.printed) {
                Ok(answer) => Ok(json!({"code": code, "answer": answer})),
                Err(_) => Err(Failure::Refused(format!("`{name}` ended (code {code}), but printed no JSON"))),
            },
        }
    }

    /// It printed more than it may, and was stopped.
    pub fn flooded(&self) -> Failure {
        let (name, most) = (self.name(), self.output_bytes_max);
        Failure::Refused(format!("`{name}` printed more than {most} bytes and was stopped"))
    }
}

/// What a program said, as text: bytes that are none are shown as such, control characters are left out.
fn said(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().filter(|letter| !letter.is_control() || "\t\n".contains(*letter)).collect();
    text.trim().to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::agent::{self, Action};
    use proptest::prelude::*;

    fn action(command: &str) -> CommandAction {
        let text = format!(
            r#"
            [secrets]
            key = "/nowhere/key"
            [[tools]]
            name = "run"
            description = "Runs."
            parameters = {{ type = "OBJECT", properties = {{ a = {{ type = "STRING" }}, n = {{ type = "INTEGER" }} }}, required = ["a", "n"] }}
            action = {{ {command} }}
        "#
        );
        match agent::parse(&text, "test").unwrap().tools[0].action.clone() {
            Action::Command(action) => action,
            other => panic!("{other:?}"),
        }
    }

    fn arguments(command: &str, a: &str) -> Result<Vec<String>, String> {
        let args = json!({"a": a, "n": -5.0});
        line(&action(command), args.as_object().unwrap()).map(|line| line.arguments)
    }

    #[test]
    fn arguments_stay_whole_and_never_become_options_or_other_folders() {
        let restart = r#"command = ["/bin/x", "restart", "{a}"]"#;
        assert_eq!(arguments(restart, "a b; rm -rf '$HOME'").unwrap(), ["restart", "a b; rm -rf '$HOME'"]);
        assert_eq!(arguments(restart, "").unwrap(), ["restart", ""]);
        assert_eq!(arguments(restart, "--force").unwrap_err(), "argument `a` may not begin with `-`");
        assert!(arguments(restart, "a\0b").unwrap_err().contains("NUL"));
        assert!(arguments(restart, &"x".repeat(5000)).unwrap_err().contains("too long"));
        assert!(arguments(r#"command = ["/bin/x", "{n}"]"#, "").is_err(), "a number is an option as well");
        assert_eq!(arguments(r#"command = ["/bin/x", "{n}"], dashes = "allowed""#, "").unwrap(), ["-5"]);
        assert_eq!(arguments(r#"command = ["/bin/x", "--", "{a}"]"#, "-x").unwrap(), ["--", "-x"]);
        assert_eq!(arguments(r#"command = ["/bin/x", "--name={a}"]"#, "-x").unwrap(), ["--name=-x"]);
        let path = r#"command = ["/bin/x", "/srv/{a}.txt"]"#;
        assert_eq!(arguments(path, "notes").unwrap(), ["/srv/notes.txt"]);
        for odd in ["../etc/passwd", "..", "/etc", "a/b"] {
            let said = arguments(path, odd);
            assert!(odd == ".." || said.as_ref().is_err_and(|why| why.contains("part of a path")), "{odd}: {said:?}");
        }
        for element in ["/srv/{a}", "--in=/srv/{a}{a}", "/srv/../x/{a}", "/srv/.{a}/x"] {
            let command = format!("command = [\"/bin/x\", \"{element}\"]");
            assert!(arguments(&command, ".").unwrap_err().contains("part of a path"), "{element}");
            assert!(arguments(&command, "x").is_ok());
        }
    }

    #[test]
    fn ends_become_results_or_sentences() {
        let mut run = line(&action(r#"command = ["/bin/x"]"#), &Map::new()).unwrap();
        let ended = |code: i32, printed: &str, complaint: &str| Ended {
            code: Some(code),
            signal: None,
            printed: printed.into(),
            complaint: complaint.into(),
        };
        assert_eq!(run.result(&ended(0, "one\ntwo\n", "x")).unwrap(), json!({"code": 0, "text": "one\ntwo"}));
        assert_eq!(run.result(&ended(0, "\n", "")).unwrap()["text"], "it ended and printed nothing");
        let failed = run.result(&ended(3, "", "no \u{1b}[31msuch unit\n")).unwrap_err().to_string();
        assert_eq!(failed, "`x` failed with code 3: no [31msuch unit");
        let killed = Ended { code: None, signal: Some(9), ..ended(0, "", "") };
        assert_eq!(run.result(&killed).unwrap_err().to_string(), "`x` was ended by signal 9");
        run.success = Success::Any;
        assert_eq!(run.result(&ended(3, "inactive", "")).unwrap(), json!({"code": 3, "text": "inactive"}));
        run.output = Output::Json;
        assert_eq!(run.result(&ended(0, " {\"a\": 1}\n", "")).unwrap(), json!({"code": 0, "answer": {"a": 1}}));
        assert!(run.result(&ended(0, "{\"a\"", "")).unwrap_err().to_string().contains("printed no JSON"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_argument_changes_the_number_of_arguments(a in "(?s)([-'\" \n\t;|&$`\\\\/.{}]|.){0,20}") {
            let command = r#"command = ["/bin/x", "first", "{a}", "--y={a}", "/z/{a}", "last"]"#;
            if let Ok(arguments) = arguments(command, &a) {
                prop_assert_eq!(arguments.len(), 5);
                prop_assert_eq!((arguments[0].as_str(), arguments[4].as_str()), ("first", "last"));
                prop_assert_eq!(&arguments[1], &a);
                prop_assert!(!arguments[1].starts_with('-') && !arguments[1].contains('\0'));
                prop_assert_eq!(arguments[3].matches('/').count(), 2);
                prop_assert_eq!(&arguments[2], &format!("--y={a}"));
            }
        }
    }
}
