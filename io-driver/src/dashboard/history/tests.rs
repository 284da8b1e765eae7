//! Tests of `history`.

use super::*;
use dpmp_core::notice::Who;
use dpmp_core::{Difficulty, MinerId, PoolId, Span};

fn share(pool: u8, verdict: Verdict, ms: u64) -> Notice {
    let who = Who { miner: MinerId(1), peer: ([192, 0, 2, 5], 1).into(), worker: "rig".into() };
    let (assigned, response) = (Difficulty::whole(2), Some(Span::millis(ms)));
    let (fault, worked) = (None, assigned);
    Notice::ShareResult { who, pool: Some(PoolId(pool)), verdict, fault, assigned, worked, achieved: 3.0, response }
}

fn now() -> Now {
    Now {
        up: vec![true, false],
        weights: vec![700_000, 300_000],
        network: vec![(Some(1e18), Some(9e17)), (None, None)],
        miners: 3,
    }
}

/// A start at the edge of an hour.
const START: u64 = 1_769_860_800;

#[test]
fn rates_and_gaps() {
    let mut history = History::new();
    for second in 0..=60 {
        history.observe(&share(0, Verdict::Accepted, 20));
        if second % 10 == 0 {
            history.observe(&share(1, Verdict::Rejected { code: 23, text: "low".into() }, 60));
        }
        history.sample(START + second, &now());
    }
    // Nothing for a minute, then it goes on.
    for second in 120..=140 {
        history.sample(START + second, &now());
    }
    let series = history.series(0, START + 140, 2);
    let last = |n: usize| series.pools[0].hashrate[360 - n];
    assert_eq!(series.start, START + 140 - 3600);
    assert_eq!(last(14), Some(short(2.0 * HASHES)));
    assert_eq!(last(6), None, "not running is a gap");
    assert_eq!(last(1), Some(0.0), "running without shares is zero");
    assert_eq!(last(200), None);
    assert_eq!(series.pools[1].rejected[360 - 13], Some(1));
    let median = series.pools[1].response[360 - 13].unwrap();
    assert!((median - 60.0).abs() < 0.1, "the median of one, to three digits: {median}");
    assert!((series.pools[0].target[360 - 13].unwrap() - 0.7).abs() < 1e-4);
    assert_eq!((series.pools[0].up[360 - 13], series.pools[1].up[360 - 13]), (Some(1.0), Some(0.0)));
}

#[test]
fn rings_are_bounded_and_come_back() {
    let mut history = History::new();
    for hour in 0..800u64 {
        for second in [0, 9, 18, 27] {
            history.sample(START + hour * 3600 + second, &now());
        }
    }
    for (ring, (_, most)) in history.rings.iter().zip(RANGES) {
        assert!(ring.len() <= most);
    }
    assert_eq!(history.rings[2].len(), 720);
    let path = std::env::temp_dir().join(format!("dpmp-history-{}.json", std::process::id()));
    let mut timeline = Timeline::default();
    timeline.push(1, super::super::timeline::Kind::Start, super::super::timeline::Weight::Note, None, "x".into());
    save(&path, &history.text(&timeline)).unwrap();
    let (again, kept) = History::load(&path);
    assert_eq!(again.rings, history.rings);
    assert_eq!(kept.last(), 1);
    for bad in ["", "{}", "{\"version\":9,\"rings\":[],\"timeline\":{}}", "[1"] {
        std::fs::write(&path, bad).unwrap();
        assert!(History::load(&path).0.rings.iter().all(VecDeque::is_empty));
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_clock_that_goes_back_leaves_an_order() {
    let mut history = History::new();
    for second in (1000..1200).chain(0..300) {
        history.sample(START + second, &now());
    }
    let newest = |history: &History| history.rings[0].back().unwrap().index;
    assert_eq!((history.rings[0].len(), newest(&history)), (20, (START + 1199) / 10), "it may be right again soon");
    history.sample(START + 1200, &now());
    assert_eq!((history.rings[0].len(), newest(&history)), (21, (START + 1200) / 10));
    // It was set back for good.
    for second in 0..=602 {
        history.sample(START + second - 100, &now());
    }
    let indices: Vec<u64> = history.rings[0].iter().map(|bucket| bucket.index).collect();
    assert!(indices.is_sorted() && *indices.last().unwrap() == (START + 502) / 10, "{indices:?}");
}
