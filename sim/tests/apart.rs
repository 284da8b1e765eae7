//! The peers share no code with what they test: only `world` and `fuzzing` may name the engine.

use std::fs;
use std::path::Path;

fn check(dir: &Path, checked: &mut usize) {
    for entry in fs::read_dir(dir).expect("the sources are there") {
        let path = entry.expect("the sources can be listed").path();
        if path.is_dir() {
            if !path.ends_with("world") && !path.ends_with("fuzzing") {
                check(&path, checked);
            }
        } else {
            let text = fs::read_to_string(&path).expect("the sources are text");
            assert!(!text.contains("dpmp_core"), "{} names the engine", path.display());
            *checked += 1;
        }
    }
}

#[test]
fn only_the_world_names_the_engine() {
    let mut checked = 0;
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut checked);
    assert!(checked > 15);
}
