//! The hashing of a simulated miner: pieces of work from a job, the search over nonces, and the submit that follows.

use crate::header::{self, Header, Midstate};
use crate::hex;
use crate::pow::{self, Pow};
use crate::rng::Rng;
use crate::target::Target;

use super::spec::{Extranonce2, Personality, Rolling, Spelling};

/// A job as the miner understood it, and how far it has come with it.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) prevhash: [u8; 32],
    pub(super) coinb1: Vec<u8>,
    pub(super) coinb2: Vec<u8>,
    pub(super) branches: Vec<[u8; 32]>,
    pub(super) version: u32,
    pub(super) nbits: u32,
    pub(super) ntime: u32,
    pub(super) extranonce1: Vec<u8>,
    pub(super) extranonce2_bytes: usize,
    pub(super) difficulty: f64,
    pub(super) mask: Option<u32>,
    /// It replaces the jobs before it.
    pub(super) clean: bool,
    /// Extranonce2 of the next piece of work.
    pub(super) counter: u64,
    pub(super) works: u32,
    pub(super) work: Option<Work>,
}

/// One piece of work: everything but the nonce is fixed.
#[derive(Clone, Debug)]
pub(super) struct Work {
    extranonce2: Vec<u8>,
    bits: Option<u32>,
    header: Header,
    midstate: Midstate,
    target: Target,
    nonce: u32,
    left: u32,
    /// Keyed mix: nonces that were solved for already.
    solved: Vec<u32>,
}

/// A share that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The job's id as the miner was told it.
    pub job_id: String,
    /// The hash of the header as the miner built it, least significant byte first.
    pub hash: [u8; 32],
    /// [`pow::identity`] of that header.
    pub identity: [u8; 32],
    /// The difficulty it was searched for.
    pub difficulty: f64,
    /// The coinbase before the miner's own extranonce2.
    pub head: Vec<u8>,
    /// The miner's own extranonce2.
    pub extranonce2: Vec<u8>,
    /// As submitted.
    pub ntime: u32,
    /// As submitted.
    pub nonce: u32,
    /// Version bits, if it rolls any.
    pub bits: Option<u32>,
    /// The header's version.
    pub version: u32,
    /// It was submitted before, in another spelling.
    pub again: bool,
}

impl Job {
    /// Hashes up to `budget` nonces; returns how many, and the share that ended the search early.
    pub(super) fn search(
        &mut self,
        personality: &Personality,
        pow: Pow,
        rng: &mut Rng,
        budget: u64,
    ) -> (u64, Option<Found>) {
        let mut done = 0;
        while done < budget {
            if self.work.as_ref().is_none_or(|work| work.left == 0) {
                self.work = Some(self.next_work(personality, rng));
            }
            let Some(work) = &mut self.work else { break };
            let run = (budget - done).min(u64::from(work.left));
            let (hashed, hit) = match pow {
                Pow::Sha256d => work.scan(run as u32),
                Pow::Keyed(key) => work.solve(key, self.difficulty, rng),
            };
            done += u64::from(hashed);
            if let Some((nonce, hash)) = hit {
                let found = Found {
                    job_id: self.id.clone(),
                    hash,
                    identity: pow::identity(&Header { nonce, ..work.header }),
                    difficulty: self.difficulty,
                    head: [&self.coinb1[..], &self.extranonce1[..]].concat(),
                    extranonce2: work.extranonce2.clone(),
                    ntime: work.header.ntime,
                    nonce,
                    bits: work.bits,
                    version: work.header.version,
                    again: false,
                };
                return (done, Some(found));
            }
            if let Pow::Keyed(_) = pow {
                break;
            }
        }
        (done, None)
    }

    fn next_work(&mut self, personality: &Personality, rng: &mut Rng) -> Work {
        let works = self.works;
        self.works = self.works.wrapping_add(1);
        let number = match personality.extranonce2 {
            Extranonce2::Random => rng.next(),
            Extranonce2::Constant => self.counter,
            Extranonce2::RestartAtZero | Extranonce2::Counter => {
                let number = self.counter;
                // A counter of two bytes comes round; the firmware does not notice, so time has to roll.
                self.counter = self.counter.wrapping_add(1);
                number
            }
        };
        let mut extranonce2 = number.to_le_bytes().to_vec();
        extranonce2.resize(self.extranonce2_bytes, 0);
        let rolled = works.checked_div(personality.rolls_time_every).unwrap_or(0);
        let bits = match (personality.rolling, self.mask) {
            (Rolling::None, _) | (Rolling::WithinMask, None) => None,
            (Rolling::WithinMask, Some(mask)) => Some(spread(works, mask)),
            (Rolling::Always, _) => Some(spread(works, 0x1fff_e000)),
        };
        // A constant extranonce2 needs the nonces to go on where they were.
        let nonce = match personality.extranonce2 {
            Extranonce2::Constant => works.wrapping_mul(personality.hashes_per_work),
            _ => 0,
        };
        let mask = if personality.rolling == Rolling::Always { 0x1fff_e000 } else { self.mask.unwrap_or(0) };
        let coinbase = header::coinbase(&self.coinb1, &self.extranonce1, &extranonce2, &self.coinb2);
        let header = Header {
            version: bits.map_or(self.version, |bits| self.version & !mask | bits),
            prevhash: self.prevhash,
            root: header::merkle_root(&coinbase, &self.branches),
            ntime: self.ntime.wrapping_add(rolled),
            nbits: self.nbits,
            nonce,
        };
        let midstate = Midstate::new(&header);
        let target = Target::of_difficulty(self.difficulty);
        let left = personality.hashes_per_work;
        Work { extranonce2, bits, header, midstate, target, nonce, left, solved: Vec::new() }
    }
}

impl Work {
    /// Keyed mix: one nonce that meets the difficulty, never the same twice.
    fn solve(&mut self, key: u64, difficulty: f64, rng: &mut Rng) -> (u32, Option<(u32, [u8; 32])>) {
        self.left -= 1;
        for _ in 0..8 {
            let Some((nonce, hash)) = pow::solve(key, &self.header, difficulty, rng) else { break };
            if !self.solved.contains(&nonce) {
                self.solved.push(nonce);
                return (1, Some((nonce, hash)));
            }
        }
        (1, None)
    }

    /// Tries up to `count` nonces; returns how many, and the one that met the target with its hash, if one did.
    fn scan(&mut self, count: u32) -> (u32, Option<(u32, [u8; 32])>) {
        let top = self.target.top();
        for tried in 1..=count {
            let words = self.midstate.words(self.nonce);
            self.nonce = self.nonce.wrapping_add(1);
            self.left -= 1;
            if words[7].swap_bytes() > top {
                continue;
            }
            let hash = Midstate::to_bytes(words);
            if self.target.meets(&hash) {
                return (tried, Some((self.nonce.wrapping_sub(1), hash)));
            }
        }
        (count, None)
    }
}

/// The low bits of a number laid out over the ones of a mask.
fn spread(mut number: u32, mask: u32) -> u32 {
    let mut out = 0;
    for bit in (0..32).map(|n| 1u32 << n).filter(|bit| mask & bit != 0) {
        out |= if number & 1 == 1 { bit } else { 0 };
        number >>= 1;
    }
    out
}

impl Found {
    /// The parameters of `mining.submit`.
    pub(super) fn params(&self, user: &str, spelling: Spelling) -> String {
        let number = |n: u32, nonce: bool| match spelling {
            Spelling::Lower => format!("{n:08x}"),
            Spelling::Upper => format!("{n:08X}"),
            Spelling::Unpadded if nonce => format!("{n:x}"),
            Spelling::Unpadded => format!("{n:08x}"),
            Spelling::Prefixed => format!("0x{n:08x}"),
        };
        let mut extranonce2 = hex::encode(&self.extranonce2);
        if spelling == Spelling::Upper {
            extranonce2 = extranonce2.to_uppercase();
        }
        let bits = self.bits.map(|bits| format!(", \"{bits:08x}\"")).unwrap_or_default();
        format!(
            "[{}, \"{}\", \"{extranonce2}\", \"{}\", \"{}\"{bits}]",
            serde_json::Value::from(user),
            self.job_id,
            number(self.ntime, false),
            number(self.nonce, true),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_fill_the_mask() {
        assert_eq!(spread(0, 0x1fff_e000), 0);
        assert_eq!(spread(1, 0x1fff_e000), 0x2000);
        assert_eq!(spread(u32::MAX, 0x1fff_e000), 0x1fff_e000);
        assert_eq!(spread(0b101, 0b1101_0000), 0b1001_0000);
    }
}
