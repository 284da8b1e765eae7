//! Simulated miners straight at simulated pools, without a proxy: what is strict must accept what is right, and see
//! what is wrong.

use dpmp_sim::miner::{MinerOut, MinerSpec, Personality, SimMiner};
use dpmp_sim::pool::{OutageMode, PoolOut, PoolSnapshot, PoolSpec, Reason, RejectShape, Script, SimPool};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000_000;

/// One miner on one pool over a line without latency; reconnects by itself.
struct Pair {
    pool: SimPool,
    miner: SimMiner,
    now: u64,
    conn: u64,
    open: bool,
    connect_at: u64,
    /// What a man in the middle does to the miner's lines.
    tamper: fn(String) -> String,
    to_miner: Vec<String>,
}

impl Pair {
    fn new(pool: PoolSpec, personality: Personality) -> Pair {
        let miner = SimMiner::new(MinerSpec::new("w1", 1000.0, personality, 1));
        let (pool, tamper) = (SimPool::new(pool), |line| line);
        Pair { pool, miner, now: 0, conn: 0, open: false, connect_at: 0, tamper, to_miner: Vec::new() }
    }

    fn drop_connection(&mut self) {
        self.open = false;
        self.connect_at = self.now + self.miner.reconnect_delay_us();
    }

    fn perform(&mut self, mut from_pool: Vec<PoolOut>, mut from_miner: Vec<MinerOut>) {
        while !from_pool.is_empty() || !from_miner.is_empty() {
            for out in std::mem::take(&mut from_miner) {
                match out {
                    MinerOut::Send(bytes) => {
                        let bytes = match String::from_utf8(bytes) {
                            Ok(text) => (self.tamper)(text).into_bytes(),
                            Err(raw) => raw.into_bytes(),
                        };
                        self.pool.receive(self.conn, &bytes, self.now, &mut from_pool);
                    }
                    MinerOut::Close => {
                        self.pool.closed(self.conn);
                        self.drop_connection();
                    }
                }
            }
            for out in std::mem::take(&mut from_pool) {
                match out {
                    PoolOut::Send { conn, bytes } if conn == self.conn && self.open => {
                        self.to_miner.push(String::from_utf8_lossy(&bytes).into_owned());
                        self.miner.receive(&bytes, self.now, &mut from_miner);
                    }
                    PoolOut::Close { conn } if conn == self.conn && self.open => {
                        self.miner.closed(self.now);
                        self.drop_connection();
                    }
                    _ => {}
                }
            }
        }
    }

    fn run(&mut self, until: u64) {
        while self.now < until {
            self.now += 10 * MS;
            let (mut from_pool, mut from_miner) = (Vec::new(), Vec::new());
            self.pool.tick(self.now, &mut from_pool);
            self.miner.tick(self.now, &mut from_miner);
            self.perform(from_pool, from_miner);
            let (mut from_pool, mut from_miner) = (Vec::new(), Vec::new());
            if !self.open && self.now >= self.connect_at && !self.pool.refuses() {
                (self.open, self.conn) = (true, self.conn + 1);
                self.pool.accept(self.conn, self.now, &mut from_pool);
                self.miner.connected(self.now, &mut from_miner);
            }
            self.miner.mine(500, self.now, &mut from_miner);
            self.perform(from_pool, from_miner);
        }
    }

    fn counts(&self) -> PoolSnapshot {
        self.pool.snapshot()
    }
}

#[test]
fn every_personality_works_on_a_pool_without_quirks() {
    for personality in Personality::all() {
        let mut pair = Pair::new(PoolSpec { extranonce2_bytes: 4, ..PoolSpec::new("good", 1) }, personality);
        pair.run(35 * SECOND);
        let (pool, miner) = (pair.counts(), pair.miner.snapshot(pair.now));
        let label = &miner.personality;
        assert!(pool.shares.accepted() > 300, "{label}: {pool:?} {miner:?}");
        assert_eq!(pool.shares.faults(), 0, "{label}: {pool:?}");
        assert_eq!(pool.shares.accepted(), miner.accepted, "{label}");
        assert_eq!(miner.unanswered + miner.answered_twice + miner.disconnects, 0, "{label}: {miner:?}");
        // Without a proxy in between there is no constant session; the rest of the demands holds.
        assert!(miner.violations.is_empty(), "{label}: {:#?}", miner.violations);
        let hashes: Vec<[u8; 32]> = pair.miner.take_found().iter().map(|found| found.hash).collect();
        let rebuilt: Vec<[u8; 32]> = pair.pool.take_shares().iter().map(|share| share.hash).collect();
        assert_eq!(hashes, rebuilt, "{label}: the pool hashes what the miner hashed");
    }
}

#[test]
fn every_pool_accepts_honest_work() {
    let pools = [
        PoolSpec::ckpool("ckpool", 1),
        PoolSpec::ckpool_lhr("lhr", 2),
        PoolSpec::public_pool("public-pool", 3),
        PoolSpec::datum("datum", 4),
        PoolSpec::npm("npm", 5),
        PoolSpec::btcpool("btcpool", 6),
        PoolSpec::nasty("nasty", 7),
        PoolSpec { extranonce1_bytes: 0, extranonce2_bytes: 4, ..PoolSpec::new("p2pool", 8) },
        PoolSpec { extranonce1_bytes: 9, extranonce2_bytes: 3, ..PoolSpec::new("nicehash", 9) },
    ];
    for spec in pools {
        let name = spec.name.clone();
        let mut pair = Pair::new(PoolSpec { job_interval_us: SECOND, ..spec }, Personality::minerd());
        pair.run(20 * SECOND);
        let pool = pair.counts();
        assert!(pool.shares.accepted() > 150, "{name}: {pool:#?}");
        assert_eq!(pool.shares.faults(), 0, "{name}: {pool:#?}");
        assert!(pool.shares.count(Reason::Stale) > 0, "{name}: late shares are stale after a block");
    }
}

/// The one reason that a tampered line must lead to.
fn tampered(spec: PoolSpec, personality: Personality, tamper: fn(String) -> String) -> Reason {
    let mut pair = Pair::new(spec, personality);
    pair.run(SECOND);
    assert!(pair.counts().shares.accepted() > 0);
    let before = pair.counts().shares;
    pair.tamper = tamper;
    pair.run(3 * SECOND);
    let after = pair.counts().shares;
    let grown = |reason: &&Reason| after.count(**reason) > before.count(**reason);
    let reasons: Vec<&Reason> = Reason::ALL.iter().filter(grown).collect();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    *reasons[0]
}

fn edit_param(line: String, index: usize, edit: fn(&str) -> String) -> String {
    let mut message: serde_json::Value = serde_json::from_str(&line).expect("miners send JSON");
    if message["method"] == "mining.submit" {
        let old = message["params"][index].as_str().unwrap_or_default().to_owned();
        message["params"][index] = edit(&old).into();
    }
    format!("{message}\n")
}

#[test]
fn every_mistake_has_its_reason() {
    let good = || PoolSpec::new("good", 1);
    let edited = |tamper| tampered(good(), Personality::bitaxe(), tamper);
    assert_eq!(edited(|l| edit_param(l, 0, |_| "other".into())), Reason::WrongUser);
    assert_eq!(edited(|l| edit_param(l, 1, |_| "ffff".into())), Reason::UnknownJob);
    assert_eq!(edited(|l| edit_param(l, 2, |old| old[2..].into())), Reason::Extranonce2Length);
    assert_eq!(edited(|l| edit_param(l, 2, |old| old[1..].into())), Reason::Malformed);
    assert_eq!(edited(|l| edit_param(l, 3, |_| "00000001".into())), Reason::TimeOutOfRange);
    assert_eq!(edited(|l| edit_param(l, 4, |_| "xyz".into())), Reason::Malformed);
    assert_eq!(edited(|l| edit_param(l, 5, |_| "80000000".into())), Reason::VersionBits);
    let five = |l: String| {
        let mut message: serde_json::Value = serde_json::from_str(&l).unwrap();
        if message["method"] == "mining.submit" {
            message["params"].as_array_mut().unwrap().pop();
        }
        format!("{message}\n")
    };
    assert_eq!(tampered(PoolSpec::datum("datum", 1), Personality::bitaxe(), five), Reason::VersionBits);
}

#[test]
fn wrong_bytes_are_low_difficulty_and_repeats_are_duplicates() {
    let spec = || PoolSpec { difficulty: "0.000002".into(), ..PoolSpec::new("good", 1) };
    let flip = |l| edit_param(l, 2, |old| format!("ee{}", &old[2..]));
    assert_eq!(tampered(spec(), Personality::cgminer(), flip), Reason::LowDifficulty);

    let mut pair = Pair::new(spec(), Personality::cgminer());
    pair.run(SECOND);
    // The same share in another spelling.
    pair.tamper = |line| {
        let upper = edit_param(line.clone(), 4, |nonce| format!("0x{}", nonce.to_uppercase()));
        if line.contains("mining.submit") { format!("{line}{upper}") } else { line }
    };
    let before = pair.counts().shares.accepted();
    pair.run(3 * SECOND);
    let shares = pair.counts().shares;
    assert!(shares.count(Reason::Duplicate) > 5);
    assert_eq!(shares.count(Reason::Duplicate), shares.accepted() - before);
    assert!(pair.miner.snapshot(pair.now).answered_twice > 0, "the miner counts replies that it did not ask for");
}

#[test]
fn a_raised_difficulty_hits_shares_in_flight_by_the_rule_of_the_software() {
    let script = vec![(5 * SECOND, Script::SetDifficulty("0.00002".into()))];
    let mut pair =
        Pair::new(PoolSpec { script: script.clone(), ..PoolSpec::public_pool("pp", 1) }, Personality::minerd());
    pair.run(15 * SECOND);
    assert!(pair.counts().shares.count(Reason::LowForChange) > 30);
    assert_eq!(pair.counts().shares.faults(), 0);

    let mut pair = Pair::new(PoolSpec { script, ..PoolSpec::ckpool("ck", 1) }, Personality::minerd());
    pair.run(15 * SECOND);
    assert_eq!(pair.counts().shares.rejected(), 0);
    assert_eq!(pair.miner.snapshot(pair.now).difficulty, Some(0.00002));
}

#[test]
fn outages() {
    for mode in [OutageMode::Close, OutageMode::Refuse, OutageMode::Silent, OutageMode::Frozen] {
        let script = vec![(5 * SECOND, Script::Outage { mode, until_us: 10 * SECOND })];
        let mut pair = Pair::new(PoolSpec { script, ..PoolSpec::new("flaky", 1) }, Personality::bitaxe());
        pair.run(6 * SECOND);
        let (pool, before) = (pair.counts(), pair.miner.snapshot(pair.now));
        assert_eq!(pool.outage, Some(mode));
        pair.run(9 * SECOND);
        assert_eq!(pair.counts().shares, pool.shares, "{mode:?}: no verdicts while it is out");
        pair.run(20 * SECOND);
        let (after, miner) = (pair.counts(), pair.miner.snapshot(pair.now));
        assert!(after.shares.accepted() > pool.shares.accepted() + 60, "{mode:?}");
        assert_eq!(after.shares.faults(), 0, "{mode:?}: {after:#?}");
        let stays = matches!(mode, OutageMode::Silent | OutageMode::Frozen);
        assert_eq!(miner.disconnects == 0, stays, "{mode:?}");
        assert_eq!(miner.unanswered > 0, mode == OutageMode::Silent, "{mode:?}");
        assert!(before.submitted > 0);
    }
}

#[test]
fn refusals_and_black_holes() {
    let refuses = PoolSpec { refuse_worker: Some("no such wallet".into()), ..PoolSpec::ckpool("no", 1) };
    let mut pair = Pair::new(PoolSpec { reject: RejectShape::RejectReason, ..refuses }, Personality::cgminer());
    pair.run(5 * SECOND);
    assert!(pair.to_miner.iter().any(|l| l.contains("\"reject-reason\":\"no such wallet\"")));
    assert!(!pair.miner.snapshot(pair.now).authorised);

    let hole = PoolSpec { answers_submits: false, ..PoolSpec::new("hole", 1) };
    let mut pair = Pair::new(hole, Personality::cgminer());
    pair.run(50 * SECOND);
    let miner = pair.miner.snapshot(pair.now);
    assert_eq!(miner.accepted, 0);
    assert!(miner.violations.first.iter().any(|v| v.contains("never answered")), "{miner:#?}");
}

#[test]
fn set_extranonce_by_temper() {
    let script = vec![(5 * SECOND, Script::SetExtranonce { extranonce2_bytes: 4, subscribers_only: false })];
    let run = |personality| {
        let mut pair = Pair::new(PoolSpec { script: script.clone(), ..PoolSpec::new("nicehash", 1) }, personality);
        pair.run(15 * SECOND);
        (pair.counts().shares, pair.miner.snapshot(pair.now))
    };
    let (shares, miner) = run(Personality::cpuminer_opt());
    assert_eq!((shares.faults(), miner.hangups, miner.extranonce_bytes), (0, 0, Some((4, 4))));
    let (shares, _) = run(Personality::nerdminer());
    assert!(shares.count(Reason::Extranonce2Length) > 0, "one that ignores it loses its shares");
    let (_, miner) = run(Personality::whatsminer());
    assert_eq!(miner.hangups, 1);
}

#[test]
fn version_rolling_negotiated_and_not() {
    let narrow =
        PoolSpec { version_rolling: dpmp_sim::pool::VersionRolling::Mask(0x00ff_e000), ..PoolSpec::new("narrow", 1) };
    let rolls = |personality: Personality| Personality { hashes_per_work: 500, ..personality };
    let mut pair = Pair::new(narrow.clone(), rolls(Personality::bitaxe()));
    pair.run(10 * SECOND);
    assert_eq!(pair.counts().shares.faults(), 0);
    let mut pair = Pair::new(narrow, Personality { hashes_per_work: 3, ..Personality::nerdqaxe() });
    pair.run(10 * SECOND);
    assert!(pair.counts().shares.count(Reason::VersionBits) > 0, "one that rolls as it likes is found out");
}

#[test]
fn a_miner_finds_fault_with_what_firmwares_cannot_bear() {
    let complaints = |raw: &str| {
        let script = vec![(2 * SECOND, Script::Raw(raw.to_owned()))];
        let mut pair = Pair::new(PoolSpec { script, ..PoolSpec::new("good", 1) }, Personality::avalon());
        pair.run(3 * SECOND);
        pair.miner.snapshot(pair.now).violations.first.join("; ")
    };
    let set = |d: &str| format!("{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{d}]}}");
    for (raw, words) in [
        (String::new(), "no JSON object"),
        (set("1.5"), "neither an integer"),
        (format!("{}\n{}", set("0.1"), set("0.2")), "two set_difficulty"),
        ("{\"method\":\"mining.set_difficulty\",\"params\":[1],\"id\":null}".into(), "the keys are not"),
        ("{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"00000001\"]}".into(), "1 parameters"),
        ("{\"id\":3,\"result\":true,\"error\":null}".into(), "a reply to nothing"),
        ("{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"00\",4]}".into(), "never asked"),
        ("{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"1fffe000\"]}\n".repeat(2), "second time"),
    ] {
        let found = complaints(&raw);
        assert!(found.contains(words), "{raw}: {found}");
    }
}
