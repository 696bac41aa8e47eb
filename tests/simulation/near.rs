//! The near end: the user's deeds, the microphone's hops, the gate and its queue to the core.

use std::time::Duration;

use mynah::audio::{HOP_FRAMES, Hop};
use mynah::config::agent::VoiceBargeIn;
use mynah::flow::{EDGES_MAX, GATE_EVENTS_MAX, GateEvent, GateNote, MIC_RING_HOPS, OpenCause};
use mynah::gate::vad::VOICED_FROM;
use mynah::hw::Edge;

use super::super::mutation::Mutation;
use super::super::user::{self, Act, Sound, Until};
use super::super::watch::{number_of, put_number};
use super::{AtGate, Due, Queue, ToCore, World};

impl World {
    pub(super) fn deed(&mut self) {
        if self.acts_left > 0 || !self.is_wait_over() {
            self.at(self.now + Duration::from_millis(20), Due::Deed);
            return;
        }
        if self.deeds_left == 0 {
            return;
        }
        self.deeds_left -= 1;
        let (acts, until) = user::deed(&mut self.dice, &self.story.agent, self.now);
        self.acts_left = acts.len();
        self.until = until;
        for (at, act) in acts {
            self.at(at, Due::Act(act));
        }
        self.at(self.now + Duration::from_millis(20), Due::Deed);
    }

    pub(super) fn is_wait_over(&self) -> bool {
        match self.until {
            Until::Time(at) => self.now >= at,
            Until::Audible(so_long, at) => {
                self.now >= at || self.audible_since.is_some_and(|since| self.now >= since + so_long)
            }
            Until::Idle(at) => {
                self.now >= at || (self.session.is_idle() && !self.gate.is_open() && self.speaker.is_silent())
            }
        }
    }

    pub(super) fn act(&mut self, act: Act) {
        self.acts_left -= 1;
        self.last_input = self.now;
        match act {
            Act::Sound(sound) => self.sound = sound,
            Act::WakeWord => {
                self.watch.note(|| "wake word".into());
                self.at_gate.push_back(AtGate::WakeWord);
                self.pump_gate();
            }
            Act::Button(active) => {
                self.watch.note(|| format!("button {}", if active { "down" } else { "up" }));
                if active && !self.is_down {
                    self.press_hop = self.voiced.len();
                }
                self.is_down = active;
                self.at_gate.push_back(AtGate::Edge(Edge { at: self.now, active }));
                let edges = self.at_gate.iter().filter(|w| matches!(w, AtGate::Edge(_))).count();
                self.watch.queue("button → gate", edges, EDGES_MAX);
                self.pump_gate();
            }
        }
    }

    pub(super) fn hop(&mut self) {
        self.at(self.now + Duration::from_millis(10), Due::Hop);
        if self.now < self.mic_gone_until {
            self.gate_floor = self.voiced.len();
            return;
        }
        let mut frames = match self.sound {
            Sound::Silence => [0; HOP_FRAMES],
            Sound::Voice => VOICED,
            Sound::Knock => KNOCK,
        };
        put_number(&mut frames, self.voiced.len() as u32);
        self.voiced.push(self.sound == Sound::Voice);
        self.at_gate.push_back(AtGate::Hop(Box::new(Hop { at: self.now, frames })));
        self.pump_gate();
    }

    /// Gives the gate what waits for it, and the core what the gate says, as far as there is room.
    pub(super) fn pump_gate(&mut self) {
        loop {
            if !self.deliver_gate() {
                break;
            }
            match self.at_gate.pop_front() {
                None => break,
                Some(AtGate::Hop(hop)) => {
                    let echoes = self.is_told_audible || hop.at < self.echo_until;
                    if echoes && self.story.agent.listen.voice_barge_in == VoiceBargeIn::Off {
                        self.echo_free = number_of(&hop.frames) as usize + 1;
                    }
                    self.gate.handle_hop(&hop);
                }
                Some(AtGate::Edge(edge)) => self.gate.handle_edge(edge),
                Some(AtGate::Note(note)) => self.note_to_gate(note),
                Some(AtGate::WakeWord) => self.gate.handle_woken(),
            }
        }
        let hops = self.at_gate.iter().filter(|w| matches!(w, AtGate::Hop(_))).count();
        self.watch.queue("mic → gate", hops, MIC_RING_HOPS);
    }

    pub(super) fn note_to_gate(&mut self, note: GateNote) {
        match note {
            GateNote::SpeakerAudible(audible) => {
                self.is_told_audible = audible;
                let tail = u64::from(self.story.agent.listen.echo_tail_ms);
                self.echo_until = self.now + Duration::from_millis(tail);
            }
            GateNote::Abort | GateNote::Mute(_) => self.gate_floor = self.voiced.len(),
            GateNote::FollowUp(_) | GateNote::Listen => {}
        }
        self.gate.handle_note(note);
    }

    /// Answers false where the core's queue has no room.
    pub(super) fn deliver_gate(&mut self) -> bool {
        loop {
            let Some(event) = self.gate_waiting.take().or_else(|| self.gate.poll_output()) else { return true };
            if self.len(Queue::GateToCore) >= GATE_EVENTS_MAX && self.mutation != Some(Mutation::GateNeverWaits) {
                self.gate_waiting = Some(event);
                return false;
            }
            let is_first = std::mem::replace(&mut self.has_just_opened, matches!(event, GateEvent::Opened(_)));
            match self.mutation {
                None => self.gate_says(event),
                Some(mutation) => {
                    mutation.of_gate_event(event, is_first).into_iter().for_each(|event| self.gate_says(event));
                }
            }
        }
    }

    pub(super) fn gate_says(&mut self, event: GateEvent) {
        self.watch.gate_said(&event);
        if !matches!(event, GateEvent::Speech(_)) {
            self.watch.note(|| format!("  gate {event:?}"));
        }
        match event {
            GateEvent::Opened(cause) => self.check_preroll(cause),
            GateEvent::FollowUp(true) | GateEvent::Woken => self.door_hop = self.voiced.len(),
            _ => {}
        }
        let broken = self.mutation.map_or(1, |m| m.copies_of_gate_event(&event, &mut self.dice));
        for _ in 0..broken {
            self.push(Queue::GateToCore, |event| Due::ToCore(ToCore::Gate(event)), Box::new(event));
        }
    }

    /// The gate has just opened: its first hop is in the queue behind; look at the next one.
    pub(super) fn check_preroll(&mut self, cause: OpenCause) {
        let listen = &self.story.agent.listen;
        let preroll = listen.preroll_ms as usize / 10;
        let newest = self.voiced.len();
        let run = self.voiced.iter().rev().take_while(|voiced| **voiced).count();
        let spoken = newest - run;
        let from = match cause {
            OpenCause::Voice => spoken.max(self.door_hop).saturating_sub(preroll),
            OpenCause::Button => spoken.max(self.press_hop).saturating_sub(preroll),
        };
        let wanted = if run == 0 { newest } else { from.min(newest.saturating_sub(1)) };
        self.watch.opened_wanting(wanted.max(self.gate_floor).max(self.echo_free) as u32);
    }
}

const VOICED: [i16; HOP_FRAMES] = square(VOICED_FROM);
const KNOCK: [i16; HOP_FRAMES] = square(-VOICED_FROM);

const fn square(first: i16) -> [i16; HOP_FRAMES] {
    let mut frames = [first; HOP_FRAMES];
    let mut at = 1;
    while at < HOP_FRAMES {
        frames[at] = -first;
        at += 2;
    }
    frames
}
