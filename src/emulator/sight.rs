//! Which turn saw which picture.
//!
//! A picture within a window belongs to the turn that the window becomes, one between windows to the next turn, one in
//! the answer to a call to the turn that called.

use std::fmt;

/// Pictures that are remembered of one turn; more are only counted by whoever pays for them.
const PICTURES_MAX: usize = 256;

/// A picture that the client showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    bytes: usize,
    size: Option<(u16, u16)>,
    mark: u16,
}

impl Picture {
    /// What is known of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Picture {
        let mark = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        Picture { bytes: bytes.len(), size: jpeg_size(bytes), mark: (mark >> 16) as u16 }
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((width, height)) = self.size {
            write!(f, "{width}×{height}, ")?;
        }
        write!(f, "{} bytes, mark {:04x}", self.bytes, self.mark)
    }
}

/// Width and height, where it is a JPEG file: what its first frame header says.
fn jpeg_size(bytes: &[u8]) -> Option<(u16, u16)> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let [0xff, kind, high, low, ..] = rest else { return None };
        let is_frame = (0xc0..=0xcf).contains(kind) && ![0xc4, 0xc8, 0xcc].contains(kind);
        if is_frame {
            let [h1, h2, w1, w2] = *rest.get(5..9)? else { return None };
            return Some((u16::from_be_bytes([w1, w2]), u16::from_be_bytes([h1, h2])));
        }
        rest = rest.get(2 + usize::from(u16::from_be_bytes([*high, *low]))..)?;
    }
}

/// The pictures of this turn and of the next.
#[derive(Debug, Default)]
pub(super) struct Sight {
    turn: Vec<Picture>,
    next: Vec<Picture>,
}

impl Sight {
    /// One was shown for the next turn.
    pub(super) fn shown(&mut self, picture: Picture) {
        push(&mut self.next, picture);
    }

    /// One came with the answer to a call of this turn.
    pub(super) fn answered(&mut self, picture: Picture) {
        push(&mut self.turn, picture);
    }

    /// A turn begins. Answers what it sees, in words, where it sees anything.
    pub(super) fn turn_begins(&mut self) -> Option<String> {
        self.turn = std::mem::take(&mut self.next);
        let seen: Vec<String> = self.turn.iter().map(Picture::to_string).collect();
        (!seen.is_empty()).then(|| seen.join("; "))
    }

    /// Pictures that this turn has seen.
    pub(super) fn seen(&self) -> usize {
        self.turn.len()
    }
}

fn push(pictures: &mut Vec<Picture>, picture: Picture) {
    if pictures.len() < PICTURES_MAX {
        pictures.push(picture);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_belongs_to_the_turn_in_which_it_was_shown() {
        let mut sight = Sight::default();
        let shot = [0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc0, 0, 11, 8, 0, 48, 0, 64, 1];
        sight.shown(Picture::of(&shot));
        assert_eq!(sight.seen(), 0);
        let told = sight.turn_begins().unwrap_or_default();
        assert!(told.starts_with("64×48, 18 bytes, mark "), "{told}");
        sight.answered(Picture::of(b"no JPEG"));
        assert_eq!(sight.seen(), 2);
        assert_eq!(sight.turn_begins(), None);
        assert_eq!(sight.seen(), 0);
        assert_ne!(Picture::of(b"one"), Picture::of(b"two"));
    }
}
