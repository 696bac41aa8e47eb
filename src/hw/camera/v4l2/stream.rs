//! A device's buffers: the kernel fills them, and the newest full one is looked at before it goes back.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use super::ioctl::{self, Filled, Wanted};

/// Buffers that are asked for: one is looked at, one is being filled, and two wait for a reader that was held up.
const BUFFERS: u32 = 4;
/// More than any camera's raw picture (24 megapixels of 16 bits): a driver that wants more is wrong.
const BUFFER_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// A device whose sensor runs; dropped, it is off and its memory is given back.
pub(super) struct Stream {
    // Unmapped before the device is closed.
    buffers: Vec<Mapping>,
    device: File,
    is_running: bool,
}

impl Stream {
    /// Starts the sensor of a device whose format is set.
    pub(super) fn start(device: File) -> io::Result<Stream> {
        let mut wanted = Wanted::new(BUFFERS);
        ioctl::ASK_BUFFERS.make(&device, &mut wanted)?;
        let mut stream = Stream { buffers: Vec::new(), device, is_running: false };
        for index in 0..wanted.count {
            let mut buffer = Filled::numbered(index);
            ioctl::ASK_BUFFER.make(&stream.device, &mut buffer)?;
            stream.buffers.push(Mapping::new(&stream.device, buffer.offset(), buffer.length)?);
            stream.give_back(buffer)?;
        }
        stream.is_running = true;
        ioctl::start(&stream.device)?;
        Ok(stream)
    }

    /// Takes the newest full buffer, if one is full; older ones go back unseen. It is to be given back.
    pub(super) fn newest(&mut self) -> io::Result<Option<Filled>> {
        let mut newest: Option<Filled> = None;
        // A driver that fills them faster than this must not keep us here.
        for _ in 0..2 * BUFFERS {
            let mut filled = Filled::numbered(0);
            match ioctl::TAKE.make(&self.device, &mut filled) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            if let Some(older) = newest.replace(filled) {
                self.give_back(older)?;
            }
        }
        Ok(newest)
    }

    /// What is in a buffer that was taken: the bytes that the driver says were written, no more.
    pub(super) fn bytes(&self, filled: &Filled) -> &[u8] {
        let buffer = usize::try_from(filled.index).ok().and_then(|index| self.buffers.get(index));
        buffer.map_or(&[], |buffer| buffer.bytes(filled.used_bytes as usize))
    }

    /// The kernel may fill it again.
    pub(super) fn give_back(&mut self, filled: Filled) -> io::Result<()> {
        ioctl::GIVE.make(&self.device, &mut Filled::numbered(filled.index))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.is_running {
            let _ = ioctl::stop(&self.device); // one that is gone needs no stopping, and closing stops it, too
        }
    }
}

/// A buffer of the device, seen from here.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory belongs to the process, not to the thread that mapped it, and nobody else has the pointer.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(device: &File, offset: u32, length: u32) -> io::Result<Mapping> {
        if length == 0 || length > BUFFER_BYTES_MAX {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("its driver wants buffers of {length} bytes")));
        }
        let bytes = length as usize;
        #[allow(clippy::unnecessary_fallible_conversions, reason = "offsets are 31 bits wide on some 32-bit machines")]
        let offset = libc::off_t::try_from(offset).map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
        // SAFETY: a new mapping at a place that the kernel chooses, of as many bytes as the driver said there are.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, libc::MAP_SHARED, device.as_raw_fd(), offset)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(ErrorKind::OutOfMemory)?;
        Ok(Mapping { start, length: bytes })
    }

    /// The first `used` bytes. Only while the buffer is taken: the device writes to it otherwise.
    fn bytes(&self, used: usize) -> &[u8] {
        // SAFETY: mapped for as long as `self`, and no more bytes than were mapped. Nobody writes to it: it is looked at
        // between taking it and giving it back (`Stream::bytes` has a taken one), and the mapping is for reading.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), used.min(self.length)) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and not used after this.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
