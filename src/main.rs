//! The program.

fn main() -> std::process::ExitCode {
    paymux::app::main()
}
