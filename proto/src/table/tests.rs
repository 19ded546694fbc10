//! Whole tables, written and read; and what is none.

use super::{
    write::{Entry, Group, Ranked, WriteError, assemble, groups_for, record},
    *,
};
use crate::ids::{PriceMicros, ScoreMillionths};

fn price(micros: u64) -> Option<PriceMicros> {
    Some(PriceMicros::new(micros).unwrap())
}

fn score(millionths: u64) -> Option<ScoreMillionths> {
    Some(ScoreMillionths::new(millionths).unwrap())
}

fn segment(code: &str) -> Segment<'_> {
    Segment { code: code.as_bytes(), price: None, score: None }
}

fn key(index: u64) -> Key {
    Namespace::new("xandr").key(&index.to_le_bytes())
}

/// Users of whom each has its own number as price.
fn entries(users: u64) -> Vec<Entry<'static>> {
    (0..users)
        .map(|user| Entry {
            key: key(user),
            base_price: price(user),
            segments: vec![segment(["auto", "travel", "sports"][user as usize % 3])],
        })
        .collect()
}

fn all<'t>(table: &'t Table<Vec<u8>>, key: Key) -> Vec<Segment<'t>> {
    table.find(key).unwrap().segments().collect()
}

#[test]
fn everybody_who_was_written_is_found_and_nobody_else() {
    for users in [0, 1, 5, 223, 224, 225, 5000] {
        let table = Table::open(assemble(&entries(users)).unwrap()).unwrap();
        assert_eq!(table.verify(), Ok(()));
        assert_eq!((table.header().users, table.header().segments), (users, users));
        for user in 0..users {
            let found = table.find(key(user)).unwrap();
            assert_eq!(found.base_price(), price(user));
            assert_eq!(found.segments().count(), 1);
        }
        assert!((users..users + 5000).all(|user| table.find(key(user)).is_none()), "{users}");
        let entries: u64 = table.buckets().map(|bucket| u64::from(bucket.used)).sum();
        assert_eq!(entries, users);
    }
}

#[test]
fn segments_come_back_ascending_with_their_own_price_or_the_base_price() {
    let own = Segment { code: b"b", price: price(0), score: score(1_000_000_000) };
    let segments = vec![segment("zz"), own, segment("a")];
    let with = Entry { key: key(1), base_price: price(70), segments: segments.clone() };
    let without = Entry { key: key(2), base_price: None, segments };
    let table = Table::open(assemble(&[with, without]).unwrap()).unwrap();
    let based = |code| Segment { price: price(70), ..segment(code) };
    assert_eq!(all(&table, key(1)), [based("a"), own, based("zz")]);
    assert_eq!(all(&table, key(2)), [segment("a"), own, segment("zz")]);
    assert_eq!(table.codes().collect::<Vec<_>>(), [b"a".as_slice(), b"b", b"zz"]);
}

#[test]
fn the_order_of_users_and_segments_does_not_change_a_byte() {
    let mut users = entries(1000);
    users[3].segments.push(segment("zoo"));
    let want = assemble(&users).unwrap();
    users.reverse();
    users[996].segments.reverse();
    assert!(assemble(&users).unwrap() == want);
}

#[test]
fn a_bucket_that_is_full_goes_on_in_the_next_one_round_the_end_of_the_group() {
    // All belong into the last bucket of the first group.
    let crowd = |count: u64| -> Vec<Entry<'_>> {
        let entry = |lo| Entry { key: Key { hi: 63, lo }, base_price: price(lo), segments: vec![] };
        (0..count).map(entry).collect()
    };
    let table = Table::open(assemble(&crowd(320)).unwrap()).unwrap();
    for lo in 0..320 {
        assert_eq!(table.find(Key { hi: 63, lo }).unwrap().base_price(), price(lo));
    }
    assert!(table.find(Key { hi: 63, lo: 320 }).is_none(), "a search of a full group ends");
    assert!(table.find(Key { hi: 7, lo: 320 }).is_none());
    assert_eq!(assemble(&crowd(321)), Err(WriteError::GroupFull), "more groups do not help here");

    let mut group = Group::new();
    assert_eq!(group.insert(Key { hi: 1, lo: 9 }, 0), Ok(()));
    assert_eq!(group.insert(Key { hi: 65, lo: 9 }, 4), Err(WriteError::SameKey));
    assert_eq!(group.insert(Key { hi: 1, lo: 8 }, 1 << 34), Err(WriteError::TooLarge));
}

#[test]
fn groups_are_made_for_three_and_a_half_users_a_bucket() {
    let counts = [0, 1, 224, 225, 10_000_000].map(|users| groups_for(users).unwrap());
    assert_eq!(counts, [1, 1, 1, 2, 44_643]);
    assert_eq!(groups_for(u64::MAX), Err(WriteError::TooLarge));
}

#[test]
fn what_a_table_cannot_hold_is_refused() {
    let check = |segments: Vec<Segment<'_>>, want: WriteError| {
        let entry = Entry { key: key(1), base_price: None, segments };
        assert_eq!(assemble(&[entry]), Err(want));
    };
    let long = "x".repeat(65);
    for code in ["", "a b", "a:b", "a,b", "ü", long.as_str()] {
        check(vec![segment(code)], WriteError::Code);
    }
    check(vec![segment("a"), segment("a")], WriteError::Segments);
    let twice = [entries(1), entries(1)].concat();
    assert_eq!(assemble(&twice), Err(WriteError::SameKey));
    let many: Vec<_> = (0..4097).map(|rank| Ranked { rank, price: None, score: None }).collect();
    assert_eq!(record(&mut Vec::new(), None, &many), Err(WriteError::Segments));
    assert_eq!(record(&mut Vec::new(), None, &many[1..]), Ok(()));
    assert!(PriceMicros::new(1_000_000_000_001).is_none());
    assert!(ScoreMillionths::new(1_000_000_001).is_none());
}

#[test]
fn what_is_no_whole_table_is_refused_and_says_why() {
    let whole = assemble(&entries(300)).unwrap();
    let header = Header::decode(&whole).unwrap();
    let check = |bytes: &[u8], want: TableError| {
        assert_eq!(Table::open(bytes).map(|_| ()), Err(want));
    };
    check(&[], TableError::NotATable);
    check(&whole[..4095], TableError::NotATable);
    check(&vec![0; whole.len()], TableError::NotATable);
    let said = whole.len() as u64;
    check(&whole[..whole.len() - 1], TableError::Length { found: said - 1, said });
    check(&[whole.as_slice(), b"x"].concat(), TableError::Length { found: said + 1, said });

    let mut turned = whole.clone();
    turned[4095] ^= 1;
    check(&turned, TableError::HeaderCrc);

    let mut newer = whole.clone();
    newer[8] = 2;
    newer[12..16].fill(0);
    let crc = crc32c::crc32c(&newer[..PAGE_BYTES]);
    newer[12..16].copy_from_slice(&crc.to_le_bytes());
    check(&newer, TableError::Version { found: 2, known: 1 });

    for (index, section) in Section::ALL.into_iter().enumerate() {
        for (offset, bytes) in [(0, 4096), (4097, 4096), (!4095, 4096), (4096, 1 << 60)] {
            let mut moved = header;
            moved.sections[index] = Extent { offset, bytes, crc: 0 };
            let mut bytes = whole.clone();
            bytes[..PAGE_BYTES].copy_from_slice(&moved.encode());
            check(&bytes, TableError::Bounds(section));
        }
    }
}

#[test]
fn a_byte_that_turned_round_is_found_in_its_section() {
    let whole = assemble(&entries(300)).unwrap();
    for section in Section::ALL {
        let mut turned = whole.clone();
        turned[Header::decode(&whole).unwrap().section(section).offset as usize + 5] ^= 4;
        let table = Table::open(turned).unwrap();
        assert_eq!(table.verify(), Err(TableError::SectionCrc(section)));
    }
}

#[test]
fn a_record_that_makes_no_sense_ends() {
    let codes = write::codes([b"a".as_slice(), b"b"].into_iter()).unwrap();
    let check = |bytes: &[u8], want: Option<usize>| {
        let found = Record::read(bytes, Codes::new(&codes, 2));
        assert_eq!(found.map(|record| record.segments().count()), want, "{bytes:?}");
    };
    check(&[], None);
    check(&[0], Some(0));
    check(&[4, 0, 0, 0, 0, 0, 0], Some(2));
    check(&[4, 0, 0, 0, 1, 0, 0], Some(1)); // rank 2 of 2
    check(&[4, 0, 0, 0, 0, 0], Some(1)); // cut
    check(&[0x82, 0x40], None); // 4097 segments
    check(&[0x80, 0x40], Some(0)); // 4096, and nothing of them
    check(&[2, 0, 0x82, 0xa0, 0x94, 0xa5, 0x8d, 0x1d, 0], Some(0)); // a price above the highest
    check(&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], None);
    check(&[2, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], Some(0)); // the last rank there could be
}
