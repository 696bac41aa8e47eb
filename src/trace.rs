//! Flight recorder: the last N things that happened, with counts.
