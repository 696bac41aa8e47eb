//! When a visitor is gone: nobody did anything for a while, or the line that tells of somebody there is quiet.

use std::time::Duration;

use crate::config::agent::kiosk::Kiosk;
use crate::units::Time;

/// Where visits do not end by themselves, the screen shows its idle face after so long.
const FACE_AFTER: Duration = Duration::from_secs(60);

/// One visit after the other.
#[derive(Debug)]
pub struct Visit {
    reset_after: Option<Duration>,
    absent_after: Option<Duration>,
    /// When something was done last; none before anything was.
    active_at: Option<Time>,
    absent_since: Option<Time>,
}

impl Visit {
    /// Nobody there yet.
    pub fn new(kiosk: &Kiosk) -> Visit {
        let absent_after = kiosk.presence.as_ref().map(|_| kiosk.absent_after);
        Visit { reset_after: kiosk.reset_after, absent_after, active_at: None, absent_since: None }
    }

    /// Somebody does something, or is answered.
    pub fn active(&mut self, now: Time) {
        self.active_at = Some(now);
        // Quiet since before: who comes without being seen stays at least that long.
        self.absent_since = self.absent_since.map(|_| now);
    }

    /// The line says that somebody is there, or that nobody is.
    pub fn set_present(&mut self, is_present: bool, now: Time) {
        self.absent_since = if is_present { None } else { Some(self.absent_since.unwrap_or(now)) };
    }

    /// Whether the visitor is gone now: told once for each visit.
    pub fn is_over(&mut self, now: Time) -> bool {
        let is_over = self.ends_at().is_some_and(|at| at <= now);
        if is_over {
            self.active_at = None;
        }
        is_over
    }

    /// Whether nobody is there.
    pub fn is_idle(&self, now: Time) -> bool {
        match self.active_at {
            None => true,
            Some(_) if self.reset_after.is_some() || self.absent_after.is_some() => false,
            Some(at) => now.since(at) >= FACE_AFTER,
        }
    }

    /// When it is over, as far as is known now.
    fn ends_at(&self) -> Option<Time> {
        let active_at = self.active_at?;
        let idle = self.reset_after.map(|after| active_at + after);
        let absent = self.absent_since.zip(self.absent_after).map(|(since, after)| since + after);
        [idle, absent].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(reset_after_s: u64, has_presence: bool) -> Visit {
        Visit::new(&Kiosk {
            reset_after: Some(Duration::from_secs(reset_after_s)).filter(|after| !after.is_zero()),
            presence: has_presence.then(|| "presence".to_string()),
            absent_after: Duration::from_secs(10),
            idle_text: String::new(),
        })
    }

    fn s(s: u64) -> Time {
        Time::from_ms(s * 1000)
    }

    #[test]
    fn a_visit_ends_once_when_nothing_was_done_for_so_long() {
        let mut visit = visit(60, false);
        assert!(!visit.is_over(s(1000)) && visit.is_idle(s(1000)), "nobody came yet");
        visit.active(s(1000));
        visit.active(s(1030));
        assert!(!visit.is_over(s(1089)) && !visit.is_idle(s(1089)));
        assert!(visit.is_over(s(1090)) && visit.is_idle(s(1090)));
        assert!(!visit.is_over(s(2000)));
    }

    #[test]
    fn a_quiet_line_ends_it_sooner_and_one_who_comes_back_goes_on() {
        let mut visit = visit(60, true);
        visit.set_present(true, s(0));
        visit.active(s(1));
        visit.set_present(false, s(5));
        visit.set_present(true, s(9));
        assert!(!visit.is_over(s(20)));
        visit.set_present(false, s(21));
        visit.set_present(false, s(29)); // said again, it is not later
        assert!(!visit.is_over(s(30)));
        assert!(visit.is_over(s(31)));
    }

    #[test]
    fn who_speaks_without_being_seen_is_not_cut_off() {
        let mut visit = visit(0, true);
        visit.set_present(false, s(0));
        visit.active(s(100));
        assert!(!visit.is_over(s(109)));
        assert!(visit.is_over(s(110)));
    }

    #[test]
    fn without_a_kiosk_nothing_is_ever_over_but_the_idle_face_is_shown() {
        let mut visit = visit(0, false);
        visit.active(s(1));
        assert!(!visit.is_over(s(1_000_000)));
        assert!(!visit.is_idle(s(60)) && visit.is_idle(s(61)));
    }
}
