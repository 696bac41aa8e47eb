//! Tests of the splitter, on pictures made of markers.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

/// What a picture is made of.
#[derive(Clone, Debug)]
struct Made {
    width: u16,
    height: u16,
    /// A whole smaller picture in the head, as cameras put it into their APP segment.
    has_thumb: bool,
    has_tables: bool,
    /// Zeros that a driver puts behind it.
    padding: usize,
    data: Vec<u8>,
}

fn segment(code: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&[0xff, code], &length[..], body].concat()
}

impl Made {
    fn new(width: u16, height: u16) -> Made {
        Made { width, height, has_thumb: false, has_tables: true, padding: 0, data: vec![1, 2, 3] }
    }

    /// Without padding.
    fn jpeg(&self) -> Vec<u8> {
        let [h, w] = [self.height.to_be_bytes(), self.width.to_be_bytes()];
        let thumb = if self.has_thumb { Made::new(16, 16).jpeg() } else { vec![0; 14] };
        let tables = if self.has_tables { HUFFMAN.to_vec() } else { Vec::new() };
        // As an encoder does: 0xff in the data is followed by 0.
        let data: Vec<u8> = self.data.iter().flat_map(|&b| if b == 0xff { vec![0xff, 0] } else { vec![b] }).collect();
        let frame = [8, h[0], h[1], w[0], w[1], 1, 1, 0x11, 0];
        [
            vec![0xff, 0xd8],
            segment(0xe1, &thumb),
            segment(0xdb, &[0; 65]),
            segment(0xc0, &frame),
            tables,
            segment(0xda, &[1, 1, 0, 0, 63, 0]),
            data,
            vec![0xff, 0xd3, 7, 0xff, 0xff, 0xd9],
        ]
        .concat()
    }

    fn sent(&self) -> Vec<u8> {
        [self.jpeg(), vec![0; self.padding]].concat()
    }

    /// As it comes out.
    fn whole(&self) -> Vec<u8> {
        Made { has_tables: true, ..self.clone() }.jpeg()
    }
}

/// Pushes all of it in pieces of these lengths, over and over; answers every picture.
fn cut(stream: &[u8], pieces: &[usize]) -> Vec<Picture> {
    let (mut splitter, mut at, mut found) = (Splitter::default(), 0, Vec::new());
    for piece in pieces.iter().cycle() {
        let to = (at + piece).min(stream.len());
        found.extend(splitter.push(&stream[at..to]));
        at = to;
        if at == stream.len() {
            return found;
        }
    }
    found
}

fn made() -> impl Strategy<Value = Made> {
    (1..5000_u16, 1..5000_u16, any::<bool>(), any::<bool>(), 0..40_usize, prop::collection::vec(any::<u8>(), 0..60))
        .prop_map(|(width, height, has_thumb, has_tables, padding, data)| Made {
            width,
            height,
            has_thumb,
            has_tables,
            padding,
            data,
        })
}

proptest! {
    #[test]
    fn every_picture_comes_out_whole_however_the_stream_is_cut(
        all in prop::collection::vec(made(), 1..6),
        pieces in prop::collection::vec(1..90_usize, 1..8),
        noise in prop::collection::vec(0..0xff_u8, 0..30),
    ) {
        let mut stream = noise;
        all.iter().for_each(|made| stream.extend(made.sent()));
        // Byte by byte, so that none is overtaken by a newer one.
        let found = cut(&stream, &[1]);
        let jpegs: Vec<&[u8]> = found.iter().map(|picture| &*picture.jpeg).collect();
        let wanted: Vec<Vec<u8>> = all.iter().map(Made::whole).collect();
        prop_assert_eq!(&jpegs, &wanted);
        for (picture, made) in found.iter().zip(&all) {
            prop_assert_eq!((picture.size.width, picture.size.height), (made.width, made.height));
        }
        // In larger pieces older ones may be left out, and the newest never is.
        let last = cut(&stream, &pieces).pop().unwrap();
        prop_assert_eq!(&*last.jpeg, wanted.last().unwrap());
    }

    #[test]
    fn nothing_that_comes_breaks_it_and_a_picture_after_it_is_found(
        noise in prop::collection::vec(prop_oneof![Just(0xff_u8), Just(0xd8), Just(0xda), Just(0xc0), any::<u8>()], 0..400),
        after in made(),
    ) {
        // More zeros than any segment that the noise may have begun.
        let stream = [noise, vec![0; 70_000], after.sent(), after.sent()].concat();
        let found = cut(&stream, &[4096]);
        prop_assert!(found.iter().any(|picture| *picture.jpeg == *after.whole()), "{} found", found.len());
    }
}

#[test]
fn a_picture_that_was_cut_off_is_left_out_and_the_next_is_whole() {
    let made = Made { has_thumb: true, ..Made::new(640, 480) };
    let whole = made.jpeg();
    for kept in 3..whole.len() - 2 {
        // A length that was cut in half may swallow as much as a segment can have.
        let stream = [&whole[..kept], &whole[..], &[0; 70_000], &whole[..]].concat();
        let found = cut(&stream, &[1]);
        let good = found.iter().filter(|picture| *picture.jpeg == *whole).count();
        assert!(good >= 1, "cut after {kept}: {good}");
    }
}

#[test]
fn a_stream_without_pictures_takes_no_memory() {
    let mut splitter = Splitter::default();
    // The beginning of a picture, and then data without an end.
    let begin = Made::new(640, 480).jpeg();
    splitter.push(&begin[..begin.len() - 3]);
    for _ in 0..3 * PICTURE_BYTES_MAX / 65_536 {
        assert_eq!(splitter.push(&[5; 65_536]), None);
    }
    assert!(splitter.bytes.capacity() <= 4 * PICTURE_BYTES_MAX && splitter.lost() == 1, "{}", splitter.lost());
    assert_eq!(*splitter.push(&begin).unwrap().jpeg, *begin, "and it goes on");
}
