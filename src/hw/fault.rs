//! The driver `fault`.
