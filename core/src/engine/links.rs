//! When a pool is connected, tried again, held off, trusted, probed.

use super::state::Engine;
use crate::action::{Action, ActionBuf};
use crate::close::CloseReason;
use crate::ids::{Conn, GroupId, PoolId, UpstreamId};
use crate::miner::{Miner, Stage};
use crate::notice::{HeldOff, Notice, SwitchReason, Who};
use crate::pool::{LinkState, Owner, Phase, Upstream};
use crate::time::{Span, Time};
use crate::timers::TimerKind;

/// A pool must have answered configure, subscribe and authorize, and sent a job, within this time.
pub(super) const HANDSHAKE: Span = Span::secs(30);
/// A submit must be answered within this time.
pub(super) const ANSWER: Span = Span::secs(30);
/// A pool that is held off may say something for this long before its connection is given up.
const GIVE_UP: Span = Span::secs(30);
/// A pool that has lost its weight keeps its work for this long at most.
const RETIRE: Span = Span::secs(10);
/// A pool that had failed has work again: those without work try it within this time, so that not all come at once.
const HURRY: Span = Span::millis(500);
/// Pools that nobody is connected to are probed again after this time.
const PROBE_AGAIN: Span = Span::mins(30);
/// First wait after a failed probe; doubles up to [`LONGEST_PROBE_RETRY`].
const PROBE_RETRY: Span = Span::secs(5);
/// Longest wait after a failed probe.
const LONGEST_PROBE_RETRY: Span = Span::secs(60);

impl Engine {
    /// Connects a group to every pool in use that it is not connected to.
    pub(super) fn open_links(&mut self, group: GroupId, now: Time, out: &mut ActionBuf) {
        for pool in self.config.pool_ids() {
            if self.config.in_use(pool) {
                self.open_link(group, pool, now, out);
            }
        }
    }

    /// Connects a group to one pool, unless it is or is about to.
    pub(super) fn open_link(&mut self, group: GroupId, pool: PoolId, now: Time, out: &mut ActionBuf) {
        if self.link(group, pool).is_some_and(|l| l.state == LinkState::Off) {
            self.connect(group, pool, now, out);
        }
    }

    pub(super) fn retry(&mut self, group: GroupId, pool: PoolId, now: Time, out: &mut ActionBuf) {
        if self.link(group, pool).is_some_and(|l| l.state == LinkState::Waiting) {
            self.connect(group, pool, now, out);
        }
    }

    fn connect(&mut self, group: GroupId, pool: PoolId, now: Time, out: &mut ActionBuf) {
        if self.draining.is_some() {
            return;
        }
        let id = self.new_upstream();
        if let Some(link) = self.link(group, pool) {
            link.state = LinkState::Open(id);
            link.held = None;
        }
        self.dial(Upstream::new(id, pool, Owner::Group(group), now), now, out);
    }

    fn dial(&mut self, upstream: Upstream, now: Time, out: &mut ActionBuf) {
        let (id, pool) = (upstream.id, upstream.pool);
        let Some(config) = self.config.pool(pool) else { return };
        let host = self.facts.get(pool.index()).map_or_else(|| config.address.host.as_str().into(), |f| f.host.clone());
        let port = config.address.port;
        let who = self.who_of(&upstream);
        out.notice(Notice::PoolConnecting { upstream: id, pool, who, host: host.clone(), port });
        out.push(Action::Connect { upstream: id, pool, host, port });
        self.upstreams.insert(id, upstream);
        self.timers.set(TimerKind::UpstreamHandshake(id), now + HANDSHAKE);
    }

    /// The miner for which an upstream stands; none for a probe.
    pub(super) fn who_of(&self, upstream: &Upstream) -> Option<Who> {
        upstream.group().and_then(|g| self.first_miner(g)).map(|m| m.who())
    }

    /// A probe's time has come: it is made unless the pool is known from a connection that stands.
    pub(super) fn probe(&mut self, pool: PoolId, now: Time, out: &mut ActionBuf) {
        let Some(facts) = self.facts.get_mut(pool.index()) else { return };
        let mask_wanted = core::mem::take(&mut facts.mask_wanted);
        // Groups try on their own, and what they learn is learnt for all; but not all of them ask for version bits.
        let busy = !mask_wanted
            && self.config.in_use(pool)
            && self.groups.values().any(|g| g.links.get(pool.index()).is_some_and(|l| l.state != LinkState::Off));
        if busy || self.draining.is_some() {
            self.timers.set(TimerKind::Probe(pool), now + PROBE_AGAIN);
            return;
        }
        let id = self.new_upstream();
        let Some(facts) = self.facts.get_mut(pool.index()) else { return };
        facts.probe = Some(id);
        self.dial(Upstream::new(id, pool, Owner::Probe, now), now, out);
    }

    /// No pool is known to grant the version bits that a miner insists on: perhaps one does by now.
    pub(super) fn ask_for_masks_again(&mut self, now: Time) {
        let at = now + LONGEST_PROBE_RETRY;
        for pool in self.config.pool_ids().filter(|pool| self.config.in_use(*pool)) {
            let Some(facts) = self.facts.get_mut(pool.index()).filter(|facts| facts.probe.is_none()) else { continue };
            facts.mask_wanted = true;
            if self.timers.at(TimerKind::Probe(pool)).is_none_or(|due| due > at) {
                self.timers.set(TimerKind::Probe(pool), at);
            }
        }
    }

    /// A probe has ended, well or not.
    fn probe_ended(&mut self, pool: PoolId, well: bool, now: Time) {
        let Some(facts) = self.facts.get_mut(pool.index()) else { return };
        facts.probe = None;
        facts.suspect = !well;
        let wait = if well {
            facts.probe_failures = 0;
            PROBE_AGAIN
        } else {
            facts.probe_failures = facts.probe_failures.saturating_add(1);
            PROBE_RETRY.times(1 << (facts.probe_failures - 1).min(8)).min(LONGEST_PROBE_RETRY)
        };
        let wait = self.rng.jitter(wait);
        self.timers.set(TimerKind::Probe(pool), now + wait);
    }

    /// A probe has learnt what it came for.
    pub(super) fn probe_done(&mut self, id: UpstreamId, now: Time, out: &mut ActionBuf) {
        if let Some(upstream) = self.drop_upstream(id) {
            out.push(Action::Close(Conn::Upstream(id)));
            let reason = CloseReason::ProbeDone;
            out.notice(Notice::PoolClosed { upstream: id, pool: upstream.pool, who: None, reason });
            self.probe_ended(upstream.pool, true, now);
            self.check_first_probes(now, out);
        }
    }

    /// Takes an upstream out of all tables. Its submits are still in it.
    fn drop_upstream(&mut self, id: UpstreamId) -> Option<Upstream> {
        let upstream = self.upstreams.remove(&id)?;
        for kind in [
            TimerKind::UpstreamHandshake(id),
            TimerKind::UpstreamSilence(id),
            TimerKind::UpstreamAnswer(id),
            TimerKind::UpstreamGiveUp(id),
        ] {
            self.timers.cancel(kind);
        }
        if let Some(group) = upstream.group().and_then(|g| self.groups.get_mut(&g))
            && let Some(job) = upstream.job
        {
            group.jobs.drop_unreferenced(job);
        }
        Some(upstream)
    }

    /// An upstream's connection is gone, or was never had: submits are answered, its miners get other work in this same
    /// step, and it is tried again later.
    pub(super) fn upstream_lost(&mut self, id: UpstreamId, reason: CloseReason, now: Time, out: &mut ActionBuf) {
        let Some(mut upstream) = self.drop_upstream(id) else { return };
        let pool = upstream.pool;
        if let Some(facts) = self.facts.get_mut(pool.index()) {
            facts.suspect = true;
        }
        let Some(group) = upstream.group() else {
            let error: alloc::sync::Arc<str> = reason.text().into();
            self.probe_ended(pool, false, now);
            let failures = self.facts.get(pool.index()).map_or(0, |f| f.probe_failures);
            let retry = PROBE_RETRY.times(1 << failures.saturating_sub(1).min(8)).min(LONGEST_PROBE_RETRY);
            out.notice(Notice::PoolConnectFailed { upstream: id, pool, who: None, error, failures, retry });
            self.check_first_probes(now, out);
            return;
        };
        self.answer_lost(&mut upstream, now, out);
        let was_connected = upstream.phase != Phase::Connecting;
        let wanted = self.config.in_use(pool);
        let retry = match self.link(group, pool) {
            Some(link) if !wanted => {
                // It had lost its weight: it is not tried again.
                link.state = LinkState::Off;
                link.held = None;
                link.retired_until = None;
                let who = self.first_miner(group).map(|m| m.who());
                out.notice(Notice::PoolClosed { upstream: id, pool, who, reason });
                self.place_group(group, SwitchReason::Failover, now, out);
                return;
            }
            Some(link) => {
                if link.up {
                    link.went_out(now);
                }
                link.state = LinkState::Waiting;
                link.held = None;
                let at_once = link.may_return_at_once();
                let wait = link.failed();
                match reason {
                    CloseReason::Reconnect { wait } if at_once => wait,
                    CloseReason::Reconnect { wait: asked } => self.rng.jitter(wait).max(asked),
                    _ => self.rng.jitter(wait),
                }
            }
            None => return,
        };
        self.timers.set(TimerKind::LinkRetry(group, pool), now + retry);
        let failures = self.link(group, pool).map_or(0, |l| l.failures);
        let miner = self.first_miner(group);
        let who = miner.map(|m| m.who());
        let other_alive = miner.is_some_and(|m| self.other_alive(m, pool));
        if was_connected {
            out.notice(Notice::PoolDown { upstream: id, pool, who, reason, failures, retry, other_alive });
        } else {
            let error = reason.text().into();
            out.notice(Notice::PoolConnectFailed { upstream: id, pool, who, error, failures, retry });
        }
        self.place_group(group, SwitchReason::Failover, now, out);
        // A subscribe waits for this pool's own extranonce: another pool's will do, best one that its firmware bears.
        let awaits = |m: &&Miner| matches!(m.stage, Stage::AwaitingPool { .. });
        if let Some(profile) = self.first_miner(group).filter(awaits).map(|m| m.firmware.profile) {
            let links = self.groups.get(&group).map_or(&[][..], |g| &g.links[..]);
            let off = |p: &PoolId| links.get(p.index()).is_some_and(|l| l.state == LinkState::Off);
            let other = self.best_own(profile, pool, self.config.pool_ids().filter(off));
            if let Some(other) = other {
                self.open_link(group, other, now, out);
            }
        }
    }

    /// Closes an upstream as no longer fit, and goes on as if the pool had.
    pub(super) fn fail_upstream(&mut self, id: UpstreamId, reason: CloseReason, now: Time, out: &mut ActionBuf) {
        if self.has(Conn::Upstream(id)) {
            out.push(Action::Close(Conn::Upstream(id)));
            self.upstream_lost(id, reason, now, out);
        }
    }

    /// Closes an upstream that is no longer needed, for `who`.
    pub(super) fn close_link(
        &mut self,
        group: GroupId,
        pool: PoolId,
        who: Option<Who>,
        reason: CloseReason,
        now: Time,
        out: &mut ActionBuf,
    ) {
        self.timers.cancel(TimerKind::LinkRetry(group, pool));
        self.timers.cancel(TimerKind::LinkProven(group, pool));
        let Some(link) = self.link(group, pool) else { return };
        let id = link.upstream();
        link.state = LinkState::Off;
        link.held = None;
        link.retired_until = None;
        if let Some(mut upstream) = id.and_then(|id| self.drop_upstream(id)) {
            self.answer_lost(&mut upstream, now, out);
            out.push(Action::Close(Conn::Upstream(upstream.id)));
            out.notice(Notice::PoolClosed { upstream: upstream.id, pool, who, reason });
        }
    }

    pub(super) fn upstream_handshake_timeout(&mut self, id: UpstreamId, now: Time, out: &mut ActionBuf) {
        let Some(upstream) = self.upstreams.get(&id) else { return };
        if upstream.owner == Owner::Probe && upstream.subscribed() {
            // Subscribed, and only configure was never answered: no version rolling there.
            self.learn_no_mask(id);
            self.probe_done(id, now, out);
        } else if upstream.phase == Phase::Ready && upstream.awaits_configure() {
            // Its miner works without version rolling; what holds for the pool, the probe has learnt or will.
            if let Some(upstream) = self.upstreams.get_mut(&id) {
                upstream.give_up_configure();
            }
            self.timers.set(TimerKind::UpstreamHandshake(id), now + HANDSHAKE);
            self.check_usable(id, now, out);
        } else if !upstream.has_work() && upstream.phase != Phase::NoUser {
            self.fail_upstream(id, CloseReason::PoolHandshakeTimeout, now, out);
        }
    }

    /// A pool does not answer configure: it grants no version rolling.
    fn learn_no_mask(&mut self, id: UpstreamId) {
        let Some(upstream) = self.upstreams.get(&id) else { return };
        if let (Some(facts), Some(asked)) = (self.facts.get_mut(upstream.pool.index()), upstream.asked_mask) {
            facts.learn_mask(asked, 0);
        }
    }

    /// Something that was missing has come: if it was the last, the pool can be worked for.
    pub(super) fn check_usable(&mut self, id: UpstreamId, now: Time, out: &mut ActionBuf) {
        let Some(upstream) = self.upstreams.get_mut(&id) else { return };
        if upstream.has_work() && !upstream.announced {
            upstream.announced = true;
            self.upstream_usable(id, now, out);
        }
    }

    /// The pool can be worked for, for the first time on this connection.
    fn upstream_usable(&mut self, id: UpstreamId, now: Time, out: &mut ActionBuf) {
        let Some(upstream) = self.upstreams.get(&id) else { return };
        let (pool, Some(group)) = (upstream.pool, upstream.group()) else { return };
        self.timers.cancel(TimerKind::UpstreamHandshake(id));
        self.timers.ensure(TimerKind::UpstreamSilence(id), now + self.silence(pool));
        self.hurry_others(group, pool, now);
        let Some(link) = self.link(group, pool) else { return };
        let again = link.worked;
        let trusted = link.came_back(now);
        if trusted > now {
            self.look_again(group, pool, trusted);
        }
        self.say_usable(group, pool, again, out);
        self.place_group(group, SwitchReason::Return, now, out);
    }

    /// A pool that had failed has work again: who waits to try it and has no work need not wait any more. The others work
    /// elsewhere, and what the pool is owed is made up for.
    fn hurry_others(&mut self, group: GroupId, pool: PoolId, now: Time) {
        let news = self.facts.get_mut(pool.index()).is_some_and(|facts| core::mem::take(&mut facts.suspect));
        if !news {
            return;
        }
        let waits = |g: &super::state::Group| g.links.get(pool.index()).is_some_and(|l| l.state == LinkState::Waiting);
        let waiting: alloc::vec::Vec<GroupId> =
            self.groups.iter().filter(|(id, g)| **id != group && waits(g)).map(|(id, _)| *id).collect();
        for other in waiting {
            if self.first_miner(other).is_none_or(|m| m.working.is_some()) {
                continue;
            }
            let at = now + self.rng.within(HURRY);
            let kind = TimerKind::LinkRetry(other, pool);
            if self.timers.at(kind).is_some_and(|planned| planned > at) {
                self.timers.set(kind, at);
            }
        }
    }

    /// A submit that was sent at `sent` has no answer, and its connection has heard nothing since. If no other connection
    /// to the pool has either, it is the pool that is silent, and none of them is worked for.
    pub(super) fn hold_silent(&mut self, pool: PoolId, sent: Time, now: Time, out: &mut ActionBuf) {
        let of_pool = |u: &&Upstream| u.pool == pool && u.has_work();
        if self.upstreams.values().filter(of_pool).any(|u| u.last_received > sent) {
            return;
        }
        let silent: alloc::vec::Vec<UpstreamId> = self.upstreams.values().filter(of_pool).map(|u| u.id).collect();
        for id in silent {
            self.hold(id, HeldOff::NoAnswer, now, out);
        }
    }

    fn say_usable(&self, group: GroupId, pool: PoolId, reconnected: bool, out: &mut ActionBuf) {
        if let Some(miner) = self.first_miner(group) {
            let other_alive = self.other_alive(miner, pool);
            out.notice(Notice::PoolUsable { who: miner.who(), pool, reconnected, other_alive });
        }
    }

    /// A pool is to be trusted from `at` on; until then it may be at the end of what it has without weight.
    pub(super) fn look_again(&mut self, group: GroupId, pool: PoolId, at: Time) {
        let retired = self.link(group, pool).and_then(|l| l.retired_until);
        self.timers.set(TimerKind::LinkProven(group, pool), retired.map_or(at, |until| until.min(at)));
    }

    /// A pool has stood long enough to be trusted, or has kept work without weight for long enough.
    pub(super) fn proven(&mut self, group: GroupId, pool: PoolId, now: Time, out: &mut ActionBuf) {
        self.place_group(group, SwitchReason::Return, now, out);
        if self.config.in_use(pool) {
            // It was to retire, and got its weight back.
            if let Some(trusted) = self.link(group, pool).map(|l| l.trusted_from).filter(|trusted| *trusted > now) {
                self.look_again(group, pool, trusted);
            }
            return;
        }
        match self.link(group, pool).and_then(|l| l.retired_until).filter(|until| *until > now) {
            // The timer came for its trust, not for its end.
            Some(until) => self.timers.set(TimerKind::LinkProven(group, pool), until),
            None => self.close_retired(group, pool, now, out),
        }
    }

    /// A pool has lost its weight: it keeps the work that it has for a moment, until another is ready for it.
    pub(super) fn retire(&mut self, group: GroupId, pool: PoolId, now: Time) {
        if let Some(link) = self.link(group, pool).filter(|l| l.state != LinkState::Off && l.retired_until.is_none()) {
            link.retired_until = Some(now + RETIRE);
            self.timers.set(TimerKind::LinkProven(group, pool), now + RETIRE);
        }
    }

    fn silence(&self, pool: PoolId) -> Span {
        self.config.pool(pool).map_or(Span::secs(180), |p| p.silence)
    }

    /// Nothing may have come from the pool for too long.
    pub(super) fn check_silence(&mut self, id: UpstreamId, now: Time, out: &mut ActionBuf) {
        let Some(upstream) = self.upstreams.get(&id) else { return };
        let due = upstream.last_received + self.silence(upstream.pool);
        if due > now {
            self.timers.set(TimerKind::UpstreamSilence(id), due);
        } else {
            self.hold(id, HeldOff::Silent, now, out);
        }
    }

    /// The pool gets no work while its connection stands; if it goes on like that, the connection is given up.
    /// False: it was held off already.
    pub(super) fn hold(&mut self, id: UpstreamId, why: HeldOff, now: Time, out: &mut ActionBuf) -> bool {
        let Some(upstream) = self.upstreams.get(&id) else { return false };
        let (pool, Some(group)) = (upstream.pool, upstream.group()) else { return false };
        let Some(link) = self.link(group, pool).filter(|l| l.held.is_none()) else { return false };
        link.held = Some(why.clone());
        if link.up {
            link.went_out(now);
        }
        self.timers.set(TimerKind::UpstreamGiveUp(id), now + GIVE_UP);
        if let Some(miner) = self.first_miner(group) {
            out.notice(Notice::PoolHeldOff { who: miner.who(), pool, why });
        }
        self.place_group(group, SwitchReason::Failover, now, out);
        true
    }

    pub(super) fn give_up(&mut self, id: UpstreamId, now: Time, out: &mut ActionBuf) {
        self.fail_upstream(id, CloseReason::Silent, now, out);
    }

    /// The pool has said something useful: if it was held off, it is worked for again, once it is trusted.
    pub(super) fn release(&mut self, id: UpstreamId, now: Time, out: &mut ActionBuf) {
        let Some(upstream) = self.upstreams.get(&id) else { return };
        let (pool, Some(group)) = (upstream.pool, upstream.group()) else { return };
        let Some(link) = self.link(group, pool).filter(|l| l.held.is_some()) else { return };
        link.held = None;
        let trusted = link.came_back(now);
        self.hurry_others(group, pool, now);
        self.timers.cancel(TimerKind::UpstreamGiveUp(id));
        let silence = self.silence(pool);
        self.timers.ensure(TimerKind::UpstreamSilence(id), now + silence);
        if trusted > now {
            self.look_again(group, pool, trusted);
        }
        self.say_usable(group, pool, false, out);
        self.place_group(group, SwitchReason::Return, now, out);
    }
}
