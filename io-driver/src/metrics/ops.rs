//! What operators watch over: whether an edit of the config is in force, whether the log is whole.

use prometheus::{Error, IntCounter, IntGauge};

use super::series::Maker;
use crate::logs::{LogCounts, counts};

/// The series of configs that change while the proxy runs.
#[derive(Clone, Debug)]
pub struct OpsSeries {
    pub(crate) applied: IntCounter,
    pub(crate) unchanged: IntCounter,
    pub(crate) refused: IntCounter,
    pub(crate) reload_good: IntGauge,
}

impl OpsSeries {
    pub(super) fn new(make: &Maker<'_>) -> Result<OpsSeries, Error> {
        // The log is the process's: every proxy in it shows the same counters.
        if let Some(LogCounts { written, suppressed, dropped }) = counts() {
            [written, suppressed, dropped].into_iter().try_for_each(|counter| make.register(counter))?;
        }
        let reloads = make.counters(
            "dpmp_config_reloads_total",
            "Configs that came by signal, file or API, by what became of them; refused: nothing has changed.",
            &["result"],
        )?;
        Ok(OpsSeries {
            applied: reloads.with_label_values(&["applied"]),
            unchanged: reloads.with_label_values(&["unchanged"]),
            refused: reloads.with_label_values(&["refused"]),
            reload_good: make.gauge(
                "dpmp_config_last_reload_successful",
                "1: the config file is in force; 0: what stands in it was refused, and an earlier text is in force.",
            )?,
        })
    }
}
