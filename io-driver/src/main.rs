//! dpmp: a Stratum v1 mining proxy for two pools.
fn main() {}
