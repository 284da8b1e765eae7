//! The simulated peers on real sockets and real time: one thread a pool, one thread for all miners. For `dpmp demo` and
//! for tests of the driver; what needs to be exact is tested on virtual time.

mod miners;
mod pool;
mod presets;
mod socket;

pub use miners::LiveMiners;
pub use pool::LivePool;
pub use presets::{demo_miners, demo_pools};
