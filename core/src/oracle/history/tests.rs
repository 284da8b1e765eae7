use super::*;

const HASHES: u128 = 1_000_000_000_000;
const START: u64 = 1_700_000_000_000;

fn sight(pool: u8, before: Option<u32>, height: u32, now_ms: u64) -> Sight {
    Sight { pool: PoolId(pool), before, height, hashes: HASHES, ntime: (now_ms / 1000) as u32, now_ms }
}

/// A chain with a block each ten minutes, seen by one connection of pool A.
fn grown(blocks: u32) -> (History, u64) {
    let mut history = History::default();
    let mut now = START;
    history.see(sight(0, None, 1000, now));
    for n in 1..=blocks {
        now += 600_000;
        assert!(matches!(history.see(sight(0, Some(999 + n), 1000 + n, now)), Told::Height(_)));
    }
    (history, now)
}

#[test]
fn warms_up_and_speaks_after_72_blocks() {
    let (history, _) = grown(32);
    assert_eq!((history.known_blocks(), history.reading()), (31, None));
    let (history, _) = grown(72);
    assert_eq!((history.known_blocks(), history.reading()), (71, None), "the first height had no time");
    let (history, _) = grown(73);
    let reading = history.reading().expect("72 blocks");
    assert_eq!(reading.long, HashRate(HASHES * 1000 / 600));
    assert_eq!(reading.short, reading.long);
    assert_eq!(reading.ratio_ppm(), 1_000_000);
    assert_eq!(History::recall(&history.memory()).reading(), Some(reading));
}

#[test]
fn missed_blocks_are_counted_by_height() {
    let (mut history, mut now) = grown(80);
    // An hour without the pool: six blocks. The first job tells a height that has no time.
    now += 3_600_000 + 200_000;
    assert!(matches!(history.see(sight(0, None, 1086, now)), Told::Height(Block { timed: false, .. })));
    now += 400_000;
    assert!(matches!(history.see(sight(0, Some(1086), 1087, now)), Told::Height(Block { timed: true, .. })));
    let reading = history.reading().expect("a reading");
    let rate = reading.short.0 as f64 / (HASHES as f64 * 1000.0 / 600.0);
    assert!((rate - 1.0).abs() < 1e-6, "7 blocks in 70 minutes: {rate}");
}

#[test]
fn a_pool_that_jumps_is_left_out() {
    let (mut history, now) = grown(80);
    assert!(matches!(history.see(sight(1, None, 1080, now)), Told::Nothing));
    let told = history.see(sight(1, Some(1080), 2000, now + 1000));
    assert_eq!(told, Told::Doubted(Doubt::Jumps { from: 1080, to: 2000 }));
    assert_eq!(history.see(sight(1, Some(2000), 2001, now + 2000)), Told::Nothing, "said once");
    assert!(matches!(history.see(sight(0, Some(1080), 1081, now + 3000)), Told::Height(_)));
    // As long as the other is right it may go on as it likes.
    for n in 0..20 {
        history.see(sight(1, Some(2001 + n), 2002 + n, now + 4000 + u64::from(n)));
    }
    assert_eq!(history.tip().map(|b| b.height), Some(1081));
    assert_eq!(history.see(sight(1, Some(2021), 1081, now + 5000)), Told::Trusted);
}

#[test]
fn the_only_pool_convinces_after_six_blocks() {
    let (mut history, now) = grown(80);
    let later = now + LATELY;
    let mut told = history.see(sight(0, None, 90_000, later));
    assert!(matches!(told, Told::Doubted(Doubt::Jumps { .. })));
    for n in 1..=6 {
        assert_ne!(told, Told::Restarted);
        told = history.see(sight(0, Some(90_000 + n - 1), 90_000 + n, later + u64::from(n) * 600_000));
    }
    assert_eq!(told, Told::Restarted);
    assert_eq!(history.tip().map(|b| b.height), Some(90_006));
    assert_eq!(history.reading(), None, "it warms up anew");
}

#[test]
fn clocks_lags_and_targets() {
    let (mut history, now) = grown(80);
    let off = Sight { ntime: (now / 1000) as u32 - 8000, ..sight(1, None, 1080, now) };
    assert_eq!(history.see(off), Told::Doubted(Doubt::ClockOff { seconds: -8000 }));
    let low = sight(2, None, 1077, now + 61_000);
    assert_eq!(history.see(low), Told::Doubted(Doubt::Lags { blocks: 3 }));
    let easy = Sight { hashes: HASHES / 100, ..sight(3, Some(1080), 1081, now + 62_000) };
    assert_eq!(history.see(easy), Told::Doubted(Doubt::Target));
    assert_eq!(history.doubts().count(), 3);
    // One that is a block behind for a moment is none the worse.
    assert_eq!(history.see(sight(0, Some(1080), 1079, now + 62_000)), Told::Nothing);
}

#[test]
fn an_orphan_changes_nothing() {
    let (mut history, now) = grown(80);
    // Another block of the same height, then the next.
    assert_eq!(history.see(sight(0, Some(1080), 1080, now + 5000)), Told::Nothing);
    assert!(matches!(history.see(sight(0, Some(1080), 1081, now + 600_000)), Told::Height(_)));
    assert_eq!(history.reading().map(|r| r.ratio_ppm()), Some(1_000_000));
}

#[test]
fn a_pool_that_races_is_left_out() {
    let (mut history, mut now) = grown(80);
    history.call("BTC");
    history.see(sight(1, None, 1080, now));
    let mut doubts = 0;
    for n in 1..=40u32 {
        now += 10_000;
        let told = history.see(sight(1, Some(1079 + n), 1080 + n, now));
        doubts += u32::from(matches!(told, Told::Doubted(Doubt::Races { .. } | Doubt::Jumps { .. })));
        history.see(sight(0, Some(1080), 1080, now + 1));
    }
    assert!(doubts >= 1, "it is noticed");
    assert_eq!(history.tip().map(|b| b.height), Some(1080), "and what it alone said is forgotten");
    assert!(matches!(history.see(sight(0, Some(1080), 1081, now + 600_000)), Told::Height(_)));
    assert_eq!(history.doubts().map(|(pool, _)| pool).collect::<Vec<_>>(), [PoolId(1)]);
}

#[test]
fn alone_it_cannot_race_either() {
    let (mut history, mut now) = grown(80);
    history.call("BTC");
    for n in 1..=2000u32 {
        now += 10_000;
        history.see(sight(0, Some(1079 + n), 1080 + n, now));
        // Another chain for all that anybody knows: it is begun anew, and is never known long enough to speak.
        let long = history.reading().map_or(0.0, |r| r.long.0 as f64 / (HASHES as f64 * 1000.0 / 600.0));
        assert!(long < 7.0, "not sixty times the hash rate: {long}");
    }
    assert_eq!(history.reading(), None);
}

#[test]
fn pools_that_agree_are_preferred() {
    let (mut history, now) = grown(80);
    history.see(sight(1, None, 1080, now));
    history.see(sight(2, None, 1080, now));
    assert!(matches!(history.see(sight(1, Some(1080), 1081, now + 1000)), Told::Height(_)));
    let told = history.see(sight(1, Some(1081), 1082, now + 2000));
    assert_eq!(told, Told::Doubted(Doubt::Jumps { from: 1081, to: 1082 }));
    history.see(sight(0, Some(1080), 1081, now + 3000));
    assert!(matches!(history.see(sight(1, Some(1082), 1082, now + 4000)), Told::Height(_)), "one of them follows");
}

#[test]
fn memory_stays_bounded() {
    let (history, _) = grown(5000);
    assert_eq!(history.blocks.len(), MOST_BLOCKS);
    let odd = ChainMemory {
        blocks: alloc::vec![
            Block { height: 5, seen_ms: 9, hashes: 1, timed: true },
            Block { height: 4, seen_ms: 10, hashes: 1, timed: true },
            Block { height: 6, seen_ms: 8, hashes: 1, timed: true },
            Block { height: 7, seen_ms: 10, hashes: 0, timed: true },
        ],
        heard_ms: None,
    };
    assert_eq!(History::recall(&odd).blocks.len(), 1);
}
