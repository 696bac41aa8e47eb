//! A picture of a camera, as it travels: JPEG, with its size and its age.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::units::Time;

/// A whole JPEG file in memory, shared. Written in a log it is its size, never its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Jpeg(Arc<[u8]>);

impl Deref for Jpeg {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Jpeg {
    fn from(bytes: Vec<u8>) -> Jpeg {
        Jpeg(bytes.into())
    }
}

impl From<Arc<[u8]>> for Jpeg {
    fn from(bytes: Arc<[u8]>) -> Jpeg {
        Jpeg(bytes)
    }
}

impl fmt::Debug for Jpeg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jpeg({} bytes)", self.0.len())
    }
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Still {
    /// The picture.
    pub jpeg: Jpeg,
    /// Pixels.
    pub width: u16,
    /// Pixels.
    pub height: u16,
    /// When the last byte of it was there.
    pub taken_at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_the_size_of_a_picture_and_nothing_of_what_is_on_it() {
        let still = Still { jpeg: vec![77; 5].into(), width: 4, height: 3, taken_at: Time::ZERO };
        let shown = format!("{still:?}");
        assert!(shown.contains("5 bytes") && !shown.contains("77"), "{shown}");
    }
}
