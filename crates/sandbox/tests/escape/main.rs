//! Attacks on the box from inside, and planted baits that would show a leak. Each is tried in computers of both drivers, root's
//! and an ordinary user's.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../desk.rs"]
mod desk;
#[path = "../it/site.rs"]
mod site;

mod calls;
mod exhaust;
mod outside;
mod probes;
mod swap;
mod ways;

#[test]
fn everything_holds_for_an_ordinary_user_too() {
    desk::all_again_as_an_ordinary_user();
}

/// All but what is looked at from outside only, which is the same whoever makes the computer.
const FROM_INSIDE: &[&str] = &["calls::", "exhaust::", "outside::", "probes::", "ways::"];

#[test]
fn everything_holds_in_computers_of_bubblewrap() {
    desk::again(sandbox::Driver::Bwrap, desk::Who::Same, FROM_INSIDE);
}

#[test]
fn everything_holds_in_computers_of_bubblewrap_for_an_ordinary_user() {
    desk::again(sandbox::Driver::Bwrap, desk::Who::User, FROM_INSIDE);
}
