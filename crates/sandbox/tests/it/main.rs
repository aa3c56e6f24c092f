//! What a computer promises its callers, watched from outside. Attacks from inside are in `tests/escape`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../desk.rs"]
mod desk;

mod browser;
mod exec;
mod files;
mod life;
mod limits;
mod terminal;
mod workspace;

#[test]
fn everything_holds_for_an_ordinary_user_too() {
    desk::all_again_as_an_ordinary_user();
}
