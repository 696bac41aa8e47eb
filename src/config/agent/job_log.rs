//! `[job_log]`: whether a job is recorded, where, for how long, and the tools with which it is dictated.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::key::{Flag, Key, Need, Path, Text, Whole, one_line};
use super::super::procedure::{Procedure, STEPS_MAX};
use super::super::read::{Reader, Section, Sheet};
use super::device::DeviceAction;
use super::{Action, Behavior, Tool};

/// `[job_log]`.
#[derive(Clone, Debug, PartialEq)]
pub struct JobLog {
    /// Whether jobs are recorded.
    pub is_enabled: bool,
    /// Where; in the state folder where absent.
    pub folder: Option<PathBuf>,
    /// How long a job is kept, days, 1–3650.
    pub keep_days: u32,
    /// How much all jobs may take, MB, 10–1000000.
    pub keep_mb: u32,
    /// Whether pictures that went to the service are kept.
    pub keeps_pictures: bool,
    /// Where the procedures are; none where absent.
    pub procedures: Option<PathBuf>,
    /// What is said when a recording begins.
    pub announce: String,
    /// Nobody speaks for so long, and the job is over, min, 1–1440.
    pub idle_ends_min: u32,
}

/// What a tool of the job log does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobAction {
    /// Writes down words: `text`.
    Note,
    /// Writes down a measured value: `name`, `value`, `unit`, `comment`.
    Reading,
    /// Ticks a step off, or leaves it out: `step`, `outcome`, `comment`.
    StepDone,
    /// Says what the job is: `title`, `procedure`.
    StartJob,
    /// Ends the job.
    EndJob,
    /// Tells where it stands.
    ListSteps,
}

const ENABLED: Key<Flag> = Key {
    name: "enabled",
    kind: Flag { default: false }, // what people say is recorded only where the owner wants it
    need: Need::Defaults,
    doc: "Whether each session becomes a job: what was said, seen, measured and done is written down for a report.",
};
const FOLDER: Key<Path> = Key {
    name: "folder",
    kind: Path { what: "the folder of the jobs" },
    need: Need::Optional,
    doc: "Where jobs are written; `jobs` in the state folder where absent.",
};
const KEEP_DAYS: Key<Whole> = Key {
    name: "keep_days",
    kind: Whole { unit: "days", min: 1, max: 3650, step: 1, default: 90 }, // a quarter's invoices
    need: Need::Defaults,
    doc: "Jobs older than this are deleted.",
};
const KEEP_MB: Key<Whole> = Key {
    name: "keep_mb",
    kind: Whole { unit: "MB", min: 10, max: 1_000_000, step: 1, default: 1000 }, // about fifty jobs with pictures; a small card keeps room
    need: Need::Defaults,
    doc: "What all jobs take on the disk; the oldest are deleted first.",
};
const PICTURES: Key<Flag> = Key {
    name: "pictures",
    kind: Flag { default: true },
    need: Need::Defaults,
    doc: "Whether the pictures that went to the service are kept with the job.",
};
const PROCEDURES: Key<Path> = Key {
    name: "procedures",
    kind: Path { what: "a folder of procedures, NAME.toml" },
    need: Need::Optional,
    doc: "Folder of procedures: the steps that guide a job.",
};
const ANNOUNCE: Key<Text> = Key {
    name: "announce",
    kind: Text {
        what: "a sentence",
        chars_max: 300,
        check: one_line,
        default: "What is said and seen is recorded for the job's report.",
    },
    need: Need::Defaults,
    doc: "What the device says when the recording of a job begins.",
};
const IDLE_ENDS_MIN: Key<Whole> = Key {
    name: "idle_ends_min",
    kind: Whole { unit: "min", min: 1, max: 1440, step: 1, default: 30 }, // longer than fetching a part from the van
    need: Need::Defaults,
    doc: "Nobody speaks for so long, and the job is over.",
};

/// `[job_log]`.
pub const JOB_LOG: Sheet = Sheet {
    name: "job_log",
    keys: &[&ENABLED, &FOLDER, &KEEP_DAYS, &KEEP_MB, &PICTURES, &PROCEDURES, &ANNOUNCE, &IDLE_ENDS_MIN],
    tables: &[],
};

/// Reads the section.
pub(super) fn job_log(reader: &mut Reader<'_>, top: &Section<'_>) -> JobLog {
    let at = reader.inner(top, JOB_LOG.name, &JOB_LOG);
    JobLog {
        is_enabled: reader.get(&at, &ENABLED),
        folder: reader.find(&at, &FOLDER),
        keep_days: reader.get(&at, &KEEP_DAYS),
        keep_mb: reader.get(&at, &KEEP_MB),
        keeps_pictures: reader.get(&at, &PICTURES),
        procedures: reader.find(&at, &PROCEDURES),
        announce: reader.get(&at, &ANNOUNCE),
        idle_ends_min: reader.get(&at, &IDLE_ENDS_MIN),
    }
}

/// One row: the function's name, its description, what it does.
type Row = (&'static str, &'static str, JobAction);

/// The functions.
const ROWS: [Row; 6] = [
    (
        "note",
        "Writes a note of the technician's into the job's report. Call it whenever they say note, write down or for the report, and when they find something that the customer should know; in their own words and language, one call a finding.",
        JobAction::Note,
    ),
    (
        "reading",
        "Writes a measured value into the job's report. Call it whenever the technician says what an instrument shows; never invent or round a value. Its answer says whether the value is in the range that the procedure wants.",
        JobAction::Reading,
    ),
    (
        "step_done",
        "Ticks off a step of the job's procedure, or leaves it out. Call it when the technician says that the step is done; pictures and readings that it wants come before it. Its answer is the next step: say it.",
        JobAction::StepDone,
    ),
    (
        "start_job",
        "Gives the present job a title and, where there is one for it, a procedure to be guided by. Call it when the technician says what job they begin; for a job after it, too. Its answer has the steps: say the first.",
        JobAction::StartJob,
    ),
    (
        "end_job",
        "Ends the job and its recording. Call it only when the technician says that the job is finished; tell them of steps that are open.",
        JobAction::EndJob,
    ),
    (
        "list_steps",
        "Tells the present job, its notes, its readings and where its procedure stands. Call it whenever the technician asks what is next or what is left, and after an interruption; never answer from memory.",
        JobAction::ListSteps,
    ),
];

/// The disk is waited for, which may be a slow card.
const TIMEOUT_MS: u32 = 4_000;

/// The tools of the job log, where it is enabled; one whose name the file's own tools have is noted.
pub(super) fn tools(reader: &mut Reader<'_>, top: &Section<'_>, log: &JobLog, own: &[Tool]) -> Vec<Tool> {
    if !log.is_enabled {
        return Vec::new();
    }
    let one = |(name, description, action): &Row| {
        if own.iter().any(|tool| tool.name == *name) {
            let at = reader.inner(top, JOB_LOG.name, &JOB_LOG);
            let message =
                format!("brings the tool `{name}` along, which is declared in [[tools]], too: rename that one");
            reader.object(&at, ENABLED.name, message);
        }
        Tool {
            description: (*description).to_string(),
            parameters: parameters(*action),
            behavior: Behavior::Blocking,
            timeout_ms: TIMEOUT_MS,
            ..Tool::new(name, Action::Device(DeviceAction::Job(*action)))
        }
    };
    ROWS.iter().map(one).collect()
}

/// Whether a function of this name is one of the job log's own.
pub fn is_tool(name: &str) -> bool {
    ROWS.iter().any(|(own, ..)| *own == name)
}

/// Lists the procedures to the model: their names are what `start_job` takes.
pub fn offer(tools: &mut [Tool], procedures: &[(String, Procedure)]) {
    let Some(start) =
        tools.iter_mut().find(|tool| tool.action == Action::Device(DeviceAction::Job(JobAction::StartJob)))
    else {
        return;
    };
    if procedures.is_empty() {
        return;
    }
    let listed: Vec<String> = procedures.iter().map(|(name, one)| format!("{name} ({})", one.title)).collect();
    let names: Vec<&str> = procedures.iter().map(|(name, _)| name.as_str()).collect();
    let about = format!("The procedure of the job, where one of these fits: {}", listed.join(", "));
    if let Some(properties) = start.parameters.as_mut().and_then(|schema| schema["properties"].as_object_mut()) {
        properties.insert("procedure".into(), json!({"type": "STRING", "enum": names, "description": about}));
    }
}

fn parameters(action: JobAction) -> Option<Value> {
    let text = |about: &str| json!({"type": "STRING", "description": about});
    let object = |properties: Value, required: &[&str]| {
        Some(json!({"type": "OBJECT", "properties": properties, "required": required}))
    };
    match action {
        JobAction::Note => object(json!({ "text": text("The note, as the technician said it") }), &["text"]),
        JobAction::Reading => {
            let value = json!({
                "type": "NUMBER", "minimum": -1e9, "maximum": 1e9,
                "description": "The number on the instrument, as it was said"
            });
            let properties = json!({
                "name": text("What was measured: pressure, flow temperature"),
                "value": value,
                "unit": text("Its unit: bar, °C, V"),
                "comment": text("What the technician said about it, where they did"),
            });
            object(properties, &["name", "value"])
        }
        JobAction::StepDone => {
            let about = "The step's number, 1 for the first";
            let step = json!({"type": "INTEGER", "minimum": 1, "maximum": STEPS_MAX, "description": about});
            let outcome = json!({
                "type": "STRING", "enum": ["done", "skipped"],
                "description": "skipped: it is left out, and the comment says why; done where absent"
            });
            let comment = text("What the technician said about it; needed for a step that is left out");
            object(json!({ "step": step, "outcome": outcome, "comment": comment }), &["step"])
        }
        JobAction::StartJob => {
            object(json!({ "title": text("What the job is, with the place or customer where said") }), &["title"])
        }
        JobAction::EndJob | JobAction::ListSteps => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::agent::parse;
    use crate::config::procedure;

    #[test]
    fn a_job_is_recorded_only_where_the_owner_wants_it() {
        let off = parse("", "test").unwrap();
        assert!(!off.job_log.is_enabled && off.tools.is_empty());
        let on = parse("[job_log]\nenabled = true\n", "test").unwrap();
        let names: Vec<&str> = on.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["note", "reading", "step_done", "start_job", "end_job", "list_steps"]);
        assert!(names.iter().all(|name| is_tool(name)) && !is_tool("open_door"));
    }

    #[test]
    fn the_model_is_told_which_procedures_there_are() {
        let mut tools = parse("[job_log]\nenabled = true\n", "test").unwrap().tools;
        let before = tools.clone();
        offer(&mut tools, &[]);
        assert_eq!(tools, before);
        let pump = procedure::parse("title = \"Heat pump\"\n[[steps]]\ntext = \"x\"\n", "p").unwrap();
        offer(&mut tools, &[("heat_pump".to_string(), pump)]);
        let start = tools.iter().find(|tool| tool.name == "start_job").unwrap();
        let procedure = &start.parameters.as_ref().unwrap()["properties"]["procedure"];
        assert_eq!(procedure["enum"], json!(["heat_pump"]));
        assert!(procedure["description"].as_str().unwrap().contains("heat_pump (Heat pump)"));
    }
}
