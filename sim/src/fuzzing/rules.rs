//! What every message of the engine is held to, whatever its peers say: lines, replies, jobs, and shares that rebuild
//! a header that a miner hashed. The peers' own lines are read leniently: they may be anything.

use std::collections::{BTreeMap, BTreeSet};

use dpmp_core::{Conn, MinerId, UpstreamId};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::frame::Lines;
use crate::header::{Header, coinbase, merkle_root, sha256d, swap_words};
use crate::hex;
use crate::target::Target;

/// The parts of a line, as text.
#[derive(Debug, Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "reject-reason")]
    reject_reason: Option<&'a RawValue>,
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Option<Line<'a>> {
        line.starts_with(b"{").then(|| serde_json::from_slice(line).ok()).flatten()
    }

    fn id(&self) -> &'a str {
        self.id.map_or("null", RawValue::get)
    }

    fn method(&self) -> Option<String> {
        self.method.and_then(text)
    }

    fn params(&self) -> Vec<&'a RawValue> {
        list(self.params)
    }

    fn refused(&self) -> bool {
        self.reject_reason.and_then(text).is_some()
            || self.error.is_some_and(|e| e.get() != "false")
            || self.result.is_some_and(|r| r.get() == "false")
    }
}

fn list(raw: Option<&RawValue>) -> Vec<&RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// A string, or a number or word in the place of one.
fn text(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str(raw.get()).ok(),
        b'{' | b'[' => None,
        _ => Some(raw.get().to_string()),
    }
}

fn texts(params: &[&RawValue]) -> Vec<String> {
    params.iter().map(|raw| text(raw).unwrap_or_default()).collect()
}

/// A number of any spelling: case, `0x`, leading zeros.
fn lenient(text: &str) -> Option<u128> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    match digits.trim_start_matches('0') {
        "" => Some(0),
        digits => u128::from_str_radix(digits, 16).ok(),
    }
}

fn lenient_word(text: &str) -> Option<u32> {
    lenient(text).and_then(|n| u32::try_from(n).ok())
}

/// A `mining.notify`, and what held when it came.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: String,
    prevhash: [u8; 32],
    coinb1: Vec<u8>,
    coinb2: Vec<u8>,
    branches: Vec<[u8; 32]>,
    version: u32,
    nbits: u32,
    pub(super) ntime: u32,
    extranonce1: Vec<u8>,
    pub(super) extranonce2_bytes: usize,
    /// The version bits that the miner was told then.
    mask: u32,
}

impl Job {
    fn read(params: &[&RawValue], extranonce1: &[u8], extranonce2_bytes: usize, mask: u32) -> Option<Job> {
        let fields = texts(params);
        let branches: Vec<String> = serde_json::from_str(params.get(4)?.get()).ok()?;
        Some(Job {
            id: fields.first()?.clone(),
            prevhash: hex::decode_array(fields.get(1)?)?,
            coinb1: hex::decode(fields.get(2)?)?,
            coinb2: hex::decode(fields.get(3)?)?,
            branches: branches.iter().map(|b| hex::decode_array(b)).collect::<Option<_>>()?,
            version: lenient_word(fields.get(5)?)?,
            nbits: lenient_word(fields.get(6)?)?,
            ntime: lenient_word(fields.get(7)?)?,
            extranonce1: extranonce1.to_vec(),
            extranonce2_bytes,
            mask,
        })
    }

    fn header(&self, extranonce2: &[u8], ntime: u32, nonce: u32, version: u32) -> [u8; 80] {
        let coinbase = coinbase(&self.coinb1, &self.extranonce1, extranonce2, &self.coinb2);
        let root = merkle_root(&coinbase, &self.branches);
        let prevhash = swap_words(self.prevhash);
        Header { version, prevhash, root, ntime, nbits: self.nbits, nonce }.bytes()
    }

    fn is_block(&self, header: &[u8; 80]) -> bool {
        Target::of_nbits(self.nbits).meets(&sha256d(header))
    }
}

/// What a miner said and was told.
#[derive(Debug, Default)]
pub(super) struct MinerSeen {
    lines: Lines,
    /// Requests without a reply: id and method.
    pub(super) open: Vec<(String, String)>,
    pub(super) jobs: Vec<Job>,
    pub(super) mask: u32,
    ids: BTreeSet<String>,
    extranonce1: Vec<u8>,
    extranonce2_bytes: usize,
    difficulty: bool,
    replied: bool,
    understands_extranonce: bool,
}

/// What a pool said and was told on one connection.
#[derive(Debug, Default)]
pub(super) struct PoolSeen {
    lines: Lines,
    /// Requests of the proxy without an answer.
    pub(super) asked: BTreeMap<u64, String>,
    last_id: u64,
    user: String,
    extranonce1: Vec<u8>,
    extranonce2_bytes: usize,
    /// All masks that it ever granted.
    masks: BTreeSet<u32>,
    jobs: BTreeMap<String, Vec<Job>>,
    shares: BTreeSet<(String, [u8; 80])>,
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) miners: BTreeMap<MinerId, MinerSeen>,
    pub(super) pools: BTreeMap<UpstreamId, PoolSeen>,
    /// Headers of all submits, as the miner that submitted must have hashed them.
    hashed: BTreeSet<[u8; 80]>,
    /// The engine need not know what was said leniently.
    pub(super) shares: usize,
}

impl Rules {
    pub(super) fn opened(&mut self, conn: Conn) {
        match conn {
            Conn::Miner(miner) => drop(self.miners.insert(miner, MinerSeen::default())),
            Conn::Upstream(upstream) => drop(self.pools.insert(upstream, PoolSeen::default())),
        }
    }

    pub(super) fn is_open(&self, conn: Conn) -> bool {
        match conn {
            Conn::Miner(miner) => self.miners.contains_key(&miner),
            Conn::Upstream(upstream) => self.pools.contains_key(&upstream),
        }
    }

    pub(super) fn closed(&mut self, conn: Conn) {
        match conn {
            Conn::Miner(miner) => drop(self.miners.remove(&miner)),
            Conn::Upstream(upstream) => drop(self.pools.remove(&upstream)),
        }
    }

    /// A peer's bytes.
    pub(super) fn said(&mut self, conn: Conn, bytes: &[u8]) {
        match conn {
            Conn::Miner(miner) => {
                let Some(seen) = self.miners.get_mut(&miner) else { return };
                for line in seen.lines.push(bytes) {
                    if let Some(line) = Line::read(line.trim_ascii()) {
                        seen.said(&line, &mut self.hashed);
                    }
                }
            }
            Conn::Upstream(upstream) => {
                let Some(seen) = self.pools.get_mut(&upstream) else { return };
                for line in seen.lines.push(bytes) {
                    if let Some(line) = Line::read(line.trim_ascii()) {
                        seen.said(&line);
                    }
                }
            }
        }
    }

    /// One message of the engine.
    pub(super) fn told(&mut self, conn: Conn, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).expect("the proxy sends text");
        assert!(text.len() > 1 && text.ends_with('\n'), "a whole line: {text:?}");
        assert_eq!(text.matches('\n').count(), 1, "one message a write: {text:?}");
        let text = text.trim_end();
        let line = Line::read(text.as_bytes()).unwrap_or_else(|| panic!("no JSON object: {text:?}"));
        match conn {
            Conn::Miner(miner) => {
                let seen = self.miners.get_mut(&miner).expect("sent to a miner that is not there");
                seen.told(&line, text);
            }
            Conn::Upstream(upstream) => {
                let seen = self.pools.get_mut(&upstream).expect("sent to a pool that is not there");
                self.shares += usize::from(seen.told(&line, text, &self.hashed));
            }
        }
    }
}

impl MinerSeen {
    fn said(&mut self, line: &Line<'_>, hashed: &mut BTreeSet<[u8; 80]>) {
        let Some(method) = line.method() else { return };
        if method == "mining.pong" && line.id.is_none() {
            return;
        }
        let params = line.params();
        if method == "mining.submit" {
            self.hash(&texts(&params), hashed);
        }
        self.understands_extranonce |= method == "mining.extranonce.subscribe"
            || method == "mining.configure" && line.params.is_some_and(|p| p.get().contains("subscribe-extranonce"));
        self.open.push((line.id().to_string(), method));
    }

    /// The headers that this submit can mean.
    fn hash(&self, fields: &[String], hashed: &mut BTreeSet<[u8; 80]>) {
        let [_, id, extranonce2, ntime, nonce, rest @ ..] = fields else { return };
        let (Some(id), Some(ntime), Some(nonce)) = (lenient_word(id), lenient_word(ntime), lenient_word(nonce)) else {
            return;
        };
        let Some(number) = lenient(extranonce2) else { return };
        let bits = rest.first().and_then(|bits| lenient_word(bits));
        for job in self.jobs.iter().filter(|job| lenient_word(&job.id) == Some(id)) {
            let Some(own) =
                number.to_be_bytes().get(16usize.saturating_sub(job.extranonce2_bytes)..).map(<[u8]>::to_vec)
            else {
                continue;
            };
            for mask in [job.mask, self.mask] {
                let version = bits.map_or(job.version, |bits| job.version & !(mask | bits) | bits);
                hashed.insert(job.header(&own, ntime, nonce, version));
            }
        }
    }

    fn told(&mut self, line: &Line<'_>, text: &str) {
        assert!(text.len() < 16_000 && !text.contains("jsonrpc"), "{text}");
        let Some(method) = line.method() else { return self.reply(line, text) };
        assert!(text.starts_with("{\"id\":null,\"method\":\""), "key order: {text}");
        assert!(self.replied, "a notification before the first reply: {text}");
        let params = line.params();
        let fields = texts(&params);
        match method.as_str() {
            "mining.set_difficulty" => {
                let value: f64 = fields[0].parse().expect("a number");
                assert!(value > 0.0 && !fields[0].contains(['e', 'E', '+', '-']), "{text}");
                assert!(value < 1.0 || !fields[0].contains('.'), "an integer from 1 on: {text}");
                self.difficulty = true;
            }
            "mining.notify" => {
                assert_eq!(params.len(), 9, "{text}");
                assert!(self.difficulty, "a job before a difficulty: {text}");
                let job = Job::read(&params, &self.extranonce1, self.extranonce2_bytes, self.mask).expect("a job");
                let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                assert!(job.id.len() == 8 && job.id.bytes().all(digits), "eight lowercase hex digits: {text}");
                assert!(self.ids.insert(job.id.clone()), "an id twice: {text}");
                assert!(job.branches.len() <= 32, "{text}");
                self.jobs.push(job);
            }
            "mining.set_extranonce" => {
                assert!(self.understands_extranonce, "to a miner that did not ask for it: {text}");
                self.extranonce1 = hex::decode(&fields[0]).expect("hex");
                self.extranonce2_bytes = fields[1].parse().expect("a number");
            }
            "mining.set_version_mask" => self.mask = hex::number(&fields[0]).expect("hex"),
            _ => panic!("nothing for a miner: {text}"),
        }
    }

    fn reply(&mut self, line: &Line<'_>, text: &str) {
        assert!(text.starts_with("{\"id\":"), "{text}");
        assert!(text.contains(",\"result\":") && text.contains(",\"error\":"), "{text}");
        if line.error.is_some() {
            assert!(line.result.is_none(), "{text}");
            let error = list(line.error);
            assert!(error.len() == 3 && error[0].get().parse::<i64>().is_ok() && error[2].get() == "null", "{text}");
        }
        self.replied = true;
        // Requests may share an id, and submits wait for the pool: which one it is follows from the result's shape.
        let shaped = match line.result.map_or("", RawValue::get) {
            result if result.starts_with("[[") => Some("mining.subscribe"),
            result if result.starts_with('{') => Some("mining.configure"),
            _ => None,
        };
        let fits = |method: &str| match shaped {
            Some(shaped) => method == shaped,
            None => !matches!(method, "mining.subscribe" | "mining.configure"),
        };
        let same_id = |(id, _): &(String, String)| id == line.id();
        let at = self.open.iter().position(|open| same_id(open) && fits(&open.1));
        let at = at.or_else(|| self.open.iter().position(same_id));
        let (_, method) = self.open.remove(at.unwrap_or_else(|| panic!("a reply to nothing, or a second one: {text}")));
        match method.as_str() {
            "mining.subscribe" if shaped == Some("mining.subscribe") => {
                let result = texts(&list(line.result));
                self.extranonce1 = hex::decode(&result[1]).expect("hex");
                self.extranonce2_bytes = result[2].parse().expect("a size");
            }
            "mining.configure" => {
                let result: BTreeMap<String, &RawValue> =
                    line.result.and_then(|r| serde_json::from_str(r.get()).ok()).unwrap_or_default();
                if let Some(mask) = result.get("version-rolling.mask").and_then(|mask| self::text(mask)) {
                    self.mask = hex::number(&mask).expect("a mask");
                }
            }
            _ => {}
        }
    }
}

impl PoolSeen {
    fn said(&mut self, line: &Line<'_>) {
        let fields = texts(&line.params());
        match line.method().as_deref() {
            Some("mining.notify") => {
                if let Some(job) = Job::read(&line.params(), &self.extranonce1, self.extranonce2_bytes, 0) {
                    self.jobs.entry(job.id.clone()).or_default().push(job);
                }
            }
            Some("mining.set_extranonce") => self.extranonce(&fields, 0),
            Some("mining.set_version_mask") => self.masks.extend(fields.first().and_then(|mask| lenient_word(mask))),
            Some(_) => {}
            None => {
                let id = line.id().parse().ok().filter(|id: &u64| id.to_string() == line.id());
                let asked = id.and_then(|id| self.asked.remove(&id));
                match asked.as_deref() {
                    _ if line.refused() => {}
                    Some("mining.subscribe") => self.extranonce(&texts(&list(line.result)), 1),
                    Some("mining.configure") => {
                        let result: BTreeMap<String, &RawValue> =
                            line.result.and_then(|r| serde_json::from_str(r.get()).ok()).unwrap_or_default();
                        let mask = result.get("version-rolling.mask").and_then(|mask| text(mask));
                        self.masks.extend(mask.and_then(|mask| lenient_word(&mask)));
                    }
                    _ => {}
                }
            }
        }
    }

    fn extranonce(&mut self, fields: &[String], at: usize) {
        let (Some(one), Some(size)) = (fields.get(at).and_then(|f| hex::decode(f)), fields.get(at + 1)) else { return };
        if let Some(size) = size.parse().ok().filter(|size| (1..=16).contains(size) && one.len() <= 32) {
            self.extranonce1 = one;
            self.extranonce2_bytes = size;
        }
    }

    /// True for a share.
    fn told(&mut self, line: &Line<'_>, text: &str, hashed: &BTreeSet<[u8; 80]>) -> bool {
        let Some(method) = line.method() else { return false };
        assert!(text.len() <= 1_024, "ckpool reads no longer line: {text}");
        let id: u64 = line.id().parse().expect("own integer ids");
        assert!(id > self.last_id || self.last_id == 0, "an id twice: {text}");
        self.last_id = id;
        self.asked.insert(id, method.clone());
        let fields = texts(&line.params());
        match method.as_str() {
            "mining.authorize" => {
                assert_eq!(fields.len(), 2, "public-pool wants two: {text}");
                self.user = fields[0].clone();
            }
            "mining.submit" => {
                self.submit(&fields, text, hashed);
                return true;
            }
            "mining.configure" | "mining.subscribe" | "mining.suggest_difficulty" => {}
            _ => panic!("nothing for a pool: {text}"),
        }
        false
    }

    /// The pool rebuilds the header in its own context: a miner must have hashed it, and not submitted it before.
    fn submit(&mut self, fields: &[String], text: &str, hashed: &BTreeSet<[u8; 80]>) {
        assert!((5..=6).contains(&fields.len()), "{text}");
        assert_eq!(fields[0], self.user, "worker mismatch: {text}");
        let jobs = self.jobs.get(&fields[1]).unwrap_or_else(|| panic!("a job of another pool: {text}"));
        for field in &fields[2..] {
            assert!(field.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{text}");
        }
        assert!(fields[3].len() == 8 && fields[4].len() == 8, "{text}");
        let number = |i: usize| hex::number(&fields[i]).expect("hex");
        let extranonce2 = hex::decode(&fields[2]).expect("hex");
        let bits = fields.get(5).map(|bits| hex::number(bits).expect("hex"));
        let mut masks = self.masks.clone();
        masks.insert(0x1fff_e000);
        let of_size = |job: &&Job| extranonce2.len() == job.extranonce2_bytes;
        assert!(jobs.iter().any(|job| of_size(&job)), "extranonce2 of another size: {text}");
        let mut headers = jobs.iter().rev().filter(of_size).flat_map(|job| {
            let versions: Vec<u32> = match bits {
                None => vec![job.version],
                // Bits that the pool never granted are only those of a block, which is tried despite any rule.
                Some(bits) => masks
                    .iter()
                    .map(|mask| (job.version & !(mask | bits) | bits, bits & !mask == 0))
                    .filter(|(version, granted)| {
                        *granted || job.is_block(&job.header(&extranonce2, number(3), number(4), *version))
                    })
                    .map(|(version, _)| version)
                    .collect(),
            };
            versions
                .into_iter()
                .map(|version| job.header(&extranonce2, number(3), number(4), version))
                .collect::<Vec<_>>()
        });
        let header = headers.find(|header| hashed.contains(header));
        let header = header.unwrap_or_else(|| panic!("a header that no miner hashed: {text}"));
        let first = self.shares.insert((fields[1].clone(), header));
        assert!(first, "the same share twice: {text}");
    }
}
