//! `edge consent`: what a string says, what is decided, and every reason that there is.

use super::{Policy, Purposes, Reason, Signals, explain};
use crate::{
    config,
    exit::{Exit, OK, fail},
    roles::Roles,
};
use brink_tuning::host::Host;
use std::path::PathBuf;

/// What can be asked.
#[derive(Debug, clap::Subcommand)]
pub enum ConsentVerb {
    /// Shows what a TC, GPP or US Privacy string says, and what is decided.
    Explain(ExplainOptions),
    /// Lists every reason that a row can give for its decision.
    Reasons,
}

const EXAMPLES: &str = "Examples:
  edge consent explain 1YNN
  edge consent explain CQ… --vendor 42
  edge consent explain DBAA… --gpp-sid 7 --config /etc/brink/edge.toml
  edge consent explain CQ… --gdpr 0 --json";

/// What is to be explained, and under which policy.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ExplainOptions {
    /// The string: its first character tells what it is.
    string: String,
    /// Whether GDPR applies, as the exchange sends it: 0 or 1.
    #[arg(long)]
    gdpr: Option<String>,
    /// The GPP sections that apply, such as 2,7.
    #[arg(long)]
    gpp_sid: Option<String>,
    /// The browser sent Global Privacy Control.
    #[arg(long)]
    gpc: bool,
    /// The request is subject to COPPA.
    #[arg(long)]
    coppa: bool,
    /// A configuration, for its policy.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Our id in the Global Vendor List, in place of the configuration's.
    #[arg(long)]
    vendor: Option<u16>,
    /// Purposes that need consent, in place of the configuration's.
    #[arg(long, value_delimiter = ',')]
    purposes: Option<Vec<u8>>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Does it.
#[must_use]
pub fn run(verb: &ConsentVerb) -> Exit {
    match verb {
        ConsentVerb::Explain(options) => run_explain(options),
        ConsentVerb::Reasons => {
            for reason in Reason::ALL {
                let verdict = reason.verdict().label().unwrap_or("(none)");
                println!("{:<30} {verdict:<8} {}", reason.label(), reason.about());
            }
            OK
        }
    }
}

fn run_explain(options: &ExplainOptions) -> Exit {
    let policy = match policy(options) {
        Ok(policy) => policy,
        Err(exit) => return exit,
    };
    let bytes = |text: &'_ Option<String>| text.as_ref().map(|text| text.clone().into_bytes());
    let (gdpr, gpp_sid) = (bytes(&options.gdpr), bytes(&options.gpp_sid));
    let signals = Signals {
        gdpr: gdpr.as_deref(),
        gpp_sid: gpp_sid.as_deref(),
        gpc: options.gpc,
        coppa: options.coppa,
        ..Signals::of_text(options.string.as_bytes())
    };
    let explanation = explain(&signals, &policy);
    if options.json {
        println!("{}", serde_json::json!(explanation));
    } else {
        println!("{explanation}");
    }
    OK
}

fn policy(options: &ExplainOptions) -> Result<Policy, Exit> {
    let mut policy = Policy::default();
    if let Some(file) = &options.config {
        let config = config::resolve(file, &Roles::standard(), &Host::look());
        policy = config.map_err(|error| fail("edge", &error))?.consent;
    }
    policy.vendor = options.vendor.unwrap_or(policy.vendor);
    if let Some(purposes) = &options.purposes {
        policy.consent = Purposes::of(purposes);
    }
    Ok(policy)
}
