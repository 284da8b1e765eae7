//! Every metric: its name, its labels and the line that tells an operator how to read it. The names up to the first
//! blank line of each struct are DPMP v2's, with v2's meaning.

use dpmp_core::PoolId;
use dpmp_core::notice::Fault;
use prometheus::{
    Counter, CounterVec, Encoder as _, Error, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::measured::MeasuredSeries;
use super::ops::OpsSeries;
use super::oracle::OracleSeries;
use crate::statistics::Snapshot;

/// What became of a share: the values of the label `result`.
pub(super) const RESULTS: [&str; 15] = [
    "accepted",
    "credited",
    "rejected",
    "unknown_job",
    "no_job_yet",
    "stale",
    "duplicate",
    "low_difficulty",
    "malformed",
    "version_bits",
    "unauthorized",
    "not_subscribed",
    "lost",
    "abandoned",
    "unanswered",
];
/// Why a pool refused a share: the values of the label `reason`, by its code.
pub(super) const REJECTS: [(&str, i64); 6] = [
    ("stale", 21),
    ("duplicate", 22),
    ("low_difficulty", 23),
    ("unauthorized", 24),
    ("not_subscribed", 25),
    ("other", 20),
];
/// Why a miner changed its pool: the values of the label `reason`.
pub(super) const SWITCHES: [&str; 6] = ["first", "schedule", "failover", "return", "operator", "balance"];

/// Buckets of what should take microseconds, in seconds.
const FAST: [f64; 14] =
    [0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/// The series of one pool slot, looked up once.
#[derive(Clone, Debug)]
pub struct PoolSeries {
    pub(super) connections: IntGauge,
    pub(super) rx: IntCounter,
    pub(super) tx: IntCounter,
    pub(super) accepted: IntCounter,
    pub(super) rejected: IntCounter,
    pub(super) jobs_forwarded: IntCounter,
    pub(super) accepted_difficulty: Counter,
    pub(super) scheduler_time: Counter,
    pub(super) scheduler_share: Gauge,
    pub(super) active: IntGauge,

    pub(super) target: Gauge,
    pub(super) rejects: Vec<IntCounter>,
    pub(super) jobs: IntCounter,
    pub(super) connects: IntCounter,
    pub(super) connect_failures: IntCounter,
    pub(super) downs: IntCounter,
    pub(super) held_off: IntCounter,
    pub(super) response: Histogram,
    pub(super) difficulty: Gauge,
    pub(super) bad_lines: IntCounter,
    pub(super) blocks: IntCounter,
    pub(super) credited_difficulty: Counter,
}

/// The series of the flight recording.
#[derive(Clone, Debug)]
pub struct RecordingSeries {
    pub(crate) bytes: IntCounter,
    pub(crate) segments: IntCounter,
    pub(crate) dropped: IntCounter,
    pub(crate) size: IntGauge,
}

impl RecordingSeries {
    fn new(make: &Maker<'_>) -> Result<RecordingSeries, Error> {
        Ok(RecordingSeries {
            bytes: make
                .counter("dpmp_recording_written_bytes_total", "Bytes of the flight recording that were written.")?,
            segments: make
                .counter("dpmp_recording_segments_total", "Segments of the recording that were completed.")?,
            dropped: make.counter(
                "dpmp_recording_segments_dropped_total",
                "Segments that are not recorded, or not to their end: the disk was full, failing or too slow.",
            )?,
            size: make
                .gauge("dpmp_recording_size_bytes", "Bytes in the recording's folder; at most recording.max_mib.")?,
        })
    }
}

/// All series, and the registry that knows them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Slots that were configured at the start.
    pools: usize,
    pub(super) downstream_connections: IntGauge,
    upstream_connections: IntGaugeVec,
    rx: IntCounterVec,
    tx: IntCounterVec,
    pub(super) submitted: IntCounter,
    accepted: IntCounterVec,
    rejected: IntCounterVec,
    jobs_forwarded: IntCounterVec,
    accepted_difficulty: CounterVec,
    scheduler_time: CounterVec,
    scheduler_share: GaugeVec,
    pub(super) downstream_difficulty: Gauge,
    active: IntGaugeVec,

    pub(super) downstream_rx: IntCounter,
    pub(super) downstream_tx: IntCounter,
    pub(super) fleet: IntGauge,
    pub(super) miners_ready: IntGauge,
    pub(super) miners_idle: IntGauge,
    pub(super) miners_total: IntCounter,
    pub(super) results: Vec<IntCounter>,
    pub(super) switches: Vec<IntCounter>,
    pub(super) miner_warnings: IntCounter,
    pub(super) miner_bad_lines: IntCounter,
    target: GaugeVec,
    rejects: IntCounterVec,
    jobs: IntCounterVec,
    connects: IntCounterVec,
    connect_failures: IntCounterVec,
    downs: IntCounterVec,
    held_off: IntCounterVec,
    response: HistogramVec,
    difficulty: GaugeVec,
    bad_lines: IntCounterVec,
    blocks: IntCounterVec,
    credited_difficulty: CounterVec,
    pub(super) faults: Vec<IntCounter>,
    pub(super) job_fanout: Histogram,
    pub(super) share_processing: Histogram,
    pub(super) measured: MeasuredSeries,
    /// The flight recording's.
    pub recording: RecordingSeries,
    /// What operators watch over.
    pub ops: OpsSeries,
    /// The automatic balance.
    pub oracle: OracleSeries,
}

/// Makes series and registers them; remembers the registry, not the first error twice.
pub(super) struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    pub(super) fn register(&self, made: &IntCounter) -> Result<(), Error> {
        self.0.register(Box::new(made.clone()))
    }
    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        let made = IntCounter::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        let made = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
    fn sums(&self, name: &str, help: &str, labels: &[&str]) -> Result<CounterVec, Error> {
        let made = CounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        let made = IntGauge::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
    pub(super) fn level(&self, name: &str, help: &str) -> Result<Gauge, Error> {
        let made = Gauge::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        let made = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, Error> {
        let made = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
    pub(super) fn levels(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, Error> {
        let made = GaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
}

impl Metrics {
    /// All series at 0, those of `pools` slots from A on included.
    pub fn new(pools: usize) -> Result<Metrics, Error> {
        let registry = Registry::new();
        let make = Maker(&registry);
        let pool = &["pool"][..];
        let side = &["side"][..];

        let info = make.gauges("dpmp_build_info", "Always 1; the version is the label.", &["version"])?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let results = make.counters(
            "dpmp_share_results_total",
            "Shares by what became of them. accepted and rejected: the pool's word; credited: good for the miner's own \
             difficulty but below the pool's; lost and unanswered: the pool went away or kept silent; all others were \
             answered here because the pool would have refused them.",
            &["result"],
        )?;
        let faults = make.counters(
            "dpmp_share_faults_total",
            "Shares that did not count, by whose doing it is. proxy is a bug of dpmp and must stay 0: report it with the \
             recording.",
            &["fault"],
        )?;
        let switches =
            make.counters("dpmp_pool_switches_total", "Times a miner's work went to another pool.", &["reason"])?;
        let rx = make.counters("dpmp_messages_rx_total", "Lines received, by the side they came from.", side)?;
        let tx = make.counters("dpmp_messages_tx_total", "Lines sent, by the side they went to.", side)?;
        let metrics = Metrics {
            pools,
            downstream_connections: make.gauge("dpmp_downstream_connections", "Miner connections open now.")?,
            upstream_connections: make.gauges(
                "dpmp_upstream_connections",
                "Connections to the pool open now, probes included.",
                pool,
            )?,
            downstream_rx: rx.with_label_values(&["downstream"]),
            fleet: make.gauge(
                "dpmp_scheduler_fleet",
                "1: whole miners are placed (scheduler.mode fleet); 0: every miner divides its own work (ratio).",
            )?,
            downstream_tx: tx.with_label_values(&["downstream"]),
            rx,
            tx,
            submitted: make.counter("dpmp_shares_submitted_total", "Shares that miners sent, before any verdict.")?,
            accepted: make.counters("dpmp_shares_accepted_total", "Shares that the pool accepted.", pool)?,
            rejected: make.counters("dpmp_shares_rejected_total", "Shares that the pool refused.", pool)?,
            jobs_forwarded: make.counters("dpmp_jobs_forwarded_total", "Jobs of the pool sent to miners.", pool)?,
            accepted_difficulty: make.sums(
                "dpmp_accepted_difficulty_sum_total",
                "Sum of the difficulty of accepted shares; times 2^32 it is hashes.",
                pool,
            )?,
            scheduler_time: make.sums(
                "dpmp_scheduler_time_sum_total",
                "Seconds that miners worked for the pool, summed over miners.",
                pool,
            )?,
            scheduler_share: make.levels(
                "dpmp_scheduler_share",
                "Share of its time that a connected miner has worked for the pool, mean over miners (0 to 1).",
                pool,
            )?,
            downstream_difficulty: make
                .level("dpmp_downstream_difficulty", "The difficulty last told to any miner.")?,
            active: make.gauges(
                "dpmp_active_pool",
                "1 for the pool of the job that was last forwarded, else 0.",
                pool,
            )?,
            miners_ready: make.gauge("dpmp_miners_ready", "Miners that have subscribed and authorised.")?,
            miners_idle: make.gauge("dpmp_miners_idle", "Ready miners that no pool has work for: should be 0.")?,
            miners_total: make.counter("dpmp_miner_connects_total", "Miner connections since the start.")?,
            results: RESULTS.iter().map(|r| results.with_label_values(&[r])).collect(),
            switches: SWITCHES.iter().map(|r| switches.with_label_values(&[r])).collect(),
            miner_warnings: make.counter("dpmp_miner_warnings_total", "Miners that need attention: see the log.")?,
            miner_bad_lines: make.counter("dpmp_miner_bad_lines_total", "Lines of miners that are no Stratum.")?,
            target: make.levels(
                "dpmp_pool_target_ratio",
                "Share of all work that the pool is to get (0 to 1).",
                pool,
            )?,
            rejects: make.counters(
                "dpmp_pool_rejects_total",
                "Shares that the pool refused, by the reason it gave.",
                &["pool", "reason"],
            )?,
            jobs: make.counters("dpmp_pool_jobs_total", "Jobs that the pool sent, over all its connections.", pool)?,
            connects: make.counters("dpmp_pool_connects_total", "Connections to the pool that were made.", pool)?,
            connect_failures: make.counters(
                "dpmp_pool_connect_failures_total",
                "Connections to the pool that could not be made.",
                pool,
            )?,
            downs: make.counters("dpmp_pool_downs_total", "Connections to the pool that were lost.", pool)?,
            held_off: make.counters(
                "dpmp_pool_held_off_total",
                "Times the pool got no more work of a miner although connected: silent, refusing, or not fitting.",
                pool,
            )?,
            response: {
                let buckets = vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
                let help = "Seconds from forwarding a share to the pool's answer.";
                let made =
                    HistogramVec::new(HistogramOpts::new("dpmp_pool_response_seconds", help).buckets(buckets), pool)?;
                registry.register(Box::new(made.clone()))?;
                made
            },
            difficulty: make.levels(
                "dpmp_pool_difficulty",
                "The difficulty that the pool last set on any connection.",
                pool,
            )?,
            bad_lines: make.counters("dpmp_pool_bad_lines_total", "Lines of the pool that cannot be used.", pool)?,
            blocks: make.counters(
                "dpmp_block_candidates_total",
                "Shares sent to the pool that meet the network's target.",
                pool,
            )?,
            credited_difficulty: make.sums(
                "dpmp_credited_difficulty_sum_total",
                "Sum of the difficulty of shares on the pool's jobs that are good for the miner's own difficulty and below \
                 the pool's; with dpmp_accepted_difficulty_sum_total it is the work done for the pool.",
                pool,
            )?,
            faults: Fault::ALL.iter().map(|fault| faults.with_label_values(&[fault.name()])).collect(),
            job_fanout: make.histogram(
                "dpmp_job_fanout_seconds",
                "Seconds from the arrival of a pool's job to the last miner's write of it.",
                &FAST,
            )?,
            share_processing: make.histogram(
                "dpmp_share_processing_seconds",
                "Seconds from the arrival of a miner's share to the write to the pool: the proxy's own time.",
                &FAST,
            )?,
            measured: MeasuredSeries::new(&make, &letters(pools))?,
            recording: RecordingSeries::new(&make)?,
            ops: OpsSeries::new(&make)?,
            oracle: OracleSeries::new(&make)?,
            registry: registry.clone(),
        };
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        for slot in 0..pools {
            metrics.pool(PoolId(u8::try_from(slot).unwrap_or(u8::MAX)));
        }
        Ok(metrics)
    }

    /// The slots that have series.
    pub(super) fn pool_ids(&self) -> impl Iterator<Item = PoolId> + use<> {
        (0..u8::try_from(self.pools).unwrap_or(u8::MAX)).map(PoolId)
    }

    /// The series of a slot; made when first asked for.
    pub fn pool(&self, pool: PoolId) -> PoolSeries {
        let letter = pool.to_string();
        let label = &[letter.as_str()][..];
        let side = format!("upstream{letter}");
        let side = &[side.as_str()][..];
        self.oracle.weight.with_label_values(label);
        PoolSeries {
            connections: self.upstream_connections.with_label_values(label),
            rx: self.rx.with_label_values(side),
            tx: self.tx.with_label_values(side),
            accepted: self.accepted.with_label_values(label),
            rejected: self.rejected.with_label_values(label),
            jobs_forwarded: self.jobs_forwarded.with_label_values(label),
            accepted_difficulty: self.accepted_difficulty.with_label_values(label),
            scheduler_time: self.scheduler_time.with_label_values(label),
            scheduler_share: self.scheduler_share.with_label_values(label),
            active: self.active.with_label_values(label),
            target: self.target.with_label_values(label),
            rejects: REJECTS.iter().map(|(r, _)| self.rejects.with_label_values(&[letter.as_str(), r])).collect(),
            jobs: self.jobs.with_label_values(label),
            connects: self.connects.with_label_values(label),
            connect_failures: self.connect_failures.with_label_values(label),
            downs: self.downs.with_label_values(label),
            held_off: self.held_off.with_label_values(label),
            response: self.response.with_label_values(label),
            difficulty: self.difficulty.with_label_values(label),
            bad_lines: self.bad_lines.with_label_values(label),
            blocks: self.blocks.with_label_values(label),
            credited_difficulty: self.credited_difficulty.with_label_values(label),
        }
    }

    /// Fills the series that are measured over windows of time.
    pub fn show(&self, snapshot: &Snapshot) {
        self.measured.show(snapshot);
    }

    /// The text that Prometheus scrapes.
    pub fn text(&self) -> Result<String, Error> {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    /// The text's content type.
    pub fn content_type() -> &'static str {
        prometheus::TEXT_FORMAT
    }
}

/// The letters of so many slots.
fn letters(pools: usize) -> Vec<String> {
    (0..pools).map(|slot| PoolId(u8::try_from(slot).unwrap_or(u8::MAX)).to_string()).collect()
}
