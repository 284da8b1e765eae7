//! Blocks that everybody knows, as jobs and submits through the engine: their verdict, their hash, their height.

mod rig;

use dpmp_core::{Notice, Verdict};
use dpmp_sim::hex;
use rig::{A, Rig, config, memory};

struct Known {
    hash: &'static str,
    /// As it is hashed: the bytes before the pool's extranonce1, the extranonces (four and two bytes), what follows.
    coinbase: [&'static str; 4],
    /// The job's other fields, in the order of bytes of the wire.
    prevhash: &'static str,
    branches: &'static [&'static str],
    ntime: u32,
    nonce: u32,
}

/// The text of `hash`, as explorers show it, in the order of bytes of `mining.notify`.
fn wire(hash: &str) -> String {
    let mut bytes = hex::decode(hash).expect("hex");
    bytes.reverse();
    bytes.chunks_mut(4).for_each(|word| word.reverse());
    hex::encode(&bytes)
}

fn reversed(hash: &str) -> String {
    let mut bytes = hex::decode(hash).expect("hex");
    bytes.reverse();
    hex::encode(&bytes)
}

const INPUT: &str = "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff";

#[test]
fn blocks_with_their_whole_coinbase() {
    for block in [
        Known {
            hash: "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
            coinbase: [
                "4d",
                "04ffff00",
                "1d01",
                "04455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000",
            ],
            prevhash: "0000000000000000000000000000000000000000000000000000000000000000",
            branches: &[],
            ntime: 1_231_006_505,
            nonce: 2_083_236_893,
        },
        // 170, the first with a payment.
        Known {
            hash: "00000000d1145790a8694403d4063f323d499e655c83426834d4ce2f8dd4a2ee",
            coinbase: [
                "07",
                "04ffff00",
                "1d01",
                "02ffffffff0100f2052a01000000434104d46c4968bde02899d2aa0963367c7a6ce34eec332b32e42e5f3407e052d64ac625da6f0718e7b302140434bd725706957c092db53805b821a85b23a7ac61725bac00000000",
            ],
            prevhash: "000000002a22cfee1f2c846adbd12b3e183d4f97683f85dad08a79780a84bd55",
            branches: &["f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16"],
            ntime: 1_231_731_025,
            nonce: 1_889_418_792,
        },
    ] {
        // The pool's own extranonce, as two bytes are too few to embed anything.
        let mut rig = Rig::new(config(100, 0), &memory(2, 8));
        rig.miner_connects(1);
        rig.miner(1, r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1"]}"#);
        rig.miner(1, r#"{"id":2,"method":"mining.authorize","params":["x.w","p"]}"#);
        let [before, extranonce1, extranonce2, after] = block.coinbase;
        rig.pool_ready(A, extranonce1, 2, "1000000", "1");
        let branches: Vec<String> = block.branches.iter().map(|hash| format!("\"{}\"", reversed(hash))).collect();
        rig.pool(
            A,
            &format!(
                r#"{{"id":null,"method":"mining.notify","params":["b","{}","{INPUT}{before}","{after}",[{}],"00000001","1d00ffff","{:08x}",true]}}"#,
                wire(block.prevhash),
                branches.join(","),
                block.ntime
            ),
        );
        let job = rig.seen(1).job().id.clone();
        rig.miner_got(1);
        let submit = |nonce: u32| {
            let ntime = block.ntime;
            format!(
                r#"{{"id":4,"method":"mining.submit","params":["w","{job}","{extranonce2}","{ntime:08x}","{nonce:08x}"]}}"#
            )
        };
        rig.watch.made_up = true;
        rig.miner(1, &submit(block.nonce ^ 1));
        assert!(!rig.notices.iter().any(|n| matches!(n, Notice::BlockCandidate { .. })), "another nonce is none");
        rig.miner(1, &submit(block.nonce));
        let told = rig.notices.iter().find_map(|n| match n {
            Notice::BlockCandidate { hash, achieved, block, .. } => Some((*hash, *achieved, block.clone())),
            _ => None,
        });
        let (hash, achieved, found) = told.expect("a block");
        assert_eq!(reversed(&hex::encode(&hash)), block.hash);
        assert!(achieved > found.network_difficulty && (0.99..1.01).contains(&found.network_difficulty));
        assert_eq!(found.height, None, "before BIP 34");
        assert_eq!(hex::encode(&found.coinbase), [INPUT, before, extranonce1, extranonce2, after].concat());
        assert_eq!(rig.pool_accepts(A), 1);
        assert!(rig.notices.iter().any(|n| matches!(n, Notice::ShareResult { verdict: Verdict::Accepted, .. })));
        let chain = rig.notices.iter().rev().find_map(|n| match n {
            Notice::PoolChain { nbits, network_difficulty, .. } => Some((*nbits, *network_difficulty)),
            _ => None,
        });
        assert_eq!(chain, Some((0x1d00_ffff, found.network_difficulty)));
    }
}
