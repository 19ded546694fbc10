//! What a call for a user's segments costs in process, from its first byte to its last answered
//! one, beside two reads of the same memory that wait for one another:
//!
//! ```text
//! bench gen-table --users 10000000 --output - | edge table build --input - --output users.table
//! cargo bench -p edge --bench provider -- --table users.table --users 10000000
//! ```
//!
//! Users are drawn uniformly, so that nothing of theirs is in a cache. Each call is timed by
//! itself, with its bytes in the cache, as a receive leaves them there, and the clock's own time is
//! taken off. Reads are timed by the round, each at a place that the one before it says: a clock
//! does not wait for what it stands behind. Rounds of calls and of reads take turns.

use brink_bench::{gen_table::user_id, random::Random};
use brink_proto::{
    event::{AddressText, Row},
    ids::Micros,
    table::Table,
};
use edge::{
    config::{file::DialectWord, provider::ProviderConfig},
    consent::Policy,
    http::{
        answer::Answer,
        date::HeadEnd,
        head::{header_space, parse},
    },
    ring::{blocks::OutBlocks, output::Output},
    roles::{
        Ack, Moment, Outcome, Request, Role, Supplies,
        provider::{Provider, ProviderState, ProviderView},
    },
    table::{
        arena::Arena,
        handover::{LoadedTable, TableTaker},
    },
};
use quanta::Clock;
use std::{env, fs::File, hint::black_box, io::Write};

/// Calls, and pairs of reads, of a round.
const ROUND: u64 = 100_000;

/// Rounds of each.
const ROUNDS: usize = 15;

/// Bytes of a line that one read brings.
const LINE: u64 = 64;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|a| a == name)?;
        arguments.get(at + 1).cloned()
    };
    let (Some(file), Some(users)) = (value("--table"), value("--users")) else {
        return println!("provider: nothing is measured without --table FILE --users N [--seed S]");
    };
    let users: u64 = users.parse().expect("a number of users");
    let seed: u64 = value("--seed").map_or(1, |seed| seed.parse().expect("a seed"));
    let read = || {
        let mut file = File::open(&file).expect("the table can be opened");
        let bytes = file.metadata().expect("a size").len() as usize;
        let mut arena = Arena::map(bytes).expect("memory");
        arena.fill(&mut file, bytes).expect("the table can be read");
        arena
    };
    let bytes = read();
    let mut calls = Calls::new(read(), users, seed);
    let clock = Clock::new();
    let empty = median((0..ROUND).map(|_| time(&clock, || ())).collect());
    println!(
        "ns         two reads      a call   difference  (of {ROUND}: the mean; the median, clock taken off)"
    );
    let mut differences = Vec::new();
    for round in 0..ROUNDS {
        let mut random = Random::new(seed, round as u64);
        let reads = time(&clock, || reads(bytes.as_ref(), &mut random)) / ROUND;
        let call = median((0..ROUND).map(|_| calls.call(&clock, &mut random)).collect());
        let call = call.saturating_sub(empty);
        differences.push(call.saturating_sub(reads));
        println!("round {round:>2} {reads:>12} {call:>12} {:>12}", call.saturating_sub(reads));
    }
    println!(
        "median difference {} ns; found {} of {}",
        median(differences),
        calls.found,
        calls.asked
    );
}

fn time<T>(clock: &Clock, mut what: impl FnMut() -> T) -> u64 {
    let from = clock.raw();
    black_box(what());
    clock.delta_as_nanos(from, clock.raw())
}

/// Two reads for each call; each place is known only when the one before it has been read.
fn reads(bytes: &[u8], random: &mut Random) -> u64 {
    let lines = bytes.len() as u64 / LINE;
    (0..2 * ROUND).fold(0, |before, _| {
        let at = (random.bits() ^ before) % lines * LINE;
        u64::from(bytes[at as usize])
    })
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

struct Calls {
    view: ProviderView,
    state: ProviderState,
    blocks: OutBlocks,
    head_end: HeadEnd,
    address: AddressText,
    request: Vec<u8>,
    users: u64,
    seed: u64,
    asked: u64,
    found: u64,
}

impl Calls {
    fn new(arena: Arena, users: u64, seed: u64) -> Calls {
        let table = Table::open(arena).expect("a table");
        let table = LoadedTable { table, version: 1, published: Micros(0) };
        let config = ProviderConfig::of_defaults(DialectWord::Xandr, "xandr");
        let supplies = Supplies { table: Some(TableTaker::holding(table)) };
        let view = ProviderView::of(&config, "xandr", Ack::Received, Policy::default(), supplies);
        Calls {
            state: Provider::state(&view),
            view,
            blocks: OutBlocks::map(8).expect("memory"),
            head_end: HeadEnd::at(Micros(0)),
            address: AddressText::new([192, 0, 2, 1].into()),
            request: Vec::new(),
            users,
            seed,
            asked: 0,
            found: 0,
        }
    }

    /// A call for a user at random; how long it took.
    fn call(&mut self, clock: &Clock, random: &mut Random) -> u64 {
        let user = user_id(self.seed, random.below(self.users));
        self.request.clear();
        let _ = write!(
            self.request,
            "GET /v1/segments/xandr?uid={user}&extended_ids=example.com%2C0123456789abcdef\
             &ip=203.0.113.7&ua=Mozilla%2F5.0%20(Linux%3B%20Android%2010%3B%20K)%20AppleWebKit%2F\
             537.36%20(KHTML%2C%20like%20Gecko)%20Chrome%2F140.0.0.0%20Mobile%20Safari%2F537.36\
             &ref=https%3A%2F%2Fnews.example.com%2Fa%2F9&tag=20184711&country=US&region=NY\
             &city=New%20York&dma=501&postal=10001&gdpr=0&gdpr_consent=\
             &gpp=DBABLA~BVQqAAAAAgA.QA&gpp_sid=7&auction_id=5000000000000000001 HTTP/1.1\r\n\
             Host: dp.example.net\r\nAccept: */*\r\n\r\n"
        );
        self.asked += 1;
        let mut output = Output::default();
        let from = clock.raw();
        let mut space = header_space();
        let (head, _) = parse(&self.request, &mut space).ok().flatten().expect("a request");
        let mut answer = Answer::new(&mut output, &mut self.blocks, &self.head_end, &head, false);
        let request =
            Request { head: &head, body: b"", peer: &self.address, client: &self.address };
        let moment = Moment::at(Micros(1_000_000));
        let outcome = Provider::handle(&request, &self.view, &mut self.state, moment, &mut answer);
        let nanos = clock.delta_as_nanos(from, clock.raw());
        if let Outcome::Event { row, outcome, .. } = outcome {
            black_box(row.schema());
            self.found += u64::from(outcome == 0);
        }
        let span = output.start_send(&self.blocks).expect("an answer");
        output.finish_send(&mut self.blocks, span.to - span.from);
        nanos
    }
}
