//! `bench`: open-loop load, for people and for machines.

use brink_bench::{
    drive::{Answer, Drive, Report, Script, drive},
    record::Quantiles,
};
use clap::{Parser, Subcommand};
use std::{net::SocketAddr, process::ExitCode, time::Duration};

/// Open-loop load: latency from the moment a request was due.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:\n  bench run --url http://127.0.0.1:8083/i.gif\n  \
                  bench run --url http://127.0.0.1:8083/i.gif --rate 5000 --duration 30 --cpu 1 --json"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Sends GET requests at a constant rate and prints latencies.
    Run(Run),
}

#[derive(clap::Args)]
struct Run {
    /// What to ask for: http://ADDRESS:PORT/PATH.
    #[arg(long)]
    url: String,
    /// Requests per second.
    #[arg(long, default_value_t = 5000.0)]
    rate: f64,
    /// Connections, one request in flight on each.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Seconds that are recorded.
    #[arg(long, default_value_t = 10)]
    duration: u64,
    /// Seconds before that.
    #[arg(long, default_value_t = 2)]
    warmup: u64,
    /// Core that the driver is pinned to. It never sleeps, so not one of the server's.
    #[arg(long)]
    cpu: Option<usize>,
    /// Status that answers should have.
    #[arg(long, default_value_t = 200)]
    status: u16,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let Verb::Run(run) = Arguments::parse().verb;
    match self::run(&run) {
        Ok(clean) if clean => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(text) => {
            eprintln!("bench: {text}");
            ExitCode::from(2)
        }
    }
}

/// One request, again and again.
struct Same {
    request: Vec<u8>,
    status: u16,
    quiet: bool,
}

impl Script for Same {
    fn request(&mut self, _number: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.request);
    }

    fn check(&mut self, _number: u64, answer: Answer) -> bool {
        answer.status == self.status
    }

    fn progress(&mut self, elapsed: Duration, answered: u64) {
        if !self.quiet {
            eprintln!("{:>4} s  {answered} answered", elapsed.as_secs());
        }
    }
}

fn run(run: &Run) -> Result<bool, String> {
    let (address, path) = split(&run.url)?;
    if !(run.rate > 0.0 && run.rate <= 10_000_000.0 && run.connections > 0) {
        return Err("--rate and --connections must be above zero".to_owned());
    }
    let config = Drive {
        address,
        connections: run.connections,
        rate: run.rate,
        duration: Duration::from_secs(run.duration),
        warmup: Duration::from_secs(run.warmup),
        cpu: run.cpu,
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
    let mut script = Same { request, status: run.status, quiet: run.json };
    let report = drive(&config, &mut script).map_err(|e| e.to_string())?;
    if run.json {
        println!("{}", serde_json::json!(report));
    } else {
        print(&report);
    }
    Ok(report.is_clean())
}

fn split(url: &str) -> Result<(SocketAddr, &str), String> {
    let wrong = || format!("{url:?} is no http://ADDRESS:PORT/PATH");
    let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
    let slash = rest.find('/').unwrap_or(rest.len());
    let (address, path) = rest.split_at(slash);
    let path = if path.is_empty() { "/" } else { path };
    Ok((address.parse().map_err(|_| wrong())?, path))
}

fn print(report: &Report) {
    let line = |name: &str, q: &Quantiles| {
        println!(
            "{name:<14} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
            q.p50, q.p90, q.p99, q.p999, q.max
        );
    };
    println!("\n{:<14} {:>9} {:>9} {:>9} {:>9} {:>9}", "µs", "p50", "p90", "p99", "p99.9", "max");
    line("all windows", &report.latency);
    line("valid windows", &report.valid);
    line("own lag", &report.lag);
    let windows = report.windows;
    println!("\nvalid windows {} of {}", windows.valid, windows.total);
    println!(
        "due {}, answered {}, wrong {}, broken {}, timeouts {}, reconnects {}, queued {}, {:.0}/s",
        report.due,
        report.answered,
        report.wrong,
        report.broken,
        report.timeouts,
        report.reconnects,
        report.queued,
        report.achieved_rate
    );
}
