//! The wake word through the gate's thread: microphone and loudspeaker go in as hops, what the core is told comes out.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::audio::{HOP_FRAMES, HOP_MS};
use crate::config::agent::{Canceller, Echo, ListenMode};
use crate::flow::{CloseCause, OpenCause};
use crate::gate::wake::Templates;
use crate::gate::wake::tests::{AGAIN, SENTENCES, frames, in_a_room, owner};

type Frames = [i16; HOP_FRAMES];

/// A second of a room, the owner's word, half a second of the room.
fn word() -> Vec<Frames> {
    in_a_room(&frames(AGAIN[2].1), 40.0)
}

/// What the microphone hears of `played`: 80 ms later, 12 dB softer.
fn echo_of(played: &[Frames]) -> Vec<Frames> {
    let late = std::iter::repeat_n([0; HOP_FRAMES], 8);
    late.chain(played.iter().map(|hop| hop.map(|frame| frame / 4))).collect()
}

/// The thread, to which hops are given one by one as time goes on.
struct Thread {
    ends: LiveEnds,
    thread: JoinHandle<()>,
    at: Time,
    said: Vec<GateEvent>,
}

/// What is left of [`Ends`] when the thread has its parts.
struct LiveEnds {
    clock: Arc<SetClock>,
    hops: Producer<Hop>,
    far: Producer<Hop>,
    notes: Producer<GateNote>,
    events: Consumer<GateEvent>,
    bell: Bell,
    stop: Arc<AtomicBool>,
}

impl Thread {
    /// A device that waits for its owner's word; with or without an echo canceller.
    fn new(canceller: Canceller) -> Thread {
        let Ends { mut parts, clock, hops, far, notes, events, .. } = ends();
        parts.listen = Listen { mode: ListenMode::WakeWord, hangover_ms: 700, preroll_ms: 300, ..parts.listen };
        parts.echo = Echo { canceller, ..parts.echo };
        parts.wake = Some(Box::new(Templates::new(&owner(), 50)));
        let (bell, stop) = (parts.bell.clone(), parts.stop.clone());
        let ends = LiveEnds { clock, hops, far, notes, events, bell, stop };
        Thread { ends, thread: spawn(parts).unwrap(), at: Time::ZERO, said: Vec::new() }
    }

    /// The microphone hears `near` while the loudspeaker plays `far`, as far as there is any. Answers when it began.
    fn hear(&mut self, near: &[Frames], far: &[Frames]) -> Time {
        let begun = self.at;
        for (n, frames) in near.iter().enumerate() {
            self.at += Duration::from_millis(u64::from(HOP_MS));
            // Late enough that no hop waits for far-end copy that is still to come.
            self.ends.clock.0.store((self.at + FAR_WAIT).as_ms(), Ordering::Relaxed);
            if let Some(frames) = far.get(n) {
                self.ends.far.push(Hop { at: self.at, frames: *frames }).ok().unwrap();
                self.wait_until(|ends| ends.far.slots() == 2 * FAR_RING_HOPS);
            }
            self.ends.hops.push(Hop { at: self.at, frames: *frames }).ok().unwrap();
            self.wait_until(|ends| ends.hops.slots() == 2 * MIC_RING_HOPS);
        }
        begun
    }

    fn note(&mut self, note: GateNote) {
        self.ends.notes.push(note).unwrap();
        self.wait_until(|ends| ends.notes.slots() == NOTES_MAX);
    }

    /// Rings until the thread has taken what was given.
    fn wait_until(&mut self, is_taken: impl Fn(&LiveEnds) -> bool) {
        while !is_taken(&self.ends) {
            self.ends.bell.ring();
            self.said.extend(drain(&mut self.ends.events));
            thread::yield_now();
        }
    }

    /// Ends it; everything that the core was told.
    fn end(mut self) -> Vec<GateEvent> {
        self.ends.stop.store(true, Ordering::Relaxed);
        self.ends.bell.ring();
        self.thread.join().unwrap();
        self.said.extend(drain(&mut self.ends.events));
        self.said
    }
}

/// What was told beside speech and the canceller's state.
fn marks(said: &[GateEvent]) -> Vec<&GateEvent> {
    said.iter().filter(|event| !matches!(event, GateEvent::Speech(_) | GateEvent::Echo { .. })).collect()
}

#[test]
fn the_owners_word_wakes_and_what_is_said_after_it_comes_whole() {
    for canceller in [Canceller::On, Canceller::Off] {
        let mut thread = Thread::new(canceller);
        thread.hear(&word(), &[]);
        let sentence = frames(SENTENCES[0].1);
        let begun = thread.hear(&in_a_room(&sentence, 40.0), &[]) + Duration::from_secs(1);
        let ended = begun + Duration::from_millis(sentence.len() as u64 / 16);
        thread.hear(&[[0; HOP_FRAMES]; 80], &[]);
        let said = thread.end();
        use GateEvent::{Closed, Opened, Woken};
        assert!(
            matches!(marks(&said)[..], [Woken, Opened(OpenCause::Voice), Closed(CloseCause::Silence)]),
            "{canceller:?}: {:?}",
            marks(&said)
        );
        let stamps: Vec<Time> = said.iter().filter_map(|event| Some(event_speech(event)?.at)).collect();
        let (first, last) = (stamps[0], stamps[stamps.len() - 1]);
        assert!(first <= begun && first + Duration::from_millis(600) > begun, "{first:?}, and it began at {begun:?}");
        assert!(last >= ended, "{last:?}, and it ended at {ended:?}");
    }
}

fn event_speech(event: &GateEvent) -> Option<&crate::audio::Speech> {
    if let GateEvent::Speech(speech) = event { Some(speech) } else { None }
}

#[test]
fn the_loudspeakers_own_word_does_not_wake_and_a_persons_does_right_after() {
    // Without a canceller, so that the microphone hears the word whole.
    let mut thread = Thread::new(Canceller::Off);
    let echo = echo_of(&word());
    thread.hear(&echo, &[]);
    assert!(matches!(marks(&thread.end())[..], [GateEvent::Woken]), "what sounds the same, and was not played");

    let mut thread = Thread::new(Canceller::Off);
    thread.hear(&echo, &word());
    thread.hear(&[[0; HOP_FRAMES]; 100], &[]);
    assert_eq!(marks(&thread.said).len(), 0, "{:?}", marks(&thread.said));
    thread.hear(&word(), &[]);
    assert!(matches!(marks(&thread.end())[..], [GateEvent::Woken]));

    let mut thread = Thread::new(Canceller::On);
    thread.hear(&echo, &word());
    assert_eq!(marks(&thread.end()).len(), 0, "with a canceller");
}

#[test]
fn while_a_person_muted_nothing_wakes_and_a_word_from_before_the_unmute_does_not_either() {
    let mut thread = Thread::new(Canceller::On);
    let word = word();
    thread.note(GateNote::Mute(true));
    thread.hear(&word, &[]);
    // The mute ends in the word's last sound, 760 ms after its first.
    let (said, room) = word.split_at(100 + 76);
    thread.hear(said, &[]);
    thread.note(GateNote::Mute(false));
    thread.hear(room, &[]);
    thread.hear(&[[0; HOP_FRAMES]; 100], &[]);
    assert_eq!(marks(&thread.said).len(), 0, "{:?}", marks(&thread.said));
    thread.hear(&word, &[]);
    assert!(matches!(marks(&thread.end())[..], [GateEvent::Woken]), "and unmuted it wakes");
}
