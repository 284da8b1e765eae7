//! Jobs of a simulated pool: content from a seed, ids in the style of the software, and the header of a share.

use std::collections::VecDeque;

use super::spec::{Flavour, JobIds, PoolSpec};
use crate::header::{self, Header};
use crate::hex;
use crate::rng::Rng;

/// One job, the same for all connections of a pool.
#[derive(Clone, Debug)]
pub struct PoolJob {
    /// As it goes over the wire.
    pub id: String,
    /// Counted from 0, never repeating.
    pub seq: u64,
    /// Which block it is of: a share for an older one is stale.
    pub block: u64,
    /// In the header's order of bytes.
    pub prevhash: [u8; 32],
    /// The coinbase up to the extranonces; no other job of any pool begins like it.
    pub coinb1: Vec<u8>,
    /// The rest of it.
    pub coinb2: Vec<u8>,
    /// Of the other transactions.
    pub branches: Vec<[u8; 32]>,
    /// Without version bits.
    pub version: u32,
    /// Compact target of the network.
    pub nbits: u32,
    /// Seconds since 1970.
    pub ntime: u32,
    /// The flag it was announced with.
    pub clean: bool,
}

impl PoolJob {
    /// The start of the coinbase as one connection is told it: where extranonce1 has no room to tell connections
    /// apart, the last four bytes do, as in p2pool.
    pub(super) fn coinb1_for(&self, tag: u64, extranonce1: &[u8]) -> Vec<u8> {
        let mut coinb1 = self.coinb1.clone();
        if extranonce1.len() < 2 {
            coinb1.truncate(self.coinb1.len() - 4);
            coinb1.extend((tag as u32).to_le_bytes());
        }
        coinb1
    }

    /// True if a coinbase that begins so is of this job, whatever the connection.
    pub fn begins(&self, coinb1: &[u8]) -> bool {
        coinb1.starts_with(&self.coinb1[..self.coinb1.len() - 4])
    }

    /// The header of a share of this job.
    pub(super) fn header(
        &self,
        (coinb1, extranonce1, extranonce2): (&[u8], &[u8], &[u8]),
        version: u32,
        ntime: u32,
        nonce: u32,
    ) -> Header {
        let coinbase = header::coinbase(coinb1, extranonce1, extranonce2, &self.coinb2);
        let root = header::merkle_root(&coinbase, &self.branches);
        Header { version, prevhash: self.prevhash, root, ntime, nbits: self.nbits, nonce }
    }

    /// The parameters of `mining.notify`.
    pub(super) fn params(&self, coinb1: &[u8]) -> String {
        let branches: Vec<String> = self.branches.iter().map(|b| format!("\"{}\"", hex::encode(b))).collect();
        format!(
            "[\"{}\",\"{}\",\"{}\",\"{}\",[{}],\"{:08x}\",\"{:08x}\",\"{:08x}\",{}]",
            self.id,
            hex::encode(&header::swap_words(self.prevhash)),
            hex::encode(coinb1),
            hex::encode(&self.coinb2),
            branches.join(","),
            self.version,
            self.nbits,
            self.ntime,
            self.clean,
        )
    }
}

/// Makes jobs and remembers the latest.
#[derive(Clone, Debug)]
pub(super) struct Jobs {
    rng: Rng,
    kept: VecDeque<PoolJob>,
    next: u64,
    block: u64,
    prevhash: [u8; 32],
}

impl Jobs {
    /// Fewer than the 256 after which decimal ids repeat.
    const KEPT: usize = 200;

    /// None yet.
    pub(super) fn new(spec: &PoolSpec) -> Jobs {
        let mut rng = Rng::new(spec.seed, "jobs");
        let prevhash = draw_hash(&mut rng);
        Jobs { rng, kept: VecDeque::new(), next: 0, block: 0, prevhash }
    }

    /// The one that is announced to newcomers.
    pub(super) fn current(&self) -> Option<&PoolJob> {
        self.kept.back()
    }

    /// All that are remembered, oldest first.
    pub(super) fn kept(&self) -> impl DoubleEndedIterator<Item = &PoolJob> {
        self.kept.iter()
    }

    /// The latest with this id.
    pub(super) fn find(&self, id: &str) -> Option<&PoolJob> {
        self.kept.iter().rev().find(|job| job.id == id)
    }

    /// The number of the present block.
    pub(super) fn block(&self) -> u64 {
        self.block
    }

    /// Makes the next job; `new_block` makes those before it stale.
    pub(super) fn advance(
        &mut self,
        spec: &PoolSpec,
        extranonce_bytes: usize,
        new_block: bool,
        now_us: u64,
    ) -> &PoolJob {
        if new_block {
            self.block += 1;
            self.prevhash = draw_hash(&mut self.rng);
        }
        let seq = self.next;
        self.next += 1;
        let ntime = spec.start_unix.wrapping_add((now_us / 1_000_000) as u32);
        let (coinb1, coinb2) = self.coinbase(spec, extranonce_bytes, seq, ntime);
        let job = PoolJob {
            id: id(spec.job_ids, seq, ntime),
            seq,
            block: self.block,
            prevhash: self.prevhash,
            coinb1,
            coinb2,
            branches: (0..spec.branches).map(|_| draw_hash(&mut self.rng)).collect(),
            version: spec.version,
            nbits: spec.nbits,
            ntime,
            // The npm pools call their first job not clean.
            clean: new_block || seq == 0 && spec.flavour != Flavour::Npm,
        };
        if self.kept.len() == Self::KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(job);
        self.kept.back().expect("just pushed")
    }

    /// A coinbase as of a block template: height, job number and time in the script before the extranonces, the pool's
    /// name behind them, one payment and a commitment.
    fn coinbase(&mut self, spec: &PoolSpec, extranonce_bytes: usize, seq: u64, ntime: u32) -> (Vec<u8>, Vec<u8>) {
        let mut before = vec![3, (self.block & 255) as u8, (self.block >> 8 & 255) as u8, 0x0c, 4];
        before.extend(ntime.to_le_bytes());
        before.push(10);
        before.extend((seq as u32).to_le_bytes());
        before.extend(self.rng.bytes(8));
        let mut after = vec![b'/'];
        after.extend(spec.name.bytes().take(16));
        after.push(b'/');
        let mut coinb1 = vec![1, 0, 0, 0, 1];
        coinb1.extend([0; 32]);
        coinb1.extend([255; 4]);
        coinb1.push((before.len() + extranonce_bytes + after.len()).min(252) as u8);
        coinb1.extend(before);
        let mut coinb2 = after;
        coinb2.extend([255; 4]);
        coinb2.push(2);
        coinb2.extend(5_000_000_000u64.to_le_bytes());
        coinb2.extend([22, 0, 20]);
        coinb2.extend(Rng::new(spec.seed, "payout").bytes(20));
        coinb2.extend([0; 8]);
        let head = coinb1.len() + extranonce_bytes + coinb2.len() + 1 + 4;
        let script = spec.coinbase_bytes.saturating_sub(head).clamp(2, 60_000);
        match script {
            0..=252 => coinb2.push(script as u8),
            _ => {
                coinb2.push(0xfd);
                coinb2.extend((script as u16).to_le_bytes());
            }
        }
        coinb2.extend([0x6a, 0x24]);
        coinb2.extend(self.rng.bytes(script - 2));
        coinb2.extend([0; 4]);
        (coinb1, coinb2)
    }
}

fn draw_hash(rng: &mut Rng) -> [u8; 32] {
    let mut hash = [0; 32];
    for byte in &mut hash {
        *byte = rng.next() as u8;
    }
    hash
}

fn id(style: JobIds, seq: u64, ntime: u32) -> String {
    match style {
        JobIds::Hex8 => format!("{:08x}", seq + 1),
        JobIds::Hex16 => format!("{ntime:08x}{seq:08x}"),
        JobIds::Decimal => (seq % 256).to_string(),
        JobIds::Long => format!("{ntime:08x}{:08x}{:x}", (seq as u32).rotate_left(24) | 0xc0_d400, seq % 16),
        JobIds::HexCounter => format!("{:x}", seq + 1),
    }
}
