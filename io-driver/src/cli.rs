//! The command line: what can be typed, and nothing of what it does.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use dpmp_core::config::Address;

/// DPMP: a Stratum v1 mining proxy that divides the work of any miner between two pools.
#[derive(Debug, Parser)]
#[command(
    name = "dpmp",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Without a config: `dpmp demo` shows it at work.\nEnvironment: DPMP_CONFIG, DPMP_LOG_LEVEL, \
                  DPMP_LOG_ALLOW, DPMP_LOG_DENY, DASHBOARD_PASSWORD; and of DPMP v2: DPMP_CONFIG_PATH, NICEGUI_HOST, \
                  NICEGUI_PORT."
)]
pub struct Cli {
    /// What to do; without a command: run the proxy.
    #[command(subcommand)]
    pub command: Option<Task>,
    /// The config file [default: $DPMP_CONFIG, else ./config_v2.json].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Ports that win over the config's.
    #[command(flatten)]
    pub ports: Ports,
}

/// Ports that win over the config's.
#[derive(Clone, Debug, Default, Args)]
pub struct Ports {
    /// Where miners connect.
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub listen: Option<Address>,
    /// Where Prometheus scrapes (/metrics, /healthz, /readyz).
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub metrics: Option<Address>,
    /// Where the dashboard is.
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub dashboard: Option<Address>,
}

/// What can be done besides running the proxy.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Two pools, six miners and the proxy between them, all on this machine. Needs nothing.
    Demo {
        /// End after so many seconds, with a summary.
        #[arg(long, value_name = "N")]
        seconds: Option<u64>,
        /// No outages: both pools stay up.
        #[arg(long)]
        calm: bool,
        /// Ports other than 3351, 9210 and 8855 on 127.0.0.1.
        #[command(flatten)]
        ports: Ports,
    },
    /// The proxy's engine for many virtual hours among simulated pools and miners that misbehave, all from one seed. Exit 1
    /// if a share was lost or a rule broken.
    Simulate {
        /// Everything that is drawn follows from it.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// Virtual hours.
        #[arg(long, value_name = "H", default_value_t = 1.0, value_parser = hours)]
        hours: f64,
        /// Miners, of random firmware.
        #[arg(long, value_name = "M", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        miners: u16,
    },
    /// Run a recording again and compare: exit 1 at the first step that sends something else than when it was recorded.
    Replay {
        /// A .trace file, or a recording's folder.
        file: PathBuf,
        /// Show what happened: events, messages in and out, facts.
        #[arg(long)]
        print: bool,
        /// What of it.
        #[command(flatten)]
        filter: PrintFilter,
    },
    /// What can be done with recordings.
    Trace {
        /// What to do.
        #[command(subcommand)]
        task: TraceTask,
    },
    /// Make a new first password for the dashboard, in dashboard-password.txt beside the config. Works while the proxy runs.
    ResetPassword {
        /// The config file [default: $DPMP_CONFIG, else ./config_v2.json].
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Say all that is wrong with a config file, and do nothing else.
    CheckConfig {
        /// The file.
        file: PathBuf,
    },
    /// Add the keys that a newer example has to a config file. No value changes, nor what the file means; a dated backup
    /// is made.
    MergeConfig {
        /// The example, such as config_v2_example.json.
        template: PathBuf,
        /// The file that gets the keys.
        file: PathBuf,
    },
}

/// What of a recording is shown. All that is given must hold.
#[derive(Clone, Debug, Default, Args)]
pub struct PrintFilter {
    /// Only this miner: its worker's name, or its number.
    #[arg(long, value_name = "WORKER|ID", requires = "print")]
    pub miner: Option<String>,
    /// Only this pool: A, B, ...
    #[arg(long, value_name = "LETTER", requires = "print")]
    pub pool: Option<String>,
    /// Only what is called so: an event (Received, Closed, ...), a method (mining.submit), or a fact (PoolSwitched).
    #[arg(long, value_name = "NAME", requires = "print")]
    pub event: Option<String>,
    /// From this second of the run on.
    #[arg(long, value_name = "SECONDS", value_parser = second, requires = "print")]
    pub from: Option<f64>,
    /// Up to this second of the run.
    #[arg(long, value_name = "SECONDS", value_parser = second, requires = "print")]
    pub to: Option<f64>,
}

/// What can be done with recordings.
#[derive(Debug, Subcommand)]
pub enum TraceTask {
    /// Write a copy that can be given away: wallets, passwords, workers, hosts, addresses and payout scripts become
    /// pseudonyms, and it still replays.
    Redact {
        /// A .trace file, or a recording's folder.
        input: PathBuf,
        /// The file to write.
        output: PathBuf,
        /// Overwrite it if it is there.
        #[arg(long)]
        force: bool,
    },
}

/// A second of a run: a number, not below 0.
fn second(text: &str) -> Result<f64, String> {
    let second = text.parse().ok().filter(|second: &f64| second.is_finite() && *second >= 0.0);
    second.ok_or_else(|| format!("{text:?} is no second of a run: a number that is not below 0 is needed"))
}

/// Longest virtual time, in hours: a year.
const MOST_HOURS: f64 = 8_760.0;

/// Virtual hours.
fn hours(text: &str) -> Result<f64, String> {
    let hours = text.parse().ok().filter(|hours| *hours > 0.0 && *hours <= MOST_HOURS);
    hours.ok_or_else(|| format!("more than 0 and at most {MOST_HOURS} is needed"))
}

/// `HOST:PORT`, with brackets around an IPv6 address.
fn address(text: &str) -> Result<Address, String> {
    let (host, port) = text.rsplit_once(':').ok_or("HOST:PORT is needed, such as 0.0.0.0:3351")?;
    let port = port.parse().map_err(|_| format!("{port:?} is no port: a number from 1 to 65535 is needed"))?;
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if bracketed.is_none() && host.contains(':') {
        return Err(format!("an IPv6 address needs brackets: [{host}]:{port}"));
    }
    let host = bracketed.unwrap_or(host);
    if host.is_empty() {
        return Err(format!(
            "the host is missing: 0.0.0.0:{port} is every interface, 127.0.0.1:{port} this machine only"
        ));
    }
    Ok(Address { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn addresses() {
        let ok = |host: &str, port| Ok(Address { host: host.to_owned(), port });
        assert_eq!(address("0.0.0.0:3351"), ok("0.0.0.0", 3351));
        assert_eq!(address("localhost:0"), ok("localhost", 0));
        assert_eq!(address("[::1]:9210"), ok("::1", 9210));
        for (bad, says) in [
            ("3351", "HOST:PORT"),
            (":3351", "host is missing"),
            ("::1:3351", "brackets"),
            ("a:70000", "no port"),
            ("a:", "no port"),
            ("a:x", "no port"),
        ] {
            let error = address(bad).unwrap_err();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }

    #[test]
    fn commands() {
        let parse = |line: &str| Cli::try_parse_from(line.split_whitespace());
        let cli = parse("dpmp --config x.json --listen 127.0.0.1:1").unwrap();
        assert!(cli.command.is_none() && cli.ports.listen.is_some());
        let Ok(Cli { command: Some(Task::Demo { seconds, calm, ports }), .. }) =
            parse("dpmp demo --seconds 5 --calm --metrics [::]:2")
        else {
            panic!()
        };
        assert!(seconds == Some(5) && calm && ports.metrics.is_some());
        let Ok(Cli { command: Some(Task::Simulate { seed: 7, miners: 50, hours }), .. }) =
            parse("dpmp simulate --seed 7 --hours 1.5 --miners 50")
        else {
            panic!()
        };
        assert!(hours == 1.5 && parse("dpmp simulate --miners 0").is_err());
        assert!(parse("dpmp check-config").is_err());
    }
}
