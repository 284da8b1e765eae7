//! Threads beside the loop: they write, count and show, and give way to mining.

use std::io;
use std::thread::{Builder, JoinHandle};

/// How much less processor time they get than the loop when there is not enough for all: a third.
const NICER: i32 = 5;

/// Starts a thread that gives way to the loop. What it starts in its turn gives way as well.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        give_way();
        work()
    })
}

/// On Linux `nice` is of the thread that calls. Where the system refuses, the thread works all the same.
#[cfg(target_os = "linux")]
fn give_way() {
    let _ = rustix::process::nice(NICER);
}

/// Elsewhere it would be of the whole process, the loop among it.
#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn it_gives_way_and_nobody_else_does() {
        let mine = || rustix::process::nice(0).unwrap();
        let before = mine();
        let inside = spawn("test", move || (mine(), std::thread::spawn(mine).join().unwrap())).unwrap().join().unwrap();
        let nicer = (before + NICER).min(19);
        assert_eq!(inside, (nicer, nicer));
        assert_eq!(mine(), before);
    }
}
