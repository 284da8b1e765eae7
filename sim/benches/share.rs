//! A share's check beside the hashing that it cannot do without, and beside all that the engine does for a share:
//!
//! ```text
//! cargo bench -p dpmp-sim --bench share
//! ```
//!
//! The check may cost 1.5 times its hashing. Instructions instead of time: `sim/examples/cost.rs`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dpmp_core::checker::Checker;
use dpmp_sim::header::{Header, merkle_root};

/// A job of an ordinary size: a coinbase of 250 bytes and 12 merkle branches.
fn notify() -> String {
    let branches = vec![format!("\"{}\"", "5a".repeat(32)); 12].join(",");
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"1\",\"{}\",\"{}\",\"{}\",[{branches}],\"20000000\",\"1d00ffff\",\"6b029f67\",false]}}",
        "00".repeat(32),
        "01".repeat(60),
        "02".repeat(178),
    )
}

fn share(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("share");
    let mut coinbase = [1u8; 250];
    let branches = [[0x5a; 32]; 12];
    let mut nonce = 0u32;
    group.bench_function("hashing", |bench| {
        bench.iter(|| {
            nonce = nonce.wrapping_add(1);
            coinbase[64..68].copy_from_slice(&nonce.to_be_bytes());
            let root = merkle_root(black_box(&coinbase), black_box(&branches));
            Header { version: 1, prevhash: [0; 32], root, ntime: 1, nbits: 1, nonce }.hash()
        });
    });
    let checker = Checker::new(notify().as_bytes(), &[9; 4], 8).expect("a job");
    group.bench_function("check", |bench| {
        bench.iter(|| {
            nonce = nonce.wrapping_add(1);
            black_box(&checker).check(&u64::from(nonce).to_le_bytes(), 1, nonce, 1)
        });
    });
    group.finish();
}

criterion_group!(benches, share);
criterion_main!(benches);
