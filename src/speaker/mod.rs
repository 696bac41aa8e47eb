//! The room `speaker`.
