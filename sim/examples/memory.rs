//! What the engine holds in memory for each connected miner: `cargo run --release -p dpmp-sim --example memory -- MINERS
//! MINUTES`. A checkpoint is restored and what the restored engine has taken from the allocator is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use dpmp_core::Engine;
use dpmp_sim::miner::{MinerSpec, Personality};
use dpmp_sim::pool::PoolSpec;
use dpmp_sim::world::{World, WorldSpec};

/// The system's allocator, and how much of it is in use.
struct Counting;

static IN_USE: AtomicU64 = AtomicU64::new(0);

// Safety: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size() as u64, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, default: u64| args.get(i).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, minutes) = (number(1, 100), number(2, 60));
    // Twelve shares a minute each, a job every 30 s, at two pools with coinbases and branches as on the main net.
    let job = |spec: PoolSpec| PoolSpec {
        difficulty: "0.00000001".into(),
        job_interval_us: 30_000_000,
        coinbase_bytes: 250,
        branches: 12,
        ..spec
    };
    let pools = vec![job(PoolSpec::ckpool("ck", 1)), job(PoolSpec::public_pool("pp", 2))];
    let firmwares = Personality::all();
    let rate = 1e-8 * 4_295_032_833.0 * 12.0 / 60.0;
    let miner = |i: u64| MinerSpec::new(&format!("w{i}"), rate, firmwares[i as usize % firmwares.len()].clone(), i);
    let mut world = World::new(WorldSpec::new(1, pools, (0..count).map(miner).collect()));
    world.run_until(minutes * 60_000_000);
    let connected = world.proxy().miners().count() as u64;
    let checkpoint = world.proxy().checkpoint();
    let before = IN_USE.load(Ordering::Relaxed);
    let engine = Engine::restore(&checkpoint);
    let bytes = IN_USE.load(Ordering::Relaxed) - before;
    assert!(engine.is_ok_and(|engine| engine == *world.proxy()), "the restored engine is the same");
    println!(
        "{connected} miners after {minutes} minutes: {bytes} bytes, {} a miner with its two connections to pools; checkpoint {} bytes",
        bytes / connected.max(1),
        checkpoint.len()
    );
}
