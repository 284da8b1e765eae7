//! A simulated miner without sockets or clock: its connections in `mod` and `session`, what it
//! makes of each line in `lines`,
//! hashing in `work`, what it demands of the other end in `check`, its habits in `spec`, what it counts in `stats`.
//!
//! Call [`SimMiner::connected`], [`SimMiner::receive`] and [`SimMiner::closed`] as things happen, [`SimMiner::tick`] when
//! [`SimMiner::next_deadline`] has come, and [`SimMiner::mine`] (real time) or [`SimMiner::solve`] (virtual time) to
//! hash; each appends what is to be sent. After a close, from whichever side, the runner connects again when
//! [`SimMiner::reconnect_delay_us`] has passed.

mod check;
mod lines;
mod session;
mod spec;
mod stats;
mod work;

use std::collections::VecDeque;

pub use spec::{Extranonce2, Ids, MinerSpec, Patience, Personality, Probing, Rolling, SetExtranonce, Spelling, Step};
pub use stats::MinerSnapshot;
pub use work::Found;

use crate::frame::Complaints;
use crate::rng::Rng;
use session::{Purpose, Session};

/// What a miner wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MinerOut {
    /// Write these bytes.
    Send(Vec<u8>),
    /// Close the connection. [`SimMiner::closed`] is not called for it.
    Close,
}

/// Where the jobs of a miner come from: the start of the coinbase, for those who know the pools' jobs.
#[derive(Clone, Copy, Debug)]
pub struct JobView<'a> {
    /// Its id as the miner was told.
    pub id: &'a str,
    /// The coinbase up to the extranonce.
    pub coinb1: &'a [u8],
    /// What stands where the extranonce1 goes.
    pub extranonce1: &'a [u8],
    /// The difficulty it is worked on at.
    pub difficulty: f64,
}

/// The miner.
#[derive(Clone, Debug)]
pub struct SimMiner {
    spec: MinerSpec,
    rng: Rng,
    stats: MinerSnapshot,
    session: Option<Session>,
    /// Session id of the last subscribe reply, to resume.
    resume: Option<String>,
    probes: u32,
    idle_since: Option<u64>,
    /// Until then its network is bad, and nobody is to blame for silence.
    bad_network_until_us: u64,
    /// Until then no pool has work for anybody.
    no_work_until_us: u64,
    found: VecDeque<Found>,
}

impl SimMiner {
    /// Not connected yet.
    pub fn new(spec: MinerSpec) -> SimMiner {
        SimMiner {
            rng: Rng::new(spec.seed, &spec.name),
            stats: MinerSnapshot {
                name: spec.name.clone(),
                personality: spec.personality.label.clone(),
                rolls_at_will: spec.personality.rolling == Rolling::Always,
                hash_rate: spec.hash_rate,
                ..MinerSnapshot::default()
            },
            session: None,
            resume: None,
            probes: 0,
            idle_since: None,
            bad_network_until_us: 0,
            no_work_until_us: 0,
            found: VecDeque::new(),
            spec,
        }
    }

    /// The version bits that it was last told to roll; none if version rolling was not granted on this connection.
    pub fn mask(&self) -> Option<u32> {
        self.session.as_ref()?.mask
    }

    /// What the other end did wrong so far.
    pub fn violations(&self) -> &Complaints {
        &self.stats.violations
    }

    /// Authorised, on a connection that is meant to last.
    pub fn ready(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.purpose == Purpose::Stay && session.authorised)
    }

    /// Until then what does not reach it in time is nobody's fault.
    pub fn bad_network_until(&mut self, until_us: u64) {
        self.bad_network_until_us = self.bad_network_until_us.max(until_us);
    }

    /// Until then nobody has work: that it gets no job is nobody's fault.
    pub fn no_work_until(&mut self, until_us: u64) {
        self.no_work_until_us = until_us;
    }

    /// How often it left because version rolling was not granted, and how often it connected.
    pub fn mask_refusals(&self) -> (u64, u64) {
        (self.stats.mask_refusals, self.stats.connects)
    }

    /// This connection is meant to last.
    pub fn stays(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.purpose == Purpose::Stay)
    }

    /// What it was told to be.
    pub fn spec(&self) -> &MinerSpec {
        &self.spec
    }

    /// A copy of the counters.
    pub fn snapshot(&self, now_us: u64) -> MinerSnapshot {
        let session = self.session.as_ref();
        MinerSnapshot {
            connected: session.is_some(),
            authorised: session.is_some_and(|s| s.authorised),
            has_job: session.is_some_and(|s| !s.jobs.is_empty()),
            difficulty: session.and_then(|s| s.difficulty),
            extranonce_bytes: session.and_then(Session::extranonce_bytes),
            unanswered: session.map_or(0, Session::unanswered),
            idle_us: self.stats.idle_us + self.idle_since.map_or(0, |since| now_us.saturating_sub(since)),
            ..self.stats.clone()
        }
    }

    /// Takes out the shares that were submitted since the last call, at most the latest 10,000.
    pub fn take_found(&mut self) -> Vec<Found> {
        self.found.drain(..).collect()
    }

    /// The job that it works on, late work aside.
    pub fn job(&self) -> Option<JobView<'_>> {
        let job = self.session.as_ref()?.jobs.front()?;
        Some(JobView { id: &job.id, coinb1: &job.coinb1, extranonce1: &job.extranonce1, difficulty: job.difficulty })
    }

    /// How long it waits before it connects (again).
    pub fn reconnect_delay_us(&mut self) -> u64 {
        let probing = match self.spec.personality.probing {
            Probing::None => 0,
            Probing::Tls => 3,
            Probing::Heartbeat => 1,
        };
        if self.probes <= probing { self.rng.between(500, 3_000) } else { self.rng.between(1_000_000, 2_000_000) }
    }

    /// The connection stands: the handshake begins.
    pub fn connected(&mut self, now_us: u64, out: &mut Vec<MinerOut>) {
        let purpose = match (self.spec.personality.probing, self.probes) {
            (Probing::Tls, 0 | 2) => Purpose::ClientHello,
            (Probing::Tls, 1) => Purpose::Look { authorise: false },
            (Probing::Heartbeat, 0) => Purpose::Look { authorise: true },
            _ => Purpose::Stay,
        };
        self.probes = self.probes.saturating_add(1);
        self.stats.connects += 1;
        self.idle_since.get_or_insert(now_us);
        self.session = Some(Session::new(purpose, now_us, self.rng.next()));
        if purpose == Purpose::ClientHello {
            let mut hello = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
            hello.extend(self.rng.bytes(506));
            out.push(MinerOut::Send(hello));
            return;
        }
        self.advance(now_us, out);
    }

    /// The other end closed.
    pub fn closed(&mut self, now_us: u64) {
        self.closed_for(now_us, false);
    }

    /// The other end closed, and the runner says whether it had every right to: else it is a violation.
    pub fn closed_for(&mut self, now_us: u64, excused: bool) {
        let Some(session) = &self.session else { return };
        if session.purpose == Purpose::Stay && excused {
            self.stats.excused_disconnects += 1;
        } else if session.purpose == Purpose::Stay {
            self.stats.disconnects += 1;
            let since = now_us.saturating_sub(session.since_us) as f64 / 1e6;
            self.stats.violations.push(now_us, || format!("disconnected after {since:.3} s"));
        }
        self.end_session(now_us);
    }

    /// The network broke the connection, and nobody is to blame.
    pub fn cut(&mut self, now_us: u64) {
        self.end_session(now_us);
    }

    /// When [`tick`](SimMiner::tick) is due.
    pub fn next_deadline(&self) -> u64 {
        self.session
            .as_ref()
            .map_or(u64::MAX, |session| session.next_deadline(&self.spec.personality, self.bad_network_until_us))
    }

    /// Hashes up to `max_hashes` nonces and submits what it finds; returns how many were hashed.
    pub fn mine(&mut self, max_hashes: u64, now_us: u64, out: &mut Vec<MinerOut>) -> u64 {
        let mut done = 0;
        while done < max_hashes {
            let Some((hashed, found)) = self.search(max_hashes - done, now_us) else { break };
            done += hashed;
            if let Some((found, late)) = found {
                self.submit(found, late, now_us, out);
            }
        }
        done
    }

    /// Searches until one share is found, and submits it; for a virtual clock, on which the runner has drawn the time.
    /// False if there is nothing to work on, or nothing was found in 2^28 hashes.
    pub fn solve(&mut self, now_us: u64, out: &mut Vec<MinerOut>) -> bool {
        let Some((_, Some((found, late)))) = self.search(1 << 28, now_us) else { return false };
        self.submit(found, late, now_us, out);
        true
    }

    /// How long it hashes nothing because of the job that it works on now.
    pub fn restarts_for_us(&self) -> u64 {
        let clean = self.session.as_ref().and_then(|s| s.jobs.front()).is_some_and(|job| job.clean);
        if clean { self.spec.personality.restart_us } else { 0 }
    }

    /// Hashes that a share takes on average; none without work.
    pub fn expected_hashes(&self) -> Option<f64> {
        let session = self.session.as_ref().filter(|s| s.authorised)?;
        Some(session.jobs.front()?.difficulty * 4_295_032_833.0)
    }

    fn search(&mut self, budget: u64, now_us: u64) -> Option<(u64, Option<(Found, bool)>)> {
        let personality = &self.spec.personality;
        let session = self.session.as_mut().filter(|s| s.authorised && s.purpose == Purpose::Stay)?;
        let late = session.jobs.len() > 1 && now_us < session.changed_us + personality.late_us;
        let index = match late {
            true => 1 + self.rng.below((session.jobs.len() - 1).min(personality.late_jobs) as u64) as usize,
            false => 0,
        };
        let job = session.jobs.get_mut(index)?;
        let (hashed, found) = job.search(personality, self.spec.pow, &mut self.rng, budget);
        self.stats.hashes += hashed;
        Some((hashed, found.map(|found| (found, late))))
    }
}
