#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| paymux_fuzz::notifications(input));
