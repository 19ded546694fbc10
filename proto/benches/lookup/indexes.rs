//! The indexes that are held against each other. All find the same records.

use super::{bits, chained};
use brink_proto::{
    ids::PriceMicros,
    table::{
        Extent, Header, Key, PAGE_BYTES, Table,
        write::{Group, Ranked, WriteError, codes, group_of, next_page, record},
    },
};
use ptr_hash::{DefaultPtrHash, PtrHashParams};
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

/// One way to find a user.
pub(super) trait Index {
    fn name(&self) -> String;

    /// Of the index alone, without records.
    fn bytes_per_user(&self) -> f64;

    /// Looks all of them up, one after the other.
    fn look_up(&self, keys: &[Key]);
}

/// A record for each user, of eight segments.
pub(super) struct Records {
    pub(super) bytes: Arc<Vec<u8>>,
    places: Vec<u32>,
}

impl Records {
    pub(super) fn new(keys: &[Key]) -> Records {
        let mut bytes = Vec::with_capacity(keys.len() * 72);
        let mut places = Vec::with_capacity(keys.len());
        for user in 0..keys.len() as u64 {
            let segment = |n: u64| Ranked {
                rank: (n * 250 + bits(user ^ n) % 250) as u32,
                price: PriceMicros::new(50_000 + bits(user + n) % 4_950_000),
                score: None,
            };
            let segments: Vec<Ranked> = (0..8).map(segment).collect();
            places.push((bytes.len() / 4) as u32);
            record(&mut bytes, PriceMicros::new(500_000 + user % 1000), &segments)
                .expect("ranks are ascending");
        }
        // Whoever reads eight bytes finds them.
        bytes.extend_from_slice(&[0; 8]);
        Records { bytes: Arc::new(bytes), places }
    }

    fn first(bytes: &[u8], place: u32) -> u64 {
        let at = bytes.get(place as usize * 4..).and_then(|rest| rest.first_chunk());
        at.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

/// The floor: two reads, of which the second waits for the first.
pub(super) struct TwoReads {
    lines: Vec<[u64; 8]>,
    others: Vec<[u64; 8]>,
    users: usize,
}

impl TwoReads {
    /// As many lines as 3.5 users a bucket need, and as many as the records take.
    pub(super) fn new(keys: &[Key], records: &Records) -> TwoReads {
        let lines = (0..keys.len() as u64 * 2 / 7 + 1).map(|n| [bits(n); 8]).collect();
        let others = (0..records.bytes.len() as u64 / 64 + 1).map(|n| [n; 8]).collect();
        TwoReads { lines, others, users: keys.len() }
    }

    fn one(&self, key: Key) -> u64 {
        let at = (u128::from(key.hi) * self.lines.len() as u128) >> 64;
        self.lines[at as usize][key.lo as usize % 8]
    }
}

impl Index for TwoReads {
    fn name(&self) -> String {
        "two reads".to_owned()
    }

    fn bytes_per_user(&self) -> f64 {
        64.0 * self.lines.len() as f64 / self.users as f64
    }

    fn look_up(&self, keys: &[Key]) {
        chained(keys, |key| {
            let at = (u128::from(self.one(key) ^ key.lo) * self.others.len() as u128) >> 64;
            self.others[at as usize][key.hi as usize % 8]
        });
    }
}

/// The floor for who is not there: the first read alone.
pub(super) struct Absent(pub(super) TwoReads);

impl Index for Absent {
    fn name(&self) -> String {
        "one read".to_owned()
    }

    fn bytes_per_user(&self) -> f64 {
        self.0.bytes_per_user()
    }

    /// Nobody is found, and the processor guesses so, as it does in the other indexes.
    fn look_up(&self, keys: &[Key]) {
        chained(keys, |key| match self.0.one(key) == key.lo {
            true => self.0.others[key.hi as usize % self.0.others.len()][0],
            false => 0,
        });
    }
}

/// The table as it is, with more or fewer users to a group.
pub(super) struct Buckets {
    table: Table<Vec<u8>>,
    per_bucket: f64,
}

impl Buckets {
    pub(super) fn new(keys: &[Key], records: &Records, per_group: u64) -> Buckets {
        let mut entries: Vec<(Key, u32)> =
            keys.iter().copied().zip(records.places.iter().copied()).collect();
        entries.sort_unstable();
        let mut groups = (keys.len() as u64).div_ceil(per_group) as u32;
        let buckets = loop {
            match Buckets::fill(&entries, groups) {
                Some(buckets) => break buckets,
                None => groups += groups / 64 + 1,
            }
        };
        let texts: Vec<String> = (0..2000).map(|n| format!("code-{n:04}")).collect();
        let codes = codes(texts.iter().map(|text| text.as_bytes())).expect("they are sorted");
        let mut bytes = vec![0; PAGE_BYTES];
        let sections = [&codes, &*records.bytes, &buckets].map(|section| {
            let offset = next_page(bytes.len() as u64);
            bytes.resize(offset as usize, 0);
            bytes.extend_from_slice(section);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            Extent { offset, bytes: section.len() as u64, crc: 0 }
        });
        let header = Header {
            file_bytes: bytes.len() as u64,
            users: keys.len() as u64,
            segments: 8 * keys.len() as u64,
            codes: texts.len() as u32,
            groups,
            sections,
        };
        bytes[..PAGE_BYTES].copy_from_slice(&header.encode());
        let per_bucket = keys.len() as f64 / f64::from(groups) / 64.0;
        Buckets { table: Table::open(bytes).expect("a table"), per_bucket }
    }

    fn fill(entries: &[(Key, u32)], groups: u32) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(groups as usize * PAGE_BYTES);
        let mut rest = entries.iter().peekable();
        for index in 0..groups {
            let mut group = Group::new();
            while let Some((key, place)) =
                rest.next_if(|(key, _)| group_of(key.hi, groups) == index)
            {
                match group.insert(*key, u64::from(*place) * 4) {
                    Err(WriteError::GroupFull) => return None,
                    inserted => inserted.expect("keys differ"),
                }
            }
            out.extend_from_slice(group.page());
        }
        Some(out)
    }
}

impl Index for Buckets {
    fn name(&self) -> String {
        let (mut all, mut overflowed) = (0u64, 0u64);
        for bucket in self.table.buckets() {
            all += 1;
            overflowed += u64::from(bucket.overflowed);
        }
        let share = 100.0 * overflowed as f64 / all as f64;
        format!("buckets, {:.2} each, {share:.1} % over", self.per_bucket)
    }

    fn bytes_per_user(&self) -> f64 {
        f64::from(self.table.header().groups) * 4096.0 / self.table.header().users as f64
    }

    fn look_up(&self, keys: &[Key]) {
        chained(keys, |key| {
            let record = self.table.find(key);
            record.map_or(0, |record| record.base_price().map_or(1, PriceMicros::number))
        });
    }
}

/// The standard library's map, which is hashbrown, from fingerprint to place.
pub(super) struct OpenAddressing {
    places: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
    records: Arc<Vec<u8>>,
}

/// The fingerprint is a hash already.
#[derive(Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl OpenAddressing {
    pub(super) fn new(keys: &[Key], records: &Records) -> OpenAddressing {
        let places = keys.iter().map(|key| key.lo).zip(records.places.iter().copied()).collect();
        OpenAddressing { places, records: Arc::clone(&records.bytes) }
    }
}

impl Index for OpenAddressing {
    fn name(&self) -> String {
        "hashbrown".to_owned()
    }

    fn bytes_per_user(&self) -> f64 {
        // A byte of control and an entry of 16 for each slot; 7 of 8 slots count as capacity.
        let slots = (self.places.capacity() * 8 / 7).next_power_of_two();
        17.0 * slots as f64 / self.places.len() as f64
    }

    fn look_up(&self, keys: &[Key]) {
        let find = |key: Key| self.places.get(&key.lo);
        chained(keys, |key| find(key).map_or(0, |place| Records::first(&self.records, *place)));
    }
}

/// A minimal perfect hash with fingerprints beside places.
pub(super) struct MinimalPerfect {
    hash: DefaultPtrHash,
    slots: Vec<(u64, u32)>,
    records: Arc<Vec<u8>>,
}

impl MinimalPerfect {
    pub(super) fn new(keys: &[Key], records: &Records) -> MinimalPerfect {
        let of: Vec<u64> = keys.iter().map(|key| key.hi).collect();
        let hash = <DefaultPtrHash>::new(&of, PtrHashParams::default());
        let mut slots = vec![(0, 0); keys.len()];
        for (key, place) in keys.iter().zip(&records.places) {
            slots[hash.index(&key.hi)] = (key.lo, *place);
        }
        MinimalPerfect { hash, slots, records: Arc::clone(&records.bytes) }
    }
}

impl Index for MinimalPerfect {
    fn name(&self) -> String {
        "ptr_hash, fingerprints".to_owned()
    }

    fn bytes_per_user(&self) -> f64 {
        let (pilots, remap) = self.hash.bits_per_element();
        16.0 + (pilots + remap) / 8.0
    }

    fn look_up(&self, keys: &[Key]) {
        chained(keys, |key| {
            let (fingerprint, place) = self.slots[self.hash.index(&key.hi)];
            if fingerprint == key.lo { Records::first(&self.records, place) } else { 0 }
        });
    }
}
