//! Whole sessions as snapshots: one line a message, in the order in which they cross the wire.

mod rig;

use dpmp_core::Span;
use rig::{A, B, Rig, config, memory};

fn snapshot(name: &str, log: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/sessions");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, log));
}

#[test]
fn a_miner_switches_between_two_pools() {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_ready(A, "aabbccdd", 8, "1024", "1");
    rig.pool_ready(B, "11223344", 4, "2048.7", "1");
    rig.wait(Span::secs(60));
    rig.wait(Span::secs(60));
    snapshot("two-pools", &rig.log);
}
