//! WAV files in and out: whole-number PCM of any channel count in, `[frames, 1 channel] S16` out.

use std::io::{Read, Seek, Write};

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use super::Chunk;
use crate::units::Hertz;

/// The longest WAV that is taken, seconds: a recorded question is seconds long, a test of ten minutes fits.
pub const SECONDS_MAX: u32 = 1200;

/// Why a WAV could not be used. Each sentence names the file and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum WavTrouble {
    /// The file cannot be opened, read or written.
    #[error("{file} cannot be read or written: {why}")]
    File {
        /// The file.
        file: String,
        /// The system's words.
        why: std::io::Error,
    },
    /// It is no WAV, or a damaged one.
    #[error("{file} is not a WAV file that can be read ({why}); make one with `sox IN -b 16 -c 1 {file}`")]
    NotWav {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// It holds samples of a kind that is not taken.
    #[error("{file} holds {kind} samples; 16-bit whole numbers are right: `sox {file} -b 16 -e signed OUT.wav`")]
    WrongKind {
        /// The file.
        file: String,
        /// The kind.
        kind: String,
    },
    /// It ends before its header says.
    #[error("{file} is cut off: its header promises {promised} samples, it holds {found}; copy or record it again")]
    Truncated {
        /// The file.
        file: String,
        /// Samples promised.
        promised: u32,
        /// Samples found.
        found: u32,
    },
    /// No sound is in it.
    #[error("{file} holds no sound; record something into it")]
    Empty {
        /// The file.
        file: String,
    },
    /// It is too long.
    #[error("{file} is longer than {SECONDS_MAX} s; cut it with `sox {file} OUT.wav trim 0 {SECONDS_MAX}`")]
    TooLong {
        /// The file.
        file: String,
    },
}

/// Reads a WAV from `source`; `file` is its name in errors.
pub fn decode(source: impl Read, file: &str) -> Result<Chunk, WavTrouble> {
    let mut reader = WavReader::new(source).map_err(|why| trouble(why, file))?;
    let spec = reader.spec();
    if spec.sample_format != SampleFormat::Int || ![8, 16, 24, 32].contains(&spec.bits_per_sample) {
        let kind = match spec.sample_format {
            SampleFormat::Float => format!("{}-bit floating-point", spec.bits_per_sample),
            SampleFormat::Int => format!("{}-bit", spec.bits_per_sample),
        };
        return Err(WavTrouble::WrongKind { file: file.into(), kind });
    }
    if !super::resample::RATES.contains(&spec.sample_rate) {
        return Err(WavTrouble::NotWav { file: file.into(), why: format!("its rate is {} Hz", spec.sample_rate) });
    }
    if u64::from(reader.duration()) > u64::from(SECONDS_MAX) * u64::from(spec.sample_rate) {
        return Err(WavTrouble::TooLong { file: file.into() });
    }
    let frames = mono_frames(&mut reader, spec, file)?;
    if frames.is_empty() {
        return Err(WavTrouble::Empty { file: file.into() });
    }
    Ok(Chunk { rate: Hertz(spec.sample_rate), frames })
}

/// Writes `frames` (`[frames, 1 channel] S16`) at `rate` to `sink`; `file` is its name in errors.
pub fn encode(sink: impl Write + Seek, file: &str, rate: Hertz, frames: &[i16]) -> Result<(), WavTrouble> {
    let spec = WavSpec { channels: 1, sample_rate: rate.0, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let write = || -> Result<(), hound::Error> {
        let mut writer = WavWriter::new(sink, spec)?;
        for &frame in frames {
            writer.write_sample(frame)?;
        }
        writer.finalize()
    };
    write().map_err(|why| trouble(why, file))
}

fn mono_frames<R: Read>(reader: &mut WavReader<R>, spec: WavSpec, file: &str) -> Result<Vec<i16>, WavTrouble> {
    let channels = i64::from(spec.channels.max(1));
    let (mut frames, mut sum, mut found) = (Vec::new(), 0i64, 0u32);
    let promised = reader.len();
    for sample in reader.samples::<i32>() {
        let sample = match sample {
            Ok(sample) => i64::from(sample),
            Err(hound::Error::IoError(_)) => return Err(WavTrouble::Truncated { file: file.into(), promised, found }),
            Err(why) => return Err(trouble(why, file)),
        };
        sum += sample;
        found += 1;
        if i64::from(found) % channels == 0 {
            frames.push(to_sixteen_bits(sum / channels, spec.bits_per_sample));
            sum = 0;
        }
    }
    Ok(frames)
}

fn to_sixteen_bits(sample: i64, bits: u16) -> i16 {
    let scaled = if bits <= 16 { sample << (16 - bits) } else { sample >> (bits - 16) };
    scaled.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

fn trouble(why: hound::Error, file: &str) -> WavTrouble {
    match why {
        hound::Error::IoError(why) if why.kind() != std::io::ErrorKind::UnexpectedEof => {
            // hound reports a short header as `Other`; both mean that the file is no WAV.
            if why.raw_os_error().is_some() {
                WavTrouble::File { file: file.into(), why }
            } else {
                WavTrouble::NotWav { file: file.into(), why: "it ends within its header".into() }
            }
        }
        hound::Error::IoError(_) => WavTrouble::NotWav { file: file.into(), why: "it ends within its header".into() },
        why => WavTrouble::NotWav { file: file.into(), why: why.to_string() },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::io::Cursor;

    fn made(spec: WavSpec, samples: &[i32]) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
        samples.iter().for_each(|&s| writer.write_sample(s).unwrap());
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    fn spec(channels: u16, bits: u16) -> WavSpec {
        WavSpec { channels, sample_rate: 22_050, bits_per_sample: bits, sample_format: SampleFormat::Int }
    }

    fn read(bytes: &[u8]) -> Result<Chunk, String> {
        decode(Cursor::new(bytes), "a.wav").map_err(|why| why.to_string())
    }

    #[test]
    fn what_is_written_is_read_back() {
        let frames: Vec<i16> = (-500..500).map(|n| n * 60).collect();
        let mut bytes = Cursor::new(Vec::new());
        encode(&mut bytes, "a.wav", Hertz(24_000), &frames).unwrap();
        assert_eq!(read(bytes.get_ref()).unwrap(), Chunk { rate: Hertz(24_000), frames });
    }

    #[test]
    fn channels_are_averaged_and_depths_brought_to_sixteen_bits() {
        assert_eq!(read(&made(spec(2, 16), &[100, 300, -100, -300])).unwrap().frames, [200, -200]);
        assert_eq!(read(&made(spec(1, 24), &[0x12_3456, -0x12_3456])).unwrap().frames, [0x1234, -0x1235]);
        assert_eq!(read(&made(spec(1, 32), &[i32::MAX, i32::MIN])).unwrap().frames, [i16::MAX, i16::MIN]);
        assert_eq!(read(&made(spec(1, 8), &[127, -128])).unwrap().frames, [127 << 8, i16::MIN]);
    }

    #[test]
    fn wrong_files_are_refused_with_a_sentence() {
        let float = WavSpec { sample_format: SampleFormat::Float, bits_per_sample: 32, ..spec(1, 16) };
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, float).unwrap();
        writer.write_sample(0.5f32).unwrap();
        writer.finalize().unwrap();
        let whole = made(spec(1, 16), &[7; 1000]);
        let table = [
            (&b""[..], "not a WAV file"),
            (&b"RIFF"[..], "not a WAV file"),
            (&b"#!/bin/sh\necho this is no sound at all, is it?\n"[..], "not a WAV file"),
            (bytes.get_ref(), "32-bit floating-point"),
            (&whole[..whole.len() - 100], "promises 1000 samples, it holds 950"),
            (&made(spec(1, 16), &[]), "no sound"),
        ];
        for (bytes, expected) in table {
            let why = read(bytes).unwrap_err();
            assert!(why.contains(expected) && why.contains("a.wav"), "{why}");
        }
    }

    #[test]
    fn a_header_that_lies_about_an_enormous_length_is_refused_without_reading_it() {
        let mut bytes = made(spec(1, 16), &[7; 10]);
        let at = bytes.windows(4).position(|w| w == b"data").unwrap() + 4;
        bytes[at..at + 4].copy_from_slice(&0xFFFF_FFF0u32.to_le_bytes());
        assert!(read(&bytes).unwrap_err().contains("longer than"));
    }
}
