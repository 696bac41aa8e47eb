//! The barge-in rule: evidence that lasts, and sounds like a voice, cuts a reply.
//!
//! Speech has gaps of a few hops within a word, and the detector and the canceller add some: so hops of evidence are
//! counted up and others counted down, and a voice that was heard a moment ago still counts. What rises at once
//! and ends at once (a click, a leak at a loud syllable) never gets far; a slammed door gets far without a voice.

/// Hops of evidence that cut: 80 ms. Tried 50 to 150: shorter ones let the worst loudspeakers cut themselves, longer
/// ones are late where the reply hides every other syllable.
const CUT_HOPS: u32 = 8;
/// … of them voiced.
const VOICED_HOPS: u32 = 3;
/// Hops of evidence that lower the reply until it is decided.
const SUSPECT_HOPS: u32 = 3;
/// Hops in which a suspicion stands at least: 300 ms, or the reply would flutter.
const SUSPECT_HOPS_MIN: u32 = 30;

/// Without evidence for so long what came before belongs to something else: 1 s, a pause between two words.
const PAUSE_HOPS: u32 = 100;
/// The furthest that a cut reaches back: 2 s. Where the reply hides most of what somebody says, the first word
/// was evidence too, only not enough.
pub const REACH_HOPS: u32 = 200;

/// What a hop counts for, in quarters of a hop of evidence: up with evidence, down without.
const UP: u32 = 4;
const DOWN: u32 = 1;

/// What follows from a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing new.
    Nothing,
    /// Somebody may have begun to speak.
    Suspected,
    /// It was nothing.
    Cleared,
    /// Somebody speaks; so many hops ago it began, the newest included.
    Cut(u32),
}

/// Counts evidence.
#[derive(Clone, Copy, Debug, Default)]
pub struct BargeIn {
    /// Evidence, in quarters of hops.
    score: u32,
    voiced: u32,
    /// Hops since the first evidence behind which there was no pause, and since the last.
    age: u32,
    pause: u32,
    /// Hops since the suspicion was told; nothing where none is.
    suspected: Option<u32>,
}

impl BargeIn {
    /// Takes the next hop in which the loudspeaker can be heard: whether it is more than that, and voiced.
    pub fn handle_hop(&mut self, is_near: bool, is_voiced: bool) -> Verdict {
        self.score = if is_near { self.score + UP } else { self.score.saturating_sub(DOWN) };
        self.voiced = if self.score == 0 { 0 } else { self.voiced + u32::from(is_voiced) };
        self.pause = if is_near { 0 } else { self.pause.saturating_add(1) };
        let goes_on = self.pause < PAUSE_HOPS && (is_near || self.age > 0);
        self.age = if goes_on { (self.age + 1).min(REACH_HOPS) } else { 0 };
        if self.score >= CUT_HOPS * UP && self.voiced >= VOICED_HOPS {
            let age = self.age;
            *self = BargeIn::default();
            return Verdict::Cut(age);
        }
        // A noise that goes on and on is not to be paid back for as long.
        self.score = self.score.min(CUT_HOPS * UP);
        match &mut self.suspected {
            None if self.score >= SUSPECT_HOPS * UP => {
                self.suspected = Some(0);
                Verdict::Suspected
            }
            Some(hops) if self.score == 0 && *hops >= SUSPECT_HOPS_MIN => {
                self.suspected = None;
                Verdict::Cleared
            }
            Some(hops) => {
                *hops += 1;
                Verdict::Nothing
            }
            None => Verdict::Nothing,
        }
    }

    /// Forgets everything; answers whether a suspicion was told that nothing else settles.
    pub fn reset(&mut self) -> bool {
        std::mem::take(self).suspected.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `v` evidence that is voiced, `n` evidence that is not, `.` none; answers `?` suspected, `!` cut, `-` cleared.
    fn verdicts(hops: &str) -> String {
        let mut rule = BargeIn::default();
        hops.chars()
            .map(|hop| match rule.handle_hop(hop != '.', hop == 'v') {
                Verdict::Nothing => '_',
                Verdict::Suspected => '?',
                Verdict::Cleared => '-',
                Verdict::Cut(_) => '!',
            })
            .collect()
    }

    #[test]
    fn evidence_that_lasts_cuts() {
        for (hops, expected) in [
            ("..vvvvvvvv", "____?____!"),
            ("..nnnvvvnn", "____?____!"),
            ("..vv..vv...vvvvvv", "_______?________!"), // gaps within a word
            ("..nnnnnnnnnn", "____?_______"),           // a door
            ("vv...........", "_____________"),         // a click
        ] {
            assert_eq!(verdicts(hops), expected, "{hops}");
        }
        let suspicion = format!("vvv{}", ".".repeat(40));
        assert_eq!(verdicts(&suspicion), format!("__?{}-{}", "_".repeat(30), "_".repeat(9)));
    }

    #[test]
    fn the_age_reaches_back_to_the_first_evidence() {
        let mut rule = BargeIn::default();
        let cut = "..v.vvvvvvv".chars().map(|hop| rule.handle_hop(hop == 'v', hop == 'v')).last();
        assert_eq!(cut, Some(Verdict::Nothing));
        assert_eq!(rule.handle_hop(true, true), Verdict::Cut(10));
        assert_eq!(rule.handle_hop(true, true), Verdict::Nothing);
        assert!(!rule.reset(), "a cut settles the suspicion");
    }
}
