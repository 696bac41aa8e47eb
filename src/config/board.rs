//! The board profile, `board/NAME.toml`: PCM names, rates, lines, camera.

use std::collections::BTreeMap;

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
    /// Which driver the lines have.
    pub driver: LineDriver,
    /// Lines by our name (`talk`, `lamp`).
    pub lines: BTreeMap<String, Line>,
    /// The camera, as a fact about the board.
    pub camera: Option<Camera>,
}

/// One PCM.
#[derive(Clone, Debug, PartialEq)]
pub struct Pcm {
    /// ALSA name (`plughw:CARD=Device`); `sim` for the simulated one.
    pub pcm: String,
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
    /// `v4l2` device path or `rpicam`.
    pub source: String,
}
