//! The price of one decision.
fn main() {}
