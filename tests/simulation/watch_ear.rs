//! What is heard, and what moves: replies to the sample, calls once.

use mynah::flow::{Closed, SpeakerFact, SpeakerOrder, ToolOrder, What};
use mynah::units::{CallId, Epoch};

use super::{ReplyId, Rule, Watch};

impl Watch {
    /// The core orders this; sound is of `reply`.
    pub fn speaker_ordered(&mut self, order: &SpeakerOrder, reply: Option<ReplyId>) {
        match order {
            SpeakerOrder::Play { epoch, chunk } => self.played(*epoch, &chunk.frames, reply),
            SpeakerOrder::Flush { epoch } => {
                for (_, counted) in self.counted.range_mut(..=*epoch) {
                    counted.is_cut = true;
                }
                for reply in self.replies.iter_mut().filter(|r| r.epoch.is_some_and(|of| of <= *epoch)) {
                    reply.is_cut = true;
                }
            }
            SpeakerOrder::Cue(cue) => self.cue_ordered(*cue),
            SpeakerOrder::End { epoch } => self.sound_ended(*epoch),
            SpeakerOrder::Volume(_) | SpeakerOrder::Wake | SpeakerOrder::Duck(_) => {}
        }
    }

    /// Whose sound is ordered: it may have been kept back for a while, and then comes with another message, or with none.
    pub fn reply_of(&self, order: &SpeakerOrder) -> Option<ReplyId> {
        let SpeakerOrder::Play { epoch, .. } = order else { return None };
        self.counted.get(epoch)?.reply
    }

    /// The core takes sound of this reply for this turn's.
    pub fn received(&mut self, epoch: Epoch, reply: ReplyId) {
        let others = self.replies.iter().position(|r| r.epoch == Some(epoch)).filter(|other| *other != reply);
        self.must(others.is_none(), Rule::ReplyExact, || format!("{epoch} mixes the replies {others:?} and {reply}"));
        self.counted.entry(epoch).or_default().reply = Some(reply);
        // What is said after generationComplete has an epoch of its own.
        let before = self.replies[reply].epoch.replace(epoch);
        self.must(before.is_none_or(|b| b <= epoch), Rule::ReplyExact, || {
            format!("reply {reply} is {before:?}, then {epoch}")
        });
    }

    pub(super) fn played(&mut self, epoch: Epoch, frames: &[i16], reply: Option<ReplyId>) {
        let counted = self.counted.entry(epoch).or_default();
        counted.received += frames.len();
        let was_flushed = counted.is_cut;
        self.must(!was_flushed, Rule::OldEpochSilent, || format!("{epoch} is given to the speaker after its flush"));
        if self.sounded(epoch, frames) {
            return;
        }
        let Some(reply) = reply else {
            return self.fail(Rule::ReplyExact, || format!("{epoch} is played, but the service is not replying"));
        };
        let exchange = self.exchange_of(reply);
        let (is_wanted, is_blurred) = (exchange.is_wanted, exchange.is_blurred);
        self.blurred += u64::from(!is_wanted && is_blurred);
        self.must(is_wanted || is_blurred, Rule::CutStaysCut, || {
            format!("reply {reply} to a mistaken press is played as {epoch}")
        });
        let record = &mut self.replies[reply];
        let is_cut = record.is_cut;
        let mut from = record.played;
        if is_blurred && record.truth.get(from..from + frames.len()) != Some(frames) {
            // Taken up where nothing tells turns apart: what was dropped before is missing, the rest is whole.
            let rest = record.truth.get(from..).unwrap_or_default();
            from += rest.windows(frames.len().max(1)).position(|piece| piece == frames).unwrap_or(0);
        }
        record.played = from + frames.len();
        let is_true = record.truth.get(from..from + frames.len()) == Some(frames);
        self.must(!is_cut || is_blurred, Rule::CutStaysCut, || {
            format!("reply {reply} was cut and is played again as {epoch}")
        });
        self.must(is_true, Rule::ReplyExact, || format!("reply {reply} differs from the script after frame {from}"));
    }

    /// The speaker refused sound of this epoch: old, or over the limit.
    pub fn chunk_refused(&mut self, epoch: Epoch) {
        self.counted.entry(epoch).or_default().is_lossy = true;
    }

    /// The loudspeaker has played so many frames of it.
    pub fn heard(&mut self, epoch: Epoch, reply: ReplyId, frames: usize) {
        self.counted.entry(epoch).or_default().heard += frames;
        if let Some(reply) = self.replies.get_mut(reply) {
            reply.heard += frames;
        }
    }

    /// The speaker reports this.
    pub fn fact(&mut self, fact: &SpeakerFact) {
        let (epoch, heard_ms, is_end) = match fact {
            SpeakerFact::Heard { epoch, heard_ms } | SpeakerFact::Flushed { epoch, heard_ms } => {
                (epoch, heard_ms, false)
            }
            SpeakerFact::Drained { epoch, heard_ms } => (epoch, heard_ms, true),
            _ => return,
        };
        let counted = self.counted.entry(*epoch).or_default();
        let ms = |frames: usize| frames as u64 / 24;
        let (received, heard, is_whole) =
            (ms(counted.received), ms(counted.heard), !counted.is_cut && !counted.is_lossy);
        self.must(*heard_ms <= received, Rule::HeardCount, || format!("{fact:?}, of {received} ms that were received"));
        self.must(*heard_ms == heard, Rule::HeardCount, || format!("{fact:?}, but {heard} ms left the loudspeaker"));
        if is_end && is_whole {
            self.must(*heard_ms == received, Rule::HeardCount, || format!("{fact:?}, but {received} ms were received"));
        }
    }

    /// The core reports this to whoever watches.
    pub fn event(&mut self, what: &What) {
        if matches!(
            what,
            What::ReplyLost { .. } | What::TurnOver { .. } | What::SpeechLost { .. } | What::DaySpent { .. }
        ) {
            self.note(|| format!("      ! {what:?}"));
        }
        self.speech_event(what);
        match what {
            What::NoAnswer { .. } => self.disturb("no answer came in time"),
            What::DaySpent { .. } => self.is_day_spent = true,
            What::StillSent { age_ms, .. } => {
                self.must(*age_ms <= 500, Rule::PicturesFresh, || format!("a picture is {age_ms} ms old"));
            }
            What::ReplyRepeated { epoch } => self.repeated(*epoch),
            What::LinkClosed { cause: Closed::Spent } => self.is_spent = true,
            What::ToolLost { id, is_told, .. } => self.call_lost(id, *is_told),
            What::ReplyCut { epoch, .. } => {
                for reply in self.replies.iter_mut().filter(|r| r.epoch == Some(*epoch)) {
                    reply.is_cut = true;
                }
            }
            _ => {}
        }
    }

    /// The core orders this of the tools.
    pub fn tool_ordered(&mut self, order: &ToolOrder) {
        let step = self.step;
        match order {
            ToolOrder::Run(call) => {
                let record = self.calls.entry(call.id.clone()).or_default();
                record.runs += 1;
                let is_first = record.runs == 1 && record.answers == 0;
                self.must(is_first, Rule::CallsOnce, || format!("{} is run again", call.id));
            }
            ToolOrder::ByHand(_)
            | ToolOrder::Tapped
            | ToolOrder::Heard { .. }
            | ToolOrder::Offline
            | ToolOrder::Hushed
            | ToolOrder::VisitOver => {}
            ToolOrder::Cancel(id) => {
                let record = self.calls.entry(id.clone()).or_default();
                record.cancels += 1;
                record.cancelled_in = step;
                let is_due = record.runs == 1 && record.cancels == 1 && record.answers == 0;
                // A tool that still runs for nobody is stopped.
                self.must(is_due, Rule::CallsOnce, || format!("{id} is cancelled, but is not open"));
            }
        }
    }

    pub(super) fn call_answered(&mut self, id: &CallId) {
        let (step, attempt, is_first) = (self.step, self.wire.attempt, !self.wire.is_used);
        let record = self.calls.entry(id.clone()).or_default();
        if record.attempt != attempt {
            // Lost with its connection, or the answer may have been: told before anything else, once on each.
            record.answers_later += 1;
            let is_due = record.later_on.replace(attempt) != Some(attempt) && record.runs <= 1;
            self.must(is_due, Rule::CallsOnce, || format!("{id} is answered on another connection, but is not open"));
            return self
                .must(is_first, Rule::CallsOnce, || format!("{id} of another connection is not answered first"));
        }
        record.answers += 1;
        let is_open = record.answers == 1 && record.losses == 0 && (record.cancels == 0 || record.cancelled_in == step);
        self.must(is_open, Rule::CallsOnce, || format!("{id} is answered, but is not open"));
    }

    fn call_lost(&mut self, id: &CallId, is_told: bool) {
        let (attempt, is_ready) = (self.wire.attempt, self.wire.is_ready);
        let record = self.calls.entry(id.clone()).or_default();
        let is_gone = record.attempt != attempt || !is_ready;
        record.losses += 1;
        record.is_told = is_told;
        let was_told = record.later_on == Some(attempt);
        let is_due = record.losses == 1 && record.runs == 1 && record.answers == 0 && is_gone;
        self.must(is_due, Rule::CallsOnce, || format!("{id} is reported lost, but was not"));
        self.must(is_told == was_told, Rule::CallsOnce, || format!("{id}: reported told {is_told}, told {was_told}"));
    }
}
