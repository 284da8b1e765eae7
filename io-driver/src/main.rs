//! dpmp: a Stratum v1 mining proxy for two pools.

use std::process::ExitCode;

use clap::Parser as _;
use dpmp::cli::{Cli, Task};
use dpmp::run;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        None => run::run(cli.config, &cli.ports),
        Some(Task::CheckConfig { file }) => Ok(run::check_config(&file)),
        Some(Task::Demo { .. }) => todo(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("dpmp: {error:#}");
        ExitCode::FAILURE
    })
}

fn todo() -> anyhow::Result<ExitCode> {
    anyhow::bail!("the demo is not there yet")
}
