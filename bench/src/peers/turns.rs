//! The turns of `bench peers`: who is there, who is right, and then everybody in turn.

use super::{
    Absent, Found, InLayout, OwnCost, PeersError, PeersOptions,
    correctness::{self, ANSWER_BYTES},
    layout::{Layout, core_of_thread},
    peer::{Peer, Place},
};
use crate::{
    compare::{judged, order::interleaved, side::Side},
    cores::spare_core,
    load::{Asked, Load, LoadError, Session},
    process::{Launch, Serving},
    report::{Report, Round},
    scenario::url::Url,
};
use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::atomic::AtomicBool,
};
use tempfile::TempDir;

/// Everybody who takes part.
pub struct Turns<'a> {
    options: &'a PeersOptions,
    stop: &'a AtomicBool,
    folder: TempDir,
    present: Vec<(Peer, PathBuf)>,
    absent: Vec<Absent>,
}

impl<'a> Turns<'a> {
    /// Looks who is there.
    ///
    /// # Errors
    /// [`PeersError`] when there is no room for their files.
    pub fn prepare(options: &'a PeersOptions, stop: &'a AtomicBool) -> Result<Self, PeersError> {
        let folder = tempfile::Builder::new().prefix("brink-peers-").tempdir_in(&options.folder)?;
        let (mut present, mut absent) = (Vec::new(), Vec::new());
        let is_asked = |peer: &Peer| options.only.is_empty() || options.only.contains(peer);
        for peer in Peer::ALL.into_iter().filter(is_asked) {
            // Servers are started in their folders: a path must lead there from anywhere.
            match peer.program(&fs::canonicalize(folder.path())?) {
                Ok(program) => present.push((peer, program)),
                Err(why) => absent.push(Absent { peer: peer.name(), why: why.to_string() }),
            }
        }
        Ok(Turns { options, stop, folder, present, absent })
    }

    /// Whether nobody takes part.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// Lets everybody answer a few hard questions; who fails takes no part.
    ///
    /// # Errors
    /// [`PeersError`] when a peer does not run at all.
    pub fn checked(&mut self, layout: &Layout) -> Result<Found, PeersError> {
        let mut failed = Vec::new();
        for (peer, program) in std::mem::take(&mut self.present) {
            let (serving, asked) = self.start(peer, &program, layout)?;
            match correctness::pass(asked.url.address, &asked.first()) {
                Ok(()) => self.present.push((peer, program)),
                Err(failure) => {
                    failed.push(Absent { peer: peer.name(), why: failure.to_string() });
                }
            }
            stop(peer, serving)?;
        }
        Ok(Found {
            answer_bytes: ANSWER_BYTES,
            passed: self.present.iter().map(|(peer, _)| peer.name()).collect(),
            layouts: Vec::new(),
            absent: self.absent.clone(),
            failed,
        })
    }

    /// The layout with the shard alone on its core, if the appliance takes part. It decides itself
    /// which core that is; the others follow.
    ///
    /// # Errors
    /// [`PeersError`] when the appliance does not run.
    pub fn shard_alone(
        &self,
        allowed: &[usize],
        server: usize,
        generator: usize,
    ) -> Result<Option<Layout>, PeersError> {
        let Some((peer, program)) = self.present.iter().find(|(peer, _)| *peer == Peer::Edge)
        else {
            return Ok(None);
        };
        let rest = spare_core(allowed, server, generator);
        let wanted = Layout::shard_alone(server, rest, generator);
        let (serving, _) = self.start(*peer, program, &wanted)?;
        let core = serving.processes().first().and_then(|pid| core_of_thread(*pid, "shard-0"));
        stop(*peer, serving)?;
        Ok(match core {
            Some(core) if core == rest && rest == generator => {
                Some(Layout::shard_alone(core, server, server))
            }
            Some(core) if core == rest => Some(Layout::shard_alone(core, server, generator)),
            _ => Some(wanted),
        })
    }

    /// Everybody in turn, in one layout.
    ///
    /// # Errors
    /// [`PeersError`] when somebody does not run, or cannot be driven.
    pub fn measure(&self, layout: Layout) -> Result<(InLayout, Report), PeersError> {
        let load = Load { cpu: Some(layout.generator), ..self.options.load.clone() };
        let mut session = Session::begin(&load, self.stop);
        let mut rounds: Vec<(usize, Round)> = Vec::new();
        let mut null = None;
        let order = interleaved(self.present.len(), self.options.rounds as usize);
        let mut turns = vec![0; self.present.len()];
        for (turn, at) in order.iter().copied().enumerate() {
            let (peer, program) = &self.present[at];
            turns[at] += 1;
            let name = format!("{} {}", peer.name(), turns[at]);
            eprintln!("{:>12} {:>3} of {}  {name}", layout.name, turn + 1, order.len());
            let (serving, asked) = self.start(*peer, program, &layout)?;
            if null.is_none() {
                null = Some(session.null(&asked, layout.server)?);
            }
            let mut round = session.round(&name, &asked, &serving.processes())?;
            stop(*peer, serving)?;
            round.null = null;
            rounds.push((at, round));
        }
        let side = |(at, (peer, _)): (usize, &(Peer, PathBuf))| {
            let of_side = rounds.iter().filter(|(side, _)| *side == at).map(|(_, round)| round);
            Side::of(peer.name(), &of_side.collect::<Vec<_>>(), load.seed)
        };
        let sides = self.present.iter().enumerate().map(side).collect::<Result<Vec<_>, _>>()?;
        let edge = sides.iter().find(|side| side.name == Peer::Edge.name());
        let others = sides.iter().filter(|side| side.name != Peer::Edge.name());
        let verdicts =
            edge.map_or_else(Vec::new, |edge| others.flat_map(|side| judged(edge, side)).collect());
        let generator = self.own_cost(&mut session, &layout)?;
        let faults = session.faults().to_vec();
        let target = format!("{} with their cores as in {}", names(&self.present), layout.name);
        let rounds = rounds.into_iter().map(|(_, round)| round).collect();
        let report = session.report(format!("Peers, {}", layout.name), target, rounds);
        Ok((InLayout { layout, sides, null, verdicts, generator, faults }, report))
    }

    /// The generator against the floor, as fast as the slower of the two goes.
    fn own_cost(
        &self,
        session: &mut Session<'_>,
        layout: &Layout,
    ) -> Result<Option<OwnCost>, PeersError> {
        let Some((peer, program)) = self.present.iter().find(|(peer, _)| *peer == Peer::Floor)
        else {
            return Ok(None);
        };
        let (serving, asked) = self.start(*peer, program, layout)?;
        let round = session.capacity(&asked, &serving.processes())?;
        let requests = round.counts.heard();
        stop(*peer, serving)?;
        let (Some(server), Some(generator)) = (round.server, round.generator) else {
            return Ok(None);
        };
        let worked_us = (generator.cpu_ms - generator.idle_ms) * 1000.0;
        Ok((requests > 0).then(|| OwnCost {
            rate: round.achieved_rate,
            floor_us: server.cpu_us_per_request,
            generator_us: worked_us / requests as f64,
        }))
    }

    /// Starts a peer in a folder of its own, on ports that nobody has.
    fn start(
        &self,
        peer: Peer,
        program: &std::path::Path,
        layout: &Layout,
    ) -> Result<(Serving, Asked), PeersError> {
        let folder = fs::canonicalize(self.folder.path())?.join(peer.name());
        // What the last round has left behind belongs to that.
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir(&folder)?,
        }
        let (address, admin) = free_addresses()?;
        // The path is the scenario's own.
        let url = Url { address, host: address.to_string(), path: "/".to_owned() };
        let asked = self.options.load.render(&url).map_err(LoadError::from)?;
        let place = Place { folder: &folder, address, admin, layout };
        let missing = |source| PeersError::Missing { peer: peer.name(), source };
        let cores = if peer == Peer::Edge { layout.appliance() } else { vec![layout.server] };
        let serving = Serving::start(Launch {
            command: peer.command(program, &place).map_err(missing)?,
            cores: &cores,
            address,
            request: &asked.first(),
            log: &folder.join("output"),
        });
        let failed = |source| PeersError::Process { peer: peer.name(), source };
        Ok((serving.map_err(failed)?, asked))
    }
}

fn stop(peer: Peer, serving: Serving) -> Result<(), PeersError> {
    serving.stop().map_err(|source| PeersError::Process { peer: peer.name(), source })
}

fn names(present: &[(Peer, PathBuf)]) -> String {
    present.iter().map(|(peer, _)| peer.name()).collect::<Vec<_>>().join(", ")
}

/// Two addresses on which nobody listens.
fn free_addresses() -> io::Result<(SocketAddr, SocketAddr)> {
    let free = || TcpListener::bind("127.0.0.1:0");
    let (first, second) = (free()?, free()?);
    Ok((first.local_addr()?, second.local_addr()?))
}
