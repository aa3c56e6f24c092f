//! Has the program built anew when the web app was: its files are read at compile time, and new ones have new names.

fn main() {
    let stdout = std::io::stdout();
    let _ = std::io::Write::write_all(&mut stdout.lock(), b"cargo::rerun-if-changed=../../web/dist\n");
}
