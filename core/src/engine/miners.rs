//! A miner's lines and its life: handshake, requests, end.

use core::mem::take;
use core::net::SocketAddr;

use super::issue::CLOGGED;
use super::layout::{Fit, embedded_extranonce1};
use super::state::{Engine, Group};
use crate::action::{Action, ActionBuf};
use crate::close::CloseReason;
use crate::difficulty::Difficulty;
use crate::extranonce::{BIP_320, Firmware};
use crate::ids::{Conn, GroupId, MinerId, PoolId, UpstreamId};
use crate::miner::{Layout, Miner, Rolling, Stage, said};
use crate::notice::{MinerWarning, Notice, SwitchReason};
use crate::schedule::Cycle;
use crate::stratum::encode;
use crate::stratum::message::{Configure, MinerRequest, clean, miner_request};
use crate::stratum::wire::RequestId;
use crate::time::{Span, Time};
use crate::timers::TimerKind;

/// Longest line that a miner may send, in bytes.
const LONGEST_LINE: usize = 16 * 1024;
/// A miner must have subscribed and authorised within this time.
const HANDSHAKE: Span = Span::secs(30);
/// A miner that comes before the pools were probed for the first time waits for that this long at most: it is to have
/// its answer within 200 ms.
const PROBE_PATIENCE: Span = Span::millis(150);
/// After this many lines in a row that are not Stratum the connection is closed.
const MOST_BAD_LINES: u32 = 20;
/// A miner that has not read what was sent for this long is closed.
const CLOGGED_FOR: Span = Span::secs(30);
/// With more bytes than this in its queue a miner is closed at once.
const MOST_QUEUED: u32 = 256 * 1024;
/// How long a subscribe may wait for the pool whose own extranonce the miner gets.
const OWN_PATIENCE: Span = Span::secs(8);
/// What is assumed of a pool's version mask until it is learnt.
const ASSUMED_MASK: u32 = BIP_320;

impl Engine {
    pub(super) fn miner_accepted(&mut self, id: MinerId, peer: SocketAddr, now: Time, out: &mut ActionBuf) {
        let mut miner = Miner::new(id, peer, now);
        let who = miner.who();
        out.notice(Notice::MinerConnected { who: who.clone() });
        let limits = &self.config.limits;
        let from_address = self.addresses.get(&peer.ip()).copied().unwrap_or(0);
        let refusal = if self.draining.is_some() {
            Some(CloseReason::Draining)
        } else if self.miners.len() as u64 >= u64::from(limits.max_miners) {
            Some(CloseReason::TooManyMiners)
        } else if limits.per_address > 0 && from_address >= limits.per_address {
            Some(CloseReason::TooManyFromAddress)
        } else {
            None
        };
        if let Some(reason) = refusal {
            out.push(Action::Close(Conn::Miner(id)));
            out.notice(Notice::MinerDisconnected { who, reason, was_ready: false });
            return;
        }
        *self.addresses.entry(peer.ip()).or_default() += 1;
        let mut patience = HANDSHAKE;
        if self.awaits_first_probes() {
            miner.stage = Stage::AwaitingProbes { held: alloc::vec::Vec::new() };
            patience = PROBE_PATIENCE;
        }
        self.miners.insert(id, miner);
        self.timers.set(TimerKind::MinerHandshake(id), now + patience);
    }

    /// The connection is gone already.
    pub(super) fn miner_gone(&mut self, id: MinerId, reason: CloseReason, now: Time, out: &mut ActionBuf) {
        self.remove_miner(id, reason, now, out);
    }

    /// Nothing is known yet of some pool in use, but its first probe is under way.
    fn awaits_first_probes(&self) -> bool {
        self.config.pool_ids().filter(|pool| self.config.in_use(*pool)).any(|pool| {
            self.facts.get(pool.index()).is_some_and(|f| {
                f.probe.is_some() && f.probe_failures == 0 && (f.extranonce2_bytes.is_none() || f.mask.is_none())
            })
        })
    }

    /// A probe has ended: if it was the last of the first ones, miners need not wait any more.
    pub(super) fn check_first_probes(&mut self, now: Time, out: &mut ActionBuf) {
        if self.awaits_first_probes() {
            return;
        }
        let waits = |m: &&Miner| matches!(m.stage, Stage::AwaitingProbes { .. });
        let waiting: alloc::vec::Vec<MinerId> = self.miners.values().filter(waits).map(|m| m.id).collect();
        for id in waiting {
            self.hear(id, now, out);
        }
    }

    /// A miner that waited for the first probes waits no longer.
    fn hear(&mut self, id: MinerId, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        self.timers.set(TimerKind::MinerHandshake(id), now + HANDSHAKE);
        if let Stage::AwaitingProbes { held } = core::mem::replace(&mut miner.stage, Stage::Fresh)
            && !held.is_empty()
        {
            self.miner_received(id, &held, now, out);
        }
    }

    /// Takes a miner out of all tables. Its upstreams are closed behind what was written to them; the pools' answers to
    /// its last shares are not waited for.
    pub(super) fn remove_miner(&mut self, id: MinerId, reason: CloseReason, now: Time, out: &mut ActionBuf) {
        let Some(mut miner) = self.miners.remove(&id) else { return };
        for kind in [
            TimerKind::MinerHandshake(id),
            TimerKind::MinerKeepAlive(id),
            TimerKind::MinerDwell(id),
            TimerKind::MinerClogged(id),
        ] {
            self.timers.cancel(kind);
        }
        if let Some(count) = self.addresses.get_mut(&miner.peer.ip()) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&miner.peer.ip());
            }
        }
        if !miner.ready() && miner.rolling.is_some_and(|r| r.told == 0 && r.asked != 0) {
            self.visitor(miner.peer.ip(), now).wants_mask = true;
        }
        let who = miner.who();
        out.notice(Notice::MinerDisconnected { who: who.clone(), reason, was_ready: miner.ready() });
        if miner.ready() {
            self.leave(&mut miner, now);
        }
        let Some(group_id) = miner.group else { return };
        self.abandon_submits(&who, group_id, now, out);
        let Some(group) = self.groups.get_mut(&group_id) else { return };
        group.miners.retain(|other| *other != id);
        if group.miners.is_empty() {
            for pool in self.config.pool_ids() {
                self.close_link(group_id, pool, Some(who.clone()), CloseReason::NotNeeded, now, out);
            }
            self.groups.remove(&group_id);
        }
    }

    pub(super) fn miner_handshake_timeout(&mut self, id: MinerId, now: Time, out: &mut ActionBuf) {
        if self.miners.get(&id).is_some_and(|m| matches!(m.stage, Stage::AwaitingProbes { .. })) {
            self.hear(id, now, out);
        } else if self.miners.get(&id).is_some_and(|m| !m.ready()) {
            self.doubt_awaited(id);
            self.close_miner(id, CloseReason::HandshakeTimeout, now, out);
        }
    }

    /// A miner has waited for a pool's own extranonce in vain: when it subscribes again, another pool's is to be had first.
    fn doubt_awaited(&mut self, id: MinerId) {
        let awaits = |m: &&Miner| matches!(m.stage, Stage::AwaitingPool { .. });
        let Some(group) = self.miners.get(&id).filter(awaits).and_then(|m| m.group) else { return };
        let links = self.groups.get(&group).map_or(&[][..], |g| &g.links[..]);
        for upstream in links.iter().filter_map(|link| self.upstreams.get(&link.upstream()?)) {
            if !upstream.subscribed()
                && let Some(facts) = self.facts.get_mut(upstream.pool.index())
            {
                facts.suspect = true;
            }
        }
    }

    /// The driver's queue for this miner has grown or is empty again.
    pub(super) fn miner_queue(&mut self, id: MinerId, bytes: u32, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        miner.queued = bytes;
        let conn = Conn::Miner(id);
        if bytes > MOST_QUEUED {
            self.close_miner(id, CloseReason::SlowReader, now, out);
        } else if bytes > 0 {
            self.timers.ensure(TimerKind::MinerClogged(id), now + CLOGGED_FOR);
            if bytes > CLOGGED && miner.say(said::CLOGGED) {
                out.notice(Notice::MinerClogged { who: miner.who(), queued_bytes: bytes });
            }
        } else {
            self.timers.cancel(TimerKind::MinerClogged(id));
            miner.said &= !said::CLOGGED;
            if miner.paused && miner.outstanding <= super::verdicts::FEW_OUTSTANDING {
                miner.paused = false;
                out.push(Action::ResumeReading(conn));
            }
            if miner.working.is_some_and(|w| w.job.is_none()) {
                self.issue(id, true, crate::notice::JobReason::Switch, now, out);
            }
        }
    }

    /// It has not read everything for too long.
    pub(super) fn miner_clogged(&mut self, id: MinerId, now: Time, out: &mut ActionBuf) {
        if self.miners.get(&id).is_some_and(|m| m.queued > 0) {
            self.close_miner(id, CloseReason::SlowReader, now, out);
        }
    }

    /// Bytes from a miner.
    pub(super) fn miner_received(&mut self, id: MinerId, bytes: &[u8], now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        if !miner.received_any {
            miner.received_any = true;
            // A TLS record of type handshake: BFGMiner asks whether the port speaks TLS before it comes as it is.
            if bytes.first() == Some(&0x16) {
                return self.close_miner(id, CloseReason::TlsProbe, now, out);
            }
        }
        if let Stage::AwaitingPool { held, .. } | Stage::AwaitingProbes { held } = &mut miner.stage {
            held.extend_from_slice(bytes);
            if held.len() > LONGEST_LINE {
                self.close_miner(id, CloseReason::LineTooLong, now, out);
            }
            return;
        }
        let mut framer = take(&mut miner.framer);
        let mut input = bytes;
        let mut lines = 0;
        while let Some(line) = framer.next(&mut input, LONGEST_LINE) {
            match line {
                Ok([]) => {}
                Ok(line) => {
                    lines += 1;
                    self.miner_line(id, line, now, out);
                }
                Err(_) => self.close_miner(id, CloseReason::LineTooLong, now, out),
            }
            match self.miners.get_mut(&id).map(|m| &mut m.stage) {
                None => break,
                Some(Stage::AwaitingPool { held, .. } | Stage::AwaitingProbes { held }) => {
                    held.extend_from_slice(input);
                    if held.len() > LONGEST_LINE {
                        self.close_miner(id, CloseReason::LineTooLong, now, out);
                    }
                    break;
                }
                Some(_) => {}
            }
        }
        if lines > 0 {
            out.notice(Notice::LinesReceived { conn: Conn::Miner(id), pool: None, lines });
        }
        if let Some(miner) = self.miners.get_mut(&id) {
            miner.framer = framer;
        }
    }

    fn miner_line(&mut self, id: MinerId, line: &[u8], now: Time, out: &mut ActionBuf) {
        let (request, message) = match miner_request(line) {
            Ok(read) => read,
            Err(what) => return self.miner_bad_line(id, &what, now, out),
        };
        if let Some(miner) = self.miners.get_mut(&id) {
            miner.bad_lines = 0;
        }
        let conn = Conn::Miner(id);
        match message {
            MinerRequest::Submit(submit) => self.submit(id, request, &submit, now, out),
            MinerRequest::Configure(asked) => self.configure(id, &request, asked, now, out),
            MinerRequest::Subscribe { agent } => self.subscribe(id, request, &agent, now, out),
            MinerRequest::Authorize { user, password } => {
                self.miner_authorized(id, &request, &user, &password, now, out);
            }
            MinerRequest::ExtranonceSubscribe => {
                out.send(conn, |o| encode::reply_true(o, &request));
                let Some(miner) = self.miners.get_mut(&id) else { return };
                let freed = miner.must_reconnect() && miner.ready() && miner.held_to.is_none();
                miner.extranonce_subscribed = true;
                if freed {
                    let divides = miner.own_plan.is_none();
                    if let Some(cycle) = miner.cycle.as_mut().filter(|_| divides) {
                        cycle.turn(&self.plans.slow, &self.plans.normal, true, now);
                    }
                    if let Some(group) = miner.group {
                        self.open_links(group, now, out);
                    }
                    self.place(id, SwitchReason::Operator, now, out);
                }
            }
            MinerRequest::SuggestDifficulty(difficulty) => {
                out.send(conn, |o| encode::reply_true(o, &request));
                self.miner_suggests(id, difficulty, out);
            }
            MinerRequest::GetTransactions => out.send(conn, |o| encode::reply_empty_list(o, &request)),
            MinerRequest::MultiVersion | MinerRequest::Capabilities => {
                out.send(conn, |o| encode::reply_true(o, &request));
            }
            MinerRequest::Ping => out.send(conn, |o| encode::reply_pong(o, &request)),
            MinerRequest::Pong => {
                if request != RequestId::Null {
                    out.send(conn, |o| encode::reply_true(o, &request));
                }
            }
            MinerRequest::Bad { method, what } => {
                out.send(conn, |o| encode::reply_error(o, &request, 20, what));
                self.note_request(id, method, out);
            }
            MinerRequest::Unknown(method) => {
                out.send(conn, |o| encode::reply_unknown_method(o, &request, &method));
                self.note_request(id, &method, out);
            }
        }
    }

    fn note_request(&self, id: MinerId, method: &str, out: &mut ActionBuf) {
        if let Some(miner) = self.miners.get(&id) {
            out.notice(Notice::MinerRequest { who: miner.who(), method: clean(method).into() });
        }
    }

    /// A line that is not even JSON has no id to answer to.
    fn miner_bad_line(&mut self, id: MinerId, what: &str, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        miner.bad_lines += 1;
        out.notice(Notice::MinerBadLine { who: miner.who(), what: clean(what).into() });
        if miner.bad_lines > MOST_BAD_LINES {
            self.close_miner(id, CloseReason::NotStratum, now, out);
        }
    }

    /// BIP 310. The mask is what all pools in use grant, as far as known.
    fn configure(&mut self, id: MinerId, request: &RequestId, asked: Configure, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        miner.extranonce_subscribed |= asked.subscribe_extranonce;
        let (address, insisted) = (miner.peer.ip(), miner.rolling.is_some_and(|r| r.told == 0));
        let mut told = 0;
        if let Some(wanted) = asked.version_mask {
            let in_common = self.common_mask() & wanted;
            told = in_common;
            let insists = insisted || self.visitors.get(&address).is_some_and(|v| v.wants_mask);
            let mut held_to = None;
            if in_common == 0 && insists {
                if let Some((pool, mask)) = self.pool_for_mask(wanted) {
                    told = mask;
                    held_to = Some(pool);
                } else {
                    self.ask_for_masks_again(now);
                }
                self.visitor(address, now).wants_mask = false;
            }
            let Some(miner) = self.miners.get_mut(&id) else { return };
            miner.rolling = Some(Rolling { asked: wanted, told, updated: false });
            if held_to.is_some() {
                miner.held_to = held_to;
            }
            if let Some(pool) = held_to {
                out.notice(Notice::MinerWarning { who: miner.who(), what: MinerWarning::HeldForMask { pool } });
            } else if told == 0 && wanted != 0 {
                out.notice(Notice::MinerWarning { who: miner.who(), what: MinerWarning::NoCommonMask });
            }
        }
        out.send(Conn::Miner(id), |o| encode::reply_configure(o, request, &asked, told));
        let group = self.miners.get(&id).and_then(|m| m.group);
        if let (Some(group), Some(mask)) = (group, asked.version_mask.filter(|m| *m != 0)) {
            self.configure_upstreams(group, mask, out);
            self.place(id, SwitchReason::Operator, now, out);
        }
    }

    /// The version bits that every pool in use grants.
    fn common_mask(&self) -> u32 {
        self.config
            .pool_ids()
            .filter(|pool| self.config.in_use(*pool))
            .filter_map(|pool| self.facts.get(pool.index()))
            .fold(u32::MAX, |mask, facts| mask & facts.mask.unwrap_or(ASSUMED_MASK))
    }

    /// The pool with the largest weight that grants any of these bits.
    fn pool_for_mask(&self, wanted: u32) -> Option<(PoolId, u32)> {
        let weight = |pool: PoolId| self.config.scheduler.weights.get(pool.index()).copied().unwrap_or(0);
        self.config
            .pool_ids()
            .filter(|pool| weight(*pool) > 0)
            .filter_map(|pool| Some((pool, self.facts.get(pool.index())?.mask.unwrap_or(ASSUMED_MASK) & wanted)))
            .filter(|(_, mask)| *mask != 0)
            .min_by_key(|(pool, _)| (u32::MAX - weight(*pool), *pool))
    }

    fn subscribe(&mut self, id: MinerId, request: RequestId, agent: &str, now: Time, out: &mut ActionBuf) {
        let pools = self.config.pools.len();
        let Some(miner) = self.miners.get_mut(&id) else { return };
        if let Layout::Embedded { extranonce1, sizes } = &miner.layout {
            // It asks again on the same connection: it is told the same again.
            out.send(Conn::Miner(id), |o| encode::reply_subscribe(o, &request, id.0, extranonce1, sizes.extranonce2));
            return;
        }
        if let Layout::Own { extranonce1, extranonce2_bytes, .. } = &miner.layout {
            out.send(Conn::Miner(id), |o| encode::reply_subscribe(o, &request, id.0, extranonce1, *extranonce2_bytes));
            return;
        }
        miner.agent = clean(agent).into();
        let strikes = self.strikes(id);
        let mistrusted = strikes >= super::shares::MOST_STRIKES;
        let Some(miner) = self.miners.get_mut(&id) else { return };
        miner.firmware = Firmware::of(&miner.agent, strikes);
        miner.rolled_outside |= miner.firmware.rolls_always;
        self.last_group += 1;
        let group = GroupId(self.last_group);
        miner.group = Some(group);
        let firmware = miner.firmware;
        self.groups.insert(group, Group::new(id, pools));
        match self.fit(firmware.profile) {
            Fit::Embedded(sizes) if firmware.known || !mistrusted => {
                let extranonce1 = embedded_extranonce1(id, sizes);
                out.send(Conn::Miner(id), |o| {
                    encode::reply_subscribe(o, &request, id.0, &extranonce1, sizes.extranonce2);
                });
                if let Some(miner) = self.miners.get_mut(&id) {
                    miner.layout = Layout::Embedded { extranonce1, sizes };
                }
                self.subscribed(id, now, out);
            }
            _ => self.fall_back(id, request, now, out),
        }
    }

    /// The miner gets the own extranonce of the pool that the schedule wants first, or of another if that one is down or its
    /// size is not for this firmware, and its reply waits for that pool.
    fn fall_back(&mut self, id: MinerId, request: RequestId, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        let (group, address, agent) = (miner.group, miner.peer.ip(), miner.agent.clone());
        let profile = miner.firmware.profile;
        miner.stage = Stage::AwaitingPool { subscribe: request, held: alloc::vec::Vec::new() };
        let returning = self.visitors.get_mut(&address).and_then(|v| {
            let at = v.returning.iter().position(|(a, _)| *a == agent)?;
            Some(v.returning.remove(at).1)
        });
        let cycle = returning.unwrap_or_else(|| Cycle::start(&self.plans.slow, 0, PoolId(0), now));
        // Who insists on a mask has no use for the extranonce of another pool.
        let held = self.miners.get(&id).and_then(|m| m.held_to).filter(|pool| self.config.in_use(*pool));
        let wants = held.unwrap_or(cycle.wants());
        let pools = self.config.pool_ids().filter(|pool| held.is_none_or(|held| held == *pool));
        let pool = self.best_own(profile, wants, pools).unwrap_or(wants);
        let mistrusted = self.strikes(id) >= super::shares::MOST_STRIKES;
        if let Some(miner) = self.miners.get_mut(&id) {
            miner.cycle = Some(cycle);
            if mistrusted && !miner.firmware.known {
                miner.held_to = Some(pool);
            }
        }
        if let Some(group) = group {
            self.open_link(group, pool, now, out);
        }
        self.timers.set(TimerKind::MinerHandshake(id), now + OWN_PATIENCE);
    }

    /// The pool whose own extranonce a miner waits for has answered.
    pub(super) fn own_subscribed(&mut self, id: MinerId, upstream: UpstreamId, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        let Some(pool) = self.upstreams.get(&upstream) else { return };
        let Stage::AwaitingPool { subscribe, held } = core::mem::replace(&mut miner.stage, Stage::Fresh) else {
            return;
        };
        let (extranonce1, size) = (pool.extranonce1.clone(), pool.extranonce2_bytes);
        out.send(Conn::Miner(id), |o| encode::reply_subscribe(o, &subscribe, id.0, &extranonce1, size));
        miner.layout = Layout::Own { pool: pool.pool, extranonce1, extranonce2_bytes: size };
        let what = MinerWarning::FallBack { pool: pool.pool, by_reconnect: miner.must_reconnect() };
        out.notice(Notice::MinerWarning { who: miner.who(), what });
        self.timers.set(TimerKind::MinerHandshake(id), now + HANDSHAKE);
        self.subscribed(id, now, out);
        if !held.is_empty() {
            self.miner_received(id, &held, now, out);
        }
    }

    fn subscribed(&mut self, id: MinerId, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        let (extranonce1_bytes, extranonce2_bytes) = match &miner.layout {
            Layout::Embedded { sizes, .. } => (sizes.extranonce1, sizes.extranonce2),
            Layout::Own { extranonce1, extranonce2_bytes, .. } => (extranonce1.len() as u8, *extranonce2_bytes),
            Layout::None => return,
        };
        out.notice(Notice::MinerSubscribed {
            who: miner.who(),
            agent: miner.agent.clone(),
            profile: miner.firmware.profile,
            extranonce1_bytes,
            extranonce2_bytes,
        });
        if !miner.user_known {
            miner.stage = Stage::SubscribedOnly;
        } else {
            self.ready(id, now, out);
        }
    }

    /// Answered true at once: a pool that refuses the worker is taken out for this miner, and says why.
    fn miner_authorized(
        &mut self,
        id: MinerId,
        request: &RequestId,
        user: &str,
        password: &str,
        now: Time,
        out: &mut ActionBuf,
    ) {
        out.send(Conn::Miner(id), |o| encode::reply_true(o, request));
        let Some(miner) = self.miners.get_mut(&id) else { return };
        if miner.user_known {
            // A second worker on one connection: its shares count for the first.
            return;
        }
        miner.user_known = true;
        let user = clean(user);
        miner.worker = user.rsplit('.').next().unwrap_or_default().trim().into();
        miner.password = clean(password).into();
        match miner.stage {
            Stage::Fresh => miner.stage = Stage::AuthorizedOnly,
            Stage::SubscribedOnly => self.ready(id, now, out),
            Stage::AwaitingProbes { .. } | Stage::AuthorizedOnly | Stage::AwaitingPool { .. } | Stage::Ready => {}
        }
    }

    /// Subscribed and authorised: from now on it is a miner, and its upstreams are opened.
    fn ready(&mut self, id: MinerId, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        miner.stage = Stage::Ready;
        miner.last_told = now;
        self.recognise(id, now);
        let Some(miner) = self.miners.get_mut(&id) else { return };
        out.notice(Notice::MinerReady { who: miner.who(), agent: miner.agent.clone() });
        let group = miner.group;
        let only_own = miner.must_reconnect() || miner.held_to.is_some() && matches!(miner.layout, Layout::Own { .. });
        self.timers.cancel(TimerKind::MinerHandshake(id));
        let Some(group) = group else { return };
        if !only_own {
            self.open_links(group, now, out);
        }
        self.authorize_upstreams(group, out);
        self.join(id, now);
        self.place(id, SwitchReason::First, now, out);
    }

    fn miner_suggests(&mut self, id: MinerId, difficulty: Difficulty, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        if miner.suggested == Some(difficulty) {
            return;
        }
        miner.suggested = Some(difficulty);
        let Some(group) = miner.group.and_then(|g| self.groups.get(&g)) else { return };
        let upstreams: alloc::vec::Vec<UpstreamId> = group.links.iter().filter_map(|l| l.upstream()).collect();
        for upstream in upstreams {
            self.suggest(upstream, difficulty, out);
        }
    }
}
