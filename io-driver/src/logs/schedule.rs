//! Log lines about how work is divided: dwells, pins, and splits that cannot be had.

use dpmp_core::notice::{DwellReason, PinTrouble};
use dpmp_core::{Notice, PoolId};
use log::Level::{Info, Warn};

use super::line::{Line, line};
use super::redact::redact;

/// Shares of work as people write them: `A 70.0 %, B 30.0 %`.
fn split(weights: &[u32]) -> String {
    let parts = (0u8..).zip(weights).map(|(slot, w)| format!("{} {:.1} %", PoolId(slot), f64::from(*w) / 1e4));
    parts.collect::<Vec<_>>().join(", ")
}

fn percent(line: Line, key: &str, weights: &[u32]) -> Line {
    (0u8..)
        .zip(weights)
        .fold(line, |line, (slot, weight)| line.number(&format!("{key}{}", PoolId(slot)), f64::from(*weight) / 1e4))
}

pub(super) fn render(notice: &Notice) {
    match notice {
        Notice::DwellsInForce { min_switch, slice, dwell, why } => line(Info, "dwell_in_force")
            .number("min_switch_seconds", min_switch.as_secs_f64())
            .number("slice_seconds", slice.as_secs_f64())
            .number("dwell_seconds", dwell.as_secs_f64())
            .text(
                "reason",
                match why {
                    DwellReason::MinSwitch => "min_switch_seconds",
                    DwellReason::Weight => "min_switch_seconds times twice the smaller weight",
                    DwellReason::Slice => "slice_seconds: no dwell is shorter",
                    DwellReason::OnePool => "one pool has all the weight: nobody changes over",
                },
            ),
        Notice::PinIgnored { worker, pool, why } => line(Warn, "pin_ignored")
            .text("worker", redact(worker))
            .show("pool", pool)
            .text(
                "reason",
                match why {
                    PinTrouble::NoWeight => "the pool has weight 0, so it gets no work; give it weight, or remove the pin",
                    PinTrouble::NoSuchPool => "no such pool is configured; write the key of a configured one",
                    PinTrouble::HeldOff => "this miner cannot work for the pool; see pool_held_off",
                },
            ),
        Notice::WeightsUnmet { pool, held, weights, nearest } => {
            let held = f64::from(*held) / 1e4;
            let text = format!(
                "{held:.1} % of the hash rate is held on pool {pool}, more than its weight ({}); the nearest split that \
                 can be had is {}: release a worker there, or change the weights",
                split(weights),
                split(nearest),
            );
            percent(line(Warn, "split_unmet").show("pool", pool).number("held", held), "nearest", nearest).text("what", text)
        }
        Notice::WeightsMet => line(Info, "split_met").text("what", "the weights can be had again"),
        Notice::Rebalanced { weights } => percent(line(Info, "rebalanced"), "w", weights)
            .text("what", "weights of the miners that divide their work, as others are held on one pool"),
        _ => return,
    }
    .send();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_work_are_told_as_people_write_them() {
        assert_eq!(split(&[700_000, 300_000]), "A 70.0 %, B 30.0 %");
    }
}
