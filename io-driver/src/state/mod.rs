//! `state.json`: what lasts over a restart. Read once at the start; written by a thread of its own, whole or not at all,
//! with the one before kept. `document` is its form, `safe` how files are written so that they are there or not, `writer`
//! the thread. Knows no loop, and not what the sections mean.

mod document;
pub mod safe;
mod writer;

use std::fs;
use std::io;
use std::path::Path;

use safe::Loaded;

pub use document::{Document, MEMORY, section};
pub use writer::{Files, Job, Moved};

/// Reads the file, or the one before it. A missing one is an empty document. One that cannot be used, or not be read, is
/// set aside, never overwritten.
pub fn load(path: &Path) -> Loaded<Document> {
    let mut loaded = Loaded::default();
    let previous = safe::previous(path);
    for candidate in [path, &previous] {
        match fs::read(candidate) {
            Ok(bytes) => match understand(&bytes) {
                Ok(document) => {
                    if candidate == previous {
                        let words = "is used instead: at most what came after the last save but one is forgotten";
                        loaded.trouble.push(format!("{} {words}", candidate.display()));
                    }
                    loaded.value = document;
                    return loaded;
                }
                Err(why) => loaded.set_aside(candidate, &format!("cannot be used ({why})")),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let mend = "let the user that runs dpmp read and write it";
                loaded.set_aside(candidate, &format!("cannot be read: {error}; {mend}"));
            }
        }
    }
    loaded
}

fn understand(bytes: &[u8]) -> Result<Document, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
    Document::read(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn file(name: &str) -> PathBuf {
        crate::scratch::folder(&format!("state-{name}")).join("state.json")
    }

    fn document(value: u64) -> Document {
        let mut document = Document::default();
        document.set("number", section(&value).unwrap());
        document
    }

    fn number(path: &Path) -> (Option<u64>, usize) {
        let loaded = load(path);
        assert!(!loaded.keep_off);
        (loaded.value.get("number").unwrap(), loaded.trouble.len())
    }

    #[test]
    fn the_last_good_one_is_kept_and_used() {
        let path = file("kept");
        assert_eq!(number(&path), (None, 0));
        for n in 1..=3 {
            safe::write(&path, &document(n).text().unwrap()).unwrap();
        }
        assert_eq!(number(&path), (Some(3), 0));
        // Between two renames of a save.
        fs::remove_file(&path).unwrap();
        assert_eq!(number(&path), (Some(2), 1));
        let mut aside = 0;
        for bad in [&b""[..], b"{\"version\":2,\"checks", b"{\"version\":99}", b"[]", b"<html>", &[0xff, 0xfe]] {
            fs::write(&path, bad).unwrap();
            let Loaded { value: document, trouble, .. } = load(&path);
            assert_eq!(document.get::<u64>("number").unwrap(), Some(2));
            assert!(trouble[0].contains("was kept as"), "{trouble:?}");
            assert!(!path.exists());
            let folder = fs::read_dir(path.parent().unwrap()).unwrap();
            let now = folder.filter(|f| f.as_ref().unwrap().file_name().to_string_lossy().contains("damaged")).count();
            aside += 1;
            assert_eq!(now, aside, "none took the name of another");
        }
        assert_eq!(fs::read(path.with_file_name("state.json.damaged-6")).unwrap(), [0xff, 0xfe]);
    }

    /// A folder in its place stands for all that cannot be read: rights do not stop the tests' user.
    #[test]
    fn what_cannot_be_read_is_kept() {
        let path = file("unreadable");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("dear"), "x").unwrap();
        fs::create_dir(safe::previous(&path)).unwrap();
        assert_eq!(number(&path), (None, 2));
        safe::write(&path, &document(4).text().unwrap()).unwrap();
        assert_eq!(number(&path), (Some(4), 0));
        assert!(path.with_file_name("state.json.damaged").join("dear").exists());
    }

    #[test]
    fn both_bad_is_empty_and_both_are_kept() {
        let path = file("both");
        fs::write(&path, "x").unwrap();
        fs::write(safe::previous(&path), "y").unwrap();
        assert_eq!(number(&path), (None, 2));
        assert_eq!(fs::read_to_string(path.with_file_name("state.json.damaged")).unwrap(), "x");
        assert_eq!(fs::read_to_string(path.with_file_name("state.json.1.damaged")).unwrap(), "y");
    }
}
