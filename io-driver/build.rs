//! Tells the program which commit it was built from, if it was built in a checkout.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if let Some(commit) = commit(&root) {
        println!("cargo:rustc-env=DPMP_COMMIT={commit}");
    }
}

/// What `HEAD` points to. In a linked worktree `.git` is a file that names the folder, and branches lie in the common one.
fn commit(root: &Path) -> Option<String> {
    let mut git = root.join(".git");
    if let Ok(text) = fs::read_to_string(&git) {
        git = root.join(text.strip_prefix("gitdir:")?.trim());
    }
    let common = fs::read_to_string(git.join("commondir")).map_or(git.clone(), |text| git.join(text.trim()));
    let watch = |path: &PathBuf| println!("cargo:rerun-if-changed={}", path.display());
    let head = git.join("HEAD");
    watch(&head);
    let text = fs::read_to_string(&head).ok()?;
    let Some(branch) = text.trim().strip_prefix("ref: ") else { return Some(text.trim().to_owned()) };
    let (loose, packed) = (common.join(branch), common.join("packed-refs"));
    if let Ok(hash) = fs::read_to_string(&loose) {
        watch(&loose);
        return Some(hash.trim().to_owned());
    }
    watch(&packed);
    let packed = fs::read_to_string(&packed).ok()?;
    packed.lines().find_map(|line| line.strip_suffix(branch)?.strip_suffix(' ').map(str::to_owned))
}
