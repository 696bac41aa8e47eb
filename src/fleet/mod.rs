//! One machine of many: what it tells its owner, and how a configuration that the owner signed takes the place of its own.
//!
//! [`envelope`] says what was signed and by whom, [`compose`] lays it beside what stays on the device, [`ledger`] keeps which
//! configuration is in force and which was the last good one, [`proof`] says whether a new one works, [`health`] is the report.
//! [`post`] is where the broker's connection and the fleet's thread meet. There is no engine here that updates or manages:
//! packages come by the system's own (board/fleet.md).

pub mod compose;
pub mod envelope;
pub mod health;
pub mod ledger;
pub mod post;
pub mod proof;
pub mod run;

pub use envelope::Envelope;
pub use ledger::Ledger;
pub use post::Post;
