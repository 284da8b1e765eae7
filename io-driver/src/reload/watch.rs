//! Sees that the config file was edited, in a thread of its own that also takes SIGHUP.
//!
//! It looks at the file's metadata once a second. That is a few microseconds, needs no crate, and works where
//! notifications of the kernel do not: on network file systems and in containers' mounts, through links, and for editors
//! that put a new file in the place of the old one. A file is read when it has looked the same twice in a row, so a text
//! that is still being written is left alone.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use log::Level;

use super::{Reloader, Source};
use crate::background;
use crate::logs::line;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks at a file that has changed.
const SETTLE: Duration = Duration::from_millis(300);
/// Looks at a file that is not there before that is said.
const MISSING: u32 = 10;

/// The thread's other end. The thread ends when all are dropped.
#[derive(Clone, Debug)]
pub struct Watcher(SyncSender<()>);

impl Watcher {
    /// The file is to be read at once, whether it looks changed or not. Never waits.
    pub fn poke(&self) {
        // If one waits already, it will read what is there then.
        let _ = self.0.try_send(());
    }
}

/// Starts the thread.
pub fn watch(reloader: Reloader) -> io::Result<Watcher> {
    let (pokes, poked) = sync_channel(1);
    // What was read at the start may be older than the file is now, so nothing counts as seen.
    let mut eye = Eye::default();
    background::spawn("config", move || {
        let path = reloader.file().path.clone();
        // What comes of it, the reloader says.
        while let Some(source) = next(&mut eye, &path, &poked) {
            let standing = reloader.standing();
            let version = || reloader.on_disk().map(|(_, version)| version).unwrap_or_default();
            // The dashboard's own writes, and a file that was only touched, are no news.
            let refused = standing.refused.as_ref().map(|refused| &refused.version);
            let known = |version: String| refused.unwrap_or(&standing.version) == &version;
            if source == Source::Signal || !known(version()) {
                let _ = reloader.reload(source);
            }
        }
    })?;
    Ok(Watcher(pokes))
}

/// Waits for a reason to read the file; none: the program ends.
fn next(eye: &mut Eye, path: &Path, poked: &Receiver<()>) -> Option<Source> {
    let mut wait = Duration::ZERO;
    loop {
        match poked.recv_timeout(wait) {
            Ok(()) => return Some(Source::Signal),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        match eye.look(Sight::of(path)) {
            Seen::Same => wait = LOOK,
            Seen::Changing => wait = SETTLE,
            Seen::Changed => return Some(Source::File),
            Seen::Gone => {
                line(Level::Warn, "config_missing")
                    .show("path", path.display())
                    .text("text", "the config file is gone; the proxy goes on as it is, and could not start again so")
                    .send();
                wait = LOOK;
            }
        }
    }
}

/// What a file looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sight {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Sight {
    fn of(path: &Path) -> Option<Sight> {
        let found = fs::metadata(path).ok()?;
        Some(Sight {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// What one look says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Same,
    Changing,
    Changed,
    /// For long enough to be said; once.
    Gone,
}

/// What was seen before.
#[derive(Debug, Default)]
struct Eye {
    known: Option<Sight>,
    fresh: Option<Sight>,
    missing: u32,
}

impl Eye {
    fn look(&mut self, sight: Option<Sight>) -> Seen {
        let Some(sight) = sight else {
            self.fresh = None;
            self.missing = self.missing.saturating_add(1);
            return if self.missing == MISSING { Seen::Gone } else { Seen::Same };
        };
        self.missing = 0;
        if self.known == Some(sight) {
            self.fresh = None;
            return Seen::Same;
        }
        if self.fresh.replace(sight) != Some(sight) {
            return Seen::Changing;
        }
        self.known = Some(sight);
        self.fresh = None;
        Seen::Changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(size: u64, inode: u64) -> Option<Sight> {
        Some(Sight { device: 1, inode, size, modified: (size as i64, 0), changed: (0, 0) })
    }

    #[test]
    fn a_file_is_read_when_it_has_settled() {
        let mut eye = Eye::default();
        let looks = [
            (sight(10, 1), Seen::Changing),
            (sight(10, 1), Seen::Changed),
            (sight(10, 1), Seen::Same),
            // Written in pieces.
            (sight(0, 1), Seen::Changing),
            (sight(5, 1), Seen::Changing),
            (sight(12, 1), Seen::Changing),
            (sight(12, 1), Seen::Changed),
            // Replaced by rename: not there for a moment.
            (None, Seen::Same),
            (sight(12, 2), Seen::Changing),
            (sight(12, 2), Seen::Changed),
            (sight(12, 2), Seen::Same),
            // Changed and changed back.
            (sight(13, 2), Seen::Changing),
            (sight(12, 2), Seen::Same),
        ];
        for (n, (sight, seen)) in looks.into_iter().enumerate() {
            assert_eq!(eye.look(sight), seen, "look {n}");
        }
    }

    #[test]
    fn a_file_that_is_gone_is_said_once() {
        let mut eye = Eye::default();
        let said = (0..100).filter(|_| eye.look(None) == Seen::Gone).count();
        assert_eq!(said, 1);
    }
}
