//! Attacks on the box from inside, and planted baits that would show a leak. Each is tried as root's computer and as an ordinary user's.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../desk.rs"]
mod desk;

mod calls;
mod exhaust;
mod outside;
mod swap;

#[test]
fn everything_holds_for_an_ordinary_user_too() {
    desk::all_again_as_an_ordinary_user();
}
