//! The last log lines, for the dashboard: a bounded copy in memory, filled by the log's own thread.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lines that are kept, and their bytes at most.
const LINES: usize = 5_000;
const BYTES: usize = 4 << 20;

static TAIL: Mutex<Tail> = Mutex::new(Tail { lines: VecDeque::new(), bytes: 0, last: 0 });

struct Tail {
    lines: VecDeque<Arc<str>>,
    bytes: usize,
    /// The number of the last line; the first was 1.
    last: u64,
}

/// Lines after a cursor.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Each with its number, the oldest first.
    pub lines: Vec<(u64, Arc<str>)>,
    /// Where the next page begins.
    pub cursor: u64,
    /// Lines between the cursor that was given and the first one here are gone.
    pub missed: u64,
}

/// Plain data: whole between any two statements.
fn tail() -> MutexGuard<'static, Tail> {
    TAIL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes what was written: whole lines.
pub(super) fn keep(batch: &[u8]) {
    let text = String::from_utf8_lossy(batch);
    let mut tail = tail();
    for line in text.lines() {
        tail.last += 1;
        tail.bytes += line.len();
        tail.lines.push_back(line.into());
        while tail.lines.len() > LINES || tail.bytes > BYTES {
            let Some(first) = tail.lines.pop_front() else { break };
            tail.bytes -= first.len();
        }
    }
}

/// Lines after `cursor` that are `wanted`, at most `most` of the newest; 0 begins with what there is.
pub fn page(cursor: u64, most: usize, wanted: impl Fn(&str) -> bool) -> Page {
    let (lines, last) = {
        let tail = tail();
        let first = tail.last - tail.lines.len() as u64 + 1;
        let numbered = (first..).zip(tail.lines.iter().cloned());
        (numbered.filter(|(number, _)| *number > cursor).collect::<Vec<_>>(), tail.last)
    };
    // A cursor of another run is of no use: everything is new.
    if cursor > last {
        return page(0, most, wanted);
    }
    let missed = match lines.first() {
        Some((first, _)) if cursor > 0 => first - cursor - 1,
        _ => 0,
    };
    // Judged without the lock, as that takes time.
    let mut found: Vec<_> = lines.into_iter().rev().filter(|(_, line)| wanted(line)).take(most).collect();
    found.reverse();
    Page { lines: found, cursor: last, missed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_memory_is_bounded() {
        let of = |from: u64, to: u64| (from..to).map(|n| format!("tail-test {n}\n")).collect::<String>();
        let ours = |line: &str| line.starts_with("tail-test");
        keep(of(0, 10).as_bytes());
        let first = page(0, 3, ours);
        assert_eq!(
            first.lines.iter().map(|(_, l)| &**l).collect::<Vec<_>>(),
            ["tail-test 7", "tail-test 8", "tail-test 9"]
        );
        assert!(page(first.cursor, 100, ours).lines.is_empty());
        keep(of(10, 12).as_bytes());
        let next = page(first.cursor, 100, ours);
        assert_eq!((next.lines.len(), next.missed), (2, 0));
        keep(of(12, 20_000).as_bytes());
        let late = page(next.cursor, 100_000, ours);
        assert!(late.lines.len() <= LINES && late.missed > 0, "{}", late.missed);
        assert!(!page(u64::MAX, 1, ours).lines.is_empty(), "a cursor of another run");
    }
}
