//! Threads of the gate.
