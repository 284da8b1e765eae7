//! Mistakes in what miners are told of their shares and of a pool's jobs: another verdict, another reason, another
//! clean flag.

use dpmp_core::notice::JobReason;
use dpmp_core::{Action, Command, Conn, Event, Notice};

use super::{Out, Plant, lines, param};

/// The same reply with the other verdict.
fn turned(line: &str, rest: &str) -> String {
    let end = line.find(",\"result\"").expect("a reply has a result");
    format!("{}{rest}}}\n", &line[..end])
}

const ACCEPTED: &str = ",\"result\":true,\"error\":null";

pub(crate) const PLANTS: &[Plant] = &[
    ("I2: what a pool refused is told as accepted", "its pool said", |_, _, out| {
        lines(out, true, "\"Stale\"", |_, line| vec![turned(line, ACCEPTED)])
    }),
    ("I2: what a pool accepted is told as refused", "its pool said", |plot, _, out| {
        lines(out, true, "\"result\":true", |_, line| {
            plot.n += 1;
            let refused = || turned(line, ",\"result\":null,\"error\":[21,\"Stale\",null]");
            vec![if plot.n.is_multiple_of(200) { refused() } else { line.into() }]
        })
    }),
    ("I2: a pool's reason is lost", "its pool said", |_, _, out| {
        lines(out, true, "\"Stale\"", |_, line| vec![line.replace("\"Stale\"", "\"Rejected\"")])
    }),
    ("I2: a pool's code is lost", "its pool said", |_, _, out| {
        lines(out, true, "[21,\"Stale\"", |_, line| vec![line.replace("[21,", "[20,")])
    }),
    ("I2: what no pool answered is told as accepted", "no pool has said so", |_, _, out| {
        lines(out, true, "did not answer within", |_, line| vec![turned(line, ACCEPTED)])
    }),
    ("I2: what was lost with a connection is told as accepted", "no pool has said so", |_, _, out| {
        lines(out, true, "connection ended", |_, line| vec![turned(line, ACCEPTED)])
    }),
    ("I2: a verdict is kept back", "is not told that", |plot, _, out| {
        lines(out, true, "\"result\":true", |_, line| {
            plot.n += 1;
            if plot.n.is_multiple_of(50) { vec![] } else { vec![line.into()] }
        })
    }),
    ("I2: a share that comes twice is accepted twice", "no pool has said so", |_, _, out| {
        lines(out, true, "\"Duplicate share\"", |_, line| vec![turned(line, ACCEPTED)])
    }),
    ("drain: it never ends", "drain: the proxy does not say", |_, _, out| {
        out.into_iter().filter(|out| !matches!(out, Out::Other(Action::Drained))).collect()
    }),
    ("drain: miners are left connected", "drain: connections of", |_, event, out| {
        let closes = |out: &Out| matches!(out, Out::Other(Action::Close(Conn::Miner(_))));
        let stops = matches!(event, Event::Command(Command::Drain) | Event::Tick)
            && out.iter().any(|out| matches!(out, Out::Other(Action::Drained)));
        out.into_iter().filter(|out| !(stops && closes(out))).collect()
    }),
    ("§2: a pool's clean flag is lost", "job is not one for", |_, _, out| {
        let new = |out: &Out| match out {
            Out::Other(Action::Notice(Notice::JobForwarded { job, clean: true, why: JobReason::New, .. })) => {
                Some(format!("{:08x}", job.0))
            }
            _ => None,
        };
        let clean: Vec<String> = out.iter().filter_map(new).collect();
        lines(out, true, "\"method\":\"mining.notify\"", |_, line| {
            let lost = clean.contains(&param(line, 0));
            vec![if lost { line.replace(",true]}", ",false]}") } else { line.into() }]
        })
    }),
    ("§2: a job is called clean that is not", "is clean for", |plot, _, out| {
        lines(out, true, "\"method\":\"mining.notify\"", |_, line| {
            plot.n += 1;
            let clean = plot.n.is_multiple_of(10);
            vec![if clean { line.replace(",false]}", ",true]}") } else { line.into() }]
        })
    }),
];
