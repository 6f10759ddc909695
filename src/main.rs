//! The settee program: command line, configuration, wiring, signals. No logic.

fn main() {}
