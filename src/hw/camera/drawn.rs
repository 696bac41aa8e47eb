//! The picture of the camera that is none: a bench with a lamp, and a clock that shows when it was drawn.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};

use crate::still::Jpeg;
use crate::units::Time;

/// Small files, and the figures stay sharp.
const QUALITY_PERCENT: u8 = 80;

const WALL: Rgb<u8> = Rgb([206, 214, 220]);
const BENCH: Rgb<u8> = Rgb([120, 84, 58]);
const METAL: Rgb<u8> = Rgb([70, 76, 84]);
const LIGHT: Rgb<u8> = Rgb([250, 206, 92]);
const PANEL: Rgb<u8> = Rgb([24, 28, 34]);
const FIGURE: Rgb<u8> = Rgb([96, 230, 150]);

/// Strokes of the figures 0 to 9, as on a calculator: top, upper left, upper right, middle, lower left, lower right, bottom.
const STROKES: [[bool; 7]; 10] = [
    [true, true, true, false, true, true, true],
    [false, false, true, false, false, true, false],
    [true, false, true, true, true, false, true],
    [true, false, true, true, false, true, true],
    [false, true, true, true, false, true, false],
    [true, true, false, true, false, true, true],
    [true, true, false, true, true, true, true],
    [true, false, true, false, false, true, false],
    [true, true, true, true, true, true, true],
    [true, true, true, true, false, true, true],
];

/// Where something is, in parts of a grid of 160 by 90 that fills the picture: left, top, width, height.
type Place = (u32, u32, u32, u32);

/// Draws it for the time `now`.
///
/// # Errors
/// A size that JPEG does not know, as a sentence.
pub(super) fn draw(width: u32, height: u32, now: Time) -> Result<Jpeg, String> {
    let mut picture = RgbImage::from_pixel(width, height, WALL);
    for (place, colour) in [
        ((0, 62, 160, 28), BENCH),
        ((22, 26, 4, 36), METAL),
        ((14, 58, 20, 4), METAL),
        ((12, 16, 24, 12), LIGHT),
        ((60, 22, 88, 32), METAL),
        ((63, 25, 82, 26), PANEL),
    ] {
        fill(&mut picture, place, colour);
    }
    // A hand that moves: no two pictures are the same.
    let tenth = (now.as_us() / 20_000 % 88) as u32;
    fill(&mut picture, (60 + tenth, 56, 2, 3), FIGURE);
    let seconds = now.as_us() / 1_000_000;
    let figures = [seconds / 600 % 6, seconds / 60 % 10, seconds / 10 % 6, seconds % 10, now.as_us() / 100_000 % 10];
    for (left, figure) in [67, 82, 101, 116, 132].into_iter().zip(figures) {
        draw_figure(&mut picture, left, figure as usize);
    }
    for dot in [(97, 33, 2, 2), (97, 41, 2, 2), (129, 45, 2, 2)] {
        fill(&mut picture, dot, FIGURE);
    }
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY_PERCENT);
    let written = encoder.write_image(&picture, width, height, ExtendedColorType::Rgb8);
    written.map_err(|error| format!("a picture of {width}×{height} cannot be drawn: {error}"))?;
    Ok(jpeg.into())
}

fn draw_figure(picture: &mut RgbImage, left: u32, figure: usize) {
    let places = [
        (left, 28, 11, 2),
        (left, 28, 2, 11),
        (left + 9, 28, 2, 11),
        (left, 37, 11, 2),
        (left, 38, 2, 10),
        (left + 9, 38, 2, 10),
        (left, 46, 11, 2),
    ];
    for (place, _) in places.into_iter().zip(STROKES[figure % 10]).filter(|(_, is_there)| *is_there) {
        fill(picture, place, FIGURE);
    }
}

fn fill(picture: &mut RgbImage, (left, top, wide, high): Place, colour: Rgb<u8>) {
    let (width, height) = picture.dimensions();
    let (from_x, to_x) = (left * width / 160, ((left + wide) * width / 160).min(width));
    let (from_y, to_y) = (top * height / 90, ((top + high) * height / 90).min(height));
    let at = |x: u32, y: u32| 3 * (y as usize * width as usize + x as usize);
    let stroke = colour.0.repeat(to_x.saturating_sub(from_x) as usize);
    let pixels: &mut [u8] = picture;
    for y in from_y..to_y {
        pixels[at(from_x, y)..at(from_x, y) + stroke.len()].copy_from_slice(&stroke);
    }
}
