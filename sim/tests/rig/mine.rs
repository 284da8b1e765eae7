//! Mining for a scripted miner: it knows nothing but what it was told, and hashes for real at a tiny difficulty.

use dpmp_core::{Conn, MinerId, PoolId, UpstreamId};
use dpmp_sim::header::Midstate;
use dpmp_sim::hex;
use dpmp_sim::target::difficulty_of;

use super::Rig;
use super::watch::{Job, MinerSeen, PoolSeen};

/// What to search, and where.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// The id of the job; none: the newest.
    pub(crate) job: Option<String>,
    pub(crate) extranonce2: u64,
    /// Nonces from this one on.
    pub(crate) from: u32,
    /// Difficulty of the share: at least this, and below that.
    pub(crate) least: f64,
    pub(crate) below: f64,
    /// Seconds added to the job's ntime.
    pub(crate) later: u32,
    /// The version bits that go into the header and the sixth param, and the mask of the firmware.
    pub(crate) rolled: Option<(u32, u32)>,
}

impl Default for Search {
    fn default() -> Search {
        Search { job: None, extranonce2: 0, from: 0, least: 1e-8, below: f64::MAX, later: 0, rolled: None }
    }
}

/// A share that was found, as a miner spells it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) job: String,
    pub(crate) extranonce2: String,
    pub(crate) ntime: String,
    pub(crate) nonce: String,
    pub(crate) bits: Option<String>,
    pub(crate) header: [u8; 80],
    pub(crate) number: u32,
}

impl Found {
    /// The submit with this id.
    pub(crate) fn line(&self, id: &str) -> String {
        let Found { job, extranonce2, ntime, nonce, .. } = self;
        let bits = self.bits.as_ref().map(|b| format!(r#","{b}""#)).unwrap_or_default();
        let params = format!(r#"["w","{job}","{extranonce2}","{ntime}","{nonce}"{bits}]"#);
        format!(r#"{{"params":{params},"id":{id},"method":"mining.submit"}}"#)
    }
}

impl Search {
    pub(crate) fn of(self, job: &Job) -> Found {
        let extranonce2 = self.extranonce2.to_be_bytes()[8 - job.extranonce2_bytes..].to_vec();
        let version = self.rolled.map_or(job.version, |(mask, bits)| job.version & !mask | bits);
        let ntime = job.ntime + self.later;
        let mut header = job.header(&extranonce2, ntime, 0, version);
        let mut midstate = Midstate::new(&header);
        let good = |nonce: &u32| {
            let difficulty = difficulty_of(&Midstate::to_bytes(midstate.words(*nonce)));
            difficulty >= self.least && difficulty < self.below
        };
        let nonce = (self.from..).find(good).expect("a share");
        header.nonce = nonce;
        Found {
            job: job.id.clone(),
            extranonce2: hex::encode(&extranonce2),
            ntime: format!("{ntime:08x}"),
            nonce: format!("{nonce:08x}"),
            bits: self.rolled.map(|(_, bits)| format!("{bits:08x}")),
            header: header.bytes(),
            number: nonce,
        }
    }
}

impl Rig {
    /// What a miner was told so far.
    pub(crate) fn seen(&self, miner: u64) -> &MinerSeen {
        &self.watch.miners[&MinerId(miner)]
    }

    /// What the newest connection of a pool said and got.
    pub(crate) fn at(&self, pool: PoolId) -> &PoolSeen {
        &self.watch.pools[&self.upstream(pool)]
    }

    pub(crate) fn at_upstream(&self, upstream: UpstreamId) -> &PoolSeen {
        &self.watch.pools[&upstream]
    }

    /// Finds a share as this miner would, with no more than it was told.
    pub(crate) fn mine(&mut self, miner: u64, search: Search) -> Found {
        let seen = self.seen(miner);
        let job = match &search.job {
            Some(id) => seen.jobs.iter().find(|job| job.id == *id).expect("a job that was sent"),
            None => seen.job(),
        };
        let found = search.of(job);
        self.watch.hashed.insert(found.header);
        found
    }

    /// Submits a share; gives the lines that the miner is sent in the same step.
    pub(crate) fn submit(&mut self, miner: u64, found: &Found) -> Vec<String> {
        self.miner_got(miner);
        self.miner(miner, &found.line("4"))
    }

    /// Mines with the defaults and submits: the code of the reply if it came in the same step.
    pub(crate) fn share(&mut self, miner: u64, search: Search) -> Vec<String> {
        let found = self.mine(miner, search);
        self.submit(miner, &found)
    }

    /// Bytes of a miner as they are.
    pub(crate) fn miner_bytes(&mut self, miner: u64, bytes: &[u8]) -> Vec<String> {
        self.bytes_from(Conn::Miner(MinerId(miner)), bytes);
        self.miner_got(miner)
    }
}
