//! What the engine says to miners: I5 at a failover, pads that never come twice, clean_jobs at a switch, the difficulty.

use dpmp_core::{MinerId, UpstreamId};
use serde_json::Value;

use super::{LastJob, Model, Side, Told};
use crate::frame::Complaints;
use crate::hex;
use crate::pool::{Origin, PoolJob};
use crate::world::PoolSeat;

/// Jobs that are remembered.
const PADS: usize = 128;

impl Model {
    /// The engine says one line to a miner.
    pub(super) fn says(&mut self, now_us: u64, id: MinerId, message: &Value, pools: &[PoolSeat], out: &mut Complaints) {
        let Some(side) = self.sides.get_mut(&id) else { return };
        side.last_said_us = now_us;
        let text = |i: usize| message.pointer(&format!("/params/{i}")).and_then(Value::as_str);
        match message.get("method").and_then(Value::as_str) {
            None => self.replies(now_us, id, message, out),
            Some("mining.set_difficulty") => {
                let told = message.pointer("/params/0").and_then(Value::as_f64);
                let lately = side.told_us.is_some_and(|at| now_us < at + 35_000_000);
                if told == side.told && lately {
                    out.push(now_us, || format!("difficulty: miner {} is told {told:?} once more", side.miner));
                }
                (side.told, side.told_us) = (told, Some(now_us));
            }
            Some("mining.set_version_mask") => side.retold = true,
            Some("mining.set_extranonce") => {
                side.retold = true;
                side.extranonce1 = text(0).and_then(hex::decode).unwrap_or_default();
                side.extranonce2_bytes = message.pointer("/params/1").and_then(Value::as_u64).unwrap_or_default();
            }
            Some("mining.notify") => self.tells_job(now_us, id, message, pools, out),
            Some(_) => {}
        }
    }

    fn tells_job(&mut self, now_us: u64, to: MinerId, message: &Value, pools: &[PoolSeat], out: &mut Complaints) {
        let Some(side) = self.sides.get_mut(&to) else { return };
        let text = |i: usize| message.pointer(&format!("/params/{i}")).and_then(Value::as_str);
        side.told_us = Some(now_us);
        let miner = side.miner;
        let Some(mut head) = text(2).and_then(hex::decode) else { return };
        let ntime = text(7).and_then(hex::number).unwrap_or(0);
        head.extend(&side.extranonce1);
        // A coinbase of another length is another one.
        let size = side.extranonce2_bytes;
        if side.pads.iter().any(|t| t.head == head && t.extranonce2_bytes == size && t.ntime == ntime) {
            out.push(now_us, || format!("pads: miner {miner} gets the same work a second time"));
        }
        let origin = pools.iter().enumerate().find_map(|(i, seat)| Some((i, seat.pool.origin(&head)?)));
        let (id, conn) = (text(0).unwrap_or_default().to_owned(), origin.as_ref().map(|(_, origin)| origin.conn));
        side.pads.push_back(Told { id, head: head.clone(), extranonce2_bytes: size, ntime, conn });
        if side.pads.len() > PADS {
            side.pads.pop_front();
        }
        let Some((pool, origin)) = origin else {
            // Its pool may have closed the connection, of which the proxy does not know yet.
            let owner = pools.iter().position(|seat| seat.pool.jobs().any(|job| job.begins(&head)));
            if owner.is_none() {
                out.push(now_us, || format!("I1: miner {miner} gets a job of no pool"));
            }
            side.owner = owner;
            if owner.is_some() {
                self.got_job.insert(to);
            }
            (side.last_job, side.missed, side.retold) = (None, false, false);
            return;
        };
        let clean = message.pointer("/params/8").and_then(Value::as_bool) == Some(true);
        let new_mask = self.new_mask == Some(UpstreamId(origin.conn));
        match (side.may_be_clean(&pools[pool], &origin, new_mask), clean) {
            (Clean::Switch, false) => {
                out.push(now_us, || format!("switch: miner {miner} goes to pool {pool} without clean_jobs"));
            }
            (Clean::Must, false) => {
                out.push(now_us, || format!("clean: pool {pool}'s clean job is not one for miner {miner}"));
            }
            (Clean::MustNot, true) => {
                out.push(now_us, || format!("clean: pool {pool}'s job is clean for miner {miner} only"));
            }
            _ => {}
        }
        let last = LastJob { conn: origin.conn, seq: origin.job.seq, extranonce1: origin.extranonce1.to_vec() };
        (side.last_job, side.missed, side.retold) = (Some(last), false, false);
        side.owner = Some(pool);
        self.got_job.insert(to);
        let known = self.ups.get(&UpstreamId(origin.conn)).map(|up| up.difficulties.as_slice()).unwrap_or_default();
        // A small miner may be told less than the pool asks for, never more; and no fraction that is not below 1.
        let (least, most) = self.limits.get(pool).copied().unwrap_or_default();
        let limited = |known: f64| {
            let known = most.map_or(known, |most| known.min(most));
            least.filter(|least| *least > 1.0).map_or(known, |least| known.max(least))
        };
        let right = |known: &f64| {
            side.told.is_some_and(|told| {
                let part = told / rounded(limited(*known));
                (part - 1.0).abs() < 1e-9 || self.vardiff && part < 1.0 && (told < 1.0 || told.fract() == 0.0)
            })
        };
        if !known.is_empty() && !known.iter().any(right) {
            out.push(now_us, || format!("difficulty: miner {miner} is told {:?} for a job at {known:?}", side.told));
        }
        let size = origin.extranonce2_bytes;
        if origin.inside > size {
            out.push(now_us, || format!("pads: miner {miner} gets a pad longer than the pool's {size} bytes"));
        }
    }

    /// I5: whoever loses its pool in a step gets another pool's job in the same one.
    pub(super) fn check_failover(&mut self, now_us: u64, out: &mut Complaints) {
        let weights = &self.weights;
        for (id, lost) in &self.lost {
            let Some(side) = self.sides.get(id).filter(|side| side.ready && side.queued == 0) else { continue };
            if self.closing.contains_key(id) || self.got_job.contains(id) {
                continue;
            }
            let in_use = |pool: usize| weights.get(pool).is_some_and(|w| *w > 0) || self.failover == Some(pool);
            let other = side.usable.iter().find(|pool| *pool != lost && in_use(**pool) && side.fits(**pool));
            if let Some(other) = other {
                let miner = side.miner;
                out.push(now_us, || format!("I5: miner {miner} loses pool {lost} and gets no job of pool {other}"));
            }
        }
    }
}

/// Whether a job has to replace those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clean {
    /// It is the first of its connection to a pool.
    Switch,
    /// Its pool says so, or has said so of one that the miner was not sent.
    Must,
    /// Something that is the miner's alone may be a reason.
    May,
    /// The miner's work is as good as before.
    MustNot,
}

impl Side {
    fn may_be_clean(&self, pool: &PoolSeat, origin: &Origin<'_>, new_mask: bool) -> Clean {
        let Some(last) = self.last_job.as_ref().filter(|last| last.conn == origin.conn) else { return Clean::Switch };
        let new = |job: &&PoolJob| job.seq > last.seq && job.seq <= origin.job.seq;
        if pool.pool.jobs().filter(new).any(|job| job.clean) {
            return Clean::Must;
        }
        let may = self.missed || self.retold || new_mask || last.extranonce1 != origin.extranonce1;
        if may { Clean::May } else { Clean::MustNot }
    }
}

/// What miners are told of a pool's difficulty.
fn rounded(difficulty: f64) -> f64 {
    if difficulty >= 1.0 { difficulty.floor() } else { difficulty }
}
