//! How it goes, in one line.

use super::series::Metrics;

impl Metrics {
    /// `12 miners; pool A up (12 connections, 70 %), pool B down`.
    pub fn status_line(&self) -> String {
        let miners = self.miners_ready.get();
        let idle = self.miners_idle.get();
        let idle = if idle > 0 { format!(" ({idle} without work)") } else { String::new() };
        let pools = self.pool_ids().map(|pool| {
            let series = self.pool(pool);
            let (connections, share) = (series.connections.get(), series.target.get() * 100.0);
            match connections {
                0 if share == 0.0 => format!("pool {pool} unused"),
                0 if miners == 0 => format!("pool {pool} waiting for miners"),
                0 => format!("pool {pool} down"),
                n => format!("pool {pool} up ({n} connections, {share:.0} %)"),
            }
        });
        format!(
            "{miners} {}{idle}; {}",
            if miners == 1 { "miner" } else { "miners" },
            pools.collect::<Vec<_>>().join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use dpmp_core::PoolId;

    use super::*;

    #[test]
    fn says_miners_and_pools() {
        let metrics = Metrics::new(2).unwrap();
        assert_eq!(metrics.status_line(), "0 miners; pool A unused, pool B unused");
        metrics.pool(PoolId(0)).target.set(0.7);
        metrics.pool(PoolId(1)).target.set(0.3);
        assert_eq!(metrics.status_line(), "0 miners; pool A waiting for miners, pool B waiting for miners");
        metrics.miners_ready.set(2);
        metrics.pool(PoolId(0)).connections.set(2);
        assert_eq!(metrics.status_line(), "2 miners; pool A up (2 connections, 70 %), pool B down");
    }
}
