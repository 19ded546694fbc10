//! Roles: what a listener answers. Each is a pure function of a request and of what it sees.
//!
//! ```text
//!  request, view, now ─▶ Role::handle ─▶ answer in the output, Outcome that describes one event
//!                                             │
//!                             Hosted: stamp, tap, and what to do when the event is shed
//! ```
//!
//! Every role has the same files: `mod.rs` (routes), `view.rs` (what it sees, made from its
//! configuration), `answers.rs` (what it says), `row.rs` (the event it describes), `tests.rs`. A
//! role knows nothing of shards, connections, the tap's insides or the shipper; a new one touches
//! none of them.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod pixel;

mod probe;

use crate::{
    clock::{Clock, Nanos},
    config::ListenerConfig,
    http::{
        answer::{Answer, NOT_FOUND, UNAVAILABLE},
        head::Head,
    },
    tap::{Offer, Tap, TopicIndex},
};
use brink_proto::{
    event::{AddressText, Labels, Row, Stamp, labels},
    ids::Micros,
    schema::Schema,
};

/// A request as a role sees it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Its head.
    pub head: &'a Head<'a>,
    /// Its body.
    pub body: &'a [u8],
    /// The other end of the connection.
    pub peer: &'a AddressText,
    /// The client: the peer, or whom trusted proxies forward for.
    pub client: &'a AddressText,
}

/// When an answer may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// At once: the event is on its way to the log.
    Received,
    /// When the event is durable.
    Durable,
}

/// What a role did.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<R> {
    /// It answered, and there is nothing to tell.
    Answered,
    /// It answered, and this is to be told.
    Event {
        /// Place of the topic in [`Role::TOPICS`].
        topic: usize,
        /// When the answer may leave.
        ack: Ack,
        /// The event.
        row: R,
    },
    /// It does not know the path.
    NotFound,
}

/// A kind of listener.
pub trait Role: Sized + 'static {
    /// What it sees of the world: settings and tables, replaced as a whole.
    type View: Send + 'static;
    /// The event it describes.
    type Row<'a>: Row;

    /// Its name in the configuration.
    const NAME: &'static str;
    /// The topics it speaks on.
    const TOPICS: &'static [&'static Schema];
    /// The routes whose `ack` can be configured.
    const ROUTES: &'static [&'static str];

    /// Makes its view from a listener's configuration.
    fn view(config: &ListenerConfig) -> Self::View;

    /// Answers a request.
    fn handle<'a>(
        request: &Request<'a>,
        view: &'a Self::View,
        now: Micros,
        answer: &mut Answer<'_>,
    ) -> Outcome<Self::Row<'a>>;
}

/// What a shard knows while a request is answered.
pub struct Situation<'a> {
    /// The clock, to say how long it took.
    pub clock: &'a dyn Clock,
    /// When the request reached the shard.
    pub arrived: Nanos,
    /// The same as time of day.
    pub time: Micros,
    /// Whether the appliance wants requests.
    pub ready: bool,
}

/// How a request was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// When the answer was written.
    pub done_at: Nanos,
    /// The topic whose open batch the answer waits for, if it waits.
    pub waits_for: Option<TopicIndex>,
}

/// A role behind a listener of a shard, whatever role it is.
pub trait Service {
    /// Answers a request and tells the tap.
    fn serve(
        &mut self,
        request: &Request<'_>,
        situation: &Situation<'_>,
        answer: &mut Answer<'_>,
        tap: &mut Tap,
    ) -> Served;
}

/// A role with its view, behind one listener of one shard.
struct Hosted<R: Role> {
    view: R::View,
    labels: Labels,
    /// Where each of the role's topics is in the shard's tap.
    topics: Vec<TopicIndex>,
}

impl<R: Role> Service for Hosted<R> {
    #[inline]
    fn serve(
        &mut self,
        request: &Request<'_>,
        situation: &Situation<'_>,
        answer: &mut Answer<'_>,
        tap: &mut Tap,
    ) -> Served {
        let mut waits_for = None;
        let outcome = match probe::answer(request.head, situation.ready) {
            Some(fixed) => {
                answer.fixed(fixed);
                Outcome::Answered
            }
            None => R::handle(request, &self.view, situation.time, answer),
        };
        let done_at = situation.clock.now();
        match outcome {
            Outcome::Answered => {}
            Outcome::NotFound => answer.fixed(&NOT_FOUND),
            Outcome::Event { topic, ack, row } => {
                let Some(topic) = self.topics.get(topic).copied() else {
                    // A role that names a topic it does not have; told once, by its own tests.
                    debug_assert!(false, "{} has no topic {topic}", R::NAME);
                    return Served { done_at, waits_for };
                };
                let stamp = Stamp {
                    time: situation.time,
                    labels: &self.labels,
                    peer: request.peer,
                    status: answer.status(),
                    response_bytes: answer.bytes(),
                    service_time_ns: done_at.since(situation.arrived),
                };
                let waited = ack == Ack::Durable;
                match tap.offer(topic, &stamp, &row, done_at, waited) {
                    Offer::Taken if waited => waits_for = Some(topic),
                    Offer::Taken => {}
                    // What is promised to be durable and cannot be is not acknowledged.
                    Offer::Shed if waited => answer.instead(&UNAVAILABLE),
                    Offer::Shed => {}
                }
            }
        }
        Served { done_at, waits_for }
    }
}

/// Makes services of a role; one per role in an appliance.
pub trait RoleHost: Send + Sync {
    /// The role's name in the configuration.
    fn name(&self) -> &'static str;
    /// Its topics.
    fn topics(&self) -> &'static [&'static Schema];
    /// The routes whose `ack` can be configured.
    fn routes(&self) -> &'static [&'static str];
    /// What makes its service behind one listener; `all` are the topics of the shard's tap.
    fn host(&self, config: &ListenerConfig, all: &[&'static Schema]) -> MakeService;
}

/// Makes a service on the thread of its shard.
pub type MakeService = Box<dyn FnOnce() -> Box<dyn Service> + Send>;

struct HostOf<R>(std::marker::PhantomData<fn() -> R>);

impl<R: Role> RoleHost for HostOf<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn topics(&self) -> &'static [&'static Schema] {
        R::TOPICS
    }

    fn routes(&self) -> &'static [&'static str] {
        R::ROUTES
    }

    fn host(&self, config: &ListenerConfig, all: &[&'static Schema]) -> MakeService {
        let place = |schema: &&'static Schema| {
            all.iter().position(|known| known.topic == schema.topic).map(TopicIndex)
        };
        let (exchange, datacenter) = (config.exchange.as_deref(), config.datacenter.as_deref());
        let hosted = Hosted::<R> {
            view: R::view(config),
            labels: labels(&config.name, exchange, datacenter),
            topics: R::TOPICS.iter().filter_map(place).collect(),
        };
        Box::new(move || Box::new(hosted))
    }
}

/// The roles that an appliance is built with.
pub struct Roles {
    hosts: Vec<Box<dyn RoleHost>>,
}

impl Roles {
    /// Those of this crate.
    #[must_use]
    pub fn standard() -> Roles {
        Roles { hosts: Vec::new() }.with::<pixel::Pixel>()
    }

    /// And another one.
    #[must_use]
    pub fn with<R: Role>(mut self) -> Roles {
        self.hosts.push(Box::new(HostOf::<R>(std::marker::PhantomData)));
        self
    }

    /// The role of a name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&dyn RoleHost> {
        self.hosts.iter().map(AsRef::as_ref).find(|host| host.name() == name)
    }

    /// All names, for messages.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.hosts.iter().map(|host| host.name()).collect()
    }

    /// The topics of the roles of these names, each once.
    #[must_use]
    pub fn topics<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<&'static Schema> {
        let mut topics: Vec<&'static Schema> = Vec::new();
        for host in names.filter_map(|name| self.by_name(name)) {
            for schema in host.topics() {
                if !topics.iter().any(|known| known.topic == schema.topic) {
                    topics.push(schema);
                }
            }
        }
        topics
    }
}
