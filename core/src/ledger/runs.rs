//! When the proxy ran. A rate is divided by time in which shares could be seen, and a restart is not such time.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::window::Window;
use crate::time::{Span, Time};

/// Runs that are remembered; beyond, the gap between the two oldest counts as run.
const MOST: usize = 64;

/// The runs of the last day, oldest first; the last one goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs(Vec<(Time, Time)>);

impl Runs {
    /// A run begins.
    pub(crate) fn begin(&mut self, now: Time) {
        let oldest = Window::Day.from(now);
        self.0.retain(|(_, end)| *end > oldest);
        if self.0.len() >= MOST {
            let (start, _) = self.0.remove(0);
            self.0[0].0 = start;
        }
        self.0.push((now, now));
    }

    /// The run goes on.
    pub(crate) fn reaches(&mut self, now: Time) {
        match self.0.last_mut() {
            Some((_, end)) => *end = now.max(*end),
            None => self.0.push((now, now)),
        }
    }

    /// The pieces of `from..` in which the proxy ran.
    pub(crate) fn within(&self, from: Time) -> impl Iterator<Item = (Time, Time)> + '_ {
        self.0.iter().map(move |(start, end)| ((*start).max(from), *end)).filter(|(start, end)| start < end)
    }

    /// How long the proxy has run since then.
    pub fn observed(&self, from: Time) -> Span {
        Span(self.within(from).map(|(start, end)| end.since(start).0).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::ZERO + Span::secs(secs)
    }

    #[test]
    fn gaps_do_not_count() {
        let mut runs = Runs::default();
        runs.begin(at(100));
        runs.reaches(at(200));
        runs.begin(at(500));
        runs.reaches(at(550));
        assert_eq!(runs.observed(at(0)), Span::secs(150));
        assert_eq!(runs.observed(at(150)), Span::secs(100));
        assert_eq!(runs.observed(at(300)), Span::secs(50));
        assert_eq!(runs.observed(at(600)), Span::ZERO);
    }

    #[test]
    fn many_restarts_are_bounded() {
        let mut runs = Runs::default();
        for n in 0..1_000 {
            runs.begin(at(n * 10));
            runs.reaches(at(n * 10 + 5));
        }
        assert!(runs.0.len() <= MOST);
        assert!(runs.observed(at(9_000)) >= Span::secs(500));
        runs.begin(at(200_000));
        assert_eq!(runs.0.len(), 1, "what is older than a day is forgotten");
    }
}
