//! The speaker core with a simulated loudspeaker behind it: a ring of blocks, a delay, and an ear that compares.

use std::collections::VecDeque;

use mynah::flow::{SpeakerFact, SpeakerOrder};
use mynah::speaker::{Device, Plan, Speaker};
use mynah::units::{Epoch, Time};

use super::figure::Figures;
use super::watch::{Rule, Watch};

/// Number of a reply of the emulated service.
pub type ReplyId = usize;

/// Sound on its way to the ear, as the speaker was given it.
struct Piece {
    epoch: Epoch,
    reply: ReplyId,
    frames: Vec<i16>,
    at: usize,
}

/// Ten milliseconds as the device has them: whose they are, and how many frames in all.
struct Block {
    of: Option<(Epoch, ReplyId, usize)>,
    frames: usize,
    /// Frames of a cue over it.
    cue: usize,
}

/// Compares what is rendered with what the speaker was given, sample by sample.
#[derive(Default)]
struct Follow {
    pieces: VecDeque<Piece>,
    last_epoch: Option<Epoch>,
    /// A gap was faded out, so the sound of the same turn fades in after it.
    fades_in: bool,
    /// Blocks that the turn may be softer than it was given: it is, or just was, ducked.
    soft_blocks: usize,
}

/// Frames of a fade at 24 kHz.
const FADE_FRAMES: usize = 120;
/// Blocks until a ducked turn is back at its size, and the least that is left of it.
const UNDUCK_BLOCKS: usize = 26;
const DUCKED_LEAST: f64 = 0.17;
/// Somebody coughs: every so many blocks a reply is ducked for so many.
const COUGH_EVERY: u64 = 97;
const COUGH_BLOCKS: u64 = 13;

impl Follow {
    /// Takes a rendered block with `cue` over it; answers whose sound is in it.
    fn take(&mut self, block: &[i16], cue: &[i16]) -> Result<Option<(Epoch, ReplyId, usize)>, String> {
        let Some((epoch, reply)) = self.pieces.front().map(|piece| (piece.epoch, piece.reply)) else {
            return self.take_gap(block, cue).map(|()| None);
        };
        let wanted = self.expected(epoch, block.len());
        let frames = wanted.len();
        let goes_on = self.last_epoch == Some(epoch);
        let is_same = under(&wanted, cue) == block[..frames]
            || (self.fades_in && goes_on && under(&faded_in(&wanted), cue) == block[..frames])
            || (self.soft_blocks > 0 && goes_on && self.is_softer(&wanted, cue, &block[..frames]));
        if !is_same {
            return self.take_gap(block, cue).map(|()| None);
        }
        self.consume(frames);
        if !goes_on {
            self.soft_blocks = 0;
        }
        self.soft_blocks = self.soft_blocks.saturating_sub(1);
        (self.last_epoch, self.fades_in) = (Some(epoch), false);
        self.take_gap(&block[frames..], &cue[frames.min(cue.len())..])?;
        Ok(Some((epoch, reply, frames)))
    }

    /// Whether `block` is what was wanted, lowered, with `cue` over it at its full size.
    fn is_softer(&self, wanted: &[i16], cue: &[i16], block: &[i16]) -> bool {
        wanted.iter().zip(block).enumerate().all(|(at, (&whole, &frame))| {
            let cue = cue.get(at).copied().unwrap_or(0);
            if cue != 0 && (frame == i16::MAX || frame == i16::MIN) {
                return true; // the sum ran over
            }
            // After a gap it fades in; how it faded out may have been too soft to be seen.
            let least = DUCKED_LEAST * (at as f64 / FADE_FRAMES as f64).min(1.0);
            let (whole, left) = (f64::from(whole), f64::from(frame) - f64::from(cue));
            left * whole.signum() >= whole.abs() * least - 2.0 && left.abs() <= whole.abs() + 1.0
        })
    }

    fn expected(&self, epoch: Epoch, len: usize) -> Vec<i16> {
        let mut wanted = Vec::with_capacity(len);
        for piece in self.pieces.iter().take_while(|piece| piece.epoch == epoch) {
            let rest = &piece.frames[piece.at..];
            wanted.extend_from_slice(&rest[..rest.len().min(len - wanted.len())]);
            if wanted.len() == len {
                break;
            }
        }
        wanted
    }

    fn consume(&mut self, mut frames: usize) {
        while frames > 0 {
            let Some(piece) = self.pieces.front_mut() else { return };
            let taken = frames.min(piece.frames.len() - piece.at);
            piece.at += taken;
            frames -= taken;
            if piece.at == piece.frames.len() {
                self.pieces.pop_front();
            }
        }
    }

    /// Silence, or what was last fading out into it.
    fn take_gap(&mut self, gap: &[i16], cue: &[i16]) -> Result<(), String> {
        let without = |(at, frame): (usize, &i16)| frame.wrapping_sub(cue.get(at).copied().unwrap_or(0));
        let gap: Vec<i16> = gap.iter().enumerate().map(without).collect();
        let Some(loud) = gap.iter().position(|&frame| frame != 0) else { return Ok(()) };
        let is_fading = loud == 0 && gap.iter().skip(FADE_FRAMES).all(|&frame| frame == 0);
        if !is_fading || self.last_epoch.is_none() {
            return Err(format!("plays what it was not given, from frame {loud} of a block on: {}", gap[loud]));
        }
        self.fades_in = true;
        Ok(())
    }
}

/// What is heard of `frames` with `cue` over them.
fn under(frames: &[i16], cue: &[i16]) -> Vec<i16> {
    let sum = |(at, frame): (usize, &i16)| frame.saturating_add(cue.get(at).copied().unwrap_or(0));
    frames.iter().enumerate().map(sum).collect()
}

fn faded_in(frames: &[i16]) -> Vec<i16> {
    let gain = |at: usize| 1.0 - (FADE_FRAMES - at) as f32 / FADE_FRAMES as f32;
    let fade =
        |(at, &frame): (usize, &i16)| if at < FADE_FRAMES { (f32::from(frame) * gain(at)) as i16 } else { frame };
    frames.iter().enumerate().map(fade).collect()
}

/// Speaker, device and ear.
pub struct Loudspeaker {
    speaker: Speaker,
    follow: Follow,
    figures: Figures,
    /// Between the facts `CueStarted` and `CueOver`.
    is_cue_told: bool,
    ring: VecDeque<Block>,
    pipe: VecDeque<Block>,
    is_running: bool,
    /// Blocks that the device was to play.
    blocks: u64,
    ring_blocks: usize,
    pipe_blocks: usize,
    flushed: Option<Epoch>,
    /// The speaker's thread does not get to run before this time.
    pub asleep_until: Time,
    block: Vec<i16>,
}

impl Loudspeaker {
    pub fn new(speaker: Speaker, ring_blocks: usize, pipe_blocks: usize) -> Loudspeaker {
        Loudspeaker {
            speaker,
            follow: Follow::default(),
            figures: Figures::default(),
            is_cue_told: false,
            ring: VecDeque::new(),
            pipe: VecDeque::new(),
            is_running: false,
            blocks: 0,
            ring_blocks,
            pipe_blocks,
            flushed: None,
            asleep_until: Time::ZERO,
            block: vec![0; 240],
        }
    }

    pub fn is_running(&self) -> bool {
        self.is_running
    }

    /// Whether nothing waits and nothing sounds.
    pub fn is_silent(&self) -> bool {
        !self.is_running && self.ring.is_empty() && self.speaker.queued_ms() == 0 && self.figures.is_empty()
    }

    /// Whether a reply or a cue leaves the loudspeaker now.
    pub fn is_sounding(&self) -> bool {
        self.is_running && self.ring.front().is_some_and(|block| block.of.is_some() || block.cue > 0)
    }

    pub fn queued_ms(&self) -> u64 {
        self.speaker.queued_ms()
    }

    fn unheard_frames(&self) -> u64 {
        self.ring.iter().chain(&self.pipe).map(|block| block.frames as u64).sum()
    }

    /// An order reached the speaker's thread. `is_deaf`: the thread loses it (a guard broken on purpose).
    pub fn order(&mut self, order: SpeakerOrder, reply: ReplyId, now: Time, is_deaf: bool, watch: &mut Watch) {
        if self.is_running {
            self.speaker.on_position(self.unheard_frames());
        }
        match &order {
            SpeakerOrder::Play { epoch, chunk } => {
                let piece = Piece { epoch: *epoch, reply, frames: chunk.frames.clone(), at: 0 };
                let refused = self.speaker.refused_chunks();
                self.speaker.handle(order, now);
                if self.speaker.refused_chunks() == refused {
                    self.follow.pieces.push_back(piece);
                } else {
                    watch.chunk_refused(piece.epoch);
                }
            }
            SpeakerOrder::Flush { epoch } => {
                self.flushed = self.flushed.max(Some(*epoch));
                if !is_deaf {
                    self.follow.pieces.retain(|piece| piece.epoch > *epoch);
                    self.follow.fades_in = false;
                    self.speaker.handle(order, now);
                }
            }
            SpeakerOrder::Duck(is_down) => {
                self.duck(*is_down, now);
            }
            SpeakerOrder::Cue(cue) => {
                self.figures.order(*cue);
                if !is_deaf {
                    self.speaker.handle(order, now);
                }
            }
            SpeakerOrder::End { .. } | SpeakerOrder::Volume(_) | SpeakerOrder::Wake => {
                self.speaker.handle(order, now);
            }
        }
    }

    fn duck(&mut self, is_down: bool, now: Time) {
        self.follow.soft_blocks = match is_down {
            true => usize::MAX,
            false => self.follow.soft_blocks.min(UNDUCK_BLOCKS),
        };
        self.speaker.handle(SpeakerOrder::Duck(is_down), now);
    }

    /// The device has played another block.
    pub fn tick(&mut self, now: Time, watch: &mut Watch) {
        self.blocks += 1;
        match self.blocks % COUGH_EVERY {
            0 => self.duck(true, now),
            COUGH_BLOCKS => self.duck(false, now),
            _ => {}
        }
        match self.ring.pop_front() {
            Some(block) => self.pipe.push_back(block),
            None => {
                while let Some(block) = self.pipe.pop_front() {
                    self.hear(&block, watch);
                }
                self.is_running = false;
                self.speaker.on_starved(0);
                return;
            }
        }
        while self.pipe.len() > self.pipe_blocks {
            if let Some(block) = self.pipe.pop_front() {
                self.hear(&block, watch);
            }
        }
        self.speaker.on_position(self.unheard_frames());
    }

    fn hear(&mut self, block: &Block, watch: &mut Watch) {
        self.figures.heard(block.cue);
        let Some((epoch, reply, frames)) = block.of else { return };
        if self.flushed.is_some_and(|flushed| epoch <= flushed) {
            watch.fail(Rule::OldEpochSilent, || format!("{epoch} is heard after its flush"));
        }
        watch.heard(epoch, reply, frames);
    }

    /// Carries out plans until there is nothing to do now. Answers when to ask again.
    pub fn settle(&mut self, now: Time, watch: &mut Watch) -> Option<Time> {
        for _ in 0..100 {
            let device = match (self.is_running, self.ring.len()) {
                (false, 0) => Device::Stopped,
                (false, _) => Device::Held,
                (true, fill) => Device::Running { is_low: fill <= 1, has_room: fill < self.ring_blocks },
            };
            match self.speaker.plan(device, now) {
                Plan::Render => self.render(now, watch),
                Plan::Start => self.is_running = true,
                Plan::Drop => {
                    self.ring.clear();
                    self.pipe.clear();
                    self.is_running = false;
                    self.figures.cut();
                    self.speaker.on_dropped();
                }
                Plan::Wait(at) => {
                    while self.speaker.take_spent().is_some() {}
                    if let Some(at) = at.filter(|at| *at <= now) {
                        watch.fail(Rule::DeadlineAhead, || format!("the speaker waits until {at}, which has passed"));
                        return None;
                    }
                    return at;
                }
            }
        }
        watch.fail(Rule::DeadlineAhead, || "the speaker's plan never comes to rest".into());
        None
    }

    fn render(&mut self, now: Time, watch: &mut Watch) {
        self.block.resize(self.speaker.block_frames(), 0);
        self.speaker.render(&mut self.block, now);
        let cue = self.figures.give(self.block.len());
        match self.follow.take(&self.block, &cue) {
            Ok(of) => {
                if of.is_some_and(|(epoch, ..)| self.flushed.is_some_and(|flushed| epoch <= flushed)) {
                    watch.fail(Rule::OldEpochSilent, || format!("{of:?} is given to the device after its flush"));
                }
                self.ring.push_back(Block { of, frames: self.block.len(), cue: cue.len() });
            }
            Err(why) => {
                let rule = if !cue.is_empty() { Rule::CueWhole } else { Rule::ReplyExact };
                watch.fail(rule, || format!("the loudspeaker {why}"));
            }
        }
        self.is_running |= self.ring.len() >= 2;
    }

    /// The next fact for the core.
    pub fn poll_fact(&mut self, now: Time, watch: &mut Watch) -> Option<SpeakerFact> {
        let fact = self.speaker.poll_fact().or_else(|| self.speaker.poll_heard(now))?;
        let is_right = match fact {
            SpeakerFact::CueStarted => !std::mem::replace(&mut self.is_cue_told, true) && !self.figures.is_empty(),
            SpeakerFact::CueOver => std::mem::take(&mut self.is_cue_told) && self.figures.told_over(),
            _ => true,
        };
        if !is_right {
            watch.fail(Rule::CueWhole, || format!("{fact:?} comes at the wrong time"));
        }
        Some(fact)
    }
}
