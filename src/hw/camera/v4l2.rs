//! A camera that the kernel has a driver for: USB cameras, through V4L2.
//!
//! Its own JPEG is taken as it is; where it has none, raw pictures are made into JPEG here. No library stands in between:
//! those there are read more than the driver says was written, or wait for a camera that hangs for ever.

mod holder;
mod ioctl;
pub mod offer;
mod stream;

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::ioctl::{Filled, Format};
use self::offer::Kind;
use self::stream::Stream;
use crate::config::board;
use crate::eyes::raw::Raw;
use crate::eyes::splitter::Splitter;
use crate::hw::poll::wait_readable;
use crate::hw::{Camera, CameraTrouble, Clock, OR_THE_SERVICE};
use crate::still::{Jpeg, Still};
use crate::units::Time;

/// Pictures a second that are asked for: a still is at most half a second old when it goes, and each costs bus and power.
const PER_SECOND: u32 = 5;
/// A camera that gives more is looked at no more often. A little less than the time between the pictures asked for.
const JPEG_EVERY: Duration = Duration::from_millis(150);
/// Making JPEG of 1280×720 takes 45 ms of a desk's core and several times that on a small board: as seldom as pictures
/// may be that are to be half a second old at most.
const RAW_EVERY: Duration = Duration::from_millis(400);
/// Times in a row that a picture may be announced and not be there: a driver in trouble must not keep a core busy.
const EMPTY_MAX: u32 = 3;

/// Starts the sensor of `device`.
///
/// # Errors
/// [`CameraTrouble`].
pub(super) fn start(
    device: &Path,
    wish: &board::Camera,
    clock: Arc<dyn Clock>,
) -> Result<Box<dyn Camera>, CameraTrouble> {
    Running::start(device, wish, clock)
        .map(|camera| Box::new(camera) as Box<dyn Camera>)
        .map_err(|error| refused(device, &error))
}

/// A device's pictures: how they lie in its memory.
#[derive(Clone, Copy, Debug)]
struct Shape {
    kind: Kind,
    width: u16,
    height: u16,
    line_bytes: usize,
}

/// A camera whose sensor runs.
struct Running {
    name: String,
    stream: Stream,
    shape: Shape,
    clock: Arc<dyn Clock>,
    /// When no picture was waiting that is not taken by now: the next one is no older.
    empty_at: Time,
    used_at: Option<Instant>,
}

impl Running {
    fn start(path: &Path, wish: &board::Camera, clock: Arc<dyn Clock>) -> io::Result<Running> {
        let device = open(path)?;
        let offer = offer::ask(&device)?;
        let kind = offer.choose().map_err(io::Error::other)?;
        let shape = set(&device, kind, wish)?;
        // One that cannot be asked for fewer gives what it gives.
        let _ = ioctl::set_pace(&device, PER_SECOND);
        let empty_at = clock.now();
        let name = path.display().to_string();
        Ok(Running { name, stream: Stream::start(device)?, shape, clock, empty_at, used_at: None })
    }

    fn take(&mut self) -> io::Result<Seen> {
        // All that wait are taken: what comes next was not there at this moment.
        let looked_at = self.clock.now();
        let newest = self.stream.newest()?;
        let was_empty_at = std::mem::replace(&mut self.empty_at, looked_at);
        let Some(filled) = newest else { return Ok(Seen::Nothing) };
        let taken_at = self.taken_at(&filled, was_empty_at);
        let picture = if self.is_due() && filled.is_whole() { self.picture(&filled) } else { None };
        self.stream.give_back(filled)?;
        let Some((jpeg, width, height)) = picture else { return Ok(Seen::NoUse) };
        self.used_at = Some(Instant::now());
        Ok(Seen::Picture(Still { jpeg, width, height, taken_at }))
    }

    fn is_due(&self) -> bool {
        let every = if self.shape.kind == Kind::Jpeg { JPEG_EVERY } else { RAW_EVERY };
        self.used_at.is_none_or(|used_at| used_at.elapsed() >= every)
    }

    /// The picture in a buffer, as JPEG; none where it is broken: the next one comes soon.
    fn picture(&self, filled: &Filled) -> Option<(Jpeg, u16, u16)> {
        let Shape { kind, width, height, line_bytes } = self.shape;
        let bytes = self.stream.bytes(filled);
        match kind {
            Kind::Jpeg => {
                let picture = Splitter::default().push(bytes)?;
                Some((picture.jpeg, picture.size.width, picture.size.height))
            }
            Kind::Raw(layout) => {
                let raw = Raw { layout, width, height, line_bytes, bytes };
                let jpeg = raw.encode().ok().filter(|_| raw.is_whole())?;
                Some((jpeg, width, height))
            }
        }
    }

    /// When it was filled: as the driver says, if it says it by our clock; never before there was none.
    fn taken_at(&self, filled: &Filled, was_empty_at: Time) -> Time {
        let now = self.clock.now();
        let age = filled.at_us().map(|at_us| Duration::from_micros(monotonic_us().saturating_sub(at_us)));
        age.map_or(was_empty_at, |age| now.back(age).max(was_empty_at))
    }

    fn lost(&self, error: &io::Error) -> CameraTrouble {
        let name = &self.name;
        let why = match error.raw_os_error() {
            Some(libc::ENODEV | libc::ENXIO) => format!("{name} was unplugged"),
            Some(libc::EIO) => format!("{name} gives no more pictures: look at its cable and its power"),
            _ => format!("{name} gives no more pictures: {error}"),
        };
        CameraTrouble::Lost { why }
    }
}

/// What a look at the buffers gave.
enum Seen {
    Picture(Still),
    /// One that is damaged, or too soon after the last.
    NoUse,
    Nothing,
}

impl Camera for Running {
    fn next(&mut self, timeout: Duration) -> Result<Option<Still>, CameraTrouble> {
        let until = Instant::now() + timeout;
        let mut empty = 0;
        while empty <= EMPTY_MAX {
            match self.take().map_err(|error| self.lost(&error))? {
                Seen::Picture(still) => return Ok(Some(still)),
                Seen::NoUse => empty = 0,
                Seen::Nothing => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let is_there = wait_readable(self.stream.as_fd(), left).map_err(|error| self.lost(&error))?;
            empty += u32::from(is_there);
        }
        Err(self.lost(&io::Error::other("its driver announces some and has none")))
    }
}

pub(super) fn open(path: &Path) -> io::Result<File> {
    // Taking a picture answers at once; waiting has an end of its own.
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Asks for this kind of picture in about the size that is wished. The driver chooses the nearest that it has.
fn set(device: &File, kind: Kind, wish: &board::Camera) -> io::Result<Shape> {
    let mut format = Format::new(wish.width, wish.height, kind.code());
    ioctl::SET_FORMAT.make(device, &mut format)?;
    let (width, height) = (u16::try_from(format.width), u16::try_from(format.height));
    let (Ok(width @ 1..), Ok(height @ 1..), true) = (width, height, format.code == kind.code()) else {
        let got = format!("{}, {}×{}", offer::name(format.code), format.width, format.height);
        return Err(io::Error::other(format!("its driver offers {} and gives {got}", offer::name(kind.code()))));
    };
    Ok(Shape { kind, width, height, line_bytes: format.line_bytes as usize })
}

/// Now, µs of the clock that drivers stamp pictures with.
#[allow(clippy::useless_conversion, reason = "time is 32 bits wide on some 32-bit machines")]
fn monotonic_us() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a live timespec for the kernel to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let part = |part: i64| u64::try_from(part).unwrap_or(0);
    part(now.tv_sec.into()) * 1_000_000 + part(now.tv_nsec.into()) / 1000
}

/// Why the sensor does not start, and what to do.
fn refused(device: &Path, error: &io::Error) -> CameraTrouble {
    let name = device.display();
    let missing = |why: String| CameraTrouble::Missing { why: format!("{name} {why}") };
    match (error.kind(), error.raw_os_error()) {
        (ErrorKind::NotFound, _) => missing("is not there: plug it in; `mynah devices` lists the cameras there are".into()),
        (ErrorKind::PermissionDenied, _) => missing(format!(
            "may not be used by this user: add it to the group `video` (`sudo usermod -aG video $USER`) and log in again; \
             {OR_THE_SERVICE}"
        )),
        (_, Some(libc::EBUSY)) => missing(match holder::of(device) {
            Some(holder) => format!("is in use: {holder} holds it; stop that program"),
            None => format!("is in use: stop the program that holds it (`sudo fuser -v {name}` tells which)"),
        }),
        (_, Some(libc::ENOSPC)) => missing(
            "finds no room on its USB bus: ask for a smaller picture (`width`, `height`), or put it on another port, away \
             from other cameras"
                .into(),
        ),
        (_, Some(libc::ENOTTY)) => missing("is no camera; `mynah devices` lists the cameras there are".into()),
        (_, Some(_)) => CameraTrouble::Lost {
            why: format!("{name} does not start: {error}; look at its cable and its power, and plug it in anew"),
        },
        (_, None) => missing(format!("cannot be used: {error}")),
    }
}

#[cfg(test)]
#[path = "v4l2/tests.rs"]
mod tests;
