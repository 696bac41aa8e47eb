//! The board profile's keys (type, range, default and what they mean) and how they become a [`Board`].

use std::collections::BTreeMap;

use super::super::agent::action::address::Origin;
use super::super::key::{AnyKey, Choice, Key, Kind, Need, Path, Text, Whole, one_line, wrong_type};
use super::super::problem::{Problem, shown};
use super::super::read::{Reader, Section, Sheet};
use super::super::several::Texts;
use super::light::{LIGHT, light};
use super::pcm::{pcm, wake_ms};
use super::pwm::{self, PWM};
use super::sensor::{SENSORS, sensors};
use super::{
    Bias, Board, Camera, CameraProgram, CameraSource, CameraUrl, Direction, Line, LineDriver, Polarity, Safe, line_name,
};

pub use super::pcm::{CAPTURE, PLAYBACK};

/// Lines of one profile; a Pi's header has 28.
pub const LINES_MAX: usize = 64;

/// [`LineDriver`] before its folder is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Driver {
    Gpio,
    Files,
    Sim,
}

const DESCRIPTION: Key<Text> = Key {
    name: "description",
    kind: Text { what: "one sentence about the board", chars_max: 400, check: one_line, default: "" },
    need: Need::Required,
    doc: "One sentence about the board.",
};
const DRIVER: Key<Choice<Driver>> = Key {
    name: "driver",
    kind: Choice {
        options: &[("gpio", Driver::Gpio), ("files", Driver::Files), ("sim", Driver::Sim)],
        default: Driver::Gpio,
    },
    need: Need::Defaults,
    doc: "Who moves the lines: the kernel's GPIO, a folder of FIFOs and files, or the simulation.",
};
const FOLDER: Key<Path> = Key {
    name: "folder",
    kind: Path { what: "the folder that holds a FIFO per input and a file per output" },
    need: Need::Optional,
    doc: "The folder of the driver `files`.",
};

const DIRECTION: Key<Choice<Direction>> = Key {
    name: "direction",
    kind: Choice { options: &[("input", Direction::Input), ("output", Direction::Output)], default: Direction::Input },
    need: Need::Required,
    doc: "Whether the program looks at the line or drives it.",
};
const LINE: Key<Text> = Key {
    name: "line",
    // The kernel's names have at most 31 characters (GPIO_MAX_NAME_SIZE, linux/gpio.h).
    kind: Text {
        what: "the kernel's name of the line (\"GPIO17\") or chip:offset (\"gpiochip0:17\")",
        chars_max: 31,
        check: kernel_line,
        default: "",
    },
    need: Need::Optional,
    doc: "The kernel's name of the line, or chip:offset; `gpioinfo` lists them.",
};
/// The level of a line or a channel that is on.
pub(super) const LEVELS: Choice<Polarity> = Choice {
    options: &[("active_high", Polarity::ActiveHigh), ("active_low", Polarity::ActiveLow)],
    default: Polarity::ActiveHigh,
};
const POLARITY: Key<Choice<Polarity>> =
    Key { name: "polarity", kind: LEVELS, need: Need::Defaults, doc: "Which level means pressed or on." };
const BIAS: Key<Choice<Bias>> = Key {
    name: "bias",
    kind: Choice {
        options: &[
            ("as_is", Bias::AsIs),
            ("pull_up", Bias::PullUp),
            ("pull_down", Bias::PullDown),
            ("disabled", Bias::Disabled),
        ],
        default: Bias::AsIs,
    },
    need: Need::Defaults,
    doc: "Inputs: the pull resistor inside the chip.",
};
const DEBOUNCE_MS: Key<Whole> = Key {
    name: "debounce_ms",
    kind: Whole { unit: "ms", min: 0, max: 1000, step: 1, default: 5 }, // most switches settle within 5 ms; more is latency
    need: Need::Defaults,
    doc: "Inputs: how long a level must hold before it counts.",
};
const SAFE: Key<Choice<Safe>> = Key {
    name: "safe",
    kind: Choice { options: &[("inactive", Safe::Inactive), ("active", Safe::Active)], default: Safe::Inactive },
    need: Need::Defaults,
    doc: "Outputs: what the line is at the start, at the end and after a crash.",
};

const SOURCE: Key<Text> = Key {
    name: "source",
    kind: Text {
        what: "a V4L2 device such as \"/dev/video0\", \"rpicam\", \"command\", \"url\", \"files\" or \"test\"",
        chars_max: 200,
        check: camera_source,
        default: "",
    },
    need: Need::Required,
    doc: "Where pictures come from: a V4L2 device's path, `rpicam` for the ribbon camera, `command`, `url`, `files`, or `test` for a drawn one.",
};
const FILES: Key<Path> = Key {
    name: "folder",
    kind: Path { what: "a folder of JPEG files" },
    need: Need::Optional,
    doc: "`files`: a folder of JPEG files, shown one after the other, a second each.",
};
const URL: Key<Text> = Key {
    name: "url",
    kind: Text { what: "an address", chars_max: 1024, check: picture_url, default: "" },
    need: Need::Optional,
    doc: "`url`: where a picture is asked for once a second: http://camera.local/snapshot.jpg.",
};
const LOGIN_FILE: Key<Path> = Key {
    name: "login_file",
    kind: Path { what: "a file that holds `user:password`, readable by its owner only" },
    need: Need::Optional,
    doc: "`url`: file that holds `user:password` for it; the systemd credential `camera_login` wins.",
};
const SETTLE_MS: Key<Whole> = Key {
    name: "settle_ms",
    kind: Whole { unit: "ms", min: 0, max: 5000, step: 1, default: 300 }, // exposure and white balance of a sensor that was off
    need: Need::Defaults,
    doc: "Pictures of the first so many milliseconds are not used.",
};
const FROZEN_AFTER_S: Key<Whole> = Key {
    name: "frozen_after_s",
    kind: Whole { unit: "s", min: 0, max: 600, step: 1, default: 5 }, // a sensor's noise makes each picture another one
    need: Need::Defaults,
    doc: "The same picture, byte by byte, for so long is a camera that stands still: it is started again; 0 where that may be (a screen).",
};
const COMMAND: Key<Texts> = Key {
    name: "command",
    kind: Texts { what: "a program's path or one of its arguments", chars_max: 400, count_max: 64, check: one_line },
    need: Need::Optional,
    doc: "`command`: a program with its arguments that writes JPEG pictures one after the other.",
};
const WIDTH: Key<Whole> = Key {
    name: "width",
    kind: Whole { unit: "px", min: 160, max: 4096, step: 2, default: 1280 },
    need: Need::Defaults,
    doc: "Width to ask for, pixels.",
};
const HEIGHT: Key<Whole> = Key {
    name: "height",
    kind: Whole { unit: "px", min: 120, max: 4096, step: 2, default: 720 },
    need: Need::Defaults,
    doc: "Height to ask for, pixels.",
};

/// The top of the file.
pub const TOP: Sheet = Sheet {
    name: "",
    keys: &[&DESCRIPTION, &DRIVER, &FOLDER],
    tables: &["capture", "playback", "lines", "light", "pwm", "sensors", "camera"],
};
/// `[lines.NAME]`.
pub const LINES: Sheet =
    Sheet { name: "lines", keys: &[&DIRECTION, &LINE, &POLARITY, &BIAS, &DEBOUNCE_MS, &SAFE], tables: &[] };
/// `[camera]`.
pub const CAMERA: Sheet = Sheet {
    name: "camera",
    keys: &[&SOURCE, &COMMAND, &FILES, &URL, &LOGIN_FILE, &WIDTH, &HEIGHT, &SETTLE_MS, &FROZEN_AFTER_S],
    tables: &[],
};

/// All sheets of a board profile.
pub const SHEETS: &[&Sheet] = &[&TOP, &CAPTURE, &PLAYBACK, &LINES, &LIGHT, &PWM, &SENSORS, &CAMERA];

/// All keys with their sections, for those who print the table.
pub fn keys() -> impl Iterator<Item = (&'static str, &'static dyn AnyKey)> {
    SHEETS.iter().flat_map(|sheet| sheet.keys.iter().map(|key| (sheet.name, *key)))
}

pub(super) fn parse(text: &str, file: &str, name: &str) -> Result<Board, Vec<Problem>> {
    let mut reader = Reader::new(text, file, SHEETS);
    let Some(document) = reader.document(text) else { return Err(reader.finish()) };
    let top = reader.open(&document, "", 1, &TOP);
    let driver = driver(&mut reader, &top);
    let capture = reader.inner(&top, CAPTURE.name, &CAPTURE);
    let playback = reader.inner(&top, PLAYBACK.name, &PLAYBACK);
    let lines = lines(&mut reader, &top, &driver);
    let board = Board {
        name: name.to_string(),
        description: reader.get(&top, &DESCRIPTION),
        capture: pcm(&mut reader, &capture, &CAPTURE),
        playback: pcm(&mut reader, &playback, &PLAYBACK),
        wake_ms: wake_ms(&mut reader, &playback),
        light: light(&mut reader, &top, &driver, &lines),
        lines,
        pwm: pwm::outputs(&mut reader, &top),
        sensors: sensors(&mut reader, &top),
        camera: camera(&mut reader, &top),
        driver,
    };
    let problems = reader.finish();
    if problems.is_empty() { Ok(board) } else { Err(problems) }
}

fn driver(reader: &mut Reader<'_>, top: &Section<'_>) -> LineDriver {
    let driver = reader.get(top, &DRIVER);
    let folder = reader.find(top, &FOLDER);
    match driver {
        Driver::Files => {
            if top.value(FOLDER.name).is_none() {
                let message = format!("is missing; the driver `files` needs {}", FOLDER.kind.rule());
                reader.object(top, FOLDER.name, message);
            }
            LineDriver::Files(folder.unwrap_or_default())
        }
        _ if folder.is_some() => {
            reader.object(
                top,
                FOLDER.name,
                "goes with driver = \"files\" only; take it out or change the driver".into(),
            );
            LineDriver::Gpio
        }
        Driver::Gpio => LineDriver::Gpio,
        Driver::Sim => LineDriver::Sim,
    }
}

fn lines(reader: &mut Reader<'_>, top: &Section<'_>, driver: &LineDriver) -> BTreeMap<String, Line> {
    let Some(value) = top.value("lines") else { return BTreeMap::new() };
    let Some(table) = value.get_ref().as_table() else {
        reader.note_at(value, "lines".into(), wrong_type(value.get_ref(), "sections, one a line: `[lines.talk]`"));
        return BTreeMap::new();
    };
    if table.len() > LINES_MAX {
        reader.note_at(value, "lines".into(), format!("has {} lines; at most {LINES_MAX} are taken", table.len()));
        return BTreeMap::new();
    }
    let all = Section { table: Some(table), path: "lines".to_string(), line: reader.line_of(value) };
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    for key in table.keys() {
        let name: &str = key.get_ref();
        if let Err(message) = line_name(name) {
            let line = reader.line_of(key);
            reader.note(line, format!("lines.{}", shown(name)), message);
        }
        let section = reader.inner(&all, name, &LINES);
        let line = line(reader, &section, name, driver);
        let twin = lines.iter().find(|(_, other)| *driver == LineDriver::Gpio && other.line == line.line);
        if let Some((twin, _)) = twin.filter(|_| !line.line.is_empty()) {
            let message = format!("is \"{}\", as that of `lines.{twin}`; a line can be taken once", line.line);
            reader.object(&section, LINE.name, message);
        }
        lines.insert(name.to_string(), line);
    }
    lines
}

fn line(reader: &mut Reader<'_>, section: &Section<'_>, name: &str, driver: &LineDriver) -> Line {
    let direction = reader.get(section, &DIRECTION);
    let is_input = direction == Direction::Input;
    if !is_input {
        for key in [BIAS.name, DEBOUNCE_MS.name] {
            if section.value(key).is_some() {
                reader.object(section, key, "is for inputs; an output has none, take it out".into());
            }
        }
    }
    let kernel_name = reader.find(section, &LINE);
    if *driver == LineDriver::Gpio && section.table.is_some() && section.value(LINE.name).is_none() {
        reader.object(section, LINE.name, format!("is missing; it must be {}", LINE.kind.rule()));
    }
    // Files and the simulation know a line by our name. A wrong name of the kernel was noted above.
    let fallback = if *driver == LineDriver::Gpio { String::new() } else { name.to_string() };
    let debounce_ms = reader.get(section, &DEBOUNCE_MS);
    Line {
        direction,
        line: kernel_name.unwrap_or(fallback),
        polarity: reader.get(section, &POLARITY),
        bias: reader.get(section, &BIAS),
        debounce_ms: if is_input { debounce_ms } else { 0 },
        safe: if is_input { Safe::Inactive } else { reader.get(section, &SAFE) },
    }
}

fn camera(reader: &mut Reader<'_>, top: &Section<'_>) -> Option<Camera> {
    top.value("camera")?;
    let section = reader.inner(top, CAMERA.name, &CAMERA);
    let source = reader.get(&section, &SOURCE);
    let command = reader.find(&section, &COMMAND).unwrap_or_default();
    let is_command = source == "command";
    if is_command && command.is_empty() {
        reader.miss(&section, COMMAND.name, "the program that writes the pictures, and its arguments, as a list");
    } else if !is_command && !command.is_empty() {
        reader.object(&section, COMMAND.name, "goes with source = \"command\" only".to_string());
    }
    let (folder, url) = (reader.find(&section, &FILES), reader.find(&section, &URL));
    let login_file = reader.find(&section, &LOGIN_FILE);
    for (kind, key, is_there, rule) in [
        ("files", FILES.name, folder.is_some(), "the path of a folder of JPEG files"),
        ("url", URL.name, url.is_some(), "the address of a picture: \"http://camera.local/snapshot.jpg\""),
    ] {
        if source == kind && section.value(key).is_none() {
            reader.miss(&section, key, rule);
        } else if source != kind && is_there {
            reader.object(&section, key, format!("goes with source = \"{kind}\" only"));
        }
    }
    if login_file.is_some() && source != "url" {
        reader.object(&section, LOGIN_FILE.name, "goes with source = \"url\" only".to_string());
    }
    let source = match source.as_str() {
        "files" => CameraSource::Files(folder.unwrap_or_default()),
        "test" => CameraSource::Test,
        "url" => match Origin::split(&url.unwrap_or_default()) {
            Ok((origin, path)) => {
                let path = if path.starts_with('/') { path.to_string() } else { format!("/{path}") };
                CameraSource::Url(CameraUrl { origin, path, login_file })
            }
            Err(_) => CameraSource::Test, // its own check said so
        },
        "command" => CameraSource::Program(CameraProgram::Command(command)),
        "rpicam" => CameraSource::Program(CameraProgram::Rpicam),
        device => CameraSource::Device(device.into()),
    };
    Some(Camera {
        source,
        width: reader.get(&section, &WIDTH),
        height: reader.get(&section, &HEIGHT),
        settle_ms: reader.get(&section, &SETTLE_MS),
        frozen_after_s: reader.get(&section, &FROZEN_AFTER_S),
    })
}

/// A name of the kernel, or a chip and an offset.
fn kernel_line(line: &str) -> Result<(), String> {
    one_line(line)?;
    if line.starts_with("gpiochip") && super::chip_and_offset(line).is_none() {
        return Err(format!("is \"{}\"; a chip goes with an offset: \"gpiochip0:17\"", shown(line)));
    }
    Ok(())
}

fn picture_url(url: &str) -> Result<(), String> {
    one_line(url)?;
    let why = |why: String| why.replace("put them into `headers`", "put them into `login_file`");
    let (_, path) = Origin::split(url).map_err(why)?;
    if path.chars().all(|letter| letter.is_ascii_graphic() && letter != '#') {
        return Ok(());
    }
    Err("has a blank, a `#` or a letter beyond ASCII in its path; write them as %20, %23, …".to_string())
}

fn camera_source(source: &str) -> Result<(), String> {
    if matches!(source, "rpicam" | "command" | "url" | "files" | "test") || source.starts_with("/dev/") {
        return Ok(());
    }
    Err(format!(
        "is \"{}\"; it must be the path of a V4L2 device (\"/dev/video0\"), \"rpicam\", \"command\", \"url\", \"files\" or \"test\"",
        shown(source)
    ))
}
