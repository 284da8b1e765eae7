//! A pool's lines and its life: handshake, jobs, difficulty, answers.

use alloc::format;
use alloc::string::String;
use core::mem::take;

use super::oracle::JobHeader;
use super::state::Engine;
use crate::action::ActionBuf;
use crate::close::CloseReason;
use crate::difficulty::Difficulty;
use crate::ids::{Conn, UpstreamId};
use crate::job::JobContext;
use crate::miner::Stage;
use crate::notice::{HeldOff, JobReason, Notice};
use crate::pool::{Owner, Phase, Request};
use crate::stratum::encode;
use crate::stratum::message::{
    Answer, Notify, PoolMessage, Subscription, clean, configure_result, pool_message, subscribe_result,
};
use crate::time::{Span, Time};
use crate::timers::TimerKind;

/// Longest line that a pool may send, in bytes.
const LONGEST_LINE: usize = 256 * 1024;
/// After this many lines in a row that cannot be used the connection is closed.
const MOST_BAD_LINES: u32 = 100;
/// With more bytes than this waiting to be written the pool counts as dead.
const MOST_QUEUED: u32 = 512 * 1024;
/// How long a miner's connection waits for the answer to configure once everything else is answered: some pools do not
/// know it.
const CONFIGURE_PATIENCE: Span = Span::millis(500);
/// How long a probe waits for it: what it learns holds for all miners to come.
const PROBE_PATIENCE: Span = Span::secs(5);
/// A pool may ask us to wait this long before we connect anew.
const LONGEST_WAIT: Span = Span::secs(60);
/// Wallets and passwords that are shorter, in bytes, are taken for no secret.
const SHORTEST_SECRET: usize = 4;
/// What we call ourselves where no miner stands behind a connection.
const AGENT: &str = concat!("dpmp/", env!("CARGO_PKG_VERSION"));

impl Engine {
    /// The connection stands: configure if the miner rolls versions, subscribe in the miner's own name.
    pub(super) fn upstream_connected(&mut self, id: UpstreamId, now: Time, out: &mut ActionBuf) {
        let Some(upstream) = self.upstreams.get(&id).filter(|u| u.phase == Phase::Connecting) else { return };
        let (pool, group) = (upstream.pool, upstream.group());
        let who = self.who_of(upstream);
        let (agent, mask) = match group.and_then(|g| self.first_miner(g)) {
            Some(miner) => {
                (miner.agent.clone(), Some(miner.rolling.map_or(0, |r| r.asked) | miner.firmware.rolls_always))
            }
            None => (AGENT.into(), Some(u32::MAX)),
        };
        let again = group.and_then(|g| self.link(g, pool)).is_some_and(|l| l.worked);
        let Some(upstream) = self.upstreams.get_mut(&id) else { return };
        upstream.phase = Phase::Subscribing;
        upstream.last_received = now;
        if let Some(mask) = mask.filter(|mask| *mask != 0) {
            upstream.asked_mask = Some(mask);
            let request = upstream.request(Request::Configure);
            out.send(Conn::Upstream(id), |o| encode::configure(o, request, mask));
        }
        let request = upstream.request(Request::Subscribe);
        out.send(Conn::Upstream(id), |o| encode::subscribe(o, request, &agent));
        out.notice(Notice::PoolConnected { upstream: id, pool, who, again });
    }

    /// A miner asks for version rolling after its upstreams were opened: they are asked now.
    pub(super) fn configure_upstreams(&mut self, group: crate::ids::GroupId, mask: u32, out: &mut ActionBuf) {
        let Some(group) = self.groups.get(&group) else { return };
        for id in group.links.iter().filter_map(|l| l.upstream()) {
            let Some(upstream) = self.upstreams.get_mut(&id).filter(|u| u.phase != Phase::Connecting) else { continue };
            let asked = upstream.asked_mask.unwrap_or(0);
            if mask & !asked != 0 {
                // Each time for more bits: so not oftener than there are bits.
                let mask = asked | mask;
                upstream.asked_mask = Some(mask);
                let request = upstream.request(Request::Configure);
                out.send(Conn::Upstream(id), |o| encode::configure(o, request, mask));
            }
        }
    }

    /// The miner has told its user: upstreams that wait for it authorize.
    pub(super) fn authorize_upstreams(&mut self, group: crate::ids::GroupId, out: &mut ActionBuf) {
        let ids: alloc::vec::Vec<UpstreamId> =
            self.groups.get(&group).map(|g| g.links.iter().filter_map(|l| l.upstream()).collect()).unwrap_or_default();
        for id in ids {
            if self.upstreams.get(&id).is_some_and(|u| u.phase == Phase::NoUser) {
                self.authorize(id, out);
            }
        }
    }

    /// `<wallet>.<worker>`; the worker alone without a wallet, the wallet alone without a worker.
    pub(super) fn upstream_user(&self, pool: crate::ids::PoolId, worker: &str) -> String {
        let wallet = self.config.pool(pool).map_or("", |p| p.wallet.as_str());
        match (wallet, worker) {
            ("", worker) => worker.into(),
            (wallet, "") => wallet.into(),
            (wallet, worker) => format!("{wallet}.{worker}"),
        }
    }

    fn authorize(&mut self, id: UpstreamId, out: &mut ActionBuf) {
        let Some(upstream) = self.upstreams.get(&id) else { return };
        let pool = upstream.pool;
        let Some(miner) = upstream.group().and_then(|g| self.first_miner(g)) else { return };
        let user = self.upstream_user(pool, &miner.worker);
        let configured = self.config.pool(pool).and_then(|p| p.password.as_deref());
        let password: String = match configured {
            Some(password) => password.into(),
            None if miner.password.is_empty() => "x".into(),
            None => String::from(&*miner.password),
        };
        let suggested = miner.suggested;
        let Some(upstream) = self.upstreams.get_mut(&id) else { return };
        upstream.phase = Phase::Authorizing;
        upstream.user = user.as_str().into();
        self.timers.set(TimerKind::UpstreamHandshake(id), self.now + super::links::HANDSHAKE);
        let request = upstream.request(Request::Authorize);
        out.send(Conn::Upstream(id), |o| encode::authorize(o, request, &user, &password));
        if let Some(difficulty) = suggested {
            self.suggest(id, difficulty, out);
        }
    }

    /// Passes a miner's wish for a difficulty on. Every pool known takes it as `mining.suggest_difficulty`.
    pub(super) fn suggest(&mut self, id: UpstreamId, difficulty: Difficulty, out: &mut ActionBuf) {
        let Some(upstream) = self.upstreams.get_mut(&id).filter(|u| u.subscribed() && u.phase != Phase::NoUser) else {
            return;
        };
        let request = upstream.request(Request::Suggest);
        out.send(Conn::Upstream(id), |o| encode::suggest_difficulty(o, request, difficulty));
    }

    /// Bytes from a pool.
    pub(super) fn upstream_received(&mut self, id: UpstreamId, bytes: &[u8], now: Time, out: &mut ActionBuf) {
        let Some(upstream) = self.upstreams.get_mut(&id).filter(|u| u.phase != Phase::Connecting) else { return };
        upstream.last_received = now;
        let pool = upstream.pool;
        let mut framer = take(&mut upstream.framer);
        let mut input = bytes;
        let mut lines = 0;
        while let Some(line) = framer.next(&mut input, LONGEST_LINE) {
            match line {
                Ok([]) => {}
                Ok(line) => {
                    lines += 1;
                    self.upstream_line(id, line, now, out);
                }
                Err(_) => self.fail_upstream(id, CloseReason::LineTooLong, now, out),
            }
            if !self.has(Conn::Upstream(id)) {
                break;
            }
        }
        if lines > 0 {
            out.notice(Notice::LinesReceived { conn: Conn::Upstream(id), pool: Some(pool), lines });
        }
        if let Some(upstream) = self.upstreams.get_mut(&id) {
            upstream.framer = framer;
        }
    }

    /// The pool does not read what we send.
    pub(super) fn upstream_queue(&mut self, id: UpstreamId, bytes: u32, now: Time, out: &mut ActionBuf) {
        if bytes > MOST_QUEUED {
            self.fail_upstream(id, CloseReason::SlowReader, now, out);
        }
    }

    fn upstream_line(&mut self, id: UpstreamId, line: &[u8], now: Time, out: &mut ActionBuf) {
        let message = match pool_message(line) {
            Ok(message) => message,
            Err(what) => return self.pool_bad_line(id, what, now, out),
        };
        let Some(upstream) = self.upstreams.get_mut(&id) else { return };
        upstream.bad_lines = 0;
        let pool = upstream.pool;
        let conn = Conn::Upstream(id);
        match message {
            PoolMessage::Response { id: request, answer } => {
                // Else the submit was given up, or the pool answers a suggest twice.
                if let Some(request) = upstream.answered(request) {
                    self.pool_answered(id, request, answer, now, out);
                }
            }
            PoolMessage::Notify(notify) => self.pool_job(id, notify, now, out),
            PoolMessage::SetDifficulty(difficulty) => {
                upstream.difficulty = difficulty;
                upstream.difficulty_told = true;
                let who = self.upstreams.get(&id).and_then(|u| self.who_of(u));
                out.notice(Notice::PoolDifficulty { who, pool, difficulty });
            }
            PoolMessage::SetExtranonce(subscription) => self.pool_extranonce(id, subscription, out),
            PoolMessage::SetVersionMask(mask) => {
                // Never more than was asked for: a miner would not roll it, and it would not be BIP 310.
                let asked = upstream.asked_mask.unwrap_or(0);
                upstream.mask = mask & asked;
                upstream.wants_bits |= upstream.mask != 0;
                // What was not asked for tells nothing of what would be granted.
                if let Some(facts) = self.facts.get_mut(pool.index()).filter(|_| asked != 0) {
                    facts.learn_mask(asked, mask);
                }
                self.mask_changed(id, now, out);
            }
            PoolMessage::ShowMessage(text) => {
                let text = self.hush(id, clean(&text)).into();
                out.notice(Notice::PoolMessage { pool, text });
            }
            PoolMessage::Ping(request) => out.send(conn, |o| encode::reply_pong(o, &request)),
            PoolMessage::GetVersion(request) => {
                let agent = upstream.group().and_then(|g| self.first_miner(g)).map(|m| m.agent.clone());
                let agent = agent.unwrap_or_else(|| AGENT.into());
                out.send(conn, |o| encode::reply_text(o, &request, &agent));
            }
            PoolMessage::Reconnect { host, port, wait } => {
                let wait = Span::secs(wait.into()).min(LONGEST_WAIT);
                self.pool_reconnect(id, (&host, port), wait, now, out);
            }
            PoolMessage::Unknown { id: request, method } => {
                if request != crate::stratum::wire::RequestId::Null {
                    out.send(conn, |o| encode::reply_unknown_method(o, &request, &method));
                }
            }
        }
    }

    /// A pool's words without the wallet and the password that it was told, which belong into no log (I9). Passwords like
    /// `x` are no secret, and are in many words. The length stays, so that a redacted recording sends lines as long.
    pub(super) fn hush(&self, id: UpstreamId, words: String) -> String {
        let Some(upstream) = self.upstreams.get(&id) else { return words };
        let Some(config) = self.config.pool(upstream.pool) else { return words };
        let miner = upstream.group().and_then(|g| self.first_miner(g));
        let passwords = [config.password.as_deref(), miner.map(|m| &*m.password)];
        let secrets = core::iter::once(config.wallet.as_str()).chain(passwords.into_iter().flatten());
        secrets.filter(|secret| secret.len() >= SHORTEST_SECRET).fold(words, |words, secret| {
            if words.contains(secret) { words.replace(secret, &"*".repeat(secret.len())) } else { words }
        })
    }

    fn pool_bad_line(&mut self, id: UpstreamId, what: String, now: Time, out: &mut ActionBuf) {
        let what = self.hush(id, clean(&what)).into();
        let Some(upstream) = self.upstreams.get_mut(&id) else { return };
        upstream.bad_lines += 1;
        out.notice(Notice::PoolBadLine { pool: upstream.pool, what });
        if upstream.bad_lines > MOST_BAD_LINES {
            self.fail_upstream(id, CloseReason::NotStratum, now, out);
        }
    }

    /// Reconnects only to the configured address: a pool cannot lead us elsewhere.
    fn pool_reconnect(
        &mut self,
        id: UpstreamId,
        (host, port): (&str, Option<u16>),
        wait: Span,
        now: Time,
        out: &mut ActionBuf,
    ) {
        let Some(pool) = self.upstreams.get(&id).map(|u| u.pool) else { return };
        let Some(config) = self.config.pool(pool) else { return };
        let host = clean(host);
        let same_host = host.is_empty() || host.eq_ignore_ascii_case(&config.address.host);
        let port_asked = port.filter(|p| *p != 0).unwrap_or(config.address.port);
        let obeyed = same_host && port_asked == config.address.port;
        out.notice(Notice::PoolReconnectAsked { pool, host: host.as_str().into(), port: port_asked, obeyed });
        if obeyed {
            self.fail_upstream(id, CloseReason::Reconnect { wait }, now, out);
        }
    }

    fn pool_answered(&mut self, id: UpstreamId, request: Request, answer: Answer<'_>, now: Time, out: &mut ActionBuf) {
        match request {
            Request::Configure => {
                let Some(upstream) = self.upstreams.get_mut(&id) else { return };
                let asked = upstream.asked_mask.unwrap_or(0);
                let granted = match answer {
                    Answer::Ok(result) => configure_result(result),
                    Answer::Refused { .. } => None,
                };
                upstream.mask = granted.unwrap_or(0) & asked;
                upstream.wants_bits |= granted.is_some();
                let (pool, granted) = (upstream.pool, upstream.mask);
                if let Some(facts) = self.facts.get_mut(pool.index()) {
                    facts.learn_mask(asked, granted);
                }
                self.mask_changed(id, now, out);
                self.probe_answered(id, now, out);
                self.check_usable(id, now, out);
            }
            Request::Subscribe => self.pool_subscribed(id, answer, now, out),
            Request::Authorize => self.pool_authorized(id, answer, now, out),
            Request::Suggest => {}
            Request::Submit(submitted) => {
                self.note_answer(id, now);
                self.submit_answered(id, submitted, answer, now, out);
                self.release(id, now, out);
            }
        }
    }

    fn pool_subscribed(&mut self, id: UpstreamId, answer: Answer<'_>, now: Time, out: &mut ActionBuf) {
        let subscription = match answer {
            Answer::Ok(result) => subscribe_result(result).map_err(String::from),
            Answer::Refused { text, .. } => Err(text),
        };
        let Some(upstream) = self.upstreams.get_mut(&id) else { return };
        let pool = upstream.pool;
        let subscription = match subscription {
            Ok(subscription) => subscription,
            Err(what) => {
                let what = self.hush(id, format!("mining.subscribe: {what}")).into();
                out.notice(Notice::PoolBadLine { pool, what });
                return self.fail_upstream(id, CloseReason::BadSubscribe, now, out);
            }
        };
        upstream.extranonce1 = subscription.extranonce1;
        upstream.extranonce2_bytes = subscription.extranonce2_bytes;
        upstream.phase = Phase::NoUser;
        out.notice(Notice::PoolSubscribed {
            upstream: id,
            pool,
            extranonce1_bytes: upstream.extranonce1.len() as u8,
            extranonce2_bytes: upstream.extranonce2_bytes,
            version_mask: upstream.mask,
        });
        let (group, size) = (upstream.group(), upstream.extranonce2_bytes);
        if let Some(facts) = self.facts.get_mut(pool.index()) {
            facts.extranonce2_bytes = Some(size);
        }
        match group {
            None => self.probe_answered(id, now, out),
            Some(group) => {
                let miner = self.first_miner(group);
                let awaiting = miner.filter(|m| matches!(m.stage, Stage::AwaitingPool { .. })).map(|m| m.id);
                let has_user = miner.is_some_and(|m| m.user_known);
                if let Some(miner) = awaiting {
                    self.own_subscribed(miner, id, now, out);
                } else if has_user {
                    self.authorize(id, out);
                }
            }
        }
    }

    /// A probe needs both answers, or patience.
    fn probe_answered(&mut self, id: UpstreamId, now: Time, out: &mut ActionBuf) {
        let Some(upstream) = self.upstreams.get(&id).filter(|u| u.owner == Owner::Probe && u.subscribed()) else {
            return;
        };
        if upstream.awaits_configure() {
            self.timers.set(TimerKind::UpstreamHandshake(id), now + PROBE_PATIENCE);
        } else {
            self.probe_done(id, now, out);
        }
    }

    fn pool_authorized(&mut self, id: UpstreamId, answer: Answer<'_>, now: Time, out: &mut ActionBuf) {
        let Some(upstream) = self.upstreams.get(&id) else { return };
        let (pool, who) = (upstream.pool, self.who_of(upstream));
        match answer {
            Answer::Ok(_) => {
                out.notice(Notice::AuthResult { who, pool, ok: true, error: "".into() });
                let Some(upstream) = self.upstreams.get_mut(&id) else { return };
                upstream.phase = Phase::Ready;
                if upstream.awaits_configure() {
                    self.timers.set(TimerKind::UpstreamHandshake(id), now + CONFIGURE_PATIENCE);
                }
                self.check_usable(id, now, out);
            }
            Answer::Refused { text, .. } => {
                let error: alloc::sync::Arc<str> = self.hush(id, text).into();
                out.notice(Notice::AuthResult { who: who.clone(), pool, ok: false, error: error.clone() });
                if let Some(who) = who {
                    out.notice(Notice::PoolHeldOff { who, pool, why: HeldOff::Refused(error) });
                }
                self.fail_upstream(id, CloseReason::Refused, now, out);
            }
        }
    }

    fn pool_job(&mut self, id: UpstreamId, notify: Notify, now: Time, out: &mut ActionBuf) {
        let Some(upstream) = self.upstreams.get_mut(&id) else { return };
        let pool = upstream.pool;
        let Some(group_id) = upstream.group() else { return };
        if !upstream.subscribed() {
            return self.pool_bad_line(id, "mining.notify before the answer to mining.subscribe".into(), now, out);
        }
        upstream.seq += 1;
        let clean = take(&mut upstream.force_clean) || notify.clean;
        let header = JobHeader { nbits: notify.nbits, ntime: notify.ntime };
        let seq = upstream.seq;
        let Some(group) = self.groups.get_mut(&group_id) else { return };
        let context = JobContext {
            pool,
            upstream: id,
            extranonce1: &upstream.extranonce1,
            extranonce2_bytes: upstream.extranonce2_bytes,
            difficulty: upstream.difficulty,
            seq,
        };
        let pool_job: alloc::sync::Arc<str> = notify.job.as_str().into();
        let key = group.jobs.add(notify, &context, upstream.job, now);
        upstream.job = Some(key);
        let announced = upstream.announced;
        let who = self.first_miner(group_id).map(|m| m.who());
        out.notice(Notice::PoolJob { who, pool, pool_job, seq, clean });
        let height = self.learn_chain(group_id, key, now, out);
        if announced {
            self.pass_on(id, clean, now, out);
        } else {
            self.check_usable(id, now, out);
        }
        // After the job is on its way: it may change the weights.
        self.chain_seen(id, height, header, now, out);
    }

    /// The pool gave its connection another extranonce: it holds from its next job on, which is then a clean one.
    fn pool_extranonce(&mut self, id: UpstreamId, subscription: Subscription, out: &mut ActionBuf) {
        let Some(upstream) = self.upstreams.get_mut(&id) else { return };
        upstream.extranonce1 = subscription.extranonce1;
        upstream.extranonce2_bytes = subscription.extranonce2_bytes;
        upstream.force_clean = true;
        let (pool, size) = (upstream.pool, upstream.extranonce2_bytes);
        let extranonce1_bytes = upstream.extranonce1.len() as u8;
        if let Some(facts) = self.facts.get_mut(pool.index()) {
            facts.extranonce2_bytes = Some(size);
        }
        let who = self.upstreams.get(&id).and_then(|u| self.who_of(u));
        out.notice(Notice::PoolExtranonce { who, pool, extranonce1_bytes, extranonce2_bytes: size });
    }

    /// The pool grants another mask: miners held off for it may come back, those who roll outside it are told.
    fn mask_changed(&mut self, id: UpstreamId, now: Time, out: &mut ActionBuf) {
        let Some(upstream) = self.upstreams.get(&id) else { return };
        let (pool, mask) = (upstream.pool, upstream.mask);
        let Some(group) = upstream.group() else { return };
        let miners = self.groups.get(&group).map(|g| g.miners.clone()).unwrap_or_default();
        for id in miners {
            let Some(miner) = self.miners.get_mut(&id) else { continue };
            if miner.held_off.get(&pool) == Some(&HeldOff::VersionMask) && miner.rolls() & !mask == 0 {
                miner.held_off.remove(&pool);
            }
            let narrowed = miner.working_for() == Some(pool) && miner.rolling.is_some_and(|r| r.told & !mask != 0);
            if narrowed {
                self.issue(id, true, JobReason::Changed, now, out);
            } else {
                self.place(id, crate::notice::SwitchReason::Return, now, out);
            }
        }
    }
}
