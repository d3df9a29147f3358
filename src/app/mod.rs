//! Wiring, clock, signals and the command line. No rules live here.

mod books;
mod build;
mod cli;
mod demo;
mod keys;
mod logs;
mod machine;
mod serve;

pub use cli::main;
