//! The automatic balance as log lines, with v2's event names where the meaning is equal.

use dpmp_core::Notice;
use dpmp_core::config::OracleSource;
use dpmp_core::oracle::{Doubt, OracleState, OracleStatus};
use log::Level::{Debug, Info, Warn};

use super::line::{Line, line};
use super::redact::redact;

/// Writes the lines of a notice about chains or the oracle. False if it is about something else.
pub(super) fn render(notice: &Notice) -> bool {
    match notice {
        Notice::ChainHeight { chain, pool, height, timed } => line(Debug, "chain_height")
            .text("chain", redact(chain))
            .show("pool", pool)
            .value("height", height)
            .value("timed", timed),
        Notice::ChainDoubt { chain, pool, doubt } => {
            let changed = line(Warn, "chain_doubt").text("chain", redact(chain)).show("pool", pool);
            changed.text("reason", doubt.map_or_else(|| "believed again".to_owned(), words))
        }
        Notice::ChainRestarted { chain, pool } => {
            line(Warn, "chain_restarted").text("chain", redact(chain)).show("pool", pool).text(
                "reason",
                "the pool has shown another chain for six blocks and none contradicts: it is measured anew",
            )
        }
        Notice::OracleAsked { url } => line(Info, "oracle_poll_start").text("url", redact(url)),
        Notice::OracleFailed { why, failures } => {
            line(Warn, "oracle_poll_error").text("err", redact(why)).value("fail_count", failures)
        }
        Notice::OracleStatus { status, changed } => {
            if *changed {
                stands(status).send();
            }
            if status.state != OracleState::Ready {
                return true;
            }
            result(status)
        }
        Notice::OracleDecided { from, to, reason } => {
            weights(weights(line(Info, "oracle_weights_applied"), "from", from), "w", to).text("reason", reason)
        }
        _ => return false,
    }
    .send();
    true
}

fn words(doubt: Doubt) -> String {
    match doubt {
        Doubt::ClockOff { seconds } => format!("its time is off by {seconds} s"),
        Doubt::Jumps { from, to } => format!("it goes from height {from} to {to}"),
        Doubt::Lags { blocks } => format!("it is {blocks} blocks behind"),
        Doubt::Races { blocks, seconds } => format!("it shows {blocks} blocks in {seconds} s"),
        Doubt::Target => "its difficulty is not that of this chain".to_owned(),
    }
}

fn source(status: &OracleStatus) -> &'static str {
    match status.source {
        OracleSource::Own => "own",
        OracleSource::Url => "url",
    }
}

/// Whether it speaks, and if not, why.
fn stands(status: &OracleStatus) -> Line {
    let begun = |level, event| {
        line(level, event)
            .text("source", source(status))
            .value("active", status.active)
            .text("state", status.state.word())
    };
    match &status.state {
        OracleState::Off(why) => begun(Info, "oracle_disabled_invalid_chains").text("reason", redact(why)),
        OracleState::Warming { blocks, of } => begun(Info, "oracle_starting").value("blocks", blocks).value("of", of),
        OracleState::Waiting if status.source == OracleSource::Own => begun(Info, "oracle_starting")
            .text("reason", "no job of each chain since the start: the weights of before hold"),
        OracleState::Waiting => begun(Info, "oracle_starting").text(
            "hint",
            "scheduler.oracle_source \"own\" measures the chains from the pools' own jobs and asks nobody",
        ),
        OracleState::Ready => begun(Info, "oracle_ready"),
        OracleState::Failing { failures, why } => {
            begun(Warn, "oracle_failing").text("err", redact(why)).value("fail_count", failures)
        }
        OracleState::Fallback { why } => {
            begun(Warn, "oracle_fallback").text("err", redact(why)).text("reason", &status.reason)
        }
    }
}

fn result(status: &OracleStatus) -> Line {
    let mut made = line(Info, "oracle_calc_result").text("source", source(status)).value("active", status.active);
    for chain in &status.chains {
        let Some(reading) = chain.reading else { continue };
        let name = redact(&chain.chain).to_lowercase();
        made = made
            .number(&format!("{name}_short"), reading.short.as_f64())
            .number(&format!("{name}_long"), reading.long.as_f64())
            .number(&format!("{name}_ratio"), reading.ratio_ppm() as f64 / 1e6);
        for (window, interval) in [("short", reading.short_interval), ("long", reading.long_interval)] {
            let Some(interval) = interval else { continue };
            made = made
                .number(&format!("{name}_{window}_low"), interval.low.as_f64())
                .number(&format!("{name}_{window}_high"), interval.high.as_f64());
        }
        if let Some(other) = chain.other {
            made = made
                .number(&format!("{name}_other_short"), other.short.as_f64())
                .number(&format!("{name}_other_long"), other.long.as_f64());
        }
        if chain.disagrees {
            made = made.value(&format!("{name}_other_source_disagrees"), true);
        }
    }
    if let Some(wanted) = status.wanted {
        made = made.value("wanted", wanted);
    }
    if let Some(age) = status.age_ms {
        made = made.value("age_s", age / 1000);
    }
    match &status.weights {
        Some(all) => weights(made, "w", all),
        None => made,
    }
}

fn weights(mut line: Line, prefix: &str, weights: &[u32]) -> Line {
    for (slot, weight) in (0u8..).zip(weights) {
        line = line.number(&format!("{prefix}{}", dpmp_core::PoolId(slot)), f64::from(*weight) / 1e4);
    }
    line
}
