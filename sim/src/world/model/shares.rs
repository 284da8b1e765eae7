//! I1, I2 and I3: each submit is followed from the miner's line to the pool's, or to the reason why it went nowhere.

use dpmp_core::{MinerId, UpstreamId};
use serde_json::Value;

use super::Model;
use super::verdicts::{Open, Waits};
use crate::frame::Complaints;
use crate::hex;
use crate::miner::Found;
use crate::target::Target;
use crate::world::PoolSeat;

/// What must become of a share in the step that brings it.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) from: MinerId,
    /// The id of the miner's request, as JSON text.
    pub(super) request: String,
    miner: usize,
    pool: usize,
    conn: UpstreamId,
    /// Parameters of the submit as the pool must get them: job id, extranonce2, ntime, nonce.
    fields: [String; 4],
    user: String,
    /// Its pool would take it.
    pub(super) good: bool,
    /// The miner has sent it before.
    pub(super) again: bool,
    pub(super) forwarded: bool,
}

impl Model {
    /// A miner has put a share on its way.
    pub(in crate::world) fn share_leaves(&mut self, id: MinerId, found: Found) {
        if let Some(side) = self.sides.get_mut(&id) {
            side.in_flight.push_back(found);
        }
    }

    /// The engine is about to read these bytes of a miner.
    pub(in crate::world) fn miner_said(&mut self, now_us: u64, id: MinerId, bytes: &[u8], pools: &[PoolSeat]) {
        let Some(side) = self.sides.get_mut(&id) else { return };
        for line in side.from_miner.push(bytes) {
            let Ok(message) = serde_json::from_slice::<Value>(&line) else { continue };
            let Some(method) = message.get("method").and_then(Value::as_str) else { continue };
            let request = message.get("id").map_or("none".to_owned(), Value::to_string);
            if message.get("id").is_some_and(|id| !id.is_null()) {
                let (request, submit) = (request.clone(), method == "mining.submit");
                side.open.push_back(Open { at_us: now_us, request, submit });
            }
            side.introduction.hear(method, &message);
            match method {
                "mining.subscribe" => side.subscribed = true,
                "mining.authorize" => side.authorised = true,
                "mining.submit" => {
                    let Some(found) = side.in_flight.pop_front() else { continue };
                    let of = side.pads.iter().rev().find(|told| told.id == found.job_id).map(|told| told.conn);
                    match expect((id, request), side.miner, (&found, of), pools, &self.ups) {
                        Ok(expected) => self.expected.push(expected),
                        Err(request) => side.untraced.push(request),
                    }
                }
                _ => {}
            }
        }
    }

    /// The engine is about to read these bytes of a pool.
    pub(in crate::world) fn pool_said(&mut self, id: UpstreamId, bytes: &[u8]) {
        let up = self.ups.entry(id).or_default();
        if let Some(last) = up.difficulties.pop() {
            up.difficulties = vec![last];
        }
        for line in up.from_pool.push(bytes) {
            // The method's name stands right behind; jobs are long, so nothing more is looked for in the rest.
            let name = b"\"method\"";
            let method = line.windows(name.len()).position(|w| w == name).map(|at| &line[at..line.len().min(at + 64)]);
            let has = |words: &[u8]| method.is_some_and(|method| method.windows(words.len()).any(|w| w == words));
            let is_difficulty = has(b"set_difficulty");
            let asks = has(b"mining.ping") || has(b"client.get_version");
            if has(b"set_version_mask") {
                self.new_mask = Some(id);
                let told = serde_json::from_slice::<Value>(&line).ok();
                let told = told.as_ref().and_then(|told| told.pointer("/params/0")).and_then(Value::as_str);
                up.mask = told.and_then(|mask| u32::from_str_radix(mask, 16).ok());
            }
            if method.is_none() {
                self.verdicts.extend(up.judged(id, &line));
                continue;
            }
            let Some(message) = (is_difficulty || asks).then(|| serde_json::from_slice::<Value>(&line).ok()).flatten()
            else {
                continue;
            };
            if asks {
                self.asked.entry(id).or_default().extend(message.get("id").map(Value::to_string));
                continue;
            }
            up.difficulties.extend(message.pointer("/params/0").and_then(Value::as_f64));
        }
    }

    /// The engine sends a line to a pool.
    pub(super) fn submits(
        &mut self,
        now_us: u64,
        id: UpstreamId,
        message: &Value,
        pools: &[PoolSeat],
        out: &mut Complaints,
    ) {
        if message.get("method").and_then(Value::as_str) != Some("mining.submit") {
            return;
        }
        // To one that the pool has given up already anything may go.
        if !pools.iter().any(|seat| seat.pool.knows(id.0)) {
            return;
        }
        let text = |i: usize| message.pointer(&format!("/params/{i}")).and_then(Value::as_str).unwrap_or_default();
        let fields: [String; 4] = std::array::from_fn(|i| text(i + 1).to_owned());
        let found = self.expected.iter_mut().find(|e| e.conn == id && e.fields == fields && e.user == text(0));
        match found {
            Some(expected) if expected.forwarded => {
                out.push(now_us, || format!("I1: a share of miner {} goes to its pool twice", expected.miner));
            }
            Some(expected) => {
                expected.forwarded = true;
                let request = message.get("id").map_or(String::new(), Value::to_string);
                let waits = Waits {
                    from: expected.from,
                    miner: expected.miner,
                    request: expected.request.clone(),
                    since_us: now_us,
                };
                self.ups.entry(id).or_default().waiting.push((request, waits));
            }
            None => out.push(now_us, || format!("I1: {id:?} is sent a share that no miner made for it: {message}")),
        }
    }

    /// I3, at the end of a step.
    pub(super) fn check_expected(&mut self, now_us: u64, pools: &[PoolSeat], out: &mut Complaints) {
        for expected in std::mem::take(&mut self.expected) {
            let gone = !self.sides.contains_key(&expected.from) || self.closing.contains_key(&expected.from);
            // One that the engine has closed, or knows to be closed, is no longer there.
            let stands = pools[expected.pool].pool.knows(expected.conn.0) && self.ups.contains_key(&expected.conn);
            if expected.good && !expected.forwarded && stands && !gone {
                let Expected { miner, pool, fields, .. } = expected;
                out.push(now_us, || {
                    format!("I3: a good share of miner {miner} for pool {pool} is dropped: {fields:?}")
                });
            }
        }
    }
}

/// What must become of a share; its request's id if no pool knows a connection that it could be of.
fn expect(
    (from, request): (MinerId, String),
    miner: usize,
    (found, of): (&Found, Option<Option<u64>>),
    pools: &[PoolSeat],
    ups: &std::collections::BTreeMap<UpstreamId, super::Up>,
) -> Result<Expected, String> {
    let origin = pools.iter().enumerate().find_map(|(i, seat)| Some((i, seat.pool.origin(&found.head)?)));
    let Some((pool, origin)) = origin else { return Err(request) };
    let conn = UpstreamId(origin.conn);
    let mut extranonce2 = found.head[found.head.len() - origin.inside..].to_vec();
    extranonce2.extend(&found.extranonce2);
    // The hardest of all that may count: what its job was sent at, what holds now, what the proxy knows of.
    let known = ups.get(&conn).map(|up| up.difficulties.as_slice()).unwrap_or_default();
    let hardest = known.iter().copied().fold(origin.difficulty.max(origin.difficulty_now), f64::max);
    let worth =
        Target::of_difficulty(hardest).meets(&found.hash) || Target::of_nbits(origin.job.nbits).meets(&found.hash);
    // By what holds at the pool, and by what the proxy was told last: another word may be on its way.
    let told = ups.get(&conn).and_then(|up| up.mask).unwrap_or(u32::MAX);
    let allowed = found.bits.is_none_or(|bits| bits & !(origin.mask.unwrap_or(0) & told) == 0);
    Ok(Expected {
        from,
        request,
        miner,
        pool,
        conn,
        fields: [
            origin.job.id.clone(),
            hex::encode(&extranonce2),
            format!("{:08x}", found.ntime),
            format!("{:08x}", found.nonce),
        ],
        user: origin.user.to_owned(),
        again: found.again,
        // What came again on a new connection is another job, though it is the same work.
        good: !found.again
            && worth
            && allowed
            && of.is_none_or(|of| of == Some(origin.conn))
            && extranonce2.len() == origin.extranonce2_bytes,
        forwarded: false,
    })
}
