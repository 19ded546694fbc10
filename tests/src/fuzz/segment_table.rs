//! Segment tables: refused, or read to the end whatever their sections hold; and what was written
//! is found again, until a bit of it turns round.
//!
//! ```text
//!  input = 0 │ a whole file, read as it is
//!          1 │ codes, groups, section lengths │ the sections, behind a header that is right
//!          2 │ bit to turn round │ users and their segments, which are written and read
//! ```

use super::{feature::reached, input::Input};
use brink_proto::{
    ids::{PriceMicros, ScoreMillionths},
    table::{
        CODE_BYTES_MAX, Extent, Header, Key, Namespace, PAGE_BYTES, SEGMENTS_MAX, Section, Segment,
        Table, TableError,
        write::{Entry, WriteError, assemble},
    },
};

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn segment_table(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 3 {
        0 => read_all(input.rest(), &[]),
        1 => read_all(&sections_of_any_bytes(&mut input), &[]),
        _ => write_and_read(&mut input),
    }
}

/// Reads what can be read: it ends, and what is said lies in bounds.
fn read_all(bytes: &[u8], more: &[Key]) {
    let table = match Table::open(bytes) {
        Ok(table) => table,
        Err(TableError::Bounds(section)) => return reached(section.label()),
        Err(_) => return,
    };
    reached(("whole", table.verify().is_ok()));
    let codes = table.codes().count();
    assert!(codes <= table.header().codes as usize);
    // The fingerprints that the buckets hold are the ones that lead anywhere.
    let buckets = table.header().section(Section::Buckets).offset as usize;
    let words = bytes[buckets..].as_chunks::<8>().0;
    let fingerprints = words.iter().take(64).map(|word| u64::from_le_bytes(*word));
    let keys = fingerprints.flat_map(|lo| [0, u64::MAX, lo].map(|hi| Key { hi, lo }));
    for key in keys.chain(more.iter().copied()) {
        let Some(record) = table.find(key) else { continue };
        let mut count = 0;
        for segment in record.segments() {
            assert!(segment.code.len() <= bytes.len());
            assert!(segment.price.or(record.base_price()) == segment.price);
            count += 1;
        }
        assert!(count <= SEGMENTS_MAX);
        reached(("record", count.min(4), record.base_price().is_some()));
    }
}

/// A file whose header is right and whose sections are the input.
fn sections_of_any_bytes(input: &mut Input<'_>) -> Vec<u8> {
    let (codes, groups) = (input.below(9) as u32, input.below(3) as u32);
    let lengths = [input.below(256), input.below(256) * 4, groups as usize * PAGE_BYTES];
    let mut bytes = vec![0; PAGE_BYTES];
    let sections = lengths.map(|length| {
        bytes.resize(bytes.len().next_multiple_of(PAGE_BYTES), 0);
        let offset = bytes.len();
        bytes.extend_from_slice(input.take(length));
        bytes.resize(offset + length, 0);
        let crc = crc32c::crc32c(&bytes[offset..]);
        Extent { offset: offset as u64, bytes: length as u64, crc }
    });
    let file_bytes = bytes.len() as u64;
    let header = Header { file_bytes, users: 1, segments: 1, codes, groups, sections };
    bytes[..PAGE_BYTES].copy_from_slice(&header.encode());
    bytes
}

/// Users made of the input are written, found, and found wrong when a bit turns round.
fn write_and_read(input: &mut Input<'_>) {
    let bit = input.u32() as usize;
    let texts: Vec<String> = (0..8).map(|_| input.name().as_str().to_owned()).collect();
    let mut entries = Vec::new();
    while !input.is_empty() && entries.len() < 400 {
        entries.push(entry(input, &texts));
    }
    let mut bytes = match assemble(&entries) {
        Ok(bytes) => bytes,
        Err(error) => {
            assert!(matches!(error, WriteError::SameKey | WriteError::Segments), "{error}");
            return reached(error.to_string().len());
        }
    };
    let keys: Vec<Key> = entries.iter().map(|entry| entry.key).collect();
    {
        let table = Table::open(&bytes).expect("it was just written");
        table.verify().expect("it was just written");
        assert_eq!(table.header().users, entries.len() as u64);
        for entry in &mut entries {
            entry.segments.sort_by_key(|segment| segment.code);
            let record = table.find(entry.key).expect("each user is found");
            assert_eq!(record.base_price(), entry.base_price);
            let based = |segment: &Segment<'_>| segment.price.or(entry.base_price);
            let want = entry.segments.iter().map(|s| Segment { price: based(s), ..*s });
            assert!(record.segments().eq(want));
        }
        assert!(table.codes().all(|code| (1..=CODE_BYTES_MAX).contains(&code.len())));
    }
    let bit = bit % (8 * bytes.len());
    bytes[bit / 8] ^= 1 << (bit % 8);
    if bit / 8 < PAGE_BYTES {
        assert!(Table::open(&bytes).is_err(), "bit {bit} turned round unnoticed");
    }
    read_all(&bytes, &keys);
}

fn entry<'t>(input: &mut Input<'_>, texts: &'t [String]) -> Entry<'t> {
    let money = |input: &mut Input<'_>| match input.byte() {
        b'0' => None,
        b'm' => Some(PriceMicros::MAX),
        byte => PriceMicros::new(u64::from(byte) << (byte % 32)),
    };
    let id = input.below(1 << 12) as u64;
    let key = Namespace::new("xandr").key(&id.to_le_bytes());
    let base_price = money(input);
    let segments = (0..input.byte() % 5).map(|_| Segment {
        code: texts[input.below(texts.len())].as_bytes(),
        price: money(input),
        score: ScoreMillionths::new(u64::from(input.u32())),
    });
    Entry { key, base_price, segments: segments.collect() }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let key = |id: u8| Namespace::new("xandr").key(&[id]);
    let segment = |code: &'static str, price| Segment {
        code: code.as_bytes(),
        price: PriceMicros::new(price),
        score: ScoreMillionths::new(250_000),
    };
    let entry = |id| Entry {
        key: key(id),
        base_price: PriceMicros::new(500_000),
        segments: vec![segment("auto", 1), segment("travel", 750_000)],
    };
    let whole = assemble(&[entry(1), entry(2)]).expect("a table");
    let header = Header::decode(&whole).expect("its header");
    let part = |section: Section| {
        let Extent { offset, bytes, .. } = header.section(section);
        &whole[offset as usize..(offset + bytes) as usize]
    };
    let [codes, records, buckets] = Section::ALL.map(part);
    let counts = [1, 0, header.codes as u8, 0, 1, 0, codes.len() as u8, 0, records.len() as u8 / 4];
    vec![
        [[0].as_slice(), &whole].concat(),
        [counts.as_slice(), codes, records, buckets].concat(),
        [[2, 1, 2, 3, 4].as_slice(), &(0..200).collect::<Vec<u8>>()].concat(),
        vec![2; 2000],
    ]
}

pub(super) const WORDS: &[&[u8]] = &[
    b"BRNKTABL",
    b"\x01\0\0\0",
    b"\0\0\0\0\0\0\0\0",
    b"\x05\x01\0\0",
    b"\xff\xff\xff\xff",
    b"\x80\x40",
    b"\x82\xa0\x94\xa5\x8d\x1d",
    b"\0\x10\0\0\0\0\0\0",
];
