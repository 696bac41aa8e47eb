//! Pictures of cameras that give no JPEG: brightness and colour as the sensor has them, made into one.
//!
//! Cheap cameras give YUYV, some only NV12: brightness of each pixel, 16–235, and two colour differences, 16–240, that
//! neighbours share (ITU-R BT.601). The encoder asks for pixels and gets them calculated: there is no copy in between.

use image::codecs::jpeg::JpegEncoder;
use image::{GenericImageView, Rgb};

use crate::still::Jpeg;

/// No visible loss for a reader of labels, and a tenth of the raw bytes.
const QUALITY_PERCENT: u8 = 80;

/// How the bytes of a picture lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Two pixels in four bytes: brightness, blue, brightness, red.
    Yuyv,
    /// All brightness; below it, for squares of four pixels, blue and red in turn.
    Nv12,
}

impl Layout {
    /// Bytes of a line of so many pixels, at least.
    pub fn line_bytes(self, width: u32) -> u32 {
        let even = width.div_ceil(2).saturating_mul(2);
        match self {
            Layout::Yuyv => even.saturating_mul(2),
            Layout::Nv12 => even,
        }
    }
}

/// A picture in memory that somebody else owns.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// How it lies there.
    pub layout: Layout,
    /// Pixels.
    pub width: u16,
    /// Pixels.
    pub height: u16,
    /// From one line to the next; more than [`Layout::line_bytes`] where lines are padded.
    pub line_bytes: usize,
    /// `[lines, line_bytes]`; what is missing is black.
    pub bytes: &'a [u8],
}

impl Raw<'_> {
    /// Whether all of it is there: cameras whose cable is bad give less.
    pub fn is_whole(&self) -> bool {
        let (lines, needed) = (usize::from(self.height), self.layout.line_bytes(self.width.into()) as usize);
        let lines = match self.layout {
            Layout::Yuyv => lines,
            Layout::Nv12 => lines + lines.div_ceil(2),
        };
        // The last line's padding is of no use to anybody.
        let all = self.line_bytes.saturating_mul(lines.saturating_sub(1)).saturating_add(needed);
        self.line_bytes >= needed && self.bytes.len() >= all
    }

    /// The picture as a JPEG file.
    ///
    /// # Errors
    /// A size that is none, as a sentence.
    pub fn encode(&self) -> Result<Jpeg, String> {
        let mut jpeg = Vec::new();
        let written = JpegEncoder::new_with_quality(&mut jpeg, QUALITY_PERCENT).encode_image(self);
        written.map_err(|error| format!("the picture cannot be made into JPEG: {error}"))?;
        Ok(jpeg.into())
    }

    fn at(&self, line: usize, byte: usize) -> i32 {
        self.bytes.get(line * self.line_bytes + byte).copied().unwrap_or(0).into()
    }
}

impl GenericImageView for Raw<'_> {
    type Pixel = Rgb<u8>;

    fn dimensions(&self) -> (u32, u32) {
        (self.width.into(), self.height.into())
    }

    fn get_pixel(&self, x: u32, y: u32) -> Rgb<u8> {
        let (x, y) = (x as usize, y as usize);
        let pair = x / 2 * 2;
        match self.layout {
            Layout::Yuyv => rgb(self.at(y, 2 * x), self.at(y, 2 * pair + 1), self.at(y, 2 * pair + 3)),
            Layout::Nv12 => {
                let below = usize::from(self.height) + y / 2;
                rgb(self.at(y, x), self.at(below, pair), self.at(below, pair + 1))
            }
        }
    }
}

/// Brightness, blue and red as BT.601 has them, in 256ths: 1.164, 1.596, 0.392, 0.813 and 2.017.
fn rgb(brightness: i32, blue: i32, red: i32) -> Rgb<u8> {
    let (light, blue, red) = (298 * (brightness - 16) + 128, blue - 128, red - 128);
    let part = |sum: i32| (sum >> 8).clamp(0, 255) as u8;
    Rgb([part(light + 409 * red), part(light - 100 * blue - 208 * red), part(light + 516 * blue)])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image::ImageDecoder;
    use image::codecs::jpeg::JpegDecoder;

    use super::*;

    /// Brightness, blue and red of the colours that every test picture has (BT.601, of 75 %: ITU-R BT.801).
    const BARS: [([u8; 3], [u8; 3]); 5] = [
        ([235, 128, 128], [255, 255, 255]),
        ([162, 44, 142], [191, 191, 0]),
        ([84, 184, 198], [191, 0, 191]),
        ([65, 100, 212], [191, 0, 0]),
        ([16, 128, 128], [0, 0, 0]),
    ];

    fn is_near(seen: Rgb<u8>, expected: [u8; 3], by: u8) -> bool {
        seen.0.iter().zip(expected).all(|(seen, expected)| seen.abs_diff(expected) <= by)
    }

    #[test]
    fn the_colours_of_the_test_picture_come_out_as_they_are_named() {
        for ([brightness, blue, red], expected) in BARS {
            let seen = rgb(brightness.into(), blue.into(), red.into());
            assert!(is_near(seen, expected, 2), "{seen:?} is not {expected:?}");
        }
    }

    #[test]
    fn a_pixel_is_found_in_either_layout_with_padded_lines_and_an_odd_width() {
        let yuyv = Raw {
            layout: Layout::Yuyv,
            width: 3,
            height: 2,
            line_bytes: 10,
            bytes: &[
                16, 128, 235, 128, 65, 100, 65, 212, 9, 9, //
                65, 100, 65, 212, 16, 128, 16, 128,
            ],
        };
        let nv12 = Raw {
            layout: Layout::Nv12,
            width: 3,
            height: 2,
            line_bytes: 6,
            bytes: &[
                16, 235, 65, 65, 9, 9, //
                16, 16, 65, 65, 9, 9, //
                128, 128, 100, 212,
            ],
        };
        for raw in [yuyv, nv12] {
            assert!(raw.is_whole());
            let row: Vec<Rgb<u8>> = (0..3).map(|x| raw.get_pixel(x, 0)).collect();
            let fits = is_near(row[0], [0; 3], 2) && is_near(row[1], [255; 3], 2) && is_near(row[2], [191, 0, 0], 2);
            assert!(fits, "{:?} {row:?}", raw.layout);
            let short = Raw { bytes: &raw.bytes[..raw.bytes.len() - 1], ..raw };
            assert!(!short.is_whole(), "{:?}", raw.layout);
        }
        assert!(!Raw { line_bytes: 7, ..yuyv }.is_whole(), "lines that overlap are none");
    }

    #[test]
    fn a_picture_becomes_a_file_that_others_read() {
        let line: Vec<u8> = [65, 100, 65, 212].repeat(32);
        let bytes = line.repeat(48);
        let raw = Raw { layout: Layout::Yuyv, width: 64, height: 48, line_bytes: 128, bytes: &bytes };
        let jpeg = raw.encode().unwrap();
        let decoder = JpegDecoder::new(std::io::Cursor::new(&*jpeg)).unwrap();
        assert_eq!(decoder.dimensions(), (64, 48));
        let mut pixels = vec![0; decoder.total_bytes() as usize];
        decoder.read_image(&mut pixels).unwrap();
        assert!(is_near(Rgb([pixels[0], pixels[1], pixels[2]]), [191, 0, 0], 8), "{:?}", &pixels[..3]);
    }

    #[test]
    fn what_is_missing_is_black_and_no_size_is_said_to_be_none() {
        let raw = Raw { layout: Layout::Nv12, width: 64, height: 48, line_bytes: 64, bytes: &[] };
        assert!(!raw.is_whole() && raw.encode().is_ok());
        assert!(Raw { width: 0, ..raw }.encode().unwrap_err().contains("cannot be made"));
    }
}
