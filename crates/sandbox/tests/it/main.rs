//! What a computer promises its callers, watched from outside. Attacks from inside are in `tests/escape`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../desk.rs"]
mod desk;

mod browser;
mod driver;
mod egress;
mod exec;
mod files;
mod life;
mod limits;
mod site;
mod terminal;
mod tunnel;
mod workspace;

#[test]
fn everything_holds_for_an_ordinary_user_too() {
    desk::all_again_as_an_ordinary_user();
}

/// All but the browser, for which that driver has no box.
const OF_ANY_DRIVER: &[&str] = &["exec::", "files::", "life::", "limits::", "terminal::", "workspace::", "driver::"];

#[test]
fn everything_holds_in_computers_of_bubblewrap() {
    desk::again(sandbox::Driver::Bwrap, desk::Who::Same, OF_ANY_DRIVER);
}

#[test]
fn everything_holds_in_computers_of_bubblewrap_for_an_ordinary_user() {
    desk::again(sandbox::Driver::Bwrap, desk::Who::User, OF_ANY_DRIVER);
}
