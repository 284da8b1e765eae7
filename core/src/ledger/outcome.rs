//! What became of a share, as one closed list: the labels of statistics, metrics and files.

use crate::notice::{DropReason, Verdict};

/// The end of a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// The pool accepted it.
    Accepted,
    /// Good for what the miner was told, below what the pool asks.
    Credited,
    /// The pool refused it: code 21.
    RejectedStale,
    /// The pool refused it: code 22.
    RejectedDuplicate,
    /// The pool refused it: code 23.
    RejectedLowDifficulty,
    /// The pool refused it: code 24.
    RejectedUnauthorized,
    /// The pool refused it: code 25.
    RejectedNotSubscribed,
    /// The pool refused it: any other code.
    RejectedOther,
    /// Not forwarded: see [`DropReason::UnknownJob`].
    UnknownJob,
    /// Not forwarded: see [`DropReason::NoJobYet`].
    NoJobYet,
    /// Not forwarded: see [`DropReason::Stale`].
    Stale,
    /// Not forwarded: see [`DropReason::Duplicate`].
    Duplicate,
    /// Not forwarded: see [`DropReason::LowDifficulty`].
    LowDifficulty,
    /// Not forwarded: see [`DropReason::Malformed`].
    Malformed,
    /// Not forwarded: see [`DropReason::VersionBits`].
    VersionBits,
    /// Not forwarded: see [`DropReason::Unauthorized`].
    Unauthorized,
    /// Not forwarded: see [`DropReason::NotSubscribed`].
    NotSubscribed,
    /// The pool's connection ended before it answered.
    Lost,
    /// The pool did not answer in time.
    Unanswered,
    /// The miner left before the pool answered.
    Abandoned,
}

/// How many there are.
pub const OUTCOMES: usize = 20;

impl Outcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Outcome; OUTCOMES] = [
        Outcome::Accepted,
        Outcome::Credited,
        Outcome::RejectedStale,
        Outcome::RejectedDuplicate,
        Outcome::RejectedLowDifficulty,
        Outcome::RejectedUnauthorized,
        Outcome::RejectedNotSubscribed,
        Outcome::RejectedOther,
        Outcome::UnknownJob,
        Outcome::NoJobYet,
        Outcome::Stale,
        Outcome::Duplicate,
        Outcome::LowDifficulty,
        Outcome::Malformed,
        Outcome::VersionBits,
        Outcome::Unauthorized,
        Outcome::NotSubscribed,
        Outcome::Lost,
        Outcome::Unanswered,
        Outcome::Abandoned,
    ];

    /// The outcome of a verdict.
    pub fn of(verdict: &Verdict) -> Outcome {
        match verdict {
            Verdict::Accepted => Outcome::Accepted,
            Verdict::Credited => Outcome::Credited,
            Verdict::Rejected { code, .. } => match code {
                21 => Outcome::RejectedStale,
                22 => Outcome::RejectedDuplicate,
                23 => Outcome::RejectedLowDifficulty,
                24 => Outcome::RejectedUnauthorized,
                25 => Outcome::RejectedNotSubscribed,
                _ => Outcome::RejectedOther,
            },
            Verdict::Dropped(reason) => match reason {
                DropReason::UnknownJob => Outcome::UnknownJob,
                DropReason::NoJobYet => Outcome::NoJobYet,
                DropReason::Stale => Outcome::Stale,
                DropReason::Duplicate => Outcome::Duplicate,
                DropReason::LowDifficulty => Outcome::LowDifficulty,
                DropReason::Malformed => Outcome::Malformed,
                DropReason::VersionBits => Outcome::VersionBits,
                DropReason::Unauthorized => Outcome::Unauthorized,
                DropReason::NotSubscribed => Outcome::NotSubscribed,
            },
            Verdict::Lost => Outcome::Lost,
            Verdict::Unanswered => Outcome::Unanswered,
            Verdict::Abandoned => Outcome::Abandoned,
        }
    }

    /// Its name in metrics and files.
    pub const fn label(self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::Credited => "credited",
            Outcome::RejectedStale => "rejected_stale",
            Outcome::RejectedDuplicate => "rejected_duplicate",
            Outcome::RejectedLowDifficulty => "rejected_low_difficulty",
            Outcome::RejectedUnauthorized => "rejected_unauthorized",
            Outcome::RejectedNotSubscribed => "rejected_not_subscribed",
            Outcome::RejectedOther => "rejected_other",
            Outcome::UnknownJob => "unknown_job",
            Outcome::NoJobYet => "no_job_yet",
            Outcome::Stale => "stale",
            Outcome::Duplicate => "duplicate",
            Outcome::LowDifficulty => "low_difficulty",
            Outcome::Malformed => "malformed",
            Outcome::VersionBits => "version_bits",
            Outcome::Unauthorized => "unauthorized",
            Outcome::NotSubscribed => "not_subscribed",
            Outcome::Lost => "lost",
            Outcome::Unanswered => "unanswered",
            Outcome::Abandoned => "abandoned",
        }
    }

    /// The outcome with this label.
    pub fn with_label(label: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.label() == label)
    }

    /// The work counts: for the pool, or for the miner's own difficulty.
    pub const fn is_good(self) -> bool {
        matches!(self, Outcome::Accepted | Outcome::Credited)
    }

    /// The pool said no.
    pub const fn is_rejected(self) -> bool {
        matches!(
            self,
            Outcome::RejectedStale
                | Outcome::RejectedDuplicate
                | Outcome::RejectedLowDifficulty
                | Outcome::RejectedUnauthorized
                | Outcome::RejectedNotSubscribed
                | Outcome::RejectedOther
        )
    }

    /// It was answered here with no, and the pool never saw it.
    pub const fn is_dropped(self) -> bool {
        matches!(
            self,
            Outcome::UnknownJob
                | Outcome::NoJobYet
                | Outcome::Stale
                | Outcome::Duplicate
                | Outcome::LowDifficulty
                | Outcome::Malformed
                | Outcome::VersionBits
                | Outcome::Unauthorized
                | Outcome::NotSubscribed
        )
    }

    /// It came too late: its job was over.
    pub const fn is_late(self) -> bool {
        matches!(self, Outcome::RejectedStale | Outcome::UnknownJob | Outcome::Stale)
    }

    /// It was sent twice.
    pub const fn is_duplicate(self) -> bool {
        matches!(self, Outcome::RejectedDuplicate | Outcome::Duplicate)
    }

    /// The pool never said what became of it.
    pub const fn is_lost(self) -> bool {
        matches!(self, Outcome::Lost | Outcome::Unanswered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_place_label_and_one_kind() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
            assert_eq!(Outcome::with_label(outcome.label()), Some(outcome));
            let kinds = [outcome.is_good(), outcome.is_rejected(), outcome.is_dropped(), outcome.is_lost()];
            let abandoned = outcome == Outcome::Abandoned;
            assert_eq!(kinds.iter().filter(|k| **k).count(), usize::from(!abandoned), "{outcome:?}");
        }
    }
}
