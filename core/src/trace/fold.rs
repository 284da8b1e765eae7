//! Makes checkpoints small: every miner's connections know the same jobs, so a checkpoint repeats itself at distances that
//! ordinary compressors do not look over. A stretch that was there before becomes a reference to it.
//!
//! Folded: varint of the whole length; then, until that length is reached: varint of the number of literal bytes, these,
//! and unless all is there, varints of the length of a repeated stretch (1 to 1024) and of how far back it begins. A stretch
//! takes 4 bytes at least, so what is unfolded is at most 256 times as large, whoever wrote it.

use alloc::vec;
use alloc::vec::Vec;

use super::frame::{LONGEST_CHECKPOINT, put_varint, take_varint};

/// Shorter stretches are not worth a reference.
const SHORTEST: usize = 24;
/// Of a long stretch only every so many positions are remembered.
const STRIDE: usize = 32;
/// Longer stretches are written in several.
const LONGEST: usize = 1024;
/// How many times larger what is unfolded can be.
const MOST: u64 = 256;
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
        let (back, end) = (at - before as usize, at + length);
        let mut from = at;
        while from < end {
            put_varint(out, (from - literal) as u64);
            out.extend_from_slice(&bytes[literal..from]);
            let n = LONGEST.min(end - from);
            put_varint(out, n as u64);
            put_varint(out, back as u64);
            from += n;
            literal = from;
        }
        while at + STRIDE < end {
            at += STRIDE;
            last_seen[slot(at)] = at as u32;
        }
        at = end;
    }
    if literal < bytes.len() {
        put_varint(out, (bytes.len() - literal) as u64);
        out.extend_from_slice(&bytes[literal..]);
    }
}

/// The bytes that were folded; none if these were not.
pub(super) fn unfold(mut folded: &[u8]) -> Option<Vec<u8>> {
    let most = MOST.saturating_mul(folded.len() as u64).min(u64::from(LONGEST_CHECKPOINT));
    let whole = take_varint(&mut folded).filter(|whole| *whole <= most)?;
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
        if back == 0 || length == 0 || length > LONGEST.min(whole - out.len()) {
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
        assert!(there_and_back(&[7; 100_000]) < 420);
        let job: Vec<u8> = (0..60_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let many = [job.as_slice(), b"one", &job, b"another", &job, &job[..100]].concat();
        assert!(there_and_back(&many) < job.len() + 200);
    }

    #[test]
    fn few_bytes_do_not_become_many() {
        // A byte, and stretches that each repeat it as often as one may.
        let hostile = |stretches: usize, length: u64, claimed: u64| {
            let mut folded = Vec::new();
            put_varint(&mut folded, claimed);
            folded.extend([1, b'x']);
            for n in 0..stretches {
                folded.extend([0; 1].iter().take(usize::from(n > 0)));
                put_varint(&mut folded, length);
                put_varint(&mut folded, 1);
            }
            folded
        };
        let most = hostile(1000, 1024, 1 + 1000 * 1024);
        assert_eq!(unfold(&most).map(|bytes| bytes.len()), Some(1 + 1000 * 1024));
        assert!(most.len() as u64 * MOST > 1000 * 1024);
        assert_eq!(unfold(&hostile(1, 1 << 20, 1 + (1 << 20))), None, "a stretch that is too long");
        assert_eq!(unfold(&hostile(1, 1024, u64::from(LONGEST_CHECKPOINT))), None, "more than its bytes can hold");
        // The best that can be folded is within the bound too.
        let mut folded = Vec::new();
        fold(&mut folded, &alloc::vec![7; 3_000_000]);
        assert_eq!(unfold(&folded).map(|bytes| bytes.len()), Some(3_000_000));
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
