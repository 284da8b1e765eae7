//! Jobs: as pools told them ([`PoolJob`]), as miners were told them ([`IssuedJob`]), and the table that leads a share
//! home ([`Jobs`]).
//!
//! An issued job is forgotten by age and number only, never because of a clean flag: old ids live on in miners. A pool's
//! job lives as long as an issued one needs it, or as long as it is the newest of its upstream.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::difficulty::{Difficulty, Target};
use crate::ids::{JobId, PoolId, UpstreamId};
use crate::stratum::message::Notify;
use crate::time::{Span, Time};

/// A pool's job within its group: counted up, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct PoolJobKey(u64);

/// A job as the pool told it, and how often it was passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PoolJob {
    pub(crate) pool: PoolId,
    pub(crate) upstream: UpstreamId,
    /// The pool's own id.
    pub(crate) id: Arc<str>,
    /// In the byte order of the wire.
    pub(crate) prevhash: [u8; 32],
    pub(crate) coinb1: Vec<u8>,
    pub(crate) coinb2: Vec<u8>,
    pub(crate) branches: Vec<[u8; 32]>,
    pub(crate) version: u32,
    pub(crate) nbits: u32,
    pub(crate) ntime: u32,
    /// The upstream's extranonce1 when the job came.
    pub(crate) extranonce1: Vec<u8>,
    /// Bytes of the upstream's extranonce2 when the job came.
    pub(crate) extranonce2_bytes: u8,
    /// The upstream's difficulty when the job came.
    pub(crate) difficulty: Difficulty,
    pub(crate) received: Time,
    pub(crate) seq: u64,
    pub(crate) clean: bool,
    /// The network's target, from `nbits`.
    pub(crate) network: Target,
    /// How often it was issued: the next pad.
    issues: u64,
    /// The ntime of the last issue.
    last_ntime: u32,
    /// The pool has accepted a share of it.
    pub(crate) accepted: bool,
    /// Issued jobs that lead here.
    references: u32,
    /// Shares seen, in the pool's terms.
    seen: BTreeSet<ShareKey>,
}

/// A share in the pool's terms: extranonce2 as a number (its length is fixed per job), ntime, nonce, version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ShareKey {
    pub(crate) extranonce2: u128,
    pub(crate) ntime: u32,
    pub(crate) nonce: u32,
    pub(crate) version: u32,
}

/// What a miner was told, and everything to send its shares home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IssuedJob {
    pub(crate) key: PoolJobKey,
    /// The bytes of the pool's extranonce2 before the miner's own: pad and extranonce1'.
    pub(crate) prefix: Vec<u8>,
    /// Bytes of the miner's extranonce2.
    pub(crate) extranonce2_bytes: u8,
    /// The difficulty that the miner was told for it.
    pub(crate) told: Difficulty,
    /// What was told before, if it was easier and the change came with this job: some firmwares apply it a job late.
    pub(crate) easiest: Difficulty,
    /// The version bits that the miner replaces in this job: what it was told, or rolls anyway.
    pub(crate) mask: u32,
    pub(crate) issued: Time,
}

/// Most issued jobs that are remembered a group.
pub(crate) const MOST_ISSUED: usize = 128;
/// An issued job is forgotten after this time, unless it is among the last few.
const OLDEST_ISSUED: Span = Span::mins(15);
/// This many are never forgotten for age.
const ALWAYS_KEPT: usize = 8;
/// Most shares that are remembered a pool job; beyond them the pool alone finds duplicates.
const MOST_SEEN: usize = 4096;

/// The jobs of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Jobs {
    pool_jobs: BTreeMap<PoolJobKey, PoolJob>,
    /// The same by their ntime: what comes again is found without a look at each.
    by_ntime: BTreeSet<(u32, PoolJobKey)>,
    issued: BTreeMap<JobId, IssuedJob>,
    /// In the order of issue.
    order: alloc::collections::VecDeque<JobId>,
    last_key: u64,
    last_job: u32,
}

/// How one more issue of a pool's job differs from the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Issue {
    /// Goes into the pad, as many low bytes as there is room for.
    pub(crate) pad: u64,
    pub(crate) ntime: u32,
}

impl PoolJob {
    /// The next issue of this job. Where there is no room for a pad, ntime moves on instead.
    pub(crate) fn next_issue(&mut self, pad_bytes: usize, now: Time) -> Issue {
        let pad = self.issues;
        let room = match pad_bytes {
            0 => self.issues == 0,
            n if n >= 8 => true,
            n => pad >> (8 * n as u32) == 0,
        };
        let ntime = if room {
            self.ntime
        } else {
            let passed = u32::try_from(now.since(self.received).as_secs()).unwrap_or(u32::MAX);
            self.ntime.saturating_add(passed).max(self.last_ntime.saturating_add(1))
        };
        self.issues += 1;
        self.last_ntime = ntime.max(self.last_ntime);
        Issue { pad, ntime }
    }

    /// Remembers a share. False: it was there before.
    pub(crate) fn remember(&mut self, share: ShareKey) -> bool {
        if self.seen.len() >= MOST_SEEN {
            return !self.seen.contains(&share);
        }
        self.seen.insert(share)
    }

    /// All shares of it are remembered: what is not among them was not sent.
    pub(crate) fn remembers_all(&self) -> bool {
        self.seen.len() < MOST_SEEN
    }

    /// Forgets a share that never reached the pool.
    pub(crate) fn forget(&mut self, share: &ShareKey) {
        self.seen.remove(share);
    }

    /// A header of this job, with the same extranonce2, is one of the other's too, whatever their ids and connections.
    pub(crate) fn same_headers(&self, other: &PoolJob) -> bool {
        self.prevhash == other.prevhash
            && self.coinb1 == other.coinb1
            && self.coinb2 == other.coinb2
            && self.branches == other.branches
            && self.nbits == other.nbits
            && self.extranonce1 == other.extranonce1
            && self.extranonce2_bytes == other.extranonce2_bytes
    }

    /// The whole coinbase of a share with this extranonce2.
    pub(crate) fn coinbase(&self, extranonce2: &[u8]) -> Vec<u8> {
        [&self.coinb1[..], &self.extranonce1, extranonce2, &self.coinb2].concat()
    }

    /// All that goes into a header is the same. The connection need not be: pools without an extranonce1 of their own give
    /// the same work again on the next one.
    fn same_work(&self, notify: &Notify, context: &JobContext<'_>) -> bool {
        self.ntime == notify.ntime
            && self.prevhash == notify.prevhash
            && self.coinb1 == notify.coinb1
            && self.coinb2 == notify.coinb2
            && self.branches == notify.branches
            && self.version == notify.version
            && self.nbits == notify.nbits
            && self.extranonce1 == context.extranonce1
            && self.extranonce2_bytes == context.extranonce2_bytes
    }

    /// Bytes of the whole coinbase.
    pub(crate) fn coinbase_bytes(&self) -> usize {
        self.coinb1.len() + self.extranonce1.len() + usize::from(self.extranonce2_bytes) + self.coinb2.len()
    }
}

/// What an upstream adds to a `mining.notify`.
#[derive(Clone, Debug)]
pub(crate) struct JobContext<'a> {
    pub(crate) pool: PoolId,
    pub(crate) upstream: UpstreamId,
    pub(crate) extranonce1: &'a [u8],
    pub(crate) extranonce2_bytes: u8,
    pub(crate) difficulty: Difficulty,
    pub(crate) seq: u64,
}

impl Jobs {
    /// Keeps a pool's new job, and drops `replaced`, the upstream's last one, if no miner was told it. A job that the pool
    /// sends a second time is the same one still: its pads go on, and its shares are remembered.
    pub(crate) fn add(
        &mut self,
        notify: Notify,
        context: &JobContext<'_>,
        replaced: Option<PoolJobKey>,
        now: Time,
    ) -> PoolJobKey {
        let of_its_time = self.by_ntime.range((notify.ntime, PoolJobKey(0))..=(notify.ntime, PoolJobKey(u64::MAX)));
        let is_twin = |key: &PoolJobKey| self.pool_jobs.get(key).is_some_and(|job| job.same_work(&notify, context));
        let twin = of_its_time.rev().map(|(_, key)| *key).find(is_twin);
        let (mut issues, mut last_ntime) = (0, notify.ntime);
        if let Some((key, job)) = twin.and_then(|key| Some((key, self.pool_jobs.get_mut(&key)?))) {
            if *job.id == *notify.job && job.upstream == context.upstream {
                job.difficulty = context.difficulty;
                job.clean = notify.clean;
                job.seq = context.seq;
                if let Some(old) = replaced.filter(|old| *old != key) {
                    self.drop_unreferenced(old);
                }
                return key;
            }
            // The same work under another id, or on another connection: new to the pool, but its miners have hashed these
            // headers.
            (issues, last_ntime) = (job.issues, job.last_ntime);
        }
        self.last_key += 1;
        let key = PoolJobKey(self.last_key);
        self.by_ntime.insert((notify.ntime, key));
        self.pool_jobs.insert(
            key,
            PoolJob {
                pool: context.pool,
                upstream: context.upstream,
                id: notify.job.into(),
                prevhash: notify.prevhash,
                coinb1: notify.coinb1,
                coinb2: notify.coinb2,
                branches: notify.branches,
                version: notify.version,
                nbits: notify.nbits,
                ntime: notify.ntime,
                extranonce1: context.extranonce1.to_vec(),
                extranonce2_bytes: context.extranonce2_bytes,
                difficulty: context.difficulty,
                received: now,
                seq: context.seq,
                clean: notify.clean,
                network: Target::from_compact(notify.nbits),
                issues,
                last_ntime,
                accepted: false,
                references: 0,
                seen: BTreeSet::new(),
            },
        );
        if let Some(old) = replaced {
            self.drop_unreferenced(old);
        }
        key
    }

    /// An upstream is gone: its newest job is kept only for the issued ones that lead to it.
    pub(crate) fn drop_unreferenced(&mut self, key: PoolJobKey) {
        if self.pool_jobs.get(&key).is_some_and(|job| job.references == 0) {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: PoolJobKey) {
        if let Some(job) = self.pool_jobs.remove(&key) {
            self.by_ntime.remove(&(job.ntime, key));
        }
    }

    /// Pads have so many bytes more from now on: they go on above all that the shorter ones were, whatever stood behind them.
    pub(crate) fn widen_pads(&mut self, bytes: u8) {
        for job in self.pool_jobs.values_mut() {
            job.issues = job.issues.saturating_mul(1 << (8 * u32::from(bytes.min(7))));
        }
    }

    pub(crate) fn pool_job(&self, key: PoolJobKey) -> Option<&PoolJob> {
        self.pool_jobs.get(&key)
    }

    /// All pools' jobs, for redacted recordings.
    pub(crate) fn pool_jobs_mut(&mut self) -> impl Iterator<Item = &mut PoolJob> {
        self.pool_jobs.values_mut()
    }

    pub(crate) fn pool_job_mut(&mut self, key: PoolJobKey) -> Option<&mut PoolJob> {
        self.pool_jobs.get_mut(&key)
    }

    /// Remembers what a miner is told. `keep` says which pool jobs are the newest of their upstreams.
    pub(crate) fn issue(&mut self, id: JobId, issued: IssuedJob, keep: impl Fn(PoolJobKey) -> bool) {
        let now = issued.issued;
        if let Some(job) = self.pool_jobs.get_mut(&issued.key) {
            job.references += 1;
        }
        self.issued.insert(id, issued);
        self.order.push_back(id);
        while let Some(oldest) = self.order.front() {
            let old = self.issued.get(oldest).is_none_or(|job| now.since(job.issued) > OLDEST_ISSUED);
            if self.order.len() <= MOST_ISSUED && (!old || self.order.len() <= ALWAYS_KEPT) {
                break;
            }
            if let Some(job) = self.order.pop_front().and_then(|id| self.issued.remove(&id)) {
                self.release(job.key, &keep);
            }
        }
    }

    fn release(&mut self, key: PoolJobKey, keep: &impl Fn(PoolJobKey) -> bool) {
        if let Some(job) = self.pool_jobs.get_mut(&key) {
            job.references -= 1;
            if job.references == 0 && !keep(key) {
                self.remove(key);
            }
        }
    }

    /// All pools' jobs that are known.
    pub(crate) fn pool_jobs(&self) -> impl Iterator<Item = (PoolJobKey, &PoolJob)> {
        self.pool_jobs.iter().map(|(key, job)| (*key, job))
    }

    /// What the miner was told under this id.
    pub(crate) fn issued(&self, id: JobId) -> Option<&IssuedJob> {
        self.issued.get(&id)
    }

    /// No job was ever issued.
    pub(crate) fn none_issued(&self) -> bool {
        self.last_job == 0
    }

    /// The id for the next issued job: the next number whose CRC-16/CCITT differs from those of the last eight (Avalon
    /// tells jobs apart by it).
    pub(crate) fn next_id(&mut self) -> JobId {
        loop {
            self.last_job = self.last_job.wrapping_add(1);
            let id = JobId(self.last_job);
            let crc = crc_of(id);
            if self.last_job != 0 && self.order.iter().rev().take(8).all(|other| crc_of(*other) != crc) {
                return id;
            }
        }
    }
}

/// CRC-16/CCITT of the eight digits. Whether two ids collide does not depend on the initial value, as all are of one
/// length.
fn crc_of(id: JobId) -> u16 {
    let mut crc: u16 = 0;
    for shift in (0..8).rev() {
        let nibble = (id.0 >> (4 * shift) & 15) as u8;
        let digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        crc ^= u16::from(digit) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 };
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use alloc::vec;

    fn notify() -> Notify {
        Notify {
            job: "7".to_string(),
            prevhash: [0; 32],
            coinb1: vec![1],
            coinb2: vec![2],
            branches: vec![],
            version: 0x2000_0000,
            nbits: 0x1d00_ffff,
            ntime: 1000,
            clean: true,
        }
    }

    fn context() -> JobContext<'static> {
        JobContext {
            pool: PoolId(0),
            upstream: UpstreamId(1),
            extranonce1: &[9],
            extranonce2_bytes: 4,
            difficulty: Difficulty::ONE,
            seq: 1,
        }
    }

    #[test]
    fn crc_matches_the_published_check_value() {
        // CRC-16/XMODEM of "123456789" is 0x31C3; of the eight digits "12345678" it is 0x9015.
        assert_eq!(crc_of(JobId(0x1234_5678)), 0x9015);
    }

    #[test]
    fn ids_never_repeat_nor_collide_by_crc() {
        let mut jobs = Jobs::default();
        let key = jobs.add(notify(), &context(), None, Time::ZERO);
        let mut last = 0;
        for i in 0..5_000u64 {
            let id = jobs.next_id();
            assert!(id.0 > last);
            last = id.0;
            let recent: Vec<u16> = jobs.order.iter().rev().take(8).map(|id| crc_of(*id)).collect();
            assert!(!recent.contains(&crc_of(id)));
            let issued = IssuedJob {
                key,
                prefix: vec![],
                extranonce2_bytes: 4,
                told: Difficulty::ONE,
                easiest: Difficulty::ONE,
                mask: 0,
                issued: Time(i),
            };
            jobs.issue(id, issued, |k| k == key);
            assert!(jobs.issued.len() <= MOST_ISSUED);
        }
        assert_eq!(jobs.pool_jobs.len(), 1);
    }

    #[test]
    fn pads_that_grow_never_repeat_what_shorter_ones_were() {
        // A byte of extranonce1' falls away, and the pad takes its place: no prefix of before comes again, whatever the byte.
        let mut jobs = Jobs::default();
        let key = jobs.add(notify(), &context(), None, Time::ZERO);
        let next = |jobs: &mut Jobs| jobs.pool_job_mut(key).expect("there").next_issue(4, Time::ZERO).pad;
        let before: Vec<u64> = (0..5).map(|_| next(&mut jobs)).collect();
        jobs.widen_pads(1);
        for _ in 0..1_000 {
            let pad = next(&mut jobs);
            assert!(!before.contains(&(pad >> 8)));
        }
    }

    #[test]
    fn forgotten_by_age_but_never_the_last_few() {
        let mut jobs = Jobs::default();
        for i in 0..20u64 {
            let now = Time::ZERO + Span::mins(10 * i);
            let key = jobs.add(Notify { ntime: i as u32, ..notify() }, &context(), None, now);
            let id = jobs.next_id();
            let issued = IssuedJob {
                key,
                prefix: vec![],
                extranonce2_bytes: 4,
                told: Difficulty::ONE,
                easiest: Difficulty::ONE,
                mask: 0,
                issued: now,
            };
            jobs.issue(id, issued, |_| false);
        }
        assert_eq!(jobs.issued.len(), ALWAYS_KEPT);
        assert_eq!(jobs.pool_jobs.len(), ALWAYS_KEPT, "a pool's job goes with the last issue of it");
        assert_eq!(jobs.by_ntime.len(), ALWAYS_KEPT);
    }

    #[test]
    fn a_job_without_room_moves_its_ntime() {
        let mut jobs = Jobs::default();
        let key = jobs.add(notify(), &context(), None, Time::ZERO);
        let job = jobs.pool_job_mut(key).unwrap();
        assert_eq!(job.next_issue(0, Time::ZERO + Span::secs(3)), Issue { pad: 0, ntime: 1000 });
        assert_eq!(job.next_issue(0, Time::ZERO + Span::secs(3)).ntime, 1003);
        assert_eq!(job.next_issue(0, Time::ZERO + Span::secs(3)).ntime, 1004);
        assert_eq!(job.next_issue(0, Time::ZERO + Span::secs(40)).ntime, 1040);
    }

    #[test]
    fn a_full_pad_moves_the_ntime_as_well() {
        let mut jobs = Jobs::default();
        let key = jobs.add(notify(), &context(), None, Time::ZERO);
        let job = jobs.pool_job_mut(key).unwrap();
        let mut seen = BTreeSet::new();
        for i in 0..1000u64 {
            let issue = job.next_issue(1, Time::ZERO + Span::millis(i));
            assert!(seen.insert((issue.pad as u8, issue.ntime)), "{issue:?}");
        }
    }

    #[test]
    fn a_job_sent_twice_is_one_job() {
        let mut jobs = Jobs::default();
        let key = jobs.add(notify(), &context(), None, Time::ZERO);
        assert_eq!(jobs.pool_job_mut(key).unwrap().next_issue(4, Time::ZERO).pad, 0);
        let again = jobs.add(notify(), &context(), Some(key), Time::ZERO);
        assert_eq!(again, key);
        assert_eq!(jobs.pool_job_mut(again).unwrap().next_issue(4, Time::ZERO).pad, 1);
        let renamed = jobs.add(Notify { job: "8".to_string(), ..notify() }, &context(), Some(key), Time::ZERO);
        assert_ne!(renamed, key);
        assert_eq!(
            jobs.pool_job_mut(renamed).unwrap().next_issue(4, Time::ZERO).pad,
            2,
            "the headers were hashed before"
        );
    }

    #[test]
    fn the_same_work_on_the_next_connection_is_not_handed_out_again() {
        let mut jobs = Jobs::default();
        let key = jobs.add(notify(), &context(), None, Time::ZERO);
        assert_eq!(jobs.pool_job_mut(key).unwrap().next_issue(4, Time::ZERO).pad, 0);
        let next = JobContext { upstream: UpstreamId(2), ..context() };
        let again = jobs.add(notify(), &next, None, Time::ZERO);
        assert_ne!(again, key);
        assert_eq!(jobs.pool_job_mut(again).unwrap().next_issue(4, Time::ZERO).pad, 1);
    }

    #[test]
    fn duplicates_are_found_up_to_the_bound() {
        let mut jobs = Jobs::default();
        let key = jobs.add(notify(), &context(), None, Time::ZERO);
        let job = jobs.pool_job_mut(key).unwrap();
        let share = |nonce| ShareKey { extranonce2: 0, ntime: 0, nonce, version: 0 };
        for nonce in 0..2 * MOST_SEEN as u32 {
            assert!(job.remember(share(nonce)));
        }
        assert!(!job.remember(share(5)));
        assert!(job.seen.len() <= MOST_SEEN);
    }
}
