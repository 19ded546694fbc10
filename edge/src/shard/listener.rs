//! A listener as a shard keeps it.

use super::{arrival::Chain, counters::ShardCounters, crowd::Crowd};
use crate::{
    clock::Nanos,
    config::{Deadlines, ListenerConfig, cidr::Cidrs},
    http::answer::Fixed,
    ring::{ListenerIndex, Ring},
    roles::Service,
};
use brink_proto::event::AddressText;
use std::{net::IpAddr, time::Duration};

/// BOUND: accepts that wait at a listener at once.
const ARMED_MAX: u32 = 4;

/// How long a failed accept is not tried again.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What a shard needs to serve a listener.
pub struct ListenerParts {
    /// Its configuration.
    pub config: ListenerConfig,
    /// What answers.
    pub service: Box<dyn Service>,
}

pub(super) struct Listener {
    pub(super) index: u16,
    pub(super) service: Box<dyn Service>,
    /// Whether something comes from the cluster for it.
    pub(super) is_supplied: bool,
    /// Whether it counts how long a request has waited.
    pub(super) has_budget: bool,
    /// What a request that is refused gets instead of the error's status, if the role has it.
    pub(super) refusal: Option<&'static Fixed>,
    pub(super) allow: Cidrs,
    pub(super) trusted: Cidrs,
    pub(super) deadlines: Deadlines,
    pub(super) body_max: usize,
    /// BOUND: connections, and accepts that are armed.
    connections_max: u32,
    pub(super) connections: u32,
    armed: u32,
    /// When those in the backlog can have come at the earliest.
    pub(super) backlog: Chain,
    retry_at: Nanos,
    /// It is another shard's turn to accept.
    stands_back: bool,
    /// An accept failed, and is made good whoever's turn it is.
    owes: bool,
    /// Nothing new is taken.
    pub(super) closed: bool,
}

impl Listener {
    pub(super) fn new(index: u16, parts: ListenerParts) -> Listener {
        let ListenerParts { config, service } = parts;
        Listener {
            index,
            is_supplied: service.is_supplied(),
            has_budget: service.has_budget(),
            refusal: service.refusal(),
            service,
            allow: config.allow,
            trusted: config.trusted_proxies,
            deadlines: config.deadlines,
            body_max: config.body_bytes_max,
            connections_max: config.connections_max,
            connections: 0,
            armed: 0,
            backlog: Chain::NONE,
            retry_at: Nanos(0),
            stands_back: false,
            owes: false,
            closed: false,
        }
    }

    /// Arms accepts, as long as there is room for what they bring. The others wait in the backlog.
    /// Among several shards those accept that have the fewest connections, one at a time.
    ///
    /// What is armed stays armed, though it may bring one connection too many: of the accepts that
    /// wait on a socket the kernel wakes a single one for each connection, and one that is
    /// cancelled behind its wake-up leaves the connection in the backlog, where nobody else looks.
    #[inline]
    pub(super) fn arm(&mut self, ring: &mut impl Ring, now: Nanos, crowd: Option<&Crowd>) {
        if crowd.is_some_and(|crowd| !self.owes && self.stands_back(crowd, ring)) {
            return;
        }
        let armed_max = if crowd.is_some() { 1 } else { ARMED_MAX };
        while !self.closed
            && now >= self.retry_at
            && self.armed < armed_max
            && self.connections + self.armed < self.connections_max
        {
            ring.accept(ListenerIndex(self.index));
            self.armed += 1;
            self.owes = false;
        }
    }

    /// Whether somebody has fewer connections; they are told once.
    #[inline]
    fn stands_back(&mut self, crowd: &Crowd, ring: &mut impl Ring) -> bool {
        let index = usize::from(self.index);
        if crowd.is_fewest(index) {
            self.stands_back = false;
        } else if !self.stands_back {
            self.stands_back = crowd.wake_fewer(index, ring);
        }
        self.stands_back
    }

    /// An armed accept is over.
    pub(super) fn accept_is_over(&mut self) {
        self.armed -= 1;
    }

    /// The system has no room for another connection: it is not asked again at once, but by this
    /// shard, for the others were not woken for the connection that waits.
    pub(super) fn back_off(&mut self, now: Nanos) {
        self.retry_at = now.after(BACK_OFF);
        self.owes = true;
    }

    /// Stops taking connections.
    pub(super) fn close(&mut self, ring: &mut impl Ring) {
        if !self.closed {
            self.closed = true;
            ring.cancel_accepts(ListenerIndex(self.index));
        }
    }

    /// Whether no accept is armed any more.
    pub(super) fn is_quiet(&self) -> bool {
        self.armed == 0
    }

    /// The client behind a peer: whom a trusted proxy forwards for. The header is read from the
    /// right, for each proxy adds whom it saw, and everything left of the first one that is not
    /// trusted can be invented.
    pub(super) fn client(
        &self,
        address: IpAddr,
        peer: &AddressText,
        forwarded_for: Option<&[u8]>,
    ) -> AddressText {
        if self.trusted.is_empty() || !self.trusted.contain(address) {
            return *peer;
        }
        let mut client = *peer;
        for hop in forwarded_for.unwrap_or_default().rsplit(|b| *b == b',') {
            let text = std::str::from_utf8(hop.trim_ascii()).unwrap_or_default();
            let Ok(hop) = text.parse::<IpAddr>() else { break };
            client = AddressText::new(hop);
            if !self.trusted.contain(hop) {
                break;
            }
        }
        client
    }

    pub(super) fn counters<'c>(
        &self,
        counters: &'c ShardCounters,
    ) -> &'c super::counters::ListenerCounters {
        &counters.listeners[usize::from(self.index)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::cidr::Cidr,
        consent::Policy,
        http::answer::Answer,
        roles::{Request, Served, Situation},
        tap::Tap,
    };
    use std::collections::BTreeMap;

    struct Nobody;

    impl Service for Nobody {
        fn serve(
            &mut self,
            _: &Request<'_>,
            situation: &Situation<'_>,
            _: &mut Answer<'_>,
            _: &mut Tap,
        ) -> Served {
            Served { done_at: situation.arrived, waits_for: None, outcome: None }
        }

        fn refresh(&mut self) {}

        fn is_supplied(&self) -> bool {
            false
        }

        fn has_budget(&self) -> bool {
            false
        }

        fn refusal(&self) -> Option<&'static Fixed> {
            None
        }
    }

    fn listener(trusted: &[&str]) -> Listener {
        let second = Duration::from_secs(1);
        let deadlines = Deadlines { head: second, body: second, idle: second, write: second };
        let config = ListenerConfig {
            name: "a".into(),
            role: "a".into(),
            address: ([127, 0, 0, 1], 0).into(),
            exchange: None,
            datacenter: None,
            allow: Cidrs::Any,
            trusted_proxies: Cidrs::List(trusted.iter().filter_map(|t| Cidr::parse(t)).collect()),
            connections_max: 1,
            body_bytes_max: 1,
            deadlines,
            acks: BTreeMap::new(),
            cookie: String::new(),
            auction_parameter: String::new(),
            consent: Policy::default(),
            provider: None,
        };
        Listener::new(0, ListenerParts { config, service: Box::new(Nobody) })
    }

    #[test]
    fn the_client_is_the_right_most_address_that_is_no_trusted_proxy() {
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let rows: [(&[&str], Option<&str>, &str); 9] = [
            (&[], Some("198.51.100.23"), "10.0.0.1"),
            (&["192.0.2.0/24"], Some("198.51.100.23"), "10.0.0.1"),
            (&["10.0.0.0/8"], None, "10.0.0.1"),
            (&["10.0.0.0/8"], Some("198.51.100.23"), "198.51.100.23"),
            (&["10.0.0.0/8"], Some("1.2.3.4, 198.51.100.23"), "198.51.100.23"),
            (&["10.0.0.0/8"], Some("198.51.100.23, 10.9.9.9"), "198.51.100.23"),
            (&["10.0.0.0/8"], Some("10.8.8.8, 10.9.9.9"), "10.8.8.8"),
            (&["10.0.0.0/8"], Some("198.51.100.23, nonsense"), "10.0.0.1"),
            (&["10.0.0.0/8"], Some("2001:db8::1"), "2001:db8::1"),
        ];
        for (trusted, header, want) in rows {
            let listener = listener(trusted);
            let text = AddressText::new(peer);
            let got = listener.client(peer, &text, header.map(str::as_bytes));
            assert_eq!(got.as_bytes(), want.as_bytes(), "{trusted:?} {header:?}");
        }
    }
}
