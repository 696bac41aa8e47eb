//! The driver `sim`.
