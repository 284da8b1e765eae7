//! The share check: from a job and a miner's five fields to the header, its hash, and what it is worth (SHA-256d
//! chains; STRATUM.md §5).

use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::difficulty::Target;
use crate::job::PoolJob;

/// The share of one submit, in the pool's own terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share<'a> {
    /// The pool's whole extranonce2.
    pub(crate) extranonce2: &'a [u8],
    pub(crate) ntime: u32,
    pub(crate) nonce: u32,
    /// The header's version, rolled bits included.
    pub(crate) version: u32,
}

/// A header's hash, least significant byte first.
pub type Hash = [u8; 32];

/// SHA-256 twice.
fn sha256d(parts: &[&[u8]]) -> Hash {
    let mut once = Sha256::new();
    for part in parts {
        once.update(part);
    }
    Sha256::digest(once.finalize()).into()
}

/// The 80 bytes that the miner hashed.
pub(crate) fn header(job: &PoolJob, share: &Share<'_>) -> [u8; 80] {
    let mut root = sha256d(&[&job.coinb1, &job.extranonce1, share.extranonce2, &job.coinb2]);
    for branch in &job.branches {
        root = sha256d(&[&root, branch]);
    }
    let mut header = [0u8; 80];
    header[0..4].copy_from_slice(&share.version.to_le_bytes());
    for (to, from) in header[4..36].chunks_exact_mut(4).zip(job.prevhash.chunks_exact(4)) {
        to.copy_from_slice(from);
        to.reverse();
    }
    header[36..68].copy_from_slice(&root);
    header[68..72].copy_from_slice(&share.ntime.to_le_bytes());
    header[72..76].copy_from_slice(&job.nbits.to_le_bytes());
    header[76..80].copy_from_slice(&share.nonce.to_le_bytes());
    header
}

/// The hash of a share's header as a number, and as bytes.
pub(crate) fn check(pow: &mut Pow, job: &PoolJob, share: &Share<'_>) -> (Target, Hash) {
    let header = header(job, share);
    let hash = match pow {
        Pow::Sha256d => sha256d(&[&header]),
        Pow::Keyed(key) => keyed(*key, &header),
        Pow::Given(hashes) => hashes.pop_front().unwrap_or([0xFF; 32]),
    };
    (Target::from_le_bytes(&hash), hash)
}

/// How a header becomes a hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pow {
    /// As Bitcoin does.
    Sha256d,
    /// The simulated world's: cheap, and a nonce can be solved for any difficulty. See [`keyed`].
    Keyed(u64),
    /// The hashes of a recording, in the order in which headers were checked. Used by redacted traces, whose headers
    /// are no longer those that were hashed. None left: the worst hash.
    Given(VecDeque<Hash>),
}

/// The simulated world's hash of a header: all fields but the nonce are mixed, with the key, into 32 bits that are
/// exclusive-ored with the nonce; of the outcome the high byte says how many leading zero bits the hash has, and the
/// other 24 bits are what follows behind a one. So each nonce has its hash, and each hash (to 24 bits) its nonce.
pub fn keyed(key: u64, header: &[u8; 80]) -> Hash {
    let (fields, nonce) = header.split_at(76);
    let mut state = key;
    for chunk in fields.chunks(8) {
        let mut word = [0u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state = (state ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        state ^= state >> 29;
    }
    let mut last = [0u8; 4];
    last.copy_from_slice(nonce);
    let word = u32::from_le_bytes(last) ^ (state >> 32) as u32;
    let zeros = (word >> 24).min(231);
    // A one, then 24 bits, behind `zeros` zeros: the one lies at bit 255 − zeros, at bit 24 at the lowest.
    let bits = 1u32 << 24 | word & 0x00FF_FFFF;
    let shift = (255 - zeros - 24) as usize;
    let mut hash = [0u8; 32];
    let wide = u64::from(bits) << (shift % 8);
    for (i, byte) in wide.to_le_bytes().iter().enumerate() {
        if let Some(to) = hash.get_mut(shift / 8 + i) {
            *to = *byte;
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nonce whose keyed hash has this many leading zero bits and then this: what the simulated world's miners do.
    fn solve(key: u64, header: &mut [u8; 80], zeros: u32, behind: u32) {
        header[76..].copy_from_slice(&[0; 4]);
        let base = keyed(key, header);
        let value = Target::from_le_bytes(&base);
        // Read the word of nonce 0 back from its hash.
        let top = value.0.iter().rev().position(|limb| *limb != 0).unwrap();
        let base_zeros = top as u32 * 64 + value.0[3 - top].leading_zeros();
        let mut bits = 0u32;
        for i in 0..24 {
            let at = (255 - base_zeros - 1 - i) as usize;
            bits = bits << 1 | (base[at / 8] >> (at % 8) & 1) as u32;
        }
        let word = base_zeros << 24 | bits;
        let wanted = zeros << 24 | behind;
        header[76..].copy_from_slice(&(word ^ wanted).to_le_bytes());
    }

    #[test]
    fn a_keyed_hash_can_be_solved_for_any_difficulty() {
        let mut header = [7u8; 80];
        // A key whose word for nonce 0 has few enough zeros to be read back.
        let key = (0..1000).find(|key| {
            header[76..].copy_from_slice(&[0; 4]);
            let v = Target::from_le_bytes(&keyed(*key, &header));
            v.0[1..].iter().any(|l| *l != 0)
        });
        let key = key.unwrap();
        for zeros in [0, 1, 31, 32, 40, 72, 100, 200, 231] {
            solve(key, &mut header, zeros, 0x00AB_CDEF);
            let value = Target::from_le_bytes(&keyed(key, &header));
            let leading: u32 = match value.0.iter().rev().position(|limb| *limb != 0) {
                Some(top) => top as u32 * 64 + value.0[3 - top].leading_zeros(),
                None => 256,
            };
            assert_eq!(leading, zeros);
        }
    }
}
