//! The thread: the core.
