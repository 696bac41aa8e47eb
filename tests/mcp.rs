//! Servers of the Model Context Protocol: whatever one lists, the service takes; and strangers' servers are spoken to.
//!
//! The strangers are the MCP project's own reference server from npm and a server over its Python SDK, each over
//! standard input and output and over streamable HTTP. `sh tests/run.sh` runs them, or by hand
//! `cargo test --locked --test mcp -- --ignored --test-threads=1`; they are installed into `target/tmp/mcp`.
#![cfg(feature = "mcp")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

#[path = "mcp/declared.rs"]
mod declared;
#[path = "mcp/hostile.rs"]
mod hostile;
#[path = "line/process.rs"]
#[allow(dead_code, reason = "the line's tests use the rest")]
mod process;
#[path = "mcp/rig.rs"]
mod rig;
#[path = "mcp/strangers.rs"]
mod strangers;
