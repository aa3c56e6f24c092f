//! Who makes a computer: what was asked for, and nobody else.

use sandbox::{Browser, Computer, Confinement, Driver, Error};

use crate::desk::{Desk, driver, keeper_pid, run};

#[test]
fn a_computer_is_made_by_whom_it_was_asked_of_and_says_so() {
    let desk = Desk::new();
    let computer = desk.open();
    assert_eq!(Confinement::of(&desk.spec.dir).unwrap().driver, driver());
    let keeper = keeper_pid(&desk.spec.dir).unwrap();
    let below = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap();
    let names = below.split_whitespace().map(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap());
    let maker = if driver() == Driver::Bwrap { "bwrap\n" } else { "thenar-init\n" };
    assert_eq!(names.collect::<Vec<_>>(), [maker]);
    assert_eq!(run(&computer, "echo here").1, "here\n");
}

#[test]
fn one_that_lives_stays_as_it_was_made() {
    let mut desk = Desk::new();
    let made = desk.open();
    let other = if driver() == Driver::Bwrap { Driver::Native } else { Driver::Bwrap };
    desk.spec.build = other.into();
    assert_eq!(Computer::open(&desk.spec).unwrap(), made);
    assert_eq!(Confinement::of(&desk.spec.dir).unwrap().driver, driver());
}

#[test]
fn bubblewrap_says_that_it_has_no_browser() {
    let mut desk = Desk::new();
    desk.spec.build = Driver::Bwrap.into();
    let computer = desk.open();
    let refused = computer.browser(Browser::Lean).unwrap_err();
    assert!(matches!(&refused, Error::Refused(reason) if reason.contains("the driver native does")), "{refused}");
    assert_eq!(run(&computer, "echo fine").1, "fine\n");
}

#[test]
fn a_driver_without_a_way_out_makes_no_computer_that_is_to_have_one() {
    let mut desk = Desk::new();
    (desk.spec.build, desk.spec.egress) = (Driver::Bwrap.into(), true);
    let refused = Computer::open(&desk.spec).unwrap_err();
    assert!(refused.to_string().contains("the driver bwrap makes no way out"), "{refused}");
    assert!(refused.hint().unwrap().contains("driver native"));
    assert!(Computer::attach(&desk.spec.dir).unwrap().is_none(), "nobody made one in its place");
    assert_eq!((Driver::Bwrap.has_way_out(), Driver::Bwrap.has_browser()), (false, false));
}

#[test]
fn a_workspace_that_is_replaced_under_bubblewrap_is_not_used() {
    let mut desk = Desk::new();
    desk.spec.build = Driver::Bwrap.into();
    // A folder of the host's that nobody lent, by a link in the way.
    std::os::unix::fs::symlink("/usr", desk.path().join("workspace")).unwrap();
    let refused = Computer::open(&desk.spec).unwrap_err();
    assert!(matches!(refused, Error::Workspace { .. }), "{refused}");
}
