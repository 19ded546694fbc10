//! Roles: what a listener answers. Each is a function of a request, of what it sees and of what it
//! remembers, without I/O and without a clock.
//!
//! ```text
//!  request, view, state, moment ─▶ Role::handle ─▶ answer in the output, Outcome that describes
//!                                                     │                     one event
//!                                 Hosted: stamp, tap, and what to do when the event is shed
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
pub mod provider;

pub mod allowed;
pub mod macros;
pub mod parameters;
mod probe;

use crate::{
    clock::{Clock, Nanos},
    config::ListenerConfig,
    http::{
        answer::{Answer, Fixed, NOT_FOUND, UNAVAILABLE},
        head::Head,
    },
    table::handover::TableTaker,
    tap::{Offer, Tap, TopicIndex},
};
use brink_proto::{
    event::{AddressText, Labels, Row, Stamp, labels},
    ids::Micros,
    schema::Schema,
};
use std::time::Duration;

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

/// When a request is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// When it reached the shard, as time of day.
    pub time: Micros,
    /// How long it has waited since then; for roles that have a budget of time.
    pub waited: Duration,
}

/// How much of the peer's address an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// All of it.
    Whole,
    /// Its network, /24 or /48: whoever it is did not consent.
    Network,
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
        /// Place of what became of the request in [`Role::OUTCOMES`], for the counters.
        outcome: usize,
        /// When the answer may leave.
        ack: Ack,
        /// How much of the peer's address is told.
        peer: Shown,
        /// The event.
        row: R,
    },
    /// It does not know the path.
    NotFound,
}

impl<R> Outcome<R> {
    /// The one event of a role that has one topic and one outcome, with all of the peer's address.
    #[inline]
    pub fn event(ack: Ack, row: R) -> Outcome<R> {
        Outcome::Event { topic: 0, outcome: 0, ack, peer: Shown::Whole, row }
    }
}

/// A kind of listener.
pub trait Role: Sized + 'static {
    /// What it sees of the world: settings and tables.
    type View: Send + 'static;
    /// What it remembers from one request to the next, and the memory that it works in.
    type State: Send + 'static;
    /// The event it describes.
    type Row<'a>: Row;

    /// Its name in the configuration.
    const NAME: &'static str;
    /// The topics it speaks on.
    const TOPICS: &'static [&'static Schema];
    /// The routes whose `ack` can be configured.
    const ROUTES: &'static [&'static str];
    /// What can become of a request, as metric labels.
    const OUTCOMES: &'static [&'static str] = &["answered"];
    /// Which of them says that it was too late to answer, if the role has a budget of time.
    const LATE: Option<usize> = None;
    /// Whether it is given anything by the cluster while it runs.
    const SUPPLIED: bool = false;

    /// Makes its view from a listener's configuration, and of what comes from the cluster.
    fn view(config: &ListenerConfig, supplies: Supplies) -> Self::View;

    /// What it begins with. Memory is taken here, and never later.
    fn state(view: &Self::View) -> Self::State;

    /// What is answered, before the connection closes, to what HTTP itself refuses: a body that is
    /// too large, a head that is none. Without it, that is the error's own status.
    fn refusal(_view: &Self::View) -> Option<&'static Fixed> {
        None
    }

    /// Takes what has come from the cluster meanwhile; called once a turn.
    #[inline]
    fn refresh(_view: &mut Self::View) {}

    /// Answers a request.
    fn handle<'a>(
        request: &Request<'a>,
        view: &'a Self::View,
        state: &'a mut Self::State,
        moment: Moment,
        answer: &mut Answer<'_>,
    ) -> Outcome<Self::Row<'a>>;
}

/// What one listener of one shard is given by the cluster while it runs.
#[derive(Default)]
pub struct Supplies {
    /// Where segment tables come in, if the role looks into one.
    pub table: Option<TableTaker>,
}

/// BOUND: outcomes of a role.
pub const OUTCOMES_MAX: usize = 8;

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
    /// What became of the request, in the role's own words.
    pub outcome: Option<usize>,
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

    /// Takes what has come from the cluster meanwhile; called once a turn.
    fn refresh(&mut self);

    /// Whether anything comes from the cluster for it.
    fn is_supplied(&self) -> bool;

    /// Whether it counts how long a request has waited.
    fn has_budget(&self) -> bool;

    /// What is answered to what HTTP itself refuses, if not the error's status.
    fn refusal(&self) -> Option<&'static Fixed>;
}

/// A role with its view, behind one listener of one shard.
struct Hosted<R: Role> {
    view: R::View,
    state: R::State,
    labels: Labels,
    /// Where each of the role's topics is in the shard's tap.
    topics: Vec<TopicIndex>,
}

impl Moment {
    /// A request that is handled as soon as it comes.
    #[must_use]
    pub fn at(time: Micros) -> Moment {
        Moment { time, waited: Duration::ZERO }
    }
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
        let mut served = Served { done_at: Nanos(0), waits_for: None, outcome: None };
        let handled = match probe::answer(request.head, situation.ready) {
            Some(fixed) => {
                answer.fixed(fixed);
                Outcome::Answered
            }
            None => {
                let waited = match R::LATE {
                    Some(_) => situation.clock.now().since(situation.arrived),
                    // Nobody asks, so the clock is not read.
                    None => 0,
                };
                let moment = Moment { time: situation.time, waited: Duration::from_nanos(waited) };
                R::handle(request, &self.view, &mut self.state, moment, answer)
            }
        };
        let done_at = situation.clock.now();
        served.done_at = done_at;
        // By reference: a row has hundreds of bytes, and stays where the role has put it.
        match &handled {
            Outcome::Answered => {}
            Outcome::NotFound => answer.fixed(&NOT_FOUND),
            Outcome::Event { topic, outcome, ack, peer, row } => {
                served.outcome = Some(*outcome);
                let Some(topic) = self.topics.get(*topic).copied() else {
                    // A role that names a topic it does not have; told once, by its own tests.
                    debug_assert!(false, "{} has no topic {topic}", R::NAME);
                    return served;
                };
                let network;
                let peer = match peer {
                    Shown::Whole => request.peer,
                    Shown::Network => {
                        network = request.peer.network();
                        &network
                    }
                };
                let stamp = Stamp {
                    time: situation.time,
                    labels: &self.labels,
                    peer,
                    status: answer.status(),
                    response_bytes: answer.bytes(),
                    service_time_ns: done_at.since(situation.arrived),
                };
                let waited = *ack == Ack::Durable;
                match tap.offer(topic, &stamp, row, done_at, waited) {
                    Offer::Taken if waited => served.waits_for = Some(topic),
                    Offer::Taken => {}
                    // What is promised to be durable and cannot be is not acknowledged.
                    Offer::Shed if waited => {
                        answer.instead(R::refusal(&self.view).unwrap_or(&UNAVAILABLE));
                    }
                    Offer::Shed => {}
                }
            }
        }
        served
    }

    fn refresh(&mut self) {
        R::refresh(&mut self.view);
    }

    fn is_supplied(&self) -> bool {
        R::SUPPLIED
    }

    fn has_budget(&self) -> bool {
        R::LATE.is_some()
    }

    fn refusal(&self) -> Option<&'static Fixed> {
        R::refusal(&self.view)
    }
}

/// What can become of a request, in the words of its role.
#[derive(Debug, Clone, Copy)]
pub struct Outcomes {
    /// [`Role::OUTCOMES`].
    pub labels: &'static [&'static str],
    /// [`Role::LATE`].
    pub late: Option<usize>,
}

/// Makes services of a role; one per role in an appliance.
pub trait RoleHost: Send + Sync {
    /// The role's name in the configuration.
    fn name(&self) -> &'static str;
    /// Its topics.
    fn topics(&self) -> &'static [&'static Schema];
    /// The routes whose `ack` can be configured.
    fn routes(&self) -> &'static [&'static str];
    /// What can become of a request.
    fn outcomes(&self) -> Outcomes;
    /// What makes its service behind one listener; `all` are the topics of the shard's tap.
    fn host(
        &self,
        config: &ListenerConfig,
        all: &[&'static Schema],
        supplies: Supplies,
    ) -> MakeService;
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

    fn outcomes(&self) -> Outcomes {
        const { assert!(R::OUTCOMES.len() <= OUTCOMES_MAX) };
        Outcomes { labels: R::OUTCOMES, late: R::LATE }
    }

    fn host(
        &self,
        config: &ListenerConfig,
        all: &[&'static Schema],
        supplies: Supplies,
    ) -> MakeService {
        let place = |schema: &&'static Schema| {
            all.iter().position(|known| known.topic == schema.topic).map(TopicIndex)
        };
        let (exchange, datacenter) = (config.exchange.as_deref(), config.datacenter.as_deref());
        let view = R::view(config, supplies);
        let hosted = Hosted::<R> {
            state: R::state(&view),
            view,
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
        Roles { hosts: Vec::new() }.with::<provider::Provider>().with::<pixel::Pixel>()
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
