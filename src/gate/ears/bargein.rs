//! The barge-in rule: evidence that lasts, and sounds like a voice, cuts a reply.
//!
//! Evidence comes averaged over the last hops: much of it is enough after three hops, little of it after seven, and what
//! comes and goes within a hop or two (a click, a leak at a loud syllable) never is. A slammed door gets far, but has no
//! voice. What is not enough yet lowers the reply, so that what follows is heard better.

use super::evidence::Nearness;

/// Hops of evidence among the last sixteen that cut, and where suspicions came to nothing before: what a loudspeaker
/// adds that is driven hard lasts 50 ms.
const EVIDENCE_HOPS: u32 = 4;
const EVIDENCE_HOPS_IN_DOUBT: u32 = 8;
/// How much of the doubt is left a hop later (half after two minutes of echo), and from which on it counts: one suspicion
/// that came to nothing is one doubt.
const DOUBT_FADES: f32 = 0.999_942;
const DOUBTFUL: f32 = 0.7;
/// Doubt at the start: gone after five seconds of echo.
const DOUBT_AT_FIRST: f32 = 0.72;
/// Voiced hops of evidence among the last sixteen that are needed too.
const VOICED_HOPS: u32 = 3;
/// So many times what is enough, for so many hops of the last sixteen, is somebody in a room without doubt, also where the
/// suppressor takes all of it for echo.
const SURE: f32 = 2.0;
const SURE_HOPS: u32 = 10;
/// What lowered the reply was nothing where less than this is left of it; 1 would cut.
const CLEARED: f32 = 0.1;
/// A suspicion of so much that came to nothing is a doubt.
const DOUBTED: f32 = 0.85;
/// Hops in which a suspicion stands at least: 300 ms, or the reply would flutter.
const SUSPECT_HOPS_MIN: u32 = 30;

/// Without evidence for so long what came before belongs to something else: 500 ms, a long gap between two words and
/// what the reply hides around it.
const PAUSE_HOPS: u32 = 50;
/// The furthest that a cut reaches back: 2 s. Where the reply hides most of what somebody says, the first word
/// was evidence too, only not enough.
pub const REACH_HOPS: u32 = 200;

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

/// Weighs evidence.
#[derive(Clone, Copy, Debug)]
pub struct BargeIn {
    /// Which of the last hops were evidence and voiced, the newest in the lowest bit.
    voiced: u16,
    /// Which were evidence.
    evidence: u16,
    /// Hops since the first evidence behind which there was no pause, and since the last.
    age: u32,
    pause: u32,
    /// What was told, until it is settled.
    suspected: Option<Suspicion>,
    /// How many suspicions came to nothing lately.
    doubt: f32,
}

/// Somebody may have begun to speak.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    /// Hops since it was told.
    hops: u32,
    /// The most evidence there was for it, over what is enough.
    most: f32,
}

impl Default for BargeIn {
    /// No evidence yet, and some doubt: the room is not known.
    fn default() -> BargeIn {
        BargeIn { voiced: 0, evidence: 0, age: 0, pause: 0, suspected: None, doubt: DOUBT_AT_FIRST }
    }
}

impl BargeIn {
    /// Takes the next hop in which the loudspeaker can be heard: what is in it beyond that, and whether it is voiced.
    pub fn handle_hop(&mut self, near: Nearness, is_voiced: bool) -> Verdict {
        self.voiced = self.voiced << 1 | u16::from(is_voiced && near.is_some());
        self.pause = if near.is_anything() { 0 } else { self.pause.saturating_add(1) };
        let goes_on = self.pause < PAUSE_HOPS && (near.is_anything() || self.age > 0);
        self.age = if goes_on { (self.age + 1).min(REACH_HOPS) } else { 0 };
        self.evidence = self.evidence << 1 | u16::from(near.is_some());
        self.doubt *= DOUBT_FADES;
        if self.is_somebody(near) {
            let age = self.age.max(1);
            self.reset();
            return Verdict::Cut(age);
        }
        match &mut self.suspected {
            None if near.is_suspicious() => {
                self.suspected = Some(Suspicion { hops: 0, most: near.lasting });
                Verdict::Suspected
            }
            Some(suspicion) if near.lasting < CLEARED && suspicion.hops >= SUSPECT_HOPS_MIN => {
                self.doubt += if suspicion.most >= DOUBTED { 1.0 } else { 0.0 };
                self.suspected = None;
                Verdict::Cleared
            }
            Some(suspicion) => {
                suspicion.hops += 1;
                suspicion.most = suspicion.most.max(near.lasting);
                Verdict::Nothing
            }
            None => Verdict::Nothing,
        }
    }

    /// Whether the newest hop, and the evidence before it, is enough to cut.
    fn is_somebody(&self, near: Nearness) -> bool {
        let is_doubtful = self.doubt > DOUBTFUL;
        let hops = self.evidence.count_ones();
        let lasts = hops >= if is_doubtful { EVIDENCE_HOPS_IN_DOUBT } else { EVIDENCE_HOPS };
        let is_sure = !is_doubtful && hops >= SURE_HOPS && near.lasting >= SURE;
        lasts && self.voiced.count_ones() >= VOICED_HOPS && near.lasting >= 1.0 && (near.passes || is_sure)
    }

    /// Forgets everything but its doubts; answers whether a suspicion was told that nothing else settles.
    pub fn reset(&mut self) -> bool {
        let fresh = BargeIn { doubt: self.doubt, ..BargeIn::default() };
        std::mem::replace(self, fresh).suspected.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `v` enough that is voiced, `n` enough that is not, `w` a voice but not enough, `x` a voice that the suppressor takes
    /// for echo, `X` much of it, `.` none; answers `?` suspected, `!` cut, `-` cleared.
    fn verdicts(hops: &str) -> String {
        let mut rule = known();
        hops.chars()
            .map(|hop| match rule.handle_hop(near(hop), "vwxX".contains(hop)) {
                Verdict::Nothing => '_',
                Verdict::Suspected => '?',
                Verdict::Cleared => '-',
                Verdict::Cut(_) => '!',
            })
            .collect()
    }

    /// A rule in a room that is known.
    fn known() -> BargeIn {
        BargeIn { doubt: 0.0, ..BargeIn::default() }
    }

    fn near(hop: char) -> Nearness {
        let (bands, lasting) = match hop {
            '.' => (0.0, 0.0),
            'w' => (2.0, 0.7),
            'X' => (8.0, 2.0),
            _ => (4.0, 1.0),
        };
        Nearness { bands, lasting, passes: !"xX".contains(hop) }
    }

    #[test]
    fn evidence_that_lasts_cuts() {
        for (hops, expected) in [
            ("..vvvv.", "__?__!_"),
            ("..nnnvvv", "__?____!"),
            ("..vv....vv", "__?______!"),       // gaps within a word
            ("..nnnnnnnnnn", "__?_________"),   // a door
            ("w............", "?____________"), // a click
            ("..xxxxv", "__?___!"),             // the suppressor is late
            ("..xxxxxxxx", "__?_______"),       // or right
            ("..XXXXXXXXXX", "__?________!"),   // or wrong
            ("..wwwwwwww", "__?_______"),
        ] {
            assert_eq!(verdicts(hops), expected, "{hops}");
        }
        let suspicion = format!("w{}", ".".repeat(40));
        assert_eq!(verdicts(&suspicion), format!("?{}-{}", "_".repeat(30), "_".repeat(9)));
    }

    #[test]
    fn a_room_in_which_suspicions_come_to_nothing_needs_more() {
        let nothing = format!("n{}", ".".repeat(40)); // a door
        let after = |hops: &str| verdicts(&format!("{nothing}{hops}"))[nothing.len()..].to_string();
        assert_eq!(after("vvvvvvvv"), "?______!");
        assert_eq!(after("XXXXXXXXXXXX"), "?___________", "and the suppressor's word");
        let mut new = BargeIn::default();
        let cuts = (0..9).position(|_| matches!(new.handle_hop(near('v'), true), Verdict::Cut(_)));
        assert_eq!(cuts, Some(7), "and so does one that is not known yet");
        let later = format!("{}vvvv", ".".repeat(7000));
        assert_eq!(&after(&later)[7000..], "?__!", "a minute later it is forgiven");
    }

    #[test]
    fn the_age_reaches_back_to_the_first_evidence() {
        let mut rule = known();
        let said: Vec<Verdict> = "..w.wwwv".chars().map(|hop| rule.handle_hop(near(hop), hop != '.')).collect();
        assert_eq!(said.last(), Some(&Verdict::Cut(6)), "{said:?}");
        assert!(!rule.reset(), "a cut settles the suspicion");
        rule.handle_hop(near('w'), true);
        assert!(rule.reset());
    }
}
