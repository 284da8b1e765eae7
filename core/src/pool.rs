//! One connection to a pool ([`Upstream`]), and what a group remembers of a pool between connections ([`Link`]). Knows
//! no miner's inside and no other pool.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::acceptance::Acceptance;
use crate::chain::payout::Payout;
use crate::difficulty::{Difficulty, Target};
use crate::frame::Framer;
use crate::ids::{GroupId, MinerId, PoolId, UpstreamId};
use crate::job::{PoolJobKey, ShareKey};
use crate::notice::HeldOff;
use crate::stratum::wire::RequestId;
use crate::time::{Span, Time};

/// First wait before a pool is tried again; doubles with each failure in a row.
const FIRST_RETRY: Span = Span::secs(5);
/// Longest wait before a pool is tried again.
const LONGEST_RETRY: Span = Span::secs(60);
/// Outages within this time count as flapping.
const FLAP_WINDOW: Span = Span::mins(10);
/// A pool that went out twice within [`FLAP_WINDOW`] has to stand this long before it is trusted; doubles each time.
const FIRST_PROOF: Span = Span::secs(10);
/// A pool never has to stand longer than this.
const LONGEST_PROOF: Span = Span::secs(120);
/// One that sends jobs and answers no submit has to stand this long, if there is another; doubles each time.
const FIRST_DEAF_PROOF: Span = Span::secs(60);
/// The longest of these.
const LONGEST_DEAF_PROOF: Span = Span::mins(2);

/// Whom an upstream serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Owner {
    Group(GroupId),
    /// Nobody: it only learns the pool's sizes.
    Probe,
}

/// How far an upstream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    Connecting,
    /// Configure and subscribe are sent.
    Subscribing,
    /// Subscribed, but the miner has not told its user yet.
    NoUser,
    Authorizing,
    Ready,
}

/// One connection to a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Upstream {
    pub(crate) id: UpstreamId,
    pub(crate) pool: PoolId,
    pub(crate) owner: Owner,
    pub(crate) phase: Phase,
    pub(crate) framer: Framer,
    pub(crate) extranonce1: alloc::vec::Vec<u8>,
    /// 0 until subscribed.
    pub(crate) extranonce2_bytes: u8,
    /// The version mask asked for last; none: never asked.
    pub(crate) asked_mask: Option<u32>,
    /// The version mask granted.
    pub(crate) mask: u32,
    /// It has granted version rolling: each submit carries version bits, if only zeros. DATUM refuses one without, also
    /// when its mask has shrunk to none.
    pub(crate) wants_bits: bool,
    pub(crate) difficulty: Difficulty,
    /// It has told a difficulty of its own.
    pub(crate) difficulty_told: bool,
    /// The newest job.
    pub(crate) job: Option<PoolJobKey>,
    /// Jobs received.
    pub(crate) seq: u64,
    /// The block's height in its newest job.
    pub(crate) height: Option<u32>,
    /// The next job is clean whatever the pool says: the extranonce has changed.
    pub(crate) force_clean: bool,
    gave_up_configure: bool,
    pub(crate) last_received: Time,
    /// The user that it is authorised as.
    pub(crate) user: Arc<str>,
    /// It was told that it can be worked for.
    pub(crate) announced: bool,
    /// Submits that were given up since the last one that was answered.
    pub(crate) unanswered: u32,
    pub(crate) bad_lines: u32,
    last_request: u64,
    requests: BTreeMap<u64, Request>,
}

/// A request of ours that waits for its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Request {
    Configure,
    Subscribe,
    Authorize,
    /// Many pools never answer it.
    Suggest,
    Submit(Submitted),
}

/// A share on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Submitted {
    pub(crate) miner: MinerId,
    pub(crate) id: RequestId,
    pub(crate) sent: Time,
    /// What the pool will credit it with.
    pub(crate) assigned: Difficulty,
    /// What it tells of the miner's hash rate.
    pub(crate) worked: Difficulty,
    /// Its hash's true difficulty; 0 if not checked.
    pub(crate) achieved: f64,
    /// Its hash; none if not checked.
    pub(crate) hash: Option<Target>,
    /// A block that was sent although it breaks a local rule, or is less than the pool asks for.
    pub(crate) anyway: bool,
    pub(crate) job: PoolJobKey,
    pub(crate) share: ShareKey,
}

impl Upstream {
    pub(crate) fn new(id: UpstreamId, pool: PoolId, owner: Owner, now: Time) -> Upstream {
        Upstream {
            id,
            pool,
            owner,
            phase: Phase::Connecting,
            framer: Framer::default(),
            extranonce1: alloc::vec::Vec::new(),
            extranonce2_bytes: 0,
            asked_mask: None,
            mask: 0,
            wants_bits: false,
            difficulty: Difficulty::ONE,
            difficulty_told: false,
            job: None,
            seq: 0,
            height: None,
            force_clean: false,
            gave_up_configure: false,
            last_received: now,
            user: "".into(),
            announced: false,
            unanswered: 0,
            bad_lines: 0,
            last_request: 0,
            requests: BTreeMap::new(),
        }
    }

    /// The group that it serves; none for a probe.
    pub(crate) fn group(&self) -> Option<GroupId> {
        match self.owner {
            Owner::Group(group) => Some(group),
            Owner::Probe => None,
        }
    }

    /// It has answered subscribe.
    pub(crate) fn subscribed(&self) -> bool {
        !matches!(self.phase, Phase::Connecting | Phase::Subscribing)
    }

    /// Gives the request its id, and keeps it until it is answered.
    pub(crate) fn request(&mut self, request: Request) -> u64 {
        self.last_request += 1;
        if matches!(request, Request::Suggest) {
            // Only one of those that may never be answered is kept.
            self.requests.retain(|_, r| !matches!(r, Request::Suggest));
        }
        self.requests.insert(self.last_request, request);
        self.last_request
    }

    /// Takes the request that an answer belongs to.
    pub(crate) fn answered(&mut self, id: u64) -> Option<Request> {
        self.requests.remove(&id)
    }

    /// Configure was not answered in time: it is waited for no longer, but if an answer comes it counts.
    pub(crate) fn give_up_configure(&mut self) {
        self.gave_up_configure = true;
    }

    /// Version bits that may go upstream. While configure is on its way, submits behind it are judged by its outcome.
    pub(crate) fn allowed_bits(&self) -> u32 {
        if self.awaits_configure() {
            self.mask | self.asked_mask.unwrap_or(0) & crate::extranonce::BIP_320
        } else {
            self.mask
        }
    }

    /// True while an answer to configure is awaited.
    pub(crate) fn awaits_configure(&self) -> bool {
        !self.gave_up_configure && self.requests.values().any(|r| matches!(r, Request::Configure))
    }

    /// The submit that has waited longest.
    pub(crate) fn oldest_submit(&self) -> Option<(u64, &Submitted)> {
        self.requests.iter().find_map(|(id, r)| match r {
            Request::Submit(s) => Some((*id, s)),
            _ => None,
        })
    }

    /// Takes all submits that wait, oldest first.
    pub(crate) fn take_submits(&mut self) -> impl Iterator<Item = Submitted> + use<> {
        core::mem::take(&mut self.requests).into_values().filter_map(|r| match r {
            Request::Submit(s) => Some(s),
            _ => None,
        })
    }

    /// All submits that wait, for redacted recordings.
    pub(crate) fn submits_mut(&mut self) -> impl Iterator<Item = &mut Submitted> {
        self.requests.values_mut().filter_map(|r| match r {
            Request::Submit(s) => Some(s),
            _ => None,
        })
    }

    /// Takes the submits of one miner, oldest first.
    pub(crate) fn take_submits_of(&mut self, miner: MinerId) -> impl Iterator<Item = Submitted> + use<> {
        let of_miner = |r: &Request| matches!(r, Request::Submit(s) if s.miner == miner);
        let (taken, kept): (BTreeMap<_, _>, _) =
            core::mem::take(&mut self.requests).into_iter().partition(|(_, r)| of_miner(r));
        self.requests = kept;
        taken.into_values().filter_map(|r| match r {
            Request::Submit(s) => Some(s),
            _ => None,
        })
    }

    /// True if submits wait for an answer.
    pub(crate) fn has_submits(&self) -> bool {
        self.oldest_submit().is_some()
    }

    /// It can be worked for: authorised, it has sent a job, and its version mask is settled.
    pub(crate) fn has_work(&self) -> bool {
        self.phase == Phase::Ready && self.job.is_some() && (self.announced || !self.awaits_configure())
    }
}

/// Where a group stands with a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) state: LinkState,
    /// Connections that failed or broke since the last one that worked.
    pub(crate) failures: u32,
    /// The connection stands but gets no work.
    pub(crate) held: Option<HeldOff>,
    /// The pool has been worked for at least once.
    pub(crate) worked: bool,
    /// It was told that it can be worked for, and has not gone out since.
    pub(crate) up: bool,
    /// Outages in a row within the flap window, and when the last one was.
    flaps: u32,
    last_out: Time,
    /// How often it was given up for answering no submit, since it last answered one.
    deaf: u32,
    /// The pool has lost its weight; until this time it keeps the work that it has, if no other is ready for it yet.
    pub(crate) retired_until: Option<Time>,
    /// Before this time the pool gets work only if there is no other.
    pub(crate) trusted_from: Time,
}

/// Whether a group has a connection to a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LinkState {
    /// Not wanted.
    #[default]
    Off,
    /// To be tried again when its timer comes.
    Waiting,
    /// Connecting or connected.
    Open(UpstreamId),
}

impl Link {
    pub(crate) fn upstream(&self) -> Option<UpstreamId> {
        match self.state {
            LinkState::Open(id) => Some(id),
            LinkState::Off | LinkState::Waiting => None,
        }
    }

    /// A connection failed or broke: how long to wait before the next.
    pub(crate) fn failed(&mut self) -> Span {
        self.failures = self.failures.saturating_add(1);
        let doublings = self.failures.saturating_sub(1).min(16);
        FIRST_RETRY.times(1 << doublings).min(LONGEST_RETRY)
    }

    /// The pool can no longer be worked for, after it could.
    pub(crate) fn went_out(&mut self, now: Time) {
        self.flaps = if self.flaps > 0 && now.since(self.last_out) <= FLAP_WINDOW { self.flaps + 1 } else { 1 };
        self.last_out = now;
        self.up = false;
    }

    /// The pool can be worked for again: from when on it is trusted.
    pub(crate) fn came_back(&mut self, now: Time) -> Time {
        self.failures = 0;
        self.worked = true;
        self.up = true;
        let flapped = self.flapped();
        let deaf = match self.deaf {
            0 => Span::ZERO,
            n => FIRST_DEAF_PROOF.times(1 << (n - 1).min(8)).min(LONGEST_DEAF_PROOF),
        };
        self.trusted_from = now + flapped.max(deaf);
        self.trusted_from
    }

    /// It sends jobs, and answers no submit.
    pub(crate) fn was_deaf(&mut self) {
        self.deaf = self.deaf.saturating_add(1);
    }

    /// It has answered a submit: that it answered none before is forgotten. If it is trusted sooner for it, from when on.
    pub(crate) fn hears(&mut self, now: Time) -> Option<Time> {
        if core::mem::take(&mut self.deaf) == 0 {
            return None;
        }
        let sooner = now + self.flapped();
        if sooner >= self.trusted_from {
            return None;
        }
        self.trusted_from = sooner;
        Some(sooner)
    }

    /// How long it has to stand for its outages.
    fn flapped(&self) -> Span {
        match self.flaps {
            0 | 1 => Span::ZERO,
            n => FIRST_PROOF.times(1 << (n - 2).min(8)).min(LONGEST_PROOF),
        }
    }

    /// The pool asked to be connected to anew. It is done at once, unless it has gone out before in the last while.
    pub(crate) fn may_return_at_once(&self) -> bool {
        self.worked && self.flaps <= 1 && self.failures == 0
    }
}

/// What is known of a pool, whoever is connected to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PoolFacts {
    pub(crate) host: Arc<str>,
    /// Bytes of extranonce2; none: never learnt.
    pub(crate) extranonce2_bytes: Option<u8>,
    /// The version bits that it grants; none: never learnt.
    pub(crate) mask: Option<u32>,
    /// A probe that is under way.
    pub(crate) probe: Option<UpstreamId>,
    pub(crate) probe_failures: u32,
    /// A miner insists on version bits that it is not known to grant: it is asked again, though others are connected.
    pub(crate) mask_wanted: bool,
    /// The last that was heard of it was a failure.
    pub(crate) suspect: bool,
    /// What part of its shares it accepts.
    pub(crate) acceptance: Acceptance,
    /// The output script of the configured wallet, if it is an address.
    pub(crate) wallet: Option<alloc::vec::Vec<u8>>,
    /// What its jobs told last of the chain; none before the first.
    pub(crate) chain: Option<ChainSeen>,
    /// A job of it has paid the wallet.
    pub(crate) paid: bool,
}

/// What a job told of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChainSeen {
    pub(crate) height: Option<u32>,
    pub(crate) nbits: u32,
    pub(crate) payout: Payout,
    /// Whose job it was, and when.
    pub(crate) by: UpstreamId,
    pub(crate) at: Time,
}

impl PoolFacts {
    pub(crate) fn new(host: &str) -> PoolFacts {
        PoolFacts {
            host: host.into(),
            extranonce2_bytes: None,
            mask: None,
            probe: None,
            probe_failures: 0,
            mask_wanted: false,
            suspect: false,
            acceptance: Acceptance::default(),
            wallet: None,
            chain: None,
            paid: false,
        }
    }

    /// A pool granted `granted` of the version bits that were `asked` for.
    pub(crate) fn learn_mask(&mut self, asked: u32, granted: u32) {
        self.mask = Some(self.mask.unwrap_or(0) & !asked | granted & asked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_to_a_minute() {
        let mut link = Link::default();
        let waits: alloc::vec::Vec<u64> = (0..6).map(|_| link.failed().as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        link.came_back(Time::ZERO);
        assert_eq!(link.failed().as_secs(), 5);
    }

    #[test]
    fn a_flapping_pool_has_to_prove_itself() {
        let mut link = Link::default();
        let mut proof = |at: u64| {
            let now = Time::ZERO + Span::secs(at);
            link.went_out(now);
            link.came_back(now).since(now).as_secs()
        };
        assert_eq!([proof(0), proof(60), proof(120), proof(180)], [0, 10, 20, 40]);
        assert_eq!(proof(10_000), 0, "after a quiet time it is trusted at once");
    }

    #[test]
    fn a_deaf_pool_is_trusted_after_longer_and_longer_times() {
        let mut link = Link::default();
        let mut proof = || {
            link.was_deaf();
            link.came_back(Time::ZERO).since(Time::ZERO).as_secs()
        };
        assert_eq!([proof(), proof(), proof()], [60, 120, 120]);
        assert_eq!(link.hears(Time::ZERO), Some(Time::ZERO), "one answer is enough");
        assert_eq!(link.hears(Time::ZERO), None);
        assert_eq!(link.came_back(Time::ZERO), Time::ZERO);
    }

    #[test]
    fn masks_are_learnt_bit_by_bit() {
        let mut facts = PoolFacts::new("h");
        facts.learn_mask(u32::MAX, 0x1fff_e000);
        facts.learn_mask(0x00ff_0000, 0);
        assert_eq!(facts.mask, Some(0x1f00_e000));
    }
}
