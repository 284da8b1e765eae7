//! A burst of one event: the first lines are written, the rest is counted and told in one line. Nothing is lost without
//! a word.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A burst is looked at in windows of this length.
const WINDOW: Duration = Duration::from_secs(10);

/// Lines of one event in its window.
#[derive(Debug)]
struct Window {
    began: Instant,
    written: u32,
    suppressed: u64,
}

/// What was not written of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suppressed {
    pub(super) event: String,
    pub(super) lines: u64,
    /// In this time.
    pub(super) time: Duration,
}

/// All events' windows.
#[derive(Debug)]
pub(super) struct Burst {
    /// Lines of one event in a window; 0: no bound.
    limit: u32,
    windows: BTreeMap<String, Window>,
    over: Vec<Suppressed>,
}

impl Burst {
    pub(super) const fn new() -> Burst {
        Burst { limit: 0, windows: BTreeMap::new(), over: Vec::new() }
    }

    pub(super) fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// True if one more line of this event is written. Event names are the program's own: there are a few hundred.
    pub(super) fn takes(&mut self, event: &str, now: Instant) -> bool {
        if self.limit == 0 {
            return true;
        }
        let Some(window) = self.windows.get_mut(event) else {
            self.windows.insert(event.to_owned(), Window { began: now, written: 1, suppressed: 0 });
            return true;
        };
        let time = now.saturating_duration_since(window.began);
        if time >= WINDOW {
            if window.suppressed > 0 {
                self.over.push(Suppressed { event: event.to_owned(), lines: window.suppressed, time });
            }
            *window = Window { began: now, written: 0, suppressed: 0 };
        }
        if window.written < self.limit {
            window.written += 1;
            return true;
        }
        window.suppressed += 1;
        false
    }

    /// What is to be told now; with `all`, also of windows that are not over yet.
    pub(super) fn due(&mut self, now: Instant, all: bool) -> Vec<Suppressed> {
        let mut due = std::mem::take(&mut self.over);
        for (event, window) in &mut self.windows {
            let time = now.saturating_duration_since(window.began);
            if window.suppressed > 0 && (all || time >= WINDOW) {
                due.push(Suppressed { event: event.clone(), lines: window.suppressed, time });
                *window = Window { began: now, written: 0, suppressed: 0 };
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_written_or_told() {
        let mut burst = Burst::new();
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert!((0..100).all(|n| burst.takes("a", at(n))), "no bound");
        burst.set_limit(5);
        let (mut written, mut told) = (0, 0);
        for ms in 0..60_000 {
            written += u64::from(burst.takes("a", at(ms)));
            assert!(ms % 3_000 != 0 || burst.takes("b", at(ms)), "a quiet event is not touched");
            if ms % 250 == 0 {
                told += burst.due(at(ms), false).iter().map(|s| s.lines).sum::<u64>();
            }
        }
        told += burst.due(at(60_000), true).iter().map(|s| s.lines).sum::<u64>();
        assert_eq!(written + told, 60_000);
        assert!((25..=40).contains(&written), "{written}");
        assert!(burst.due(at(99_000), true).is_empty());
    }

    #[test]
    fn a_burst_that_has_ended_is_told_soon() {
        let mut burst = Burst::new();
        burst.set_limit(1);
        let start = Instant::now();
        assert_eq!((0..10).filter(|_| burst.takes("a", start)).count(), 1);
        assert!(burst.due(start + Duration::from_secs(9), false).is_empty());
        let told = burst.due(start + Duration::from_secs(10), false);
        assert_eq!(told, [Suppressed { event: "a".to_owned(), lines: 9, time: Duration::from_secs(10) }]);
    }
}
