//! The room `mic`.
