//! The board profile, `board/NAME.toml`: PCM names, rates, lines, camera.
//!
//! The types are here; `read.rs` holds the keys with their ranges and defaults. The profiles of `board/` are
//! built into the program, so that `--board NAME` needs no files.

pub mod light;
mod pcm;
pub mod pwm;
pub mod read;
pub mod sensor;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use light::{ColourOrder, Light, PixelChip, PixelLight, PwmLight};
pub use sensor::Sensor;

use super::agent::action::address::Origin;
use super::problem::Problem;

/// The button that a person talks with: an input.
pub const TALK: &str = "talk";
/// The button that makes replies louder: an input.
pub const VOLUME_UP: &str = "volume_up";
/// The button that makes them softer: an input.
pub const VOLUME_DOWN: &str = "volume_down";
/// The light that says what the device does, where it is a plain lamp: an output that mynah drives itself.
pub const LED: &str = "led";
/// The button that says yes to what a tool asks: an input. Where there is none, a tap of [`TALK`] does.
pub const CONFIRM: &str = "confirm";
/// The hardware's own switch for the microphone: an input. While it is active nothing that was heard is used.
pub const MUTE: &str = "mute";
/// Lit while, and only while, the camera's sensor runs: an output that mynah drives itself.
pub const CAMERA_LED: &str = "camera_led";
/// The hardware's own switch for the camera: an input. While it is active the sensor does not run.
pub const SHUTTER: &str = "shutter";

/// Reads a board profile from its text; `file` is its name for the messages, `name` becomes [`Board::name`].
///
/// # Errors
/// Everything that is wrong with it, in line order.
pub fn parse(text: &str, file: &str, name: &str) -> Result<Board, Vec<Problem>> {
    read::parse(text, file, name)
}

/// The shipped profile of any machine, whose line is an example.
pub const GENERIC: &str = "generic";

/// The profiles in the program: name and text.
const BUILT_IN: [(&str, &str); 5] = [
    ("sim", include_str!("../../board/sim.toml")),
    ("pi5-usb-speakerphone", include_str!("../../board/pi5-usb-speakerphone.toml")),
    ("pi4-two-mic-hat", include_str!("../../board/pi4-two-mic-hat.toml")),
    ("zero2w-i2s", include_str!("../../board/zero2w-i2s.toml")),
    (GENERIC, include_str!("../../board/generic.toml")),
];

/// The text of the profile `name`, where it is built in.
pub fn builtin(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The names of the built-in profiles.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// What a line may be called: it names files and is shown to the model.
///
/// # Errors
/// The end of a sentence that begins with the key.
pub fn line_name(name: &str) -> Result<(), String> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    let goes_on_well =
        name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if starts_well && goes_on_well && name.len() <= 32 {
        return Ok(());
    }
    Err("is no name for a line: up to 32 small letters, digits and `_`, a letter first".to_string())
}

/// What hardware there is.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// Short name: the file's name without `.toml`.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// The microphone.
    pub capture: Pcm,
    /// The loudspeaker.
    pub playback: Pcm,
    /// Silence that a sound needs before it where the loudspeaker stood, ms, 0–2000: what its converter swallows
    /// while it wakes.
    pub wake_ms: u32,
    /// Which driver the lines have.
    pub driver: LineDriver,
    /// Lines by our name (`talk`, `lamp`).
    pub lines: BTreeMap<String, Line>,
    /// The light by which the device shows what it does.
    pub light: Option<Light>,
    /// PWM outputs by our name (`shelf_light`).
    pub pwm: BTreeMap<String, pwm::PwmOutput>,
    /// Sensors by our name (`freezer`).
    pub sensors: BTreeMap<String, Sensor>,
    /// The camera, as a fact about the board.
    pub camera: Option<Camera>,
}

impl Board {
    /// The outputs whose safe state is active.
    pub fn active_when_safe(&self) -> BTreeSet<String> {
        let is_meant = |line: &Line| line.direction == Direction::Output && line.safe == Safe::Active;
        self.lines.iter().filter(|(_, line)| is_meant(line)).map(|(name, _)| name.clone()).collect()
    }
}

/// Which PCM is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PcmName {
    /// ALSA's own name (`plughw:CARD=Device`); `sim` for the simulated one.
    Alsa(String),
    /// A device of a card that is known by what does not change, and looked for anew at each opening.
    Card {
        /// The card.
        card: CardName,
        /// The device on it, counted from 0.
        device: u32,
    },
}

/// What does not change about a sound card. Its number does: it tells in which order cards were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CardName {
    /// Where it is plugged in, as the kernel names the port: `1-1.3`.
    Usb(String),
    /// Its serial number.
    Serial(String),
    /// The kernel's id of it (`Device`): of two cards of one kind the second gets another one.
    Id(String),
}

impl From<&str> for PcmName {
    fn from(name: &str) -> PcmName {
        PcmName::Alsa(name.to_string())
    }
}

impl From<String> for PcmName {
    fn from(name: String) -> PcmName {
        PcmName::Alsa(name)
    }
}

impl fmt::Display for PcmName {
    /// As a profile names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PcmName::Alsa(name) => f.write_str(name),
            PcmName::Card { card, device: 0 } => write!(f, "{card}"),
            PcmName::Card { card, device } => write!(f, "{card}, device {device},"),
        }
    }
}

impl fmt::Display for CardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CardName::Usb(path) => write!(f, "usb:{path}"),
            CardName::Serial(serial) => write!(f, "serial:{serial}"),
            CardName::Id(id) => write!(f, "id:{id}"),
        }
    }
}

/// One PCM.
#[derive(Clone, Debug, PartialEq)]
pub struct Pcm {
    /// Which one.
    pub pcm: PcmName,
    /// Rate to ask for, Hz; the device's nearest to 48000 where absent.
    pub rate_hz: Option<u32>,
    /// Channels to ask for; what the device has where absent.
    pub channels: Option<u32>,
    /// Which channel to use (capture only).
    pub pick: Pick,
    /// Period to ask for, ms.
    pub period_ms: u32,
}

/// How one channel comes out of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The mean of all.
    Average,
    /// This one, counted from 0.
    Channel(u32),
}

/// Who moves the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineDriver {
    /// The kernel's GPIO character device.
    Gpio,
    /// A folder with a FIFO per input and a file per output: boards without GPIO, tests, scripts.
    Files(std::path::PathBuf),
    /// Virtual lines of the simulated board.
    Sim,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Input or output.
    pub direction: Direction,
    /// The kernel's name (`GPIO17`), or `chip:offset` (`gpiochip0:17`).
    pub line: String,
    /// Which level is active.
    pub polarity: Polarity,
    /// Pull resistor (inputs).
    pub bias: Bias,
    /// How long a level must hold before an edge counts, ms (inputs).
    pub debounce_ms: u32,
    /// What an output is when nobody is there to look after it.
    pub safe: Safe,
}

/// The safe state of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safe {
    /// Inactive.
    Inactive,
    /// Active: a lock that must not open by itself, a pump that must not stop.
    Active,
}

/// Direction of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The program looks at it.
    Input,
    /// The program drives it.
    Output,
}

/// Which level means active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// High.
    ActiveHigh,
    /// Low.
    ActiveLow,
}

/// Pull resistor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// As the hardware has it.
    AsIs,
    /// To supply.
    PullUp,
    /// To ground.
    PullDown,
    /// None.
    Disabled,
}

/// A camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Camera {
    /// Who makes its pictures.
    pub source: CameraSource,
    /// Width to ask for, pixels.
    pub width: u32,
    /// Height to ask for, pixels.
    pub height: u32,
    /// Pictures of the first so many milliseconds are not used: the exposure is still being found.
    pub settle_ms: u32,
    /// The same picture, byte by byte, for so many seconds is a camera that stands still; 0 where that may be.
    pub frozen_after_s: u32,
}

/// Who makes a camera's pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameraSource {
    /// A V4L2 device, by its path.
    Device(std::path::PathBuf),
    /// A program that writes JPEG pictures one after the other.
    Program(CameraProgram),
    /// A camera on the network that answers with one picture each time it is asked.
    Url(CameraUrl),
    /// A folder of JPEG files, shown one after the other, over and over.
    Files(std::path::PathBuf),
    /// A drawn picture with a running clock.
    Test,
}

/// Where a picture is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraUrl {
    /// Whom.
    pub origin: Origin,
    /// Path and query.
    pub path: String,
    /// File that holds `user:password`, readable by its owner only; none where it asks for none.
    pub login_file: Option<std::path::PathBuf>,
}

/// Which program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameraProgram {
    /// The one for a Raspberry Pi's ribbon camera.
    Rpicam,
    /// The owner's own, with its arguments.
    Command(Vec<String>),
}

/// The chip and the offset of `gpiochip0:17`; none where the text is a line's name.
pub fn chip_and_offset(line: &str) -> Option<(&str, u32)> {
    let (chip, offset) = line.split_once(':')?;
    let number = chip.strip_prefix("gpiochip")?;
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|digit| digit.is_ascii_digit());
    if is_number(number) && is_number(offset) { Some((chip, offset.parse().ok()?)) } else { None }
}
