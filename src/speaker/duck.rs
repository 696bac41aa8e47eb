//! Ducking: the reply is lowered while it is decided whether somebody speaks over it, and comes back if nobody does.

use crate::units::Hertz;

/// Loudness of a ducked reply, −15 dB: whoever speaks hears that they were heard, what the canceller leaves lies another
/// 15 dB below their voice, and after a cough the reply was still followed.
pub const DUCK_GAIN: f32 = 0.178;
/// Time of the way down, ms: before the second hop of speech is in, and without a click.
const DOWN_MS: u32 = 30;
/// Time of the way up, ms: that comes back like a breath, not like a switch.
const UP_MS: u32 = 250;

/// The loudness of the reply below that of everything else.
#[derive(Clone, Copy, Debug)]
pub struct Duck {
    gain: f32,
    is_down: bool,
}

impl Default for Duck {
    fn default() -> Duck {
        Duck { gain: 1.0, is_down: false }
    }
}

impl Duck {
    /// Lowers the reply from its next frame on, or lets it come back.
    pub fn set(&mut self, is_down: bool) {
        self.is_down = is_down;
    }

    /// Forgets it: what comes next is another reply, which begins at its full size.
    pub fn end(&mut self) {
        *self = Duck::default();
    }

    /// Applies it to `reply` (`[frames, 1 channel] S16 @ rate`).
    pub fn apply(&mut self, reply: &mut [i16], rate: Hertz) {
        let (wanted, ramp_ms) = if self.is_down { (DUCK_GAIN, DOWN_MS) } else { (1.0, UP_MS) };
        if self.gain == 1.0 && wanted == 1.0 {
            return;
        }
        let step = (1.0 - DUCK_GAIN) / rate.frames_in_ms(ramp_ms).max(1) as f32;
        for frame in reply {
            self.gain += (wanted - self.gain).clamp(-step, step);
            *frame = (f32::from(*frame) * self.gain).round() as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Hertz = Hertz(24_000);

    fn applied(duck: &mut Duck, ms: u32) -> Vec<i16> {
        let mut block = vec![20_000; RATE.frames_in_ms(ms)];
        duck.apply(&mut block, RATE);
        block
    }

    #[test]
    fn it_goes_down_at_once_and_comes_back_gently_without_a_click() {
        let mut duck = Duck::default();
        assert_eq!(applied(&mut duck, 10), [20_000; 240]);
        duck.set(true);
        let mut line = applied(&mut duck, 60);
        assert!(line[24 * 31..].iter().all(|&frame| frame == 3560), "-15 dB after 30 ms: {}", line[24 * 31]);
        duck.set(false);
        line.extend(applied(&mut duck, 300));
        assert_eq!(line[24 * (60 + 251)..], [20_000; 24 * 49]);
        assert!((11_000..13_000).contains(&line[24 * (60 + 125)]), "half way back: {}", line[24 * 185]);
        assert!(line.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 30), "no step");
    }

    #[test]
    fn another_reply_begins_at_its_full_size() {
        let mut duck = Duck::default();
        duck.set(true);
        applied(&mut duck, 60);
        duck.end();
        assert_eq!(applied(&mut duck, 10), [20_000; 240]);
    }
}
