//! Tests of whole rooms through their public face, in one binary.
#![allow(clippy::unwrap_used)]

mod crash;
mod store;
