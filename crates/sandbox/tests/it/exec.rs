//! Commands: what goes in, what comes out.

use sandbox::Exit;

use crate::desk::{Desk, run};

#[test]
fn a_command_runs_as_an_ordinary_user_in_the_workspace() {
    let desk = Desk::new();
    let computer = desk.open();
    let (exit, output) = run(&computer, "pwd; id -u; hostname; echo made > file; exit 3");
    assert_eq!((exit, output.as_str()), (Exit::Code(3), "/workspace\n1000\ncomputer\n"));
    assert_eq!(std::fs::read_to_string(desk.path().join("workspace/file")).unwrap(), "made\n");
}
