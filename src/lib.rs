//! mynah: a voice agent for small Linux boards. This page is the map.
//!
//! A person presses a button (or simply speaks); what they say streams to Gemini Live; the reply is played at
//! once; the model's tool calls move GPIO lines. It runs unattended as a service: firmware that happens to run
//! on Linux.
//!
//! # The line
//!
//! ```text
//!   microphone                                              loudspeaker
//!       │ periods                                                ▲ periods
//!     [mic] ──hops──▶ [gate] ──speech──▶ [session] ──chunks──▶ [speaker]
//!                       ▲                 │  ▲  │ calls
//!                     button       messages  │  ▼
//!                                         ▼  │ [tools] ──▶ lines
//!                                        [link] ⇄ Gemini Live (or the emulator)
//! ```
//!
//! Sound goes one way. What flows back is only small facts: heard up to, drained, flushed, device lost.
//!
//! # Rooms and floors
//!
//! A room names only rooms on lower floors (`tests/tidy.rs` holds the table).
//!
//! | room | floor | idea |
//! |---|---|---|
//! | [`units`], [`bell`] | 0 | numbers with units; waking a thread |
//! | [`audio`] | 1 | PCM without devices |
//! | [`still`] | 1 | a picture, as it travels |
//! | [`config`] | 1 | agent file and board profile as types |
//! | [`trace`] | 1 | flight recorder: the last things that happened, with counts |
//! | [`live`] | 1 | all that knows the Gemini Live protocol |
//! | [`flow`] | 2 | every message that crosses a thread, its class and limit |
//! | [`hw`] | 2, drivers 4 | traits a board is made of; ALSA, GPIO, simulator, fault injector |
//! | [`mic`], [`gate`], [`session`], [`speaker`], [`tools`], [`eyes`], [`panel`], [`job`], [`fleet`], [`emulator`] | 3 | the decisions, pure |
//! | `*/run.rs` | 5 | the threads |
//! | [`daemon`], [`cli`] | 6 | putting it together |
//!
//! # What is not there
//!
//! - Nothing on floor 3 or below reads a clock, does I/O, starts a thread or draws a random number: time is an
//!   argument, so an hour of conversation runs in a test in milliseconds.
//! - No audio thread allocates, locks or logs while sound flows.
//! - No queue is unbounded; [`flow`] names each limit.
//! - No key is in an address or a log, and no speech is logged above DEBUG.
//! - No text of a person or of the server is in the flight recorder: [`trace`] has no place for one.
//! - No "clear your queue and tell me when": a turn has an [`units::Epoch`], and what is older dies where it
//!   stands.

pub mod units;

pub mod bell;
pub mod trace;

pub mod audio;
pub mod config;
pub mod live;
pub mod still;

pub mod flow;
pub mod hw;

pub mod emulator;
pub mod eyes;
pub mod fleet;
pub mod gate;
pub mod job;
pub mod mic;
pub mod panel;
pub mod session;
pub mod speaker;
pub mod tools;

pub mod cli;
pub mod daemon;
