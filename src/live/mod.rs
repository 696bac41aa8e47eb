//! All that knows the Gemini Live protocol: messages both ways, what each model takes, what a close means.
//!
//! Facts: the wire as of 2026-11-20. Server words (`activityStart`, `turnComplete` …) live only here and in
//! the emulator.
//!
//! | file | what it knows |
//! |---|---|
//! | [`client`] | how a message to the server is written |
//! | [`server`] | how a message from the server is read, byte splits and all |
//! | [`setup`] | the first message, from the agent file and the model's row |
//! | [`usage`] | tokens, by kind of media |
//! | [`models`] | what each model accepts and how it ends a turn |
//! | [`close`] | what the end of a connection means and who must act |
//! | [`credential`] | what is shown to be let in, and where |
//! | [`token`] | how an ephemeral token is asked for and read |
//! | [`diagnose`] | why no connection came about, and what a person can do about it |
//! | [`rfc3339`] | days and times as the service writes them |
//! | [`backoff`] | how long to wait before the next attempt |
//! | `run` | the thread that owns the socket and decides nothing |

pub mod backoff;
pub mod client;
pub mod close;
pub mod credential;
pub mod diagnose;
pub mod models;
pub mod rfc3339;
pub mod run;
pub mod server;
pub mod setup;
pub mod token;
pub mod usage;
