//! The three windows of time that everything is shown over, and what happened in them: rings of buckets, not lists of
//! shares, so that a year of shares takes no more memory than a day of them.

use alloc::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::difficulty::Work;
use crate::time::{Span, Time};

/// A window of time that ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// Five minutes.
    FiveMinutes,
    /// One hour.
    Hour,
    /// Twenty-four hours.
    Day,
}

impl Window {
    /// All of them, shortest first.
    pub const ALL: [Window; 3] = [Window::FiveMinutes, Window::Hour, Window::Day];

    /// Its length.
    pub const fn span(self) -> Span {
        match self {
            Window::FiveMinutes => Span::mins(5),
            Window::Hour => Span::mins(60),
            Window::Day => Span::mins(24 * 60),
        }
    }

    /// Its name in metrics, logs and the API.
    pub const fn label(self) -> &'static str {
        match self {
            Window::FiveMinutes => "5m",
            Window::Hour => "1h",
            Window::Day => "24h",
        }
    }

    /// The length of its buckets.
    const fn piece(self) -> Span {
        match self {
            Window::FiveMinutes => Span::secs(15),
            Window::Hour => Span::mins(2),
            Window::Day => Span::mins(30),
        }
    }

    /// The least time about which a rate says something.
    pub const fn least(self) -> Span {
        Span(self.span().0 / 20)
    }

    /// Where the window begins at `now`: at the beginning of a bucket, so it is longer than its span by less than one.
    pub fn from(self, now: Time) -> Time {
        let piece = self.piece().0;
        Time((now - self.span()).0 / piece * piece)
    }
}

/// A sum of squares of difficulty, for intervals. Written as its bits, so that it comes back as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Squares(f64);

impl Serialize for Squares {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0.to_bits())
    }
}

impl<'de> Deserialize<'de> for Squares {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Squares, D::Error> {
        u64::deserialize(deserializer).map(|bits| Squares(f64::from_bits(bits)))
    }
}

/// What happened in a piece of time: its number, how many, their work, its squares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Bucket(u64, u64, Work, Squares);

/// The pieces of one window in which something happened, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Ring(VecDeque<Bucket>);

/// What happened in each window. Sums, whatever they count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Windows([Ring; 3]);

/// What happened in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// Their work.
    pub work: Work,
    /// The sum of the squares of their difficulty.
    pub squares: f64,
}

impl Windows {
    /// Adds one thing that happened now. Time never decreases.
    pub(crate) fn add(&mut self, now: Time, work: Work, square: f64) {
        for (window, ring) in Window::ALL.into_iter().zip(&mut self.0) {
            let piece = now.0 / window.piece().0;
            match ring.0.back_mut() {
                Some(Bucket(last, count, sum, squares)) if *last >= piece => {
                    *count = count.saturating_add(1);
                    *sum = sum.plus(work);
                    squares.0 += square;
                }
                _ => {
                    ring.0.push_back(Bucket(piece, 1, work, Squares(square)));
                    ring.forget(window, now);
                }
            }
        }
    }

    /// What happened in a window that ends now.
    pub fn sum(&self, window: Window, now: Time) -> Sum {
        let first = window.from(now).0 / window.piece().0;
        let ring = &self.0[window as usize];
        let mut all = Sum::default();
        for Bucket(_, count, work, squares) in ring.0.iter().rev().take_while(|bucket| bucket.0 >= first) {
            all.count = all.count.saturating_add(*count);
            all.work = all.work.plus(*work);
            all.squares += squares.0;
        }
        all
    }

    /// Forgets what is older than its window.
    pub(crate) fn forget(&mut self, now: Time) {
        for (window, ring) in Window::ALL.into_iter().zip(&mut self.0) {
            ring.forget(window, now);
        }
    }

    /// Buckets held, for the test that they are bounded.
    pub fn buckets(&self) -> u32 {
        self.0.iter().map(|ring| ring.0.len() as u32).sum()
    }
}

impl Ring {
    fn forget(&mut self, window: Window, now: Time) {
        let first = window.from(now).0 / window.piece().0;
        while self.0.front().is_some_and(|bucket| bucket.0 < first) {
            self.0.pop_front();
        }
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
    }
}
