//! What a computer promises its callers, watched from outside. Attacks from inside are in `tests/escape`.

#[path = "../desk.rs"]
mod desk;

mod exec;
