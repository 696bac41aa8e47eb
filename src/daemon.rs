//! Opens the board, makes the channels, starts the threads, stops in order.
