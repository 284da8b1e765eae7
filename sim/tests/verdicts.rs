//! The verdict on a share equals that of an independent implementation (`dpmp_sim::header`, `dpmp_sim::target`), over random
//! jobs, layouts, difficulties and submits: forwarded, credited, low, and what is a block.

mod rig;

use dpmp_core::notice::DropReason;
use dpmp_core::{Difficulty, Notice, Verdict};
use dpmp_sim::hex;
use dpmp_sim::rng::Rng;
use dpmp_sim::target::{Target, difficulty_of};
use rig::{A, Rig, config, memory};

const MASK: u32 = 0x1fff_e000;

/// What must become of a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Forwarded,
    Credited,
    Low,
}

fn bytes(rng: &mut Rng, most: u64) -> String {
    let n = rng.below(most + 1) as usize;
    hex::encode(&(0..n).map(|_| rng.below(256) as u8).collect::<Vec<u8>>())
}

/// A difficulty of which about every second random hash falls short.
fn difficulty(rng: &mut Rng) -> String {
    format!("{:.14}", (0.3 + 3.0 * rng.unit()) * 2.328e-10)
}

fn session(seed: u64) -> [u32; 4] {
    let mut rng = Rng::new(seed, "verdicts");
    let size = [4, 5, 6, 8][rng.below(4) as usize];
    let agent = ["cgminer/4.11.1", "bitaxe/BM1366/v2.9.0", "NerdMinerV2/V1.8.0"][rng.below(3) as usize];
    let mut config = config(100, 0);
    config.vardiff.enabled = false;
    let (pools, most) = (difficulty(&mut rng), difficulty(&mut rng));
    config.pools[0].max_difficulty = Difficulty::parse(&most);
    let mut rig = Rig::new(config, &memory(size, 8));
    rig.watch.made_up = true;
    rig.miner_connects(1);
    rig.miner(
        1,
        r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}"#,
    );
    rig.miner(1, &format!(r#"{{"id":2,"method":"mining.subscribe","params":["{agent}"]}}"#));
    rig.miner(1, r#"{"id":3,"method":"mining.authorize","params":["x.w","p"]}"#);
    let extranonce1 = hex::encode(&(0..rng.below(9)).map(|i| i as u8).collect::<Vec<u8>>());
    rig.pool_ready(A, &extranonce1, size, &pools, "first");
    let mut seen = [0; 4];
    for job in 0..4 {
        let (first, second, version) = (bytes(&mut rng, 90), bytes(&mut rng, 300), rng.below(1 << 32) as u32);
        let branches: Vec<String> =
            (0..rng.below(5)).map(|i| format!("\"{}\"", format!("{:02x}", 16 * i + 7).repeat(32))).collect();
        let prevhash = hex::encode(&(0..32).map(|_| rng.below(256) as u8).collect::<Vec<u8>>());
        // Met by every second hash, by one in thirty-two, by none.
        let nbits = [0x207f_ffffu32, 0x2007_ffff, 0x1d00_ffff][rng.below(3) as usize];
        rig.pool(
            A,
            &format!(
                r#"{{"id":null,"method":"mining.notify","params":["{job}","{prevhash}","{first}","{second}",[{}],"{version:08x}","{nbits:08x}","65000000",true]}}"#,
                branches.join(",")
            ),
        );
        for _ in 0..12 {
            rig.miner_got(1);
            let told = rig.seen(1).difficulty.clone().expect("it was told");
            let view = rig.seen(1).job();
            let own: Vec<u8> = (0..view.extranonce2_bytes).map(|_| rng.below(256) as u8).collect();
            let (ntime, nonce) = (view.ntime + rng.below(100) as u32, rng.below(1 << 32) as u32);
            let bits = rng.chance(0.5).then(|| rng.below(1 << 32) as u32 & MASK);
            let rolled = bits.map_or(view.version, |bits| view.version & !MASK | bits);
            let header = view.header(&own, ntime, nonce, rolled);
            let hash = header.hash();
            let job_id = view.id.clone();
            let meets = |text: &str| Target::of_difficulty(text.parse().expect("a number")).meets(&hash);
            let block = Target::of_nbits(nbits).meets(&hash);
            let want = match (block || meets(&pools), meets(&told)) {
                (true, _) => Want::Forwarded,
                (false, true) => Want::Credited,
                (false, false) => Want::Low,
            };
            let bits = bits.map(|bits| format!(",\"{bits:08x}\"")).unwrap_or_default();
            let before = rig.notices.len();
            rig.pool_got(A);
            rig.miner(
                1,
                &format!(
                    r#"{{"id":9,"method":"mining.submit","params":["w","{job_id}","{}","{ntime:08x}","{nonce:08x}"{bits}]}}"#,
                    hex::encode(&own)
                ),
            );
            let told_block = rig.notices[before..].iter().any(|n| matches!(n, Notice::BlockCandidate { .. }));
            rig.pool_accepts(A);
            let (verdict, achieved) = rig.notices[before..]
                .iter()
                .find_map(|n| match n {
                    Notice::ShareResult { verdict, achieved, .. } => Some((verdict.clone(), *achieved)),
                    _ => None,
                })
                .expect("a verdict");
            let got = match verdict {
                Verdict::Accepted => Want::Forwarded,
                Verdict::Credited => Want::Credited,
                Verdict::Dropped(DropReason::LowDifficulty) => Want::Low,
                other => panic!("seed {seed}: {other:?}"),
            };
            assert_eq!((got, told_block), (want, block), "seed {seed}, pool {pools}, told {told}, {achieved}");
            let true_one = difficulty_of(&hash);
            assert!((achieved / true_one - 1.0).abs() < 1e-9, "seed {seed}: {achieved} {true_one}");
            seen[want as usize] += 1;
            seen[3] += u32::from(block);
        }
    }
    seen
}

#[test]
fn verdicts_equal_those_of_an_independent_implementation() {
    let mut sum = [0; 4];
    for seed in 0..60 {
        for (sum, seen) in sum.iter_mut().zip(session(seed)) {
            *sum += seen;
        }
    }
    println!("forwarded, credited, low, blocks: {sum:?}");
    assert!(sum.iter().all(|n| *n > 50), "each kind occurs: {sum:?}");
}
