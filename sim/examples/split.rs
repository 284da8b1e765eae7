//! How exactly work is divided, in tables: `cargo run --release -p dpmp-sim --example split -- all`; without `all`, some
//! lines in a minute.

#![allow(clippy::print_stdout, reason = "a program for the command line")]

use dpmp_sim::world::table::{Case, HEADING, Happens, decades};

fn main() {
    let all = std::env::args().any(|arg| arg == "all");
    let hours = if all { 26 } else { 3 };
    println!("{HEADING}");
    let mut cases = Vec::new();
    for minor in [5, 10, 20, 30, 40, 50] {
        for miners in [1, 2, 5, 20, 100, 500] {
            if all || miners <= 20 {
                // A day of a thousand switches a minute takes long: large fleets are seen for three hours.
                let hours = if miners > 20 { 3 } else { hours };
                cases.push(Case::new(&[100 - minor, minor], miners, hours * 60));
                cases.push(Case::new(&[minor, 100 - minor], miners, hours * 60).fleet());
            }
        }
    }
    for miners in [1, 5, 20] {
        cases.push(Case::new(&[50, 45, 5], miners, hours * 60));
        cases.push(Case::new(&[50, 45, 5], miners, hours * 60).fleet());
        cases.push(Case::new(&[70, 30], miners, hours * 60).with_rates(decades(miners, 7.0)).named("seven decades"));
        cases.push(Case::new(&[70, 30], miners, hours * 60).with(Happens::Outage(1, 60, 80)).named("outage"));
    }
    for case in cases {
        let row = case.run();
        println!("{row}   [{:.1} s]", row.took);
        row.violations.iter().take(3).for_each(|violation| println!("    {violation}"));
    }
}
