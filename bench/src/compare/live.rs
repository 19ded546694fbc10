//! Two commands: their servers take turns on the same cores under the same load.

use super::{CompareError, Comparison, order::interleaved, side::Side};
use crate::{
    load::{Asked, Load, Session},
    process::{Launch, Serving},
    report::{Report, Round},
    scenario::url::Url,
};
use std::{process::Command, sync::atomic::AtomicBool};

/// Who takes turns, and how often.
#[derive(Debug)]
pub struct Plan<'a> {
    /// What the sides are called.
    pub names: [&'a str; 2],
    /// The commands that start them, for a shell.
    pub commands: [&'a str; 2],
    /// Where they listen, and what they are asked for.
    pub urls: [&'a Url; 2],
    /// Rounds of each side.
    pub rounds: usize,
    /// Cores of the servers; those that the generator does not have, if there are none.
    pub cores: &'a [usize],
}

/// Drives both sides in turns; the comparison, and the raw rounds.
///
/// # Errors
/// [`CompareError`] when a server does not run or cannot be driven.
pub fn compare(
    plan: &Plan<'_>,
    load: &Load,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(&str),
) -> Result<(Comparison, Report), CompareError> {
    let folder = tempfile::tempdir()?;
    let cores = load.server_cores(plan.cores)?;
    let mut session = Session::begin(load, stop);
    let asked: Vec<Asked> = plan
        .urls
        .iter()
        .map(|url| load.render(url))
        .collect::<Result<_, _>>()
        .map_err(crate::load::LoadError::from)?;
    let order = interleaved(2, plan.rounds);
    let mut turns = [0; 2];
    let mut rounds: Vec<(usize, Round)> = Vec::with_capacity(order.len());
    let null = session.null(&asked[0], cores[0])?;
    for (turn, at) in order.iter().copied().enumerate() {
        turns[at] += 1;
        let name = format!("{} {}", plan.names[at], turns[at]);
        progress(&format!("{:>3} of {}  {name}", turn + 1, order.len()));
        let failed = |source| CompareError::Server { name: plan.names[at].to_owned(), source };
        let mut command = Command::new("sh");
        // The shell gives its place to the server, so that this process is the server's.
        command.arg("-c").arg(format!("exec {}", plan.commands[at]));
        let serving = Serving::start(Launch {
            command,
            cores: &cores,
            address: asked[at].url.address,
            request: &asked[at].first(),
            log: &folder.path().join(format!("{at}.log")),
        })
        .map_err(failed)?;
        let mut round = session.round(&name, &asked[at], &serving.processes())?;
        serving.stop().map_err(failed)?;
        round.null = Some(null);
        rounds.push((at, round));
    }
    let side = |at: usize| {
        let of_side = rounds.iter().filter(|(side, _)| *side == at).map(|(_, round)| round);
        Side::of(plan.names[at], &of_side.collect::<Vec<_>>(), load.seed)
    };
    let sides = [side(0)?, side(1)?];
    let notes = session.faults().to_vec();
    let comparison = Comparison::of(load.rate, sides, Some(null), notes);
    let rounds = rounds.into_iter().map(|(_, round)| round).collect();
    let [a, b] = plan.names;
    let target = plan.urls.map(ToString::to_string).join(" ");
    Ok((comparison, session.report(format!("{a} against {b}"), target, rounds)))
}
