//! Wiring, clock, signals and the command line. No business rules.

/// Prints. What cannot be written is dropped: nobody may stop the gateway by closing its output.
macro_rules! print_to {
    ($output:ident, $write:ident, $($text:tt)*) => {{
        use std::io::Write as _;
        let _ = $write!(std::io::$output(), $($text)*);
    }};
}

macro_rules! println {
    ($($text:tt)*) => { print_to!(stdout, writeln, $($text)*) };
}

macro_rules! eprintln {
    ($($text:tt)*) => { print_to!(stderr, writeln, $($text)*) };
}

macro_rules! eprint {
    ($($text:tt)*) => { print_to!(stderr, write, $($text)*) };
}

mod admin;
mod build;
mod cli;
mod database_file;
mod demo;
mod keys;
mod logs;
mod maintenance;
mod output;
mod serve;
mod system_env;

pub use cli::main;
