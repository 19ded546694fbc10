//! A server, a proxy in front of it that fails as it is told to, and an appliance that knows only
//! the proxy.

use crate::traffic::{PREFIX, ask, delivered, settings, site};
use brink_tests::{
    appliance::eventually,
    process::Serving,
    s3::{
        S3Server,
        proxy::{Fault, OBJECTS, Proxy},
    },
    site::Site,
};
use std::collections::BTreeSet;

/// All of it, and the nonces that were asked for.
pub(crate) struct World {
    pub(crate) server: S3Server,
    pub(crate) proxy: Proxy,
    pub(crate) site: Site,
    pub(crate) serving: Serving,
    pub(crate) asked: BTreeSet<String>,
}

impl World {
    pub(crate) fn start() -> Option<World> {
        World::start_with(|_| {})
    }

    /// The proxy is told before the appliance starts.
    pub(crate) fn start_with(tell: impl FnOnce(&Proxy)) -> Option<World> {
        World::made(tell, |site| site)
    }

    /// The appliance is configured in another way.
    pub(crate) fn start_as(shape: impl FnOnce(Site) -> Site) -> Option<World> {
        World::made(|_| {}, shape)
    }

    fn made(tell: impl FnOnce(&Proxy), shape: impl FnOnce(Site) -> Site) -> Option<World> {
        let server = S3Server::start()?;
        let proxy = Proxy::start(server.address(), server.secret());
        tell(&proxy);
        let site = shape(site(&server, &settings(&server, &proxy.endpoint())));
        Some(World::of(server, proxy, site))
    }

    pub(crate) fn of(server: S3Server, proxy: Proxy, site: Site) -> World {
        World { serving: site.serve(), server, proxy, site, asked: BTreeSet::new() }
    }

    /// Asks for some more pixels.
    pub(crate) fn ask(&mut self) {
        let from = self.asked.len();
        let more: BTreeSet<String> = (from..from + 100).map(|n| n.to_string()).collect();
        ask(&self.serving, &more);
        self.asked.extend(more);
    }

    pub(crate) fn figure(&self, name: &str) -> u64 {
        self.serving.status().sink()[name].as_u64().expect("a number")
    }

    pub(crate) fn await_delivery(&self) {
        eventually("all is delivered", || self.figure("delivered") == self.asked.len() as u64);
    }

    /// The object whose answer is held back, once it is made.
    pub(crate) fn await_object(&self) -> String {
        let key = self.proxy.seen().into_iter().rfind(|s| s.fault.is_some()).expect("it").path;
        let name = key.rsplit_once('/').expect("a folder").1;
        eventually("it is made", || {
            let keys = self.server.download(PREFIX, &self.site.path().join("looked"));
            keys.iter().any(|key| key.ends_with(name))
        });
        key
    }

    pub(crate) fn is_alarmed(&self, alarm: &str) -> bool {
        self.serving.status().is_alarmed(alarm)
    }

    /// How often an alarm was raised since the start.
    pub(crate) fn raised(&self, alarm: &str) -> u64 {
        self.serving.metric(&format!("brink_alarms_raised_total{{alarm=\"{alarm}\"}}"))
    }

    /// Stops it; what lies in the store is what was asked for, each once.
    pub(crate) fn conclude(self) {
        let World { server, proxy, site, serving, asked } = self;
        proxy.clear();
        assert_eq!(serving.stop().code(), Some(0));
        let audit = delivered(&server, &site);
        assert_eq!(audit.nonces(), asked);
        audit.check_dense();
    }
}

/// What an operator sees of a fault that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noticed {
    /// That the store failed for a while.
    Alarm,
    /// Perhaps nothing: the object is there, and soon known to be.
    Nothing,
}

/// A fault that strikes a few PUTs, after which everything is as if nothing had been.
pub(crate) fn strike(fault: Fault, times: u32, noticed: Noticed) {
    if let Some(world) = World::start() {
        strike_in(world, fault, times, noticed);
    }
}

/// The same in a world that is there already.
pub(crate) fn strike_in(mut world: World, fault: Fault, times: u32, noticed: Noticed) {
    world.ask();
    world.await_delivery();
    assert_eq!(world.raised("store_failing"), 0);
    world.proxy.inject(fault, OBJECTS, times);
    for _ in 0..3 {
        world.ask();
        world.await_delivery();
    }
    assert_eq!(world.proxy.struck(), times as usize);
    if noticed == Noticed::Alarm {
        assert!(world.raised("store_failing") > 0, "nobody was told");
    }
    assert_eq!(world.raised("store_refusing"), 0);
    eventually("no alarm is left", || {
        let alarms = ["store_failing", "store_refusing", "object_conflict", "store_ahead"];
        alarms.iter().all(|alarm| !world.is_alarmed(alarm))
    });
    world.conclude();
}
