//! paymux.
