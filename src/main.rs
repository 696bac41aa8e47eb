//! The program: arguments, logging, exit codes.

fn main() {}
