//! The automatic balance and the chains it watches. The names up to the blank line are DPMP v2's.

use dpmp_core::PoolId;
use dpmp_core::config::OracleSource;
use dpmp_core::oracle::{ChainStatus, HashRate, Interval, OracleState, OracleStatus, Reading};
use prometheus::{Error, Gauge, GaugeVec, IntGauge, IntGaugeVec};

use super::series::Maker;

const STATES: [&str; 6] = ["off", "warming", "waiting", "ready", "failing", "fallback"];

/// A window's hash rate, and what it lies within.
type Of = fn(&Reading) -> (HashRate, Option<Interval>);

/// The series of the automatic balance.
#[derive(Clone, Debug)]
pub struct OracleSeries {
    hash_rate: GaugeVec,
    ratio: GaugeVec,
    low: GaugeVec,
    high: GaugeVec,
    other: GaugeVec,
    pub(super) weight: GaugeVec,
    status: IntGauge,
    age: Gauge,

    active: IntGauge,
    source: IntGaugeVec,
    state: IntGaugeVec,
    height: IntGaugeVec,
    blocks: IntGaugeVec,
    disagrees: IntGaugeVec,
    gain: Gauge,
}

impl OracleSeries {
    pub(super) fn new(make: &Maker<'_>) -> Result<OracleSeries, Error> {
        let chain = &["chain"][..];
        let series = OracleSeries {
            hash_rate: make.levels(
                "dpmp_oracle_hashrate",
                "Network hash rate in hashes a second over 6 (short) and 72 (long) blocks; 0: not known.",
                &["chain", "window"],
            )?,
            ratio: make.levels("dpmp_oracle_ratio", "Network hash rate, short over long; 0: not known.", chain)?,
            low: make.levels(
                "dpmp_oracle_hashrate_low",
                "Below dpmp_oracle_hashrate: the true value lies above 39 times of 40; 0: not known.",
                &["chain", "window"],
            )?,
            high: make.levels(
                "dpmp_oracle_hashrate_high",
                "Above dpmp_oracle_hashrate: the true value lies below 39 times of 40; 0: not known.",
                &["chain", "window"],
            )?,
            other: make.levels(
                "dpmp_oracle_other_hashrate",
                "The same hash rate by the source that is not in use, own or url; 0: not known.",
                &["chain", "window", "source"],
            )?,
            weight: make.levels(
                "dpmp_oracle_weight",
                "The weight in percent that it has moved to, or would have; 0: it has none.",
                &["pool"],
            )?,
            status: make.gauge("dpmp_oracle_status", "1: the automatic balance has fresh numbers; 0: it has none.")?,
            age: make.level("dpmp_oracle_data_age_seconds", "Age of its numbers; 0: there are none.")?,
            active: make.gauge("dpmp_oracle_active", "1: the weights follow it; 0: the operator's weights hold.")?,
            source: make.gauges("dpmp_oracle_source", "1 for where its numbers come from.", &["source"])?,
            state: make.gauges("dpmp_oracle_state", "1 for whether it can speak, and why not.", &["state"])?,
            height: make.gauges("dpmp_chain_height", "The newest block's height by the pools' jobs.", chain)?,
            blocks: make.gauges("dpmp_chain_blocks_known", "Blocks known of the long window, of 72.", chain)?,
            disagrees: make.gauges(
                "dpmp_oracle_disagrees",
                "1: the other source's hash rate lies outside of what the blocks allow.",
                chain,
            )?,
            gain: make.level(
                "dpmp_oracle_gain_ratio",
                "Expected blocks by the moved weights against the configured ones, minus one.",
            )?,
        };
        for chain in ["BTC", "BCH"] {
            series.ratio.with_label_values(&[chain]);
            for window in ["short", "long"] {
                for rates in [&series.hash_rate, &series.low, &series.high] {
                    rates.with_label_values(&[chain, window]);
                }
                for source in ["own", "url"] {
                    series.other.with_label_values(&[chain, window, source]);
                }
            }
        }
        for state in STATES {
            series.state.with_label_values(&[state]);
        }
        for source in ["own", "url"] {
            series.source.with_label_values(&[source]);
        }
        Ok(series)
    }

    pub(super) fn observe(&self, status: &OracleStatus) {
        self.active.set(i64::from(status.active));
        self.status.set(i64::from(status.state == OracleState::Ready));
        self.age.set(status.age_ms.map_or(0.0, |ms| ms as f64 / 1000.0));
        for state in STATES {
            self.state.with_label_values(&[state]).set(i64::from(state == status.state.word()));
        }
        for (name, source) in [("own", OracleSource::Own), ("url", OracleSource::Url)] {
            self.source.with_label_values(&[name]).set(i64::from(source == status.source));
        }
        for chain in &status.chains {
            let name = &*chain.chain;
            self.hash_rates(chain, status.source);
            self.ratio.with_label_values(&[name]).set(chain.reading.map_or(0.0, |r| r.ratio_ppm() as f64 / 1e6));
            self.height.with_label_values(&[name]).set(i64::from(chain.height.unwrap_or(0)));
            self.blocks.with_label_values(&[name]).set(i64::from(chain.blocks));
            self.disagrees.with_label_values(&[name]).set(i64::from(chain.disagrees));
        }
        for (slot, weight) in (0u8..).zip(status.weights.iter().flat_map(|w| w.iter())) {
            let pool = PoolId(slot).to_string();
            self.weight.with_label_values(&[pool.as_str()]).set(f64::from(*weight) / 1e4);
        }
        self.gain.set(status.gain.map_or(0.0, |(ppm, _)| ppm as f64 / 1e6));
    }

    fn hash_rates(&self, chain: &ChainStatus, source: OracleSource) {
        let name = &*chain.chain;
        let rate = |rate: Option<HashRate>| rate.map_or(0.0, HashRate::as_f64);
        let windows: [(&str, Of); 2] =
            [("short", |r| (r.short, r.short_interval)), ("long", |r| (r.long, r.long_interval))];
        for (window, of) in windows {
            let (reading, interval) = chain.reading.as_ref().map(of).unzip();
            let interval = interval.flatten();
            self.hash_rate.with_label_values(&[name, window]).set(rate(reading));
            self.low.with_label_values(&[name, window]).set(rate(interval.map(|i| i.low)));
            self.high.with_label_values(&[name, window]).set(rate(interval.map(|i| i.high)));
            let other = rate(chain.other.as_ref().map(|other| of(other).0));
            let (used, beside) = if source == OracleSource::Own { ("own", "url") } else { ("url", "own") };
            self.other.with_label_values(&[name, window, beside]).set(other);
            self.other.with_label_values(&[name, window, used]).set(0.0);
        }
    }
}
