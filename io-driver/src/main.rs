//! dpmp: a Stratum v1 mining proxy for two pools.

use std::process::ExitCode;

use clap::Parser as _;
use dpmp::cli::{Cli, Task};
use dpmp::{demo, run};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        None => run::run(cli.config, &cli.ports),
        Some(Task::CheckConfig { file }) => Ok(run::check_config(&file)),
        Some(Task::Demo { seconds, calm, ports }) => demo::demo(seconds, calm, &ports),
    };
    done.unwrap_or_else(|error| {
        eprintln!("dpmp: {error:#}");
        ExitCode::FAILURE
    })
}
