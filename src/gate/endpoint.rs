//! The endpoint: onset and hangover turn speech per hop into segments that open and close.

use crate::audio::HOP_MS;

/// Speech that must hang together to end a silence within a segment, in hops. A detector in noise calls
/// single hops speech; they must not keep a segment open for ever.
const RESUME_HOPS: u32 = 3;

/// How much a hop without speech takes back from an onset that is being counted, in hops. Plosives have
/// gaps of a hop or two within a word, clicks have gaps of many.
const ONSET_LEAK: u32 = 2;

/// Onset and hangover.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    onset_hops: u32,
    hangover_hops: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No segment; `run` is the speech counted so far, `age` the hops since it began to count.
    Silent { run: u32, age: u32 },
    /// A segment is open; `silence` hops since speech, `run` hops of speech that hang together.
    Speaking { silence: u32, run: u32, age: u32 },
}

impl Endpoint {
    /// A segment opens after `onset_ms` of speech and closes after `hangover_ms` without.
    pub fn new(onset_ms: u32, hangover_ms: u32) -> Endpoint {
        Endpoint {
            onset_hops: onset_ms.div_ceil(HOP_MS).max(1),
            hangover_hops: hangover_ms.div_ceil(HOP_MS).max(1),
            state: State::Silent { run: 0, age: 0 },
        }
    }

    /// Takes the next hop: whether it is speech.
    pub fn handle_hop(&mut self, speech: bool) {
        self.state = match self.state {
            State::Silent { run, age } => self.count_onset(run, age, speech),
            State::Speaking { silence, run, age } => self.count_silence(silence, run, age, speech),
        };
    }

    fn count_onset(self, run: u32, age: u32, speech: bool) -> State {
        let run = if speech { run + 1 } else { run.saturating_sub(ONSET_LEAK) };
        let age = if run == 0 { 0 } else { age + 1 };
        if run >= self.onset_hops { State::Speaking { silence: 0, run, age } } else { State::Silent { run, age } }
    }

    fn count_silence(self, silence: u32, run: u32, age: u32, speech: bool) -> State {
        let run = if speech { run + 1 } else { 0 };
        let silence = if run >= RESUME_HOPS { 0 } else { silence + 1 };
        // Not in the middle of a word that begins.
        if silence >= self.hangover_hops && run == 0 {
            State::Silent { run: 0, age: 0 }
        } else {
            State::Speaking { silence, run, age: age.saturating_add(1) }
        }
    }

    /// Whether a segment is open.
    pub fn is_speaking(&self) -> bool {
        matches!(self.state, State::Speaking { .. })
    }

    /// Whether a segment is open and the newest hop is speech, not the hangover.
    pub fn is_speaking_now(&self) -> bool {
        matches!(self.state, State::Speaking { silence: 0, .. })
    }

    /// Hops since the open segment's onset began to count, the newest included; 0 without a segment.
    pub fn age_hops(&self) -> u32 {
        match self.state {
            State::Speaking { age, .. } => age,
            State::Silent { .. } => 0,
        }
    }

    /// Opens a segment that began `age` hops ago, found by other means than the onset.
    pub fn open(&mut self, age: u32) {
        self.state = State::Speaking { silence: 0, run: RESUME_HOPS, age: age.max(1) };
    }

    /// Forgets everything; the next segment needs a new onset.
    pub fn reset(&mut self) {
        self.state = State::Silent { run: 0, age: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `#` speech, `.` none; answers `(` where a segment opens and `)` where it closes, `_` elsewhere.
    fn segments(endpoint: &mut Endpoint, hops: &str) -> String {
        hops.chars()
            .map(|hop| {
                let before = endpoint.is_speaking();
                endpoint.handle_hop(hop == '#');
                match (before, endpoint.is_speaking()) {
                    (false, true) => '(',
                    (true, false) => ')',
                    _ => '_',
                }
            })
            .collect()
    }

    #[test]
    fn onset_opens_and_hangover_closes() {
        for (hops, expected) in [
            ("..####......", "____(_____)_"),       // 30 ms onset, 50 ms hangover
            ("..##.##.....", "____________"),       // too little hangs together
            ("..##.####...", "_______(____"),       // a gap takes back two hops
            ("#.#.#.#.#.#.", "____________"),       // clicks
            ("###..#..##.....", "__(____)_______"), // single hops do not hold it open
            ("###..###.....", "__(_________)"),     // a word does
            ("###...###.....", "__(__________)"),   // even one that begins as the hangover ends
            ("###....#.....", "__(_____)____"),
        ] {
            assert_eq!(segments(&mut Endpoint::new(30, 50), hops), expected, "{hops}");
        }
    }

    #[test]
    fn the_age_reaches_back_to_where_the_onset_began() {
        let mut endpoint = Endpoint::new(30, 50);
        segments(&mut endpoint, "...##.###");
        assert!(endpoint.is_speaking());
        assert_eq!(endpoint.age_hops(), 3); // the gap took the first two back whole
        endpoint.reset();
        assert_eq!(endpoint.age_hops(), 0);
        assert!(!endpoint.is_speaking());
    }

    #[test]
    fn the_hangover_is_not_speaking_now() {
        let mut endpoint = Endpoint::new(20, 100);
        segments(&mut endpoint, "##");
        assert!(endpoint.is_speaking_now());
        segments(&mut endpoint, ".");
        assert!(endpoint.is_speaking() && !endpoint.is_speaking_now());
    }
}
