//! Reports with everything in them, the same every time: for the tests of the files made from
//! reports, and for `examples/reports.rs`, whose pages `check/page.sh` looks at.

use super::{
    Counts, Distribution, Environment, ExchangeView, FORMAT, Generator, Late, Plan, Quantiles,
    Report, Round, Second, ServerCost, Window, encode,
};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// A histogram of nanoseconds with the bounds of a recorder's.
#[must_use]
pub(super) fn histogram(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("three digits");
    values.into_iter().for_each(|value| histogram.saturating_record(value));
    histogram
}

/// One round of a server that is well; two stretches in which the generator was late.
#[must_use]
pub(super) fn plain(seconds: u64) -> Report {
    let mut round = Shape { seconds, ..Shape::of("5,000/s", 5000.0) };
    round.late_windows = |window| (14..17).contains(&window) || window == 22;
    report("Pixel, one shard, s-2vcpu-2gb", vec![round.round()])
}

/// Ten rounds, to 95 % of what a server can do; in the last ones queues build up.
#[must_use]
pub(super) fn ladder(seconds: u64) -> Report {
    let percents = [10u32, 20, 30, 40, 50, 60, 70, 80, 90, 95];
    let rounds = percents.into_iter().zip(0u64..).map(|(percent, number)| {
        let name = format!("{percent} %");
        let load = f64::from(percent) / 100.0;
        let mut shape = Shape { seconds, load, ..Shape::of(&name, 120.0 * f64::from(percent)) };
        shape.started_ms = 2000 + number * (seconds * 1000 + 2000);
        shape.seed = number + 1;
        shape.round()
    });
    report("Provider, ladder to 95 % of capacity", rounds.collect())
}

/// A server that cannot keep up, is wrong, breaks connections; a generator that is late too.
#[must_use]
pub(super) fn overload(seconds: u64) -> Report {
    let mut shape = Shape { seconds, load: 1.4, ..Shape::of("9,000/s", 9000.0) };
    shape.late_windows = |window| window % 5 < 3;
    let mut round = shape.round();
    let counts = &mut round.counts;
    (counts.wrong, counts.broken, counts.timeouts) = (12, 7, 1431);
    counts.answered -= counts.wrong + counts.broken + counts.timeouts;
    (counts.refused, counts.reconnects, counts.queued) = (3, 1441, 30_120);
    round.achieved_rate = 6412.0;
    round.generator_bound = true;
    round.exchange = Some(ExchangeView {
        late_share: 0.0312,
        reconnects: 1441,
        throttled_share: 0.25,
        worst_ms_per_connection: vec![101.2, 87.5, 341.0, 99.9],
    });
    let mut report = report("Bidder <script>alert(1)</script> & \"exchange\"", vec![round]);
    report.plan.target = "http://127.0.0.1:8082/v1/bid/<exchange>?a=1&b='2'".to_owned();
    report.plan.command.push("--title=it's <b>bold</b>".to_owned());
    report
}

/// Nothing was answered: the server was not there.
#[must_use]
pub(super) fn nothing() -> Report {
    let mut round = Shape { seconds: 0, ..Shape::of("5,000/s", 5000.0) }.round();
    round.counts = Counts { due: 5000, broken: 5000, refused: 64, ..Counts::default() };
    round.achieved_rate = 0.0;
    (round.null, round.server) = (None, None);
    report("Nobody answers", vec![round])
}

fn report(title: &str, rounds: Vec<Round>) -> Report {
    let command = "bench run --scenario pixel --url http://127.0.0.1:8083/i.gif --rate 5000 \
                   --connections 64 --cpu 0 --out results/pixel";
    Report {
        format: FORMAT,
        title: title.to_owned(),
        started_unix_ms: 1_792_833_605_123,
        environment: Environment {
            kernel: "6.18.0".to_owned(),
            cpu: "AMD EPYC".to_owned(),
            cores: 2,
            guest: true,
            memory_mib: 24_105,
            guest_halt_poll_ns: Some(0),
            clocksource: Some("tsc".to_owned()),
            congestion_control: Some("cubic".to_owned()),
            qdisc: Some("pfifo_fast".to_owned()),
            loopback_mtu: Some(65_536),
            huge_pages: Some("madvise".to_owned()),
            mitigations: BTreeMap::from([(
                "spectre_v2".to_owned(),
                "Mitigation: Retpolines; IBPB: conditional; IBRS_FW; RSB filling".to_owned(),
            )]),
            load: 0.84,
            bench: "0.1.0 (release)".to_owned(),
            ..Environment::default()
        },
        plan: Plan {
            scenario: "pixel".to_owned(),
            arrivals: "poisson".to_owned(),
            connections: 64,
            duration_ms: rounds.first().map_or(0, |r| r.seconds.iter().map(|s| s.length_ms).sum()),
            warmup_ms: 2000,
            timeout_ms: 5000,
            cpus: vec![0],
            seed: 1,
            target: "http://127.0.0.1:8083/i.gif".to_owned(),
            command: command.split(' ').map(str::to_owned).collect(),
        },
        rounds,
    }
}

/// What a round is made from.
struct Shape {
    name: String,
    rate: f64,
    /// Of what the server can do.
    load: f64,
    seconds: u64,
    started_ms: u64,
    seed: u64,
    late_windows: fn(u64) -> bool,
}

impl Shape {
    fn of(name: &str, rate: f64) -> Shape {
        let name = name.to_owned();
        Shape {
            name,
            rate,
            load: 0.4,
            seconds: 0,
            started_ms: 2000,
            seed: 1,
            late_windows: |_| false,
        }
    }

    /// Latencies of a window of 200 ms: most near 20 µs, a tail that grows with the load, a stall
    /// now and then, and a queue when there is more to do than can be done.
    fn latencies(&self, window: u64, random: &mut Random) -> Vec<u64> {
        let count = (self.rate / 5.0) as u64;
        let queue = (self.load - 1.0).max(0.0) * window as f64 * 2e7;
        let stalls = random.next() < 0.08;
        let latency = |_| {
            let wait = -random.next().ln() * 6000.0 / (1.02 - self.load.min(1.0));
            let tail = if random.next() < 0.004 { random.next().powi(3) * 900_000.0 } else { 0.0 };
            let stall = if stalls && random.next() < 0.02 { 400_000.0 } else { 0.0 };
            let late = if (self.late_windows)(window) { random.next() * 1.8e6 } else { 0.0 };
            (14_000.0 + wait + tail + stall + late + queue) as u64
        };
        (0..count).map(latency).collect()
    }

    fn round(self) -> Round {
        let mut random = Random(self.seed);
        let mut valid = histogram([]);
        let mut lag = histogram([]);
        let (mut windows, mut seconds) = (Vec::new(), Vec::new());
        for second in 0..self.seconds {
            let mut one = histogram([]);
            for window in second * 5..second * 5 + 5 {
                let latencies = histogram(self.latencies(window, &mut random));
                let is_valid = !(self.late_windows)(window);
                let lag_max_ns = if is_valid { 21_000 } else { 1_800_000 };
                windows.push(window_of(&latencies, window * 200, lag_max_ns));
                one += &latencies;
                if is_valid {
                    valid += &latencies;
                    lag += histogram((0..100).map(|n| 90 + n * n / 4));
                }
            }
            seconds.push(second_of(&one, second * 1000));
        }
        let all = seconds.iter().map(|s: &Second| super::decode(&s.histogram).expect("ours"));
        let intended = all.fold(histogram([]), |sum, one| sum + one);
        self.with(&intended, &valid, &lag, windows, seconds)
    }

    fn with(
        self,
        intended: &Histogram<u64>,
        valid: &Histogram<u64>,
        lag: &Histogram<u64>,
        windows: Vec<Window>,
        seconds: Vec<Second>,
    ) -> Round {
        let beyond = |ms: u64| intended.count_between(ms * 1_000_000, u64::MAX);
        let late = [1, 5, 7, 10, 100, 200, 500];
        let actual = intended.iter_recorded().flat_map(|step| {
            let value = step.value_iterated_to().min(2_000_000);
            (0..step.count_at_value()).map(move |_| value * 19 / 20)
        });
        let due = intended.len() + (self.rate * 2.0) as u64;
        let threads = [("shard-0", 7.4), ("spool", 0.9), ("delivery", 0.2), ("encode", 0.6)];
        Round {
            name: self.name,
            offered_rate: self.rate,
            achieved_rate: self.rate * 0.9998,
            started_ms: self.started_ms,
            counts: Counts { due, sent: due, answered: due, queued: 3, ..Counts::default() },
            intended: Distribution::of(intended),
            valid: Distribution::of(valid),
            actual: Distribution::of(&histogram(actual)),
            lag: Distribution::of(lag),
            null: Some(Quantiles::of(&histogram((0..5000).map(|n| 8000 + n * n / 2500)))),
            windows,
            seconds,
            late: late.map(|ms| Late { beyond_ms: ms, count: beyond(ms) }).to_vec(),
            generator_bound: false,
            generator: Some(Generator { ran_ms: 32_000.0, cpu_ms: 31_990.0, idle_ms: 25_600.0 }),
            server: Some(ServerCost {
                threads: threads.map(|(name, cost)| (name.to_owned(), cost)).into(),
                cpu_us_per_request: 9.1,
                context_switches_per_request: 0.013,
            }),
            exchange: None,
        }
    }
}

fn window_of(latencies: &Histogram<u64>, at_ms: u64, lag_max_ns: u64) -> Window {
    let at = |quantile: f64| latencies.value_at_quantile(quantile) as f64 / 1000.0;
    let (p50_us, p99_us, max_us) = (at(0.5), at(0.99), at(1.0));
    let (valid, count) = (lag_max_ns < 100_000, latencies.len());
    Window { at_ms, valid, count, lag_max_ns, p50_us, p99_us, max_us }
}

fn second_of(latencies: &Histogram<u64>, at_ms: u64) -> Second {
    let (due, histogram) = (latencies.len(), encode(latencies));
    Second { at_ms, length_ms: 1000, due, answered: due, histogram }
}

/// Numbers between 0 and 1, the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as f64 + 1.0) / (f64::from(1u32 << 31) + 1.0)
    }
}
