//! Why a recording cannot be redacted.

use crate::trace::replay::ReplayError;

/// Why a recording cannot be redacted. Nothing of it may be given away then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedactError {
    /// It does not replay as it is.
    #[error("segment {segment} does not replay: {error}")]
    Replay {
        /// Its number.
        segment: u64,
        /// Why.
        error: ReplayError,
    },
    /// With pseudonyms the engine did something else: a bug of ours.
    #[error("segment {segment}, step {step}: with pseudonyms something else is sent (a bug; please report it)")]
    Diverged {
        /// The segment's number.
        segment: u64,
        /// The first step that differs, counted from 1.
        step: u64,
    },
    /// A name is still there: a bug of ours.
    #[error("{what} of {length} characters is left at byte {at} of the result (a bug; please report it)")]
    Left {
        /// What kind of name.
        what: &'static str,
        /// Its length. Not the name: the error may be shown to others.
        length: u64,
        /// Where it was found first.
        at: u64,
    },
    /// There is no segment in it.
    #[error("there is no segment in it")]
    Empty,
}
