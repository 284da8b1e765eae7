//! dpmp: a Stratum v1 mining proxy for two pools.

use std::process::ExitCode;

use clap::Parser as _;
use dpmp::cli::{Cli, Task, TraceTask};
use dpmp::{demo, merge, run, simulate, traces};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        None => run::run(cli.config, &cli.ports),
        Some(Task::Replay { file, print, filter }) => traces::replay(&file, print.then_some(&filter)),
        Some(Task::Trace { task: TraceTask::Redact { input, output, force } }) => {
            traces::redact(&input, &output, force)
        }
        Some(Task::Simulate { seed, hours, miners }) => simulate::simulate(seed, hours, miners),
        Some(Task::ResetPassword { config }) => Ok(run::reset_password(config)),
        Some(Task::MergeConfig { template, file }) => merge::command(&template, &file),
        Some(Task::CheckConfig { file }) => Ok(run::check_config(&file)),
        Some(Task::Demo { seconds, calm, ports }) => demo::demo(seconds, calm, &ports),
    };
    done.unwrap_or_else(|error| {
        eprintln!("dpmp: {error:#}");
        ExitCode::FAILURE
    })
}
