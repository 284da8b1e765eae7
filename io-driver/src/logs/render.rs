//! Notices as log lines, with v2's event names and fields where the meaning is equal. Decides nothing and counts nothing.

use std::net::SocketAddr;

use dpmp_core::Notice;
use dpmp_core::chain::payout::Payout;
use dpmp_core::notice::{BlockWay, DropReason, HeldOff, JobReason, MinerWarning, SwitchReason, Verdict, Who};
use log::Level::{Debug, Info, Trace, Warn};

use super::line::{Line, json, line};
use super::oracle;
use super::redact::redact;
use super::schedule;

/// An address as v2 writes it: `('192.0.2.5', 51234)`.
pub fn peer(address: SocketAddr) -> String {
    format!("('{}', {})", address.ip(), address.port())
}

fn about(line: Line, who: &Who) -> Line {
    if !line.wanted() {
        return line;
    }
    let line = line.show("sid", peer(who.peer));
    if who.worker.is_empty() { line } else { line.text("worker", redact(&who.worker)) }
}

fn maybe(line: Line, who: Option<&Who>) -> Line {
    match who {
        Some(who) => about(line, who),
        None => line.text("sid", "probe"),
    }
}

/// Writes the line or lines of a notice.
pub fn render(notice: &Notice) {
    if oracle::render(notice) {
        return;
    }
    match notice {
        Notice::ShareSubmitted { .. } | Notice::ShareResult { .. } | Notice::BlockCandidate { .. } => share(notice),
        Notice::PoolConnecting { .. }
        | Notice::PoolConnected { .. }
        | Notice::PoolConnectFailed { .. }
        | Notice::PoolSubscribed { .. }
        | Notice::AuthResult { .. }
        | Notice::PoolDown { .. }
        | Notice::PoolClosed { .. }
        | Notice::PoolHeldOff { .. }
        | Notice::PoolUsable { .. } => pool(notice),
        Notice::PoolDifficulty { .. }
        | Notice::PoolJob { .. }
        | Notice::PoolExtranonce { .. }
        | Notice::PoolChain { .. }
        | Notice::PoolMessage { .. }
        | Notice::PoolReconnectAsked { .. }
        | Notice::PoolBadLine { .. } => pool_says(notice),
        Notice::LinesReceived { .. }
        | Notice::WeightsChanged { .. }
        | Notice::WeightsMoved { .. }
        | Notice::DwellsInForce { .. }
        | Notice::PinIgnored { .. }
        | Notice::WeightsUnmet { .. }
        | Notice::WeightsMet
        | Notice::Rebalanced { .. }
        | Notice::CommandRefused { .. }
        | Notice::ConfigApplied
        | Notice::Draining { .. } => proxy(notice),
        _ => miner(notice),
    }
}

fn miner(notice: &Notice) {
    let on = |level, event, who| about(line(level, event), who);
    match notice {
        Notice::MinerConnected { who } => on(Info, "miner_connected", who).show("peer", peer(who.peer)),
        Notice::MinerSubscribed { who, agent, profile, extranonce1_bytes, extranonce2_bytes } => {
            on(Debug, "miner_subscribed", who)
                .text("agent", redact(agent))
                .show("profile", format_args!("{profile:?}"))
                .value("extranonce1_bytes", extranonce1_bytes)
                .value("extranonce2_bytes", extranonce2_bytes)
        }
        Notice::MinerReady { who, agent } => on(Info, "miner_ready_for_jobs", who).text("agent", redact(agent)),
        Notice::MinerDisconnected { who, reason, was_ready } => {
            on(if *was_ready { Info } else { Debug }, "miner_disconnected", who)
                .show("peer", peer(who.peer))
                .text("reason", reason.text())
        }
        Notice::MinerBadLine { who, what } => on(Debug, "miner_bad_json", who).text("what", redact(what)),
        Notice::MinerRequest { who, method } => on(Debug, "miner_method", who).text("method", redact(method)),
        Notice::MinerClogged { who, queued_bytes } => {
            on(Debug, "miner_clogged", who).value("queued_bytes", queued_bytes)
        }
        Notice::MinerWarning { who, what } => warning(who, what),
        Notice::DifficultyTold { who, pool, difficulty } => {
            on(Debug, "downstream_difficulty", who).show("pool", pool).value("diff", difficulty)
        }
        Notice::JobForwarded { who, pool, pool_job, job, seq, clean, why } => on(Debug, "job_forwarded", who)
            .show("pool", pool)
            .text("jobid", pool_job)
            .value("seq", seq)
            .show("job", job)
            .value("clean", clean)
            .text(
                "why",
                match why {
                    JobReason::New => "the pool sent it",
                    JobReason::Switch => "the miner works for this pool from now on",
                    JobReason::KeepAlive => "the pool is silent: the same job again keeps the connection alive",
                    JobReason::Changed => "version mask or extranonce changed",
                },
            ),
        Notice::PoolSwitched { who, from, to, why } => return switched(who, *from, *to, *why),
        Notice::MinerIdle { who } => on(Info, "miner_idle", who).text("reason", "no pool has work for it; it waits"),
        _ => return,
    }
    .send();
}

fn switched(who: &Who, from: Option<dpmp_core::PoolId>, to: dpmp_core::PoolId, why: SwitchReason) {
    if let (SwitchReason::Failover, Some(dead)) = (why, from) {
        about(line(Info, "failover_emergency_switch"), who).show("dead_pool", dead).show("switching_to", to).send();
    }
    let mut switched = about(line(Info, "pool_switched"), who);
    if let Some(from) = from {
        switched = switched.show("from_pool", from);
    }
    let why = match why {
        SwitchReason::First => "its first job",
        SwitchReason::Schedule => "schedule",
        SwitchReason::Failover => "the pool before is out",
        SwitchReason::Return => "the pool is back",
        SwitchReason::Operator => "weights or config changed",
        SwitchReason::Balance => "the fleet is placed anew: miners came, left or changed",
    };
    switched.show("to_pool", to).text("why", why).send();
}

fn warning(who: &Who, what: &MinerWarning) -> Line {
    let on = |event| about(line(Warn, event), who);
    match what {
        MinerWarning::RollsOutsideMask { told, rolled } => on("version_bits_outside_mask")
            .show("told", format_args!("{told:08x}"))
            .show("rolled", format_args!("{rolled:08x}"))
            .text("text", "the miner rolls version bits that it was not given; such shares are not forwarded"),
        MinerWarning::NoCommonMask => on("no_common_version_mask")
            .text("text", "the pools have no version bits in common: version rolling is off for this miner"),
        MinerWarning::HeldForMask { pool } => on("held_for_version_mask")
            .show("pool", pool)
            .text("text", "the miner insists on version rolling, which only this pool grants: it stays there"),
        MinerWarning::FallBack { pool, by_reconnect } => {
            on("no_common_extranonce").show("pool", pool).value("by_reconnect", by_reconnect).text(
                "text",
                "the pools' extranonce sizes do not fit this firmware together: it changes pool by set_extranonce, or by \
                 subscribing again",
            )
        }
        MinerWarning::LayoutMistrusted => {
            on("layout_mistrusted").text("text", "this miner's shares keep failing the check: hardware errors or odd firmware")
        }
        MinerWarning::CoinbaseTooLong { pool, bytes, limit } => on("coinbase_too_long")
            .show("pool", pool)
            .value("bytes", bytes)
            .value("limit", limit)
            .text("text", "the pool's coinbase is longer than this firmware bears"),
        MinerWarning::DifficultyAbovePool { pool, lost_ppm } => on("difficulty_above_pool")
            .show("pool", pool)
            .number("lost_percent", f64::from(*lost_ppm) / 1e4)
            .text("text", "downstream_diff asks for more than the pool: this part of the pay is lost"),
    }
}

fn share(notice: &Notice) {
    match notice {
        Notice::ShareSubmitted { who } => about(line(Trace, "share_submitted"), who).send(),
        Notice::ShareResult { who, pool, verdict, fault, assigned, achieved, response, .. } => {
            let (level, event) = match verdict {
                Verdict::Accepted | Verdict::Rejected { .. } => (Info, "share_result"),
                Verdict::Credited => (Debug, "share_credited"),
                Verdict::Lost => (Info, "share_lost"),
                Verdict::Abandoned => (Debug, "share_abandoned"),
                Verdict::Unanswered => (Info, "share_unanswered"),
                Verdict::Dropped(reason) => (Info, dropped(*reason)),
            };
            let mut result = about(line(level, event), who);
            if let Some(pool) = pool {
                result = result.show("pool", pool);
            }
            result = match verdict {
                Verdict::Accepted => result.value("accepted", true),
                Verdict::Rejected { code, text } => {
                    result.value("accepted", false).value("error", format_args!("[{code},{}]", json(&redact(text))))
                }
                _ => result,
            };
            if let Some(fault) = fault {
                result = result.text("fault", fault.name());
            }
            if let Some(assigned) = assigned {
                result = result.value("diff", assigned);
            }
            if *achieved > 0.0 {
                result = result.number("achieved", *achieved);
            }
            if let Some(response) = response {
                result = result.number("response_ms", response.0 as f64 / 1e3);
            }
            result.send();
        }
        Notice::BlockCandidate { who, pool, hash, achieved, block } => {
            let hash: String = hash.iter().rev().map(|byte| format!("{byte:02x}")).collect();
            let header: String = block.header.iter().map(|byte| format!("{byte:02x}")).collect();
            let words = match block.way {
                BlockWay::Owner => "this share meets the network's target: the pool has been sent a block",
                BlockWay::Twin => {
                    "this share meets the network's target: its connection is gone, but the pool has been sent the block \
                     on another one that has the same work"
                }
                BlockWay::Nowhere => {
                    "this share meets the network's target, but its pool's connection is gone and no other can take it"
                }
            };
            let mut found = about(line(Warn, "block_candidate"), who).show("pool", pool);
            if let Some(height) = block.height {
                found = found.value("height", height);
            }
            found
                .text("hash", hash)
                .number("achieved", *achieved)
                .number("network_difficulty", block.network_difficulty)
                .text("job", &block.pool_job)
                .text("header", header)
                .text("text", words)
                .send();
        }
        _ => {}
    }
}

/// v2's names for the four that v2 knew.
fn dropped(reason: DropReason) -> &'static str {
    match reason {
        DropReason::UnknownJob => "submit_dropped_unknown_jid",
        DropReason::NoJobYet => "submit_dropped_no_job_yet",
        DropReason::Stale => "submit_dropped_pool_dead",
        DropReason::Duplicate => "submit_dropped_duplicate_fp",
        DropReason::LowDifficulty => "submit_dropped_low_difficulty",
        DropReason::Malformed => "submit_dropped_malformed",
        DropReason::VersionBits => "submit_dropped_version_bits",
        DropReason::Unauthorized => "submit_dropped_unauthorized",
        DropReason::NotSubscribed => "submit_dropped_not_subscribed",
    }
}

fn pool(notice: &Notice) {
    match notice {
        Notice::PoolConnecting { pool, who, host, port, .. } => maybe(line(Info, "pool_connecting"), who.as_ref())
            .show("key", pool)
            .show("pool", pool)
            .text("host", host)
            .value("port", port),
        Notice::PoolConnected { pool, who, .. } => {
            maybe(line(Info, "pool_connected"), who.as_ref()).show("key", pool).show("pool", pool)
        }
        Notice::PoolConnectFailed { pool, who, error, failures, retry, .. } => {
            // The first failure of a row wakes somebody; the others only say that it lasts.
            let (level, event) =
                if *failures <= 1 { (Warn, "pool_initial_connect_failed") } else { (Info, "pool_reconnect_failed") };
            maybe(line(level, event), who.as_ref())
                .show("pool", pool)
                .text("err", error)
                .value("fail_count", failures)
                .send();
            wait(who.as_ref(), *pool, *failures, *retry)
        }
        Notice::PoolSubscribed { pool, extranonce1_bytes, extranonce2_bytes, version_mask, .. } => {
            line(Debug, "pool_subscribed")
                .show("pool", pool)
                .value("extranonce1_bytes", extranonce1_bytes)
                .value("extranonce2_bytes", extranonce2_bytes)
                .show("version_mask", format_args!("{version_mask:08x}"))
        }
        Notice::AuthResult { who, pool, ok, error } => {
            let result = maybe(line(if *ok { Info } else { Warn }, "auth_result"), who.as_ref());
            let result = result.show("pool", pool).value("ok", ok);
            if *ok { result.value("error", "null") } else { result.text("error", redact(error)) }
        }
        Notice::PoolDown { pool, who, reason, failures, retry, other_alive, .. } => {
            maybe(line(Warn, "pool_down"), who.as_ref())
                .show("pool", pool)
                .text("reason", redact(reason.text()))
                .value("fail_count", failures)
                .value("other_alive", other_alive)
                .send();
            wait(who.as_ref(), *pool, *failures, *retry)
        }
        Notice::PoolClosed { pool, who, reason, .. } => {
            maybe(line(Debug, "pool_closed"), who.as_ref()).show("pool", pool).text("reason", reason.text())
        }
        Notice::PoolHeldOff { who, pool, why } => {
            let why = match why {
                HeldOff::NoAnswer => "a share is unanswered, and nothing came since".into(),
                HeldOff::Silent => "the pool sends nothing".into(),
                HeldOff::Refused(words) => format!("the pool refuses the worker: {}", redact(words)),
                HeldOff::ExtranonceTooSmall => "its extranonce2 is too small for this miner".into(),
                HeldOff::VersionMask => "the miner rolls version bits that this pool does not take".into(),
                HeldOff::JobTooLong => "its job does not fit this miner's buffers".into(),
            };
            about(line(Warn, "pool_held_off"), who).show("pool", pool).text("reason", why)
        }
        Notice::PoolUsable { who, pool, reconnected, other_alive } => {
            let event = if *reconnected { "pool_reconnected" } else { "pool_usable" };
            about(line(Info, event), who).show("pool", pool).value("other_alive", other_alive)
        }
        _ => return,
    }
    .send();
}

fn wait(who: Option<&Who>, pool: dpmp_core::PoolId, failures: u32, retry: dpmp_core::Span) -> Line {
    maybe(line(Info, "pool_reconnect_wait"), who)
        .show("pool", pool)
        .number("delay_s", retry.as_secs_f64())
        .value("fail_count", failures)
}

fn pool_says(notice: &Notice) {
    match notice {
        Notice::PoolDifficulty { who, pool, difficulty } => {
            maybe(line(Info, "pool_diff"), who.as_ref()).show("pool", pool).value("diff", difficulty)
        }
        Notice::PoolJob { who, pool, pool_job, seq, clean } => maybe(line(Debug, "pool_notify"), who.as_ref())
            .show("pool", pool)
            .text("jobid", pool_job)
            .value("seq", seq)
            .value("clean", clean),
        Notice::PoolExtranonce { who, pool, extranonce1_bytes, extranonce2_bytes } => {
            maybe(line(Info, "pool_extranonce"), who.as_ref())
                .show("pool", pool)
                .value("extranonce1_bytes", extranonce1_bytes)
                .value("extranonce2_bytes", extranonce2_bytes)
        }
        Notice::PoolChain { pool, height, network_difficulty, payout, .. } => pool_chain(*height, payout)
            .show("pool", pool)
            .number("network_difficulty", *network_difficulty)
            .text("payout", payout.name()),
        Notice::PoolMessage { pool, text } => line(Info, "pool_message").show("pool", pool).text("text", redact(text)),
        Notice::PoolReconnectAsked { pool, host, port, obeyed } => line(Warn, "pool_reconnect_asked")
            .show("pool", pool)
            .text("host", host)
            .value("port", port)
            .value("obeyed", obeyed),
        Notice::PoolBadLine { pool, what } => line(Info, "pool_bad_json").show("pool", pool).text("what", redact(what)),
        _ => return,
    }
    .send();
}

fn pool_chain(height: Option<u32>, payout: &Payout) -> Line {
    let mut told = line(if matches!(payout, Payout::No { .. }) { Warn } else { Info }, "pool_chain");
    if let Some(height) = height {
        told = told.value("height", height);
    }
    match payout {
        Payout::Pays { satoshis, total } => told.value("satoshis", satoshis).value("total", total),
        Payout::Later { total } => told.value("total", total),
        Payout::No { total } => told
            .value("total", total)
            .text("text", "earlier jobs of this pool paid the configured wallet, this one pays somebody else"),
        Payout::NoAddress | Payout::Unreadable => told,
    }
}

fn proxy(notice: &Notice) {
    match notice {
        Notice::WeightsMoved { prev, weights, source } => {
            let mut changed = line(Info, "weights_override_changed");
            for (slot, weight) in (0u8..).zip(weights.iter()) {
                let key = format!("w{}", dpmp_core::PoolId(slot));
                changed = changed.number(&key, f64::from(*weight) / 1e4);
            }
            let shares: Vec<String> = prev.iter().map(|weight| format!("{}", f64::from(*weight) / 1e4)).collect();
            changed.text("prev", shares.join("/")).text("source", source.word())
        }
        Notice::DwellsInForce { .. }
        | Notice::PinIgnored { .. }
        | Notice::WeightsUnmet { .. }
        | Notice::WeightsMet
        | Notice::Rebalanced { .. } => return schedule::render(notice),
        Notice::CommandRefused { why } => line(Warn, "command_refused").text("reason", why),
        Notice::ConfigApplied => line(Info, "config_loaded"),
        Notice::Draining { miners } => line(Info, "shutdown_begin").value("miners", miners),
        _ => return,
    }
    .send();
}
