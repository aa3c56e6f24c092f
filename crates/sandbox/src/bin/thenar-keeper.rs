//! The two small processes of a computer: `thenar-keeper` outside, `thenar-init` inside. Not for calling by hand.

fn main() -> std::process::ExitCode {
    sandbox::keeper_main()
}
