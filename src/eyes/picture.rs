//! Pictures that cannot go as they are: too large ones are made anew, black ones are noticed.

use std::io::Cursor;

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{DynamicImage, ImageDecoder, ImageEncoder, Limits};

use crate::still::Still;

/// What a decoder may take of memory: a picture of 12 megapixels with its scratch.
const DECODER_BYTES_MAX: u64 = 96 * 1024 * 1024;
/// A picture of fewer bytes for a pixel has nearly nothing on it: only such a one is looked at.
const BLACK_BYTES_PER_PIXEL: f64 = 0.04;
/// The mean of a black picture, of 255: what a sensor's noise leaves under a cap.
const BLACK_MEAN_MAX: f64 = 18.0;
/// The brightest hundredth of its pixels: a lamp in the night is not black.
const BLACK_PEAK_MAX: u8 = 40;

/// What pictures may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Longest side, pixels.
    pub longest_side_px: u32,
    /// JPEG quality of one that is made anew, percent.
    pub quality_percent: u8,
    /// Bytes that one may have as the camera made it.
    pub still_bytes: usize,
}

/// The picture as it may be sent: itself where it fits, and otherwise scaled down and made anew. Its age stays.
///
/// # Errors
/// It cannot be read, as a sentence.
pub fn fit(still: Still, size: &Size) -> Result<Still, String> {
    let longest = u32::from(still.width.max(still.height));
    if longest <= size.longest_side_px && still.jpeg.len() <= size.still_bytes {
        return Ok(still);
    }
    let side = longest.min(size.longest_side_px);
    let mut quality_percent = size.quality_percent;
    let decoded = decode(&still)?;
    let small = if side < longest { decoded.thumbnail(side, side) } else { decoded };
    loop {
        let jpeg = encode(&small, quality_percent)?;
        // What is full of leaves is large at any size: worse is better than none.
        if jpeg.len() <= size.still_bytes || quality_percent <= WORST_PERCENT {
            let pixels = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX);
            let (width, height) = (pixels(small.width()), pixels(small.height()));
            return Ok(Still { jpeg: jpeg.into(), width, height, taken_at: still.taken_at });
        }
        quality_percent = (quality_percent / 2).max(WORST_PERCENT);
    }
}

/// The least quality that is tried.
const WORST_PERCENT: u8 = 20;

/// Whether there is nothing but darkness on it. Most pictures are not even decoded for it.
pub fn is_black(still: &Still) -> bool {
    let pixels = f64::from(still.width) * f64::from(still.height);
    if still.jpeg.len() as f64 > BLACK_BYTES_PER_PIXEL * pixels {
        return false;
    }
    let Ok(decoded) = decode(still) else { return false };
    let grey = decoded.thumbnail(160, 160).into_luma8();
    let mut levels: Vec<u8> = grey.into_raw();
    levels.sort_unstable();
    let mean = levels.iter().map(|level| f64::from(*level)).sum::<f64>() / levels.len().max(1) as f64;
    let peak = levels.get(levels.len() * 99 / 100).copied().unwrap_or(0);
    mean <= BLACK_MEAN_MAX && peak <= BLACK_PEAK_MAX
}

fn decode(still: &Still) -> Result<DynamicImage, String> {
    let unreadable = |error| format!("the picture cannot be read: {error}");
    let mut decoder = JpegDecoder::new(Cursor::new(&*still.jpeg)).map_err(unreadable)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    decoder.set_limits(limits).map_err(unreadable)?;
    DynamicImage::from_decoder(decoder).map_err(unreadable)
}

fn encode(picture: &DynamicImage, quality_percent: u8) -> Result<Vec<u8>, String> {
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, quality_percent);
    let (width, height) = (picture.width(), picture.height());
    let written = encoder.write_image(picture.as_bytes(), width, height, picture.color().into());
    written.map_err(|error| format!("the picture cannot be made smaller: {error}"))?;
    Ok(jpeg)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;
    use crate::units::Time;

    const SIZE: Size = Size { longest_side_px: 320, quality_percent: 75, still_bytes: 40_000 };

    fn still(picture: RgbImage) -> Still {
        let (width, height) = (picture.width() as u16, picture.height() as u16);
        let jpeg = encode(&DynamicImage::ImageRgb8(picture), 80).unwrap().into();
        Still { jpeg, width, height, taken_at: Time::from_ms(7) }
    }

    /// Nothing that compresses.
    fn leaves(width: u32, height: u32) -> Still {
        let mut state = 1u32;
        still(RgbImage::from_fn(width, height, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Rgb([(state >> 24) as u8, (state >> 16) as u8, (state >> 8) as u8])
        }))
    }

    fn plain(level: u8) -> Still {
        still(RgbImage::from_pixel(320, 240, Rgb([level; 3])))
    }

    #[test]
    fn what_fits_goes_as_the_camera_made_it() {
        let small = plain(120);
        assert_eq!(fit(small.clone(), &SIZE), Ok(small));
    }

    #[test]
    fn what_is_too_large_is_scaled_down_and_keeps_its_shape_and_its_age() {
        let fitted = fit(still(RgbImage::from_pixel(1280, 720, Rgb([90, 120, 60]))), &SIZE).unwrap();
        assert_eq!((fitted.width, fitted.height, fitted.taken_at), (320, 180, Time::from_ms(7)));
        let heavy = leaves(320, 240);
        assert!(heavy.jpeg.len() > SIZE.still_bytes);
        let fitted = fit(heavy, &SIZE).unwrap();
        assert_eq!((fitted.width, fitted.height), (320, 240));
        assert!(fitted.jpeg.len() <= SIZE.still_bytes, "{}", fitted.jpeg.len());
    }

    #[test]
    fn bytes_that_are_no_picture_get_a_sentence() {
        let broken = Still { jpeg: vec![1; 50_000].into(), width: 320, height: 240, taken_at: Time::ZERO };
        assert!(fit(broken, &SIZE).unwrap_err().starts_with("the picture cannot be read: "));
    }

    #[test]
    fn a_cap_on_the_lens_is_black_and_a_lamp_in_the_night_is_not() {
        assert!(is_black(&plain(0)) && is_black(&plain(12)));
        assert!(!is_black(&plain(60)) && !is_black(&leaves(320, 240)));
        let night = RgbImage::from_fn(320, 240, |x, y| if x < 60 && y < 60 { Rgb([250; 3]) } else { Rgb([4; 3]) });
        assert!(!is_black(&still(night)));
    }
}
