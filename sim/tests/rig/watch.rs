//! What every scripted session is held to, line by line: the rules of what miners bear, and the strict pool that
//! rebuilds each share's header in its own context and knows which headers a miner really hashed.

use std::collections::{BTreeMap, BTreeSet};

use dpmp_core::{MinerId, Span, Time, UpstreamId};
use dpmp_sim::header::{Header, coinbase, merkle_root, swap_words};
use dpmp_sim::hex;
use serde_json::Value;

/// A `mining.notify`, and the extranonce that held when it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) prevhash: [u8; 32],
    pub(crate) coinb1: Vec<u8>,
    pub(crate) coinb2: Vec<u8>,
    pub(crate) branches: Vec<[u8; 32]>,
    pub(crate) version: u32,
    pub(crate) nbits: u32,
    pub(crate) ntime: u32,
    pub(crate) clean: bool,
    pub(crate) extranonce1: Vec<u8>,
    pub(crate) extranonce2_bytes: usize,
}

impl Job {
    fn read(params: &Value, extranonce1: &[u8], extranonce2_bytes: usize) -> Option<Job> {
        let text = |i: usize| params[i].as_str();
        Some(Job {
            id: text(0)?.to_string(),
            prevhash: hex::decode_array(text(1)?)?,
            coinb1: hex::decode(text(2)?)?,
            coinb2: hex::decode(text(3)?)?,
            branches: params[4].as_array()?.iter().map(|b| hex::decode_array(b.as_str()?)).collect::<Option<_>>()?,
            version: hex::number(text(5)?)?,
            nbits: hex::number(text(6)?)?,
            ntime: hex::number(text(7)?)?,
            clean: params[8].as_bool()?,
            extranonce1: extranonce1.to_vec(),
            extranonce2_bytes,
        })
    }

    pub(crate) fn coinbase(&self, extranonce2: &[u8]) -> Vec<u8> {
        coinbase(&self.coinb1, &self.extranonce1, extranonce2, &self.coinb2)
    }

    /// The header of a share of this job.
    pub(crate) fn header(&self, extranonce2: &[u8], ntime: u32, nonce: u32, version: u32) -> Header {
        let root = merkle_root(&self.coinbase(extranonce2), &self.branches);
        Header { version, prevhash: swap_words(self.prevhash), root, ntime, nbits: self.nbits, nonce }
    }
}

/// What one miner was told.
#[derive(Debug, Default)]
pub(crate) struct MinerSeen {
    pub(crate) extranonce1: Vec<u8>,
    pub(crate) extranonce2_bytes: usize,
    pub(crate) jobs: Vec<Job>,
    pub(crate) difficulty: Option<String>,
    pub(crate) mask: u32,
    pub(crate) last_line: Time,
    /// Requests without a reply: id and method.
    pub(crate) open: Vec<(String, String)>,
    /// When a difficulty or a job was last sent.
    last_told: Time,
    replied: bool,
    authorized: bool,
    understands_extranonce: bool,
    masks_sent: u32,
    /// A difficulty was sent, and no job since.
    difficulty_ahead: bool,
}

/// What one pool said on one connection, and what it got.
#[derive(Debug, Default)]
pub(crate) struct PoolSeen {
    pub(crate) extranonce1: Vec<u8>,
    pub(crate) extranonce2_bytes: usize,
    pub(crate) mask: u32,
    /// It has granted version rolling: from then on each share tells its version bits.
    wants_bits: bool,
    pub(crate) user: String,
    /// By id; a pool may use an id again.
    pub(crate) jobs: BTreeMap<String, Vec<Job>>,
    pub(crate) shares: Vec<[u8; 80]>,
    asked: BTreeMap<u64, String>,
}

#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) miners: BTreeMap<MinerId, MinerSeen>,
    pub(crate) pools: BTreeMap<UpstreamId, PoolSeen>,
    /// The script makes its shares up: they are not looked at.
    pub(crate) made_up: bool,
    /// Headers that miners hashed.
    pub(crate) hashed: BTreeSet<[u8; 80]>,
}

fn read(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok().filter(Value::is_object)
}

impl Watch {
    pub(crate) fn miner_said(&mut self, miner: MinerId, line: &str) {
        let Some(line) = read(line) else { return };
        let seen = self.miners.entry(miner).or_default();
        let Some(method) = line["method"].as_str() else { return };
        let asks = |name: &str| line["params"][0].as_array().is_some_and(|list| list.iter().any(|n| n == name));
        if method == "mining.extranonce.subscribe" || method == "mining.configure" && asks("subscribe-extranonce") {
            seen.understands_extranonce = true;
        }
        if method != "mining.pong" || !line["id"].is_null() {
            seen.open.push((line["id"].to_string(), method.to_string()));
        }
    }

    pub(crate) fn miner_closed(&mut self, miner: MinerId) {
        if let Some(seen) = self.miners.get_mut(&miner) {
            seen.open.clear();
        }
    }

    pub(crate) fn miner_told(&mut self, now: Time, miner: MinerId, text: &str) {
        let line = read(text).unwrap_or_else(|| panic!("no JSON object: {text}"));
        let seen = self.miners.entry(miner).or_default();
        let quiet = now.since(seen.last_told);
        seen.last_line = now;
        assert!(text.len() < 16_000 && !text.contains("jsonrpc"), "{text}");
        let Some(method) = line["method"].as_str() else { return seen.reply(text, &line) };
        assert!(text.starts_with("{\"id\":null,\"method\":\""), "key order: {text}");
        assert!(seen.replied, "a notification before the first reply: {text}");
        let authorizing = seen.open.iter().any(|(_, method)| method == "mining.authorize");
        assert!(!authorizing, "a notification between authorize and its reply: {text}");
        let params = &line["params"];
        seen.last_told = now;
        match method {
            "mining.set_difficulty" => {
                let (_, literal) = text.split_once("\"params\":[").expect("params");
                let literal = literal.trim_end_matches("]}");
                let value: f64 = literal.parse().unwrap_or_else(|_| panic!("one number: {text}"));
                assert!(value > 0.0 && !literal.contains(['e', 'E', '+', '-']), "{text}");
                assert!(value < 1.0 || !literal.contains('.'), "an integer from 1 on: {text}");
                // After a silence it keeps the connection alive while no pool has work: it is not for a job.
                let for_a_job = quiet < Span::secs(30);
                if for_a_job {
                    assert!(!seen.difficulty_ahead, "two difficulties before a job: {text}");
                    assert_ne!(seen.difficulty.as_deref(), Some(literal), "an unchanged difficulty: {text}");
                }
                seen.difficulty = Some(literal.to_string());
                seen.difficulty_ahead = for_a_job;
            }
            "mining.notify" => {
                assert_eq!(params.as_array().map(Vec::len), Some(9), "{text}");
                assert!(seen.authorized && seen.difficulty.is_some(), "a job too early: {text}");
                let job = Job::read(params, &seen.extranonce1, seen.extranonce2_bytes).expect("a job");
                seen.check_id(&job.id);
                assert!(job.branches.len() <= 32);
                seen.difficulty_ahead = false;
                seen.jobs.push(job);
            }
            "mining.set_extranonce" => {
                assert!(seen.understands_extranonce, "to a miner that did not ask for it: {text}");
                seen.extranonce1 = hex::decode(params[0].as_str().expect("text")).expect("hex");
                seen.extranonce2_bytes = params[1].as_u64().expect("a number") as usize;
            }
            "mining.set_version_mask" => {
                seen.masks_sent += 1;
                assert!(seen.masks_sent <= 1 && seen.authorized, "{text}");
                seen.mask = hex::number(params[0].as_str().expect("text")).expect("hex");
            }
            _ => panic!("nothing for a miner: {text}"),
        }
    }

    pub(crate) fn pool_said(&mut self, upstream: UpstreamId, line: &str) {
        let Some(line) = read(line) else { return };
        let seen = self.pools.entry(upstream).or_default();
        let params = &line["params"];
        match line["method"].as_str() {
            Some("mining.notify") => {
                if let Some(job) = Job::read(params, &seen.extranonce1, seen.extranonce2_bytes) {
                    seen.jobs.entry(job.id.clone()).or_default().push(job);
                }
            }
            Some("mining.set_extranonce") => seen.extranonce(&params[0], &params[1]),
            Some("mining.set_version_mask") => seen.mask = params[0].as_str().and_then(hex::number).unwrap_or(0),
            Some(_) => {}
            None => {
                let asked = line["id"].as_u64().and_then(|id| seen.asked.remove(&id));
                let result = &line["result"];
                match asked.as_deref() {
                    Some("mining.subscribe") => seen.extranonce(&result[1], &result[2]),
                    Some("mining.configure") if result["version-rolling"] == true => {
                        seen.mask = result["version-rolling.mask"].as_str().and_then(hex::number).unwrap_or(0);
                        seen.wants_bits |= result["version-rolling"] == true;
                    }
                    _ => {}
                }
            }
        }
    }

    pub(crate) fn pool_told(&mut self, upstream: UpstreamId, text: &str) {
        let line = read(text).unwrap_or_else(|| panic!("no JSON object: {text}"));
        let seen = self.pools.entry(upstream).or_default();
        let Some(method) = line["method"].as_str() else { return };
        assert!(text.len() <= 1_024, "ckpool reads no longer line: {text}");
        let id = line["id"].as_u64().expect("own integer ids");
        assert!(seen.asked.insert(id, method.to_string()).is_none(), "an id twice: {text}");
        let params = &line["params"];
        match method {
            "mining.authorize" => {
                assert_eq!(params.as_array().map(Vec::len), Some(2), "public-pool wants two: {text}");
                seen.user = params[0].as_str().expect("a user").to_string();
            }
            "mining.submit" if self.made_up => {}
            "mining.submit" => seen.submit(params, text, &self.hashed),
            "mining.configure" | "mining.subscribe" | "mining.suggest_difficulty" => {}
            _ => panic!("nothing for a pool: {text}"),
        }
    }
}

impl MinerSeen {
    fn reply(&mut self, text: &str, line: &Value) {
        let keys: Vec<&str> = line.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["error", "id", "result"], "{text}");
        assert!(
            text.starts_with("{\"id\":") && text.contains(",\"result\":") && text.contains(",\"error\":"),
            "{text}"
        );
        if !line["error"].is_null() {
            assert!(line["result"].is_null(), "{text}");
            assert!(line["error"][0].is_i64() && line["error"][1].is_string() && line["error"][2].is_null(), "{text}");
        }
        self.replied = true;
        let id = line["id"].to_string();
        let at = self.open.iter().position(|(open, _)| *open == id);
        let (_, method) = self.open.remove(at.unwrap_or_else(|| panic!("a reply to nothing, or a second one: {text}")));
        let result = &line["result"];
        match method.as_str() {
            "mining.subscribe" if line["error"].is_null() => {
                let extranonce1 = hex::decode(result[1].as_str().expect("extranonce1")).expect("hex");
                self.extranonce1 = extranonce1;
                self.extranonce2_bytes = result[2].as_u64().expect("a size") as usize;
            }
            "mining.authorize" => self.authorized |= result == true,
            "mining.configure" if result["version-rolling"] == true => {
                self.mask = hex::number(result["version-rolling.mask"].as_str().expect("a mask")).expect("hex");
            }
            _ => {}
        }
    }

    fn check_id(&self, id: &str) {
        let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        assert!(id.len() == 8 && id.bytes().all(digits), "eight lowercase hex digits: {id}");
        assert!(self.jobs.iter().all(|job| job.id != id), "an id twice: {id}");
        let recent = self.jobs.iter().rev().take(8);
        for other in recent {
            assert_ne!(crc16(&other.id), crc16(id), "Avalon takes {id} for {}", other.id);
        }
    }

    /// The newest job.
    pub(crate) fn job(&self) -> &Job {
        self.jobs.last().expect("a job was sent")
    }
}

impl PoolSeen {
    /// Ids of submits without an answer.
    pub(crate) fn open_submits(&self) -> Vec<u64> {
        self.asked.iter().filter(|(_, method)| *method == "mining.submit").map(|(id, _)| *id).collect()
    }

    fn extranonce(&mut self, extranonce1: &Value, size: &Value) {
        self.extranonce1 = extranonce1.as_str().and_then(hex::decode).unwrap_or_default();
        self.extranonce2_bytes = size.as_u64().unwrap_or(0) as usize;
    }

    /// As strict as a pool can be: right user, known job, exact sizes, lower case, no bit outside the mask, a header that
    /// a miner really hashed, and no share twice.
    fn submit(&mut self, params: &Value, text: &str, hashed: &BTreeSet<[u8; 80]>) {
        let fields: Vec<&str> =
            params.as_array().expect("a list").iter().map(|p| p.as_str().expect("strings")).collect();
        assert_eq!(fields[0], self.user, "worker mismatch: {text}");
        let jobs = self.jobs.get(fields[1]).unwrap_or_else(|| panic!("a job of another pool: {text}"));
        for field in &fields[2..] {
            assert!(field.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{text}");
        }
        let of_size = |job: &&Job| fields[2].len() == 2 * job.extranonce2_bytes;
        assert!(jobs.iter().any(|job| of_size(&job)), "extranonce2 of another size: {text}");
        assert!(fields[3].len() == 8 && fields[4].len() == 8, "{text}");
        // While the pool has not answered configure, it may have granted anything of BIP 320 by the time it reads this.
        let settling = self.asked.values().any(|method| method == "mining.configure");
        if !settling {
            let params = if self.wants_bits { 6 } else { 5 };
            assert_eq!(fields.len(), params, "version bits with mask {:08x}: {text}", self.mask);
        }
        let mask = if settling { self.mask | 0x1fff_e000 } else { self.mask };
        let bits = fields.get(5).map_or(0, |bits| hex::number(bits).expect("hex"));
        assert_eq!(bits & !mask, 0, "bits outside the mask {mask:08x}: {text}");
        let mask = if fields.len() == 5 { 0 } else { mask };
        let number = |i: usize| hex::number(fields[i]).expect("hex");
        let extranonce2 = hex::decode(fields[2]).expect("hex");
        let header = |job: &Job| job.header(&extranonce2, number(3), number(4), job.version & !mask | bits).bytes();
        let header = jobs.iter().rev().filter(of_size).map(header).find(|header| hashed.contains(header));
        let header = header.unwrap_or_else(|| panic!("a header that no miner hashed: {text}"));
        assert!(!self.shares.contains(&header), "the same share twice: {text}");
        self.shares.push(header);
    }
}

/// CRC-16/CCITT (XMODEM) by the book: a polynomial division of the whole message, bit by bit.
pub(crate) fn crc16(text: &str) -> u16 {
    let mut rest: u32 = 0;
    let bits = text.bytes().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1)).chain([0; 16]);
    for bit in bits {
        rest = rest << 1 | u32::from(bit);
        if rest & 0x1_0000 != 0 {
            rest ^= 0x1_1021;
        }
    }
    rest as u16
}
