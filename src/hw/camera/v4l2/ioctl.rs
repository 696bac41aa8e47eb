//! What a program and the kernel's V4L2 hand each other, byte by byte as the kernel lays it out.
//!
//! Source: include/uapi/linux/videodev2.h of Linux 6.1. A request's number has the size of what it carries in it
//! (asm-generic/ioctl.h), so a wrong layout is refused, not misread; the sizes are held below. The time in [`Filled`] is
//! two 64-bit numbers on every machine: 32-bit kernels take that since 5.6, and the lines need 5.10 anyway.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::os::fd::AsRawFd;

/// All requests are V4L2's.
const V4L2: u32 = b'V' as u32;

/// V4L2_BUF_TYPE_VIDEO_CAPTURE: pictures that come in one piece.
const CAPTURE: u32 = 1;
/// V4L2_MEMORY_MMAP: the driver's own memory, seen by the program.
const MEMORY_MMAP: u32 = 1;

/// V4L2_CAP_VIDEO_CAPTURE
pub(super) const CAN_CAPTURE: u32 = 0x1;
/// V4L2_CAP_STREAMING
pub(super) const CAN_STREAM: u32 = 0x0400_0000;
/// V4L2_CAP_IO_MC: one part of a ribbon camera's chain, of no use alone.
pub(super) const IS_PART: u32 = 0x2000_0000;
/// V4L2_CAP_DEVICE_CAPS: `device_caps` holds what this device file can.
const HAS_OWN: u32 = 0x8000_0000;
/// V4L2_CAP_TIMEPERFRAME
const CAN_BE_PACED: u32 = 0x1000;
/// V4L2_BUF_FLAG_ERROR
const IS_DAMAGED: u32 = 0x40;
/// V4L2_BUF_FLAG_TIMESTAMP_MASK and V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC
const CLOCK: (u32, u32) = (0xe000, 0x2000);
/// V4L2_FRMSIZE_TYPE_DISCRETE
const DISCRETE: u32 = 1;

/// A request, and what it carries.
pub(super) struct Request<T> {
    number: libc::Ioctl,
    carries: PhantomData<T>,
}

impl<T> Request<T> {
    const fn new(number: libc::Ioctl) -> Request<T> {
        Request { number, carries: PhantomData }
    }

    /// Makes it, and once more after a signal.
    pub(super) fn make(&self, device: &File, what: &mut T) -> io::Result<()> {
        loop {
            // SAFETY: the descriptor is open, and `what` is a live value of the type whose size the number holds: the kernel
            // reads and writes so many bytes and no more. Requests are only made below, each for plain numbers.
            if unsafe { libc::ioctl(device.as_raw_fd(), self.number, std::ptr::from_mut(what)) } >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

pub(super) const ASK_ABILITIES: Request<Abilities> = Request::new(libc::_IOR::<Abilities>(V4L2, 0));
pub(super) const ASK_KIND: Request<Kind> = Request::new(libc::_IOWR::<Kind>(V4L2, 2));
pub(super) const SET_FORMAT: Request<Format> = Request::new(libc::_IOWR::<Format>(V4L2, 5));
pub(super) const ASK_BUFFERS: Request<Wanted> = Request::new(libc::_IOWR::<Wanted>(V4L2, 8));
pub(super) const ASK_BUFFER: Request<Filled> = Request::new(libc::_IOWR::<Filled>(V4L2, 9));
pub(super) const GIVE: Request<Filled> = Request::new(libc::_IOWR::<Filled>(V4L2, 15));
pub(super) const TAKE: Request<Filled> = Request::new(libc::_IOWR::<Filled>(V4L2, 17));
const START: Request<i32> = Request::new(libc::_IOW::<i32>(V4L2, 18));
const STOP: Request<i32> = Request::new(libc::_IOW::<i32>(V4L2, 19));
const ASK_PACE: Request<Pace> = Request::new(libc::_IOWR::<Pace>(V4L2, 21));
const SET_PACE: Request<Pace> = Request::new(libc::_IOWR::<Pace>(V4L2, 22));
pub(super) const ASK_SIZE: Request<Size> = Request::new(libc::_IOWR::<Size>(V4L2, 74));

/// The sensor runs from now on.
pub(super) fn start(device: &File) -> io::Result<()> {
    START.make(device, &mut (CAPTURE as i32))
}

/// The sensor is off, and all buffers are the program's.
pub(super) fn stop(device: &File) -> io::Result<()> {
    STOP.make(device, &mut (CAPTURE as i32))
}

/// Asks for so many pictures a second; a driver takes the nearest that it has, or ignores it.
pub(super) fn set_pace(device: &File, per_second: u32) -> io::Result<()> {
    let mut pace = Pace { kind: CAPTURE, ability: 0, mode: 0, seconds: (0, 0), rest: [0; 184] };
    ASK_PACE.make(device, &mut pace)?;
    if pace.ability & CAN_BE_PACED != 0 {
        pace.seconds = (1, per_second);
        SET_PACE.make(device, &mut pace)?;
    }
    Ok(())
}

/// `struct v4l2_capability`
#[repr(C)]
#[derive(Default)]
pub(super) struct Abilities {
    pub(super) driver: [u8; 16],
    pub(super) card: [u8; 32],
    pub(super) bus: [u8; 32],
    version: u32,
    all: u32,
    own: u32,
    reserved: [u32; 3],
}

impl Abilities {
    /// What this device file can, a bit each.
    pub(super) fn bits(&self) -> u32 {
        if self.all & HAS_OWN != 0 { self.own } else { self.all }
    }
}

/// `struct v4l2_fmtdesc`
#[repr(C)]
#[derive(Default)]
pub(super) struct Kind {
    index: u32,
    kind: u32,
    flags: u32,
    description: [u8; 32],
    pub(super) code: u32,
    mbus_code: u32,
    reserved: [u32; 3],
}

impl Kind {
    pub(super) fn numbered(index: u32) -> Kind {
        Kind { index, kind: CAPTURE, ..Kind::default() }
    }
}

/// `struct v4l2_frmsizeenum`
#[repr(C)]
#[derive(Default)]
pub(super) struct Size {
    index: u32,
    code: u32,
    kind: u32,
    /// Width and height; or, of many, width's least, most and step, and height's.
    numbers: [u32; 6],
    reserved: [u32; 2],
}

impl Size {
    pub(super) fn numbered(index: u32, code: u32) -> Size {
        Size { index, code, ..Size::default() }
    }

    /// Width and height, pixels; the largest where there are many.
    pub(super) fn largest(&self) -> (u32, u32) {
        if self.kind == DISCRETE { (self.numbers[0], self.numbers[1]) } else { (self.numbers[1], self.numbers[4]) }
    }
}

/// `struct v4l2_format` with `struct v4l2_pix_format` in it.
#[repr(C)]
pub(super) struct Format {
    kind: u32,
    // The union behind it holds pointers in another use.
    #[cfg(target_pointer_width = "64")]
    padding: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) code: u32,
    field: u32,
    pub(super) line_bytes: u32,
    pub(super) picture_bytes: u32,
    rest: [u8; 200 - 6 * 4],
}

impl Format {
    pub(super) fn new(width: u32, height: u32, code: u32) -> Format {
        Format {
            kind: CAPTURE,
            #[cfg(target_pointer_width = "64")]
            padding: 0,
            width,
            height,
            code,
            field: 0,
            line_bytes: 0,
            picture_bytes: 0,
            rest: [0; 200 - 6 * 4],
        }
    }
}

/// `struct v4l2_streamparm` with `struct v4l2_captureparm` in it.
#[repr(C)]
pub(super) struct Pace {
    kind: u32,
    ability: u32,
    mode: u32,
    /// From one picture to the next: a fraction.
    seconds: (u32, u32),
    rest: [u8; 184],
}

/// `struct v4l2_requestbuffers`
#[repr(C)]
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) count: u32,
    kind: u32,
    memory: u32,
    abilities: u32,
    flags: u32,
}

impl Wanted {
    pub(super) fn new(count: u32) -> Wanted {
        Wanted { count, kind: CAPTURE, memory: MEMORY_MMAP, ..Wanted::default() }
    }
}

/// `struct v4l2_buffer`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filled {
    pub(super) index: u32,
    kind: u32,
    pub(super) used_bytes: u32,
    flags: u32,
    field: u32,
    /// Seconds and microseconds.
    at: [i64; 2],
    timecode: [u32; 4],
    sequence: u32,
    memory: u32,
    /// Where it lies in the device's memory; as wide as a pointer, which it may be in another use.
    place: usize,
    pub(super) length: u32,
    reserved: u32,
    request: i32,
}

impl Filled {
    pub(super) fn numbered(index: u32) -> Filled {
        Filled { index, kind: CAPTURE, memory: MEMORY_MMAP, ..Filled::default() }
    }

    /// Where it lies in the device's memory. The kernel writes 32 bits of it.
    pub(super) fn offset(&self) -> u32 {
        let bytes = self.place.to_ne_bytes();
        bytes.first_chunk().map_or(0, |first| u32::from_ne_bytes(*first))
    }

    pub(super) fn is_whole(&self) -> bool {
        self.flags & IS_DAMAGED == 0 && self.used_bytes > 0
    }

    /// When it was filled, µs of the machine's monotonic clock, where the driver says so.
    pub(super) fn at_us(&self) -> Option<u64> {
        let (mask, monotonic) = CLOCK;
        let [s, us] = self.at.map(|part| u64::try_from(part).ok());
        (self.flags & mask == monotonic).then_some(s?.saturating_mul(1_000_000).saturating_add(us?))
    }
}

// The same on all machines.
const _: () = assert!(size_of::<Abilities>() == 104);
const _: () = assert!(size_of::<Kind>() == 64);
const _: () = assert!(size_of::<Size>() == 44);
const _: () = assert!(size_of::<Pace>() == 204);
const _: () = assert!(size_of::<Wanted>() == 20);
// A pointer's width more or less (gcc's sizeof of the header's own structs, amd64, arm64 and armhf).
const _: () = assert!(size_of::<Format>() == if cfg!(target_pointer_width = "64") { 208 } else { 204 });
#[cfg(any(target_pointer_width = "64", target_arch = "arm"))]
const _: () = assert!(size_of::<Filled>() == if cfg!(target_pointer_width = "64") { 88 } else { 80 });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn requests_have_the_numbers_that_strace_shows_of_other_programs() {
        let numbers = [
            (ASK_ABILITIES.number, 0x8068_5600),
            (ASK_KIND.number, 0xc040_5602),
            (SET_FORMAT.number, 0xc0d0_5605),
            (ASK_BUFFERS.number, 0xc014_5608),
            (ASK_BUFFER.number, 0xc058_5609),
            (GIVE.number, 0xc058_560f),
            (TAKE.number, 0xc058_5611),
            (START.number, 0x4004_5612),
            (STOP.number, 0x4004_5613),
            (ASK_PACE.number, 0xc0cc_5615),
            (SET_PACE.number, 0xc0cc_5616),
            (ASK_SIZE.number, 0xc02c_564a),
        ];
        for (number, expected) in numbers {
            assert_eq!(number, expected, "{number:#x} is not {expected:#x}");
        }
    }

    #[test]
    fn a_time_counts_only_where_it_is_the_monotonic_clocks() {
        let filled = Filled { flags: 0x2000, at: [3, 250_000], ..Filled::default() };
        assert_eq!(filled.at_us(), Some(3_250_000));
        assert_eq!(Filled { flags: 0x4000, ..filled }.at_us(), None);
        assert_eq!(Filled { at: [-1, 0], ..filled }.at_us(), None);
    }
}
