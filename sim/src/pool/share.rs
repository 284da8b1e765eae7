//! The judgement of a submit: the header is rebuilt in the pool's own context, and one reason found.

use serde_json::Value;

use super::job::PoolJob;
use super::requests::Request;
use super::stats::{Reason, ShareRecord};
use super::{Conn, Flavour, PoolOut, SimPool, wire};
use crate::hex;
use crate::pow;
use crate::target::{Target, difficulty_of};

/// Headers remembered for the detection of duplicates.
const REMEMBERED: usize = 100_000;

/// What a judgement found out on its way.
#[derive(Default)]
struct Judged {
    hash: [u8; 32],
    identity: [u8; 32],
    difficulty: f64,
    achieved: f64,
    block: bool,
}

impl SimPool {
    /// Judges a submit, counts it, and answers it.
    pub(super) fn submit(&mut self, request: &Request<'_>, now_us: u64, out: &mut Vec<PoolOut>) {
        let mut judged = Judged::default();
        let Some(conn) = self.conns.get(&request.conn) else { return };
        let mut reason = self.judge(conn, request.params, now_us, &mut judged);
        if reason == Reason::Accepted && self.refuses_now() {
            reason = Reason::Stale;
        }
        let Some(conn) = self.conns.get(&request.conn) else { return };
        let user = conn.user.clone().unwrap_or_default();
        let record = ShareRecord {
            conn: request.conn,
            at_us: now_us,
            user,
            reason,
            hash: judged.hash,
            identity: judged.identity,
            difficulty: judged.difficulty,
            achieved: judged.achieved,
            block: judged.block,
        };
        self.count(record, request, now_us);
        if !self.spec.answers_submits {
            self.stats.unanswered += 1;
            return;
        }
        if reason == Reason::Accepted {
            return self.reply(request, "true", "null", out);
        }
        let (code, words) = self.wording(reason);
        let (result, error) = wire::error(self.spec.reject, code, words);
        self.reply(request, result, &error, out);
        if reason == Reason::NotAuthorised && self.spec.flavour == Flavour::PublicPool {
            self.close(request.conn, out);
        }
    }

    /// The script wants this share refused: so many of a thousand, evenly.
    fn refuses_now(&mut self) -> bool {
        let (permille, sum) = &mut self.refuses;
        *sum += *permille;
        let refuses = *sum >= 1_000;
        *sum -= if refuses { 1_000 } else { 0 };
        refuses
    }

    fn wording(&self, reason: Reason) -> (i64, &'static str) {
        match (self.spec.flavour, reason) {
            (Flavour::PublicPool, Reason::Stale | Reason::UnknownJob) => (21, "Job not found"),
            (Flavour::PublicPool, Reason::LowDifficulty | Reason::LowForChange) => (23, "Difficulty too low"),
            (Flavour::Npm, Reason::Stale | Reason::UnknownJob) => (21, "job not found"),
            _ => reason.words(),
        }
    }

    fn count(&mut self, record: ShareRecord, request: &Request<'_>, now_us: u64) {
        if record.reason == Reason::Accepted {
            self.stats.block_candidates += u64::from(record.block);
            self.seen.insert(record.identity);
            self.seen_order.push_back(record.identity);
            if self.seen_order.len() > REMEMBERED
                && let Some(old) = self.seen_order.pop_front()
            {
                self.seen.remove(&old);
            }
        }
        if record.reason.is_fault() && !(record.reason == Reason::VersionBits && record.block) {
            let params = Value::from(request.params.to_vec());
            self.stats
                .complaints
                .push(now_us, || format!("{} on connection {}: {params}", record.reason.label(), record.conn));
        }
        self.stats.shares.note(&record);
        if let Some(conn) = self.conns.get_mut(&record.conn) {
            conn.counts.note(&record);
            conn.lately += u32::from(record.reason == Reason::Accepted);
        }
        if self.records.len() == 10_000 {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    fn judge(&self, conn: &Conn, params: &[Value], now_us: u64, judged: &mut Judged) -> Reason {
        let Some(user) = &conn.user else { return Reason::NotAuthorised };
        if !conn.subscribed {
            return Reason::NotAuthorised;
        }
        let texts: Option<Vec<&str>> = params.iter().map(Value::as_str).collect();
        let Some(texts) = texts.filter(|t| matches!(t.len(), 5 | 6)) else { return Reason::Malformed };
        let numbers: Option<Vec<u32>> = texts[3..].iter().map(|t| hex::number(t)).collect();
        let (Some(extranonce2), Some(numbers)) = (hex::decode(texts[2]), numbers) else { return Reason::Malformed };
        if self.spec.checks_user && texts[0] != user {
            return Reason::WrongUser;
        }
        let Some(job) = self.jobs.find(texts[1]) else { return Reason::UnknownJob };
        let sent = conn.sent.iter().rev().find(|sent| sent.seq == job.seq);
        let current: f64 = conn.difficulty.parse().unwrap_or(1.0);
        let (coinb1, extranonce1, bytes, told, easiest) = match sent {
            Some(sent) => (&sent.coinb1, &sent.extranonce1, sent.extranonce2_bytes, sent.difficulty, sent.easiest),
            None if conn.resumed => (&job.coinb1, &conn.extranonce1, conn.extranonce2_bytes, current, current),
            None => return Reason::UnknownJob,
        };
        if extranonce2.len() != bytes {
            return Reason::Extranonce2Length;
        }
        let (ntime, nonce, bits) = (numbers[0], numbers[1], numbers.get(2).copied());
        let mask = match (sent.and_then(|sent| sent.mask), conn.mask) {
            (Some(then), Some(now)) => Some(then | now),
            (then, now) => now.or(then),
        };
        let Some(version) = self.version(mask, job, bits) else {
            // A block is worth trying, and no fault of the proxy: the miner may have rolled what it was not granted.
            let rolled = mask.unwrap_or(0) | bits.unwrap_or(0);
            let version = job.version & !rolled | bits.unwrap_or(0);
            let header = job.header((coinb1, extranonce1, &extranonce2), version, ntime, nonce);
            judged.block = Target::of_nbits(job.nbits).meets(&self.spec.pow.hash(&header));
            return Reason::VersionBits;
        };
        let clock = self.spec.start_unix.wrapping_add((now_us / 1_000_000) as u32);
        let header = job.header((coinb1, extranonce1, &extranonce2), version, ntime, nonce);
        judged.hash = self.spec.pow.hash(&header);
        judged.identity = pow::identity(&header);
        judged.achieved = difficulty_of(&judged.hash);
        judged.block = Target::of_nbits(job.nbits).meets(&judged.hash);
        judged.difficulty = match self.spec.flavour {
            Flavour::PublicPool => current,
            _ => current.min(told),
        };
        let pays = Target::of_difficulty(judged.difficulty).meets(&judged.hash);
        let paid_once = Target::of_difficulty(easiest).meets(&judged.hash);
        if !pays {
            // It is worth what was asked for before a change, or nothing: a block is paid, and is no share for all that.
            judged.difficulty = if paid_once { easiest } else { 0.0 };
        }
        if ntime < job.ntime || ntime > clock.wrapping_add(7200) {
            return Reason::TimeOutOfRange;
        }
        if self.spec.refuses_stale && job.block != self.jobs.block() {
            return Reason::Stale;
        }
        if self.seen.contains(&judged.identity) {
            return Reason::Duplicate;
        }
        match (pays, paid_once) {
            // A block is paid whatever its share would be.
            _ if judged.block => Reason::Accepted,
            (true, _) => Reason::Accepted,
            (false, true) => Reason::LowForChange,
            (false, false) => Reason::LowDifficulty,
        }
    }

    /// The header's version; none if the bits are not allowed here.
    fn version(&self, mask: Option<u32>, job: &PoolJob, bits: Option<u32>) -> Option<u32> {
        match (mask, bits) {
            (Some(mask), Some(bits)) => (bits & !mask == 0).then_some(job.version & !mask | bits),
            (Some(mask), None) => (self.spec.flavour != Flavour::Datum || mask == 0).then_some(job.version),
            (None, None) => Some(job.version),
            (None, Some(_)) => None,
        }
    }
}
