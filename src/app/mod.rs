//! Wiring, clock, signals and the command line. No business rules.

mod admin;
mod build;
mod cli;
mod demo;
mod keys;
mod logs;
mod maintenance;
mod serve;
mod system_env;

pub use cli::main;
