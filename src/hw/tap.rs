//! The driver `tap`.
