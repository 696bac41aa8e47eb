//! The speaker thread.
