//! What a person wants beside talking: mute, a new conversation, the last reply once more.

use mynah::flow::{CloseCause, Control, GateEvent, Gesture, MicFact};
use mynah::session::Input;
use mynah::units::Epoch;

use super::{Rule, Watch};

/// What people and the hardware's line want, as told to the core.
#[derive(Default)]
pub struct Person {
    by_person: bool,
    by_line: bool,
    /// How a person had it before the press under way changed it.
    before_press: Option<bool>,
    /// Hops whose loss must be told in this step.
    owed: u32,
    /// Hops whose loss may be told beside: of a question that was to be asked again, by voice or in words.
    owed_perhaps: u32,
    /// The turn that says a reply once more, and its sound so far.
    repeated: Option<Epoch>,
    repeating: Vec<i16>,
    /// All sound of replies, in the order in which it was given to the speaker, since the last new conversation.
    sounded: Vec<i16>,
}

impl Person {
    pub fn is_muted(&self) -> bool {
        self.by_person || self.by_line
    }

    pub fn is_repeated(&self, epoch: Epoch) -> bool {
        self.repeated == Some(epoch)
    }
}

impl Watch {
    /// The core is about to take this.
    pub fn core_takes(&mut self, input: &Input) {
        match input {
            Input::Gate(GateEvent::Pressed) => self.person.before_press = None,
            Input::Gate(GateEvent::Woken) if !self.person.is_muted() => {
                self.disturb("the wake word was said");
                self.pending.take_if(|pending| pending.is_sent);
            }
            Input::Mic(MicFact::Muted(is_muted)) => self.muted(self.person.by_person, *is_muted),
            Input::Control(Control::Mute(is_muted)) => self.muted(*is_muted, self.person.by_line),
            Input::Gate(GateEvent::Gesture(Gesture::Mute)) => {
                let before = self.person.by_person;
                if before || !self.person.by_line {
                    self.person.before_press = Some(before);
                    self.muted(!before, self.person.by_line);
                }
            }
            Input::Gate(GateEvent::Gesture(Gesture::Reset)) => {
                if let Some(before) = self.person.before_press.take() {
                    self.muted(before, self.person.by_line);
                }
                self.reset();
            }
            Input::Control(Control::Reset) => self.reset(),
            Input::Control(Control::Stop | Control::Repeat) | Input::Gate(GateEvent::Gesture(Gesture::Repeat)) => {
                self.disturb("a person wanted something else");
            }
            _ => {}
        }
    }

    fn muted(&mut self, by_person: bool, by_line: bool) {
        let was_muted = self.person.is_muted();
        (self.person.by_person, self.person.by_line) = (by_person, by_line);
        if self.person.is_muted() && !was_muted {
            self.count("mutes");
            self.silence();
            self.pending.take_if(|pending| !pending.is_sent || self.segments[pending.segment].is_told_lost);
        }
    }

    fn reset(&mut self) {
        self.count("new conversations");
        self.silence();
        self.pending = None;
        self.handles.forget();
        self.person.sounded.clear();
        self.disturb("a new conversation was begun");
    }

    /// What the core has of the user's speech is to be forgotten: what would still have been sent is told.
    fn silence(&mut self) {
        let sending = self.wire.window.flatten().map(|(first, _)| first);
        for segment in self.segments.iter_mut().take(self.core_opened) {
            segment.is_forgotten |= segment.windows > 0;
            let is_sending = sending.is_some_and(|first| (segment.start..segment.end).contains(&first));
            let is_perhaps = segment.may_be_asked();
            let is_waiting = segment.windows == 0 || is_perhaps || is_sending;
            if !is_waiting || segment.is_answered || segment.is_told_lost || segment.is_silenced {
                continue;
            }
            segment.is_silenced = true;
            let is_meant = segment.is_overfull || segment.core_closed != Some(CloseCause::Mistake);
            if is_meant && !segment.is_turned_away {
                let hops = segment.taken - segment.begin;
                if is_perhaps {
                    self.person.owed_perhaps += hops
                } else {
                    self.person.owed += hops
                }
                segment.is_told_lost = !is_perhaps;
                segment.is_to_ask = false;
            }
        }
    }

    /// The core tells that so many hops are lost because of a mute or a new conversation.
    pub(super) fn silence_told(&mut self, hops: u32) {
        let owed = std::mem::take(&mut self.person.owed);
        let most = owed + std::mem::take(&mut self.person.owed_perhaps);
        if hops > owed {
            self.pending = None; // the question that was to be asked again
        }
        self.must((owed..=most).contains(&hops), Rule::SpeechWhole, || {
            format!("{hops} hops are told to be forgotten, {owed} to {most} were")
        });
    }

    /// All that follows from an input was done.
    pub(super) fn check_silence_told(&mut self) {
        let owed = std::mem::take(&mut self.person.owed);
        self.person.owed_perhaps = 0;
        self.must(owed == 0, Rule::SpeechWhole, || format!("{owed} hops were forgotten, and nobody is told"));
    }

    /// The core says a reply once more as this turn.
    pub(super) fn repeated(&mut self, epoch: Epoch) {
        self.count("replies said once more");
        self.person.repeated = Some(epoch);
        self.person.repeating.clear();
    }

    /// Sound for the speaker; answers whether it is of a reply that is said once more.
    pub(super) fn sounded(&mut self, epoch: Epoch, frames: &[i16]) -> bool {
        let is_repeated = self.person.is_repeated(epoch);
        let person = &mut self.person;
        if is_repeated { &mut person.repeating } else { &mut person.sounded }.extend_from_slice(frames);
        is_repeated
    }

    /// No more sound of this turn comes.
    pub(super) fn sound_ended(&mut self, epoch: Epoch) {
        if self.person.is_repeated(epoch) {
            let Person { repeating, sounded, .. } = &self.person;
            let is_last = !repeating.is_empty() && sounded.ends_with(repeating);
            self.must(is_last, Rule::ReplyExact, || "what is said once more is not what was said last".into());
        }
    }
}
