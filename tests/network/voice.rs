//! What is said into the simulated microphone, and whether all of it arrived.

use std::path::Path;

/// Rate of the microphone, of what is said and of what arrives, so that nothing is resampled on the way.
pub const RATE_HZ: u32 = 16_000;
/// The simulated microphone's noise never exceeds this (-65 dBFS RMS, evenly spread).
const NOISE_PEAK: i32 = 33;
/// A murmur under the speech makes every moment of it unlike any other, silence too.
const MURMUR_PEAK: u64 = 400;
/// Samples that are looked at to find where the speech begins.
const PROBE: usize = 400;

/// An utterance: `[frames, 1 channel] S16 @ 16 kHz`.
#[derive(Clone)]
pub struct Said {
    pub frames: Vec<i16>,
}

impl Said {
    /// A bundled recording again and again, so long; `number` makes it different from every other.
    pub fn new(number: u64, seconds: f64) -> Said {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/sounds/ask_bird.wav");
        let recording = read(&path).unwrap();
        let length = (seconds * f64::from(RATE_HZ)) as usize;
        let speech = recording.iter().cycle().take(length).enumerate();
        let frames = speech.map(|(n, sample)| (sample / 2).saturating_add(murmur(number, n as u64))).collect();
        Said { frames }
    }

    pub fn write(&self, path: &Path) {
        mynah::hw::wav::save(path, mynah::units::Hertz(RATE_HZ), &self.frames).unwrap();
    }

    pub fn seconds(&self) -> f64 {
        self.frames.len() as f64 / f64::from(RATE_HZ)
    }

    /// Where it begins in what was heard.
    pub fn find(&self, heard: &[i16]) -> Option<usize> {
        let probe = &self.frames[..PROBE];
        heard.windows(PROBE).position(|window| differs(window, probe).is_none())
    }

    /// Whether what was heard is the noise of the room, all of this sample by sample, and noise again.
    pub fn is_whole_in(&self, heard: &[i16]) -> Result<(), String> {
        let start = self.find(heard).ok_or_else(|| format!("its beginning is not in {} samples", heard.len()))?;
        let after = &heard[start..];
        let length = self.frames.len().min(after.len());
        if let Some(at) = differs(&after[..length], &self.frames[..length]) {
            return Err(format!("sample {at} of {} is another one", self.frames.len()));
        }
        if length < self.frames.len() {
            return Err(format!("its last {} samples are missing", self.frames.len() - length));
        }
        for (place, rest) in [("before", &heard[..start]), ("behind", &after[length..])] {
            if rest.iter().any(|sample| i32::from(*sample).abs() > NOISE_PEAK) {
                return Err(format!("there is sound {place} it"));
            }
        }
        Ok(())
    }
}

/// The first place where two pieces of sound differ by more than the room's noise.
fn differs(a: &[i16], b: &[i16]) -> Option<usize> {
    a.iter().zip(b).position(|(a, b)| (i32::from(*a) - i32::from(*b)).abs() > NOISE_PEAK)
}

/// Evenly spread from a seed: SplitMix64's finisher.
fn murmur(seed: u64, n: u64) -> i16 {
    let mut bits = ((seed << 32) ^ n).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((bits >> 33) % (2 * MURMUR_PEAK + 1)) as i16 - MURMUR_PEAK as i16
}

/// A finished WAV; nothing while it is being written.
pub fn read(path: &Path) -> Option<Vec<i16>> {
    let file = hound::WavReader::open(path).ok()?;
    let wanted = file.duration() as usize;
    let frames: Vec<i16> = file.into_samples().map_while(Result::ok).collect();
    (wanted > 0 && frames.len() == wanted).then_some(frames)
}

#[test]
fn a_sample_that_is_missing_doubled_or_changed_is_noticed() {
    let said = Said::new(1, 1.0);
    let room = vec![20_i16; 3000];
    let whole = [&room[..], &said.frames, &room].concat();
    assert_eq!(said.is_whole_in(&whole), Ok(()));
    let fails = |heard: Vec<i16>| assert!(said.is_whole_in(&heard).is_err());
    for at in [3000, 3500, 11_000, 18_999] {
        fails([&whole[..at], &whole[at + 1..]].concat());
        fails([&whole[..at + 1], &whole[at..]].concat());
        let mut changed = whole.clone();
        changed[at] = changed[at].wrapping_add(200);
        fails(changed);
    }
    fails([&whole[..], &said.frames].concat());
    fails(whole[..18_000].to_vec());
}
