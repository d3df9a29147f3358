//! paymux.
fn main() {}
