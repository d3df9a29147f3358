//! Wiring, clock, signals and the command line. No business rules.

/// Prints a line. One that cannot be written is dropped: nobody may stop the gateway by closing its output.
macro_rules! println {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

/// The same for text that ends with its own line break.
macro_rules! print {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = write!(std::io::stdout(), $($text)*);
    }};
}

/// The same for standard error.
macro_rules! eprintln {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

macro_rules! eprint {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = write!(std::io::stderr(), $($text)*);
    }};
}

mod admin;
mod build;
mod cli;
mod database_file;
mod demo;
mod keys;
mod logs;
mod maintenance;
mod serve;
mod system_env;

pub use cli::main;
