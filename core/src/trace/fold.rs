//! Makes checkpoints small: every miner's connections know the same jobs, so a checkpoint repeats itself at distances that
//! ordinary compressors do not look over. A stretch that was there before becomes a reference to it.
//!
//! Folded: varint of the whole length; then, until that length is reached: varint of the number of literal bytes, these,
//! and unless all is there, varints of the length of a repeated stretch (at least 1) and of how far back it begins.

use alloc::vec;
use alloc::vec::Vec;

use super::frame::{LONGEST_CHECKPOINT, put_varint, take_varint};

/// Shorter stretches are not worth a reference.
const SHORTEST: usize = 24;
/// Of a long stretch only every so many positions are remembered.
const STRIDE: usize = 32;
/// Nothing was remembered.
const NOWHERE: u32 = u32::MAX;

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()).map_or(0, |word| u64::from_le_bytes(*word))
}

/// Bytes that are the same from two positions on, the first one before the second.
fn common(bytes: &[u8], a: usize, b: usize) -> usize {
    let mut n = 0;
    while b + n + 8 <= bytes.len() {
        let differ = word(bytes, a + n) ^ word(bytes, b + n);
        if differ != 0 {
            return n + (differ.trailing_zeros() / 8) as usize;
        }
        n += 8;
    }
    while b + n < bytes.len() && bytes[a + n] == bytes[b + n] {
        n += 1;
    }
    n
}

/// Appends `bytes`, folded. They are shorter than 4 GiB.
pub(super) fn fold(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    let bits = (bytes.len() / 4).next_power_of_two().trailing_zeros().clamp(8, 20);
    let mut last_seen = vec![NOWHERE; 1 << bits];
    let slot = |at: usize| {
        let mixed = word(bytes, at) ^ word(bytes, at + 8).rotate_left(29) ^ word(bytes, at + 16).rotate_left(47);
        (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - bits)) as usize
    };
    let (mut at, mut literal) = (0, 0);
    while at + SHORTEST <= bytes.len() {
        let entry = &mut last_seen[slot(at)];
        let before = core::mem::replace(entry, at as u32);
        let length = if before == NOWHERE { 0 } else { common(bytes, before as usize, at) };
        if length < SHORTEST {
            at += 1;
            continue;
        }
        put_varint(out, (at - literal) as u64);
        out.extend_from_slice(&bytes[literal..at]);
        put_varint(out, length as u64);
        put_varint(out, (at - before as usize) as u64);
        let end = at + length;
        while at + STRIDE < end {
            at += STRIDE;
            last_seen[slot(at)] = at as u32;
        }
        (at, literal) = (end, end);
    }
    if literal < bytes.len() {
        put_varint(out, (bytes.len() - literal) as u64);
        out.extend_from_slice(&bytes[literal..]);
    }
}

/// The bytes that were folded; none if these were not.
pub(super) fn unfold(mut folded: &[u8]) -> Option<Vec<u8>> {
    let whole = take_varint(&mut folded)?;
    if whole > u64::from(LONGEST_CHECKPOINT) {
        return None;
    }
    let whole = whole as usize;
    let mut out: Vec<u8> = Vec::new();
    while out.len() < whole {
        let literal = usize::try_from(take_varint(&mut folded)?).ok()?;
        let (bytes, rest) = folded.split_at_checked(literal)?;
        folded = rest;
        out.extend_from_slice(bytes);
        if out.len() >= whole {
            break;
        }
        let length = usize::try_from(take_varint(&mut folded)?).ok()?;
        let back = usize::try_from(take_varint(&mut folded)?).ok()?;
        let from = out.len().checked_sub(back)?;
        if back == 0 || length == 0 || length > whole - out.len() {
            return None;
        }
        // A stretch may reach into itself.
        let mut left = length;
        while left > 0 {
            let n = left.min(out.len() - from);
            out.extend_from_within(from..from + n);
            left -= n;
        }
    }
    (out.len() == whole && folded.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn there_and_back(bytes: &[u8]) -> usize {
        let mut folded = Vec::new();
        fold(&mut folded, bytes);
        assert_eq!(unfold(&folded).as_deref(), Some(bytes));
        folded.len()
    }

    #[test]
    fn repetitions_go() {
        assert_eq!(there_and_back(&[]), 1);
        assert!(there_and_back(&[7; 100_000]) < 50);
        let job: Vec<u8> = (0..60_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let many = [job.as_slice(), b"one", &job, b"another", &job, &job[..100]].concat();
        assert!(there_and_back(&many) < job.len() + 200);
    }

    proptest! {
        #[test]
        fn anything_comes_back(pieces in prop::collection::vec((0usize..40, 0usize..300), 0..40), seed in any::<u64>()) {
            let mut bytes: Vec<u8> = Vec::new();
            let mut state = seed;
            for (back, n) in pieces {
                for _ in 0..n {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let old = bytes.len().checked_sub(back * 7 + 1).map(|at| bytes[at]);
                    bytes.push(if back > 2 { old.unwrap_or(0) } else { (state >> 60) as u8 });
                }
            }
            there_and_back(&bytes);
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = unfold(&bytes);
        }
    }
}
