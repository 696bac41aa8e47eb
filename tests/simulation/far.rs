//! What the core gives orders to on the device: the tools and the speaker's thread.

use std::time::Duration;

use mynah::flow::{Cue, SPEAKER_QUEUE_MS, SpeakerFact, SpeakerOrder, ToolOrder, ToolReply};
use serde_json::json;

use super::super::device::ReplyId;
use super::super::watch::Rule;
use super::{Due, Queue, ToCore, World};

/// A cue comes beside so many of a hundred orders: before, in and after replies, flushes and gaps.
const CUE_PERCENT: u64 = 3;

/// Every queue between speaker and gate is late at once.
const AUDIBLE_WITHIN: Duration = Duration::from_millis(250);

impl World {
    pub(super) fn tools(&mut self, order: ToolOrder) {
        self.popped(Queue::CoreToTools);
        match order {
            ToolOrder::Run(call) => {
                self.running.push(call.id.clone());
                let result =
                    if self.dice.chance(20) { Err("the line is not there".into()) } else { Ok(json!({"on": true})) };
                let reply = ToolReply { id: call.id, name: call.name, result };
                let after = match self.dice.between(0, 9) {
                    0 => return, // never
                    1 => self.dice.ms(1400, 4000),
                    2..=4 => Duration::ZERO,
                    _ => self.dice.ms(5, 900),
                };
                self.at(self.now + after, Due::ToolReplies(reply));
            }
            // An answer may be on its way already: it is not called back.
            ToolOrder::Cancel(id) => self.running.retain(|running| *running != id),
            ToolOrder::ByHand(_)
            | ToolOrder::Tapped
            | ToolOrder::Heard { .. }
            | ToolOrder::Offline
            | ToolOrder::Hushed
            | ToolOrder::VisitOver => {}
        }
    }

    pub(super) fn speaker_tick(&mut self) {
        self.is_ticking = false;
        if self.speaker.is_running() {
            self.speaker.tick(self.now, &mut self.watch);
        }
        self.compare_audible();
        if self.dice.chance(self.story.late_percent) {
            self.speaker.asleep_until = self.now + self.dice.ms(5, 60);
        }
        self.settle_speaker();
    }

    /// What sounds for a while without the gate's knowledge it takes for the user.
    fn compare_audible(&mut self) {
        if !self.speaker.is_sounding() || self.is_told_audible {
            self.misled_since = None;
        } else if self.now.since(*self.misled_since.get_or_insert(self.now)) > AUDIBLE_WITHIN {
            self.watch.fail(Rule::AudibleTold, || "the loudspeaker sounds, and the gate does not know".into());
        }
    }

    pub(super) fn order_speaker(&mut self, order: SpeakerOrder, reply: ReplyId) {
        self.popped(Queue::CoreToSpeaker);
        self.watch.note(|| match &order {
            SpeakerOrder::Play { epoch, .. } => format!("      speaker gets sound of {epoch}"),
            other => format!("      speaker {other:?}"),
        });
        self.hand_to_speaker(order, reply);
        if self.cue_dice.chance(CUE_PERCENT) {
            let cue = self.cue_dice.pick(&[Cue::Again, Cue::Lost, Cue::Offline, Cue::Spent]);
            self.watch.note(|| format!("      speaker Cue({cue:?})"));
            self.hand_to_speaker(SpeakerOrder::Cue(cue), usize::MAX);
        }
    }

    fn hand_to_speaker(&mut self, order: SpeakerOrder, reply: ReplyId) {
        let is_deaf = self.mutation.is_some_and(|mutation| mutation.loses_speaker_order(&order));
        self.speaker.order(order, reply, self.now, is_deaf, &mut self.watch);
    }

    pub(super) fn settle_speaker(&mut self) {
        if self.now < self.speaker.asleep_until {
            self.at(self.speaker.asleep_until, Due::SpeakerWakes);
        } else {
            while let Some((order, reply)) = self.at_speaker.pop_front() {
                self.order_speaker(order, reply);
            }
            if let Some(at) = self.speaker.settle(self.now, &mut self.watch) {
                self.at(at, Due::SpeakerWakes);
            }
            self.watch.queue("sound, ms", self.speaker.queued_ms() as usize, SPEAKER_QUEUE_MS as usize);
            while let Some(mut fact) = self.speaker.poll_fact(self.now, &mut self.watch) {
                if let Some(mutation) = self.mutation {
                    mutation.of_fact(&mut fact);
                }
                self.watch.fact(&fact);
                match fact {
                    SpeakerFact::Started { .. } => self.audible_since = Some(self.now),
                    SpeakerFact::Drained { .. } | SpeakerFact::Flushed { .. } => self.audible_since = None,
                    _ => {}
                }
                self.push(Queue::SpeakerToCore, |fact| Due::ToCore(ToCore::Speaker(fact)), fact);
            }
        }
        if self.speaker.is_running() && !self.is_ticking {
            self.is_ticking = true;
            self.at(self.now + Duration::from_millis(10), Due::SpeakerTick);
        }
    }
}
