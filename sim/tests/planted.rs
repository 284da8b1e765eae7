//! A test of the tests: mistakes planted between the engine and the world are each found within thirty seeds, by the check
//! that is meant for them.

mod plants;

use dpmp_core::Event;
use dpmp_sim::world::{Trial, WorldSpec};
use plants::{Out, Plant, Planted, invariants, stratum, verdicts};

const SEEDS: u64 = 30;

fn nothing(_: &mut plants::Plot, _: &Event<'_>, out: Vec<Out>) -> Vec<Out> {
    out
}

/// Of a world.
const MINERS: usize = 14;

/// The first seed at which the words are said, and what was said.
fn caught(words: &str, minutes: u64, miners: usize, proxy: impl Fn(&WorldSpec) -> Planted) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let trial = Trial::around(seed, minutes, miners, &proxy);
        let found = trial.violations.into_iter().find(|what| what.contains(words))?;
        Some((seed, found))
    })
}

/// Says what caught the mistake; false if nothing did.
fn check(what: &str, words: &str, minutes: u64, miners: usize, proxy: impl Fn(&WorldSpec) -> Planted) -> bool {
    let caught = caught(words, minutes, miners, proxy);
    match &caught {
        Some((seed, found)) => println!("{what}: at seed {seed} by: {found:.100}"),
        None => println!("{what}: NOT CAUGHT by {words:?} within {SEEDS} seeds"),
    }
    caught.is_some()
}

#[test]
fn every_planted_mistake_is_found() {
    let mut missed = Vec::new();
    let plants: Vec<&Plant> = [invariants::PLANTS, stratum::PLANTS, verdicts::PLANTS].into_iter().flatten().collect();
    for (what, words, mistake) in &plants {
        let deaf = words.starts_with("I7");
        let plant = |spec: &WorldSpec| Planted { deaf_to_queues: deaf, ..Planted::new(spec.engine(), *mistake) };
        if !check(what, words, 16, MINERS, plant) {
            missed.push(*what);
        }
    }
    assert_eq!(missed, Vec::<&str>::new());
    assert!(plants.len() >= 50);
}

#[test]
fn forgotten_timers_are_found() {
    let forgets = |spec: &WorldSpec| Planted { forgets_timers: true, ..Planted::new(spec.engine(), nothing) };
    assert!(check("timers are forgotten: silence", "silence", 16, MINERS, forgets));
    // At the pools' own difficulty, so that there are many shares for a pool to leave unanswered.
    let at_pools_difficulty = |spec: &WorldSpec| {
        let mut spec = spec.clone();
        spec.config.vardiff.enabled = false;
        forgets(&spec)
    };
    // Any event reminds the engine of what is due, so in a busy house a forgotten timer is hardly late: here are few miners.
    assert!(check("timers are forgotten: answers", "I2: request", 16, 2, at_pools_difficulty));
}

#[test]
fn memory_that_grows_is_found() {
    let hoards = |spec: &WorldSpec| Planted { hoards: 400, ..Planted::new(spec.engine(), nothing) };
    assert!(check("I7: a little of every step is kept", "I7: the engine holds", 50, MINERS, hoards));
}

/// I8: what depends on anything but its events is another run.
#[test]
fn chance_from_elsewhere_is_found() {
    let run = |chance: u64| {
        let mut trial = Trial::around(3, 16, MINERS, |spec| {
            let mut start = spec.start();
            start.seed = start.seed.wrapping_add(chance);
            Planted::new(start.engine(), nothing)
        });
        trial.options.clear();
        trial.to_string()
    };
    assert_eq!(run(0), run(0));
    assert_ne!(run(0), run(1));
}

#[test]
fn a_split_that_is_not_the_weights_is_found() {
    let other_weights = |spec: &WorldSpec| {
        let mut spec = spec.clone();
        spec.config.scheduler.weights.rotate_left(1);
        Planted::new(spec.engine(), nothing)
    };
    assert!(check("I6: the weights are mixed up", "I6:", 50, MINERS, other_weights));
    let long_dwells = |spec: &WorldSpec| {
        let mut spec = spec.clone();
        spec.config.scheduler.min_switch = dpmp_core::time::Span::secs(600);
        spec.config.scheduler.slice = dpmp_core::time::Span::secs(590);
        Planted::new(spec.engine(), nothing)
    };
    assert!(check("I6: dwells are far too long", "I6:", 50, MINERS, long_dwells));
}

#[test]
fn nothing_planted_nothing_found() {
    for seed in 0..10 {
        let trial = Trial::around(seed, 16, MINERS, |spec| Planted::new(spec.engine(), nothing));
        assert_eq!(trial.violations, Vec::<String>::new(), "seed {seed}");
    }
}
