//! What a device offers: what it calls itself, and the kinds of pictures that it gives.

use std::fs::File;
use std::io;

use super::ioctl::{self, Abilities};
use crate::eyes::raw::Layout;

/// Kinds of pictures of a device that are looked at; drivers have a few dozen at most.
const KINDS_MAX: u32 = 64;
/// Sizes of a kind that are looked at.
const SIZES_MAX: u32 = 64;

/// A kind of picture that is understood here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The camera's own JPEG.
    Jpeg,
    /// Brightness and colour.
    Raw(Layout),
}

/// V4L2's codes of them, the best first: JPEG costs nothing here, and USB has room for larger pictures of it.
const UNDERSTOOD: [([u8; 4], Kind); 3] =
    [(*b"MJPG", Kind::Jpeg), (*b"YUYV", Kind::Raw(Layout::Yuyv)), (*b"NV12", Kind::Raw(Layout::Nv12))];

impl Kind {
    /// V4L2's code of it.
    pub(super) fn code(self) -> u32 {
        let found = UNDERSTOOD.iter().find(|(_, kind)| *kind == self);
        found.map_or(0, |(code, _)| u32::from_le_bytes(*code))
    }
}

/// A kind of picture that a device gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// V4L2's code of it (`MJPG`).
    pub code: u32,
    /// Width and height of its largest, pixels; zeros where the driver does not say.
    pub largest: (u32, u32),
}

impl Format {
    /// Its code as it is written.
    pub fn name(&self) -> String {
        name(self.code)
    }

    /// Its name, and how large it may be.
    pub fn sentence(&self) -> String {
        match self.largest {
            (0, 0) => self.name(),
            (width, height) => format!("{} up to {width}×{height}", self.name()),
        }
    }
}

/// A code as it is written: four letters.
pub(super) fn name(code: u32) -> String {
    String::from_utf8_lossy(&code.to_le_bytes())
        .chars()
        .map(|letter| if letter.is_control() { '?' } else { letter })
        .collect()
}

/// What a device offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What it calls itself.
    pub card: String,
    /// The kernel's driver.
    pub driver: String,
    /// Whether it gives pictures, and whole ones.
    pub is_camera: bool,
    /// The kinds of pictures that it gives.
    pub formats: Vec<Format>,
}

impl Offer {
    /// The formats that are understood here, the best first.
    pub fn understood(&self) -> Vec<&Format> {
        let given = |code: &[u8; 4]| self.formats.iter().find(|format| format.code == u32::from_le_bytes(*code));
        UNDERSTOOD.iter().filter_map(|(code, _)| given(code)).collect()
    }

    /// The best kind that is understood here.
    ///
    /// # Errors
    /// The end of a sentence: why there is none.
    pub fn choose(&self) -> Result<Kind, String> {
        let card = &self.card;
        if !self.is_camera {
            return Err(format!("{card} gives no pictures; a ribbon camera is source = \"rpicam\""));
        }
        let has = |code: &[u8; 4]| self.formats.iter().any(|format| format.code == u32::from_le_bytes(*code));
        UNDERSTOOD.iter().find(|(code, _)| has(code)).map(|(_, kind)| *kind).ok_or_else(|| {
            let given: Vec<String> = self.formats.iter().map(Format::name).collect();
            let given = if given.is_empty() { "nothing".to_string() } else { given.join(", ") };
            format!(
                "{card} gives {given}, and MJPG, YUYV or NV12 is needed; a program that reads it may help (source = \
                 \"command\")"
            )
        })
    }
}

/// Asks a device.
pub(in crate::hw::camera) fn ask(device: &File) -> io::Result<Offer> {
    let mut abilities = Abilities::default();
    ioctl::ASK_ABILITIES.make(device, &mut abilities)?;
    let bits = abilities.bits();
    let needed = ioctl::CAN_CAPTURE | ioctl::CAN_STREAM;
    let is_camera = bits & needed == needed && bits & ioctl::IS_PART == 0;
    let mut formats = Vec::new();
    for index in 0..KINDS_MAX {
        let mut kind = ioctl::Kind::numbered(index);
        if !is_camera || ioctl::ASK_KIND.make(device, &mut kind).is_err() {
            break;
        }
        formats.push(Format { code: kind.code, largest: largest(device, kind.code) });
    }
    Ok(Offer { card: text(&abilities.card), driver: text(&abilities.driver), is_camera, formats })
}

fn largest(device: &File, code: u32) -> (u32, u32) {
    let sizes = (0..SIZES_MAX).map_while(|index| {
        let mut size = ioctl::Size::numbered(index, code);
        ioctl::ASK_SIZE.make(device, &mut size).ok()?;
        Some(size.largest())
    });
    sizes.max_by_key(|(width, height)| u64::from(*width) * u64::from(*height)).unwrap_or_default()
}

/// What the kernel wrote into a field: up to its first zero. A camera's maker chose it, so it is cleaned.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).chars().filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn offer(codes: &[&[u8; 4]]) -> Offer {
        let format = |code: &&[u8; 4]| Format { code: u32::from_le_bytes(**code), largest: (640, 480) };
        Offer {
            card: "Webcam".into(),
            driver: "uvcvideo".into(),
            is_camera: true,
            formats: codes.iter().map(format).collect(),
        }
    }

    #[test]
    fn the_cameras_own_jpeg_comes_first_and_then_what_can_be_made_into_it() {
        assert_eq!(offer(&[b"YUYV", b"H264", b"MJPG"]).choose(), Ok(Kind::Jpeg));
        assert_eq!(offer(&[b"RGB3", b"NV12", b"YUYV"]).choose(), Ok(Kind::Raw(Layout::Yuyv)));
        assert_eq!(offer(&[b"NV12"]).choose(), Ok(Kind::Raw(Layout::Nv12)));
    }

    #[test]
    fn one_that_gives_nothing_of_use_is_told_what_it_gives() {
        let why = offer(&[b"pBAA", b"H264"]).choose().unwrap_err();
        assert!(why.starts_with("Webcam gives pBAA, H264, and MJPG") && why.contains("\"command\""), "{why}");
        assert!(offer(&[]).choose().unwrap_err().contains("gives nothing"));
        let part = Offer { is_camera: false, ..offer(&[b"MJPG"]) };
        assert!(part.choose().unwrap_err().contains("rpicam"));
    }

    #[test]
    fn what_a_camera_calls_itself_cannot_move_the_cursor() {
        assert_eq!(text(b"Cam\x1b[2J\0junk"), "Cam[2J");
        assert_eq!(text(b"full"), "full");
        assert_eq!(name(u32::from_le_bytes(*b"Y\x07 2")), "Y? 2");
    }

    #[test]
    fn a_format_is_named_with_its_largest_picture() {
        let mut format = offer(&[b"MJPG"]).formats.remove(0);
        assert_eq!(format.sentence(), "MJPG up to 640×480");
        format.largest = (0, 0);
        assert_eq!(format.sentence(), "MJPG");
    }
}
