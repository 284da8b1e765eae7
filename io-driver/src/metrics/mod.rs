//! Prometheus metrics. `series` names them all; `recorder` feeds them from notices on the loop's thread. The text is
//! made by the HTTP thread, from atomics: the loop never formats a number.

mod chain;
mod measured;
mod ops;
mod oracle;
mod recorder;
mod series;
mod status;

pub use ops::OpsSeries;
pub use recorder::Recorder;
pub use series::{Metrics, PoolSeries, RecordingSeries};
