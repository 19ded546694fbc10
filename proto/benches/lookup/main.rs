//! What it costs to find a user: `cargo bench -p brink-proto --bench lookup -- --users 10000000`.
//!
//! Several indexes over the same records, in rounds that take turns: a machine that is busy for a
//! while is busy for all of them. The lookup of a present user waits for the one before it, as that
//! of one request does: its time is that of reads of memory one after the other. Those of absent
//! users overlap, in all indexes alike. The figure is the median of the rounds' means; the rounds
//! are printed as well.
//!
//! `two reads` is the floor: a line chosen at random, and a line that the first one chooses.
//! Memory is what the allocator gives: pages of 4 KiB, unless the system makes huge ones of it.

mod indexes;

use brink_proto::table::Key;
use indexes::{Absent, Buckets, Index, MinimalPerfect, OpenAddressing, Records, TwoReads};
use std::{hint::black_box, time::Instant};

/// Lookups of a round.
const LOOKUPS: usize = 200_000;

const ROUNDS: usize = 15;

fn main() {
    let users = users();
    let key = |user: usize| {
        let (hi, lo) = (bits(2 * user as u64), bits(2 * user as u64 + 1));
        Key { hi, lo }
    };
    let keys: Vec<Key> = (0..users).map(key).collect();
    let records = Records::new(&keys);
    println!("{users} users, {} bytes of records", records.bytes.len());
    let indexes: Vec<Box<dyn Index>> = vec![
        Box::new(TwoReads::new(&keys, &records)),
        Box::new(Buckets::new(&keys, &records, 192)),
        Box::new(Buckets::new(&keys, &records, 224)),
        Box::new(Buckets::new(&keys, &records, 256)),
        Box::new(OpenAddressing::new(&keys, &records)),
        Box::new(MinimalPerfect::new(&keys, &records)),
    ];
    let present = |round: usize| -> Vec<Key> {
        let pick = |n: usize| keys[bits((round * LOOKUPS + n) as u64 ^ 1 << 60) as usize % users];
        (0..LOOKUPS).map(pick).collect()
    };
    let absent = |round: usize| -> Vec<Key> {
        (0..LOOKUPS).map(|n| key(users + round * LOOKUPS + n)).collect()
    };
    measure("present users", &indexes, &present);
    let mut absent_indexes: Vec<Box<dyn Index>> =
        vec![Box::new(Absent(TwoReads::new(&keys, &records)))];
    absent_indexes.extend(indexes.into_iter().skip(1));
    measure("absent users", &absent_indexes, &absent);
}

/// Takes rounds in turn and prints them.
fn measure(what: &str, indexes: &[Box<dyn Index>], sample: &dyn Fn(usize) -> Vec<Key>) {
    println!("\n{what}, ns a lookup");
    let mut rounds = vec![Vec::new(); indexes.len()];
    for round in 0..=ROUNDS {
        let keys = sample(round);
        for (index, taken) in indexes.iter().zip(&mut rounds) {
            let began = Instant::now();
            index.look_up(&keys);
            let ns = began.elapsed().as_nanos() as f64 / keys.len() as f64;
            // The first one warms up.
            if round > 0 {
                taken.push(ns);
            }
        }
    }
    let floor = median(&rounds[0]);
    for (index, taken) in indexes.iter().zip(&rounds) {
        let (middle, bytes) = (median(taken), index.bytes_per_user());
        let all: Vec<String> = taken.iter().map(|ns| format!("{ns:.0}")).collect();
        println!(
            "{:<34} {middle:>7.1}  {:>5.2} × the floor  {bytes:>5.1} B a user  [{}]",
            index.name(),
            middle / floor,
            all.join(" ")
        );
    }
}

fn median(rounds: &[f64]) -> f64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Looks keys up, each when the one before it was found: what it found has a say in the next key,
/// which the processor cannot know to be none. It does guess that nobody is found, though, and
/// goes on: lookups of absent users overlap.
fn chained(keys: &[Key], find: impl Fn(Key) -> u64) {
    let none = black_box(0);
    let mut found = 0;
    for key in keys {
        let told = found & none;
        found = find(Key { hi: key.hi ^ told, lo: key.lo ^ told });
    }
    black_box(found);
}

/// Numbers that look random (splitmix64).
fn bits(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn users() -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--users").skip(1);
    arguments.next().and_then(|users| users.parse().ok()).unwrap_or(1_000_000)
}
