//! The share check: from a job and a miner's five fields to the header, its hash, and what it is worth (SHA-256d
//! chains; STRATUM.md §5).

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
pub(crate) type Hash = [u8; 32];

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
pub(crate) fn check(job: &PoolJob, share: &Share<'_>) -> (Target, Hash) {
    let hash = sha256d(&[&header(job, share)]);
    (Target::from_le_bytes(&hash), hash)
}
