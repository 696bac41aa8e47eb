//! Guards broken on purpose: each shows that a rule can fail.

use mynah::flow::{Closed, Control, Cue, GateEvent, GateNote, LinkOrder, MicFact, SpeakerFact, SpeakerOrder, What};
use mynah::live::client::Message;
use mynah::session::Input;

use super::dice::Dice;
use super::watch::Rule;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The speaker's thread loses the order to be silent.
    FlushIgnored,
    /// The core takes a mistaken press for a meant one.
    MistakeTaken,
    /// The gate says a piece twice.
    GateRepeats,
    /// The gate leaves out how the segment begins.
    PrerollLost,
    /// A piece is lost between gate and core.
    SpeechDropped,
    /// A piece reaches the core twice.
    SpeechDoubled,
    /// A window begins before `setupComplete`.
    SendsEarly,
    /// A window ends after the connection did.
    SendsLate,
    WindowNested,
    /// A window begins with a picture.
    PictureFirst,
    /// A picture is sent twice.
    PictureTwice,
    PictureOld,
    WindowEmptied,
    EndForgotten,
    /// A field is misspelt on the wire.
    UnknownField,
    AnswersTwice,
    AnswersNever,
    /// The core says that it is to be woken in the past.
    DeadlinePassed,
    /// The gate does not look for room.
    GateNeverWaits,
    KeepsTooMuch,
    /// The core never hears that the gate closed.
    ClosedForgotten,
    /// The setup carries another handle than the newest.
    HandleOld,
    /// The old connection is not closed before the next is opened.
    CloseForgotten,
    /// The core takes any closed connection for one that rests until tomorrow.
    RestForgotten,
    /// The gate never hears that the loudspeaker sounds.
    AudibleForgotten,
    /// The core does not sound that something is lost.
    LossUntold,
    /// The core says that it does not ask again, and does.
    AsksAfterAll,
    HeardTooMuch,
    HeardTooLittle,
    SampleChanged,
    /// A reply's sound never reaches the core.
    SoundLost,
    /// The speaker's thread loses the order to sound a cue.
    CueIgnored,
    /// The core never hears that the microphone is to be closed.
    MuteIgnored,
    /// The core never hears that a new conversation is wanted.
    ResetIgnored,
    /// The core does not tell what it has forgotten.
    ForgetsInSilence,
    /// What is said once more is not what was said.
    RepeatChanged,
}

/// Each mutation, and the rule that must notice it.
pub const MUTATIONS: [(Mutation, Rule); 36] = [
    (Mutation::FlushIgnored, Rule::OldEpochSilent),
    (Mutation::MistakeTaken, Rule::CutStaysCut),
    (Mutation::GateRepeats, Rule::GateWhole),
    (Mutation::PrerollLost, Rule::PrerollFirst),
    (Mutation::SendsLate, Rule::SentInTime),
    (Mutation::SpeechDropped, Rule::SpeechWhole),
    (Mutation::SpeechDoubled, Rule::SpeechWhole),
    (Mutation::SendsEarly, Rule::SentInTime),
    (Mutation::WindowNested, Rule::Windows),
    (Mutation::PictureFirst, Rule::Windows),
    (Mutation::PictureTwice, Rule::PicturesFresh),
    (Mutation::PictureOld, Rule::PicturesFresh),
    (Mutation::WindowEmptied, Rule::Windows),
    (Mutation::EndForgotten, Rule::Windows),
    (Mutation::UnknownField, Rule::NotRefused),
    (Mutation::AnswersTwice, Rule::CallsOnce),
    (Mutation::AnswersNever, Rule::CallsOnce),
    (Mutation::DeadlinePassed, Rule::DeadlineAhead),
    (Mutation::GateNeverWaits, Rule::QueueLimits),
    (Mutation::KeepsTooMuch, Rule::KeptLimit),
    (Mutation::ClosedForgotten, Rule::EndsIdle),
    (Mutation::HandleOld, Rule::Handles),
    (Mutation::CloseForgotten, Rule::Handles),
    (Mutation::RestForgotten, Rule::SpentRests),
    (Mutation::AudibleForgotten, Rule::AudibleTold),
    (Mutation::LossUntold, Rule::NobodyForgotten),
    (Mutation::AsksAfterAll, Rule::AskedAgain),
    (Mutation::HeardTooMuch, Rule::HeardCount),
    (Mutation::HeardTooLittle, Rule::HeardCount),
    (Mutation::SampleChanged, Rule::ReplyExact),
    (Mutation::SoundLost, Rule::ReplyExact),
    (Mutation::CueIgnored, Rule::CueWhole),
    (Mutation::MuteIgnored, Rule::MutedSilent),
    (Mutation::ResetIgnored, Rule::Handles),
    (Mutation::ForgetsInSilence, Rule::SpeechWhole),
    (Mutation::RepeatChanged, Rule::ReplyExact),
];

impl Mutation {
    /// How often the core gets this of the gate.
    pub fn copies_of_gate_event(self, event: &GateEvent, dice: &mut Dice) -> usize {
        match (self, event) {
            (Mutation::ClosedForgotten, GateEvent::Closed(_)) => 0,
            (Mutation::SpeechDropped, GateEvent::Speech(_)) if dice.chance(5) => 0,
            (Mutation::SpeechDoubled, GateEvent::Speech(_)) if dice.chance(5) => 2,
            _ => 1,
        }
    }

    /// What the gate says in place of this; `is_first`: of its window.
    pub fn of_gate_event(self, event: GateEvent, is_first: bool) -> Vec<GateEvent> {
        match (self, &event) {
            (Mutation::GateRepeats, GateEvent::Speech(_)) => vec![event, event],
            (Mutation::PrerollLost, GateEvent::Speech(_)) if is_first => vec![],
            _ => vec![event],
        }
    }

    /// What the core gets of this; nothing where it is lost.
    pub fn of_input(self, input: Input) -> Option<Input> {
        let is_lost = match &input {
            Input::Control(Control::Mute(true)) | Input::Mic(MicFact::Muted(true)) => self == Mutation::MuteIgnored,
            Input::Control(Control::Reset) => self == Mutation::ResetIgnored,
            _ => false,
        };
        (!is_lost).then_some(input)
    }

    /// Whether the speaker's thread loses this order.
    pub fn loses_speaker_order(self, order: &SpeakerOrder) -> bool {
        match order {
            SpeakerOrder::Flush { .. } => self == Mutation::FlushIgnored,
            SpeakerOrder::Cue(_) => self == Mutation::CueIgnored,
            _ => false,
        }
    }

    /// Whether the core forgets this order.
    pub fn forgets(self, order: &SpeakerOrder) -> bool {
        self == Mutation::LossUntold && matches!(order, SpeakerOrder::Cue(Cue::Lost))
    }

    /// Whether the gate never gets this note.
    pub fn forgets_note(self, note: GateNote) -> bool {
        self == Mutation::AudibleForgotten && note == GateNote::SpeakerAudible(true)
    }

    /// Changes what the core reports.
    pub fn of_event(self, what: &mut What) {
        match (self, what) {
            (Mutation::AsksAfterAll, What::ReplyLost { is_asked_again, .. }) => *is_asked_again = false,
            (Mutation::ForgetsInSilence, What::SpeechLost { ms, why }) if why.contains("muted") => *ms = 0,
            (Mutation::PictureOld, What::StillSent { age_ms, .. }) => *age_ms += 600,
            (Mutation::RestForgotten, What::LinkClosed { cause }) => *cause = Closed::Spent,
            _ => {}
        }
    }

    /// Changes an order to the speaker.
    pub fn of_speaker_order(self, order: &mut SpeakerOrder) {
        match (self, order) {
            (Mutation::SampleChanged, SpeakerOrder::Play { chunk, .. }) => {
                chunk.frames[0] = chunk.frames[0].wrapping_add(1);
            }
            // Only a repeated reply is put together to pieces of a second.
            (Mutation::RepeatChanged, SpeakerOrder::Play { chunk, .. }) if chunk.frames.len() >= 24_000 => {
                chunk.frames[100] = 1;
            }
            _ => {}
        }
    }

    /// What the core says to the link in place of this.
    pub fn of_link_order(self, order: LinkOrder, turns: u64) -> Vec<LinkOrder> {
        let again = order.clone();
        let mut order = order;
        if let (Mutation::HandleOld, LinkOrder::Send(Message::Setup(setup))) = (self, &mut order)
            && let Some(handle) = setup.pointer_mut("/sessionResumption/handle")
        {
            *handle = "an-older-one".into();
        }
        match (self, &order) {
            (Mutation::SendsEarly, LinkOrder::Send(Message::Setup(_))) => {
                vec![order, LinkOrder::Send(Message::ActivityStart)]
            }
            (Mutation::SendsLate, LinkOrder::Open { .. }) => vec![LinkOrder::Send(Message::ActivityEnd), order],
            (Mutation::CloseForgotten, LinkOrder::Close) => vec![],
            (Mutation::WindowNested, LinkOrder::Send(Message::ActivityStart)) => vec![order, again],
            (Mutation::PictureFirst, LinkOrder::Send(Message::ActivityStart)) => {
                vec![order, LinkOrder::Send(Message::Video(vec![1].into()))]
            }
            (Mutation::WindowEmptied, LinkOrder::Send(Message::Audio(_))) if turns == 1 => vec![],
            (Mutation::EndForgotten, LinkOrder::Send(Message::ActivityEnd)) => vec![],
            (Mutation::PictureTwice, LinkOrder::Send(Message::Video(_))) => vec![order, again],
            (Mutation::AnswersTwice, LinkOrder::Send(Message::ToolResponse { .. })) => vec![order, again],
            (Mutation::AnswersNever, LinkOrder::Send(Message::ToolResponse { .. })) => vec![],
            _ => vec![order],
        }
    }

    /// Changes what goes over the wire.
    pub fn of_bytes(self, text: &mut String) {
        if self == Mutation::UnknownField {
            *text = text.replacen("\"audio\"", "\"sound\"", 1);
        }
    }

    /// Changes a fact.
    pub fn of_fact(self, fact: &mut SpeakerFact) {
        match (self, fact) {
            (Mutation::HeardTooMuch, SpeakerFact::Heard { heard_ms, .. }) => {
                *heard_ms += 10_000;
            }
            (Mutation::HeardTooLittle, SpeakerFact::Drained { heard_ms, .. }) => {
                *heard_ms = heard_ms.saturating_sub(10);
            }
            _ => {}
        }
    }
}
