//! What the gate believes of a hop: all of it, what the ears tell from the loudspeaker, or nothing; and whom it tells.

use super::ears::bargein::Verdict;
use super::preroll::LOUD_AMONG;
use super::{Gate, REPLY_STOPS_WITHIN, WORD_HOPS};
use crate::config::agent::{ListenMode, VoiceBargeIn};
use crate::flow::{Duplex, GateEvent};

/// How much of a hop is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hearing {
    /// All of it.
    Clear,
    /// The loudspeaker is in it, and the ears tell what is not the loudspeaker.
    Over,
    /// Nothing: it may be the loudspeaker.
    Deaf,
}

impl Gate {
    /// How much of the newest hop is to be believed.
    ///
    /// A press silences the reply, so what comes after that is counted as the user's even where the core
    /// never says that the loudspeaker is silent.
    pub(super) fn hearing(&self) -> Hearing {
        let is_full = self.room.duplex == Some(Duplex::Full);
        match self.voice_barge_in {
            VoiceBargeIn::On => Hearing::Clear,
            // Also in a pause of the reply: what its echo may not do, noise may not.
            VoiceBargeIn::Auto if is_full && (self.room.is_far || (self.far_came && self.speaker_audible)) => {
                Hearing::Over
            }
            // Of a reply that is said to play the far-end copy comes before its echo, or there is none.
            VoiceBargeIn::Auto if is_full && !self.speaker_audible => Hearing::Clear,
            VoiceBargeIn::Auto | VoiceBargeIn::Off => {
                let stops_at = self.button.pressed_at() + REPLY_STOPS_WITHIN + self.echo_tail;
                let is_told = self.speaker_audible || self.now < self.echo_until;
                let is_silenced = self.button.is_engaged() && self.now >= stops_at;
                if self.room.is_far || (is_told && !is_silenced) { Hearing::Deaf } else { Hearing::Clear }
            }
        }
    }

    /// Notes whether the newest hop may be the loudspeaker's echo.
    pub(super) fn watch_echo(&mut self, hearing: Hearing) {
        if hearing == Hearing::Deaf {
            self.echo_free = self.preroll.next();
        }
    }

    /// Tells the endpoint of the newest hop; in an open window even if a sound of the device's own is in it.
    pub(super) fn watch_voice(&mut self, hearing: Hearing, voiced: bool, speech: bool) {
        if self.window.cause().is_some() || self.awaits_silence {
            self.endpoint.handle_hop(speech);
        } else {
            match hearing {
                Hearing::Clear => self.endpoint.handle_hop(speech),
                Hearing::Over | Hearing::Deaf => self.endpoint.reset(),
            }
            self.watch_barge_in(hearing, voiced);
        }
        self.awaits_silence &= self.endpoint.is_speaking();
    }

    /// Looks for a voice over the loudspeaker, where a voice may open the gate at all.
    fn watch_barge_in(&mut self, hearing: Hearing, voiced: bool) {
        if hearing != Hearing::Over || !self.may_voice_open() {
            return self.end_suspicion();
        }
        match self.barge_in.handle_hop(self.room.near, voiced) {
            Verdict::Nothing => {}
            Verdict::Suspected => self.window.say(GateEvent::Suspect(true)),
            Verdict::Cleared => self.window.say(GateEvent::Suspect(false)),
            Verdict::Cut(age) => self.endpoint.open(age),
        }
    }

    pub(super) fn end_suspicion(&mut self) {
        if self.barge_in.reset() {
            self.window.say(GateEvent::Suspect(false));
        }
    }

    /// Notes whether a word was said in the present press; loudness alone is no word, nor is the device's own sound.
    pub(super) fn watch_press(&mut self, voiced: bool) {
        if !self.button.is_engaged() {
            return;
        }
        let is_echo = self.echo_free == self.preroll.next();
        self.press_voiced = self.press_voiced << 1 | u16::from(voiced && !is_echo);
        if (self.press_voiced & ((1 << LOUD_AMONG) - 1)).count_ones() >= WORD_HOPS {
            self.button.heard_word();
            self.quiet_since = self.now;
        }
        self.press_was_spoken_in |= self.endpoint.is_speaking();
    }

    /// Whether a voice alone may open a window now.
    pub(super) fn may_voice_open(&self) -> bool {
        !self.is_muted && !self.awaits_silence && (self.mode == ListenMode::HandsFree || self.door.is_open())
    }
}
