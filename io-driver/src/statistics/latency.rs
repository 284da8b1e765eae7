//! Lengths of time, as percentiles over the last hour, and the two that the loop measures itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dpmp_core::{Span, Time};
use hdrhistogram::Histogram;

use super::snapshot::Latency;

/// The hour is gathered in pieces.
const PIECE: Span = Span::mins(10);
/// As many as cover it, and the one that has begun.
const PIECES: usize = 7;

/// From 1 µs to ten minutes with two digits: about 20 KB, made once and never grown.
fn histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(1, 600_000_000, 2)
        .unwrap_or_else(|_| unreachable!("1..600,000,000 with 2 digits is a valid histogram"))
}

/// The last hour's.
#[derive(Clone, Debug, Default)]
pub(super) struct LastHour(VecDeque<(u64, Histogram<u32>)>);

impl LastHour {
    fn piece(&mut self, now: Time) -> &mut Histogram<u32> {
        let piece = now.0 / PIECE.0;
        if self.0.back().is_none_or(|(last, _)| *last < piece) {
            // The oldest is used again.
            let mut next = if self.0.len() >= PIECES { self.0.pop_front().map(|(_, h)| h) } else { None };
            if let Some(histogram) = &mut next {
                histogram.reset();
            }
            self.0.push_back((piece, next.unwrap_or_else(histogram)));
        }
        let last = self.0.len() - 1;
        &mut self.0[last].1
    }

    pub(super) fn record(&mut self, now: Time, span: Span) {
        self.piece(now).saturating_record(span.0.max(1));
    }

    fn merge(&mut self, now: Time, other: &Histogram<u32>) {
        // Same bounds: it always fits.
        let _ = self.piece(now).add(other);
    }

    pub(super) fn show(&self, now: Time) -> Latency {
        let first = (now.0 / PIECE.0).saturating_sub(PIECES as u64 - 1);
        let mut all = histogram();
        for (_, piece) in self.0.iter().filter(|(piece, _)| *piece >= first) {
            let _ = all.add(piece);
        }
        let at = |quantile| (!all.is_empty()).then(|| all.value_at_quantile(quantile) as f64 / 1e6);
        Latency {
            count: all.len(),
            p50_seconds: at(0.5),
            p95_seconds: at(0.95),
            p99_seconds: at(0.99),
            max_seconds: (!all.is_empty()).then(|| all.max() as f64 / 1e6),
        }
    }
}

/// What the loop measures itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// From the bytes of a pool's job to the last miner's write of it.
    JobFanout,
    /// From the bytes of a miner's share to the write to the pool.
    Share,
}

/// Written by the loop, emptied by the statistics. The loop allocates nothing, and the lock is held only for a write of a
/// few bytes on its side, and an exchange of pointers on the other.
#[derive(Clone, Debug)]
pub struct Stopwatch(Arc<Mutex<[Histogram<u32>; 2]>>);

impl Default for Stopwatch {
    fn default() -> Stopwatch {
        Stopwatch(Arc::new(Mutex::new([histogram(), histogram()])))
    }
}

impl Stopwatch {
    fn lock(&self) -> MutexGuard<'_, [Histogram<u32>; 2]> {
        // Counters: what a panicking thread left behind is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one.
    pub fn record(&self, what: Measured, span: Span) {
        self.lock()[what as usize].saturating_record(span.0.max(1));
    }
}

/// The other end of a [`Stopwatch`].
#[derive(Debug)]
pub(super) struct Readings {
    stopwatch: Stopwatch,
    spare: [Histogram<u32>; 2],
    hours: [LastHour; 2],
}

impl Readings {
    pub(super) fn new(stopwatch: Stopwatch) -> Readings {
        Readings { stopwatch, spare: [histogram(), histogram()], hours: Default::default() }
    }

    /// Takes over what was measured since the last time.
    pub(super) fn fetch(&mut self, now: Time) {
        std::mem::swap(&mut *self.stopwatch.lock(), &mut self.spare);
        for (hour, new) in self.hours.iter_mut().zip(&mut self.spare) {
            if !new.is_empty() {
                hour.merge(now, new);
                new.reset();
            }
        }
    }

    pub(super) fn show(&self, now: Time, what: Measured) -> Latency {
        self.hours[what as usize].show(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Time {
        Time::ZERO + Span::mins(minutes)
    }

    #[test]
    fn percentiles_of_the_last_hour() {
        let stopwatch = Stopwatch::default();
        let mut readings = Readings::new(stopwatch.clone());
        for n in 1..=1_000 {
            stopwatch.record(Measured::Share, Span(n));
        }
        readings.fetch(at(0));
        let shown = readings.show(at(1), Measured::Share);
        assert_eq!(shown.count, 1_000);
        assert!((shown.p50_seconds.unwrap() - 500e-6).abs() < 6e-6, "{shown:?}");
        assert!((shown.p99_seconds.unwrap() - 990e-6).abs() < 11e-6, "{shown:?}");
        assert_eq!(readings.show(at(1), Measured::JobFanout), Latency::default());
        stopwatch.record(Measured::Share, Span(7));
        readings.fetch(at(65));
        assert_eq!(readings.show(at(65), Measured::Share).count, 1_001);
        assert_eq!(readings.show(at(75), Measured::Share).count, 1, "the first thousand are too old");
    }

    #[test]
    fn a_year_takes_no_more_memory() {
        let mut hour = LastHour::default();
        for minutes in (0..500_000).step_by(5) {
            hour.record(at(minutes), Span::millis(5));
        }
        assert_eq!(hour.0.len(), PIECES);
        assert_eq!(hour.show(at(500_000)).count, 12);
    }
}
