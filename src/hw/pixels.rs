//! A light that is a row of LEDs with a chip each, on an SPI bus: APA102 with a clock line, WS2812 without.
//!
//! Bytes go out by `write` on the bus's device file (Documentation/spi/spidev.rst, Linux 6.12): one write is one transfer
//! without gaps, as long as it fits into the driver's buffer (4096 bytes by default).
//!
//! - **APA102** (data sheet of 2013; SK9822 alike): four zero bytes, then for each LED three ones and five bits of current,
//!   blue, green, red; then clocks to push the last bits through the row. They are zeros here: ones would be taken for
//!   another LED's white by a row that is longer than told, and the SK9822 shows a frame only with 32 more zero bits.
//! - **WS2812** (data sheets of WS2812B and WS2812B-V5): a bit is a long or a short pulse, 1.25 µs from one to the next.
//!   Four bits of 312.5 ns each make one: `1110` and `1000`, which is within the tolerance of both (0.31 of 0.22–0.38 µs,
//!   0.94 of 0.65–0.95 µs). Three bits at 2.4 MHz, as often seen, are beyond that of V5. Two fit into a byte and each ends
//!   low, so that a bus that rests between bytes does no harm. Silence of 280 µs makes the row take the colours; the same
//!   before them brings a data line that rests high down.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

use super::{Glow, Light, LineTrouble, OR_THE_SERVICE};
use crate::config::board::{ColourOrder, PixelChip, PixelLight};

/// Clock of the bus for APA102: they take more, but 64 of them need only 2 ms.
const APA102_HZ: u32 = 1_000_000;
/// Four bits a bit of WS2812, which takes 800 kHz.
const WS2812_HZ: u32 = 3_200_000;
/// 300 µs at [`WS2812_HZ`].
const WS2812_SILENCE: usize = 120;

/// Opens the light and makes it dark.
///
/// # Errors
/// [`LineTrouble`] where the device is not there, is none of this kind, or may not be used.
pub fn open(wish: &PixelLight) -> Result<Box<dyn Light>, LineTrouble> {
    let bus =
        OpenOptions::new().write(true).open(&wish.spi_device).map_err(|error| trouble(&wish.spi_device, &error))?;
    let rate_hz = match wish.chip {
        PixelChip::Apa102 => APA102_HZ,
        PixelChip::Ws2812 => WS2812_HZ,
    };
    set_up(&bus, rate_hz).map_err(|error| trouble(&wish.spi_device, &error))?;
    let mut row = Row { bus, wish: wish.clone(), bytes: Vec::new() };
    row.show(&[])?;
    Ok(Box::new(row))
}

/// Clock idle low, data taken at its rise (mode 0), at this rate or what the bus has below it.
fn set_up(bus: &File, rate_hz: u32) -> io::Result<()> {
    const MAGIC: u32 = b'k' as u32; // linux/spi/spidev.h
    let (mode, rate_hz) = (0_u8, rate_hz);
    let write_mode = libc::_IOW::<u8>(MAGIC, 1);
    let write_rate = libc::_IOW::<u32>(MAGIC, 4);
    // SAFETY: the descriptor is open, and the kernel reads one u8 that outlives the call.
    if unsafe { libc::ioctl(bus.as_raw_fd(), write_mode, &raw const mode) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, and the kernel reads one u32 that outlives the call.
    if unsafe { libc::ioctl(bus.as_raw_fd(), write_rate, &raw const rate_hz) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn trouble(device: &Path, error: &io::Error) -> LineTrouble {
    let what = device.display().to_string();
    let why = match (error.kind(), error.raw_os_error()) {
        (ErrorKind::PermissionDenied, _) => {
            let remedy = format!(
                "add the user to the group `spi` (`sudo usermod -aG spi $USER`) and log in again; where there is no such \
                 group, install board/60-mynah-light.rules (board/README.md says how); {OR_THE_SERVICE}"
            );
            return LineTrouble::Denied { what, remedy };
        }
        (ErrorKind::NotFound, _) => {
            "there is no such device: switch SPI on (`dtparam=spi=on` in config.txt)".to_string()
        }
        (_, Some(libc::ENOTTY)) => "this is no SPI bus; name one such as \"/dev/spidev0.0\"".to_string(),
        _ => error.to_string(),
    };
    LineTrouble::Light { what, why }
}

struct Row<W> {
    bus: W,
    wish: PixelLight,
    /// What goes out, kept so that a frame allocates nothing.
    bytes: Vec<u8>,
}

impl<W: Write + Send> Light for Row<W> {
    fn lamps(&self) -> usize {
        self.wish.leds as usize
    }

    fn show(&mut self, glows: &[Glow]) -> Result<(), LineTrouble> {
        let lamps = self.wish.leds as usize;
        let Row { bus, wish, bytes } = self;
        let colours = (0..lamps).map(|index| in_order(*glows.get(index).unwrap_or(&Glow::DARK), wish));
        bytes.clear();
        match wish.chip {
            PixelChip::Apa102 => apa102(colours, bytes),
            PixelChip::Ws2812 => ws2812(colours, bytes),
        }
        match bus.write(bytes) {
            Ok(written) if written == bytes.len() => Ok(()),
            Ok(_) => {
                let why = "the bus takes too few bytes at once; set spidev.bufsiz=4096".to_string();
                Err(LineTrouble::Light { what: wish.spi_device.display().to_string(), why })
            }
            Err(error) => Err(trouble(&wish.spi_device, &error)),
        }
    }
}

/// The three bytes of a lamp.
fn in_order(glow: Glow, wish: &PixelLight) -> [u8; 3] {
    let power = glow.power() * wish.brightness_percent as f32 / 100.0;
    // A colour's own value is as the eye takes it, too; a channel that is to be lit never rounds down to dark.
    let channel = |value: u8| (f32::from(value) * f32::from(value) / 255.0 * power).ceil() as u8;
    let (red, green, blue) = (channel(glow.colour.red), channel(glow.colour.green), channel(glow.colour.blue));
    match wish.order {
        ColourOrder::Rgb => [red, green, blue],
        ColourOrder::Rbg => [red, blue, green],
        ColourOrder::Grb => [green, red, blue],
        ColourOrder::Gbr => [green, blue, red],
        ColourOrder::Brg => [blue, red, green],
        ColourOrder::Bgr => [blue, green, red],
    }
}

/// A frame for a row of APA102.
fn apa102(colours: impl ExactSizeIterator<Item = [u8; 3]>, bytes: &mut Vec<u8>) {
    const FULL_CURRENT: u8 = 0b1110_0000 | 31;
    let lamps = colours.len();
    bytes.extend([0; 4]);
    for colour in colours {
        bytes.push(FULL_CURRENT);
        bytes.extend(colour);
    }
    // The SK9822's frame of 32 bits, then half a clock for each lamp.
    bytes.resize(bytes.len() + 4 + lamps.div_ceil(16), 0);
}

/// A frame for a row of WS2812.
fn ws2812(colours: impl Iterator<Item = [u8; 3]>, bytes: &mut Vec<u8>) {
    const PULSES: [u8; 4] = [0b1000_1000, 0b1000_1110, 0b1110_1000, 0b1110_1110];
    bytes.resize(WS2812_SILENCE, 0);
    for byte in colours.flatten() {
        bytes.extend([6, 4, 2, 0].map(|shift| PULSES[usize::from(byte >> shift & 0b11)]));
    }
    bytes.resize(bytes.len() + WS2812_SILENCE, 0);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::board::light::LEDS_MAX;
    use crate::hw::Rgb;

    fn row(chip: PixelChip, leds: u32, order: ColourOrder, brightness_percent: u32) -> Row<Vec<u8>> {
        let wish = PixelLight { chip, spi_device: "/dev/spidev0.0".into(), leds, order, brightness_percent };
        Row { bus: Vec::new(), wish, bytes: Vec::new() }
    }

    fn glow(percent: u8, red: u8, green: u8, blue: u8) -> Glow {
        Glow { percent, colour: Rgb { red, green, blue } }
    }

    fn shown(mut row: Row<Vec<u8>>, glows: &[Glow]) -> Vec<u8> {
        row.show(glows).unwrap();
        row.bus
    }

    #[test]
    fn apa102_frames_are_as_in_the_data_sheet() {
        let three = row(PixelChip::Apa102, 3, ColourOrder::Bgr, 100);
        let sent = shown(three, &[glow(100, 255, 0, 0), glow(50, 0, 255, 0), glow(100, 0, 0, 255)]);
        let expected = [
            [0, 0, 0, 0],
            [0xff, 0, 0, 255],
            [0xff, 0, 64, 0], // half as bright is a quarter of the power
            [0xff, 255, 0, 0],
            [0, 0, 0, 0],
        ];
        assert_eq!(sent, [&expected.concat()[..], &[0]].concat());
        // 17 lamps want 9 more clocks after the last: two bytes.
        let long = shown(row(PixelChip::Apa102, 17, ColourOrder::Bgr, 100), &[]);
        assert_eq!(long.len(), 4 + 17 * 4 + 4 + 2);
        assert_eq!(long[4..8], [0xff, 0, 0, 0], "what is missing is dark");
    }

    #[test]
    fn ws2812_pulses_are_as_in_the_data_sheet() {
        let sent = shown(row(PixelChip::Ws2812, 1, ColourOrder::Grb, 100), &[glow(100, 255, 0, 129)]);
        let (silence, rest) = sent.split_at(WS2812_SILENCE);
        let (pulses, end) = rest.split_at(12);
        assert_eq!((silence.iter().all(|byte| *byte == 0), end), (true, silence));
        let (green, red_blue) = pulses.split_at(4);
        let (red, blue) = red_blue.split_at(4);
        assert_eq!(green, [0x88; 4]);
        assert_eq!(red, [0xee; 4]);
        // 129 is half as bright as 255 to the eye: 66 = 0b0100_0010.
        assert_eq!(blue, [0x8e, 0x88, 0x88, 0xe8]);
        assert!(silence.len() as f64 * 8.0 / f64::from(WS2812_HZ) >= 280e-6);
    }

    #[test]
    fn orders_and_brightness_are_the_profiles() {
        let colour = glow(100, 255, 128, 0);
        for (order, expected) in [
            (ColourOrder::Rgb, [255, 65, 0]),
            (ColourOrder::Rbg, [255, 0, 65]),
            (ColourOrder::Grb, [65, 255, 0]),
            (ColourOrder::Gbr, [65, 0, 255]),
            (ColourOrder::Brg, [0, 255, 65]),
            (ColourOrder::Bgr, [0, 65, 255]),
        ] {
            assert_eq!(shown(row(PixelChip::Apa102, 1, order, 100), &[colour])[5..8], expected);
        }
        assert_eq!(shown(row(PixelChip::Apa102, 1, ColourOrder::Rgb, 20), &[colour])[5..8], [51, 13, 0]);
        // The dimmest is not dark.
        assert_eq!(shown(row(PixelChip::Apa102, 1, ColourOrder::Rgb, 1), &[glow(10, 255, 255, 0)])[5..8], [1, 1, 0]);
    }

    #[test]
    fn the_longest_row_fits_into_the_kernels_buffer() {
        for chip in [PixelChip::Apa102, PixelChip::Ws2812] {
            assert!(shown(row(chip, LEDS_MAX, ColourOrder::Grb, 100), &[]).len() <= 4096);
        }
    }

    #[test]
    fn a_device_that_is_none_is_told_with_what_to_do() {
        for (device, pieces) in
            [("/dev/spidev-none", ["/dev/spidev-none", "dtparam=spi=on"]), ("/dev/null", ["/dev/null", "no SPI bus"])]
        {
            let wish = row(PixelChip::Ws2812, 1, ColourOrder::Grb, 40).wish;
            let trouble = open(&PixelLight { spi_device: device.into(), ..wish }).err().unwrap().to_string();
            assert!(pieces.iter().all(|piece| trouble.contains(piece)), "{trouble}");
        }
        let denied = trouble(Path::new("/dev/spidev0.0"), &io::Error::from_raw_os_error(libc::EACCES));
        assert!(denied.to_string().contains("usermod -aG spi"), "{denied}");
    }
}
