//! Where a JPEG picture begins and ends in bytes of which nobody says how many there are, and how large it is.
//!
//! Cameras pad their pictures with zeros, put a smaller picture into the first one's head, or leave out the tables that
//! every one of them uses. So the markers are followed one by one (ITU-T T.81, annex B): a search for the end marker alone
//! would stop in the small picture.

/// Width and height, pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Width.
    pub width: u16,
    /// Height.
    pub height: u16,
}

/// A whole picture among other bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it begins.
    pub from: usize,
    /// The byte after it.
    pub to: usize,
    /// Its size.
    pub size: Size,
    /// Where its first scan begins, if it brings no Huffman tables: they belong there.
    pub tables_missing_at: Option<usize>,
}

/// What the bytes hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A picture.
    Picture(Found),
    /// Perhaps the beginning of one, from here; all before it is of no use.
    More(usize),
}

/// Takes up where it stopped when more bytes have come; made anew when bytes in front were taken away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Walk {
    from: usize,
    at: usize,
    place: Place,
    size: Option<Size>,
    has_tables: bool,
    scan_at: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// No picture has begun.
    #[default]
    Before,
    /// At a marker.
    Marker,
    /// In the picture's own data, which ends with a marker.
    Data,
}

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DHT: u8 = 0xc4;

/// One step's outcome.
enum Step {
    On,
    Short,
    Broken,
    End,
}

impl Walk {
    /// Looks for the next whole picture in `bytes`, of which what was looked at before has not changed.
    pub fn next(&mut self, bytes: &[u8]) -> Next {
        loop {
            let step = match self.place {
                Place::Before => self.begin(bytes),
                Place::Marker => self.marker(bytes),
                Place::Data => self.data(bytes),
            };
            match step {
                Step::On => {}
                Step::Short => return Next::More(self.from),
                Step::Broken => *self = Walk { from: self.from + 1, at: self.from + 1, ..Walk::default() },
                Step::End => {
                    let found = self.size.map(|size| Found {
                        from: self.from,
                        to: self.at,
                        size,
                        tables_missing_at: self.scan_at.filter(|_| !self.has_tables),
                    });
                    *self = Walk { from: self.at, at: self.at, ..Walk::default() };
                    // Without a size it is none.
                    if let Some(found) = found {
                        return Next::Picture(found);
                    }
                }
            }
        }
    }

    /// So many bytes in front of the picture were taken away.
    pub fn moved(&mut self, bytes: usize) {
        self.from = self.from.saturating_sub(bytes);
        self.at = self.at.saturating_sub(bytes);
        self.scan_at = self.scan_at.map(|at| at.saturating_sub(bytes));
    }

    fn begin(&mut self, bytes: &[u8]) -> Step {
        let rest = bytes.get(self.at..).unwrap_or_default();
        match rest.windows(3).position(|three| three == [0xff, SOI, 0xff]) {
            Some(skipped) => {
                self.from = self.at + skipped;
                (self.at, self.place) = (self.from + 2, Place::Marker);
                Step::On
            }
            None => {
                // The last two bytes may be the first of the three.
                self.at = bytes.len().saturating_sub(2).max(self.at);
                self.from = self.at;
                Step::Short
            }
        }
    }

    fn marker(&mut self, bytes: &[u8]) -> Step {
        let Some(&[first, code]) = bytes.get(self.at..self.at + 2).and_then(|two| two.first_chunk::<2>()) else {
            return Step::Short;
        };
        match (first, code) {
            (0xff, 0xff) => self.at += 1, // as many as the camera likes
            (0xff, EOI) => {
                self.at += 2;
                return Step::End;
            }
            (0xff, 0x01 | 0xd0..=0xd7) => self.at += 2,
            (0xff, 0xc0..=0xfe) if code != SOI => return self.segment(bytes, code),
            // Where the rest of it was lost another one begins.
            _ => return Step::Broken,
        }
        Step::On
    }

    /// A marker with bytes of its own, as many as it says.
    fn segment(&mut self, bytes: &[u8], code: u8) -> Step {
        let Some(head) = bytes.get(self.at + 2..self.at + 4) else { return Step::Short };
        let length = usize::from(u16::from_be_bytes([head[0], head[1]]));
        if length < 2 {
            return Step::Broken;
        }
        let Some(body) = bytes.get(self.at + 4..self.at + 2 + length) else { return Step::Short };
        match code {
            DHT => self.has_tables = true,
            SOS => {
                self.scan_at.get_or_insert(self.at);
                self.place = Place::Data;
            }
            0xc0..=0xcf if !matches!(code, 0xc8 | 0xcc) => {
                let Some(&[_, high, low, wide, narrow]) = body.first_chunk::<5>() else { return Step::Broken };
                let size = Size { height: u16::from_be_bytes([high, low]), width: u16::from_be_bytes([wide, narrow]) };
                if size.width == 0 || size.height == 0 {
                    return Step::Broken;
                }
                self.size = Some(size);
            }
            _ => {}
        }
        self.at += 2 + length;
        Step::On
    }

    fn data(&mut self, bytes: &[u8]) -> Step {
        let rest = bytes.get(self.at..).unwrap_or_default();
        // 0 after 0xff is a byte of the data, and so is a restart.
        let is_marker = |two: &[u8]| two[0] == 0xff && !matches!(two[1], 0x00 | 0xd0..=0xd7 | 0xff);
        match rest.windows(2).position(is_marker) {
            Some(passed) => {
                self.at += passed;
                self.place = Place::Marker;
                Step::On
            }
            None => {
                self.at = bytes.len().saturating_sub(1).max(self.at);
                Step::Short
            }
        }
    }
}
