//! The repository keeps its own rules. What the rules are is in `xtask::tidy`.

use std::path::Path;

#[test]
fn the_repository_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let found = xtask::tidy::problems(&root).expect("the repository can be read");
    let text: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "\n{}\n", text.join("\n\n"));
}
