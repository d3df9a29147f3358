//! Every adapter against every rule of the contract, one line each; the rules are in `paymux_testkit::contract`.

fn main() -> std::process::ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    libtest_mimic::run(&arguments, paymux_testkit::contract::trials()).exit_code()
}
