//! Cuts a stream of JPEG pictures into single ones.

use super::jpeg::{Found, Next, Size, Walk};
use super::tables::HUFFMAN;
use crate::still::Jpeg;

/// The largest picture: 12 megapixels at good quality. A stream without an end of one is no stream of pictures.
pub const PICTURE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// JPEG, whole and with all of its tables.
    pub jpeg: Jpeg,
    /// Its size.
    pub size: Size,
}

/// The stream's bytes on their way.
#[derive(Debug, Default)]
pub struct Splitter {
    bytes: Vec<u8>,
    walk: Walk,
    lost: u64,
}

impl Splitter {
    /// More bytes. Answers the newest whole picture, where there is one; older ones are of no use any more.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Picture> {
        self.bytes.extend_from_slice(bytes);
        let mut newest = None;
        let keep_from = loop {
            match self.walk.next(&self.bytes) {
                Next::Picture(found) => newest = Some(found),
                Next::More(from) => break from,
            }
        };
        let picture = newest.map(|found| self.cut(found));
        if self.bytes.len() - keep_from > PICTURE_BYTES_MAX {
            self.lost += 1;
            self.bytes.clear();
            self.walk = Walk::default();
        } else if keep_from > 0 {
            self.bytes.drain(..keep_from);
            self.walk.moved(keep_from);
        }
        picture
    }

    /// Pieces that were too large for a picture and were thrown away.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn cut(&self, found: Found) -> Picture {
        let whole = &self.bytes[found.from..found.to];
        let jpeg = match found.tables_missing_at {
            None => whole.to_vec().into(),
            Some(at) => {
                let (before, after) = whole.split_at(at - found.from);
                [before, &HUFFMAN, after].concat().into()
            }
        };
        Picture { jpeg, size: found.size }
    }
}

#[cfg(test)]
#[path = "splitter/tests.rs"]
mod tests;
